--- Plain values as bytes, from a copy of a Lua state back to the one that it was made of: nil, booleans, numbers, strings,
-- and tables of these.
-- @module ns.start.values
require("ns.core").nojit()

local values = {}

-- The function that runs in a copy may have put anything in the place of these.
local error, next, pcall, tonumber, tostring, type = error, next, pcall, tonumber, tostring, type
local concat, find, format, gsub = table.concat, string.find, string.format, string.gsub
local match, sub = string.match, string.sub
local abs, floor, huge, min = math.abs, math.floor, math.huge, math.min

--- A Lua that has one kind of numbers writes those without a fraction as another Lua writes its integers.
local type_of = math.type or function(n) -- luacheck: ignore
  return n == floor(n) and abs(n) < 2 ^ 53 and (n ~= 0 or 1 / n > 0) and "integer" or "float"
end

-- ---- out ----

local encoders = {}

--- How a value is written that has no others in it: {[type] = f(out, value)}.
values.encoders = encoders

--- How a key reads in a path: ".name", or "[3]".
local function step_to(key)
  if type(key) == "string" and find(key, "^[%a_][%w_]*$") then return "." .. key end
  return format("[%s]", type(key) == "string" and format("%q", key) or tostring(key))
end

-- Tables in each other: a Lua has no place for any number of calls in each other. LuaJIT has 5,000 of them.
local DEEPEST = 1000
local SHOWN = 20 -- keys of a path in a message

--- `path`: the number of the result, and the keys from there on.
local function refuse(path, what)
  local where = { "result " .. path[1] }
  for i = 2, min(#path, SHOWN) do where[i] = step_to(path[i]) end
  if #path > SHOWN then where[#where + 1] = "..." end
  error({ problem = format("%s: %s cannot be returned", concat(where), what) }, 0)
end

local add_table

local function add(out, value, path, open)
  if type(value) == "table" then return add_table(out, value, path, open) end
  local encode = encoders[type(value)]
  if not encode then refuse(path, "a " .. type(value)) end
  encode(out, value)
end

encoders["nil"] = function(out) out[#out + 1] = "z" end

--- One letter.
function encoders.boolean(out, value) out[#out + 1] = value and "t" or "f" end

--- A float has a point or an exponent, or a name.
function encoders.number(out, value)
  local text
  if type_of(value) == "integer" then
    text = format("i%d;", value)
  elseif value ~= value then
    text = "nnan;"
  elseif value == huge or value == -huge then
    text = value > 0 and "ninf;" or "n-inf;"
  else
    text = gsub(format("n%.17g", value), ",", ".") -- of some locales
    text = text .. (find(text, "[.e]") and ";" or ".0;")
  end
  out[#out + 1] = text
end

--- Its length, and its bytes as they are.
function encoders.string(out, value)
  out[#out + 1] = format("s%d:", #value)
  out[#out + 1] = value
end

--- `open`: the tables around it. Without metamethods.
function add_table(out, value, path, open)
  if open[value] then refuse(path, "a table that is in itself") end
  open[value] = true
  out[#out + 1] = "{"
  local depth = #path + 1
  if #path > DEEPEST then refuse(path, format("what is deeper than %d tables", DEEPEST)) end
  for key, v in next, value do
    path[depth] = key
    if type(key) == "table" then refuse(path, "a table as a key") end
    add(out, key, path, open)
    add(out, v, path, open)
  end
  path[depth] = nil
  out[#out + 1] = "}"
  open[value] = nil
end

--- {n=, ...} as bytes, with a `kind` ("returned", "raised"); or nil, what cannot be had.
function values.encode(kind, list)
  local out = { format("%s %d;", kind, list.n) }
  local ok, e = pcall(function()
    for i = 1, list.n do add(out, list[i], { i }, {}) end
  end)
  if not ok then return nil, type(e) == "table" and e.problem or tostring(e) end
  out[#out + 1] = "."
  return concat(out)
end

-- ---- in ----

-- What comes from inside is looked at as what anybody might have written.
local NAMED = { nan = 0 / 0, inf = huge, ["-inf"] = -huge }

local decode

local function decode_number(text, at, pattern)
  local word, after = match(text, pattern, at)
  local n = word and (NAMED[word] or tonumber(word))
  if not n then error "no number" end
  return n, after
end

--- How a value is read that has no others in it: {[its letter] = f(text, where it goes on)}: that value, and where the next
-- one begins.
local decoders = {
  z = function(_, at) return nil, at end,
  t = function(_, at) return true, at end,
  f = function(_, at) return false, at end,
  i = function(text, at) return decode_number(text, at, "^(%-?%d+);()") end,
  n = function(text, at) return decode_number(text, at, "^([%w.+-]+);()") end,
  s = function(text, at)
    local size, from = match(text, "^(%d+):()", at)
    size = tonumber(size)
    if from + size - 1 > #text then error "cut off" end
    return sub(text, from, from + size - 1), from + size
  end,
}

values.decoders = decoders

local function decode_table(text, at, depth)
  if depth > DEEPEST then error "too deep" end
  local t = {}
  while sub(text, at, at) ~= "}" do
    local key, after = decode(text, at)
    t[key], at = decode(text, after, depth + 1)
  end
  return t, at + 1
end

function decode(text, at, depth)
  local letter = sub(text, at, at)
  return (letter == "{" and decode_table or decoders[letter])(text, at + 1, depth)
end

local function decode_all(text)
  local kind, n, at = match(text, "^(%l+) (%d+);()")
  local list = { n = tonumber(n) }
  for i = 1, list.n do list[i], at = decode(text, at, 1) end
  if sub(text, at) ~= "." then error "cut off" end
  return kind, list
end

--- The kind and the list; nil, where it is not whole.
function values.decode(text)
  local ok, kind, list = pcall(decode_all, text)
  if ok then return kind, list end
end

return values
