--- How programs end: by stop, by their timeout, by close, with their host. Whatever they do against it, nothing is left.
local machine = require "support.machine"
local ns = require "ns"

local NEW_PID = machine.root and { "pid" } or { "user", "pid" }

local function box(words)
  local b = ns.box()
  for word, value in pairs(words) do b[word](b, value) end
  return b
end

local WAYS = {
  { name = "without namespaces", box = ns.box() },
  { name = "without namespaces, with an init", box = box { init = true }, inside = true },
  { name = "in a pid namespace", box = box { flags = NEW_PID }, inside = true },
  { name = "with an init", box = box { flags = NEW_PID, init = true }, inside = true },
  { name = "in a sandbox", box = ns.sandbox(), inside = true },
}

--- $0 is the mark by which its processes are found. `inside`: only a pid namespace or an init ends all of it.
local PROGRAMS = {
  { name = "ignores SIGTERM", line = "trap '' TERM HUP INT; sleep $0 & echo; wait; sleep $0" },
  { name = "has a session for each child", line = "for i in 1 2 3; do setsid sleep $0 & done; echo; wait" },
  { name = "stops itself", line = "sleep $0 & echo; kill -STOP $$; wait" },
  { name = "has stopped children", line = "sleep $0 & kill -STOP $!; echo; wait" },
  { name = "has thirty sleepers", line = "i=0; while [ $i -lt 30 ]; do sleep $0 & i=$((i+1)); done; echo; wait" },
  { name = "has a child that goes on starting others",
    line = "(trap '' TERM; while :; do sleep $0 & sleep 0.01; done) & echo; trap 'sleep 0.1; exit' TERM; wait" },
  { name = "has daemons", inside = true, line = "(setsid sleep $0 &); setsid sh -c '(sleep $0 &)' $0; echo; sleep $0" },
  { name = "starts more at SIGTERM", inside = true, line = "trap 'setsid sleep $0 & exit' TERM; echo; sleep $0 & wait" },
}

local marks = 0

local function new_mark()
  marks = marks + 1
  return ("1%d.%d"):format(os.time() % 1000000, marks)
end

--- Starts a program that has its processes up when this returns.
local function start(way, program, words)
  local mark = new_mark()
  local b = way.box:clone():stdout("pipe"):grace(0.05)
  for word, value in pairs(words or {}) do b[word](b, value) end
  local p = assert(b:spawn("sh", "-c", program.line, mark))
  assert(p.stdout:read())
  return p, mark
end

local function each(way, body)
  for _, program in ipairs(PROGRAMS) do
    if way.inside or not program.inside then body(program) end
  end
end

local function gone(mark, name)
  local ok = pcall(machine.eventually, function() return machine.processes(mark) == 0 end)
  assert(ok, ("%d processes are left of the one that %s"):format(machine.processes(mark), name))
end

for _, way in ipairs(WAYS) do
  describe(way.name .. ", whatever the program does, nothing is left of it #system", function()
    it("after stop", function()
      each(way, function(program)
        local p, mark = start(way, program)
        local ok, how = p:stop()
        assert(how == "signal" or how == "exit", ("%s: %s %s"):format(program.name, tostring(ok), tostring(how)))
        gone(mark, program.name)
        p:close()
      end)
    end)

    it("after stop(0), which asks nobody", function()
      local p, mark = start(way, PROGRAMS[1])
      assert.same({ nil, "signal", 9 }, { p:stop(0) })
      gone(mark, PROGRAMS[1].name)
      p:close()
    end)

    it("after its timeout", function()
      local started = {}
      each(way, function(program)
        local p, mark = start(way, program, { timeout = 1 })
        started[#started + 1] = { p, mark, program.name }
      end)
      for _, one in ipairs(started) do
        local r = assert(one[1]:communicate())
        assert(r.timed_out, one[3])
        gone(one[2], one[3])
      end
    end)

    it("after close", function()
      each(way, function(program)
        local p, mark = start(way, program)
        p:close()
        gone(mark, program.name)
      end)
    end)

    it("after its handle was dropped", function()
      local pid, mark = coroutine.wrap(function() -- LuaJIT may keep values on the stack: this one's is collected, too
        local p, mark = start(way, PROGRAMS[5])
        return p.pid, mark
      end)()
      collectgarbage()
      collectgarbage()
      gone(mark, PROGRAMS[5].name)
      assert.is_nil(machine.read(("/proc/%d/stat"):format(pid)))
    end)
  end)
end

describe("a program that is its init's user #system", function()
  machine.it("sandbox")("is ended in time, though it leaves the init no processor time to end in", function()
    local p = assert(ns.sandbox():ro_bind(machine.program "starve", "/starve"):stdout("pipe"):spawn("/starve", "100"))
    assert.equal("alone", p.stdout:read("*l"))
    p:stop(0) -- on a busy machine the kernel takes longer than that waits
    machine.eventually(function() return select(2, p:wait(0)) == "signal" end, 30)
    assert.same({ nil, "signal", 9 }, { p:wait(0) })
    assert.equal(0, machine.processes("/starve"))
    p:close()
  end)

  machine.it("sandbox")("sends no signal that would seem to be the host's, and the host's come through", function()
    local line = [[trap 'exit 6' TERM; perl -e 'require "syscall.ph"; my $none = pack "q2", 0, 0;
      syscall(&SYS_prlimit64, 1, 11, $none, 0) == 0 or die; kill $_, 1 for 34, 63, 15, 10' || exit 7; sleep 0.3; exit 5]]
    local r = ns.sandbox():seccomp(false):run("sh", "-c", line) -- the filter refuses the limit
    assert.same({ "exit", 5 }, { r.how, r.code })
    local p = assert(ns.sandbox():stdout("pipe"):spawn("perl", "-e", "$| = 1; print qq(x\\n); sleep 60"))
    assert.equal("x", p.stdout:read("*l"))
    assert.is_true(p:kill(40))
    assert.same({ nil, "signal", 40 }, { p:wait(5) })
    p:close()
  end)
end)

describe("a host that is killed #system", function()
  --- Runs Lua code that starts programs with $mark in a host of its own, kills that once `up` of them are there.
  local function killed(code, up, nobody)
    local mark = new_mark()
    local argv = { machine.lua, "-e", ([[
      local ns = require "ns"
      local p, message = %s
      print(p and "ready" or message)
      io.stdout:flush()
      p:wait()]]):format((code:gsub("$mark", mark))) }
    local drop = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" }
    for i, word in ipairs(nobody and machine.root and drop or {}) do table.insert(argv, i, word) end
    local host = assert(ns.spawn { argv = argv, env = machine.paths(machine.public()), cwd = "/", stdout = "pipe" })
    assert.equal("ready", host.stdout:read())
    machine.eventually(function() return machine.processes(mark) >= up end)
    host.handle:kill(9)
    host:wait()
    machine.eventually(function() return machine.processes(mark) == 0 end)
    host:close()
  end

  local DAEMONS = [[ "sh", "-c", "trap '' HUP TERM; (setsid sleep $mark &); setsid sleep $mark & sleep $mark" ]]

  for _, nobody in ipairs { false, true } do
    machine.it("user")("takes its programs with it, with all that they have started" ..
      (nobody and ", as an ordinary user, too" or ""), function()
      killed([[ns.spawn { "sleep", "$mark" }]], 1, nobody)
      killed([[ns.spawn { "sh", "-c", "sleep $mark; true", init = true }]], 1, nobody)
      killed("ns.spawn {" .. DAEMONS .. ", init = true }", 3, nobody)
      killed("ns.spawn {" .. DAEMONS .. [[, flags = "user,pid" }]], 3, nobody)
      killed("ns.spawn {" .. DAEMONS .. [[, flags = "user,pid", init = true }]], 3, nobody)
      killed("ns.sandbox():spawn(" .. DAEMONS .. ")", 3, nobody)
    end)
  end

  it("takes them where the kernel does not tell (PR_SET_PDEATHSIG), if they have an init: by its socket", function()
    local mark = new_mark()
    local code = ([[
      local ns = require "ns"
      local p = assert(ns.spawn { "sh", "-c", "sleep %s & sleep %s", flags = %q, init = true })
      os.execute("sleep 0.3; kill -9 " .. require("ns.core").ids().pid)
    ]]):format(mark, mark, machine.root and "pid" or "user,pid") -- in a user namespace capabilities are kept by prctl, too
    local before = machine.processes(mark)
    local r = machine.host(code, { under = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=prctl", "-e",
      "inject=prctl:retval=0" }, timeout = 20 })
    assert.same({ 0, "ns.Result (killed by signal 9 (KILL))" }, { before, tostring(r) })
    assert.equal(0, machine.processes(mark))
  end)

  it("before its launcher has asked for that signal, is noticed (rows 61, 66)", function()
    local mark = new_mark()
    local code = ([[
      io.popen("sleep 0.2; kill -9 " .. require("ns.core").ids().pid)
      require("ns").run { "sleep", "%s", flags = %q }
    ]])
    for _, flags in ipairs { "", "user,pid" } do
      local r = machine.host(code:format(mark, flags), { under = { "strace", "-f", "-qq", "-o", "/dev/null", "-e",
        "trace=prctl", "-e", "inject=prctl:delay_enter=500000:when=1" }, timeout = 20 })
      assert.equal("KILL", r.signame)
      assert.equal(0, machine.processes(mark))
    end
  end)

  it("at any moment leaves nothing (row 61)", function()
    local mark, seed = new_mark(), 1
    local code = ([[
      local ns = require "ns"
      io.write("ready\n")
      io.stdout:flush()
      local kept = {}
      while true do
        for _, spec in ipairs { {}, { flags = "user,pid" }, { flags = "user,pid", init = true } } do
          kept[#kept + 1] = ns.spawn(ns.box(spec):argv("sleep", "%s"))
        end
        if #kept > 9 then
          for _, p in ipairs(kept) do p:close() end
          kept = {}
        end
      end
    ]]):format(mark)
    for _ = 1, 15 do
      local host = assert(ns.spawn { machine.lua, "-e", code, env = machine.paths(machine.public()), cwd = "/",
        stdout = "pipe" })
      host.stdout:read()
      seed = (seed * 1103515245 + 12345) % 2147483648
      ns.run { "sleep", ("%.4f"):format(seed / 2147483648 * 0.03) }
      host.handle:kill(9)
      host:wait()
      host:close()
    end
    machine.eventually(function() return machine.processes(mark) == 0 end)
  end)
end)

describe("the signal of the host's end #system", function()
  local ASK = [[exec perl -e 'my $nr = `uname -m` =~ /x86_64/ ? 157 : 167; my $s = pack "i", 0;
    syscall($nr, 2, $s); print unpack "i", $s']]

  it("is armed in the program, after its ids have changed, too (row 63)", function()
    assert.equal("9", machine.sh({}, ASK))
    assert.equal("9", machine.sh({ flags = "user" }, ASK))
    if machine.root then
      assert.equal("9", machine.sh({ user = "nobody" }, ASK))
      assert.equal("9", machine.sh({ flags = "user", map = "range", user = 5, group = 6, caps = {} }, ASK))
    end
    assert.equal("0", machine.sh({ detach = true }, ASK))
  end)
end)
