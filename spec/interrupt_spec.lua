--- Errors in the middle of everything leave no process and no descriptor. What is left, after_each would find, too
-- (spec/support/helper.lua).
local machine = require "support.machine"
local ns = require "ns"

describe("an error at the n-th instruction, as a Ctrl-C makes it,", function()
  --- Calls f again and again, with an error after 1, 1 + step, ... instructions, until it gets through.
  local function interrupted(f, step)
    collectgarbage()
    collectgarbage()
    local before, n, failed = machine.descriptors(), 1, 0
    repeat
      local function interrupt()
        debug.sethook()
        error("interrupted", 0)
      end
      local ok, e = pcall(function()
        debug.sethook(interrupt, "", n)
        f()
        debug.sethook()
      end)
      if not ok then
        assert.matches("interrupted", tostring(e))
        failed = failed + 1
      end
      n = n + step
      if failed % 100 == 0 then collectgarbage() end
    until ok
    collectgarbage()
    collectgarbage()
    assert.truthy(failed > 20)
    assert.equal(before, machine.descriptors())
  end

  it("leaves nothing of a spawn", function()
    interrupted(function()
      local p = ns.spawn { "true", stdin = "pipe", stdout = "pipe", stderr = { path = "/dev/null" }, fds = { [5] = 0 },
        env = { A = "1" } }
      p:wait()
      p:close()
    end, 7)
  end)

  machine.it("user")("leaves nothing of a spawn in namespaces and a root of its own", function()
    interrupted(function()
      local p = ns.spawn { "true", flags = { "user", "pid", "mount" }, map = "root", root = "/", init = true, pty = true,
        mounts = { { type = "proc" }, { type = "tmpfs", target = "/tmp" } } }
      p:wait()
      p:close()
    end, 61)
  end)

  it("leaves nothing of a run", function()
    interrupted(function() ns.run { "cat", stdin = "x" } end, 13)
  end)

  it("leaves nothing of a refusal", function()
    interrupted(function() assert(ns.run { "/nope" } == nil) end, 7)
  end)
end)
