--- Processes and their streams in event loops: what can be polled, read and written without waiting, what is due meanwhile,
-- and that a loop is never left with a descriptor that means something else.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local function poll(seconds) ns.run { "sleep", tostring(seconds or 0.1) } end

describe("a stream of a process", function()
  it("gives what is there, an empty string while nothing is, and nil at the end", function()
    local p = assert(ns.spawn { "sh", "-c", "read x; printf 'got %s' $x; read x; exit", stdin = "pipe", stdout = "pipe" })
    local out = p:stream "stdout"
    assert.equal(out, p:stream "stdout")
    assert.equal("", out:read())
    p.stdin:write("it\n")
    p.stdin:flush()
    local said = ""
    machine.eventually(function()
      said = said .. out:read()
      return said == "got it"
    end)
    p.stdin:close()
    machine.eventually(function() return not out:read() end)
    assert.same({ n = 1 }, { n = select("#", out:read()), out:read() })
    p:close()
    assert.has_error(function() out:read() end)
    assert.has_error(function() out:getfd() end)
  end)

  it("gives first what the Lua file has read ahead, and says so to select", function()
    local p = assert(ns.spawn { "printf", "one\\ntwo\\n", stdout = "pipe" })
    local out = p:stream "stdout"
    assert.is_false(out:dirty())
    assert.equal("one", p.stdout:read())
    assert.is_true(out:dirty())
    assert.equal("two\n", out:read())
    assert.is_false(out:dirty())
    p:wait()
    assert.is_nil(out:read())
    p:close()
  end)

  it("takes what there is room for, after what the Lua file has not written yet", function()
    local p = assert(ns.spawn { "sh", "-c", "read go </dev/tty; cat", pty = true, stdin = "pipe", stdout = "pipe" })
    p.stdin:write("first ")
    local input = p:stream "stdin"
    assert.equal("w", input:events())
    local text = ("x"):rep(100000)
    local n = input:write(text)
    assert.truthy(n > 0 and n < #text)
    assert.equal(0, input:write(text:sub(n + 1)))
    p.pty:write("go\n")
    local sent, got = n, {}
    machine.eventually(function()
      if sent < #text then sent = sent + input:write(text:sub(sent + 1)) end
      if sent == #text then input:close() end
      local bytes = p:stream("stdout"):read()
      got[#got + 1] = bytes
      return not bytes
    end)
    assert.equal("first " .. text, table.concat(got))
    p:close()
  end)

  it("says when nobody reads", function()
    local p = assert(ns.spawn { "true", stdin = "pipe" })
    p:wait()
    assert.same({ nil, "Broken pipe", 32 }, { p:stream("stdin"):write("x") })
    p:close()
  end)

  it("is that of a terminal, too", function()
    local p = assert(ns.spawn { "sh", "-c", "stty -echo; echo ready; read x; echo got $x", pty = true })
    local terminal, said = p:stream "pty", ""
    local function expect(text)
      machine.eventually(function()
        said = said .. (terminal:read() or "")
        return said:find(text, 1, true)
      end)
    end
    expect("ready")
    assert.equal(3, terminal:write("it\n"))
    expect("got it")
    machine.eventually(function() return not terminal:read() end)
    p:close()
  end)

  it("is none where there is no pipe, and a mistake where there is no such name", function()
    local p = assert(ns.spawn { "true" })
    assert.is_nil(p:stream "stdout")
    assert.is_nil(p:stream "pty")
    assert.has_error(function() p:stream "stdlog" end)
    p:close()
  end)
end)

describe("without waiting", function()
  it("p:timeout() is how long until something is due, and wait(0) sees to it", function()
    local p = assert(ns.spawn { "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.02; done", stdout = "pipe",
      timeout = 1.5, grace = 0.4 })
    p.stdout:read()
    local first = p:timeout()
    assert.truthy(first > 0 and first <= 1.5)
    poll(first)
    assert.same({ nil, "timeout" }, { p:wait(0) })
    local second = p:timeout()
    assert.truthy(second > 0 and second <= 0.4)
    poll(second)
    p:wait(0)
    assert.same({ nil, "signal", 9 }, { p:wait(5) })
    assert.is_nil(p:timeout())
    assert.is_true(p.timed_out)
    p:close()
    local without = assert(ns.spawn { "sleep", "9" })
    assert.is_nil(without:timeout())
    without:close()
    assert.is_nil(without:timeout())
  end)

  it("reading its stream sees to it, too", function()
    local p = assert(ns.spawn { "sleep", "30", stdout = "pipe", timeout = 0.1, grace = 0 })
    local out = p:stream "stdout"
    assert.truthy(out:timeout() <= 0.1)
    machine.eventually(function() return not out:read() end)
    assert.same({ nil, "signal", 9 }, { p:wait() })
    p:close()
  end)

  local STUBBORN = { "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.02; done", stdout = "pipe" }

  --- Is the descriptor readable within so many seconds?
  local function readable(fd, seconds) return (core.poll(seconds, fd, "r")) end

  it("its descriptor is readable when something is due, though that was not known when it was asked for", function()
    local p = assert(ns.spawn(STUBBORN))
    p.stdout:read()
    local fd = p:getfd()
    assert.equal(fd, p:getfd())
    assert.is_false(readable(fd, 0.05))
    p:terminate(60)
    p:terminate(0.1)
    assert.is_false(readable(fd, 0.01))
    assert.is_true(readable(fd, 10))
    p:wait(0) -- sends the SIGKILL
    assert.is_true(readable(fd, 10))
    assert.same({ nil, "signal", 9 }, { p:wait(0) })
    p:close()
    assert.same({ nil, "the process is closed", 3 }, { p:getfd() })
  end)

  it("its descriptor is readable at the end of its timeout, and then not until the grace is over", function()
    local spec = { timeout = 0.2, grace = 0.3 }
    for key, value in pairs(STUBBORN) do spec[key] = value end
    local p = assert(ns.spawn(spec))
    p.stdout:read()
    local fd = p:getfd()
    assert.is_true(readable(fd, 10))
    p:wait(0)
    assert.is_false(readable(fd, 0))
    assert.is_true(readable(fd, 10))
    p:stream("stdout"):read() -- does what is due, too
    assert.is_true(readable(fd, 10))
    assert.same({ nil, "signal", 9 }, { p:wait(0) })
    p:close()
  end)

  it("a wait says that it has given up when that is due, as a loop would not ask again", function()
    local p = assert(ns.spawn { "sleep", "60" })
    local handle = p.handle
    p.handle = setmetatable({ wait = function() return nil, "timeout" end, kill_all = function() end }, -- nothing ends it
      { __index = function(_, name) return function(_, ...) return handle[name](handle, ...) end end })
    p:terminate(0)
    assert.is_true(readable(p:getfd(), 10))
    assert.matches("was killed, and has not ended", (select(2, p:wait(0))))
    handle:kill_all()
    p.handle, p.stopping = handle, nil
    p:close()
  end)

  it("terminate begins what stop does", function()
    local p = assert(ns.spawn { "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.02; done", stdout = "pipe" })
    p.stdout:read()
    assert.is_true(p:terminate(0.2))
    assert.truthy(p:timeout() <= 0.2)
    assert.same({ nil, "signal", 9 }, { p:wait(5) })
    assert.is_true(p:terminate())
    p:close()
    assert.has_error(function() p:terminate(-1) end)
  end)
end)

machine.describe("cqueues")("a cqueues loop", function()
  local function loop(code)
    local r = machine.host([[
      local ns, cqueues = require "ns", require "cqueues"
      local loop = cqueues.new()
      ]] .. code .. " print(loop:loop(20))")
    assert.equal("", r.stderr)
    return r.stdout
  end

  it("goes on after a process was closed that it has polled", function()
    assert.equal("true\n", loop [[
      loop:wrap(function()
        for _ = 1, 4 do
          local p = assert(ns.spawn { "sleep", "30" })
          if cqueues.poll(p, 0.02) ~= p then p:close() end
        end
      end)]])
  end)

  it("goes on after a process, or one of its streams, was polled and dropped", function()
    assert.equal("true\n", loop [[
      loop:wrap(function()
        for i = 1, 8 do
          local p = assert(ns.spawn { "sleep", "30", stdin = "pipe", stdout = "pipe" })
          cqueues.poll(i % 2 == 0 and p or p:stream "stdout", 0.02)
          p = nil
          collectgarbage()
          collectgarbage()
        end
      end)]])
  end)

  it("goes on after a stream was closed that it has polled", function()
    assert.equal("true\n", loop [[
      loop:wrap(function()
        for i = 1, 4 do
          local p = assert(ns.spawn { "sleep", "30", stdout = "pipe" })
          cqueues.poll(p:stream "stdout", 0.02)
          p:stream("stdout"):close()
          local q = assert(ns.spawn { "sleep", "30", stdout = "pipe" })
          cqueues.poll(q:stream "stdout", 0.02)
          p:close()
          q:close()
        end
      end)]])
  end)

  it("wakes one coroutine when another closes what it polls", function()
    assert.equal("woken\ntrue\n", loop [[
      local p = assert(ns.spawn { "sleep", "30" })
      loop:wrap(function() cqueues.poll(p) print "woken" end)
      loop:wrap(function() cqueues.sleep(0.1) p:close() end)]])
  end)

  it("wakes what polls a process, or a stream of it, when another coroutine terminates it", function()
    local said = loop [[
      local line = "trap '' TERM; echo; while :; do sleep 0.02; done"
      for _, polled in ipairs { "process", "stream" } do
        local p = assert(ns.spawn { "sh", "-c", line, stdout = "pipe", timeout = polled == "stream" and 60 or nil })
        local out = p:stream "stdout"
        loop:wrap(function()
          cqueues.poll(out)
          local bytes, how, code
          repeat
            cqueues.poll(polled == "stream" and bytes and out or p)
            bytes = out:read()
            _, how, code = p:wait(0)
          until how ~= "timeout"
          print(how, code)
          p:close()
        end)
        loop:wrap(function() cqueues.sleep(0.2) p:terminate(0.2) end)
      end]]
    assert.equal("signal\t9\nsignal\t9\ntrue\n", said)
  end)

  it("wakes by itself when something is due", function()
    assert.equal("nil\tsignal\t9\ntrue\n", loop [[
      loop:wrap(function()
        local p = assert(ns.spawn { "sleep", "30", timeout = 0.1, grace = 0 })
        local ok, how, code
        repeat
          cqueues.poll(p)
          ok, how, code = p:wait(0)
        until how ~= "timeout"
        print(ok, how, code)
        p:close()
      end)]])
  end)
end)

machine.describe("luv")("a luv loop", function()
  it("kills what another callback has terminated, by its descriptor alone", function()
    local r = machine.host([[
      local ns, uv = require "ns", require "luv"
      local p = assert(ns.spawn { "sh", "-c", "trap '' TERM; echo; while :; do sleep 0.02; done", stdout = "pipe" })
      local ender, timer = uv.new_poll(p:getfd()), uv.new_timer()
      ender:start("r", function()
        local _, how, code = p:wait(0)
        if how == "timeout" then return end
        ender:close()
        p:close()
        print(how, code)
      end)
      p.stdout:read()
      timer:start(100, 0, function() timer:close() p:terminate(0.1) end)
      uv.run()]], { timeout = 20 })
    assert.equal("signal\t9\n", r.stdout .. r.stderr)
  end)
end)

describe("forward_signals", function()
  --- What a host prints that runs the shell line with the words; the line's parent is the host.
  local function host(line, words, more)
    local code = ([[
      local ns = require "ns"
      io.stdout:setvbuf "no"
      local function mask() return io.open("/proc/self/status"):read("*a"):match("SigBlk:%%s*(%%x+)") end
      local before = mask()
      local p = assert(ns.spawn { "sh", "-c", %q, stdout = "pipe", %s })
      print(p:wait())
      print(p.stdout:read("*a"))
      print(mask() == before)
      p:close()
      %s]]):format(line, words, more or "")
    return machine.host(code, { timeout = 20 })
  end

  -- nothing is started in it: dash forgets a signal that comes while it starts a program
  local LOOP = "; while :; do :; done"
  local WAITS = "until grep -q 'SigBlk:.*[1-9a-f]' /proc/$PPID/status; do sleep 0.02; done; " -- the host does

  it("hands on what the host gets while it waits, and leaves no trace", function()
    for _, signal in ipairs { "TERM", "INT", "HUP" } do
      local line = ("trap 'echo heard %s; exit 3' %s; %skill -%s $PPID"):format(signal, signal, WAITS, signal) .. LOOP
      assert.equal(("nil\texit\t3\nheard %s\n\ntrue\n"):format(signal), host(line, "forward_signals = true").stdout)
    end
  end)

  it("hands on those that are named, and no others", function()
    local line = "trap 'echo heard; exit 3' USR1; " .. WAITS .. "kill -USR1 $PPID" .. LOOP
    assert.equal("nil\texit\t3\nheard\n\ntrue\n", host(line, "forward_signals = { 'USR1' }").stdout)
    assert.equal(15, host("kill -TERM $PPID" .. LOOP, "forward_signals = { 'USR1' }").signal)
    assert.equal(15, host("kill -TERM $PPID" .. LOOP, "forward_signals = false").signal)
    assert.has_error(function() ns.spawn { "true", forward_signals = { "KILL" } } end)
    assert.has_error(function() ns.spawn { "true", forward_signals = "TERM" } end)
  end)

  it("hands on what comes to ns.run before it waits, too", function()
    local code = [[
      local ns, process = require "ns", require "ns.running.process"
      local collect = process.collect
      process.collect = function(p, ...)
        repeat until p.stdout:read "*l" == "ready" -- it has started, and nobody waits for it yet
        os.execute "kill -TERM $PPID"
        return collect(p, ...)
      end
      local program = { "sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do :; done", forward_signals = true,
        stdout = "pipe" }
      io.stdout:setvbuf "no"
      print(ns.run(program).code)
      %s
      process.collect = collect
      print(pcall(ns.run, { "true", forward_signals = true, cwd = 3 }))
      print(ns.run { "no-such-program", forward_signals = true })
      os.execute "kill -TERM $PPID"
      print "alive"
    ]]
    local living = machine.can.sandbox and [[
      local c = assert(ns.sandbox():start())
      print(c:run(program).code)
      c:close()
    ]] or "print(3)"
    local r = machine.host(code:format(living), { timeout = 20 })
    assert.matches("^3\n3\nfalse\t[^\n]*cwd[^\n]*\nnil\t[^\n]*no%-such[^\n]*\n$", r.stdout)
    assert.equal(15, r.signal)
  end)

  it("is over when the wait is", function()
    local r = host("exit 0", "forward_signals = true", "os.execute 'kill -TERM $PPID' print 'alive'")
    assert.equal("true\texit\t0\n\ntrue\n", r.stdout)
    assert.equal(15, r.signal)
  end)

  it("holds for run, and for a program with an init", function()
    local flags = machine.root and "'pid'" or "{ 'user', 'pid' }"
    local r = machine.host(([[
      local ns = require "ns"
      local pid = io.open("/proc/self/stat"):read("*n")
      ns.spawn({ "sh", "-c", "sleep 0.3; kill -TERM " .. ("%%d"):format(pid), detach = true })
      local r = ns.run { "sh", "-c", "trap 'echo heard; exit 3' TERM%s", forward_signals = true, init = true, flags = %s }
      print(r.stdout, r.code)]]):format(LOOP, flags))
    assert.equal("heard\n\t3\n", r.stdout)
  end)

  it("does not hand on twice what the terminal has sent to both", function()
    for _, session in ipairs { "false", "true" } do
      -- ready: once the host waits, which is when it blocks SIGINT (2)
      local code = ([[
        local line = "trap 'n=x$n' INT; until grep -q '^SigBlk.*[2367abef]$' /proc/$PPID/status; do :; done; echo ready; "
          .. "while [ ! $n ]; do :; done; sleep 0.3; echo $n"
        local p = assert(require("ns").spawn { "sh", "-c", line, session = %s, forward_signals = true })
        print(p:wait())]]):format(session)
      local p = assert(ns.spawn { machine.lua, "-e", code, pty = true, env = machine.paths(machine.public()), timeout = 20 })
      assert.equal("ready\r", p.pty:read())
      p.pty:write("\3")
      local text = p.pty:read("*a")
      assert.equal("x", text:match("(x+)\r\ntrue"))
      assert.matches("true\texit\t0\r\n$", text)
      p:close()
    end
  end)
end)
