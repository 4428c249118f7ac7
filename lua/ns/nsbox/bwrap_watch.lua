--- What nsbox bwrap does while the program runs: tells of it as JSON, holds locks, and ends with its own parent.
-- @module ns.nsbox.bwrap_watch
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local ns = require "ns"
local values = require "ns.nsbox.values"

local watch = {}

local function parent() return tonumber((values.read "/proc/self/stat"):match ".*%) %S (%d+)") end

--- A descriptor that is readable when our parent has ended.
local function watch_parent(bag)
  local pid = parent()
  local fd = pid > 1 and bag:pidfd(pid)
  if not fd or parent() ~= pid then return fail.with(1, "the parent has ended") end
  return fd
end

-- As bubblewrap calls them; those that the box shares are left out.
local NAMES = { "cgroup", "ipc", "mnt", "net", "pid", "uts" }

--- The namespaces of the program, as an init may not be asked by an ordinary user; else those of the init.
local function namespaces(p)
  local child = tonumber(values.read(("/proc/%d/task/%d/children"):format(p.pid, p.pid)):match "%d+")
  return child and ns.namespaces(child) or ns.namespaces(p) or {}
end

local function info(given, p)
  local list, ids = { ('"child-pid": %d'):format(p.pid) }, {}
  for _, one in ipairs(namespaces(p)) do ids[one.type == "mount" and "mnt" or one.type] = one.id end
  for _, name in ipairs(NAMES) do
    if ids[name] and (name == "mnt" or given.flags[name]) then
      list[#list + 1] = ('"%s-namespace": %.0f'):format(name, ids[name])
    end
  end
  return list
end

local function tell(fd, text)
  if not fd then return end
  local told, message = values.with_descriptor(fd, "w", function(f) return f:write(text) end)
  if not told then fail.with(1, "Write to descriptor %d: %s", fd, message) end
end

local function lock(given, bag)
  for _, path in ipairs(given.locks) do
    local fd, message = bag:lock(path)
    if not fd then fail.with(1, "Unable to lock file %s: %s", path, message) end
  end
end

local function wait(given, p, bag)
  local watched = given.die_with_parent and watch_parent(bag)
  while watched do
    local orphaned, ended = core.poll(-1, watched, "r", p:getfd(), "r")
    if orphaned then
      p:close()
      return 128 + 9
    end
    if ended then break end
  end
  return fail.status(p:wait())
end

--- Runs what `start` starts: its exit status.
function watch.run(given, start)
  local bag = core.bag()
  lock(given, bag)
  local p = start(given)
  local list = info(given, p)
  tell(given.info, ("{\n    %s\n}\n"):format(table.concat(list, ",\n    ")))
  tell(given.status, ("{ %s }\n"):format(table.concat(list, ", ")))
  local status = wait(given, p, bag)
  tell(given.status, ('{ "exit-code": %d }\n'):format(status))
  bag:close()
  return status
end

return watch
