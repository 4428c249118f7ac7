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

--- The lines of one text that the other has not, each after `sign`.
local function without(text, other, sign)
  local known, list = {}, {}
  for line in other:gmatch("[^\n]+") do known[line] = true end
  for line in text:gmatch("[^\n]+") do
    if not known[line] then list[#list + 1] = sign .. line end
  end
  return table.concat(list)
end

--- What has changed since `before`, in words; nil if nothing has.
function snapshot.changed(before)
  local after, list = snapshot.take(), {}
  for what, value in pairs(before) do
    if after[what] ~= value then
      local difference = without(value, after[what], "  - ") .. without(after[what], value, "  + ")
      list[#list + 1] = ("the %s of the host changed:%s"):format(what, difference)
    end
  end
  return list[1] and table.concat(list, "; ")
end

return snapshot
