--- An init: process 1 of a pid namespace, which the program is a child of.
local machine = require "support.machine"
local ns = require "ns"
local sh = machine.sh

--- A spec with an init and a /proc of its own.
local function spec(words)
  local all = { flags = { "pid", "mount" }, mount_proc = true, init = true, timeout = 20 }
  if not machine.root then table.insert(all.flags, "user") end
  for word, value in pairs(words or {}) do all[word] = value end
  return all
end

local function start(line, words)
  local all = spec(words)
  all[1], all[2], all[3], all.stdout = "sh", "-c", line, "pipe"
  return assert(ns.spawn(all))
end

local function stat(pid, field)
  local text = machine.read(("/proc/%d/status"):format(pid))
  return text and text:match(field .. ":%s*(%S+)")
end

describe("an init #system", function()
  it("is process 1, and the program is process 2, its child", function()
    assert.equal("2 1 1 2", sh(spec(), "cd /proc; echo $$ $PPID [0-9]*"))
  end)

  it("tells the program's own status: each exit, each signal", function()
    for _, code in ipairs { 0, 1, 42, 127, 128, 137, 255 } do
      local r = ns.run(ns.box(spec()):argv("sh", "-c", "exit " .. code))
      assert.same({ code == 0 or nil, "exit", code }, { r.ok, r.how, r.code })
    end
    for _, signal in ipairs { 1, 2, 9, 11, 15, 34, 64 } do
      local r = ns.run(ns.box(spec { rlimits = { core = 0 } }):argv("perl", "-e", "kill " .. signal .. ", $$; sleep 9"))
      assert.same({ nil, "signal", signal }, { r.ok, r.how, r.signal })
    end
  end)

  it("tells it where the host ignores SIGCHLD, too (row 64)", function()
    local code = [[
      local p = require("ns").spawn { "sh", "-c", "exit 42", flags = "user,pid", init = true }
      print(p:wait())
    ]]
    local r = machine.host(code, { under = { "perl", "-e", [[$SIG{CHLD} = "IGNORE"; exec @ARGV]] } })
    assert.equal("nil\texit\t42\n", r.stdout)
  end)

  it("says why a program did not start", function()
    for _, words in ipairs { { argv = { "/nope" } }, { argv = { "true" }, cwd = "/nope" } } do
      local all = spec(words)
      local p, message, errno, detail = ns.spawn(all)
      assert.same({ nil, 2, "ENOENT" }, { p, errno, detail.code })
      assert.matches(words.cwd and "^chdir /nope: " or "^exec '/nope': ", message)
    end
  end)

  it("reaps what its parents have left behind", function()
    local line = "for i in 1 2 3 4 5 6 7 8; do (sh -c 'sleep 0.05 & exit' &); done; sleep 1; "
      .. "cat /proc/[0-9]*/status 2>/dev/null | grep -c '^State:.*Z' || true"
    assert.equal("0", sh(spec(), line))
  end)

  it("hands signals on to the program", function()
    local p = start([[exec perl -e 'alarm 10; $| = 1; for my $s (@ARGV) { $SIG{$s} = sub { print "$_[0]\n"; $left--; } }
      $left = @ARGV; print "ready\n"; select undef, undef, undef, 0.1 while $left > 0;
      exit 3' HUP INT QUIT USR1 USR2 ALRM TERM TSTP WINCH IO PWR NUM40]])
    assert.equal("ready", p.stdout:read())
    for _, signal in ipairs { "HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "TSTP", "WINCH", "IO", "PWR", 40 } do
      assert.is_true(p:kill(signal))
      assert.equal(signal == 40 and "NUM40" or signal, p.stdout:read())
    end
    assert.same({ nil, "exit", 3 }, { p:wait() })
    p:close()
  end)

  it("is deaf to what is sent to process 1 from inside, in whatever way", function()
    local ways = [[
      $SIG{$_} = sub { print "got $_[0]\n" } for qw(TERM USR1 IO);
      my ($kill, $queue, $fcntl) = `uname -m` =~ /x86_64/ ? (62, 129, 72) : (129, 138, 25);
      kill $_, 1 for qw(TERM USR1 HUP STOP KILL);
      for my $code (-1, -2, -4) { # SI_QUEUE, SI_TIMER, SI_ASYNCIO, with the pid of nobody
        my $info = pack "iii x4 ii x104", 15, 0, $code, 0, 0;
        syscall $queue, 1, 15, $info;
      }
      pipe my $r, my $w; # what comes in a pipe is told process 1, by the signal of one's choice
      fcntl $r, 8, 1; fcntl $r, 10, 15; fcntl $r, 4, 020000;
      syswrite $w, "x";
      select undef, undef, undef, 0.2;
      do { local @ARGV = "/proc/1/status"; print grep { /^State/ } <> };
      exit 6;]]
    local p = assert(ns.spawn(ns.box(spec()):argv("perl", "-e", ways):stdout("pipe")))
    assert.matches("^State:%s+[SR] [^\n]+\n$", p.stdout:read("*a"))
    assert.same({ nil, "exit", 6 }, { p:wait() })
    p:close()
  end)

  it("tells the end of a program whose children send it one signal after the other, and hears the host", function()
    local line = "perl -e 'fork; fork; while (1) { kill $_, 1 for 10, 12, 34, 35, 64 }' & sleep 0.3; "
      .. "trap 'exit 4' TERM; echo; while :; do :; done"
    local p = start(line)
    p.stdout:read()
    p:kill("TERM")
    assert.same({ nil, "exit", 4 }, { p:wait(10) })
    p:close()
  end)

  it("outlives a program that kills everything, and tells its status (A34)", function()
    local r = ns.run(ns.box(spec()):argv("sh", "-c", "sleep 30 & sleep 30 & kill -STOP -1; kill -9 -1; exit 5"))
    assert.same({ nil, "exit", 5 }, { r.ok, r.how, r.code })
  end)

  it("ends everything when the program ends", function()
    local mark = "6" .. os.time() % 100000 .. ".25"
    local line = "trap '' TERM HUP; (setsid sleep %s &); setsid sh -c 'sleep %s & sleep %s' & sleep 0.1; exit 2"
    local r = ns.run(ns.box(spec()):argv("sh", "-c", (line:gsub("%%s", mark))))
    assert.equal(2, r.code)
    assert.equal(0, machine.processes(mark))
  end)

  it("closes its streams: the host sees the end when the program closes its own", function()
    local p = start("echo out; exec >&-; sleep 20")
    assert.equal("out\n", p.stdout:read("*a"))
    assert.same({ nil, "timeout" }, { p:wait(0) })
    p:close()
  end)

  it("takes less than 200 KiB", function()
    local p = start("echo; sleep 20")
    p.stdout:read()
    machine.eventually(function() return stat(p.pid, "Name") == "ns-init" end)
    assert.truthy(tonumber(stat(p.pid, "VmRSS")) < 200)
    assert.truthy(tonumber(stat(p.pid, "VmSize")) < 1000)
    p:close()
  end)

  it("counts what the program has used as its own", function()
    local r = ns.run(ns.box(spec()):argv("sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"))
    assert.truthy(r.usage.utime > 0.01 and r.usage.maxrss > 500)
  end)

  it("counts what a program has used that only SIGKILL ends", function()
    local line = "trap '' TERM; i=0; while :; do i=$((i+1)); [ $i = 200000 ] && echo; done"
    local ENDS = {
      function(p) p:stop(0) end,
      function(p) p:stop(0.1) end,
      function(p) p:kill("KILL") end,
      function(p) p:kill("STOP") p:kill("KILL") end,
    }
    for _, flags in ipairs { spec().flags, {} } do
      for _, ending in ipairs(ENDS) do
        local p = start(line, { flags = flags, mount_proc = false })
        p.stdout:read()
        ending(p)
        assert.same({ nil, "signal", 9 }, { p:wait() })
        assert.truthy(p:usage().utime > 0.01 and p:usage().maxrss > 500)
        p:close()
      end
    end
  end)

  it("tells how much memory the program has had, and not the host", function()
    local r = machine.host(([[
      local large = ("x"):rep(200 * 2 ^ 20)
      print(require("ns").run(%s).usage.maxrss < 50 * 1024, #large)]]):format(
      '{ "true", flags = "user,pid", init = true }'))
    assert.equal("true\t209715200\n", r.stdout .. r.stderr)
  end)

  it("that is stopped by the host goes on when it is told so, and the status is still the program's", function()
    local p = start("echo; sleep 0.1; exit 8")
    p.stdout:read()
    p:kill("STOP")
    assert.same({ nil, "timeout" }, { p:wait(0.3) })
    p:kill("CONT")
    assert.same({ nil, "exit", 8 }, { p:wait() })
    p:close()
  end)

  it("that is killed takes all with it", function()
    local mark = "9" .. os.time() % 100000 .. ".25"
    local p = start(("echo; sleep %s & exec sleep %s"):format(mark, mark))
    p.stdout:read()
    p:kill("KILL")
    assert.same({ nil, "signal", 9 }, { p:wait() })
    assert.equal(0, machine.processes(mark))
    p:close()
  end)

  it("gets no signal after its end, nor does anybody else (row 65)", function()
    local p = start("exit 0")
    p:wait()
    assert.same({ nil, "No such process", 3 }, { p:kill("TERM") })
    p:close()
  end)
end)

describe("what the init shows of the host #system", function()
  local p

  before_each(function()
    p = start("echo; sleep 20", { env = { SECRET = "of the host" } })
    p.stdout:read()
    machine.eventually(function() return stat(p.pid, "Name") == "ns-init" end)
  end)

  after_each(function() p:close() end)

  local function proc(what) return ("/proc/%d/%s"):format(p.pid, what) end

  machine.root_it("is nothing: no environment, no arguments, no memory, no directory", function()
    local link = require("lfs").symlinkattributes
    assert.equal("", machine.read(proc "environ"))
    assert.matches("^ns%z+$", machine.read(proc "cmdline"))
    assert.equal("/memfd:ns (deleted)", link(proc "exe", "target"))
    assert.same({ "/", "/" }, { link(proc "cwd", "target"), link(proc "root", "target") })
    for line in machine.read(proc "maps"):gmatch("[^\n]+") do
      local what = line:match("^%S+ %S+ %S+ %S+ %S+%s*(.-)$")
      assert.truthy(what == "/memfd:ns (deleted)" or what == "" or what:find("^%[v") or what == "[stack]", line)
    end
  end)

  machine.root_it("is no string in its memory", function()
    -- the words of the host's environment, and the bytes of the plan
    local f = assert(io.open(proc "mem", "rb"))
    local found
    for from, to in machine.read(proc "maps"):gmatch("(%x+)%-(%x+) rw") do
      f:seek("set", tonumber(from, 16))
      local bytes = f:read(tonumber(to, 16) - tonumber(from, 16)) or ""
      for _, word in ipairs { "of the host", "PATH=", "sleep 20" } do found = found or bytes:find(word, 1, true) end
    end
    f:close()
    assert.is_nil(found)
  end)

  machine.root_it("is no descriptor but the socket to it", function()
    local seen = {}
    for name in require("lfs").dir(proc "fd") do
      local target = require("lfs").symlinkattributes(proc("fd/" .. name), "target")
      if target then seen[#seen + 1] = target:match("^[^%d]+") end
    end
    table.sort(seen)
    assert.same({ "anon_inode:[signalfd]", "socket:[" }, seen)
  end)
end)

describe("from inside, the init #system", function()
  local PTRACE = [[exec perl -e '
    my $nr = `uname -m` =~ /x86_64/ ? 101 : 117;
    print syscall($nr, 16, 1, 0, 0) == -1 ? "refused " . ($! + 0) : "traced"; print "\n"']]
  local LOOK = "for f in environ maps mem fd/0 exe cwd root; do cat /proc/1/$f >/dev/null 2>&1 && echo $f; "
    .. "readlink /proc/1/$f; done; " .. PTRACE

  machine.it("user")("is not to be looked into or traced in a sandbox", function()
    for _, nobody in ipairs { false, true } do
      local code = ("io.write(require('ns').sandbox():run('sh', '-c', %q).stdout)"):format(LOOK)
      local r = machine.host(code, { nobody = nobody })
      assert.equal("refused 1\n", r.stdout)
    end
  end)

  machine.root_it("is not to be looked into by an ordinary user", function()
    assert.equal("refused 1", sh(spec { user = "nobody" }, LOOK))
  end)

  machine.it("user")("may be traced by a program that has the right to in its namespace, and the host is well", function()
    local line = PTRACE .. " && sleep 20"
    for _, ending in ipairs { "stop", "close" } do
      local p = start(line, { flags = { "user", "pid", "mount" } })
      assert.equal("traced", p.stdout:read())
      if ending == "stop" then p:stop(0.1) end
      p:close()
      assert.is_nil(machine.read(("/proc/%d/stat"):format(p.pid)))
    end
  end)

  -- What a program that may trace its init does with the init's socket. The numbers are those of pidfd_open and pidfd_getfd.
  local SOCKET = [[my $init = syscall 434, 1, 0; my $s;
    for my $n (3 .. 63) { my $fd = syscall 438, $init, $n, 0; next if $fd < 0; open $s, "+<&=", $fd; last if -S $s }
    $| = 1; -S $s or die "no socket"; ]]

  local function with_socket(rest)
    local p = assert(ns.sandbox():caps { "sys_ptrace" }:stdout("pipe"):spawn("perl", "-e", SOCKET .. rest))
    assert.equal("ready", p.stdout:read())
    return p
  end

  machine.it("user")("may have its socket taken and flooded, and the host that looks into it comes back", function()
    local p = with_socket([[print "ready\n"; alarm 3; for (1 .. 2) { last unless fork }
      syswrite $s, pack "Ll", 0xfffffffe, 0x137f while 1]])
    for _ = 1, 3 do p.handle:stopped() end
    assert.same({ nil, "timeout" }, { p:wait(0) })
    p:close()
  end)

  machine.it("user")("may have its socket taken, and nothing is said to live on that the namespace has ended", function()
    local p = with_socket([[syswrite $s, pack "Ll", 0xfffffffc, 1; print "ready\n"; sleep 9]])
    assert.same({ nil, "signal", 9 }, { p:stop(0) })
    p:close()
  end)
end)

describe("a program that has changed its ids, which its init may not kill #system", function()
  machine.root_it("dies with its namespace, and that is its status", function()
    local line = '$| = 1; $< = $> = 5; print "$<\n"; sleep 9'
    local p = assert(ns.sandbox():caps { "setuid" }:stdout("pipe"):spawn("perl", "-e", line))
    assert.equal("5", p.stdout:read())
    assert.same({ nil, "signal", 9 }, { p:stop(0) })
    p:close()
  end)
end)

describe("a detached init #system", function()
  it("outlives the handle and the host, and ends with its program", function()
    local mark = "2" .. os.time() % 100000 .. ".125"
    local code = ([[
      local p = assert(require("ns").spawn { "sh", "-c", "sleep 4; : %s", flags = "user,pid", init = true, detach = true,
        stdout = "null", stderr = "null" })
      print(p.pid)
      p:close()
    ]]):format(mark)
    local pid = machine.host(code).stdout:match("%d+")
    assert.equal("ns-init", stat(pid, "Name"))
    machine.eventually(function() return stat(pid, "State") == "S" end)
    machine.eventually(function() return machine.read("/proc/" .. pid .. "/stat") == nil end, 20)
  end)

  it("tells its status, also after another start", function()
    local p = assert(ns.spawn(spec { argv = { "sh", "-c", "exit 9" }, detach = true }))
    machine.eventually(function() return (stat(p.pid, "State") or "Z") == "Z" end) -- a start may have reaped it by then
    ns.run { "true" }
    assert.same({ nil, "exit", 9 }, { p:wait() })
    p:close()
    ns.run { "true" }
  end)
end)

describe("an init without a pid namespace #system", function()
  it("is the program's parent, hands signals on, and tells its status", function()
    local p = assert(ns.spawn { "sh", "-c", "trap 'exit 7' USR1; echo $PPID; while :; do :; done", init = true,
      stdout = "pipe" })
    assert.equal(tostring(p.pid), p.stdout:read())
    assert.is_true(p:kill("USR1"))
    assert.same({ nil, "exit", 7 }, { p:wait() })
    p:close()
  end)

  it("takes the program with it when it is killed", function()
    local mark = "8" .. os.time() % 100000 .. ".5"
    local p = assert(ns.spawn { "sh", "-c", "echo; exec sleep " .. mark, init = true, stdout = "pipe" })
    p.stdout:read()
    os.execute(("kill -9 %d"):format(p.pid))
    assert.same({ nil, "signal", 9 }, { p:wait() })
    machine.eventually(function() return machine.processes(mark) == 0 end)
    p:close()
  end)

  machine.it("user", "mount")("ends everything where there is no /proc, too", function()
    local mark = "9" .. os.time() % 100000 .. ".5"
    local flags = machine.root and { "mount" } or { "user", "mount" }
    for _, grace in ipairs { 0, 1 } do
      local p = assert(ns.spawn { "sh", "-c", ("(setsid sleep %s &); sleep %s & echo; wait"):format(mark, mark), init = true,
        flags = flags, system = true, mounts = { { type = "dev", target = "/dev" } }, stdout = "pipe" })
      p.stdout:read()
      p:stop(grace)
      p:close()
      machine.eventually(function() return machine.processes(mark) == 0 end)
    end
  end)
end)
