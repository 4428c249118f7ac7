--- What a program in a living box may try with its init, and what its host notices of that: no more than a refusal.
local machine = require "support.machine"

local needs = machine.it "sandbox"

--- What `code` prints in a host of its own, which must not hang. In it `meddle(...)` runs spec/support/meddle.c in the
-- container c, and waits until it is ready.
local function host(code, seconds)
  machine.program "meddle"
  local r = machine.host(([[
    local ns, core = require "ns", require "ns.core"
    local function box() return ns.sandbox():bind(%q, "/w"):seccomp(false) end -- the filter refuses some of it
    local c
    local held = {} -- one that is collected is ended
    local function meddle(...)
      local p = assert(c:spawn { "/w/meddle", stdout = "pipe", ... })
      assert(p.stdout:read("*l") == "ready")
      held[#held + 1] = p
      return p
    end
    local function eventually(condition)
      for _ = 1, 100 do
        if condition() then return true end
        ns.run { "sleep", "0.05" }
      end
      return false
    end
    local function seconds_of(f, ...)
      local began = core.clock()
      f(...)
      return core.clock() - began
    end
    %s]]):format(machine.public(), code), { timeout = seconds or 30, spec = { grace = 0 } })
  return r.timed_out and "timed out" or r.stdout .. r.stderr
end

describe("a program in a living box that meddles with its init #system", function()
  needs("does not keep the host beyond its timeout, and leaves no program that nobody holds", function()
    local said = host [[
      c = assert(box():start())
      meddle("flight", "20")
      for _, program in ipairs { "true", "sleep" } do
        print(c:run { program, "71301", timeout = 2, grace = 0 })
      end
      print(eventually(function() return #c:processes() == 1 end))
      c:close() ]]
    local refused = "nil\task the init for a program: Too many references: cannot splice %(ETOOMANYREFS%)[^\n]*\n"
    assert.matches("^" .. refused .. refused .. "true\n$", said)
    assert.equal(0, machine.processes("71301"))
  end)

  needs("fills no table of the host's, whatever it says in the init's name", function()
    assert.equal("true\n0\n", host [[
      local function count() return #core.entries "/proc/self/fd" end
      c = assert(box():caps { "sys_ptrace" }:start())
      assert(c:run("/w/meddle"))
      local before = count()
      local said = c:run { "/w/meddle", "forge", timeout = 5, grace = 0 }
      print(said and tonumber(said.stdout) > 0)
      collectgarbage()
      print(count() - before)
      c:close() ]])
  end)

  needs("may take all descriptors from it, and it hears and rests as before", function()
    local said = host [[
      local function used(pid)
        local f = io.open(("/proc/%d/stat"):format(pid))
        local user, system = f:read("*a"):match("%) . " .. ("%S+ "):rep(10) .. "(%d+) (%d+)")
        f:close()
        return user + system
      end
      local function look(one, pid)
        ns.run { "sleep", "0.3" }
        local before = used(pid)
        ns.run { "sleep", "1" }
        print(used(pid) - before < 5, seconds_of(one.close, one) < 1)
      end
      c = assert(box():start())
      meddle("limit", "0")
      look(c, c.pid)
      local p = assert(box():spawn("sh", "-c", "/w/meddle limit 0 >/dev/null; sleep 71304 & wait"))
      look(p, p.pid) ]]
    assert.equal("true\ttrue\ntrue\ttrue\n", said)
    assert.equal(0, machine.processes("71304"))
  end)

  needs("that is stopped again and again before a host that does not listen, has its status and usage told", function()
    local r = machine.host(([[
      local ns = require "ns"
      local c = assert(ns.sandbox():session(false):bind(%q, "/w"):start())
      local p = assert(c:spawn { "/w/meddle", "stops", "4000", tty = true, stdin = "inherit", stdout = "pipe" })
      p.stdout:read("*a")
      ns.run { "sleep", "0.3" }
      print(p:wait(5))
      print(p:usage() ~= nil)
      p:close()
      c:close() ]]):format(machine.public()), { timeout = 60, spec = { pty = true } })
    assert.matches("nil\texit\t7\r\ntrue\r\n$", r.stdout)
  end)

  needs("that always makes new processes keeps no stop beyond its grace", function()
    local said = host [[
      c = assert(box():rlimits { nproc = 200 }:start())
      meddle("tree", "60")
      print(seconds_of(c.stop, c, 0.3) < 1.5) ]]
    assert.equal("true\n", said)
  end)

  needs("that holds the others fast makes no wait longer than it promises", function()
    local said = host [[
      c = assert(box():start())
      meddle "hold"
      local p = c:spawn("sleep", "71302")
      ns.run { "sleep", "0.3" }
      print(seconds_of(p.close, p) < 1)
      print(seconds_of(c.run, c, { "sleep", "71302", timeout = 0.5, grace = 0 }) < 1.5)
      c:close() ]]
    assert.equal("true\ntrue\n", said)
  end)
end)

describe("a program of a living box that is refused", function()
  needs("leaves no descriptor until the collector comes", function()
    assert.equal("0\n", host [[
      collectgarbage "stop"
      c = assert(box():start("true"))
      c:wait()
      local before = #core.entries "/proc/self/fd"
      for i = 1, 20 do assert(not c:run("true")) end
      print(#core.entries "/proc/self/fd" - before)
      c:close() ]])
  end)

  needs("is told that the container has ended, as is a signal", function()
    assert.equal("true\n3\n", host [[
      c = assert(box():start("true"))
      c:wait()
      print(eventually(function() return select(3, c:kill()) == 3 end))
      c:close()
      print((select(3, c:kill()))) ]])
  end)
end)
