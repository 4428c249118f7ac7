--- The process handle: wait, kill, stop, close, collection; and what the host may have done to SIGCHLD.
local machine = require "support.machine"
local ns = require "ns"
local core = require "ns.core"

describe("a process", function()
  it("has its pid, and says what it is", function()
    local p = assert(ns.spawn { "sleep", "5" })
    assert.equal("sleep", machine.read(("/proc/%d/comm"):format(p.pid)):match("%a+"))
    assert.equal(("ns.Process (pid %d, running)"):format(p.pid), tostring(p))
    p:kill("KILL")
    p:wait()
    assert.equal(("ns.Process (pid %d, signal 9)"):format(p.pid), tostring(p))
    p:close()
    assert.equal(("ns.Process (pid %d, signal 9)"):format(p.pid), tostring(p))
  end)

  it("gives its status again and again", function()
    local p = assert(ns.spawn { "sh", "-c", "exit 7" })
    for _ = 1, 3 do assert.same({ nil, "exit", 7 }, { p:wait() }) end
    p:close()
    assert.same({ nil, "exit", 7 }, { ns.wait(p, 0) })
  end)

  it("is waited for as long as was asked, and lives on", function()
    local p = assert(ns.spawn { "sleep", "1" })
    assert.same({ nil, "timeout" }, { p:wait(0) })
    assert.same({ nil, "timeout" }, { p:wait(0.05) })
    assert.same({ true, "exit", 0 }, { p:wait(20) })
    p:close()
  end)

  it("is stopped by its own timeout when it is waited for", function()
    local p = assert(ns.spawn { "sleep", "100", timeout = 1 }) -- a start may take a while, too
    assert.is_false(p.timed_out)
    assert.same({ nil, "timeout" }, { p:wait(0.01) })
    assert.same({ nil, "signal", 15 }, { p:wait() })
    assert.is_true(p.timed_out)
    p:close()
  end)

  it("is waited for no longer than was asked, though its timeout is over meanwhile", function()
    local p = assert(ns.spawn { "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.05; done", stdout = "pipe",
      timeout = 0.1, grace = 2 })
    p.stdout:read()
    os.execute("sleep 0.2")
    local start = core.clock()
    assert.same({ nil, "timeout" }, { p:wait(0) }) -- SIGTERM goes out here
    assert.same({ nil, "timeout" }, { p:wait(0.1) })
    assert.same({ nil, "signal", 9 }, { p:wait() })
    assert.truthy(p.timed_out and core.clock() - start >= 2)
    p:close()
  end)

  it("takes signals by name in any spelling, or by number", function()
    for _, signal in ipairs { "USR1", "SIGUSR1", "sigusr1", 10 } do
      local p = assert(ns.spawn { "sleep", "5" })
      assert.is_true(p:kill(signal))
      assert.same({ nil, "signal", 10 }, { machine.status(p) })
    end
  end)

  it("that has ended gets no signal, nor does anybody else", function()
    local p = assert(ns.spawn { "true" })
    p:wait()
    assert.same({ nil, "No such process", 3 }, { p:kill("TERM") })
    p:close()
    assert.same({ nil, "No such process", 3 }, { p:kill("TERM") })
  end)

  it("is stopped with SIGTERM if it listens", function()
    local p = assert(ns.spawn { "sh", "-c", "trap 'exit 9' TERM; echo; while :; do :; done", stdout = "pipe" })
    p.stdout:read()
    assert.same({ nil, "exit", 9 }, { p:stop(5) })
    p:close()
  end)

  it("is stopped with SIGKILL if it does not, after the grace", function()
    local p = assert(ns.spawn { "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.01; done", stdout = "pipe" })
    p.stdout:read()
    assert.same({ nil, "signal", 9 }, { p:stop(0.1) })
    p:close()
  end)

  it("that has stopped itself is stopped all the same", function()
    local p = assert(ns.spawn { "sh", "-c", "kill -STOP $$; sleep 9" })
    machine.eventually(function() return machine.read(("/proc/%d/stat"):format(p.pid)):match("%) T ") end)
    assert.same({ nil, "signal", 15 }, { p:stop(1) })
    p:close()
  end)

  local pid_it = machine.it("pid")

  pid_it("that is process 1 of a namespace, and so deaf to SIGTERM, is stopped with all that it has started", function()
    local mark = "5" .. (os.time() % 100000) .. ".25"
    local p = assert(ns.spawn { "sh", "-c", ("setsid sleep %s & echo; sleep %s"):format(mark, mark), stdout = "pipe",
      flags = machine.flags("pid") })
    p.stdout:read()
    assert.same({ nil, "signal", 9 }, { p:stop(0.1) })
    machine.eventually(function() return machine.processes(mark) == 0 end)
    p:close()
  end)

  it("is stopped without a descriptor left behind, however few there are", function()
    local r = machine.host([[
      local ns = require "ns"
      local function fill(files)
        local n, f = 0, io.open("/dev/null")
        while f do
          n, files[#files + 1] = n + 1, f
          f = io.open("/dev/null")
        end
        return n
      end
      for free = 1, 9 do
        local p = assert(ns.spawn { "sh", "-c", "sleep 1 & echo; sleep 1", stdout = "pipe" })
        p.stdout:read()
        collectgarbage()
        local files = {}
        fill(files)
        for _ = 1, free do table.remove(files):close() end
        p:stop(0.01)
        local left = fill(files)
        for _, f in ipairs(files) do f:close() end
        p:close()
        if left ~= free then print(free, left) end
      end
      print "fine"
    ]], { spec = { rlimits = { nofile = 50 } } })
    assert.equal("fine\n", r.stdout .. r.stderr)
  end)

  it("is stopped with what it starts at that moment, and with what comes of its children meanwhile", function()
    local mark = "4" .. (os.time() % 100000) .. ".25"
    for _, line in ipairs {
      "echo; i=0; while [ $i -lt 300 ]; do sleep @ & i=$((i + 1)); done; wait",
      "trap '' TERM; sh -c 'sleep @; sleep @; sleep @' & sh -c 'sh -c \"sleep @; sleep @\"; sleep @' & echo; wait",
    } do
      for _ = 1, 8 do
        local p = assert(ns.spawn { "sh", "-c", (line:gsub("@", mark)), stdout = "pipe" })
        p.stdout:read()
        ns.run { "sleep", "0.02" }
        p:stop(0.05)
        p:close()
      end
      machine.eventually(function() return machine.processes(mark) == 0 end)
    end
  end)

  it("is ended with all that it has started by a host that has hardly a descriptor left", function()
    local mark = "6" .. (os.time() % 100000) .. ".75"
    for _, ending in ipairs { "p:close()", "p:stop(0.1)", "p:kill 'STOP' p:stop(0.1)" } do
      local r = machine.host(([[
        local line = "i=0; while [ $i -lt 60 ]; do sleep %s & i=$((i + 1)); done; echo; wait"
        local p = assert(require("ns").spawn { "sh", "-c", line, stdout = "pipe" })
        p.stdout:read()
        %s
        p:close()
      ]]):format(mark, ending), { spec = { rlimits = { nofile = 32 } } })
      assert.truthy(r.ok, r.stderr)
      machine.eventually(function() return machine.processes(mark) == 0 end)
    end
  end)

  it("that somebody else has reaped has no tree: its pid may be another's", function()
    local r = machine.host([[
      local ns, core = require "ns", require "ns.core"
      core.descendants = function() print "looked for" end
      local p = assert(ns.spawn { "true", stdout = "pipe" })
      p.stdout:read()
      while io.open(("/proc/%d/stat"):format(p.pid)) do end
      p:stop()
      print "stopped"
    ]], { under = { "perl", "-e", [[$SIG{CHLD} = "IGNORE"; exec @ARGV]] } })
    assert.equal("stopped\n", r.stdout .. r.stderr)
  end)

  it("goes on to its end when a Ctrl-C comes while it is stopped", function()
    local r = machine.host [[
      local ns, core = require "ns", require "ns.core"
      core.descendants = function() error("interrupted!", 0) end
      local p = assert(ns.spawn { "sleep", "9" })
      print(pcall(p.stop, p))
      print(p:wait(5))
    ]]
    assert.equal("false\tinterrupted!\nnil\tsignal\t15\n", r.stdout .. r.stderr)
  end)

  it("is killed and reaped when it is closed, and closing twice is fine", function()
    local p = assert(ns.spawn { "sleep", "5", stdout = "pipe" })
    local pid, out = p.pid, p.stdout
    p:close()
    p:close()
    assert.is_nil(machine.read(("/proc/%d/stat"):format(pid)))
    assert.equal("closed file", io.type(out))
    assert.matches("signal 9%)", tostring(p))
  end)

  -- in a host of its own, as code that LuaJIT has compiled may leave values on the stack, which are not collected then
  it("is killed and reaped when it is collected", function()
    local r = machine.host [[
      local pid = assert(require("ns").spawn { "sleep", "5" }).pid
      collectgarbage()
      collectgarbage()
      print(io.open(("/proc/%d/stat"):format(pid)))
    ]]
    assert.matches("^nil\t[^\n]+No such file or directory", r.stdout .. r.stderr)
  end)

  if _VERSION >= "Lua 5.4" then
    it("is closed at the end of its block", function()
      local pid = assert(load([[
        local p <close> = assert(require("ns").spawn { "sleep", "5" })
        return p.pid
      ]]))()
      assert.is_nil(machine.read(("/proc/%d/stat"):format(pid)))
    end)
  end

  it("with a session of its own leads it", function()
    local r = ns.run { "sh", "-c", "cut -d' ' -f1,5,6 /proc/$$/stat", session = true }
    local pid, group, session = r.stdout:match("(%d+) (%d+) (%d+)")
    assert.truthy(pid == group and pid == session)
  end)

  it("has the working directory, the umask and the name that were asked for", function()
    local r = ns.run { "sh", "-c", "pwd; umask; echo $0", cwd = "/usr", umask = 63, argv0 = "/bin/odd" }
    assert.equal("/usr\n0077\nsh\n", (r.stdout:gsub("/bin/odd", "sh")))
    assert.matches("^odd", ns.run({ "cat", "/proc/self/cmdline", argv0 = "odd" }).stdout)
  end)

  it("has the environment that was asked for", function()
    local spec = { "env", env = { A = "1", HOME = false, PATH = "/usr/bin:/bin" } }
    local seen = ns.run(spec).stdout
    assert.matches("\nA=1\n", "\n" .. seen)
    assert.is_nil(("\n" .. seen):find("\nHOME=", 1, true))
    spec.clear_env = true
    assert.equal("A=1\nPATH=/usr/bin:/bin\n", ns.run(spec).stdout)
  end)

  it("starts with no signal blocked or ignored, whatever the host has done", function()
    local r = machine.host([[io.write(require("ns").run { "grep", "^Sig[BI]", "/proc/self/status" }.stdout)]],
      { under = { "perl", "-e", [[use POSIX; $SIG{$_} = "IGNORE" for qw(PIPE HUP INT);
        sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGUSR1)); exec @ARGV]] } })
    assert.equal("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", r.stdout)
  end)
end)

describe("a host", function()
  local REPORT = [[
    local ns = require "ns"
    local p = assert(ns.spawn { "sh", "-c", "exit 42" })
    local ok, how, code = p:wait()
    print(ok, how, code)
  ]]

  it("that ignores SIGCHLD gets the status where the kernel keeps it, and a clear word where not", function()
    local r = machine.host(REPORT, { under = { "perl", "-e", [[$SIG{CHLD} = "IGNORE"; exec @ARGV]] } })
    local known = r.stdout == "nil\texit\t42\n"
    assert.truthy(known or r.stdout:find("the status is lost", 1, true), r.stdout .. r.stderr)
    local major, minor = ns.run({ "uname", "-r" }).stdout:match("(%d+)%.(%d+)")
    if major * 100 + minor >= 615 then assert.is_true(known) end
  end)

  it("that ignores SIGCHLD is told of no usage, as there is none", function()
    local r = machine.host([[print(require("ns").run({ "true" }).usage)]],
      { under = { "perl", "-e", [[$SIG{CHLD} = "IGNORE"; exec @ARGV]] } })
    assert.is_nil(r.stdout:find("table", 1, true), r.stdout)
  end)

  it("that may write no file at all can start programs", function()
    local r = machine.host([[print((require("ns").run { "true" }))]], { under = { "prlimit", "--fsize=0" } })
    assert.equal("ns.Result (exit 0)\n", r.stdout .. r.stderr)
  end)

  local pid_it = machine.it("pid")

  pid_it("that is killed takes its programs with it, and all that they have started in a pid namespace", function()
    local mark = "3" .. (os.time() % 100000) .. ".5"
    local code = ([[
      local ns = require "ns"
      local a = ns.spawn { "sleep", "%s" }
      local b = ns.spawn { "sh", "-c", "setsid sleep %s & sleep %s", flags = %s }
      print "ready"
      io.stdout:flush()
      b:wait()
    ]]):format(mark, mark, mark, machine.root and '"pid"' or '"pid,user"')
    local p = assert(ns.spawn { machine.lua, "-e", code, env = machine.paths(machine.public()), cwd = "/", stdout = "pipe" })
    p.stdout:read()
    machine.eventually(function() return machine.processes(mark) >= 3 end)
    p.handle:kill(9)
    p:wait()
    machine.eventually(function() return machine.processes(mark) == 0 end)
    p:close()
  end)

  it("that is killed while it kills a launcher without a plan leaves none that is stopped", function()
    local r = machine.host([[
      local core = require "ns.core"
      local handle, pid = core.launch(0, {})
      print(pid)
      io.stdout:flush()
      handle:kill_all()
    ]], { under = { "strace", "-qq", "-o", "/dev/null", "-e", "inject=pidfd_send_signal:signal=SIGKILL:when=2" } })
    machine.eventually(function() return machine.read("/proc/" .. r.stdout:match("%d+") .. "/comm") == nil end)
  end)

  -- as Linux does where a pids limit of the cgroup is reached: the number of the pidfd is written before the limit is seen
  it("whose clone is refused late keeps a descriptor that has the number which the pidfd was to have", function()
    local r = machine.host([[
      print((select(2, require("ns").spawn { "true" })))
      collectgarbage()
      collectgarbage()
      print(require("lfs").symlinkattributes("/proc/self/fd/9", "mode"))
    ]], { spec = { fds = { [9] = 0 } }, under = { "strace", "-qq", "-o", "/dev/null", "-e", "trace=clone",
      "-e", "inject=clone:error=EAGAIN:poke_exit=@arg3=09000000:when=1" } })
    assert.matches("^clone: Resource temporarily unavailable %(EAGAIN%)[^\n]*\nlink\n$", r.stdout .. r.stderr)
  end)

  it("that ends leaves a detached program alone", function()
    local r = machine.host([[
      local ns = require "ns"
      local p = ns.spawn { "sleep", "30", detach = true, stdout = "null", stderr = "null" }
      print(p.pid)
      p = nil
      collectgarbage()
      collectgarbage()
    ]])
    local pid = r.stdout:match("%d+")
    assert.matches("sleep", machine.read("/proc/" .. pid .. "/comm"))
    os.execute("kill " .. pid)
  end)

  local DETACHED = { closed = "p:close() print(p:wait())", dropped = "p = nil" }
  for how, line in pairs(DETACHED) do
    it(("reaps detached programs that it has %s while they ran, at its next spawn"):format(how), function()
      local r = machine.host(([[
        local ns = require "ns"
        local p = assert(ns.spawn { "sleep", "0.5", detach = true })
        local stat, rounds = ("/proc/%%d/stat"):format(p.pid), 0
        %s
        local f = io.open(stat)
        while f do
          f:close()
          ns.run { "sleep", "0.01" }
          rounds, f = rounds + 1, io.open(stat)
        end
        print(rounds > 0)
        collectgarbage()
        collectgarbage()
        for fd in require("lfs").dir "/proc/self/fd" do
          local target = require("lfs").symlinkattributes("/proc/self/fd/" .. fd, "target")
          if target and target:find "pidfd" then print(fd, target) end
        end
      ]]):format(line))
      local closed = how == "closed" and "nil\tattempt to wait for a closed process\n" or ""
      assert.equal(closed .. "true\n", r.stdout .. r.stderr)
    end)
  end

  it("may not be set-uid", function()
    if not machine.root then return pending("needs root") end
    local directory, remove = machine.directory()
    finally(remove)
    os.execute(("cp -L $(command -v %s) %s/lua; chmod 4755 %s/lua"):format(machine.lua, directory, directory))
    local code = ([[
      package.path = "T/lua/?.lua;T/lua/?/init.lua"
      package.cpath = "T/build/%s/?.so"
      print(pcall(require("ns").run, { "true" }))
    ]]):format(_VERSION:match("%d%.%d")):gsub("T/", machine.public() .. "/")
    local r = ns.run { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", directory .. "/lua", "-e", code }
    assert.matches("refuses to work in a set%-uid program", r.stdout)
  end)

  machine.it("user")("keeps its own state: dumpable, umask, directory, mask", function()
    local r = machine.host([[
      local function state()
        local text = {}
        -- not SigQ: that counts the signals of all processes of the user
        for line in io.lines("/proc/self/status") do
          if line:find("^Umask") or line:find("^Sig[^Q]") or line:find("^Cap") or line:find("^[UG]id") then
            text[#text + 1] = line
          end
        end
        return table.concat(text, "\n")
      end
      local ns = require "ns"
      local before = state()
      assert(ns.run { "true", flags = "user,pid,mount", cwd = "/usr", umask = 0, session = true })
      print(before == state(), (io.open("/proc/self/environ")) ~= nil)
    ]], { nobody = true })
    assert.equal("true\ttrue\n", r.stdout .. r.stderr)
  end)
end)
