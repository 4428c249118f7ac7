--- Hints where a control group cannot be had, or does not take a limit.
-- @module ns.start.group_hints
require("ns.core").nojit()
local core = require "ns.core"
local mountinfo = require "ns.start.mountinfo"

local V1 = "limits need cgroup v2, and this machine is booted with v1: systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"

local function no_tree(step)
  if step.path ~= "/sys/fs/cgroup" then return nil end
  if core.access("/sys/fs/cgroup/unified", 0) or core.access("/sys/fs/cgroup/memory", 0) then return V1 end
  return "there is no cgroup v2: mount -t cgroup2 none /sys/fs/cgroup"
end

local function read_only(step)
  return step.path .. " is read-only: start the container with one that can be written (docker: --privileged "
    .. "--cgroupns=private, podman: --security-opt unmask=/sys/fs/cgroup)"
end

--- What was to be written, also where that goes through a descriptor.
local function file_of(step) return step.path or step.from or "it" end

local function not_ours(step)
  if mountinfo.is_read_only "/sys/fs/cgroup" then return read_only(step) end
  return ("%s is not ours to divide: start this as root, or where it is, and name it by limits = { parent = PATH }; under "
    .. "systemd: systemd-run --user --scope -p Delegate=yes"):format(file_of(step))
end

local function others()
  return "other processes are in it, so it cannot be divided: start this in a group of its own, or name one by "
    .. "limits = { parent = PATH }"
end

local function no_file(step)
  return ("this kernel has no %s"):format(file_of(step))
end

local function no_value(step)
  if step.path == "cpuset.cpus" then return "the host has not all of these processors" end
  if step.path == "io.max" then return "only whole disks have limits, no partitions: lsblk" end
end

local function too_old(step)
  return step.grouped and "to be born in a control group needs Linux 5.7" or nil
end

local function may_not_enter(step)
  return step.grouped and "the group, or one above that it has in common with ours, is not ours: ls -l cgroup.procs" or nil
end

--- Rows for `ns.start.hints`.
return {
  { "group", "ENODEV", no_tree },
  { "group", "EROFS", read_only },
  { "group", "EACCES", not_ours },
  { "group", "EPERM", not_ours },
  { "group", "EBUSY", others },
  { "limit", "ENOENT", no_file },
  { "limit", "EINVAL", no_value },
  { "limit", "ERANGE", no_value },
  { "limit", "ENODEV", no_value },
  { "clone", "EINVAL", too_old },
  { "clone", "E2BIG", too_old },
  { "clone", "EACCES", may_not_enter },
}
