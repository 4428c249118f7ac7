--- The plan as data: which steps a spec becomes, in which order, for whom.
local check = require "ns.words.check"
local constants = require("ns.core").constants
local plans = require "support.plans"
local sandbox = require "ns.sandbox"
local unpack = table.unpack or unpack -- luacheck: ignore

local ALL = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }

--- Everything that a spec can ask for at once.
local function everything()
  return {
    "prog", flags = ALL, session = true, keyring = "own", propagation = "private", time = { monotonic = 1 },
    oom_score_adj = 5, disable_userns = true, root = "/", system = true, mounts = { { type = "proc" }, { type = "dev" },
      { type = "mask", target = "/srv" }, { type = "file", target = "/f", data = "x" } },
    mount_proc = "/other", hostname = "box", domainname = "dom", fds = { [5] = 0 }, rlimits = { core = 0 }, nice = 1,
    ioprio = "idle", scheduler = "batch", affinity = 0, personality = "linux32", caps = { "kill" }, securebits = "noroot",
    umask = 18, user = 0, group = 0, groups = { 0 }, cwd = "/srv", no_new_privs = true, init = true,
    landlock = { read = { "/" } }, sysctl = { ["net.ipv4.ip_forward"] = 1 },
    network = { interfaces = { br0 = { type = "bridge", addresses = { "10.0.0.1/24", "fd00::1/64" } } },
      routes = { { via = "10.0.0.9" } }, sysctl = { ["net.ipv4.conf.br0.rp_filter"] = 1 } },
    seccomp = "default", reach = { ["[2001:db8::7]:80"] = "127.0.0.1:80" },
  }
end

describe("the order inside:", function()
  local MOUNTS = { "mount", "newroot", "fs", "tree", "overlay", "file", "mkdir", "symlink", "mask", "remount", "propagation",
    "pivot" }
  local steps

  setup(function() steps = plans.steps(everything(), { privileged = true, ends = { [0] = 0, 1, 2, [5] = 7 } }) end)

  --- The words of the spec, earlier to later.
  local PAIRS = {
    { "the host's death is listened for", { op = "pdeathsig" }, "anything else", {}, true },
    { "the ids of the user namespace", { op = "setuid", word = "uid_map" }, "the session", { op = "setsid" } },
    { "the ids of the user namespace", { op = "setuid", word = "uid_map" }, "the first mount call", { op = "mount" } },
    { "the session", { op = "setsid" }, "the streams", { op = "dup" } },
    { "the keyring", { op = "keyring" }, "the ids of the program", { op = "setgroups", word = "groups" } },
    { "private propagation", { op = "mount", path = "/" }, "the new root", { op = "newroot" } },
    { "the time namespace", { op = "unshare" }, "its offsets", { op = "write", path = "/proc/self/timens_offsets" } },
    { "the offsets", { op = "write", path = "/proc/self/timens_offsets" }, "the program", { op = "exec" } },
    { "files of the host's /proc", { op = "write", path = "/proc/self/oom_score_adj" }, "the new root", { op = "newroot" } },
    { "a limit of user namespaces", { op = "sysctl", word = "disable_userns" }, "the new root", { op = "newroot" } },
    { "settings of the network", { op = "sysctl", word = "sysctl" }, "the new root", { op = "newroot" } },
    { "what is taken over", { path = "/proc/sys/net/ipv4/ip_forward" }, "an interface", { from = "bridge br0" } },
    { "an interface", { from = "bridge br0" }, "its settings", { path = "/proc/sys/net/ipv4/conf/br0/rp_filter" } },
    { "the loopback", { op = "loopback" }, "other addresses", { from = "address 10.0.0.1/24 on br0" } },
    { "the last address", { from = "address fe80::65/64 on br0" }, "routes", { from = "route to all via 10.0.0.9" } },
    { "all messages", { op = "netlink" }, "the wait for their effect", { op = "await_local" } },
    { "the wait for addresses", { op = "await_local" }, "the capabilities", { op = "bound" } },
    { "an address to be reached", { from = "address 2001:db8::7/128 on lo" }, "the wait for it",
      { op = "await_local", from = "2001:db8::7" } },
    { "the wait for it", { op = "await_local", from = "2001:db8::7" }, "what listens there", { op = "listen" } },
    { "the system", { op = "tree", path = "/usr" }, "the user's mounts", { op = "fs", type = "proc" } },
    { "proc", { op = "fs", type = "proc", path = "/proc" }, "its masks", { op = "mask", path = "/proc/kcore" } },
    { "the last proc", { op = "fs", type = "proc", path = "/other" }, "pivot_root", { op = "pivot" } },
    { "the last mask", { op = "mask", path = "/other/sched_debug" }, "pivot_root", { op = "pivot" } },
    { "the loopback", { op = "loopback" }, "the capabilities", { op = "bound" } },
    { "pivot_root", { op = "pivot" }, "the host name", { op = "sethostname" } },
    { "pivot_root", { op = "pivot" }, "the streams", { op = "dup" } },
    { "the last descriptor in place", { op = "dup", to = 5 }, "the limits", { op = "rlimit" } },
    { "limits", { op = "rlimit" }, "the ids", { op = "setgroups", word = "groups" } },
    { "priorities", { op = "nice" }, "the ids", { op = "setgroups", word = "groups" } },
    { "the scheduler", { op = "scheduler" }, "the ids", { op = "setgroups", word = "groups" } },
    { "the bounding set", { op = "bound" }, "the ids", { op = "setgroups", word = "groups" } },
    { "securebits", { op = "prctl", word = "securebits" }, "the ids", { op = "setgroups", word = "groups" } },
    { "the umask, which setting up does without,", { op = "umask" }, "the ids", { op = "setgroups", word = "groups" } },
    { "the last file made", { op = "file" }, "the umask", { op = "umask" } },
    { "groups", { op = "setgroups", word = "groups" }, "the group", { op = "setgid", word = "group" } },
    { "the group", { op = "setgid", word = "group" }, "the user", { op = "setuid", word = "user" } },
    { "the user", { op = "setuid", word = "user" }, "the capabilities", { op = "caps" } },
    { "the user", { op = "setuid", word = "user" }, "the working directory", { op = "chdir" } },
    { "pivot_root", { op = "pivot" }, "the working directory", { op = "chdir" } },
    { "the capabilities", { op = "caps" }, "no_new_privs", { op = "prctl", word = "no_new_privs" } },
    { "the streams", { op = "dup" }, "closing all others", { op = "close" } },
    { "closing all others", { op = "close", to = -1 }, "the first limit", { op = "rlimit" } },
    { "closing all others", { op = "close", to = -1 }, "the working directory", { op = "chdir" } },
    { "the init's signals", { op = "signalfd" }, "the first limit", { op = "rlimit" } },
    { "no_new_privs", { op = "prctl", word = "no_new_privs" }, "the init", { op = "init" } },
    { "pivot_root", { op = "pivot" }, "what landlock names", { op = "landlock_path" } },
    { "closing all others", { op = "close", to = -1 }, "the rules of landlock", { op = "landlock" } },
    { "what landlock names", { op = "landlock_path" }, "the limits", { op = "rlimit" } },
    { "no_new_privs", { op = "prctl", word = "no_new_privs" }, "landlock", { op = "landlock_restrict" } },
    { "the init", { op = "init" }, "landlock", { op = "landlock_restrict" } },
    { "landlock", { op = "landlock_restrict" }, "the program", { op = "exec" } },
    { "landlock", { op = "landlock_restrict" }, "the filter of system calls", { op = "seccomp" } },
    { "the init", { op = "init" }, "the filter of system calls", { op = "seccomp" } },
    { "the filter of system calls", { op = "seccomp" }, "the program", { op = "exec" } },
  }
  for _, row in ipairs(PAIRS) do
    it(("%s before %s"):format(row[1], row[3]), function()
      local a, b = plans.find(steps, row[2], not row[5]), plans.find(steps, row[4])
      if row[5] then return assert.equal(1, a) end
      assert.truthy(a and b and a < b, ("%s, %s"):format(tostring(a), tostring(b)))
    end)
  end

  it("no mount call before the one that makes all mounts private, and that one may not fail", function()
    local first = plans.only(steps, unpack(MOUNTS))[1]
    assert.same({ "mount", "/", constants.mount.REC + constants.mount.PRIVATE, nil },
      { first.op, first.path, first.flags, first.ignore })
  end)

  it("the host's death is listened for again after the last change of ids", function()
    local again = plans.find(steps, { op = "pdeathsig" }, true)
    assert.truthy(again > plans.find(steps, { op = "setuid" }, true) and again > plans.find(steps, { op = "caps" }, true))
    for i = again, #steps do assert.is_nil(({ setuid = 1, setgid = 1, setgroups = 1 })[steps[i].op]) end
  end)

  it("nothing between the init and the program but what the init is spared", function()
    assert.same({ "init", "landlock_restrict", "seccomp", "exec" },
      { steps[#steps - 3].op, steps[#steps - 2].op, steps[#steps - 1].op, steps[#steps].op })
  end)
end)

describe("a plan", function()
  it("without words is this", function()
    assert.same({ "ask for a signal at the host's end", "join a new session keyring", "connect stdin to descriptor 0",
      "connect stdout to descriptor 1", "connect stderr to descriptor 2", "close all other descriptors",
      "umask of the host", "drop inheritable capabilities", "exec 'true'" }, plans.words { "true" })
  end)

  it("of the seed is this", function()
    assert.same({ "ask for a signal at the host's end", "join a new session keyring", "make all mounts private",
      "mount proc on /proc", "sethostname 'namespace'", "connect stdin to descriptor 0", "connect stdout to descriptor 1",
      "connect stderr to descriptor 2", "close all other descriptors", "umask of the host", "drop inheritable capabilities",
      "exec '/bin/bash'" },
      plans.words { "/bin/bash", flags = "uts,ipc,pid,mount", hostname = "namespace", mount_proc = true })
  end)

  --- The sandbox of a host, as text: a step a line.
  local function boxed(more)
    local spec = sandbox.spec()
    spec.argv = { "sh" }
    return "\n" .. table.concat(plans.words(spec, more), "\n") .. "\n"
  end

  local START, INSIDE = "\nask for a signal at the host's end\njoin a new session keyring", [[

setsid
make all mounts private
unshare the time namespace
enter /proc/self/ns/time_for_children
write /proc/sys/user/max_user_namespaces
make the new root
link /bin to usr/bin
bind /etc on /etc
link /lib to usr/lib
bind /usr on /usr
mount proc on /proc
mask /proc/keys
mask /proc/key-users
keep /dev of the host open
mount tmpfs on /dev
bind /dev/null on /dev/null
bind /dev/zero on /dev/zero
bind /dev/full on /dev/full
bind /dev/random on /dev/random
bind /dev/urandom on /dev/urandom
bind /dev/tty on /dev/tty
link /dev/core to /proc/kcore
link /dev/fd to /proc/self/fd
link /dev/ptmx to pts/ptmx
link /dev/stderr to /proc/self/fd/2
link /dev/stdin to /proc/self/fd/0
link /dev/stdout to /proc/self/fd/1
mount tmpfs on /dev/shm
mount devpts on /dev/pts
mount tmpfs on /tmp
mount tmpfs on /var/tmp
mount tmpfs on /run
mkdir /home
bring the loopback up
pivot_root
sethostname 'sandbox'
connect stdin to descriptor 0
connect stdout to descriptor 1
connect stderr to descriptor 2
close all other descriptors
make the init's descriptor for signals
rlimit core 1:1
drop capabilities from the bounding set
umask 022
set capabilities
ask for a signal at the host's end
no_new_privs
leave an init behind
filter system calls
exec 'sh'
]]

  it("of root's sandbox is this, with maps that the host writes", function()
    assert.equal(START .. "\nsetgroups\nsetgid 0\nsetuid 0" .. INSIDE, boxed())
  end)

  it("of an ordinary user's sandbox is this, with maps that it writes itself", function()
    assert.equal(START .. "\nwrite /proc/self/setgroups\nwrite /proc/self/gid_map\n"
      .. "write /proc/self/uid_map\nsetgid 0\nsetuid 0" .. INSIDE, boxed(plans.ordinary))
  end)

  it("of the sandbox gives no capability, a read-only root and system, and no way to new privileges", function()
    local spec = sandbox.spec()
    spec.argv = { "sh" }
    local steps = plans.steps(spec)
    assert.equal(0, steps[plans.find(steps, { op = "bound" })].flags)
    local caps = steps[plans.find(steps, { op = "caps" })]
    assert.same({ 0, constants.step.CAPS_ONLY }, { caps.flags, caps.how })
    assert.equal(1 + 2 + 4, steps[plans.find(steps, { op = "pivot" })].flags)
    for _, path in ipairs { "/usr", "/etc" } do
      assert.equal(1 + 2 + 4, steps[plans.find(steps, { op = "tree", path = path })].flags)
    end
    assert.truthy(plans.find(steps, { op = "prctl", which = constants.prctl.SET_NO_NEW_PRIVS, value = 1 }))
  end)
end)

describe("what a word implies:", function()
  local function has(spec, fields)
    local place = plans.find(plans.steps(spec), fields)
    return place
  end

  it("detach lets the program live on after the host", function()
    assert.is_nil(has({ "true", detach = true, user = 5 }, { op = "pdeathsig" }))
  end)

  it("a word that is false is as if it were not there", function()
    local bare = plans.words { "true", flags = "pid,mount" }
    for _, word in ipairs { "session", "mount_proc", "tty", "no_new_privs", "init", "detach", "clear_env" } do
      assert.same(bare, plans.words { "true", flags = "pid,mount", [word] = false })
    end
  end)

  it("a pty has a session of its own, one, and is the controlling terminal of it", function()
    for _, session in ipairs { true, nil } do
      local steps = plans.steps { "true", pty = true, session = session }
      assert.equal(1, #plans.only(steps, "setsid"))
      local take = plans.find(steps, { op = "controlling", fd = 9 })
      assert.truthy(plans.find(steps, { op = "setsid" }) < take)
    end
  end)

  it("a pty is opened in the devpts of the box, if it has one, when all is mounted", function()
    local function ptmx(mounts)
      local steps = plans.steps { "true", flags = "mount", root = "empty", mounts = mounts, pty = true }
      local at = plans.find(steps, { op = "pty" })
      assert(not at or at > plans.find(steps, { op = "pivot" }) and at < plans.find(steps, { op = "controlling", fd = 9 }))
      return at and steps[at].path
    end
    local covered = { { type = "dev" }, { type = "tmpfs", target = "/dev" } }
    assert.equal("/dev/pts/ptmx", ptmx { { type = "dev" } })
    assert.equal("/dev/pts/ptmx", ptmx { { type = "dev" }, { type = "remount", target = "/dev/pts", exec = true } })
    assert.equal("/x/dev/pts/ptmx", ptmx { { type = "dev" }, { type = "dev", target = "/x/dev" } })
    assert.is_nil(ptmx {})
    assert.is_nil(ptmx(covered))
    covered[3] = { type = "dev" }
    assert.equal("/dev/pts/ptmx", ptmx(covered))
  end)

  it("system has an empty root around it", function()
    local words = table.concat(plans.words { "true", flags = "mount", system = true }, "\n")
    assert.matches("make the new root\nlink /bin to usr/bin\nbind /etc on /etc\n", words)
    assert.is_nil(words:find("/srv", 1, true))
  end)

  it("system takes the place of what the root has under the same name", function()
    local steps = plans.steps { "true", flags = "mount", system = true, root = "/rootfs", read_only = false }
    assert.equal("/usr", steps[plans.find(steps, { op = "tree", path = "/usr" })].source)
    assert.equal("/rootfs/srv", steps[plans.find(steps, { op = "tree", path = "/srv" })].source)
  end)

  it("a root is read-only, unless it is not to be; its top is, unless it is an empty one", function()
    local function flags(spec)
      local steps = plans.steps(spec)
      local tree, pivot = plans.find(steps, { op = "tree", path = "/srv" }), plans.find(steps, { op = "pivot" })
      return steps[tree].flags % 2, steps[pivot].flags % 2
    end
    assert.same({ 1, 1 }, { flags { "true", flags = "mount", root = "/" } })
    assert.same({ 1, 1 }, { flags { "true", flags = "mount", root = "/", read_only = true } })
    assert.same({ 0, 1 }, { flags { "true", flags = "mount", root = "/", read_only = false } })
    local empty = plans.steps { "true", flags = "mount", system = true, read_only = false }
    assert.equal(0, empty[plans.find(empty, { op = "pivot" })].flags % 2)
  end)

  it("mount_proc in a root of its own is a mount there, with masks for who could write", function()
    local spec = { "true", flags = "mount,pid", root = "empty", mount_proc = "/p" }
    assert.truthy(has(spec, { op = "fs", type = "proc", path = "/p" }))
    assert.truthy(has(spec, { op = "mask", path = "/p/kcore" }))
    assert.is_nil(has(spec, { op = "mount", type = "proc" }))
  end)

  it("a change of ids has the inheritable capabilities dropped, and asks again for the host's death", function()
    local steps = plans.steps { "true", user = 5 }
    assert.equal(2, #plans.only(steps, "pdeathsig"))
    assert.truthy(plans.find(steps, { op = "caps" }) > plans.find(steps, { op = "setuid" }))
  end)

  it("a user without groups gets none", function()
    local steps = plans.steps { "true", user = 5 }
    assert.equal("", steps[plans.find(steps, { op = "setgroups" })].data)
  end)

  it("capabilities for a user that is not root survive the change of ids", function()
    local steps = plans.steps { "true", user = 5, caps = { "kill", "CAP_CHOWN" } }
    local keep = plans.find(steps, { op = "prctl", which = constants.prctl.SET_KEEPCAPS, value = 1 })
    assert.truthy(keep < plans.find(steps, { op = "setuid" }))
    assert.equal(2 ^ 5 + 1, steps[plans.find(steps, { op = "caps" })].flags)
  end)

  it("propagation is slave where it was asked for", function()
    local steps = plans.steps { "true", flags = "mount", propagation = "slave" }
    assert.equal(constants.mount.REC + constants.mount.SLAVE, steps[plans.find(steps, { op = "mount" })].flags)
  end)

  it("a keyring that was not asked for may be refused by a container", function()
    assert.equal(constants.errno.EPERM, plans.only(plans.steps { "true" }, "keyring")[1].ignore)
    assert.is_nil(plans.only(plans.steps { "true", keyring = "own" }, "keyring")[1].ignore)
    assert.equal(0, #plans.only(plans.steps { "true", keyring = "inherit" }, "keyring"))
  end)
end)

describe("the nearest word", function()
  it("is named where one is near, and none where none is", function()
    local words = { hostname = 1, domainname = 1, env = 1 }
    for word, said in pairs { hostnam = "hostname", hsotname = "hostname", HOSTNAME = "hostname", evn = "env" } do
      assert.equal((" (did you mean '%s'?)"):format(said), check.nearest(word, words))
    end
    for _, word in ipairs { "", "something", ("hostname"):rep(100000) } do assert.equal("", check.nearest(word, words)) end
  end)
end)
