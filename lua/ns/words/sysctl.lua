--- The word `sysctl`: settings of a net namespace, by the names that sysctl(8) has for them.
-- @module ns.words.sysctl
require("ns.core").nojit()
local check = require "ns.words.check"
local join = require "ns.words.join"
local sorted = require "ns.words.sorted"

local sysctl = {}

local function check_name(name, where)
  if type(name) ~= "string" then check.fail(where, "name of a setting expected, got %s", check.show(name)) end
  local at = ("%s['%s']"):format(where, name)
  if not name:match "^[%w_][%w_./-]*$" or name:find("..", 1, true) then check.fail(at, "no name of a setting") end
  if not name:match "^net[./]" then check.fail(at, "a setting of the network expected, as 'net.ipv4.ip_forward'") end
  return at
end

--- {["net.ipv4.ip_forward"] = 1}: names with dots; or, where there are dots in them, with slashes.
function sysctl.check(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local result = {}
  for name, v in next, value do
    local at = check_name(name, where)
    if type(v) == "number" then v = ("%.14g"):format(v) end
    if type(v) ~= "string" or v == "" or v:find "[%z\n]" then
      check.fail(at, "number or string expected, got %s", type(v) == "string" and "an odd one" or type(v))
    end
    result[name] = v
  end
  return result
end

--- In the order of their names. A file below /proc/sys/net is that of the namespace of whoever opens it.
function sysctl.steps(settings, _, add, found)
  for _, name in ipairs(sorted.keys(settings)) do
    local path = "/proc/sys/" .. (name:find("/", 1, true) and name or name:gsub("%.", "/"))
    add(join.in_proc({ op = "sysctl", path = path, data = settings[name], word = "sysctl", part = name }, found))
  end
end

return sysctl
