--- JSON: read by a library that is there, written in one form, with the keys in order.
-- @module ns.json
require("ns.core").nojit()
local sorted = require "ns.words.sorted"

local json = {}

local DEEPEST = 200 -- values in each other: readers call themselves for each

local function is_deep(text)
  local depth = 0
  for c in text:gsub("\\.", ""):gsub('"[^"]*"', ""):gmatch("[%[%]{}]") do
    depth = depth + ((c == "[" or c == "{") and 1 or -1)
    if depth > DEEPEST then return true end
  end
  return false
end

local decode

--- Without null: its field is missing then. No value keeps a metatable of the library's.
local function plain(value)
  if type(value) ~= "table" then return type(value) ~= "userdata" and value or nil end
  local result = {}
  for k, v in pairs(value) do result[k] = plain(v) end
  return result
end

--- The reader of the library that is there; nil where there is none.
local function find()
  local ok, module = pcall(require, "dkjson")
  if ok then return function(text) return module.decode(text, 1, nil, nil, nil) end end
  ok, module = pcall(require, "cjson.safe")
  if ok then return function(text) return plain((module.decode(text))) end end
end

--- The table that a text of JSON is; nil, why it is none.
function json.read(text)
  decode = decode or find()
  if not decode then return nil, "needs a library for JSON: luarocks install dkjson, or Debian's lua-dkjson or lua-cjson" end
  if is_deep(text) then return nil, "has values too deep in each other" end
  local ok, value = pcall(decode, text)
  if not ok or type(value) ~= "table" then return nil, "is no JSON" end
  return value
end

-- ---- writing ----

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function quoted(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c) return ESCAPES[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local Array = {}

--- A list that is written as one also when it is empty.
function json.array(list) return setmetatable(list, Array) end

local write

local function write_list(list, indent)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = indent .. "  " .. write(value, indent .. "  ") end
  return #parts == 0 and "[]" or ("[\n%s\n%s]"):format(table.concat(parts, ",\n"), indent)
end

local function write_object(object, indent)
  local parts = {}
  for i, key in ipairs(sorted.keys(object)) do
    parts[i] = ("%s  %s: %s"):format(indent, quoted(key), write(object[key], indent .. "  "))
  end
  return #parts == 0 and "{}" or ("{\n%s\n%s}"):format(table.concat(parts, ",\n"), indent)
end

function write(value, indent)
  if type(value) == "string" then return quoted(value) end
  if type(value) == "number" then return value >= 2 ^ 64 and "18446744073709551615" or ("%.0f"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local is_list = getmetatable(value) == Array or value[1] ~= nil
  return (is_list and write_list or write_object)(value, indent)
end

--- A value as text, in lines. Numbers are whole ones; of those above 64 bits the largest that there is.
function json.write(value) return write(value, "") .. "\n" end

return json
