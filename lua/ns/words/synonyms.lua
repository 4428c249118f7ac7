--- Words that other tools have, and what says the same here.
-- @module ns.words.synonyms
require("ns.core").nojit()
local rlimit = require("ns.core").constants.rlimit

--- What to use, and the words that stand for it elsewhere.
local ROWS = {
  { "limits = { memory = BYTES }, or rlimits = { as = BYTES }, which holds for each process",
    "memory mem ram mem_limit memory_limit swap" },
  { "limits, of all together, or rlimits, of each process", "limit ulimit ulimits resources quota cgroup_limits" },
  { "limits = { cpu = N }, affinity, or rlimits = { cpu = SECONDS }", "cpus cpuset cpu_shares processors" },
  { "limits = { pids = N }", "pids pids_limit processes max_processes" },
  { "flags = { ... }, the new namespaces", "unshare namespaces namespace ns share" },
  { "flags: 'net' in it is a network of its own, without it the host's; box:share('net')",
    "net networking share_net net_host" },
  { "network: 'none', 'host' or 'pasta', which gives the world outside", "internet nat bridge slirp slirp4netns" },
  { "publish = { [8080] = 80 }", "ports port expose forward" },
  { "reach = { 'NAME:PORT' }", "allow_hosts egress outbound allow_net" },
  { "join = { net = PATH }, or { from = PID }", "setns nsenter netns enter" },
  { "flags: with 'user' in it", "userns user_ns user_namespace usermap rootless" },
  { "flags: with 'pid' in it, and mount_proc", "pidns pid_ns pid" },
  { "flags: with its name in it", "ipc uts mnt mount_ns cgroup cgroups" },
  { "an entry of mounts, as { type = 'bind', source = PATH, target = PATH }",
    "bind binds ro_bind volume volumes mount shares devices" },
  { "an entry of mounts, as { type = KIND, target = PATH }", "tmpfs overlay dev sys mqueue file files dir symlink mask" },
  { "mount_proc, or an entry of mounts", "proc procfs" },
  { "root = DIRECTORY", "image rootfs chroot base" },
  { "argv, or the array part", "cmd command program exec args arguments entrypoint run" },
  { "{ 'sh', '-c', LINE }", "shell script line" },
  { "cwd", "chdir directory workdir working_dir workingdir" },
  { "env, and clear_env", "environment environ envs setenv" },
  { "user, and group", "uid gid run_as" },
  { "sysctl", "sysctls settings" },
  { "caps", "capabilities capability cap_add cap_drop privileged" },
  { "landlock = { read = {PATHS}, write = {PATHS}, execute = {PATHS} }", "paths readable writable executable" },
  { "seccomp, no_new_privs and caps", "filter syscalls syscall_filter apparmor" },
  { "detach", "daemon daemonize background detached" },
  { "timeout, and grace", "deadline wall_time time_limit kill_after" },
  { "pty, or tty", "terminal interactive" },
  { "stdin, stdout and stderr", "stdio io streams capture" },
}

local synonyms = {}

local uses = {}
for name in pairs(rlimit) do uses[name:lower()] = ("rlimits = { %s = N }"):format(name:lower()) end
for _, row in ipairs(ROWS) do
  for word in row[2]:gmatch("%S+") do uses[word] = row[1] end
end

--- The fields of mounts, and the words that stand for them elsewhere.
local FIELDS = {
  { "ro", "ro = true", "readonly read_only rdonly" },
  { "ro", "ro = false", "rw writable write readwrite" },
  { "dev", "dev = false", "nodev" },
  { "suid", "suid = false", "nosuid" },
  { "exec", "exec = false", "noexec" },
  { "source", "source", "src from path host host_path hostpath" },
  { "target", "target", "dst dest destination mountpoint mount_point at path inside" },
  { "to", "to", "link source" },
  { "data", "data", "content contents text bytes" },
  { "try", "try = true", "optional" },
  { "lower", "lower", "lowerdir source" },
  { "upper", "upper", "upperdir" },
  { "work", "work", "workdir" },
}

--- What says the same as this field in an entry of mounts with these `fields`, or nil.
function synonyms.field(word, fields)
  for _, row in ipairs(FIELDS) do
    if fields[row[1]] and (" %s "):format(row[3]):find((" %s "):format(word:lower()), 1, true) then return row[2] end
  end
end

--- What says the same here, or nil.
function synonyms.find(word)
  return uses[word:lower()]
end

return synonyms
