--- Specs that use every word and every kind of mount, most of them in more than one way.
local ALL = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }
local sandbox = require "ns.sandbox"

local function with(spec, words)
  for word, value in pairs(words) do spec[word] = value end
  spec.argv = spec.argv or { "prog", "argument" }
  return spec
end

local specs = {
  { "true" },
  { "/bin/sh", "-c", "exit 3", argv0 = "-sh", env = { A = "1", HOME = false }, umask = 18, cwd = "/tmp" },
  { "sh", clear_env = true, env = { PATH = "/a::/b", B = "2" }, session = true, keyring = "own" },
  { "prog", flags = ALL, session = true, keyring = "own", propagation = "private", oom_score_adj = 5,
    time = { monotonic = 1.25, boottime = -86400 }, disable_userns = true, root = "/", system = true,
    mounts = { { type = "proc" }, { type = "dev" }, { type = "mask", target = "/srv" },
      { type = "file", target = "/f", data = "x\0y" } },
    mount_proc = "/other", hostname = "box", domainname = "dom", fds = { [5] = 0, [9] = 1 },
    rlimits = { core = 0, nofile = { soft = 64, hard = 128 }, as = 2 ^ 40, cpu = "unlimited" }, nice = -3,
    ioprio = { class = "best-effort", level = 7 }, scheduler = { policy = "fifo", priority = 99 }, affinity = { 0, 1, 63 },
    personality = { "linux32", "addr_no_randomize" }, caps = { "kill", "CAP_NET_RAW" }, securebits = { "noroot" },
    umask = 0, user = 0, group = 0, groups = { 0, 5, 65535 }, map = "range",
    cwd = "/srv", no_new_privs = true, init = true },
  { "prog", flags = "user", landlock = { read = { "/etc", { path = "/none", try = true } }, write = { "/tmp" },
    execute = { "/" }, tcp_bind = { 0, 65535 }, tcp_connect = {}, scope = { "signal", "abstract_unix" } } },
  { "prog", landlock = { execute = { "/usr" } }, no_new_privs = false, rlimits = { nofile = 4 } },
  { "prog", flags = "user", uid_map = { { 0, 100000, 65536 }, { 70000, 4000000000, 1 } },
    gid_map = { { 0, 4294967290, 1 } }, setgroups = "deny" },
  { "prog", flags = "user,uts", map = "self", hostname = ("x"):rep(64) },
  { "prog", flags = "user mount", map = "auto", propagation = "slave", mount_proc = nil },
  { "prog", flags = "pid,mount", mount_proc = true, init = true, tty = true, detach = false },
  { "prog", pty = { rows = 7, cols = 65535 }, scheduler = "batch", ioprio = "idle", affinity = 3 },
}

local MOUNTS = {
  { type = "bind", source = "/a", target = "/b", ro = true, dev = true, suid = true, exec = false, try = true },
  { type = "bind", source = "/a", nofollow = true, idmap = false },
  { type = "tmpfs", target = "/t", size = "64m", inodes = 9007199254740992, mode = 511, ro = true },
  { type = "tmpfs", target = "/tmp", size = 4294967296 },
  { type = "overlay", lower = "/l:a,b\\c", target = "/o" },
  { type = "overlay", lower = { "/l", "/m" }, upper = "/u", work = "/w", target = "/o", suid = true },
  { type = "overlay", lower = { "/l", "/m" }, target = "/o", ro = true },
  { type = "proc", hidepid = "invisible", subset = "pid", ro = true },
  { type = "proc", target = "/other", protect = false },
  { type = "dev", target = "/dev2" },
  { type = "sys" }, { type = "sys", ro = false },
  { type = "mqueue" },
  { type = "file", target = "/x/f", data = ("\255"):rep(300), mode = 2541, ro = false },
  { type = "dir", target = "/d", mode = 448 },
  { type = "symlink", target = "/s", to = "../x" },
  { type = "mask", target = "/m" },
  { type = "remount", target = "/b", ro = false, dev = true, suid = false, exec = true, recursive = true },
  { type = "propagation", target = "/b", mode = "shared", recursive = true },
}

for i = 1, #MOUNTS do
  specs[#specs + 1] = { "prog", flags = ALL, root = "empty", system = true, mounts = { MOUNTS[i] } }
end
specs[#specs + 1] = { "prog", flags = ALL, root = "/srv/root", read_only = false, mounts = MOUNTS }
specs[#specs + 1] = { "prog", flags = { "mount", "pid", "net", "ipc" }, mounts = MOUNTS }
specs[#specs + 1] = with(sandbox.spec(), {})
specs[#specs + 1] = with(sandbox.spec(), { caps = { "all" }, root = "/", mounts = MOUNTS, disable_userns = false })

specs[#specs + 1] = with(sandbox.spec(), { publish = { [0] = 80 }, reach = { "10.0.0.7:1", ["db.example:2"] = "[::1]:3" },
  network = { interfaces = { br0 = { type = "bridge", addresses = { "10.0.0.1/8", "fd00::1/64" }, mtu = 65535 },
    a = { peer = "b", bridge = "br0", mac = "fe:dc:ba:98:76:54" }, lo = { addresses = "255.0.0.1" }, d = {} },
    routes = { { via = "10.0.0.9" }, { to = "fd01::/64", type = "unreachable" }, { to = "128.0.0.0/1", interface = "b" } },
    sysctl = { ["net.ipv4.conf.a.rp_filter"] = 1 }, hosts = { c = "::ffff:1.2.3.4" }, dns = "10.0.0.1" } })

return specs
