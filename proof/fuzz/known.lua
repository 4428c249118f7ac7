--- Specs by number, for every word, every kind of mount and the usual mistakes. The builder's bytes mean something else with
-- each new word; these always get as far as they did, whatever the answers of the host are. At the end more may be added.
local ALL = { "user", "mount", "pid", "net", "uts", "ipc", "cgroup", "time" }

local mounts = {
  { { type = "tmpfs", target = "/tmp" }, { type = "tmpfs", target = "/a", mode = "0755", size = "64k", inodes = 9,
    ro = true },
    { type = "tmpfs", target = "/b", mode = 493, size = 4096, dev = true, suid = true, exec = false } },
  { { type = "proc" }, { type = "proc", target = "/p", hidepid = "invisible", subset = "pid", ro = true },
    { type = "proc", target = "/q", protect = false } },
  { { type = "dev" }, { type = "sys" }, { type = "sys", target = "/s", ro = false }, { type = "mqueue" } },
  { { type = "bind", source = "/usr" }, { type = "bind", source = 1, target = "/one", ro = true },
    { type = "bind", source = "/a", target = "/x", try = true, nofollow = true },
    { type = "bind", source = "/a", target = "/y", idmap = "owner" },
    { type = "bind", source = "/a", target = "/z", idmap = { { 0, 0, 5 }, { 7, 7, 1 } } } },
  { { type = "overlay", target = "/o", lower = "/a" },
    { type = "overlay", target = "/u", lower = { "/a", "/usr" }, upper = "/tmp",
    work = "/work" }, { type = "overlay", target = "/i", lower = "/a", idmap = true } },
  { { type = "file", target = "/etc/f", data = "x", mode = "0640" },
    { type = "file", target = "/g", data = "", ro = false },
    { type = "dir", target = "/d" }, { type = "dir", target = "/e", mode = 448 },
    { type = "symlink", target = "/l", to = "d" } },
  { { type = "remount", target = "/", ro = true, recursive = true },
    { type = "remount", target = "/a", exec = true, suid = false },
    { type = "mask", target = "/a/b" }, { type = "propagation", target = "/", mode = "slave", recursive = true } },
  -- mistakes
  { { type = "bind", source = 77, target = "/a" } }, { { type = "bind", source = "/a", readonly = true } },
  { { type = "bind", source = "/a", idmap = "other" } }, { { type = "bind", source = "/a", idmap = { { 1, 2 } } } },
  { { type = "bind", source = "/a", nodev = true } }, { { type = "bnd", target = "/a" } }, { { target = "/a" } },
  { { type = "overlay", target = "/a", lower = "/b", upper = "/c" } }, { { type = "file", target = "/a", data = 5 } },
  { { type = "overlay", target = "/a", lower = { "/b", "/c" }, idmap = true } }, { { type = "tmpfs" } }, { "/a" },
  { { type = "tmpfs", target = "/" } }, { { type = "tmpfs", target = "/../a" } }, { { type = "symlink", target = "/a" } },
  { { type = "tmpfs", target = "/a", mode = 755 } }, { { type = "dir", target = "/a", mode = "0999" } },
  { { type = "dir", target = "/a", mode = 99999 } }, { { type = "tmpfs", target = "/a", size = "010" } },
  { { type = "tmpfs", target = "/a", size = "200%" } },
}

local many = {}
for i = 1, 40 do many[i] = { type = "dir", target = "/" .. i } end

--- More than a plan takes: fifty times the same bytes.
local huge, heavy = ("x"):rep(2 ^ 20 // 1), {}
for i = 1, 50 do heavy[i] = { type = "file", target = "/f" .. i, data = huge } end

local words = {
  { root = "empty", cwd = "/", mounts = many }, { root = "/", system = true, mount_proc = true, mounts = heavy },
  { root = "/usr", mount_proc = "/proc", read_only = false }, { root = "/a" }, { root = "/a/b" },
  { root = "/", cwd = "a" },
  { root = "/", "a/b" }, { read_only = true }, { mount_proc = true, propagation = "slave" }, { mount_proc = false },
  { hostname = "h", domainname = "d", time = { monotonic = 1.5, boottime = -3 } }, { time = { monotonic = 7 } },
  { pty = true, init = true }, { pty = { rows = 3 } }, { pty = { cols = 9 }, input = "x" }, { pty = false },
  { pty = true, tty = true },
  { tty = true, session = false }, { tty = true, session = true }, { keyring = "inherit" }, { keyring = "own" },
  { stdin = { path = "/dev/null" }, stdout = { path = "/tmp/a", append = true }, stderr = "stdout" },
  { stdin = { append = true } },
  { stdin = { path = "/a", append = true } }, { stdout = { path = "a" } }, { stdin = "nul" },
  { stdin = "rubbish of all kinds" },
  { stdin = 77 }, { stdout = io.stdout, stdin = io.stdin }, { stdin = true }, { input = "x" }, { input = 5 },
  { input = "x", stdin = "null" }, { stdin = "pipe", stdout = "pipe", stderr = "pipe" },
  { fds = { [3] = 1, [5] = io.stdout, [9] = 3 } },
  { fds = { [3] = {} } }, { fds = 5 }, { stdout = { getfd = function() return 1 end } },
  { stdout = 0, stderr = 1, stdin = 2 },
  { rlimits = { nofile = 64, cpu = { soft = 1, hard = 2 }, core = "unlimited" } }, { rlimits = { nofiles = 1 } },
  { rlimits = { cpu = { soft = 3, hard = 2 } } }, { caps = { "all" } }, { caps = { "net_admin", "CAP_CHOWN" } },
  { caps = { "all", "kill" } },
  { caps = { "chwon" } }, { caps = { 5 } }, { caps = { "chown" }, user = 5, securebits = "noroot" },
  { caps = {}, user = "root" },
  { caps = { "chown" }, securebits = { "no_cap_ambient_raise" } },
  { caps = { "chown" }, user = 5, securebits = { "keep_caps_locked" } },
  { user = 1, group = 2, groups = { 3, 4 } }, { user = "no such user" }, { user = "nobody" }, { user = 99999 },
  { groups = { 99999 } },
  { securebits = "nonsense" }, { securebits = { {} } }, { personality = { "linux32", "linux32" } },
  { scheduler = "batch" }, { scheduler = "fifo" }, { scheduler = { policy = "rr", priority = 3 } }, { scheduler = {} },
  { scheduler = { policy = "other", priority = 3 } }, { ioprio = "none" }, { ioprio = "idle" },
  { ioprio = { class = "realtime" } },
  { ioprio = {} }, { ioprio = { class = "none", level = 3 } }, { affinity = 0 }, { affinity = { 0, 9, 70 } },
  { nice = 5, umask = "022" },
  { umask = 18 }, { umask = 755 }, { oom_score_adj = 5 }, { no_new_privs = true, detach = true, init = true },
  { session = false, job = true },
  { env = { A = "1", B = false } }, { env = { [""] = "x" } }, { env = { [5] = "x" } }, { env = { A = 5 } },
  { clear_env = true, env = { A = "b" } },
  { env = { A = ("x"):rep(131070) } }, { map = "root" }, { map = "self" }, { map = "auto" },
  { map = "range", setgroups = "deny" },
  { map = "root", uid_map = { { 0, 0, 1 } } }, { uid_map = { { 0, 1000, 1 } }, gid_map = { { 0, 1000, 1 } } },
  { uid_map = { { 5, 0, 1 } } },
  { setgroups = "allow" }, { memory = 5 }, { share = "net" }, { volumes = {} }, { [true] = 1 }, { argv = { "a" } },
  { timeout = 5, grace = 1 },
  { max_output = 5, argv0 = "x" },
  { flags = {}, join = { net = "/a", uts = 1, mount = io.stdin } }, { flags = {}, join = { from = 7 }, cwd = "/" },
  { flags = { "mount" }, join = { from = 7, "user", "pid" }, mount_proc = true, user = 5, oom_score_adj = 5 },
  { flags = { "user", "time" }, join = { from = 8, "net", uts = "/a" } }, { join = { from = 7, "net" } }, { join = {} },
  { flags = {}, join = { "net" } }, { flags = {}, join = { net = "a" } }, { flags = {}, join = { net = 77 } },
  { flags = {}, join = { from = 0 } }, { flags = {}, join = { from = 9 } }, { flags = {}, join = { nett = "/a" } },
  { flags = { "time" }, time = { monotonic = 7 }, join = { user = "/a" } },
  { argv = false, fn = print }, { argv = false, fn = print, args = { 1, n = 3 }, init = true }, { args = {} },
  { fn = print },
  { network = "none" }, { network = "host" }, { network = "pasta" }, { network = "pasta", reach = { "a:1" } },
  { network = { "pasta", dns = "10.0.0.1", hosts = { a = "10.0.0.1", b = { "::1", "10.0.0.2" } } } },
  { network = { "host", dns = { "::1", search = { "a.b" }, options = { "ndots:2" } } } },
  { network = { "host", routes = {} } },
  { network = { interfaces = { br0 = { type = "bridge", addresses = { "10.0.0.1/8", "fd00::1/64" }, mtu = 1400 },
    a = { peer = "b", bridge = "br0", mac = "02:00:00:00:00:01" }, b = { up = false }, d = {},
    lo = { addresses = "10.9.9.9" } },
    routes = { { via = "10.0.0.9" }, { to = "10.1.0.0/16", interface = "b" }, { to = "default", via = "fd00::9" },
      { to = "fd01::/64", type = "unreachable" }, { to = "10.2.0.1", type = "blackhole" } },
    sysctl = { ["net.ipv4.ip_forward"] = 1, ["net.ipv4.conf.a.rp_filter"] = 2 } } },
  { network = { interfaces = { a = { peer = "a" } } } }, { network = { interfaces = { a = { bridge = "b" } } } },
  { network = { interfaces = { a = { addresses = { "x" } } } } }, { network = { routes = { { via = "10.0.0.1" } } } },
  { publish = { [0] = 80, ["0.0.0.0:8080"] = "10.0.0.7:80", ["[::1]:0"] = 443 } }, { publish = { [1] = "/a" } },
  { publish = { ["a:1"] = 1 } }, { publish = { [70000] = 1 } }, { reachable = true }, { reachable = true, init = false },
  { reach = { "127.0.0.1:5432", "10.0.0.7:1", "[fd00::7]:1" } }, { reach = { "a" } }, { reach = { "a:1", "a:1" } },
  { sysctl = { ["net.ipv4.ip_forward"] = 1, ["net/ipv4/conf/a.b/rp_filter"] = "2" } }, { sysctl = { ["kernel.x"] = 1 } },
  { argv = false, fn = "x" }, { argv = false, fn = print, fds = { [0x7ff] = 1 }, pty = true },
}

local known = {}
for _, list in ipairs(mounts) do known[#known + 1] = { root = "empty", mounts = list } end
for _, spec in ipairs(words) do known[#known + 1] = spec end

--- The n-th, as a table of its own. Each bit of `less` takes a namespace away.
return function(n, less)
  local spec = { flags = {}, "/bin/true" }
  for i, name in ipairs(ALL) do
    if less // 2 ^ (i - 1) % 2 == 0 then table.insert(spec.flags, name) end
  end
  for word, value in pairs(known[n % #known + 1]) do spec[word] = value end
  if spec.argv == false then spec.argv, spec[1] = nil, nil end -- a function is in its place
  return spec
end
