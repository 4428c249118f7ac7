--- Values as they are typed: paths, sizes, numbers, ids, lists of flags.
-- @module ns.nsbox.values
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"

local values = {}

--- An absolute path on this machine; `as_typed`: with the links that are in it.
function values.absolute(path, as_typed)
  local whole = path:sub(1, 1) == "/" and path or ("%s/%s"):format(core.readlink "/proc/self/cwd" or "", path)
  return not as_typed and core.realpath(whole) or whole
end

--- "64m" as ns has it: docker writes "64mb" and "100b", too.
function values.size(text)
  return (text:lower():gsub("b$", ""))
end

--- The whole of a file, "" where it cannot be read. It is closed again: no program inherits it.
function values.read(path)
  local f = io.open(path, "rb")
  local text = f and f:read "*a" or ""
  if f then f:close() end
  return text
end

--- The flags of an open descriptor, as open(2) has them; nil for any other number.
function values.flags_of(fd)
  return tonumber(values.read(("/proc/self/fdinfo/%d"):format(fd)):match "flags:%s*(%d+)" or "", 8)
end

-- What O_ACCMODE of the flags must not be.
local WAYS = { r = { "reading", 1 }, w = { "writing", 0 } }

--- f(a Lua file for the open descriptor), whatever that is, and whoever may open it anew: what it returns; or nil, message,
-- as also where what was written does not arrive.
function values.with_descriptor(fd, mode, f)
  local way = WAYS[mode]
  if (values.flags_of(fd) or 2) % 4 == way[2] then return nil, "it is not open for " .. way[1] end
  local bag = core.bag()
  local file = fail.unless(bag:file(fail.unless(bag:dup(fd)), mode))
  local result, message = f(file)
  local closed, why = file:close()
  bag:close()
  if not closed then return nil, why end
  return result, message
end

--- The names of the capabilities that there are, as a set: in a user namespace of one's own all that the kernel has, else
-- those that we have.
function values.caps(in_own_namespace)
  local ours, set = core.ids().caps, {}
  local last = tonumber((values.read "/proc/sys/kernel/cap_last_cap")) or math.huge
  for name, number in pairs(core.constants.cap) do
    local has = number <= last and (in_own_namespace or math.floor(ours / 2 ^ number) % 2 == 1)
    if has then set[name:lower()] = true end
  end
  return set
end

--- The number in a text.
function values.number(text, option)
  return tonumber(text) or fail.now("%s %s: number expected", option, text)
end

--- A user or group: a number, or a name.
function values.id(text)
  return tonumber(text) or text
end

--- What "ro,size=64m" says, by what each name stands for: a table of fields, or the field that takes its value.
function values.flags(text, known, option)
  local result = {}
  for item in text:gmatch("[^,]+") do
    local name, value = item:match("^([^=]+)=(.*)$")
    local means = known[name or item]
    if not means or (type(means) == "string") ~= (name ~= nil) then fail.now("%s: unknown option '%s'", option, item) end
    if name then result[means] = value else for field, v in pairs(means) do result[field] = v end end
  end
  return result
end

return values
