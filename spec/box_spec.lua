--- The builder: a spec that is put together word by word, and used again and again.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local plan = require "ns.start.plan"

--- The error that f raises, without its place, which must be this file.
local function mistake(f)
  local ok, message = pcall(f)
  assert.is_false(ok)
  local rest = message:match("^[^\n]*box_spec%.lua:%d+: (.*)")
  return assert(rest, message)
end

local EXAMPLES = {
  argv = { "true" }, argv0 = "x", flags = { "user", "mount", "pid", "uts", "time" }, detach = true, timeout = 1, grace = 1,
  max_output = 1, map = "self", uid_map = { { 0, 0, 1 } }, gid_map = { { 0, 0, 1 } }, setgroups = "deny", session = true,
  pty = true, keyring = "own", propagation = "slave", time = { boottime = 1 }, oom_score_adj = 1, disable_userns = true,
  root = "/", system = true, read_only = true, mounts = { { type = "dev" } }, mount_proc = true, hostname = "x",
  domainname = "x", input = "x", stdin = "pipe", stdout = "pipe", stderr = "pipe", fds = { [3] = 0 }, tty = true,
  forward_signals = true,
  limits = { pids = 20 },
  rlimits = { core = 0 }, nice = 1, ioprio = "idle", scheduler = "batch", affinity = { 0 }, personality = { "linux32" },
  caps = {}, securebits = { "noroot" }, umask = 18, user = 0, group = 0, groups = { 0 }, cwd = "/", no_new_privs = true,
  sysctl = { ["net.ipv4.ip_forward"] = 1 },
  init = true, env = { A = "1" }, clear_env = true, fn = print, args = { 1 }, join = { net = "/proc/self/ns/net" },
  network = "none", reachable = true, publish = { [8080] = 80 }, reach = { "127.0.0.1:80" },
  landlock = { read = { "/" } }, optional = { "flags.time" },
  seccomp = { deny = { "ptrace" } },
}

describe("a box", function()
  it("has every word of a spec as a method, which returns the box and keeps the value", function()
    for word in pairs(plan.words) do
      local value = EXAMPLES[word]
      assert.truthy(value ~= nil, "no example for " .. word)
      local b = ns.box()
      assert.equal(b, b[word](b, value))
      assert.same({ [word] = value }, b:spec())
    end
  end)

  it("takes a word without an argument as true", function()
    assert.same({ clear_env = true, session = true, init = true }, ns.box():clear_env():session():init():spec())
  end)

  it("takes a table of words for one start, as a container does, and keeps none of them", function()
    local b = ns.box():env("A", "1"):argv("sh", "-c", "echo $A $B; cat")
    assert.equal("1 2\nin", b:run({ env = { B = "2" }, stdin = "in" }).stdout)
    assert.equal("own\n", b:run({ "echo", "own", timeout = 20 }).stdout)
    assert.equal("1\n", b:run().stdout)
    local p = assert(b:spawn { "cat", stdin = "pipe", stdout = "pipe" })
    assert.equal("out", p:communicate("out").stdout)
    assert.matches("1 2", b:explain({ "echo", "1 2" }))
    assert.has_error(function() b:run { hostnam = "x" } end,
      "bad argument #1 to 'run' (hostnam: unknown word (did you mean 'hostname'?))")
  end)

  it("takes users and groups by the names that the host has for them", function()
    local name = machine.read("/etc/group"):match("^([^:]+):")
    assert.same({ name }, ns.box():group(name):groups({ name }):spec().groups)
    assert.has_error(function() ns.box():group("no-such-group") end, "group: 'no-such-group' is not known on this machine")
  end)

  it("clears the variables that it has had where it is told to clear the environment", function()
    local b = ns.box():env("TOKEN", "secret")
    assert.same({ clear_env = true, env = { A = "1" } }, b:clone():clear_env():env("A", "1"):spec())
    assert.same({ clear_env = false, env = { TOKEN = "secret" } }, b:clone():clear_env(false):spec())
    assert.same({ A = "1" }, ns.sandbox({ clear_env = true, env = { A = "1" } }):spec().env)
    assert.same({ clear_env = true, env = { A = "1" } }, ns.box({ clear_env = true, env = { A = "1" } }):spec())
  end)

  it("starts from a spec, whose array part is its argv, or from another box", function()
    local spec = { "echo", "hi", env = { A = "1" } }
    local b = ns.box(spec)
    assert.same({ argv = { "echo", "hi" }, env = { A = "1" } }, b:spec())
    assert.same(b:spec(), ns.box(b):spec())
    assert.same({ "echo", "hi", env = { A = "1" } }, spec)
    assert.equal("hi\n", b:run().stdout)
  end)

  it("gives a plain table, which shares nothing with it", function()
    local b = ns.box():env("A", "1"):tmpfs("/tmp"):unshare("mount")
    local spec = b:spec()
    assert.is_nil(getmetatable(spec))
    spec.env.A, spec.mounts[1].target, spec.flags[1] = "2", "/x", "pid"
    assert.same({ env = { A = "1" }, mounts = { { type = "tmpfs", target = "/tmp" } }, flags = { "mount" } }, b:spec())
  end)

  it("keeps a copy of what it is given", function()
    local env, list = { A = "1" }, { "true" }
    local b = ns.box():env(env):argv(list)
    env.A, list[1] = "2", "false"
    assert.same({ env = { A = "1" }, argv = { "true" } }, b:spec())
  end)

  it("has independent clones", function()
    local a = ns.box():env("A", "1"):tmpfs("/tmp"):unshare("mount")
    local b = a:clone():env("B", "2"):tmpfs("/mnt"):unshare("pid")
    a:env("A", "3")
    assert.same({ env = { A = "3" }, mounts = { { type = "tmpfs", target = "/tmp" } }, flags = { "mount" } }, a:spec())
    assert.same({ A = "1", B = "2" }, b:spec().env)
    assert.equal(2, #b:spec().mounts)
    assert.same({ "mount", "pid" }, b:spec().flags)
  end)

  it("adds namespaces to those that are there, in whatever way they were given", function()
    local sum = ns.CLONE_NEWUTS + ns.CLONE_NEWIPC
    for _, flags in ipairs { sum, "ipc,uts", "CLONE_NEWUTS newipc" } do
      assert.same({ "ipc", "uts", "pid" }, ns.box():flags(flags):unshare("pid"):spec().flags)
    end
  end)

  it("adds variables, and removes the host's with false", function()
    local b = ns.box():env { A = "1", HOME = false }:env("B", "2"):env("C", "")
    assert.same({ A = "1", B = "2", C = "", HOME = false }, b:spec().env)
    assert.equal("12", b:run("sh", "-c", "printf %s \"$A$B$C$HOME\"").stdout)
  end)

  it("adds limits by their names, and takes one away with false", function()
    local b = ns.box():rlimits { nofile = 64, core = 0, cpu = 9 }:rlimits { nofile = 32, cpu = false }
    assert.same({ nofile = 32, core = 0 }, b:spec().rlimits)
    assert.equal("32 0\n", b:run("sh", "-c", "echo $(ulimit -n) $(ulimit -c)").stdout)
    for _, value in ipairs { 1, false } do
      local message = mistake(function() b:rlimits { nofil = value } end)
      assert.equal("rlimits: unknown field 'nofil' (did you mean 'nofile'?)", message)
    end
    assert.same({ nofile = 32, core = 0 }, b:spec().rlimits)
  end)

  it("takes what is no kind of stdin as what is to be fed", function()
    assert.equal("some text", ns.box():stdin("some text"):run("cat").stdout)
    assert.equal("some text", ns.box({ stdin = "some text" }):run("cat").stdout)
    assert.same({ stdin = "null" }, ns.box():stdin("null"):spec())
  end)

  it("has its stdin set anew, from what is to be fed to a kind, and back", function()
    local ROWS = {
      { ns.box():stdin("abc"):stdin("null"), "" },
      { ns.box():stdin("abc"):stdin("pipe"), "" },
      { ns.box({ stdin = "abc" }):clone():stdin("pipe"), "" },
      { ns.box(ns.box():stdin("abc")):stdin("pipe"), "" },
      { ns.box():input("abc"):stdin("null"), "" },
      { ns.box():stdin("null"):stdin("abc"), "abc" },
      { ns.box():stdin({ path = "/dev/null" }):stdin("abc"), "abc" },
      { ns.box():stdin("null"):input("abc"), "abc" },
      { ns.box():stdin("xyz"):stdin("abc"), "abc" },
      { ns.box():stdin("xyz"):input("abc"), "abc" },
      { ns.box():input("xyz"):stdin("abc"), "abc" },
      { ns.box():input("abc"):stdin("pipe"), "abc" },
      { ns.box():stdin("pipe"):input("abc"), "abc" },
    }
    for i, row in ipairs(ROWS) do assert.equal(row[2], row[1]:run("cat").stdout, "row " .. i) end
  end)

  it("keeps its stdin where the new one is refused", function()
    local b = ns.box():stdin("abc")
    assert.is_false(pcall(b.stdin, b, -1))
    assert.is_false(pcall(b.input, b, 1))
    assert.same({ input = "abc" }, b:spec())
  end)

  it("takes map away where maps of one's own are set, and these where map is", function()
    local own = { { 0, 0, 1 } }
    assert.same({ uid_map = own }, ns.box():map("range"):uid_map(own):spec())
    assert.same({ gid_map = own }, ns.box():map("range"):gid_map(own):spec())
    assert.same({ uid_map = own, gid_map = own }, ns.box():uid_map(own):gid_map(own):spec())
    assert.same({ map = "self" }, ns.box():uid_map(own):gid_map(own):map("self"):spec())
    local b = ns.box():map("self")
    assert.is_false(pcall(b.uid_map, b, 3))
    assert.same({ map = "self" }, b:spec())
  end)

  it("has a root directory in the place of the host's system, unless that is set after it", function()
    assert.same({ root = "/srv" }, ns.box():system():root("/srv"):spec())
    assert.same({ root = "/srv", system = true }, ns.box():root("/srv"):system():spec())
    for _, root in ipairs { "/", "empty" } do
      assert.same({ root = root, system = true }, ns.box():system():root(root):spec())
    end
    local b = ns.box():system()
    assert.is_false(pcall(b.root, b, "srv"))
    assert.same({ system = true }, b:spec())
  end)

  it("keeps an object with getfd as it is", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local object = { file = assert(io.open(path, "w")) }
    object.self, object.getfd = object, function(self) return core.fileno(self.file) end
    local b = ns.box():stdout(object)
    assert.equal(object, b:spec().stdout)
    assert.is_true((machine.status(b:spawn("echo", "hi"))))
    object.file:close()
    assert.equal("hi\n", machine.read(path))
  end)

  it("runs again and again, with its own program or another", function()
    local b = ns.box():argv("echo", "own"):env("A", "1")
    for _ = 1, 2 do assert.equal("own\n", b:run().stdout) end
    assert.equal("other\n", b:run("echo", "other").stdout)
    assert.equal("own\n", b:run().stdout)
  end)

  it("is taken by ns.spawn, ns.run, ns.check and ns.explain", function()
    local b = ns.box():argv("sh", "-c", "exit 3")
    assert.same({ nil, "exit", 3 }, { machine.status(ns.spawn(b)) })
    assert.same({ nil, "exit", 3 }, { machine.status(b:spawn()) })
    assert.equal(3, ns.run(b).code)
    assert.is_true(ns.check(b))
    assert.equal(b:explain(), ns.explain(b))
  end)

  it("says whether it would start, without running anything", function()
    local path = os.tmpname()
    os.remove(path)
    assert.is_true(ns.box():check("touch", path))
    assert.is_nil(machine.read(path))
    local ok, message, errno, detail = ns.box():check("/nope")
    assert.same({ nil, "exec '/nope': No such file or directory (ENOENT)", 2, "argv" }, { ok, message, errno, detail.word })
    ok, message = ns.box():cwd("/nope"):check("true")
    assert.same({ nil, "chdir /nope: No such file or directory (ENOENT)" }, { ok, message })
  end)

  it("explains the steps that it would play, in words", function()
    local text = ns.box():unshare("uts", "ipc", "pid", "mount"):hostname("namespace"):mount_proc():rlimits { core = 0 }
      :explain("/bin/bash")
    assert.equal([[
clone (mount, pid, ipc, uts)
ask for a signal at the host's end
join a new session keyring
make all mounts private
mount proc on /proc
sethostname 'namespace'
connect stdin to descriptor 0
connect stdout to descriptor 1
connect stderr to descriptor 2
close all other descriptors
rlimit core 1:1
umask of the host
drop inheritable capabilities
exec '/bin/bash'
]], text)
  end)

  it("explains mounts by what they bind, make and link", function()
    local b = ns.box():unshare("mount"):root("empty"):bind("/usr"):ro_bind("/etc", "/conf"):tmpfs("/tmp")
      :file("/motd", "hi"):symlink("/bin", "usr/bin"):dir("/srv"):overlay("/opt"):mask("/conf/shadow")
    local text = "\n" .. b:explain("true"):gsub(" %([^\n]*", "")
    for _, line in ipairs { "make the new root", "bind /usr on /usr", "bind /etc on /conf", "mount tmpfs on /tmp",
      "file /motd", "link /bin to usr/bin", "mkdir /srv", "mount overlay of /opt on /opt", "mask /conf/shadow",
      "pivot_root" } do
      assert.truthy(text:find("\n" .. line .. "\n", 1, true), line)
    end
  end)
end)

describe("a spec for a sandbox", function()
  it("is set over its words, as their methods do", function()
    local words = { "true", timeout = 1, rlimits = { nofile = 64 }, env = { HOME = false, A = "1" }, hostname = "x",
      mounts = { { type = "dev" } }, stdin = "abc" }
    local b = ns.sandbox():argv("true"):timeout(1):rlimits({ nofile = 64 }):env({ HOME = false, A = "1" }):hostname("x")
      :mounts({ { type = "dev" } }):stdin("abc")
    assert.same(b:spec(), ns.sandbox(words):spec())
    assert.same({ core = 0, nofile = 64 }, ns.sandbox(words):spec().rlimits)
    assert.same(b:spec(), ns.sandbox(b):spec())
    assert.same({ nofile = 64 }, words.rlimits)
  end)

  it("takes the place of what cannot stand beside it", function()
    local spec = ns.sandbox({ uid_map = { { 0, 0, 1 } }, gid_map = { { 0, 0, 1 } }, root = "/srv" }):spec()
    assert.same({}, { spec.map, spec.system })
    assert.is_true(ns.sandbox({ root = "/srv", system = true }):spec().system)
    assert.is_true(ns.sandbox({ root = "empty" }):spec().system)
  end)

  it("raises its mistakes at the caller's line", function()
    for text, spec in pairs {
      ["timout: unknown word (did you mean 'timeout'?)"] = { timout = 1 },
      ["timeout: seconds expected, got string"] = { timeout = "1" },
      ["spec: table expected, got number"] = 5,
    } do
      assert.equal(("bad argument #1 to 'sandbox' (%s)"):format(text), mistake(function() ns.sandbox(spec) end))
    end
  end)
end)

describe("a function of the module", function()
  it("says so where it is called with a colon", function()
    for _, name in ipairs { "run", "spawn", "check", "explain", "box", "sandbox", "features", "wait" } do
      assert.equal("call it with a dot: ns." .. name, mistake(function() return ns[name](ns, { "true" }) end))
    end
  end)
end)

describe("the mount methods of a box", function()
  local ROWS = {
    { "bind", { "/usr" }, { type = "bind", source = "/usr" } },
    { "bind", { "/usr", "/u" }, { type = "bind", source = "/usr", target = "/u" } },
    { "bind", { "/usr", { try = true } }, { type = "bind", source = "/usr", try = true } },
    { "bind", { 0, "/in" }, { type = "bind", source = 0, target = "/in" } },
    { "bind", { "/usr", "/u", { dev = true } }, { type = "bind", source = "/usr", target = "/u", dev = true } },
    { "ro_bind", { "/usr" }, { type = "bind", source = "/usr", ro = true } },
    { "ro_bind", { "/usr", "/u", { exec = false } },
      { type = "bind", source = "/usr", target = "/u", ro = true, exec = false } },
    { "tmpfs", { "/tmp" }, { type = "tmpfs", target = "/tmp" } },
    { "tmpfs", { "/tmp", { size = "64m", mode = 511 } }, { type = "tmpfs", target = "/tmp", size = "64m", mode = 511 } },
    { "proc", {}, { type = "proc" } },
    { "proc", { { hidepid = "invisible" } }, { type = "proc", hidepid = "invisible" } },
    { "dev", { "/d" }, { type = "dev", target = "/d" } },
    { "sys", {}, { type = "sys" } },
    { "mqueue", {}, { type = "mqueue" } },
    { "dir", { "/x", { mode = 448 } }, { type = "dir", target = "/x", mode = 448 } },
    { "remount", { "/x", { ro = true } }, { type = "remount", target = "/x", ro = true } },
    { "file", { "/f", "data" }, { type = "file", target = "/f", data = "data" } },
    { "file", { "/f", "", { mode = 256 } }, { type = "file", target = "/f", data = "", mode = 256 } },
    { "symlink", { "/l", "to" }, { type = "symlink", target = "/l", to = "to" } },
    { "mask", { "/a" }, { type = "mask", target = "/a" } },
    { "readonly", { "/a" }, { type = "readonly", target = "/a" } },
    { "overlay", { "/src" }, { type = "overlay", lower = "/src", target = "/src" } },
    { "overlay", { { "/a", "/b" }, "/m" }, { type = "overlay", lower = { "/a", "/b" }, target = "/m" } },
    { "overlay", { "/a", "/m", { upper = "/u", work = "/w" } },
      { type = "overlay", lower = "/a", target = "/m", upper = "/u", work = "/w" } },
  }

  local unpack = table.unpack or unpack -- luacheck: ignore

  it("add one mount after the other", function()
    local b, expected = ns.box(), {}
    for i, row in ipairs(ROWS) do
      assert.equal(b, b[row[1]](b, unpack(row[2])))
      expected[i] = row[3]
    end
    assert.same({ mounts = expected }, b:spec())
  end)

  it("follow what the word mounts has set", function()
    local b = ns.box():mounts({ { type = "dev" } }):mask("/a", "/b")
    assert.same({ { type = "dev" }, { type = "mask", target = "/a" }, { type = "mask", target = "/b" } }, b:spec().mounts)
  end)

  it("leave the box as it was when they are refused", function()
    local b = ns.box():tmpfs("/tmp")
    assert.is_false(pcall(b.tmpfs, b, "tmp"))
    assert.is_false(pcall(b.tmpfs, b, "/tmp", "64m"))
    assert.same({ { type = "tmpfs", target = "/tmp" } }, b:spec().mounts)
  end)
end)

describe("a mount that a box has", function()
  it("is taken away by its place, however that was written", function()
    local b = ns.box():proc():tmpfs("/a/b/"):bind("/usr"):overlay("/etc", "/x"):tmpfs("/run")
    b:unmount("/proc", "//a/./b", "/usr"):unmount("/x")
    assert.same({ mounts = { { type = "tmpfs", target = "/run" } } }, b:spec())
    assert.equal("unmount: this box mounts nothing at '/usr'", mistake(function() b:unmount("/usr") end))
    assert.equal("unmount: absolute path expected, got 'run'", mistake(function() b:unmount("run") end))
  end)

  machine.it("user")("and taken away is not in a sandbox", function()
    local line = "mkdir /run/x 2>/dev/null || echo not there; test -e /tmp && echo there"
    assert.equal("not there\nthere\n", assert(ns.sandbox():unmount("/run", "/dev"):run("sh", "-c", line)).stdout)
  end)

  it("and that shows a namespace, in a user namespace needs it", function()
    for _, row in ipairs { { "proc", "pid" }, { "sys", "net" }, { "mqueue", "ipc" } } do
      local kind, of = row[1], row[2]
      local b = ns.box { "true", flags = { "user", "mount" }, root = "empty" }
      assert.equal(("bad argument #1 to 'spawn' (mounts[2]: '%s' needs '%s' in flags)"):format(kind, of),
        mistake(function() b:dev()[kind](b):spawn() end))
    end
  end)
end)

describe("a box shares with the host", function()
  it("the namespaces that it is told to, and keeps the others", function()
    assert.same({ flags = { "pid", "uts" } }, ns.box():unshare("user", "pid", "net", "uts"):share("user", "net"):spec())
    assert.same({ flags = { "pid" } }, ns.box():flags("uts,pid"):share("uts", "ipc"):spec())
    assert.same({ flags = {} }, ns.box():share("CLONE_NEWNET"):spec())
  end)

  it("and mounts nothing any more that only its own could have", function()
    local b = ns.box():unshare("pid", "net", "ipc"):mount_proc():proc():dev():sys():mqueue()
    assert.same({ { type = "dev" }, { type = "sys" }, { type = "mqueue" } }, b:share("pid"):spec().mounts)
    assert.same({ flags = {}, mounts = { { type = "dev" } } }, b:share("net", "ipc"):spec())
  end)

  machine.it("user")("its processes, from a sandbox that stays one", function()
    local r = assert(ns.sandbox():share("pid"):ro_bind("/proc"):run("sh", "-c", "readlink /proc/self/ns/pid; echo $$"))
    assert.equal(machine.sh({}, "readlink /proc/self/ns/pid"), r.stdout:match("^(%S+)\n"))
  end)

  it("and no longer says how that is to look", function()
    local b = ns.box():unshare("uts", "time"):hostname("a"):domainname("b"):time { boottime = 1 }
    assert.same({ flags = { "time" }, time = { boottime = 1 } }, b:clone():share("uts"):spec())
    assert.same({ flags = { "uts" }, hostname = "a", domainname = "b" }, b:share("time"):spec())
  end)

  machine.it("user")("its network, from a sandbox that stays one", function()
    local mine = { net = machine.sh({}, "readlink /proc/self/ns/net"), ipc = machine.sh({}, "readlink /proc/self/ns/ipc") }
    local r = assert(ns.sandbox():share("net", "ipc"):run("sh", "-c", "cd /proc/self/ns && readlink net ipc pid"))
    local net, ipc, pid = r.stdout:match("^(%S+)\n(%S+)\n(%S+)\n$")
    assert.same({ mine.net, mine.ipc }, { net, ipc })
    assert.not_equal(machine.sh({}, "readlink /proc/self/ns/pid"), pid)
  end)
end)

describe("a mistake in a box is an error at the caller's line:", function()
  local ROWS = {
    { "a spec that is none", function() ns.box(3) end, "bad argument #1 to 'box' (spec: table expected, got number)" },
    { "an unknown word", function() ns.box { hostnam = "x" } end,
      "bad argument #1 to 'box' (hostnam: unknown word (did you mean 'hostname'?))" },
    { "a wrong value in a spec", function() ns.box { umask = -1 } end,
      "bad argument #1 to 'box' (umask: -1 is out of range, 0 to 511, octal '0777')" },
    { "a wrong value", function() ns.box():hostname("") end, "hostname: empty string" },
    { "no value", function() ns.box():cwd() end, "cwd: value missing" },
    { "nil as value", function() ns.sandbox():map(nil) end, "map: value missing" },
    { "nil as the value of a switch", function() ns.box():detach(nil) end, "detach: value missing" },
    { "a variable that is not set", function() ns.box():env("API_KEY", os.getenv "NS_MISSING") end,
      "env.API_KEY: value missing; false removes it" },
    { "a variable without a value", function() ns.box():env "HOME" end, "env.HOME: value missing; false removes it" },
    { "an argument that is nil, at the end", function() ns.box():argv("cat", nil) end, "argv[2]: missing" },
    { "one of the program's", function() ns.box():run("cat", os.getenv "NS_MISSING") end,
      "bad argument #1 to 'run' (argv[2]: missing)" },
    { "a program that is nil", function() ns.box { "true" }:spawn(nil) end,
      "bad argument #1 to 'spawn' (argv[1]: missing)" },
    { "a path to mask that is nil", function() ns.box():mask("/a", nil) end, "mask[2]: missing" },
    { "a namespace that there is not, beside others", function() ns.sandbox():unshare("foo") end,
      "unshare[1]: unknown namespace 'foo'" },
    { "an unknown namespace", function() ns.box():unshare("uts", "pit") end,
      "unshare[2]: unknown namespace 'pit' (did you mean 'pid'?)" },
    { "an unknown namespace to share", function() ns.box():share("nett") end,
      "share[1]: unknown namespace 'nett' (did you mean 'net'?)" },
    { "a word that other tools have", function() ns.box { memory = "1g" } end,
      "bad argument #1 to 'box' (memory: unknown word; use limits = { memory = BYTES }, or rlimits = { as = BYTES }, "
        .. "which holds for each process)" },
    { "a method that other tools have", function() ns.box():volume("/src", "/src") end,
      "volume: unknown word; use an entry of mounts, as { type = 'bind', source = PATH, target = PATH }" },
    { "a limit as a word", function() ns.box():nofile(64) end, "nofile: unknown word; use rlimits = { nofile = N }" },
    { "a method that is spelt otherwise", function() ns.box():tmpsf("/x") end,
      "tmpsf: unknown method (did you mean 'tmpfs'?)" },
    { "a word that is spelt otherwise", function() ns.box():hostnam("x") end,
      "hostnam: unknown method (did you mean 'hostname'?)" },
    { "a method like no other", function() ns.box():frobnicate() end, "frobnicate: unknown method" },
    { "the same namespace again", function() ns.box():unshare("uts"):unshare("uts") end, "flags[2]: 'uts' is given twice" },
    { "a wrong variable", function() ns.box():env("A=", "x") end, "env.A=: 'A=' cannot be a name" },
    { "variables that are no table", function() ns.box():env(1) end, "env: table expected, got number" },
    { "a wrong argument", function() ns.box():argv("a", 1) end, "argv[2]: string expected, got number" },
    { "no argument", function() ns.box():argv() end, "argv: empty list" },
    { "a wrong stdin", function() ns.box():stdin(-1) end, "stdin: -1 is out of range, 0 to 2147483647" },
    { "a relative source", function() ns.box():bind("x") end, "bind.source: absolute path expected, got 'x'" },
    { "a relative target", function() ns.box():tmpfs("x") end, "tmpfs.target: absolute path expected, got 'x'" },
    { "an unknown option", function() ns.box():tmpfs("/x", { siz = 1 }) end,
      "tmpfs: unknown field 'siz' (did you mean 'size'?)" },
    { "options that are no table", function() ns.box():tmpfs("/x", "64m") end,
      "tmpfs: table of options expected, got string" },
    { "no path to mask", function() ns.box():mask() end, "mask: place missing" },
    { "no place to unmount", function() ns.sandbox():unmount() end, "unmount: place missing" },
    { "no namespace to share", function() ns.sandbox():share() end, "share: name missing" },
    { "no namespace to add", function() ns.box():unshare() end, "unshare: name missing" },
    { "no source", function() ns.box():bind(nil) end, "bind.source: missing" },
    { "no lower", function() ns.box():overlay(nil) end, "overlay.lower: missing" },
    { "no target of a file", function() ns.box():file(nil, "x") end, "file.target: missing" },
    { "a bind that is read-only, and is not", function() ns.box():ro_bind("/usr", "/x", { ro = false }) end,
      "ro_bind.ro: false contradicts it; what is to be writable is for bind" },
    { "a bind that is read-only, and is not, without a target", function() ns.box():ro_bind("/usr", { ro = false }) end,
      "ro_bind.ro: false contradicts it; what is to be writable is for bind" },
    { "a mask as a decimal number", function() ns.box():umask(22) end,
      "umask: 22 is '026' in octal: as a string '022', if that is meant" },
    { "a mask of nothing", function() ns.box():mask("/a", "b") end, "mask.target: absolute path expected, got 'b'" },
    { "a word that needs another, at the start", function() ns.box():hostname("x"):spawn("true") end,
      "bad argument #1 to 'spawn' (hostname: needs 'uts' in flags)" },
    { "a hole in the arguments", function() ns.box():run("a", nil, "b") end, "bad argument #1 to 'run' (argv[2]: missing)" },
    { "a number to check", function() ns.box():check(1) end,
      "bad argument #1 to 'check' (argv[1]: string expected, got number)" },
    { "nothing to explain", function() ns.box():explain() end, "bad argument #1 to 'explain' (argv: missing)" },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function() assert.equal(row[3], mistake(row[2])) end)
  end

  it("an error of the caller's own object comes through as it is", function()
    local own = {}
    local object = { getfd = function() error(own) end }
    local ok, e = pcall(function() ns.box():stdin(object) end)
    assert.same({ false, true }, { ok, rawequal(e, own) })
  end)
end)
