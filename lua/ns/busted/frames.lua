--- Values as bytes, for what a copy tells: unlike `ns.start.values` nothing is refused. A function is left out of its table,
-- a table with a __tostring becomes that text, one that is in itself a mark; an element of busted's becomes its number.
-- @module ns.busted.frames
require("ns.core").nojit()

-- A test may have put anything in the place of these.
local error, next, pcall, rawget, tonumber, tostring, type = error, next, pcall, rawget, tonumber, tostring, type
local concat, find, format, huge, sub = table.concat, string.find, string.format, math.huge, string.sub
local metatable_of, type_of = debug.getmetatable, math.type or function() return "float" end -- luacheck: ignore

local frames = {}

local DEPTH = 12
local KEYS = { string = true, number = true, boolean = true }
local LEFT_OUT = { ["function"] = true, thread = true }

local function text(out, s)
  out[#out + 1] = format("s%d:", #s)
  out[#out + 1] = s
end

local function as_text(out, value)
  local ok, s = pcall(tostring, value)
  text(out, ok and type(s) == "string" and s or type(value))
end

local put
local writers = {}
writers["nil"] = function(out) out[#out + 1] = "z" end
function writers.boolean(out, value) out[#out + 1] = value and "t" or "f" end
function writers.string(out, value) text(out, value) end

function writers.number(out, value)
  if value ~= value then
    out[#out + 1] = "Xnan;"
  elseif value == huge or value == -huge then
    out[#out + 1] = value > 0 and "Xinf;" or "X-inf;"
  elseif type_of(value) == "integer" then
    out[#out + 1] = format("i%d;", value)
  else
    out[#out + 1] = format("d%.17g;", value)
  end
end

function writers.table(out, value, number_of, open, depth)
  local number = number_of and number_of(value)
  if number then
    out[#out + 1] = format("e%d;", number)
    return
  end
  if open[value] or depth > DEPTH then return text(out, open[value] and "<cycle>" or "<deep>") end
  local class = metatable_of(value)
  if type(class) == "table" and rawget(class, "__tostring") then return as_text(out, value) end
  open[value] = true
  out[#out + 1] = "{"
  for key, v in next, value do
    if KEYS[type(key)] and not LEFT_OUT[type(v)] then
      put(out, key, nil, open, depth + 1)
      put(out, v, nil, open, depth + 1)
    end
  end
  out[#out + 1] = "}"
  open[value] = nil
end

function put(out, value, number_of, open, depth)
  local write = writers[type(value)] or as_text
  return write(out, value, number_of, open, depth)
end

--- Adds a value to the list of texts `out`. number_of(table): the number of an element; nil for other tables.
function frames.add(out, value, number_of) put(out, value, number_of, {}, 0) end

--- A frame: its kind, a letter; how much was printed until then; values.
function frames.frame(kind, printed, errors, out)
  local body = format("%s%.0f;%.0f;", kind, printed, errors) .. concat(out)
  return #body .. "\n" .. body
end

local read
local NAMED = { nan = 0 / 0, inf = huge, ["-inf"] = -huge }

local function number(bytes, at)
  local _, last, digits = find(bytes, "^.([^;]*);", at)
  return tonumber(digits), last + 1
end

local readers = {
  z = function(_, at) return nil, at + 1 end,
  t = function(_, at) return true, at + 1 end,
  f = function(_, at) return false, at + 1 end,
  i = number,
  d = number,
  X = function(bytes, at)
    local _, last, name = find(bytes, "^X([^;]*);", at)
    return NAMED[name], last + 1
  end,
  e = function(bytes, at, element_of)
    local n, after = number(bytes, at)
    return element_of(n), after
  end,
  s = function(bytes, at)
    local _, last, size = find(bytes, "^s(%d+):", at)
    return sub(bytes, last + 1, last + size), last + size + 1
  end,
  ["{"] = function(bytes, at, element_of)
    local t = {}
    at = at + 1
    while sub(bytes, at, at) ~= "}" do
      local key, after = read(bytes, at, element_of)
      t[key], at = read(bytes, after, element_of)
    end
    return t, at + 1
  end,
}

--- The value that begins at `at`, and where the next one does.
function read(bytes, at, element_of)
  local reader = readers[sub(bytes, at, at)]
  if not reader then error("ns.busted: a copy has told what is no value", 0) end
  return reader(bytes, at, element_of)
end

frames.read = read

--- The frames that are whole in `bytes`: a list of { kind=, printed=, errors=, bytes=, at= }; and what is left.
function frames.split(bytes)
  local list, at = {}, 1
  while true do
    local _, last, size = find(bytes, "^(%d+)\n", at)
    if not last or #bytes < last + size then break end
    local body = sub(bytes, last + 1, last + size)
    local _, head, kind, printed, errors = find(body, "^(%a)(%d+);(%d+);")
    list[#list + 1] = { kind = kind, printed = tonumber(printed), errors = tonumber(errors), bytes = body, at = head + 1 }
    at = last + size + 1
  end
  return list, sub(bytes, at)
end

--- All values of a frame: {n=, ...}; the numbers of elements become what element_of says.
function frames.values(frame, element_of)
  local list, at, n = {}, frame.at, 0
  while at <= #frame.bytes do
    n = n + 1
    list[n], at = read(frame.bytes, at, element_of)
  end
  list.n = n
  return list
end

return frames
