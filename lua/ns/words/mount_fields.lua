--- The fields of a mount: a check for each that needs one of its own.
-- @module ns.words.mount_fields
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"

local fields = {}

--- A place inside: absolute, without "..". In its shortest form, so that "is beneath" can be told from the text.
function fields.place(value, where)
  check.absolute(value, where)
  local parts = {}
  for part in value:gmatch("[^/]+") do
    if part == ".." then check.fail(where, "'..' in '%s'", value) end
    if part ~= "." then parts[#parts + 1] = part end
  end
  return "/" .. table.concat(parts, "/")
end

--- A place for something new: not the root itself, which would be the lowest of the mounts on it.
function fields.target(value, where)
  value = fields.place(value, where)
  if value == "/" then check.fail(where, "'/' is what the word root makes: root = DIRECTORY, or \"empty\"") end
  return value
end

--- A root in layers is made by the word root.
function fields.overlay_target(value, where)
  if fields.place(value, where) ~= "/" then return fields.place(value, where) end
  check.fail(where, "'/' is what the word root makes: root = { lower = DIRECTORY }")
end

--- What is bound: a path, or a descriptor of the host's.
function fields.source(value, where)
  if type(value) == "string" then return check.absolute(value, where) end
  if type(value) ~= "number" then check.fail(where, "path or descriptor (a number) expected, got %s", type(value)) end
  check.integer(0, 2147483647)(value, where)
  if not core.isopen(value) then check.fail(where, "descriptor %d is not open", value) end
  return value
end

local MOST = { [""] = 2 ^ 53, k = 2 ^ 43, m = 2 ^ 33, g = 2 ^ 23, ["%"] = 100 }

--- Bytes: a number, or "64k", "64m", "2g", "50%". Not 0, which is no limit to the kernel, and nothing that it would wrap.
function fields.size(value, where)
  if type(value) == "number" then return ("%.0f"):format(check.integer(1, MOST[""])(value, where)) end
  local digits, unit = check.text(value, where):match("^(%d+)([kKmMgG%%]?)$")
  if not digits or digits:find("^0%d") then -- the kernel takes "010" for eight
    check.fail(where, "bytes, '64k', '64m', '2g' or '50%%' expected, got '%s'", value)
  end
  local number = tonumber(digits)
  if number < 1 or number > MOST[unit:lower()] then check.fail(where, "'%s' is out of range", value) end
  return value
end

fields.mode = check.mode "7777"

--- Whose files are whose: true, "owner", or ranges {on disk, inside, count}.
function fields.idmap(value, where)
  if type(value) == "boolean" or value == "owner" then return value end
  if type(value) == "string" then check.fail(where, "true, false, 'owner' or ranges expected, got '%s'", value) end
  return check.list(function(range, at)
    range = check.items(range, at)
    if #range ~= 3 then check.fail(at, "{on disk, inside, count} expected") end
    for i = 1, 3 do check.id(range[i], check.at(at, i)) end
    return range
  end, 1)(value, where)
end

--- Where a place that is missing is made: true, also in a layer that is kept; "anywhere", in a tree of the host's, too.
function fields.mkdir(value, where)
  if value == "anywhere" then return value end
  if type(value) ~= "boolean" then check.fail(where, "boolean or 'anywhere' expected, got %s", check.show(value)) end
  return value
end

--- Both together.
function fields.with(some, more)
  local result = {}
  for k, v in pairs(some) do result[k] = v end
  for k, v in pairs(more) do result[k] = v end
  return result
end

return fields
