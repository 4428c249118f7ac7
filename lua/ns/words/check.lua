--- Checks of what the caller wrote. A check returns the value in its normal form, or raises a mistake that names the
-- field; `ns.start.plan` catches it and hands it on to the caller's line.
-- @module ns.words.check
require("ns.core").nojit()
local core = require "ns.core"

local check = {}

local Mistake = {}

--- Raises a mistake about the field `where`.
function check.fail(where, text, ...)
  if select("#", ...) > 0 then text = text:format(...) end
  error(setmetatable({ text = ("%s: %s"):format(where, text) }, Mistake), 0)
end

local MOST = 1000 -- bytes of a mistake

--- Raises an error at the caller's line: the first that is not in this module, however many calls there are between. Counted
-- levels would be wrong where a call is a tail call.
function check.raise(text, ...)
  local message = text:format(...)
  -- what is wrong stands at its end
  if #message > MOST then message = message:sub(1, MOST - 200) .. "..." .. message:sub(-200) end
  message = message:gsub("[%z\1-\31\127]", function(byte) return ("\\x%02x"):format(byte:byte()) end)
  error(core.caller() .. message, 0)
end

--- What is said of a value that is no table of words.
function check.no_words(value)
  local hint = type(value) == "string" and "; the program and all words go into one table" or ""
  return ("table expected, got %s%s"):format(type(value), hint)
end

-- What takes a table of words.
local OF_WORDS = { spawn = true, run = true, check = true, explain = true, start = true, bundle = true, box = true,
  sandbox = true, confined = true }

--- More arguments than the `most` that a function takes, as a second table of words, are a mistake: whoever has written them
-- expects that they do something. One that is nil is none, as what a callback gets.
function check.no_more(name, most, ...)
  for i = most + 1, select("#", ...) do
    local extra = select(i, ...)
    if extra ~= nil then
      local hint = OF_WORDS[name] and "; all words go into one table" or ""
      check.raise("bad argument #%d to '%s' (nothing expected, got %s%s)", i, name, type(extra), hint)
    end
  end
end

--- A method that says so where it is called without its object, as by p.wait(). `most`: arguments; nil for any number.
function check.method(is, class, name, method, most)
  most = most or math.huge
  return function(self, ...)
    if not is(self) then
      check.raise("calling '%s' on bad self (%s expected, got %s): it is called with a colon", name, class, type(self))
    end
    if select("#", ...) > most then check.no_more(name, most, ...) end
    return method(self, ...)
  end
end

--- Makes all methods of a class such ones. `most`: how many arguments each takes; any number where it is not named.
function check.methods(is, class, most)
  for name, method in next, class do
    if type(method) == "function" and name:sub(1, 2) ~= "__" then
      class[name] = check.method(is, class.__name, name, method, most and most[name])
    end
  end
end

--- Makes all functions of a module such that say so where they are called with a colon, as by ns:run{...}. `most`: as of
-- `methods`.
function check.functions(name, module, most)
  for key, f in next, module do
    if type(f) == "function" then
      local count = most[key] or math.huge
      module[key] = function(...)
        if rawequal((...), module) then check.raise("call it with a dot: %s.%s", name, key) end
        if select("#", ...) > count then check.no_more(key, count, ...) end
        return f(...)
      end
    end
  end
end

--- A value for a message: strings and numbers as they are, of others the type. No metamethod is asked.
function check.show(value)
  return (type(value) == "string" or type(value) == "number") and tostring(value) or type(value)
end

local element_names = {}

--- "argv[3]" for ("argv", 3). Cached, as every check of a list asks for it.
function check.at(where, i)
  local known = element_names[where]
  if known and known[i] then return known[i] end
  local name = ("%s[%s]"):format(where, check.show(i))
  if not known then
    known = {}
    element_names[where] = known
  end
  if type(i) == "number" and i > 0 and i < 64 then known[i] = name end
  return name
end

--- The text of a mistake, or nil if `e` is an error of another kind.
function check.mistake(e)
  return getmetatable(e) == Mistake and e.text or nil
end

local function expected(where, what, value)
  check.fail(where, "%s expected, got %s", what, type(value))
end

--- true or false.
function check.boolean(value, where)
  if type(value) ~= "boolean" then expected(where, "boolean", value) end
  return value
end

--- A function.
function check.fn(value, where)
  if type(value) ~= "function" then expected(where, "function", value) end
  return value
end

--- A string without zeros.
function check.text(value, where)
  if type(value) ~= "string" then expected(where, "string", value) end
  if value:find("\0", 1, true) then check.fail(where, "string contains zeros") end
  return value
end

--- A text of `least` to `most` bytes.
function check.sized(least, most)
  return function(value, where)
    check.text(value, where)
    if #value < least then check.fail(where, "empty string") end
    if #value > most then check.fail(where, "%d bytes are too long, %d are the most", #value, most) end
    return value
  end
end

--- A path the kernel can take.
check.path = check.sized(1, 4095)

--- An absolute path: the launcher's working directory is not the caller's.
function check.absolute(value, where)
  check.path(value, where)
  if value:sub(1, 1) ~= "/" then check.fail(where, "absolute path expected, got '%s'", value) end
  return value
end

--- An integer from `least` to `most`: a number, never a string, without a fraction. NaN is none.
function check.integer(least, most)
  return function(value, where)
    if type(value) ~= "number" then expected(where, "integer", value) end
    if value ~= value or value ~= math.floor(value) or value == math.huge or value == -math.huge then
      check.fail(where, "integer expected, got %s", tostring(value))
    end
    if value < least or value > most then
      check.fail(where, "%.14g is out of range, %.14g to %.14g", value, least, most)
    end
    return value
  end
end

--- A file mode or mask from 0 to `most`, its octal digits: a number, or a string of them. Lua knows no octal numbers.
-- `slips`: further numbers that are most often octal ones, by their digits.
function check.mode(most, slips)
  local limit = tonumber(most, 8)
  return function(value, where)
    local mode = value
    if type(value) == "string" then mode = tonumber(value:match("^[0-7]+$") and #value < 9 and value or "", 8) end
    if type(mode) ~= "number" or mode % 1 ~= 0 then
      local got = check.show(value)
      check.fail(where, "mode expected, as the string '0755' or the number 493, got %s",
        type(value) == "string" and "'" .. got .. "'" or got)
    end
    local is_slip = mode == value and (mode > 511 and mode <= limit and mode < 1000 or slips and slips[mode])
    if is_slip and ("%d"):format(mode):match("^[0-7]+$") then
      check.fail(where, "%d is '0%o' in octal: as a string '0%d', if that is meant", mode, mode, mode)
    end
    if mode < 0 or mode > limit then
      check.fail(where, "%s is out of range, 0 to %d, octal '0%s'", check.show(value), limit, most)
    end
    return mode
  end
end

--- A user or group id: 4294967295 means "none" to the kernel.
check.id = check.integer(0, 4294967294)

--- Seconds from `least` up to `most`, fractions allowed. NaN is none.
function check.seconds(least, most)
  return function(value, where)
    if type(value) ~= "number" then expected(where, "seconds", value) end
    if not (value >= least and value <= most) then
      check.fail(where, "%s is out of range, %g to %g seconds", tostring(value), least, most)
    end
    return value
  end
end

--- One of the names.
function check.choice(...)
  local names = { ... }
  return function(value, where)
    for _, name in ipairs(names) do
      if value == name then return value end
    end
    local got = type(value) == "string" and ("'%s'"):format(value) or type(value)
    check.fail(where, "'%s' expected, got %s", table.concat(names, "' or '"), got)
  end
end

--- A list without holes whose items pass `item`; a new table.
function check.list(item, least)
  return function(value, where)
    if type(value) ~= "table" then expected(where, "list", value) end
    local result, last = {}, 0
    for key in next, value do
      if type(key) ~= "number" or key < 1 or key % 1 ~= 0 then
        check.fail(where, "list expected, got the key '%s'", check.show(key))
      end
      if key > last then last = key end
    end
    for i = 1, last do
      local v = rawget(value, i)
      if v == nil then check.fail(check.at(where, i), "missing") end
      result[i] = item(v, check.at(where, i))
    end
    if last < (least or 0) then check.fail(where, "empty list") end
    return result
  end
end

--- A list of anything; a new table.
check.items = check.list(function(value) return value end)

--- How far one word is from another, in letters added, dropped, changed or swapped.
local function distance(a, b)
  local before, row = nil, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local next_row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      next_row[j] = math.min(row[j] + 1, next_row[j - 1] + 1, row[j - 1] + (same and 0 or 1))
      if before and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        next_row[j] = math.min(next_row[j], before[j - 2] + 1)
      end
    end
    before, row = row, next_row
  end
  return row[#b]
end

--- " (did you mean 'hostname'?)" for a word near one of `words`, a table that has them as keys; else "".
function check.nearest(word, words)
  local best, least = nil, math.min(3, math.floor(#word / 2) + 1) -- of three letters two are another word
  if #word > 64 then return "" end
  for candidate in pairs(words) do
    local far = math.abs(#word - #candidate) > 3 and math.huge or distance(word:lower(), candidate)
    if far < least or (far == least and best and candidate < best) then best, least = candidate, far end
  end
  return best and (" (did you mean '%s'?)"):format(best) or ""
end

--- "{hard=, soft=}", of few fields; of many the first.
local function names_of(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name .. "=" end
  table.sort(names)
  return ("{%s%s}"):format(table.concat(names, ", ", 1, math.min(4, #names)), #names > 4 and ", ..." or "")
end

--- A table with some of the `fields`, each with its check; a new table.
function check.record(fields)
  return function(value, where)
    if type(value) ~= "table" then expected(where, "table", value) end
    local result = {}
    for key, v in next, value do
      if not fields[key] then
        if type(key) ~= "string" then check.fail(where, "%s expected, got the key %s", names_of(fields), check.show(key)) end
        check.fail(where, "unknown field '%s'%s", key, check.nearest(key, fields))
      end
      result[key] = fields[key](v, ("%s.%s"):format(where, key))
    end
    return result
  end
end

return check
