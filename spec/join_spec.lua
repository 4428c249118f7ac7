--- Namespaces that somebody else has made: what a program sees that joins them, who it is there, what is refused, and what
-- those who live there get of the host.
local core = require "ns.core"
local join = require "ns.words.join"
local machine = require "support.machine"
local ns = require "ns"
local plans = require "support.plans"

local errno_of = core.constants.errno

--- Runs the code on a host of this user's and on one of an ordinary user; in it, `out(spec, line)` is what a shell line
-- writes, or the message of the refusal, and `target(box, ...)` a program that runs. Both must print what is expected.
local PRELUDE = [[
  local ns = require "ns"
  local function out(spec, line)
    spec[1], spec[2], spec[3] = "sh", "-c", line
    local r, message = ns.run(spec)
    return r and (r.stdout .. r.stderr):gsub("\n$", "") or message
  end
  local function target(box) return assert(box:spawn("sleep", "1000")) end
  local p = target(ns.sandbox():hostname("inner"))
]]

local function everywhere(title, code, expected)
  for _, nobody in ipairs { false, true } do
    machine.it "sandbox"(title .. (nobody and ", of an ordinary user's" or ""), function()
      local r = machine.host(PRELUDE .. code .. "\np:close()", { nobody = nobody })
      assert.equal(expected, r.stdout .. r.stderr)
    end)
  end
end

describe("a program that joins a box #system", function()
  everywhere("is in all of its namespaces, as a program of the box itself", [[
    local c = assert(ns.sandbox():hostname("inner"):start())
    local line = "cd /proc/self/ns && for n in [a-z]*; do readlink $n; done; hostname; id; ls /; pwd; "
      .. "cat /proc/self/mountinfo"
    local own = c:run("sh", "-c", line).stdout
    print(own == out({ join = { from = c } }, line) .. "\n", #own > 500)
    print(own == out({ join = { from = c.pid } }, line) .. "\n")
    c:close()]], "true\ttrue\ntrue\n")

  everywhere("is in those alone that it has named, and in the others with its host", [[
    local line = "hostname; readlink /proc/self/ns/uts /proc/self/ns/net"
    local function links(pid, ...)
      local text = ""
      for _, name in ipairs { ... } do
        text = text .. "\n" .. require("ns.core").readlink("/proc/" .. pid .. "/ns/" .. name)
      end
      return text
    end
    local inner = links(p.pid, "uts") .. links("self", "net")
    print(out({ join = { from = p, "user", "uts" } }, line) == "inner" .. inner)
    print(out({ join = { from = p, "user", "CLONE_NEWUTS" } }, line) == "inner" .. inner)
    local path = "/proc/" .. p.pid .. "/ns/"
    print(out({ join = { user = path .. "user", uts = io.open(path .. "uts") } }, line) == "inner" .. inner)]],
    "true\ntrue\ntrue\n")

  everywhere("is user 0 there, with none of its host's groups, and has all capabilities unless it was told otherwise", [[
    local line = "id -u; id -g; grep CapEff /proc/self/status; grep -c NoNewPrivs.*1 /proc/self/status"
    print(out({ join = { from = p } }, line))
    print(out({ join = { from = p }, caps = {}, no_new_privs = true }, line))]],
    "0\n0\nCapEff:\t000001ffffffffff\n0\n0\n0\nCapEff:\t0000000000000000\n1\n")

  everywhere("has new namespaces beside, which belong to the user namespace that it has joined", [[
    print(out({ join = { from = p, "user", "pid" }, flags = { "mount", "uts" }, hostname = "new", mount_proc = true },
      "hostname; cat /proc/1/comm; readlink /proc/self/ns/pid /proc/1/ns/pid | uniq | wc -l"))]], "new\nns-init\n1\n")

  everywhere("has all but the new ones of who has them, where none are named", [[
    print(out({ join = { from = p }, flags = { "uts" } }, "hostname newer && hostname; echo $(($$ > 1))"))
    print(out({ join = { from = p, "user", "uts" } }, "hostname"))]], "newer\n1\ninner\n")

  everywhere("is looked up, with its directory, in the root of the mount namespace that it joins", [[
    local q = target(ns.sandbox():dir("/only"):file("/only/file", "text\n"):file("/only/run", "#!/bin/sh\npwd\n",
      { mode = "0755" }))
    print(ns.run { "./run", cwd = "/only", join = { from = q } }.stdout
      .. out({ join = { from = q } }, "pwd; cat only/file"))
    print((select(2, ns.run { "true", cwd = "/only", join = { from = q, "user", "pid" } })))
    print((select(2, ns.run { "true", cwd = "/nowhere", join = { from = q } })))
    q:close()]], "/only\n/\ntext\nchdir /only: No such file or directory (ENOENT)\n"
    .. "chdir /nowhere: No such file or directory (ENOENT)\n")

  everywhere("is a process like any other: streams, status, signal, limits, timeout", [[
    local r = ns.run { "sh", "-c", "read x; echo $x; echo error >&2; ulimit -n; umask; exit 7", stdin = "line\n",
      join = { from = p }, rlimits = { nofile = 77 }, umask = "027" }
    print(r.stdout .. r.stderr .. r.code)
    print(ns.run { "sh", "-c", "kill -USR1 $$", join = { from = p } }.signame)
    print(ns.run { "sleep", "1000", join = { from = p }, timeout = 0.2 }.timed_out)
    print(ns.run { "sh", "-c", "sleep 1000 & echo $(($$ > 1))", join = { from = p }, init = true }.stdout)
    local q = ns.spawn { "sleep", "1000", join = { from = p } }
    print(q:kill "TERM", q:wait())]],
    "line\n77\n0027\nerror\n7\nUSR1\ntrue\n1\n\ntrue\tnil\tsignal\t15\n")

  everywhere("ends with the box whose pid namespace it is in", [[
    local q = assert(ns.spawn { "sleep", "1000", join = { from = p } })
    p:close()
    print(q:wait(10))
    q:close()]], "nil\tsignal\t9\n")

  for _, nobody in ipairs { false, true } do
    machine.it "sandbox"("dies with its host" .. (nobody and ", an ordinary user's" or ""), function()
      local r = machine.host(PRELUDE .. [[
        io.write(p.pid, " ", assert(ns.spawn { "sleep", "1000", join = { from = p, "user", "uts" } }).pid):flush()
        os.execute("kill -9 $PPID")]], { nobody = nobody })
      for pid in r.stdout:gmatch("%d+") do
        machine.eventually(function() return not core.access("/proc/" .. pid, 0) end)
      end
      assert.truthy(r.stdout:find("^%d+ %d+$"))
    end)
  end

  everywhere("is known to its host by the ids that it has there", [[
    local q = assert(ns.spawn { "sleep", "1000", join = { from = p } })
    local of_box, own = p:ids(), q:ids()
    print(own.uid == of_box.uid, own.gid == of_box.gid)
    print(own.uid == (require("ns.core").owner("/proc/" .. p.pid .. "/task")) or own.uid)
    q:close()]], "true\ttrue\ntrue\n")

  everywhere("can be the init of a box that lives in namespaces of another", [[
    local c = assert(ns.box { flags = { "pid", "mount" }, join = { from = p, "user", "uts" }, mount_proc = true }:start())
    print(c:run("hostname").stdout .. c:run("sh", "-c", "cat /proc/1/comm").stdout .. #c:processes())
    c:close()]], "inner\nns-init\n0\n")

  everywhere("is tried without a trace", [[
    print(ns.check { "true", join = { from = p } })
    print((select(2, ns.check { "/nowhere", join = { from = p } })))]],
    "true\nexec '/nowhere': No such file or directory (ENOENT)\n")
end)

describe("the plan of a launcher that joins", function()
  local KINDS = { user = { path = "/u" }, mount = { path = "/m" }, net = { fd = 9 } }

  local function words(found, spec)
    local list = {}
    for i, step in ipairs(join.steps(spec or { flags = {} }, { join = found })) do
      local what = step.type or step.op ~= "prctl" and step.value
      list[i] = step.op .. (what and " " .. what or "") .. (step.ignore and " or not" or "")
    end
    return table.concat(list, ", ")
  end

  it("enters the user namespace last, and drops its groups before, where the host has the rights for that", function()
    assert.equal("prctl, setgroups, setns mount, setns net, setns user, setgid 0, setuid 0, prctl, clone",
      words { kinds = KINDS, fds = {}, admin = true, groups = true })
  end)

  it("enters it first where the rights come from there", function()
    assert.equal("prctl, setns user, setgroups or not, setgid 0 or not, setuid 0 or not, setns mount, setns net, prctl, "
      .. "clone", words { kinds = KINDS, fds = {} })
  end)

  it("takes the first ids that there are, where they are known", function()
    local ids = { uid = { { 5, 1000, 1 } }, gid = { { 7, 1000, 1 } } }
    assert.equal("prctl, setgroups, setns user, setgid 7, setuid 5, prctl, clone",
      words { kinds = { user = { path = "/u" } }, fds = {}, admin = true, groups = true, ids = ids })
  end)

  it("has no ids to take without a user namespace, and makes all new namespaces but that of time", function()
    local found = { kinds = { net = { fd = 9 } }, fds = { net = 9 }, admin = true, groups = true }
    local steps = join.steps({ flags = { pid = true, time = true } }, { join = found })
    assert.equal("prctl setns prctl clone", ("%s %s %s %s"):format(steps[1].op, steps[2].op, steps[3].op, steps[4].op))
    assert.same({ 9, core.constants.clone.NEWNET, core.constants.clone.NEWPID },
      { steps[2].fd, steps[2].flags, steps[4].flags })
  end)

  it("comes before that of the process, which is as without it", function()
    local more = { readlink = function(path) return path end, number_of = function() return 7 end,
      maps_of = function() return {} end }
    assert.same(plans.words { "true" }, plans.words({ "true", join = { from = 7 } }, more))
  end)
end)

describe("what is wrong with join", function()
  local ROWS = {
    { "is told of what is no table", { join = 5 }, "join: {net=PATH, ...} or {from=process, ...} expected, got number" },
    { "is told where there is nothing in it", { join = {} }, "join: nothing to join" },
    { "is told of a name without a process", { join = { "net" } },
      "join: from missing, or a path: join = { net = PATH }" },
    { "is told of a name that there is not", { join = { from = 1, "nett" } },
      "join[1]: unknown namespace 'nett' (did you mean 'net'?)" },
    { "is told of a key that there is not", { join = { nett = "/x" } },
      "join: unknown namespace 'nett' (did you mean 'net'?)" },
    { "is told of one that is given twice", { join = { from = 1, "net", net = "/x" } }, "join[1]: 'net' is given twice" },
    { "is told of a name of ip netns", { join = { net = "blue" } },
      "join.net: absolute path expected, got 'blue' (those of ip netns are in /run/netns)" },
    { "is told of a closed descriptor", { join = { net = 12345 } }, "join.net: descriptor 12345 is not open" },
    { "is told of what is no path", { join = { net = true } },
      "join.net: a path, a file or a descriptor expected, got boolean" },
    { "is told of what is no process", { join = { from = "init" } },
      "join.from: the number of a process, a Process or a Container expected, got string" },
    { "is told of a number that no process has", { join = { from = 0 } }, "join.from: 0 is out of range, 1 to 4194304" },
    { "is told of one that is new, too", { join = { net = "/x" }, flags = "net" },
      "join: 'net' is in flags, too: it is either joined or new" },
    { "is told of one that is new, too, of a process", { join = { from = 1, "uts" }, flags = "uts" },
      "join: 'uts' is in flags, too: it is either joined or new" },
    { "is told of a directory of the host's", { join = { mount = "/x" }, cwd = "a" },
      "cwd: absolute path expected where there may be another root, of 'join', got 'a'" },
    { "is told of a program in a directory of the host's", { join = { from = 1 }, "./a" },
      "argv[1]: relative path './a' needs 'cwd' where there may be another root, of 'join'" },
    { "is told of mounts in a mount namespace of others", { join = { mount = "/x" }, mounts = {} },
      "mounts: needs 'mount' in flags" },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      row[2][1] = row[2][1] or "true"
      local ok, message = pcall(ns.spawn, row[2])
      assert.same({ false, "bad argument #1 to 'spawn' (" .. row[3] .. ")" }, { ok, (message:gsub("^[^ ]*:%d+: ", "")) })
    end)
  end

  it("is told of a process in place of its namespace", function()
    local p = assert(ns.spawn { "true" })
    finally(function() p:close() end)
    local _, message = pcall(ns.spawn, { "true", join = { net = p } })
    assert.truthy(message:find("join.net: a path or a descriptor expected, got a process; did you mean from = it?", 1, true))
  end)
end)

describe("the system's refusal #system", function()
  local function refused(spec)
    spec[1] = "true"
    local p, message, errno, detail = ns.spawn(spec)
    assert.is_nil(p)
    return message, errno, detail.step, detail.word
  end

  it("says that a process has ended", function()
    local p = assert(ns.spawn { "true" })
    local pid = p.pid
    p:wait()
    p:close()
    local said = "hold the process whose namespaces are joined: No such process (ESRCH)"
    assert.same({ said, errno_of.ESRCH, "pidfd", "join" }, { refused { join = { from = p } } })
    assert.same({ ("hold process %d: No such process (ESRCH)"):format(pid), errno_of.ESRCH, "pidfd", "join" },
      { refused { join = { from = pid } } })
  end)

  it("says it of one that nobody has reaped yet", function()
    local r = machine.host [[
      local ns = require "ns"
      local p = assert(ns.spawn { "true", flags = "user" })
      while not io.open("/proc/" .. p.pid .. "/stat"):read("*a"):find("%) Z ") do end
      print(select(3, ns.spawn { "true", join = { from = p.pid } }))
      p:close()]]
    assert.equal(errno_of.ESRCH, tonumber(r.stdout:match("^%d+")))
  end)

  it("says of what is no namespace that it is none, and of another kind which", function()
    local directory, remove = machine.directory()
    finally(remove)
    machine.file(directory .. "/file", "")
    assert.same({ ("open the net namespace %s/file: Inappropriate ioctl for device (ENOTTY); it is no namespace")
      :format(directory), errno_of.ENOTTY, "open_ns", "join" }, { refused { join = { net = directory .. "/file" } } })
    assert.same({ "open the net namespace /proc/self/ns/uts: Invalid argument (EINVAL); it is one of kind 'uts'",
      errno_of.EINVAL, "open_ns", "join" }, { refused { join = { net = "/proc/self/ns/uts" } } })
    local f = assert(io.open "/proc/self/ns/ipc")
    assert.truthy(refused({ join = { net = f } }):find("; it is one of kind 'ipc'", 1, true))
    f:close()
    assert.equal("open the net namespace /nowhere: No such file or directory (ENOENT)",
      (refused { join = { net = "/nowhere" } }))
  end)

  machine.it("user", "time")("says nothing of whose it is where the clocks of a new one cannot be entered", function()
    local r = machine.host([[print(require("ns").run { "true", flags = { "user", "time" } })]],
      { under = machine.refuse("EPERM", "setns") })
    assert.matches("^nil\tenter /proc/self/ns/time_for_children: Operation not permitted %(EPERM%)\t", r.stdout .. r.stderr)
  end)

  it("says that the host is in a user namespace already", function()
    assert.equal("enter the user namespace /proc/self/ns/user: Invalid argument (EINVAL); this host is in that user "
      .. "namespace already", (refused { join = { user = "/proc/self/ns/user" } }))
  end)

  everywhere("leaves nothing behind, whatever it is", [[
    local function left()
      local f = io.popen("ps -o comm= --ppid $PPID | grep -v -e sh -e ps")
      local text = f:read "*a"
      f:close()
      return #require("ns.core").entries "/proc/self/fd" .. text
    end
    p:close()
    local before = left()
    p = target(ns.sandbox())
    for _, spec in ipairs { { join = { net = "/nowhere" } }, { join = { user = "/proc/self/ns/user" } },
      { join = { from = p }, "/nowhere" }, { join = { from = p }, cwd = "/nowhere" },
      { join = { from = p }, timeout = 1e-6 }, { join = { from = p }, timeout = 1e-4 },
      { join = { from = p }, timeout = 5e-4 }, { join = { from = p }, timeout = 1e-3 } } do
      spec[1], spec[2] = spec[1] or "sleep", "1000"
      local q = ns.spawn(spec)
      if q then q:close() end
    end
    p:close()
    print(before == left())]], "true\n")

  machine.it "sandbox"("says whose it is where an ordinary user has no rights", function()
    local r = machine.host(PRELUDE .. [[
      local function said(spec)
        spec[1] = "true"
        return (select(2, ns.spawn(spec)):gsub("/proc/%d+", "/proc/PID"))
      end
      print(said { join = { from = p, "uts" } })
      p:close()]], { nobody = true })
    local uid = machine.root and 65534 or core.ids().euid
    assert.equal(("enter the uts namespace /proc/PID/ns/uts: Operation not permitted (EPERM); it belongs to a user "
      .. "namespace of user %d: join that one, too ('user'), or be root of one around it\n"):format(uid), r.stdout)
  end)

  machine.root_it("says whose process it is", function()
    local p = assert(ns.spawn { "sleep", "1000" })
    finally(function() p:close() end)
    local r = machine.host(('print((select(2, require("ns").spawn { "true", join = { from = %d } })))'):format(p.pid),
      { nobody = true })
    assert.equal(("hold process %d: Permission denied (EACCES); process %d is user 0's, or has rights that this host has "
      .. "not: root with CAP_SYS_PTRACE may look at it\n"):format(p.pid, p.pid), r.stdout)
  end)

  machine.root_it("says that 0 is no user there, where nobody else was named", function()
    local map = { { 5, 100000, 1 } }
    local p = assert(ns.spawn { "sleep", "1000", flags = "user", uid_map = map, gid_map = map })
    finally(function() p:close() end)
    local user = ("/proc/%d/ns/user"):format(p.pid)
    assert.equal("setgid 0: Invalid argument (EINVAL); 0 is not mapped into that user namespace: say user = N and group = "
      .. "N, with ids that are", (refused { join = { user = user } }))
    local r = assert(ns.run { "id", "-u", join = { user = user }, user = 5, group = 5 })
    assert.equal("5\n", r.stdout)
    assert.equal("5\n", assert(ns.run { "id", "-u", join = { from = p } }).stdout)
  end)
end)

describe("who lives in the namespaces that are joined #system", function()
  for _, nobody in ipairs { false, true } do
    local whose = nobody and "an ordinary user's host, who is the same user" or "the host"
    machine.it "sandbox"("gets nothing of " .. whose, function()
      local r = machine.host(([[
        local ns = require "ns"
        local box = ns.sandbox():ro_bind("%s", "/peek"):caps { "sys_ptrace" }:stdout("pipe")
        local peek = assert(box:spawn("/peek", "/usr/bin/true"))
        print(peek.stdout:read("*l"))
        for _ = 1, 60 do
          local r = assert(ns.run { "/usr/bin/true", join = { from = peek } })
          if not r.ok then print(r) end
        end
        peek:kill "KILL"
        io.write(peek.stdout:read("*a"))
        peek:close()]]):format(machine.program "peek"), { nobody = nobody })
      assert.equal("ready\n", r.stdout .. r.stderr)
    end)
  end
end)

describe("what lies on /proc where others live #system", function()
  -- A box whose /proc is of its own making: there is all that could be asked for, and nothing of it is true.
  local FAKE = PRELUDE .. [[
    local t = assert(ns.spawn { "sh", "-c", "mount -t tmpfs q /mnt && cd /mnt && mkdir -p sys/user self/ns && "
      .. "echo 9 | tee sys/user/max_user_namespaces >self/timens_offsets && >self/ns/time_for_children && "
      .. "chmod -R a+rwX . && mount --bind /proc/self/ns/time self/ns/time_for_children && "
      .. "cd / && mount --move /mnt /proc 2>/dev/null; echo ready; sleep 1000", flags = "user,mount,pid,time",
      time = { monotonic = 5e6 }, init = true, mount_proc = true, caps = { "all" }, map = "root", stdout = "pipe" })
    assert(t.stdout:read("*l") == "ready")
    p:close() ]]

  local function root_it(title, code, expected)
    if not (machine.can.user and machine.can.time) then return pending(title) end
    machine.root_it(title, function()
      local r = machine.host(FAKE .. code .. " t:close()")
      assert.equal(expected, r.stdout .. r.stderr)
    end)
  end

  root_it("does not keep user namespaces from being forbidden", [[
    print(out({ join = { from = t, "mount" }, flags = "user", disable_userns = true, caps = {} },
      "cat /proc/sys/user/max_user_namespaces; unshare -U true 2>/dev/null || echo refused")) ]], "9\nrefused\n")

  root_it("does not keep the clocks from being set", ([[
    local spec = { "%s", "-e", "print(require('ns.core').clock() < 4e6)" }
    spec.join, spec.flags, spec.time = { from = t, "mount" }, "time", { monotonic = 100 }
    print(assert(ns.run(spec)).stdout) ]]):format(machine.lua), "true\n\n")
end)
