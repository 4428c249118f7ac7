--- Hints where the system refuses a mount, its source or its place, and what helps.
-- @module ns.start.mount_hints
require("ns.core").nojit()
local core = require "ns.core"
local host_path = require "ns.start.host_path"
local mountinfo = require "ns.start.mountinfo"
local proc = require "ns.start.proc"

local errno, HOW = core.constants.errno, core.constants.step

local OF_A_NAMESPACE = { proc = "pid", sysfs = "net", mqueue = "ipc" }

local UNCOVER = "umount what covers it; docker: --security-opt systempaths=unconfined; podman: --security-opt unmask=ALL; "
  .. "Kubernetes: procMount: Unmasked; a box of ns: protect = false"

--- In a user namespace the kernel mounts a new /proc only for who sees a whole one already, and may write to it; see
-- mount_too_revealing() of its fs/namespace.c. `flags`: of the mount that was tried. nil: that is not the cause.
local function no_new_proc(flags)
  local covers, is_read_only = mountinfo.proc()
  if not covers then return "this host has no whole /proc mounted: mount -t proc proc /proc" end
  if #covers > 0 then
    local more = #covers > 3 and (" and %d more places"):format(#covers - 3) or ""
    return ("the /proc of this host is partly covered, at %s%s; the kernel then refuses a new one in a user namespace (%s)")
      :format(table.concat(covers, ", ", 1, math.min(#covers, 3)), more, UNCOVER)
  elseif is_read_only and not (flags and flags % 2 == core.constants.mount_attr.RDONLY) then
    return "the /proc of this host is read-only, and in a user namespace a new one must be, too: mount -o remount,bind,rw "
      .. "/proc, or ro = true"
  end
end

local function fs_refused(step, steps)
  local flag, flags = OF_A_NAMESPACE[step.type], steps and steps.flags
  if flag and flags and not flags[flag] then
    return ("a new %s in a user namespace needs '%s' among the flags"):format(step.path, flag)
  end
  return step.type == "proc" and no_new_proc(step.flags) or proc.filter "it"
end

--- A file of /proc/sys that the program's own /proc does not have, or has read-only: then a new /proc was to be mounted.
local function no_sysctl(step, steps)
  if step.word == "sysctl" and core.access("/proc/sys/net/ipv4", 0) and not core.access(step.path, 0) then
    return "this kernel has no such setting"
  end
  local why = steps and steps.flags and not steps.flags.pid and "it needs 'pid' among the flags" or no_new_proc()
    or proc.filter "it"
  return ("this /proc does not have it, or is read-only, and no other can be mounted%s%s")
    :format(why and " (" .. why .. ")" or "", step.word == "disable_userns" and ": disable_userns = false" or "")
end

local function not_private(step)
  if step.type or step.source or step.path ~= "/" then return nil end
  return "/ is no mount point, as in a chroot: enter it by pivot_root, or mount --bind the directory onto itself before"
end

local WITHOUT_MAPPING = "ro = true (to read what everybody may read), or idmap = false (to write what everybody, or an id "
  .. "of uid_map, may write)"

local MAPPABLE = {}
for name in ("bcachefs btrfs ceph erofs exfat ext4 f2fs hugetlbfs ntfs3 squashfs tmpfs vfat xfs"):gmatch("%S+") do
  MAPPABLE[name] = true
end

local function not_mappable(step)
  local path = tostring(step.path)
  local own = mountinfo.type_of(path)
  local place, kind = mountinfo.other_below(path, MAPPABLE)
  if place and MAPPABLE[own] then
    return ("%s, mounted below it, does not allow it (%s): bind what lies beside that, or %s"):format(place, kind,
      WITHOUT_MAPPING)
  end
  return ("the file system of %s (%s), this kernel (before 5.12) or the ranges do not allow it: %s")
    :format(path, own or "as virtiofs, NFS, 9p", WITHOUT_MAPPING)
end

--- The directories of an overlay, by the kind of layer; nil, and a text, if one is none.
local function layers(step)
  local found = { lower = {}, upper = {}, work = {} }
  for _, option in ipairs(step.options) do
    local layer, path = option:match("^(%l+)dir=(.*)$")
    if path and not core.access(path .. "/.", 0) then return nil, ("its %s %s is no directory"):format(layer, path) end
    if path then table.insert(found[layer], path) end
  end
  return found
end

--- The kernel says EINVAL for whatever it is of an overlay's directories.
local function no_layer(step)
  if step.source and host_path.access(step.source, 0) and not host_path.access(step.source .. "/.", 0) then
    return ("its lower %s is no directory"):format(step.source)
  end
  local found, why = layers(step)
  if not found then return why end
  for _, layer in ipairs { "lower", "upper" } do
    local place = mountinfo.mount_below(found[layer])
    if place then
      return ("%s is mounted below its %s, and an overlay would show what that covers"):format(place, layer)
    end
  end
  if #found.lower > 200 then return "this kernel takes no more than some 200 lowers: Linux 6.7 takes 500" end
end

local function no_attributes(step)
  local found = layers(step)
  local upper = found and found.upper[1]
  local where = upper and "the file system of " .. upper or "a tmpfs of this kernel (before 6.6)"
  return where .. " keeps no user.* attributes, and without them no directory of the lower can be removed: give it 'upper' "
    .. "and 'work' on a disk"
end

--- EACCES: an overlay is mounted with the ids inside, which have fewer rights than the host's.
local function closed_layer(step)
  local found = layers(step)
  local upper = found and found.upper[1]
  if not upper then return "its directories, and those above them, must be open to the ids inside" end
  return ("its directories must be open to the ids inside, and %s and its work must be theirs: chown them; uid_map and "
    .. "gid_map give the same ids at each start"):format(upper)
end

local function not_pivoted()
  if mountinfo.root_type() ~= "rootfs" then return nil end
  return "the root of this host is its initial ramfs, which pivot_root cannot leave: switch_root before, or 'mount --bind / "
    .. "DIR; cd DIR; mount --move . /; exec chroot . ...'"
end

local MOUNTS_A_SOURCE = { tree = true, open_tree = true }
local NO_SOURCE = { ENOENT = "is not there", EACCES = "is closed to this user", ENOTDIR = "is below what is no directory" }

--- Names what on the way to a source is missing, is closed, or is a link that leads to nothing.
local function no_source(step)
  local at = ""
  if step.how == core.constants.step.BENEATH_ROOT then return nil end
  for name in (step.from or step.source or step.path or ""):gmatch("[^/]+") do
    at = at .. "/" .. name
    local _, _, number = core.access(at, 0)
    local to = number == errno.ENOENT and core.readlink(at)
    if to then return ("%s is a link to %s, which is not there"):format(at, to) end
    for code, says in pairs(number and MOUNTS_A_SOURCE[step.op] and NO_SOURCE or {}) do
      if errno[code] == number then return ("its source %s %s"):format(at, says) end
    end
    if number then return nil end
  end
end

--- The host's /dev has another file under the name of a device.
local function no_device(step)
  return ("%s of the host is not the device %d:%d"):format(step.from, math.floor(step.value / 256), step.value % 256)
end

local function other_kind(step)
  return step.op == "tree" and no_source(step) or "a directory goes onto a directory, a file onto a file"
end

--- The steps before this one.
local function before(steps, step)
  local list = {}
  for i, one in ipairs(steps or {}) do
    if one == step then break end
    list[i] = one
  end
  return list
end

local function not_ours(step, steps)
  if step.op == "symlink" and host_path.access(host_path.find(before(steps, step), step.path), 0) then
    return step.path .. " is there, and a link cannot lie over it"
  end
  for _, one in ipairs(before(steps, step)) do
    local is_kept = one.op == "overlay" and math.floor(one.how / HOW.THROW_AWAY) % 2 == 0
    if is_kept and (step.path .. "/"):sub(1, #one.path) == one.path then
      return ("%s is not there: mkdir = true makes it in the layer that is kept"):format(step.path)
    end
  end
  return ("%s is not there, and is not made: only in what this spec mounts itself (a tmpfs, a root's top) are places made")
    :format(step.path)
end

local function open_to_others(step)
  return ("others on this host can reach into it, and what the program makes there is root's, or of the group root: "
    .. "chmod 700 %s, chown it to an ordinary user and group, or leave it read-only"):format(step.path)
end

--- The ids of a file system are mapped only by who may do all in the user namespace that it was mounted in.
local function no_right_to_map(step)
  if step.word == "root" then return open_to_others(step) end
  return "its file system is of another user namespace, as in a rootless container, where nobody can map its ids: map = "
    .. "'root', with which the program has your own id, or " .. WITHOUT_MAPPING
end

--- A link in a tree that an earlier program may have written to.
local function left_behind(step)
  if not step.below then return nil end
  return "a link lies on the way, in a tree that the program may write, where none is followed: name the place that it "
    .. "leads " .. ((step.op == "tree" or step.op == "open_tree") and "to, or nofollow = false if it is meant" or "to")
end

local function no_mapping()
  return "this kernel (before 5.12), or a filter, cannot map ids: " .. WITHOUT_MAPPING
end

--- op, errno, what to look at: for `ns.start.hints`.
local rows = {
  { "idmap", "EINVAL", not_mappable },
  { "idmap", "EPERM", no_right_to_map },
  { "idmap", "ENOSYS", no_mapping },
  { "open_tree", "ENOSYS", no_mapping },
  { "open_tree", "EPERM", function() return "only a root with CAP_SYS_ADMIN can map ids: " .. WITHOUT_MAPPING end },
  { "overlay", "EINVAL", no_layer },
  { "overlay", "EACCES", closed_layer },
  { "overlay", "ENOENT", no_layer },
  { "pivot", "EINVAL", not_pivoted },
  { "overlay", "ENOTDIR", no_layer },
  { "any", "ELOOP", left_behind },
  { "overlay", "ELOOP", function() return "one of its directories lies in another, or links lead in a circle" end },
  { "overlay", "EOPNOTSUPP", no_attributes },
  { "overlay", "EMFILE", function() return "RLIMIT_NOFILE is lower than the number of its directories" end },
  { "mount", "EPERM", fs_refused },
  { "fs", "EPERM", fs_refused },
  { "sysctl", "ENOENT", no_sysctl },
  { "sysctl", "EROFS", no_sysctl },
  { "mount", "EINVAL", not_private },
  { "tree", "ENODEV", function(step) return step.value and no_device(step) end },
  { "tree", "ENOENT", no_source },
  { "open_tree", "ENOENT", no_source },
  { "open_tree", "ENOTDIR", no_source },
  { "open_tree", "EACCES", no_source },
  { "tree", "EACCES", no_source },
  { "tree", "EINVAL", other_kind },
  { "remount", "EINVAL", function(step) return step.path .. " is no mount point: only a whole mount has attributes" end },
  { "tree", "ENOTDIR", other_kind },
  { "file", "EINVAL", other_kind },
}

for _, op in ipairs { "open_tree", "tree", "fs", "overlay", "mkdir", "file", "symlink", "mask", "anchor" } do
  rows[#rows + 1] = { op, "EMFILE", function()
    return "a mount below another, and each tree that root opens, takes a descriptor: raise the hard limit (ulimit -Hn)"
  end }
  rows[#rows + 1] = { op, "EROFS", not_ours }
end

return rows
