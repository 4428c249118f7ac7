--- Why the system may have refused a step, and what helps. A hint is given only when its cause is seen on this machine.
-- @module ns.start.hints
require("ns.core").nojit()
local limit_hints = require "ns.start.limit_hints"
local core = require "ns.core"
local ids = require "ns.start.ids"
local host_path = require "ns.start.host_path"
local mountinfo = require "ns.start.mountinfo"
local exec_hints = require "ns.start.exec_hints"
local subids = require "ns.start.subids"
local errno = core.constants.errno

local hints = {}


--- The beginning of a file, or nil; a FIFO or a device is not waited for. Specs put others in its place.
hints.read = core.head

local function sysctl(name)
  local text = hints.read("/proc/sys/" .. name)
  return text and tonumber((text:match("^%s*(-?%d+)")))
end

--- Is there a seccomp filter on us? Then it may be what refuses.
local function filtered()
  return (hints.read("/proc/self/status") or ""):match("Seccomp:%s*2") ~= nil
end

--- Do we have CAP_SYS_ADMIN, number 21?
local function is_admin()
  local low = (hints.read("/proc/self/status") or ""):match("CapEff:%s*%x*(%x%x%x%x%x%x%x%x)%s")
  return low and math.floor(tonumber(low, 16) / 2 ^ 21) % 2 == 1
end

local function user_namespaces_refused()
  if sysctl("kernel/unprivileged_userns_clone") == 0 then
    return "user namespaces are switched off for ordinary users: sysctl kernel.unprivileged_userns_clone=1"
  elseif sysctl("kernel/apparmor_restrict_unprivileged_userns") == 1 then
    return "AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, "
      .. "or a profile with 'userns' for this program"
  end
  if filtered() then
    return "a seccomp filter of this container may forbid user namespaces (docker: --security-opt seccomp=unconfined)"
  end
  return "a process in a chroot may not make a user namespace; nor may one whose own ids are not mapped"
end

local function clone_refused(step)
  if step.namespaces.user then return user_namespaces_refused() end
  if next(step.namespaces) and not is_admin() and core.ids().euid ~= 0 then
    return "an ordinary user needs 'user' among the flags"
  elseif next(step.namespaces) and not is_admin() then
    return "this root lacks CAP_SYS_ADMIN: add 'user' to the flags, or give the container the capability"
  elseif filtered() then
    return "a seccomp filter of this container may forbid it (docker: --security-opt seccomp=unconfined)"
  end
end

local function no_more_namespaces(step)
  for name in pairs(step.namespaces) do
    local file = ({ mount = "mnt" })[name] or name
    local limit = sysctl(("user/max_%s_namespaces"):format(file))
    if limit == 0 then return ("user.max_%s_namespaces is 0: sysctl user.max_%s_namespaces=10000"):format(file, file) end
  end
  return "a limit of user.max_*_namespaces is reached, here or outside (a disable_userns around us), or 32 levels of nesting"
end

local OF_A_NAMESPACE = { proc = "pid", sysfs = "net", mqueue = "ipc" }

local function fs_refused(step, steps)
  local flag, flags = OF_A_NAMESPACE[step.type], steps and steps.flags
  if flag and flags and not flags[flag] then
    return ("a new %s in a user namespace needs '%s' among the flags"):format(step.path, flag)
  end
  if step.type ~= "proc" then return nil end
  return "the /proc of this machine is partly covered, as containers do it; the kernel then refuses a new one in a user "
    .. "namespace (docker: --security-opt systempaths=unconfined; podman: --security-opt unmask=ALL; Kubernetes: procMount: "
    .. "Unmasked; a box of ns: protect = false)"
end

local function not_private(step)
  if step.type or step.source or step.path ~= "/" then return nil end
  return "/ is no mount point, as in a chroot: enter it by pivot_root, or mount --bind the directory onto itself before"
end

--- Has this host itself all the ids of a range? They must lie in one range of its own.
local function has_ids(kind, first, count)
  for _, r in ipairs(subids.machine({})[kind]) do
    if first >= r[1] and first + count <= r[1] + r[3] then return true end
  end
end

--- /proc/self of one whose ids differ belongs to root, as the kernel lets nobody trace it.
local function ids_differ(step)
  local host = core.ids()
  if host.uid == host.euid and host.gid == host.egid then return nil end
  return (step.path:find("_map$") or step.path:find("/setgroups$"))
    and "your real and effective ids differ, as after seteuid: make them the same before (setresuid, setresgid)"
end

local function map_refused(step)
  if not step.path:find("_map$") and not step.path:find("/setgroups$") then return nil end
  if sysctl("kernel/apparmor_restrict_unprivileged_userns") == 1 then return user_namespaces_refused() end
  local kind, host = step.path:match("/(.id)_map$"), core.ids()
  for first, count in (kind and step.data or ""):gmatch("%d+ (%d+) (%d+)\n") do
    if not has_ids(kind, tonumber(first), tonumber(count)) then
      return ("this host itself has not all ids from %s on, as in a container: /proc/self/%s_map"):format(first, kind)
    elseif kind == "uid" and first == "0" and not ids.has(host, "SETFCAP") then
      return "user 0 can be mapped only with CAP_SETFCAP: start this as another user" .. (ids.is_root(host)
        and ", or with map = 'range'" or ", or give the container the capability (docker: --cap-add SETFCAP)")
    end
  end
end

local WITHOUT_MAPPING = "ro = true (to read what everybody may), or idmap = false (to write what everybody, or an id of "
  .. "uid_map, may)"

local function not_mappable(step)
  return ("the file system of %s (as virtiofs, NFS, 9p), this kernel (before 5.12) or the ranges do not allow it: %s")
    :format(tostring(step.path), WITHOUT_MAPPING)
end

local function no_sysctl() return "this /proc does not have it, and no other can be mounted: disable_userns = false" end

local function install_uidmap() return "install it: apt-get install uidmap" end

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
      return ("%s is mounted below its %s, and what that covers would be seen"):format(place, layer)
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

local MOUNTS_A_SOURCE = { tree = true, open_tree = true }
local NO_SOURCE = { ENOENT = "is not there", EACCES = "is closed to this user", ENOTDIR = "is below what is no directory" }

--- What on the way to a source is not there, is closed, or is a link that leads to nothing.
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
  return ("%s is not there, and is not made: only in what this spec mounts itself (a tmpfs, a root's top) are places made")
    :format(step.path)
end

local function open_to_others(step)
  return ("others on this host can reach into it, and what the program makes there is root's, or of the group root: "
    .. "chmod 700 %s, chown it to an ordinary user and group, or leave it read-only"):format(step.path)
end

local function no_mapping()
  return "this kernel (before 5.12), or a filter, cannot map ids: " .. WITHOUT_MAPPING
end

local function no_launcher()
  return (sysctl("vm/memfd_noexec") == 2 and "vm.memfd_noexec is 2, and " or "memfds cannot be executed here, and ")
    .. "no directory for temporary files allows it: name one in TMPDIR that does, or sysctl vm.memfd_noexec=1"
end

--- op, errno, what to look at.
local rows = {
  { "execveat", "EACCES", no_launcher },
  { "idmap", "EPERM", function(step) return step.word == "root" and open_to_others(step) end },
  { "idmap", "EINVAL", not_mappable },
  { "idmap", "ENOSYS", no_mapping },
  { "open_tree", "ENOSYS", no_mapping },
  { "open_tree", "EPERM", function() return "only a root with CAP_SYS_ADMIN can map ids: " .. WITHOUT_MAPPING end },
  { "clone", "EPERM", clone_refused },
  { "clone", "EACCES", clone_refused },
  { "clone", "ENOSPC", no_more_namespaces },
  { "clone", "EUSERS", no_more_namespaces },
  { "clone", "ENOMEM", function() return "out of memory, or the init of this pid namespace has died" end },
  { "clone", "EAGAIN", function() return "RLIMIT_NPROC or a pids limit of the cgroup is reached" end },
  { "clone", "EINVAL", function() return "this kernel lacks one of these kinds of namespace" end },
  { "overlay", "EINVAL", no_layer },
  { "overlay", "ENOENT", no_layer },
  { "overlay", "ENOTDIR", no_layer },
  { "overlay", "ELOOP", function() return "one of its directories lies in another, or links lead in a circle" end },
  { "overlay", "EOPNOTSUPP", no_attributes },
  { "overlay", "EMFILE", function() return "RLIMIT_NOFILE is lower than the number of its directories" end },
  { "unshare", "ENOSPC", function() return no_more_namespaces { namespaces = { time = true } } end },
  { "unshare", "EPERM", function() return "needs CAP_SYS_ADMIN: add 'user' to the flags" end },
  { "mount", "EPERM", fs_refused },
  { "fs", "EPERM", fs_refused },
  { "mount", "EINVAL", not_private },
  { "sysctl", "ENOENT", no_sysctl },
  { "sysctl", "EROFS", no_sysctl },
  { "write", "EPERM", map_refused },
  { "write", "EACCES", ids_differ },
  { "write", "EACCES", map_refused },
  { "write", "ESRCH", function() return "/proc does not know our processes: mount one of this pid namespace" end },
  { "keyring", "EDQUOT", function()
    return "this user may have no more keys: sysctl kernel.keys.maxkeys=2000, or keyring = 'inherit'"
  end },
  { "newgidmap", "ENOENT", install_uidmap },
  { "newuidmap", "ENOENT", install_uidmap },
  { "init", "EAGAIN", function() return "RLIMIT_NPROC is reached: the init counts, too" end },
  { "bound", "EPERM", function() return "needs CAP_SETPCAP: add 'user' to the flags" end },
  { "tree", "ENOENT", no_source },
  { "open_tree", "ENOENT", no_source },
  { "open_tree", "ENOTDIR", no_source },
  { "open_tree", "EACCES", no_source },
  { "open", "EXDEV", function() return "it leads into another root: give its place in this one" end },
  { "open", "E2BIG", function() return "a root directory may have 10000 entries, and 4 MiB of names and links" end },
  { "tree", "EACCES", no_source },
  { "tree", "EINVAL", other_kind },
  { "remount", "EINVAL", function(step) return step.path .. " is no mount point: only a whole mount has attributes" end },
  { "tree", "ENOTDIR", other_kind },
  { "file", "EINVAL", other_kind },
  { "foreground", "ENOTTY", function() return "stdin is no terminal of this session" end },
}

for _, op in ipairs { "open_tree", "tree", "fs", "overlay", "mkdir", "file", "symlink", "mask", "anchor" } do
  rows[#rows + 1] = { op, "EMFILE", function()
    return "a mount below another, and each tree that root opens, takes a descriptor: raise the hard limit (ulimit -Hn)"
  end }
  rows[#rows + 1] = { op, "EROFS", not_ours }
end

for _, more in ipairs { limit_hints, exec_hints } do
  for _, row in ipairs(more) do rows[#rows + 1] = row end
end

--- The hint for a refused step of `steps`, or nil.
function hints.find(step, number, steps)
  for _, row in ipairs(rows) do
    local hint = (row[1] == step.op or row[1] == "any") and errno[row[2]] == number and row[3](step, steps)
    if hint then return hint end
  end
end

return hints
