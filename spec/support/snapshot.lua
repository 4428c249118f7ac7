--- What a spawn may not change on the host, taken before and compared after.
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"

local snapshot = {}

local function descriptors()
  local list = {}
  for name in lfs.dir("/proc/self/fd") do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    -- the launcher's image stays open from the first spawn on, and the listing itself is open now
    if target and not target:find("memfd:ns", 1, true) and not target:find("^/proc/") then
      list[#list + 1] = name .. " -> " .. target
    end
  end
  table.sort(list)
  return table.concat(list, "\n")
end

local function status(field)
  return machine.read("/proc/self/status"):match(field .. ":%s*(%S+)")
end

--- The state of the host: a table of texts.
function snapshot.take()
  return {
    ["child processes"] = machine.read(("/proc/self/task/%d/children"):format(core.ids().pid)) or "",
    ["descriptors"] = descriptors(),
    ["mounts"] = machine.read("/proc/self/mountinfo"),
    ["signal mask"] = status("SigBlk"),
    ["ignored signals"] = status("SigIgn"),
    ["umask"] = status("Umask"),
    ["directory"] = lfs.currentdir(),
    ["host name"] = machine.read("/proc/sys/kernel/hostname"),
  }
end

--- What has changed since `before`, in words; nil if nothing has.
function snapshot.changed(before)
  local after = snapshot.take()
  for what, value in pairs(before) do
    if after[what] ~= value then
      return ("the %s of the host changed from\n%s\nto\n%s"):format(what, value, after[what])
    end
  end
end

return snapshot
