--- Loaded before all specs: after every test nothing is left of it.
local busted = require "busted"
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"

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

local function children()
  local list = machine.read(("/proc/self/task/%d/children"):format(core.ids().pid)) or ""
  return list
end

local function snapshot()
  return {
    ["child processes"] = children(),
    ["descriptors"] = descriptors(),
    ["mounts"] = machine.read("/proc/self/mountinfo"),
    ["signal mask"] = status("SigBlk"),
    ["ignored signals"] = status("SigIgn"),
    ["umask"] = status("Umask"),
    ["folder"] = lfs.currentdir(),
    ["host name"] = machine.read("/proc/sys/kernel/hostname"),
  }
end

busted.subscribe({ "suite", "end" }, function()
  machine.remove_public()
  return nil, true
end)

local before

busted.before_each(function() before = snapshot() end)

busted.after_each(function()
  collectgarbage()
  collectgarbage()
  local after = snapshot()
  for what, value in pairs(before) do
    if after[what] ~= value then
      error(("the test changed the %s of the host, from\n%s\nto\n%s"):format(what, value, after[what]))
    end
  end
end)
