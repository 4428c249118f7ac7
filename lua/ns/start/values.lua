--- Plain values as bytes, from a copy of a Lua state back to the one that it was made of: nil, booleans, numbers, strings,
-- and tables of these.
-- @module ns.start.values
require("ns.core").nojit()

local values = {}

--- A Lua that has one kind of numbers writes those without a fraction as another Lua writes its integers.
local type_of = math.type or function(n) -- luacheck: ignore
  return n == math.floor(n) and math.abs(n) < 2 ^ 53 and (n ~= 0 or 1 / n > 0) and "integer" or "float"
end

local concat, format = table.concat, string.format

-- ---- out ----

local encoders = {}

--- How a key reads in a path: ".name", or "[3]".
local function step_to(key)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return "." .. key end
  return ("[%s]"):format(type(key) == "string" and format("%q", key) or tostring(key))
end

--- `path`: the number of the result, and the keys from there on.
local function refuse(path, what)
  local where = { "result " .. path[1] }
  for i = 2, #path do where[i] = step_to(path[i]) end
  error({ problem = ("%s: %s cannot be returned"):format(concat(where), what) }, 0)
end

local function add(out, value, path, open)
  local encode = encoders[type(value)]
  if not encode then refuse(path, "a " .. type(value)) end
  encode(out, value, path, open)
end

encoders["nil"] = function(out) out[#out + 1] = "z" end

function encoders.boolean(out, value) out[#out + 1] = value and "t" or "f" end

--- A float has a point or an exponent, or a name.
function encoders.number(out, value)
  local text
  if type_of(value) == "integer" then
    text = format("i%d;", value)
  elseif value ~= value then
    text = "nnan;"
  elseif value == math.huge or value == -math.huge then
    text = value > 0 and "ninf;" or "n-inf;"
  else
    text = format("n%.17g", value):gsub(",", ".")
    text = text .. (text:find "[.e]" and ";" or ".0;")
  end
  out[#out + 1] = text
end

function encoders.string(out, value)
  out[#out + 1] = format("s%d:", #value)
  out[#out + 1] = value
end

--- `open`: the tables around it. Without metamethods.
function encoders.table(out, value, path, open)
  if open[value] then refuse(path, "a table that is in itself") end
  open[value] = true
  out[#out + 1] = "{"
  local depth = #path + 1
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
local NAMED = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

local decode

local function decode_number(text, at, pattern)
  local word, after = text:match(pattern, at)
  local n = word and (NAMED[word] or tonumber(word))
  if not n then error "no number" end
  return n, after
end

local decoders = {
  z = function(_, at) return nil, at end,
  t = function(_, at) return true, at end,
  f = function(_, at) return false, at end,
  i = function(text, at) return decode_number(text, at, "^(%-?%d+);()") end,
  n = function(text, at) return decode_number(text, at, "^([%w.+-]+);()") end,
  s = function(text, at)
    local size, from = text:match("^(%d+):()", at)
    size = tonumber(size)
    if from + size > #text then error "cut off" end
    return text:sub(from, from + size - 1), from + size
  end,
  ["{"] = function(text, at)
    local t = {}
    while text:byte(at) ~= 125 do -- }
      local key, after = decode(text, at)
      t[key], at = decode(text, after)
    end
    return t, at + 1
  end,
}

function decode(text, at) return decoders[text:sub(at, at)](text, at + 1) end

local function decode_all(text)
  local kind, n, at = text:match "^(%l+) (%d+);()"
  local list = { n = tonumber(n) }
  for i = 1, list.n do list[i], at = decode(text, at) end
  if text:sub(at) ~= "." then error "cut off" end
  return kind, list
end

--- The kind and the list; nil, where it is not whole.
function values.decode(text)
  local ok, kind, list = pcall(decode_all, text)
  if ok then return kind, list end
end

return values
