--- The mounts of a spec as those of a configuration, and its limits as resources.
-- @module ns.oci.write_mounts
require("ns.core").nojit()
local core = require "ns.core"
local json = require "ns.json"

local write = {}

local array = json.array

-- ---- options ----

local function attributes(m)
  local list = array { m.ro and "ro" or "rw" }
  if not m.suid then list[#list + 1] = "nosuid" end
  if not m.dev then list[#list + 1] = "nodev" end
  if m.exec == false then list[#list + 1] = "noexec" end
  return list
end

local function add(list, ...)
  for _, text in ipairs { ... } do list[#list + 1] = text end
  return list
end

local function mode_of(m)
  return "mode=" .. (m.mode and ("%o"):format(m.mode) or m.target:find "/tmp$" and "1777" or "755")
end

local function tmpfs_options(m)
  local list = add(attributes(m), mode_of(m))
  if m.size then add(list, "size=" .. m.size) end
  if m.inodes then add(list, ("nr_inodes=%.0f"):format(m.inodes)) end
  return list
end

-- ---- kinds: each adds to the list ----

local function put(list, target, kind, source, options)
  list[#list + 1] = { destination = target, type = kind, source = source, options = options }
end

local function bind(m, list, job, where, leave)
  if type(m.source) ~= "string" then return leave(job, where, "a descriptor is in no bundle", true) end
  if m.try and not core.access(m.source, 0) then return end
  if m.idmap then leave(job, where .. ".idmap", "the files have the owners that they have on the host") end
  put(list, m.target, "bind", m.source, add(attributes(m), "rbind", "rprivate"))
end

local READ_ONLY = { "sys", "irq", "bus", "fs", "sysrq-trigger", "acpi", "scsi", "mtrr" }
local HIDDEN = { "keys", "key-users", "kcore", "timer_list", "sched_debug" }

local function proc(m, list, job)
  local options = add(array {}, "nosuid", "noexec", "nodev")
  if m.hidepid then add(options, "hidepid=" .. m.hidepid) end
  if m.subset then add(options, "subset=" .. m.subset) end
  put(list, m.target, "proc", "proc", options)
  if m.subset or m.protect == false then return end
  for _, name in ipairs(READ_ONLY) do add(job.readonly, m.target .. "/" .. name) end
  for _, name in ipairs(HIDDEN) do add(job.masked, m.target .. "/" .. name) end
end

local function dev(m, list)
  put(list, m.target, "tmpfs", "tmpfs", array { "nosuid", "noexec", "mode=755", "size=1024k" })
  put(list, m.target .. "/pts", "devpts", "devpts",
    array { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620" })
  local shm = array { "nosuid", "nodev", "mode=1777" }
  if m.size then add(shm, "size=" .. m.size) end
  put(list, m.target .. "/shm", "tmpfs", "shm", shm)
end

local function overlay(m, list, job, where, leave)
  if not m.upper and not m.ro then return leave(job, where, "changes that are thrown away need an upper", true) end
  if m.layer == "root" then return leave(job, "root.lower", "a root in layers has to be a directory first", true) end
  local options = add(attributes(m), "lowerdir=" .. table.concat(m.lower, ":"))
  if m.upper then add(options, "upperdir=" .. m.upper, "workdir=" .. m.work) end
  put(list, m.target, "overlay", "overlay", options)
end

--- A file of the bundle's own, which is bound.
local function file(m, list, job)
  local name = ("files/%d"):format(#job.files + 1)
  job.files[#job.files + 1] = { name = name, data = m.data, mode = m.mode or tonumber("644", 8) }
  put(list, m.target, "bind", ("%s/%s"):format(job.directory, name),
    add(array { m.ro == false and "rw" or "ro" }, "nosuid", "nodev", "bind", "rprivate"))
end

--- What is made in the bundle's own root.
local function place(m, _, job, where, leave)
  if job.root then return leave(job, where, "nothing is made in the root of a bundle") end
  job.places[#job.places + 1] = m
end

local KINDS = {
  bind = bind, proc = proc, dev = dev, overlay = overlay, file = file, dir = place, symlink = place,
  tmpfs = function(m, list, job)
    if not (m.try and job.root and not core.access(job.root .. m.target, 0)) then
      put(list, m.target, "tmpfs", "tmpfs", tmpfs_options(m))
    end
  end,
  sys = function(m, list)
    put(list, m.target, "sysfs", "sysfs", array { "nosuid", "noexec", "nodev", m.ro == false and "rw" or "ro" })
  end,
  mqueue = function(m, list) put(list, m.target, "mqueue", "mqueue", array { "nosuid", "noexec", "nodev" }) end,
  mask = function(m, _, job) add(job.masked, m.target) end,
  readonly = function(m, _, job) add(job.readonly, m.target) end,
  remount = function(m, _, job, where, leave)
    if m.layer then return end
    leave(job, where, "what is mounted cannot be changed", m.ro or m.exec == false)
  end,
  propagation = function(_, _, job, where, leave) leave(job, where, "there is no such mount") end,
}

--- The mounts of a checked spec, with the parts of its root. Sets job.root, linux.maskedPaths and readonlyPaths.
function write.write(parts, job, leave)
  local list, spec, number = array {}, job.spec, 0
  job.masked, job.readonly = array {}, array {}
  job.root = spec.whole and spec.whole.bind
    or spec.root and spec.root ~= "empty" and spec.root ~= "/" and spec.root or nil
  for _, m in ipairs(parts) do KINDS[m.type](m, list, job, "root", leave) end
  for _, m in ipairs(spec.mounts or {}) do
    if not m.layer then number = number + 1 end
    if m.layer ~= "whole" then KINDS[m.type](m, list, job, ("mounts[%d]"):format(number), leave) end
  end
  if spec.mount_proc then proc({ target = spec.mount_proc }, list, job) end
  job.linux.maskedPaths, job.linux.readonlyPaths = job.masked, job.readonly
  return list
end

-- ---- limits ----

local UNITS = { [""] = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30, t = 2 ^ 40 }

local function bytes(value)
  if type(value) == "number" then return value end
  local digits, unit = value:match "^(%d+)([kKmMgGtT]?)$"
  return digits and tonumber(digits) * UNITS[unit:lower()] or value == "max" and -1 or nil
end

--- The word limits, as it was said, as resources.
function write.resources(limits, job, leave)
  local memory, cpu, result = {}, {}, {}
  memory.limit = limits.memory and bytes(limits.memory)
  local swap = limits.swap and bytes(limits.swap) or 0
  if memory.limit and memory.limit > 0 then memory.swap = swap < 0 and -1 or memory.limit + swap end
  if type(limits.cpu) == "number" then cpu.quota, cpu.period = math.floor(limits.cpu * 100000), 100000 end
  if limits.cpu_weight then cpu.shares = math.floor(2 + (limits.cpu_weight - 1) * 262142 / 9999) end
  if type(limits.cpuset) == "string" then cpu.cpus = limits.cpuset end
  if type(limits.pids) == "number" then result.pids = { limit = limits.pids } end
  result.memory, result.cpu = next(memory) and memory, next(cpu) and cpu
  local said = { memory = memory.limit, swap = limits.memory and limits.swap, cpu = cpu.quota, cpu_weight = cpu.shares,
    cpuset = cpu.cpus, pids = result.pids }
  for name in pairs(limits) do
    if not said[name] then leave(job, "limits." .. name, "it is no number that a bundle can have", true) end
  end
  job.linux.resources = next(result) and result or nil
end

return write
