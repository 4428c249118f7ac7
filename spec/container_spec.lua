--- Living boxes: what a program sees that is run in one, how it ends, and what ends with the box.
local at = require "support.terminal"
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local needs = machine.it "sandbox"

local function living(box, ...)
  local c = assert((box or ns.sandbox()):start(...))
  finally(function() c:close() end)
  return c
end

local function out(c, ...)
  local r = assert(c:run(...))
  assert(r.ok, tostring(r) .. r.stderr)
  return (r.stdout:gsub("\n$", ""))
end

-- What differs from one start to the next by itself is left out: numbers of processes, addresses, times.
local LOOK = [[
  cat /proc/self/mountinfo | cut -d' ' -f4-; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups
  grep -E '^(Cap|NoNew|Seccomp|Groups|Uid|Gid|Sig[BIC]|Cpus|Mems|Umask)' /proc/self/status | grep -v _filters
  cat /proc/self/limits /proc/self/cgroup; env | sort; umask; pwd; hostname; cat /proc/sys/user/max_user_namespaces
  stat -c '%n %F %a %u %g %t %T' /* /dev/* /tmp/* /run/* /var/*; cat /proc/self/oom_score_adj
  for f in /proc/self/fd/*; do echo $f; done; cut -d' ' -f18,19 /proc/self/stat; ps -o pid=,sid=,pgid= $$ | wc -l ]]

describe("a program in a living box #system", function()
  needs("sees what it would see in a box of its own, but for who was there before", function()
    local c = living()
    local first = out(ns.sandbox(), "sh", "-c", LOOK)
    local function same(text) return (text:gsub("%s0 +%d+ +(%d+)", " 0 X %1"):gsub("([ug]id)=%d+", "%1=X")) end
    assert.equal(same(first), same(out(c, "sh", "-c", LOOK)))
    assert.equal(same(first), same(out(c, "sh", "-c", LOOK)))
  end)

  needs("is in the same namespaces as the others, all of which are the box's own", function()
    local c, line = living(), "cd /proc/self/ns; for n in [a-z]*; do readlink $n; done"
    local one, host = out(c, "sh", "-c", line), ns.run { "sh", "-c", line }.stdout
    assert.equal(one, out(c, "sh", "-c", line))
    for name in one:gmatch("[^\n]+") do assert.is_nil(host:find(name, 1, true)) end
  end)

  needs("finds what those before it have left in /tmp, and as processes", function()
    local c = living()
    out(c, "sh", "-c", "echo left >/tmp/file; sleep 1000 >&- 2>&- &")
    assert.equal("left\nsleep", out(c, "sh", "-c", "cat /tmp/file; ps -o comm= -C sleep"))
  end)

  needs("has a standard error, a status, a signal and a usage of its own", function()
    local c = living()
    local r = c:run("sh", "-c", "echo text; echo error >&2; exit 7")
    assert.same({ false, "exit", 7, "text\n", "error\n" }, { r.ok or false, r.how, r.code, r.stdout, r.stderr })
    r = c:run("sh", "-c", "kill -USR1 $$")
    assert.same({ "signal", "USR1" }, { r.how, r.signame })
    r = c:run("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
    assert.truthy(r.usage.utime + r.usage.stime > 0 and r.usage.maxrss > 100)
  end)

  needs("may have its own program, arguments, environment, directory, mask, streams, descriptors and limits", function()
    local c = living(ns.sandbox():env("BOTH", "box"):env("OURS", "box"):rlimits { nofile = 100, core = 1 })
    local f = assert(io.tmpfile())
    f:write("descriptor\n")
    f:seek("set")
    assert.equal("name\n/usr\n0077\nbox own\ninput\ndescriptor\n50", out(c, { "sh", "-c",
      "echo $0; pwd; umask; echo $OURS $BOTH; cat; cat <&7; ulimit -n", "name", cwd = "/usr", umask = "077",
      env = { BOTH = "own" }, stdin = "input\n", fds = { [7] = f }, rlimits = { nofile = 50 } }))
    f:close()
    assert.equal("100", out(c, "sh", "-c", "ulimit -n"))
    local _, message = pcall(c.run, c, { "true", rlimits = { nofile = 200 } })
    assert.matches("rlimits.nofile: the box has 100 at the most", message)
  end)

  needs("starts from an empty environment where it says so", function()
    local c = living(ns.sandbox():env("TOKEN", "secret"))
    assert.equal("A=1", out(c, { "/usr/bin/env", clear_env = true, env = { A = "1" } }))
    assert.equal("", out(c, { "/usr/bin/env", clear_env = true }))
    assert.matches("TOKEN=secret", out(c, { "/usr/bin/env", clear_env = false }))
  end)

  needs("cannot differ in what is the box's: each such word is a mistake, by name", function()
    local c = living()
    for word, value in pairs { mounts = {}, root = "/", flags = {}, hostname = "x", caps = {}, no_new_privs = false,
      user = 0, map = "root", init = false, keyring = "inherit", detach = true } do
      local ok, message = pcall(c.spawn, c, { "true", [word] = value })
      assert.is_false(ok)
      assert.matches(word .. ": is the box's, and cannot differ in a program of it", message)
    end
    assert.has_error(function() c:spawn { "true", hostnam = "x" } end)
    assert.has_error(function() c:spawn {} end)
  end)

  needs("is refused by name where it cannot be executed, and the box lives on", function()
    local c = living()
    local r, message, errno, detail = c:run("no-such-program")
    assert.same({ nil, "exec 'no-such-program': No such file or directory (ENOENT)", 2, "exec" },
      { r, message:match("^[^;]*"), errno, detail.step })
    r, message = c:run { "true", cwd = "/nowhere" }
    assert.is_nil(r)
    assert.matches("^chdir /nowhere: No such file", message)
    assert.equal("here", out(c, "echo", "here"))
  end)

  needs("is ended by its timeout, with what it has started, and the box lives on", function()
    local c = living()
    local r = c:run { "sh", "-c", "sleep 999 & sleep 999", timeout = 0.2, grace = 0 }
    assert.is_true(r.timed_out)
    assert.equal("", c:run("ps", "-o", "comm=", "-C", "sleep").stdout)
  end)

  needs("can be stopped, killed and waited for as any other", function()
    local c = living()
    local p = c:spawn { "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do :; done", stdout = "pipe" }
    assert.equal("ready", p.stdout:read("*l"))
    assert.same({ nil, "timeout" }, { p:wait(0) })
    assert.same({ nil, "exit", 5 }, { p:stop() })
    p:close()
    p = c:spawn("sleep", "100")
    assert.is_true(p:kill("KILL"))
    assert.same({ nil, "signal", 9 }, { p:wait() })
    assert.same({ nil, core.strerror(3), 3 }, { p:kill() })
    p:close()
  end)

  needs("may have a terminal of its own, with a name inside, that hangs up and changes its size", function()
    local c = living()
    local line = "tty; stty size; echo text >$(tty); cut -d' ' -f7 /proc/self/stat; script -qc tty /dev/null"
    local r = c:run { "sh", "-c", line, pty = { rows = 7, cols = 9 } }
    assert.equal("/dev/pts/0\n7 9\ntext\n34816\n/dev/pts/1\n", (r.stdout:gsub("\r", "")))
    local first = c:spawn { "sh", "-c", "trap 'exit 5' HUP; tty; while :; do sleep 0.1; done", pty = true }
    assert.equal("/dev/pts/0\r", first.pty:read())
    local second = c:spawn { "sh", "-c", "trap 'stty size; exit' WINCH; tty; while :; do :; done", pty = true }
    assert.equal("/dev/pts/1\r", second.pty:read())
    assert.is_true(second:resize(40, 100))
    assert.equal("40 100\r", second.pty:read())
    first.pty:close()
    assert.same({ nil, "exit", 5 }, { first:wait(5) })
    first:close()
    second:close()
  end)

  needs("has one for an ordinary user, too; and where its own is another user, it is that one's", function()
    local code = [[
      local c = assert(require("ns").sandbox()%s:start())
      local line = "tty; stat -c '%%U %%a' $(tty); echo text >$(tty)"
      io.write((c:run { "sh", "-c", line, pty = true, timeout = 40 }.stdout:gsub("\r", "")))
      c:close()]]
    assert.equal("/dev/pts/0\nnobody 620\ntext\n", (machine.host(code:format("")
      , { nobody = true }).stdout:gsub("root", "nobody")))
    if not machine.root then return end
    assert.equal("/dev/pts/0\nnobody 620\ntext\n", machine.host(code:format(":user(65534):group(65534)")).stdout)
  end)

  needs("is given the host's terminal by its shell, until that ends", function()
    local t = at.open()
    t.p:resize(31, 97)
    t.type(at.host("local c = assert(ns.sandbox():start()) print(c:shell()) c:close()") .. "\n")
    t.type("stty -echo; PS1=; tty; stty size; hostname; echo sta''rted; sleep 50\n")
    t.expect("/dev/pts/0\r\n31 97\r\nsandbox\r\nstarted\r\n")
    t.type("\3")
    t.type("exit 7\n")
    t.expect("nil\texit\t7\r\n")
    t.p:close()
    at.clear()
  end)

  needs("holds no descriptor of the host, of the init or of another program", function()
    local c = living()
    local other = c:spawn { "sleep", "100", stdin = "pipe", stdout = "pipe" }
    assert.equal("/dev/null pipe pipe", out(c, "sh", "-c", [[set --; for n in /proc/self/fd/*; do
      f=$(readlink $n) && set -- "$@" "${f%%:*}"; done; echo "$1 $2 $3"; [ $# -le 4 ] || echo "$@" ]]))
    other:close()
  end)

  needs("ends without a word being lost, whatever number of them run at once", function()
    local c, list = living(), {}
    for i = 1, 100 do list[i] = assert(c:spawn("sh", "-c", "exit " .. i)) end
    for i = 1, 100 do assert.same({ nil, "exit", i }, { list[i]:wait(20) }) end
    for i = 1, 100 do list[i]:close() end
  end)

  needs("finds an init that tells it nothing, and that it cannot end", function()
    local c = living()
    assert.equal("ns-init|ns|", out(c, "sh", "-c", [[read name </proc/1/comm; cmd=$(tr -d '\0' </proc/1/cmdline)
      { readlink /proc/1/fd/* /proc/1/exe /proc/1/cwd /proc/1/ns/*; cat /proc/1/environ /proc/1/maps; head -c 1 /proc/1/mem
      } >/tmp/out 2>/dev/null; kill -9 1; kill -TERM 1; echo "$name|$cmd|$(cat /tmp/out)"]]))
    assert.equal("alive", out(c, "echo", "alive"))
  end)
end)

describe("a living box", function()
  needs("lists what is inside: numbers, arguments, and the program that it belongs to", function()
    local c = living()
    local p = c:spawn("sh", "-c", "sleep 1001 & wait")
    machine.eventually(function()
      local second = c:processes()[2]
      return second and second.argv[1] == "sleep"
    end)
    local list = c:processes()
    assert.same({ p.pid, "sh" }, { list[1].pid, list[1].argv[1] })
    assert.same({ "sleep", "1001" }, list[2].argv)
    assert.equal(list[1].pid, list[2].ppid)
    assert.equal(p, list[2].process)
    assert.truthy(list[1].inside > 1 and list[1].inside < list[2].inside)
    out(c, "sh", "-c", "sleep 1002 >&- 2>&- &")
    list = c:processes()
    assert.same({ "1002" }, { list[3].argv[2], list[3].process })
    p:close()
  end)

  needs("ends with all that is inside, by stop, close, and the end of its program", function()
    local function ended(c, word)
      machine.eventually(function() return machine.processes(word) == 0 end, 5)
      assert.equal(0, machine.processes(word))
      assert.matches("closed", tostring(c))
    end
    local c = living()
    c:run("sh", "-c", "sleep 71234 >&- 2>&- &")
    assert.is_true(c:close())
    ended(c, "71234")
    c = living()
    c:run("sh", "-c", "setsid sleep 71235 >&- 2>&- &")
    assert.is_true(c:stop(5))
    c:close()
    ended(c, "71235")
    c = living(nil, "sh", "-c", "sleep 71236 & sleep 0.1; exit 3")
    assert.same({ nil, "exit", 3 }, { c:wait(10) })
    machine.eventually(function() return machine.processes("71236") == 0 end, 5)
    assert.equal(0, machine.processes("71236"))
  end)

  needs("ends with its host", function()
    local r = machine.host([[
      local ns = require "ns"
      local c = assert(ns.sandbox():start())
      c:run("sh", "-c", "sleep 71237 >&- 2>&- &")
      local p = c:spawn("sleep", "71237")
      io.write(c.pid)
      io.stdout:flush()
      require("ns.core")
      os.execute("kill -9 " .. (io.open("/proc/self/stat"):read("*n"))) ]])
    assert.equal(9, r.signal)
    machine.eventually(function() return machine.processes("71237") == 0 end, 5)
    assert.equal(0, machine.processes("71237"))
  end)

  needs("stays as long as one of its programs is kept, or a file of one", function()
    local r = machine.host [[
      local ns = require "ns"
      local LINES = { "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done", stdout = "pipe" }
      local function collect()
        collectgarbage()
        collectgarbage()
      end
      local function show(file)
        for line in file:lines() do
          io.write(line)
          collect()
        end
        print()
      end
      show(ns.sandbox():start():spawn(LINES).stdout)
      show(ns.sandbox():pool(1):spawn(LINES).stdout)
      local p = ns.sandbox():start():spawn(LINES)
      collect()
      print(p:wait()) ]]
    assert.equal("123\n123\ntrue\texit\t0\n", r.stdout .. r.stderr)
  end)

  needs("tells each of its programs' handles that it has ended", function()
    local c = living()
    local p, q = c:spawn("sleep", "100"), c:spawn { "cat", stdin = "pipe", stdout = "pipe" }
    c:close()
    assert.same({ nil, "signal", 9 }, { p:wait(5) })
    assert.same({ nil, "signal", 9 }, { q:wait(5) })
    assert.is_nil(p:usage())
    local r, message, errno = c:run("true")
    assert.same({ nil, "the container is closed", 3 }, { r, message, errno })
    p:close()
    q:close()
  end)

  needs("can be asked and waited for once it was stopped, until it is closed", function()
    local function stopped(...)
      local c = assert(ns.sandbox():start(...))
      local fd, status = c:getfd(), { c:stop(0.2) }
      assert.equal(fd, c:getfd())
      assert.same(status, { c:wait() })
      assert.matches("ended", tostring(c))
      assert.same({}, c:processes() or {})
      c:close()
      assert.same({ nil, "the container is closed", 3 }, { c:getfd() })
      return status, { c:wait(0) }
    end
    assert.same({ true, "exit", 0 }, (stopped()))
    local status, after = stopped("sleep", "100")
    assert.same({ nil, "signal", 15 }, status)
    assert.same(status, after)
    assert.same({ nil, "attempt to wait for a closed container" }, select(2, stopped()))
    local p = ns.spawn { "true" }
    p:close()
    assert.same({ nil, "the process is closed", 3 }, { p:getfd() })
  end)

  needs("says to who wants a program that it has ended, and how", function()
    local c = living(nil, "sh", "-c", "exit 3")
    assert.same({ nil, "exit", 3 }, { c:wait(10) })
    local r, message, errno, detail = c:run("true")
    assert.same({ nil, "the container has ended (exit 3)", 3, "ESRCH" }, { r, message, errno, detail.code })
    assert.same({ nil, "exit", 3 }, { c.main:wait() })
  end)

  needs("tells a mistake by what it is: a box as a program, namespaces, descriptors without number", function()
    local c = living()
    local function mistake(...) return select(2, pcall(c.run, c, ...)) end
    assert.matches("a box stands for itself", mistake(ns.box():argv("true")))
    assert.matches("join: is for a start of its own", mistake { "true", join = { net = "/proc/self/ns/net" } })
    local files, fds = {}, {}
    for i = 1, 251 do files[i] = assert(io.open "/dev/null") fds[9 + i] = files[i] end
    assert.matches("fds: 251 are too many in a container, 250 are the most", mistake { "true", fds = fds })
    fds[260] = fds[10]
    assert.is_true(c:run({ "true", fds = fds }).ok)
    for _, f in ipairs(files) do f:close() end
  end)

  needs("gives its shell the TERM of the terminal, where the box says no other", function()
    local r = machine.host([[
      local c = assert(require "ns".sandbox():start())
      c:shell("sh", "-c", "echo TERM=$TERM")
      c:close()
      c = assert(require "ns".sandbox():env("TERM", "dumb"):start())
      c:shell("sh", "-c", "echo TERM=$TERM")
      c:close()]], { spec = { pty = true, env = (function(env)
        for name, value in pairs(machine.paths(machine.public())) do env[name] = value end
        return env
      end) { TERM = "vt100" } } })
    assert.equal("TERM=vt100\r\nTERM=dumb\r\n", r.stdout)
  end)

  needs("gives its refusals before any program is there", function()
    assert.has_error(function() ns.box { flags = "mount" }:start() end,
      nil)
    local c, message, errno = ns.sandbox():root("/nowhere/at/all"):start()
    assert.same({ nil, 2 }, { c, errno })
    assert.matches("No such file", message)
    c, message = ns.sandbox():start("no-such-program")
    assert.is_nil(c)
    assert.matches("^exec 'no%-such%-program'", message)
  end)

  machine.root_it("whose programs are another user keeps its rights for itself, and they have none", function()
    local c = living(ns.sandbox():user(1000):group(1000))
    assert.equal("1000:1000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nrefused\nrefused",
      out(c, "sh", "-c", [[echo $(id -u):$(id -g); grep -E 'CapEff|CapBnd|NoNew' /proc/self/status
        prlimit --pid 1 --nofile=64 2>/dev/null || echo refused; kill -9 1 2>/dev/null || echo refused]]))
    assert.equal("7", out(c, { "id", "-u", user = 7 }))
    assert.has_error(function() c:run { "true", user = 70000 } end)
  end)

  machine.root_it("gives another user none of the first one's groups, and one with a name a group of its own", function()
    local WHO = "id -u; id -g; id -G"
    local function ids(c, words)
      words[1], words[2], words[3] = "sh", "-c", WHO
      return (assert(c and c:run(words) or ns.run(words)).stdout:gsub("\n", " "))
    end
    local c = living(ns.sandbox():user(1000):group(1000):groups { "games", 4 })
    local own = ids(nil, { user = "backup" })
    assert.equal(own, ids(c, { user = "backup" }))
    assert.equal("33 1000 1000 ", ids(c, { user = 33 }))
    assert.equal("1000 7 7 ", ids(c, { group = 7 }))
    for _, same in ipairs { {}, { user = 1000 }, { group = 1000 }, { user = 1000, group = 1000 } } do
      assert.matches("^1000 1000 1000 4 %d+ $", ids(c, same))
    end
    assert.equal("33 7 7 5 ", ids(c, { user = 33, group = 7, groups = { 5 } }))
    local group, other = own:match("%d+ (%d+)"), ns.sandbox():user("backup"):start()
    assert.equal(("33 %s %s "):format(group, group), ids(other, { user = 33 }))
    other:close()
    local each = ns.parallel({ { user = "backup" } }, ns.sandbox():user(1000):group(1000):groups { 4 }:argv("sh", "-c", WHO))
    assert.equal(own, (each[1].stdout:gsub("\n", " ")))
  end)

  machine.root_it("gives each program's streams to the user that it is, and tells who that is on the host", function()
    local c = living(ns.sandbox():user(1000))
    local line = "echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin"
    local r = c:run { "sh", "-c", line, user = 33, group = 33, stdin = "in" }
    assert.same({ "out\nin", "err\n" }, { r.stdout, r.stderr })
    r = c:run { "sh", "-c", "echo tty >/dev/stdout; stat -Lc %u /proc/self/fd/0", user = 33, pty = true }
    assert.equal("tty\r\n33\r\n", r.stdout)
    local p = c:spawn { "sleep", "100", user = 33 }
    assert.equal(p:ids().uid_map[1][2] + 33, p:ids().uid)
    p:close()
  end)
end)

describe("a living box that has ended", function()
  needs("refuses a program, and leaves no descriptor", function()
    local c = assert(ns.sandbox():start())
    assert(ns.run { "kill", "-9", tostring(c.pid) })
    c:wait()
    local p, message, errno = c:spawn("true")
    assert.same({ nil, "the container has ended (signal 9)", core.constants.errno.ESRCH }, { p, message, errno })
    c:close()
  end)
end)

describe("a pool", function()
  needs("has a box of its own for each program, that ends with it", function()
    local pool = ns.sandbox():pool(2)
    finally(function() pool:close() end)
    for i = 1, 5 do
      local line = "ls -A /tmp; cat; touch /tmp/$0; sleep 71238 & exit $0"
      local r = assert(pool:run { "sh", "-c", line, tostring(i), stdin = "in" })
      assert.same({ "in", i }, { r.stdout, r.code })
    end
    machine.eventually(function() return machine.processes("71238") == 0 end, 5)
    assert.equal(0, machine.processes("71238"))
    local stats = pool:stats()
    assert.same({ 2, 0, 0, 5 }, { stats.size, stats.failed, stats.cold, stats.warm })
  end)

  needs("launches the next box without waiting for it, and hears of it in a loop", function()
    local pool = ns.sandbox():pool(2)
    finally(function() pool:close() end)
    machine.eventually(function() return pool:fill() == 2 end, 10)
    assert.is_nil(pool:getfd())
    assert.equal("ns.Pool (2 of 2 ready)", tostring(pool))
    local p = assert(pool:spawn("sleep", "100"))
    assert.equal("number", type(pool:getfd()))
    p:close()
  end)

  needs("launches the next box when its host would only wait: not before a program has been started", function()
    local pool = ns.sandbox():pool(4)
    finally(function() pool:close() end)
    local p = assert(pool:spawn("sleep", "100"))
    assert.equal(4, pool:stats().launched)
    assert.same({ nil, "timeout" }, { p:wait(0.05) })
    assert.equal(5, pool:stats().launched)
    p:close()
    for _ = 1, 10 do pool:spawn("true"):close() end
    assert.equal(0, pool:stats().cold)
    assert.truthy(pool:stats().launched >= 12) -- less than half of them are never left
  end)

  needs("hears also of a box that was ready before we had looked", function()
    -- on one processor, where we come last, a launcher has answered as soon as it has its plan
    local r = machine.host([[
      local ns = require "ns"
      local pool = ns.sandbox():pool(2)
      for i = 1, 5 do io.write(assert(pool:run { "echo", tostring(i), timeout = 20 }).stdout) end
      pool:close()]], { under = { "taskset", "-c", "0", "chrt", "--idle", "0" }, timeout = 60 })
    assert.equal("1\n2\n3\n4\n5\n", r.stdout .. r.stderr)
  end)

  needs("does not count boxes that have ended, nor lets a program find one", function()
    local pool = ns.sandbox():pool(2)
    finally(function() pool:close() end)
    local function ready() return pool:fill() == 2 end
    machine.eventually(ready, 10)
    for _, c in ipairs(pool.boxes) do
      os.execute("kill -9 " .. c.pid)
      assert.truthy(c:wait(10) == nil)
      assert.matches("ended", tostring(c))
    end
    assert.same({ 0, "ns.Pool (0 of 2 ready)" }, { pool:stats().ready, tostring(pool) })
    assert.equal("hi\n", assert(pool:run("echo", "hi")).stdout)
    assert.same({ 2, 1 }, { pool:stats().failed, pool:stats().cold })
    machine.eventually(ready, 10)
  end)

  needs("tells what a box is refused for when a program wants one", function()
    local pool = ns.sandbox():root("/nowhere/at/all"):pool(2)
    finally(function() pool:close() end)
    local p, message, errno = pool:spawn("true")
    assert.same({ nil, 2 }, { p, errno })
    assert.matches("No such file", message)
    assert.truthy(pool:stats().failed > 0)
    assert.has_error(function() ns.sandbox():pool(0) end)
  end)

  needs("that is closed ends the boxes that wait, and no program", function()
    local pool = ns.sandbox():pool(2)
    local p = assert(pool:spawn("sleep", "100"))
    pool:close()
    assert.same({ nil, "timeout" }, { p:wait(0.05) })
    assert.has_error(function() pool:run("true") end)
    p:close()
  end)
end)
