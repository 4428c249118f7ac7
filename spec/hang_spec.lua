--- A start that hangs, or dies on its way, does not take the host with it. strace makes one call slow, or deadly.
local machine = require "support.machine"

local function under(injection, code)
  local strace = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" .. injection:match("^[^:]+"), "-e",
    "inject=" .. injection }
  return machine.host(code, { under = strace }).stdout
end

describe("a start #system", function()
  it("that hangs ends at the timeout, with the name of the step", function()
    local said = under("chdir:delay_enter=5000000", [[
      local p, message, errno, detail = require("ns").spawn { "true", cwd = "/usr", timeout = 2 }
      print(p, message, errno, detail.step, detail.path)
    ]])
    assert.equal("nil\ttimeout in: chdir /usr (ETIMEDOUT)\t110\tchdir\t/usr\n", said)
  end)

  it("that is killed says so, with the signal", function()
    local said = under("chdir:signal=SIGKILL", [[
      local p, message, _, detail = require("ns").spawn { "true", cwd = "/usr" }
      print(p, message, detail.code)
    ]])
    assert.matches("^nil\tkilled by signal 9 before exec; .-\tDIED\n$", said)
  end)

  it("that is stopped ends at the timeout, too, and nothing is left of it (row 67)", function()
    local said = under("chdir:signal=SIGSTOP", [[
      local ns = require "ns"
      for _, init in ipairs { false, true } do
        local p, message = ns.spawn { "true", cwd = "/usr", timeout = 1, flags = "user,pid", init = init }
        print(p, message, io.open("/proc/thread-self/children"):read("*a"))
      end
    ]])
    assert.equal(("nil\ttimeout in: chdir /usr (ETIMEDOUT)\t\n"):rep(2), said)
  end)

  it("that is stopped while it is still in the host's memory ends at the timeout", function()
    local said = under("execveat:signal=SIGSTOP", [[
      local ns = require "ns"
      for _ = 1, 3 do print(ns.spawn { "true", cwd = "/usr", timeout = 1 }) end
      print(io.open("/proc/thread-self/children"):read("*a"))
    ]])
    assert.matches("^" .. ("nil\ttimeout before the program ran %(ETIMEDOUT%)\t110\ttable: [^\n]+\n"):rep(3) .. "\n$", said)
  end)

  it("that hangs in exec behind an init says exec", function()
    local said = under("execve:delay_enter=3000000", [[
      print(select(2, require("ns").spawn { "/bin/true", flags = "user,pid", init = true, timeout = 1 }))
    ]])
    assert.equal("timeout in: exec '/bin/true' (ETIMEDOUT)\t110\ttable: ", said:match("^[^\n]-table: "))
  end)

  machine.it "sandbox"("of a program in a living box that hangs says in which step, too", function()
    local said = under("sched_setscheduler:delay_enter=5000000", [[
      local c = assert(require("ns").sandbox():start())
      print(select(2, c:run { "true", scheduler = "batch", timeout = 1 }))
      c:close()
    ]])
    assert.equal("timeout in: scheduler batch 0 (ETIMEDOUT)\t110\ttable: ", said:match("^[^\n]-table: "))
  end)

  it("may be repeated after that", function()
    local said = under("chdir:error=EIO:when=1", [[
      local ns = require "ns"
      print(ns.spawn { "true", cwd = "/usr" })
      print(ns.run({ "true" }).ok)
    ]])
    assert.matches("^nil\tchdir /usr: Input/output error %(EIO%)\t5\ttable: [^\n]+\ntrue\n$", said)
  end)
end)

describe("a launcher that is killed #system", function()
  local STEPS = "setsid keyctl unshare fsopen mkdirat move_mount pivot_root umount2 sethostname setresgid setresuid capset"

  for call in STEPS:gmatch("%S+") do
    machine.it("user")("at its first " .. call .. " is an error like any other, and leaves nothing (row 13)", function()
      local said = under(call .. ":signal=SIGKILL:when=1", [[
        local p, message, errno, detail = require("ns").sandbox():spawn("true")
        print(p, message:match("^[^;]*"), errno, detail.code, io.open("/proc/thread-self/children"):read("*a"))
      ]])
      assert.equal("nil\tkilled by signal 9 before exec\t10\tDIED\t\n", said)
    end)
  end
end)
