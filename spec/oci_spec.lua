--- Bundles: what a program sees of one, by ns as by crun and runc; and what of a configuration no word can carry.
local bundles = require "support.bundles"
local check = require "ns.words.check"
local machine = require "support.machine"
local ns = require "ns"
local oci_read = require "ns.oci.read"
local sorted = require "ns.words.sorted"
local unpack = unpack or table.unpack -- luacheck: ignore

--- A place for what is made there.
local function with_directory(f)
  local directory, remove = machine.directory()
  local ok, result, more = pcall(f, directory)
  remove()
  if not ok then error(result, 0) end
  return result, more
end

-- ---- what the program sees ----

--- A closed program of root.
local function closed(c, directory)
  c.process.env, c.process.cwd = { "PATH=/bin", "A=1", "A=2" }, "/data"
  table.insert(c.process.rlimits, { type = "RLIMIT_CORE", soft = 2 ^ 64, hard = 2 ^ 64 })
  c.process.oomScoreAdj = 300
  c.linux.readonlyPaths = { "/proc/sys", "/proc/fs" }
  for _, path in ipairs { "/etc/passwd", "/srv", "/no/where" } do table.insert(c.linux.maskedPaths, path) end
  c.linux.sysctl = { ["net.ipv4.ip_forward"] = "1" }
  machine.file(directory .. "/one", "one\n")
  table.insert(c.mounts, { destination = "/a", type = "tmpfs", source = "tmpfs",
    options = { "nosuid", "nodev", "noexec", "mode=1700", "size=64k" } })
  table.insert(c.mounts, { destination = "/b", source = ".", options = { "rbind", "ro", "nosuid" } })
  c.linux.devices = { { path = "/dev/nought", type = "c", major = 1, minor = 3, fileMode = 438, uid = 0, gid = 0 },
    { path = "/dev/full", type = "c", major = 1, minor = 5, fileMode = 438, uid = 0, gid = 0 } }
  table.insert(c.mounts, { destination = "/etc/one", source = directory .. "/one", options = { "bind", "ro" } })
  c.linux.seccomp = { defaultAction = "SCMP_ACT_ALLOW", architectures = { "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64" },
    syscalls = { { names = { "mkdir", "mkdirat", "no_such_call" }, action = "SCMP_ACT_ERRNO", errnoRet = 28 },
      { names = { "chmod", "fchmodat", "fchmodat2" }, action = "SCMP_ACT_ERRNO" },
      { names = { "personality" }, action = "SCMP_ACT_ERRNO",
        args = { { index = 0, value = 4294967295, op = "SCMP_CMP_NE" } } } } }
end

--- One of root's to whom less is permitted than the bounding set has.
local function lesser(c)
  c.process.capabilities = { bounding = { "CAP_CHOWN", "CAP_KILL" }, permitted = { "CAP_CHOWN" },
    effective = { "CAP_CHOWN" } }
  c.mounts[1].options = { "hidepid=2" }
  c.process.cwd, c.root.readonly = "/new/place", true
end

--- One that is a user, and may write its root.
local function open(c)
  c.process.user = { uid = 33, gid = 34, additionalGids = { 35, 36 }, umask = 22 }
  c.process.noNewPrivileges, c.root.readonly = false, false
  c.process.capabilities = { bounding = { "CAP_SETUID" }, effective = { "CAP_SETUID" }, permitted = { "CAP_SETUID" } }
end

--- One in a user namespace, with a capability that is ambient.
local function mapped(c, directory)
  table.insert(c.linux.namespaces, { type = "user" })
  c.linux.uidMappings = { { containerID = 0, hostID = 100000, size = 1000 } }
  c.linux.gidMappings = { { containerID = 0, hostID = 100000, size = 1000 } }
  c.process.user.uid = 5
  c.process.capabilities.ambient = { "CAP_CHOWN" }
  os.execute("chmod 755 " .. directory)
end

local READ_ONLY = "Read-only file system"

-- {of which configuration, what is looked at, a shell line, what that says}
local SEEN = {
  { closed, "its environment, of which the last of a name counts", "env | grep -e ^A= -e ^PATH= | sort", "A=2\nPATH=/bin" },
  { closed, "its directory", "pwd", "/data" },
  { closed, "its host name", "hostname", "bundle" },
  { closed, "its limits", "ulimit -Sn; ulimit -Hn; ulimit -Hc", "512\n1024\nunlimited" },
  { closed, "its oom_score_adj", "cat /proc/self/oom_score_adj", "300" },
  { closed, "that it is process 1, of a session of its own", "echo $$; cut -d' ' -f5,6 /proc/1/stat", "1\n1 1" },
  { closed, "its capabilities, and no_new_privs", "grep -e CapPrm -e CapEff -e CapBnd -e NoNewPrivs /proc/self/status",
    "CapPrm:\t0000000000000421\nCapEff:\t0000000000000421\nCapBnd:\t0000000000000421\nNoNewPrivs:\t1" },
  { closed, "a network with a loopback alone", "grep -c : /proc/net/dev; cat /proc/sys/net/ipv4/ip_forward", "1\n1" },
  { closed, "mounts, with their attributes",
    "grep -e ' /a ' -e ' /b ' /proc/self/mountinfo | cut -d' ' -f5,6 | sed s/,relatime//; stat -c %a /a; cat /b/one",
    "/a rw,nosuid,nodev,noexec\n/b ro,nosuid\n1700\none" },
  { closed, "a file where there was none", "cat /etc/one", "one" },
  { closed, "paths that are read-only",
    "for f in /proc/sys/kernel/hostname /proc/fs/x /etc/x /x /b/x /etc/one; do (echo x >$f) 2>&1 | sed 's/.*: //'; done",
    table.concat({ READ_ONLY, "nonexistent directory", READ_ONLY, READ_ONLY, READ_ONLY, READ_ONLY }, "\n") },
  { closed, "that /proc/fs is a mount that is read-only",
    "grep ' /proc/fs ' /proc/self/mountinfo | cut -d' ' -f6 | cut -c1-3", "ro," },
  { closed, "nothing of paths that are masked", "wc -c </etc/passwd; ls /srv; ls /bin/busybox", "0\n/bin/busybox" },
  { closed, "the devices that there are always", "echo $(ls /dev | grep -v core); echo x >/dev/null; wc -c </dev/null",
    "fd full nought null ptmx pts random shm stderr stdin stdout tty urandom zero\n0" },
  { closed, "devices by their numbers, whatever they are called",
    "head -c 3 /dev/full | wc -c; wc -c </dev/nought", "3\n0" },
  { closed, "no programs in /dev/shm", "cp /bin/busybox /dev/shm/sh; /dev/shm/sh -c : 2>&1 | sed 's/.*: //'",
    "Permission denied" },
  { lesser, "a /proc that hides, by number", "grep -o 'hidepid=[^, ]*' /proc/self/mounts | sort -u", "hidepid=invisible" },
  { closed, "what a filter refuses", "(mkdir /a/x; chmod 777 /a) 2>&1 | sed 's/.*: //'",
    "No space left on device\nOperation not permitted" },
  { lesser, "that root has no more capabilities than are permitted", "grep -e CapPrm -e CapEff /proc/self/status",
    "CapPrm:\t0000000000000001\nCapEff:\t0000000000000001" },
  { lesser, "a directory that the root does not have", "pwd; stat -c %a:%u . ..", "/new/place\n755:0\n755:0" },
  { lesser, "the home of its user, as the root's passwd has it", "echo $HOME", "/root" },
  { open, "the home of another user", "echo $HOME", "/srv" },
  { mapped, "a home, also if the root does not know its user", "echo ${HOME:-/}", "/" },
  { open, "its user, groups and mask", "id -u; id -g; id -G; umask", "33\n34\n34 35 36\n0026" },
  { open, "no capabilities as a user", "grep -e CapPrm -e CapEff -e NoNewPrivs /proc/self/status",
    "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t0" },
  { open, "a root that it may write, in its top, too", "echo one >/new; cat /new; stat -c %u:%a /new", "one\n33:640" },
  { mapped, "a user namespace", "id -u; tr -s ' ' </proc/self/uid_map", "5\n 0 100000 1000" },
  { mapped, "ambient capabilities as a user", "grep -e CapPrm -e CapEff -e CapAmb /proc/self/status",
    "CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapAmb:\t0000000000000001" },
}

--- All that programs of the three configurations see by a runtime: {[row of SEEN] = text}.
local function look(runtime)
  local seen = {}
  for _, change in ipairs { closed, lesser, open, mapped } do
    local line = {}
    for i, row in ipairs(SEEN) do
      if row[1] == change then line[#line + 1] = ("echo '<%d>'; %s"):format(i, row[3]) end
    end
    local said = with_directory(function(directory)
      bundles.make(directory, function(c)
        change(c, directory)
        c.process.args = { "/bin/sh", "-c", table.concat(line, "\n") }
      end)
      return bundles.run(runtime, directory)
    end)
    for i, text in (said .. "\n"):gmatch("<(%d+)>\n([^<]*)") do seen[tonumber(i)] = text:gsub("\n$", "") end
    seen[change] = said
  end
  return seen
end

describe("a program of a bundle #system", function()
  if not machine.root then return pending "sees the same by crun and runc [needs root]" end
  for _, runtime in ipairs(bundles.runtimes) do
    local is_there = runtime == "ns" or bundles.has(runtime)
    local seen
    for i, row in ipairs(SEEN) do
      local it_runs = is_there and it or machine.without("it", runtime .. " is not installed")
      it_runs(("sees, by %s, %s"):format(runtime, row[2]), function()
        seen = seen or look(runtime)
        assert.equal(row[4], seen[i] or seen[row[1]])
      end)
    end
  end
end)

-- ---- what is read ----

--- What the configuration of a bundle comes to: words, and what is left out, as "field: why" in one line each.
local function read(change)
  return with_directory(function(directory)
    bundles.write(directory, change)
    local words, left = ns.oci.spec(directory)
    if not words then return nil, left end
    local lines = {}
    for i, one in ipairs(left) do
      lines[i] = ("%s: %s%s"):format(one.field, one.why, one.weakens and " (weakens)" or "")
    end
    return words, table.concat(lines, "\n")
  end)
end

--- A configuration that has each field which is read.
local function every_field()
  local c = bundles.config()
  local disk = { { major = 8, minor = 0, rate = 5 } }
  for _, kind in ipairs { "user", "time" } do table.insert(c.linux.namespaces, { type = kind }) end
  table.insert(c.linux.namespaces, { type = "cgroup", path = "/proc/self/ns/cgroup" })
  c.domainname, c.annotations, c.hooks = "d", { a = "b" }, { prestart = { { path = "/bin/x" } } }
  local process = c.process
  process.user = { uid = 0, gid = 0, umask = 18, additionalGids = { 1 } }
  process.terminal, process.consoleSize, process.oomScoreAdj = true, { height = 1, width = 1 }, 1
  process.scheduler = { policy = "SCHED_OTHER", nice = 1, priority = 0, flags = { "x" }, runtime = 0 }
  process.ioPriority, process.apparmorProfile = { class = "IOPRIO_CLASS_BE", priority = 1 }, "x"
  for _, name in ipairs { "ambient", "inheritable" } do process.capabilities[name] = { "CAP_CHOWN" } end
  table.insert(c.mounts, { destination = "/t", type = "tmpfs", options = { "size=1m", "mode=700", "nr_inodes=5", "uid=5" } })
  table.insert(c.mounts, { destination = "/o", type = "overlay", options = { "lowerdir=/a:/b" } })
  local linux = c.linux
  linux.uidMappings = { { containerID = 0, hostID = 0, size = 1000 } }
  linux.gidMappings = { { containerID = 0, hostID = 0, size = 1000 } }
  linux.timeOffsets, linux.sysctl = { boottime = { secs = 1, nanosecs = 1 } }, { ["net.ipv4.ip_forward"] = "1" }
  linux.rootfsPropagation, linux.cgroupsPath, linux.personality = "private", "/x", { domain = "LINUX32" }
  linux.devices = { { path = "/dev/x", type = "c", major = 1, minor = 3, fileMode = 438, uid = 0, gid = 0 } }
  linux.resources = { memory = { limit = 2 ^ 20, swap = 2 ^ 21 }, pids = { limit = 5 }, unified = { ["memory.max"] = "1" },
    cpu = { quota = 100000, period = 100000, shares = 5, cpus = "0", mems = "0" }, devices = { { allow = false } },
    blockIO = { weight = 5, throttleReadBpsDevice = disk, throttleWriteBpsDevice = disk, throttleReadIOPSDevice = disk,
      throttleWriteIOPSDevice = disk } }
  linux.seccomp = { defaultAction = "SCMP_ACT_ALLOW", defaultErrnoRet = 1, architectures = { "SCMP_ARCH_X86" },
    flags = { "SECCOMP_FILTER_FLAG_LOG" }, syscalls = { { names = { "read" }, action = "SCMP_ACT_ERRNO", errnoRet = 1,
      args = { { index = 0, value = 1, valueTwo = 2, op = "SCMP_CMP_EQ" } } } } }
  return c
end

-- {what changes the configuration, the line that names what is left out}
local LEFT = {
  { function(c) c.hooks = { prestart = { { path = "/bin/true" } } } end, "hooks: hooks are not run (weakens)" },
  { function(c) c.process.apparmorProfile = "docker-default" end,
    "process.apparmorProfile: no profile is entered (weakens)" },
  { function(c)
      c.process.capabilities.bounding = { "CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_NEW" }
    end,
    "process.capabilities.bounding[4]: 'CAP_NEW' is not known" },
  { function(c) c.process.capabilities = { bounding = { "CAP_CHOWN", "CAP_KILL" }, permitted = { "CAP_CHOWN" },
    effective = { "CAP_CHOWN" }, inheritable = { "CAP_CHOWN" } } end,
    "process.capabilities.ambient: with chown: all sets of the program are the same\n"
      .. "process.capabilities.bounding: without kill: all sets are what 'permitted', 'effective', 'bounding' have "
      .. "in common" },
  { function(c) c.process.user.uid, c.process.capabilities.ambient = 5, { "CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN" } end,
    "process.capabilities.ambient: without sys_admin: all sets are what 'ambient', 'inheritable', 'permitted', 'bounding' "
      .. "have in common\n" .. "process.capabilities.bounding: without net_bind_service: all sets are what 'ambient', "
      .. "'inheritable', 'permitted', 'bounding' have in common\nprocess.capabilities.inheritable: without "
      .. "net_bind_service: all sets are what 'ambient', 'inheritable', 'permitted', 'bounding' have in common" },
  { function(c) c.linux.intelRdt = { closID = "x" } end, "linux.intelRdt: there is no word for it" },
  { function(c) c.linux.sysctl = { ["kernel.msgmax"] = "1" } end,
    "linux.sysctl['kernel.msgmax']: only settings of a network of its own can be set" },
  { function(c) c.linux.somethingNew = 1 end, "linux.somethingNew: it is not known" },
  { function(c) table.insert(c.mounts, { destination = "/sys/fs/cgroup", type = "cgroup", source = "cgroup" }) end,
    "mounts[6]: 'cgroup' on /sys/fs/cgroup: there is no such mount" },
  { function(c) table.insert(c.mounts, { destination = "/x", type = "ext4", source = "/dev/x" }) end,
    "mounts[6]: 'ext4' on /x: there is no such mount (weakens)" },
  { function(c) c.mounts[2].options[1] = "idmap" end, "mounts[2].options[1]: 'idmap' is not known" },
  { function(c) c.mounts[2].options = { "size=64m", "mode=0700" } end,
    "mounts[2].options[2]: /dev has the mode 0755\nmounts[2].options[1]: /dev has 1m" },
  { function(c) c.mounts[4].options = { "mode=0700", "size=64m" } end, "mounts[4].options[1]: /dev/shm has the mode 1777" },
  { function(c) table.insert(c.mounts, { destination = "/x", type = "tmpfs", options = { "uid=5", "gid=0" } }) end,
    "mounts[6].options[1]: 'uid=5' on /x: its files are root's (weakens)" },
  { function(c) c.linux.seccomp = { defaultAction = "SCMP_ACT_NOTIFY" } end,
    "linux.seccomp.defaultAction: 'SCMP_ACT_NOTIFY' is not known (weakens)" },
  { function(c) c.linux.devices = { { path = "/dev/null2", type = "c", major = 4000, minor = 3 } } end,
    "linux.devices[1]: /dev/null2: there is no device c 4000:3 on this machine (weakens)" },
  { function(c) c.linux.devices = { { path = "/dev/zero", type = "b", major = 1, minor = 5000 } } end,
    "linux.devices[1]: /dev/zero: there is no device b 1:5000 on this machine (weakens)" },
  { function(c) c.linux.devices = { { path = "/dev/pipe", type = "p" } } end,
    "linux.devices[1]: /dev/pipe: there is no word for a fifo (weakens)" },
  { function(c) c.linux.devices = { { path = "/dev/nought", type = "c", major = 1, minor = 3, fileMode = 384 } } end,
    "linux.devices[1].fileMode: /dev/null is the host's, with 0666, not 0600 (weakens)" },
  { function(c) c.linux.devices = { { path = "/dev/nought", type = "c", major = 1, minor = 3, uid = 5, gid = 6 } } end,
    "linux.devices[1].uid: /dev/null is the host's, with 0, not 5\n"
      .. "linux.devices[1].gid: /dev/null is the host's, with 0, not 6" },
  { function(c) c.linux.resources = { memory = { limit = 2 ^ 20, reservation = 5 } } end,
    "linux.resources.memory.reservation: there is no such limit" },
  { function(c) c.process.env[2] = "ODD" end, "process.env[2]: 'ODD' is no NAME=VALUE" },
  { function(c) c.linux.rootfsPropagation = "shared" end,
    "linux.rootfsPropagation: 'shared': the host's mounts are not shared" },
}

-- {what changes the configuration, the message}
local WRONG = {
  { function(c) c.process.args = "sh" end, "process.args: list expected, got string" },
  { function(c) c.process.args = {} end, "process.args: empty list" },
  { function(c) c.process.user.uid = "root" end, "process.user.uid: integer expected, got string" },
  { function(c) c.process.cwd = "tmp" end, "process.cwd: absolute path expected, got 'tmp'" },
  { function(c) c.linux.namespaces = { "pid" } end, "linux.namespaces[1]: object expected, got string" },
  { function(c) c.root = nil end, "root.path: missing" },
  { function(c) c.ociVersion = "2.0" end, "ociVersion: version 1 expected, got '2.0'" },
  { function(c) c.mounts[1].destination = nil end, "mounts[1].destination: string expected, got nil" },
  { function(c) c.linux.sysctl = { 1 } end, "linux.sysctl: object expected, got a list" },
  { function(c) c.linux.seccomp = { defaultAction = "SCMP_ACT_ALLOW", syscalls = { 1 } } end,
    "linux.seccomp.syscalls[1]: object expected, got number" },
  { function(c) c.linux.timeOffsets = { boottime = 1 } end,
    "linux.timeOffsets['boottime']: object expected, got number" },
  { function(c) c.mounts[1].options = { "ro", "hidepid=3" } end,
    "mounts[1].options[2]: 'off' or 'noaccess' or 'invisible' or 'ptraceable' expected, got '3'" },
  { function(c) c.mounts[2].options = { "mode=98" } end, "mounts[2].options[1]: mode expected, got '98'" },
  { function(c) c.mounts[1].type = 0 end, "mounts[1].type: string expected, got number" },
  { function(c) c.linux.resources = { blockIO = { throttleReadBpsDevice = { 1, 2 } } } end,
    "linux.resources.blockIO.throttleReadBpsDevice[1]: object expected, got number" },
  { function(c) c.linux.devices = { { path = "/dev/x", type = "c", major = "x", minor = 1 } } end,
    "linux.devices[1].major: integer expected, got string" },
  { function(c) c.linux.devices = { { path = "/dev/x", type = "c", major = 1 } } end,
    "linux.devices[1].major: missing, or minor is" },
  { function(c) c.linux.namespaces[4].type = "ipc" end,
    "hostname: there is no namespace 'uts' of its own in linux.namespaces" },
  { function(c) c.linux.uidMappings = { { containerID = 0, hostID = 0, size = 1 } } end,
    "linux.uidMappings: there is no namespace 'user' of its own in linux.namespaces" },
  { function(c) c.linux.resources = { cpu = { quota = 1, period = 1000000 } } end,
    "linux.resources.cpu: 1e-06 is out of range, 0.01 to 8192 processors" },
}

describe("the words of a bundle", function()
  for _, row in ipairs(LEFT) do
    it("say what they leave out: " .. row[2]:match("^[^:]*"), function()
      local words, left = read(row[1])
      assert.truthy(words, left)
      assert.equal(row[2], left)
    end)
  end

  for _, row in ipairs(WRONG) do
    it("are refused with the name of the field: " .. row[2]:match("^[^:]*"), function()
      local words, message = read(row[1])
      assert.is_nil(words)
      assert.matches("/config%.json: ", message)
      assert.equal(row[2], message:match("/config%.json: (.*)$"))
    end)
  end

  it("are refused, or can be used, whatever value a field has", function()
    local values = { 0, -1, 1.5, 1e300, "", "x", "/../x", ("a"):rep(5000), true, {}, { 1 }, { a = {} } }
    local config = every_field()
    local function try(place)
      local ok, words = pcall(oci_read.config, config, "/b")
      local mistake = not ok and check.mistake(words)
      local is_named = mistake and mistake:find "^[%a'][%w.%[%]'_]*: "
      assert.truthy(ok or is_named, ("%s: %s"):format(place, tostring(mistake or words)))
      return ok and words or nil
    end
    local function each(t, place)
      for _, key in ipairs(sorted.keys(t)) do
        local value = t[key]
        for number = 0, #values do -- 0: it is missing
          local wrong = values[number]
          t[key] = wrong
          try(("%s.%s = %s"):format(place, key, type(wrong) == "table" and "a table" or tostring(wrong):sub(1, 20)))
        end
        t[key] = value
        if type(value) == "table" then each(value, ("%s.%s"):format(place, key)) end
      end
    end
    assert.truthy(try "as it is")
    each(config, "config")
  end)

  it("leave nothing out of an ordinary one", function()
    local words, left = read()
    assert.equal("", left)
    assert.same({ "/bin/sh", "-c", "true" }, words.argv)
  end)

  it("have the limits, counted as the kernel has them", function()
    local words, left = read(function(c)
      c.linux.resources = { memory = { limit = 2 ^ 20, swap = 3 * 2 ^ 20 }, pids = { limit = 7 },
        cpu = { quota = 150000, period = 100000, shares = 1024, cpus = "0-1" }, devices = { { allow = false } },
        blockIO = { throttleReadBpsDevice = { { major = 8, minor = 0, rate = 1000 } } } }
    end)
    assert.equal("", left)
    assert.same({ memory = 2 ^ 20, swap = 2 ^ 21, pids = 7, cpu = 1.5, cpu_weight = 39, cpuset = "0-1",
      io = { ["8:0"] = { read = 1000 } } }, words.limits)
  end)

  it("are none of what is no bundle", function()
    with_directory(function(directory)
      machine.file(directory .. "/config.json", "{ no JSON")
      os.execute("mkdir " .. directory .. "/rootfs")
      assert.equal(directory .. "/config.json is no JSON", (select(2, ns.oci.spec(directory))))
      assert.matches("No such file", (select(2, ns.oci.spec(directory .. "/none"))))
      assert.matches("config.json: No such file", (select(2, ns.oci.spec(directory .. "/rootfs"))))
    end)
    assert.error_matches(function() ns.oci.spec {} end, "bad argument #1 to 'spec' %(bundle: path expected, got table%)")
  end)
end)

-- ---- what is written ----

local function closed_box(directory)
  return ns.sandbox():env { A = "b", EMPTY = "" }:hostname("mine"):umask("027")
    :rlimits { nofile = { soft = 64, hard = 128 } }:file("/etc2/motd", "hello\n")
    :tmpfs("/place", { size = "64k", mode = "1777", exec = false }):cwd("/place")
    :ro_bind(directory .. "/given", "/given"):mask("/usr/share"):dir("/made", { mode = "0700" }):symlink("/link", "made")
    :readonly("/proc/fs")
end

local function root_box(directory)
  return ns.box { flags = { "mount", "pid", "ipc", "uts", "net" }, root = { bind = directory .. "/root" },
    caps = { "chown" }, no_new_privs = true, user = 33, group = 34, groups = { 35 }, session = true,
    read_only = false, clear_env = true, env = { PATH = "/bin" },
    oom_score_adj = 100, sysctl = { ["net.ipv4.ip_forward"] = 1 },
    mounts = { { type = "proc" }, { type = "dev" }, { type = "tmpfs", target = "/data", mode = "0777" } } }
end

-- {a box, a program in it, what it prints, the words that are left out}
local WRITTEN = {
  { closed_box, [[id -u; pwd; hostname; echo "$A$EMPTY$HOME"; cat /etc2/motd /given/f; ulimit -Sn; ulimit -Hn; umask
    grep -e Cap -e NoNewPrivs -e Seccomp: /proc/self/status | sort -u; ls /usr/share; stat -c %a /place /tmp /made
    readlink /link; for f in /usr/x /given/x /etc2/motd; do (echo x >$f) 2>&1 | grep -o Read-only; done
    : >/place/x; ls / | tr '\n' ' '; ls /proc | grep -c '^[0-9]']],
    "0\n/place\nmine\nb/tmp\nhello\ngiven\n64\n128\n0027\nCapAmb:\t0000000000000000\nCapBnd:\t0000000000000000\n"
      .. "CapEff:\t0000000000000000\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
      .. "1777\n1777\n700\nmade\nRead-only\nRead-only\nRead-only\n",
    "disable_userns flags init seccomp" },
  { root_box, [[id -u; id -g; id -G; env | grep -v -e SHLVL -e PWD -e HOME
    cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_forward
    grep -e Cap -e NoNewPrivs /proc/self/status; echo $$; echo x >/data/x; ls /dev | grep -vc core; pwd]],
    "33\n34\n34 35\nPATH=/bin\n100\n1\nCapInh:\t0000000000000001\nCapPrm:\t0000000000000001\nCapEff:\t0000000000000001\n"
      .. "CapBnd:\t0000000000000001\nCapAmb:\t0000000000000001\nNoNewPrivs:\t1\n1\n13\n/", "" },
}

describe("a box as a bundle #system", function()
  if not machine.root then return pending "runs by crun and runc as by ns [needs root]" end
  for i, row in ipairs(WRITTEN) do
    for _, runtime in ipairs(bundles.runtimes) do
      local is_there = runtime == "ns" or bundles.has(runtime)
      local it_runs = is_there and it or machine.without("it", runtime .. " is not installed")
      it_runs(("runs the same by %s, %d"):format(runtime, i), function()
        with_directory(function(directory)
          os.execute(("cd %s; mkdir given; echo given >given/f"):format(directory))
          if row[1] == root_box then
            bundles.make(directory)
            os.execute(("mv %s/rootfs %s/root"):format(directory, directory))
          end
          local said, left = bundles.run_box(runtime, row[1](directory), directory, "/bin/sh", "-c", row[2])
          assert.equal(row[3], said:sub(1, #row[3]))
          if left then assert.equal(row[4], left) end
        end)
      end)
    end
  end
end)

describe("a bundle that is written", function()
  --- Writes it: the names of what is left out, with those that weaken it marked; or the message.
  local function left_of(box, ...)
    local argv = { ... }
    return with_directory(function(directory)
      local ok, left = box:bundle(directory, unpack(argv))
      if not ok then return left end
      local list = {}
      for i, one in ipairs(left) do list[i] = one.field .. (one.weakens and "!" or "") end
      return table.concat(list, " ")
    end)
  end

  local function box(more)
    local b = ns.box { flags = machine.flags("mount"), root = "empty", system = true, caps = {} }
    for word, value in pairs(more or {}) do b[word](b, value) end
    return b
  end

  it("names each word that it cannot carry, and leaves out no other", function()
    assert.equal("", left_of(box(), "true"))
    assert.equal("affinity", left_of(box { affinity = 0 }, "true"))
    assert.equal("landlock!", left_of(box { landlock = { write = { "/tmp" } } }, "true"))
    assert.equal("input! timeout!", left_of(box { timeout = 5, input = "x" }, "true"))
    assert.equal("securebits!", left_of(box { securebits = "noroot" }, "true"))
    assert.equal("mounts[1]!", left_of(box():overlay("/usr/share", "/x"), "true"))
    assert.equal("root!", left_of(ns.box { flags = machine.flags "mount" }, "true"))
    assert.equal("seccomp.rules[1]!", left_of(box { seccomp = { default = "allow",
      rules = { { "socket", arg = { { 0, "==", 1 } }, action = "EPERM" } } } }, "true"))
    assert.equal("", left_of(box { seccomp = { default = "allow", deny = { "mkdir" } } }, "true"))
  end)

  it("comes back as the same words", function()
    with_directory(function(directory)
      local b = box { hostname = nil, rlimits = { nofile = { soft = 5, hard = 6 }, core = "unlimited" },
        oom_score_adj = 7, limits = { memory = "1m", pids = 9, cpu = 0.5 }, no_new_privs = true,
        scheduler = "batch", nice = 3, personality = "linux32", cwd = "/usr" }
      local ok, none = b:bundle(directory, "ls", "-l")
      assert.truthy(ok, none)
      assert.same({}, none)
      local words, left = ns.oci.spec(directory)
      assert.same({}, left)
      assert.same({ "ls", "-l" }, words.argv)
      assert.same({ nofile = { soft = 5, hard = 6 }, core = { soft = "unlimited", hard = "unlimited" } }, words.rlimits)
      assert.same({ memory = 2 ^ 20, swap = 0, pids = 9, cpu = 0.5 }, words.limits)
      assert.same({ 7, true, { policy = "batch" }, 3, "linux32", "/usr" }, { words.oom_score_adj, words.no_new_privs,
        words.scheduler, words.nice, words.personality, words.cwd })
    end)
  end)

  it("is refused where there is no program, or no place for it", function()
    assert.error_matches(function() box():bundle("/tmp/none") end, "bad argument to 'bundle' %(argv: missing%)")
    assert.error_matches(function() box():bundle() end, "bad argument #1 to 'bundle' %(directory: path expected, got nil%)")
    local ok, message, errno = box():bundle("/proc/none", "true")
    assert.same({ nil, "/proc/none: No such file or directory", 2 }, { ok, message, errno })
  end)
end)
