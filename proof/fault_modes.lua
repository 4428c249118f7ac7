--- The modes that the fault matrix goes through: between them every op of the launcher is played. `group`: the host that
-- they need, see proof/faults.lua; `needs`: what the machine must have (machine.can), or the mode is skipped; `trial`:
-- ns.check; `living`: a living box with this one program; `closed`: the host may not look into its launcher.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local modes = {}

local ALL = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }

--- Makes what the modes need in the directory `at`.
function modes.prepare(at)
  local line = "cd %s && mkdir -m 777 lower lower2 upper work tree place && mkdir -p deep/inner/place "
    .. "&& echo 1 >lower/a && echo 2 >lower2/b && "
    .. "echo 3 >tree/c && echo 4 >file && chmod 666 file && chmod 755 ."
  assert(os.execute(line:format(at)))
end

local function with(spec, more)
  local result = {}
  for _, words in ipairs { spec, more } do
    for word, value in pairs(words) do result[word] = value end
  end
  return result
end

--- A sandbox in which the program is to be found.
local function sandbox(at, mounts, more)
  local spec = ns.sandbox():spec()
  table.insert(spec.mounts, { type = "bind", source = at .. "/report", target = "/report", ro = true })
  for _, m in ipairs(mounts or {}) do table.insert(spec.mounts, m) end
  spec.argv = { "/report", "/tmp" }
  return with(spec, more or {})
end

--- Every kind of mount, in an empty root.
local function all_mounts(at, extra)
  local mounts = {
    { type = "bind", source = at .. "/report", target = "/report", ro = true },
    { type = "bind", source = at .. "/tree", target = "/tree" },
    { type = "bind", source = at .. "/missing", target = "/missing", try = true },
    { type = "tmpfs", target = "/tmp", size = "1m", inodes = 100 },
    { type = "proc", ro = true },
    { type = "dev" },
    { type = "mqueue" },
    { type = "overlay", lower = { at .. "/lower", at .. "/lower2" }, target = "/two", ro = true },
    { type = "overlay", lower = at .. "/lower", target = "/one" },
    { type = "overlay", lower = at .. "/lower", target = "/kept", upper = at .. "/upper", work = at .. "/work" },
    { type = "file", target = "/etc/new", data = "new\n" },
    { type = "file", target = "/tree/c", data = "covered\n" },
    { type = "dir", target = "/deep/down/here", mode = 448 },
    { type = "symlink", target = "/links/link", to = "../tree" },
    { type = "bind", source = at .. "/lower", target = "/again" },
    { type = "remount", target = "/again", ro = true, recursive = true },
    { type = "mask", target = "/two" },
    { type = "mask", target = "/etc/new" },
    { type = "propagation", target = "/tree", mode = "unbindable" },
  }
  for _, m in ipairs(extra or {}) do mounts[#mounts + 1] = m end
  return mounts
end

--- A function that does what the program does.
local function report(at, line)
  return function()
    local pipe = io.popen(line or at .. "/report")
    io.write(pipe:read "*a")
    pipe:close()
    os.exit(7)
  end
end

--- What is joined: a sandbox whose program sleeps.
local function make_target(at, group)
  if group ~= "root" and group ~= "nobody" then return { pid = 0 } end
  return assert(ns.spawn(with(sandbox(at), { argv = { "sleep", "1000" }, stdin = "null" })))
end

local function list(at, group)
  local first, second = assert(io.open(at .. "/file")), assert(io.open(at .. "/file", "a"))
  local a, b = core.fileno(first), core.fileno(second)
  local everything = { "/report", "/tree", "/one", "/kept", "/etc", "/links", "/again", "/deep/down", "/dev" }
  local range = { { 0, 100000, 1000 }, { 1000, 200000, 1000 } }
  local target = make_target(at, group)
  return {
    keep = { first, second, target },
    { name = "no namespace", spec = { cwd = at .. "/tree", env = { A = "1" }, umask = 7, session = true, stdin = "null",
      stderr = "stdout" } },
    { name = "descriptors", spec = { stdin = { path = at .. "/file" }, stderr = { path = at .. "/file", append = true },
      fds = { [a] = b, [b] = a, [9] = a } } },
    { name = "closed streams", spec = { stdin = "pipe", input = "x", stderr = "null" }, group = "closed" },
    { name = "detached", spec = { detach = true } },
    { name = "seed", spec = { flags = "uts,ipc,pid,mount", hostname = "namespace", domainname = "dom",
      mount_proc = true } },
    { name = "trial", trial = true, spec = { flags = "uts,mount", hostname = "namespace" } },
    { name = "user", spec = { flags = { "user", "mount", "net", "uts", "cgroup" }, hostname = "box" } },
    { name = "range", spec = { flags = { "user", "mount" }, map = "range" } },
    { name = "maps", spec = { flags = "user", uid_map = range, gid_map = range, user = 1, group = 2,
      groups = { 3, 1001 } } },
    { name = "time", spec = { flags = "time", time = { monotonic = 5, boottime = 1e6 } } },
    { name = "init", spec = { flags = { "pid", "mount" }, mount_proc = true, init = true } },
    { name = "init of a user", spec = { flags = { "user", "pid", "mount" }, mount_proc = true, init = true } },
    { name = "no more users", spec = { flags = { "user", "pid", "mount" }, mount_proc = true, disable_userns = true } },
    { name = "sandbox", spec = sandbox(at) },
    { name = "idmap", spec = sandbox(at, { { type = "overlay", lower = at .. "/lower", target = "/work", idmap = true },
      { type = "bind", source = at .. "/tree", target = "/tree" } }) },
    { name = "pty", spec = { pty = { rows = 10, cols = 20 } } },
    { name = "pty in a root", spec = { pty = true, flags = { "mount", "pid" }, root = "empty", user = 1000, group = 1001,
      argv = { "/report" }, mounts = { { type = "bind", source = at .. "/report", target = "/report" }, { type = "dev" },
        { type = "proc" } } } },
    { name = "mounts", spec = { flags = { "mount", "pid", "ipc", "net" }, root = "empty", argv = everything,
      mounts = all_mounts(at, { { type = "sys" } }) } },
    { name = "mounts of a user", spec = { flags = { "user", "mount", "pid", "ipc", "net" }, root = "empty",
      argv = everything, mounts = all_mounts(at) } },
    { name = "anchors", spec = { flags = { "mount", "pid" }, root = "empty", argv = { "/report", "/deep" }, mounts = {
      { type = "bind", source = at .. "/report", target = "/report", ro = true }, { type = "proc" },
      { type = "bind", source = at .. "/deep", target = "/deep" },
      { type = "tmpfs", target = "/deep/inner/place" } } } },
    { name = "ports", spec = sandbox(at, {}, { publish = { [0] = 80 },
      reach = { "127.0.0.1:9", "192.0.2.1:80", ["db:1"] = "127.0.0.1:1" } }) },
    { name = "interfaces", spec = sandbox(at, {}, { network = { interfaces = {
      br0 = { type = "bridge", addresses = { "10.0.0.1/24", "fd00::1/64" } }, a = { peer = "b", bridge = "br0", mtu = 1400 },
      lo = { addresses = "10.9.9.9" } }, routes = { { via = "10.0.0.9" } }, sysctl = { ["net.ipv4.conf.a.rp_filter"] = 1 },
      hosts = { db = "10.0.0.7" }, dns = "10.0.0.1" } }) },
    { name = "living", living = true, spec = sandbox(at) },
    { name = "living with a pty", living = true, spec = sandbox(at, {}, { pty = true, user = 1000, group = 1001 }) },
    { name = "root", spec = { flags = "mount,pid", root = "/", mount_proc = true,
      mounts = { { type = "propagation", target = "/", mode = "slave", recursive = true } } } },
    { name = "on the host's tree", spec = { flags = "mount", propagation = "slave", mounts = {
      { type = "tmpfs", target = at .. "/place", mode = 448 }, { type = "dir", target = at .. "/place/inner" },
      { type = "mask", target = at .. "/tree" }, { type = "remount", target = at .. "/place", exec = false } } } },
    { name = "privileges", spec = { user = 1000, group = 1001, groups = { 1002, 1003 }, caps = { "kill", "chown" },
      securebits = { "keep_caps", "noroot" }, no_new_privs = true, keyring = "own", oom_score_adj = 10, nice = 5,
      rlimits = { memlock = 0, nproc = { soft = 100, hard = 200 } }, ioprio = { class = "best-effort", level = 6 },
      scheduler = "batch", affinity = 0, personality = { "addr_no_randomize" } } },
    { name = "join", spec = { join = { from = target, "user", "uts", "net", "pid", "mount" }, flags = { "ipc" }, cwd = "/",
      argv = { "/report", "/tmp" }, oom_score_adj = 10 } },
    { name = "join a path", spec = { join = { uts = ("/proc/%d/ns/uts"):format(target.pid) },
      flags = { "user", "mount" } } },
    { name = "filter", spec = { no_new_privs = true, init = true, seccomp = { deny = { "ptrace" }, kill = { "acct" } } } },
    { name = "traced filter", spec = { no_new_privs = true, init = true, seccomp = { trace = true } } },
    { name = "landlock", spec = { landlock = { read = { "/" }, write = { at .. "/tree" }, execute = { "/" },
      tcp_bind = { 80 }, scope = "signal" } } },
    { name = "limits", needs = "limits", spec = { flags = { "cgroup" }, limits = { memory = "64m", pids = 20, cpu = 1 } } },
    { name = "terminal", group = "terminal", spec = { tty = true, stderr = "null" } },

    { name = "function", spec = { cwd = at .. "/tree", fn = report(at) } },
    { name = "function in a sandbox", spec = sandbox(at, {}, { fn = report(at, "/report /tmp") }) },

    { name = "copy of no namespace", group = "copying", spec = { cwd = at .. "/tree" } },
    { name = "copy of seed", group = "copying", spec = { flags = "uts,ipc,pid,mount", hostname = "namespace",
      mount_proc = true } },
    { name = "copy of user", group = "copying", spec = { flags = { "user", "pid", "mount" }, mount_proc = true } },

    { name = "rootless", group = "nobody", spec = { flags = ALL, hostname = "box", mount_proc = true,
      time = { monotonic = 7 } } },
    { name = "rootless join", group = "nobody", closed = true, spec = { join = { from = target },
      argv = { "/report", "/tmp" } } },
    { name = "rootless self", group = "nobody", spec = { flags = "user", map = "self", nice = 19, no_new_privs = true } },
    { name = "rootless, plain", group = "nobody", spec = { no_new_privs = true, umask = 63 } },
    { name = "rootless landlock", group = "nobody", spec = { init = true, landlock = { execute = { "/", "/dev/null" },
      read = { "/" } } } },
    { name = "rootless init", group = "nobody", spec = { flags = { "user", "pid", "mount" }, mount_proc = true,
      init = true } },
    { name = "rootless mounts", group = "nobody", spec = { flags = { "user", "mount", "pid", "ipc", "net" }, root = "empty",
      argv = everything, mounts = all_mounts(at) } },
    { name = "rootless sandbox", group = "nobody", spec = sandbox(at) },
    { name = "rootless copy", group = "copying nobody", spec = { flags = ALL, hostname = "box", mount_proc = true } },
    { name = "newuidmap", group = "nobody", spec = { flags = { "user", "mount" }, map = "auto" } },
  }
end

--- Those of a group, each with a program that tells what it sees; `skipped`: those that this machine cannot have, and why.
function modes.list(at, group)
  local all, result = list(at, group), { skipped = {} }
  for _, mode in ipairs(all) do
    local spec = mode.spec
    if spec.fn then spec.argv = nil else spec.argv = spec.argv or { at .. "/report" } end
    if not spec.pty then spec.stdout, spec.stderr = "pipe", spec.stderr or "pipe" end
    if not (spec.pty or spec.tty or spec.stdin) then spec.stdin = "null" end
    if (mode.group or "root") == group then
      if not mode.needs or machine.can[mode.needs] then
        result[#result + 1] = mode
      else
        table.insert(result.skipped, ("the mode %s: %s"):format(mode.name, machine.why[mode.needs]))
      end
    end
  end
  result.keep = all.keep
  return result
end

return modes
