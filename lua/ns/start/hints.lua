--- Why the system may have refused a step, and what helps. A hint is given only when its cause is seen on this machine.
-- @module ns.start.hints
require("ns.core").nojit()
local later = require("ns.words.later").module
local core = require "ns.core"
local group_hints = require "ns.start.group_hints"
local ids = require "ns.start.ids"
local join_hints = require "ns.start.join_hints"
local landlock_hints = require "ns.start.landlock_hints"
local limit_hints = require "ns.start.limit_hints"
local mount_hints = require "ns.start.mount_hints"
local exec_hints = require "ns.start.exec_hints"
local proc = require "ns.start.proc"
local rtnetlink = later "ns.words.rtnetlink"
local subids = require "ns.start.subids"
local errno = core.constants.errno

local hints = {}

local sysctl = proc.sysctl

--- Do we have CAP_SYS_ADMIN, number 21?
local function is_admin()
  local low = proc.status "CapEff:%s*%x*(%x%x%x%x%x%x%x%x)%s"
  return low and math.floor(tonumber(low, 16) / 2 ^ 21) % 2 == 1
end

local function user_namespaces_refused()
  if sysctl("kernel/unprivileged_userns_clone") == 0 then
    return "user namespaces are switched off for ordinary users: sysctl kernel.unprivileged_userns_clone=1"
  elseif sysctl("kernel/apparmor_restrict_unprivileged_userns") == 1 then
    return "AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, "
      .. "or a profile with 'userns' for this program"
  end
  return proc.filter "user namespaces"
    or "a process in a chroot may not make a user namespace; nor may one whose own ids are not mapped"
end

local function clone_refused(step)
  if step.namespaces.user then return user_namespaces_refused() end
  if next(step.namespaces) and not is_admin() and core.ids().euid ~= 0 then
    return "an ordinary user needs 'user' among the flags"
  elseif next(step.namespaces) and not is_admin() then
    return "this root lacks CAP_SYS_ADMIN: add 'user' to the flags, or give the container the capability"
  end
  return proc.filter "it"
end

local function no_more_namespaces(step)
  for name in pairs(step.namespaces) do
    local file = ({ mount = "mnt" })[name] or name
    local limit = sysctl(("user/max_%s_namespaces"):format(file))
    if limit == 0 then return ("user.max_%s_namespaces is 0: sysctl user.max_%s_namespaces=10000"):format(file, file) end
  end
  return "a limit of user.max_*_namespaces is reached, of this user namespace or of one around it (as by disable_userns), "
    .. "or 32 levels of nesting"
end

--- Has this host itself all the ids of a range? They must lie in one range of its own.
local function has_ids(kind, first, count)
  for _, r in ipairs(subids.machine({})[kind]) do
    if first >= r[1] and first + count <= r[1] + r[3] then return true end
  end
end

--- Where a step writes; "" for what goes through a descriptor, as a limit of memory does.
local function place_of(step) return step.path or "" end

local function is_map(step) return (place_of(step):find("_map$") or place_of(step):find("/setgroups$")) ~= nil end

--- /proc/self of one whose ids differ belongs to root, as the kernel lets nobody trace it.
local function ids_differ(step)
  local host = core.ids()
  if host.uid == host.euid and host.gid == host.egid then return nil end
  return is_map(step)
    and "your real and effective ids differ, as after seteuid: make them the same before (setresuid, setresgid)"
end

local function map_refused(step)
  if not is_map(step) then return nil end
  if sysctl("kernel/apparmor_restrict_unprivileged_userns") == 1 then return user_namespaces_refused() end
  local kind, host = step.path:match("/(.id)_map$"), core.ids()
  for first, count in (kind and step.data or ""):gmatch("%d+ (%d+) (%d+)\n") do
    if not has_ids(kind, tonumber(first), tonumber(count)) then
      return ("this host itself does not have all ids from %s on, as in a container: see /proc/self/%s_map")
        :format(first, kind)
    elseif kind == "uid" and first == "0" and not ids.has(host, "SETFCAP") then
      return "user 0 can be mapped only with CAP_SETFCAP: start this as another user" .. (ids.is_root(host)
        and ", or with map = 'range'" or ", or give the container the capability (docker: --cap-add SETFCAP)")
    end
  end
end

local function install_uidmap() return "install it: apt-get install uidmap" end

local function no_name()
  return proc.filter "it"
    and "a seccomp filter may forbid it, as that of a service (systemd: ProtectHostname=no): share('uts')"
end

--- What the host and the launcher read and write is the host's own /proc.
local function no_proc(step)
  local path = step.path or step.data
  if not (path and path:find("^/proc/")) or core.readlink("/proc/self") then return nil end
  return not core.access("/proc/version", 0) and "this host has no /proc: mount -t proc proc /proc" or nil
end

local function read_only_proc(step)
  return place_of(step):find("^/proc/") and "the /proc of this host is read-only: mount -o remount,rw /proc"
end

local function no_terminal(step)
  return step.path == "/dev/ptmx" and "without it there are no new terminals: mount -t devpts -o ptmxmode=666 x /dev/pts; "
    .. "ln -s pts/ptmx /dev/ptmx"
end

local function no_null(step)
  return step.path == "/dev/null" and "what lies there is no device (1:3): mknod -m 666 /dev/null c 1 3"
end

local function too_long(step)
  local paths = { step.from or step.source or "", step.path or "", step.op == "exec" and step.data or "" }
  for name in table.concat(paths, "/"):gmatch("[^/]+") do
    if #name > 255 then return "no name in a path may have more than 255 bytes" end
  end
  return "no path may have more than 4095 bytes"
end

local function no_launcher()
  return (sysctl("vm/memfd_noexec") == 2 and "vm.memfd_noexec is 2, and " or "memfds cannot be executed here, and ")
    .. "no directory for temporary files allows it: name one in TMPDIR that does, or sysctl vm.memfd_noexec=1"
end

local function not_ours()
  return "it must be a directory that is yours, with the mode 0700, and no link: remove it, or set XDG_RUNTIME_DIR"
end

local NO_PROCESSES = "RLIMIT_NPROC is reached, or a pids limit of the cgroup (systemd: TasksMax=)"

local function init_is_full(step)
  return step.by_init and "each program that runs takes a descriptor of the container's init, which has as many as the hard "
    .. "RLIMIT_NOFILE of its host allowed: ulimit -Hn"
end

--- Of a message that makes a link.
local function no_such_link(step)
  return step.type and rtnetlink.no_links(step.type) .. "; most have bridge and veth"
end

--- op, errno, what to look at: the first hint is given.
local rows = {
  { "execveat", "EACCES", no_launcher },
  { "sethostname", "EPERM", no_name },
  { "setdomainname", "EPERM", no_name },
  { "any", "ENOENT", no_proc },
  { "any", "ENAMETOOLONG", too_long },
  { "any", "ETOOMANYREFS", function()
    return "programs of this user have sent too many descriptors that nobody has received (unix(7))"
  end },
  { "write", "EROFS", read_only_proc },
  { "pty", "ENOENT", no_terminal },
  { "pty", "EACCES", no_terminal },
  { "open", "ENODEV", no_null },
  { "clone", "EPERM", clone_refused },
  { "clone", "EACCES", clone_refused },
  { "clone", "ENOSPC", no_more_namespaces },
  { "clone", "EUSERS", no_more_namespaces },
  { "clone", "ENOMEM", function() return "out of memory, or the init of this pid namespace has died" end },
  { "clone", "EAGAIN", function() return NO_PROCESSES end },
  { "clone", "EINVAL", function() return "this kernel lacks one of these kinds of namespace" end },
  { "job", "EAGAIN", function() return NO_PROCESSES end },
  { "job", "EMFILE", init_is_full },
  { "unshare", "ENOSPC", function() return no_more_namespaces { namespaces = { time = true } } end },
  { "unshare", "EPERM", function() return "needs CAP_SYS_ADMIN: add 'user' to the flags" end },
  { "write", "EPERM", map_refused },
  { "write", "EACCES", ids_differ },
  { "write", "EACCES", map_refused },
  { "write", "ESRCH", function() return "/proc shows another pid namespace than ours: mount -t proc proc /proc" end },
  { "keyring", "EDQUOT", function()
    return "this user may have no more keys: sysctl kernel.keys.maxkeys=2000, or keyring = 'inherit'"
  end },
  { "newgidmap", "ENOENT", install_uidmap },
  { "newuidmap", "ENOENT", install_uidmap },
  { "init", "EAGAIN", function() return NO_PROCESSES .. ": the init counts, too" end },
  { "bound", "EPERM", function() return "needs CAP_SETPCAP: add 'user' to the flags" end },
  { "open", "EXDEV", function() return "a link of /proc on the way leads into another root: give its path in this one" end },
  { "open", "E2BIG", function() return "a root directory may have 10000 entries, and 4 MiB of names and links" end },
  { "copy", "EDEADLK", function()
    return "it has other threads, which a copy has not: what one of them has locked would stay locked there"
  end },
  { "name", "EADDRINUSE", function(s)
    if s.other then return ("%s is no container, and in its way"):format(s.other) end
    return ("a container of this name lives: ns.container '%s'"):format(s.path)
  end },
  { "names", "EPERM", not_ours },
  { "names", "EACCES", not_ours },
  { "names", "ENOTDIR", not_ours },
  { "names", "ELOOP", not_ours },
  { "container", "ENOENT", function() return "none of this name lives" end },
  { "container", "EAGAIN", function() return "it is just being started" end },
  { "container", "ETIMEDOUT", function() return "its init does not answer: somebody may have stopped it" end },
  { "container", "ENOPROTOOPT", function(s) return s.hint end },
  { "netlink", "EOPNOTSUPP", no_such_link },
  { "netlink", "EAFNOSUPPORT", function() return "this kernel has no IPv6, or has it switched off" end },
  { "netlink", "EEXIST", function() return "it is there already" end },
  { "foreground", "ENOTTY", function() return "stdin is no terminal of this session" end },
}

for _, more in ipairs { group_hints, mount_hints, join_hints, limit_hints, landlock_hints, exec_hints } do
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
