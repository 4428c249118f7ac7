--- Values as bytes, for what a copy tells: unlike `ns.start.values` nothing is refused. A function is left out of its table,
-- a table with a __tostring becomes that text, one that is in itself a mark; an element of busted's becomes its number.
-- @module ns.busted.frames
require("ns.core").nojit()
local values = require "ns.start.values"

-- A test may have put anything in the place of these.
local error, next, pcall, rawget, tonumber, tostring, type = error, next, pcall, rawget, tonumber, tostring, type
local concat, find, format, match, sub = table.concat, string.find, string.format, string.match, string.sub
local encoders, decoders, metatable_of = values.encoders, values.decoders, debug.getmetatable

local frames = {}

local DEPTH = 12
local KEYS = { string = true, number = true, boolean = true }
local LEFT_OUT = { ["function"] = true, thread = true }

local text = encoders.string

local function as_text(out, value)
  local ok, s = pcall(tostring, value)
  text(out, ok and type(s) == "string" and s or type(value))
end

local put

local function put_table(out, value, number_of, open, depth)
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
  if type(value) == "table" then return put_table(out, value, number_of, open, depth) end
  return (encoders[type(value)] or as_text)(out, value)
end

--- Adds a value to the list of texts `out`. number_of(table): the number of an element; nil for other tables.
function frames.add(out, value, number_of) put(out, value, number_of, {}, 0) end

--- A frame: its kind, a letter; how much was printed until then; values.
function frames.frame(kind, printed, errors, out)
  local body = format("%s%.0f;%.0f;", kind, printed, errors) .. concat(out)
  return #body .. "\n" .. body
end

local read

local readers = {
  e = function(bytes, at, element_of)
    local digits, after = match(bytes, "^(%-?%d+);()", at)
    return element_of(tonumber(digits)), after
  end,
  ["{"] = function(bytes, at, element_of)
    local t = {}
    while sub(bytes, at, at) ~= "}" do
      local key, after = read(bytes, at, element_of)
      t[key], at = read(bytes, after, element_of)
    end
    return t, at + 1
  end,
}

--- The value that begins at `at`, and where the next one does.
function read(bytes, at, element_of)
  local letter = sub(bytes, at, at)
  local reader = readers[letter] or decoders[letter]
  if not reader then error("ns.busted: a copy has told what is no value", 0) end
  return reader(bytes, at + 1, element_of)
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
    list[#list + 1] = { kind = kind or "?", printed = tonumber(printed), errors = tonumber(errors), bytes = body,
      at = (head or 0) + 1 }
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
