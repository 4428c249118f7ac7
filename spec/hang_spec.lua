--- A start that hangs, or dies on its way, does not take the host with it. strace makes one call slow, or deadly.
local machine = require "support.machine"

local function under(injection, code)
  local strace = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=chdir", "-e", "inject=" .. injection }
  return machine.host(code, { under = strace }).stdout
end

describe("a start", function()
  it("that hangs ends at the timeout, with the name of the step", function()
    local said = under("chdir:delay_enter=1000000", [[
      local p, message, errno, detail = require("ns").spawn { "true", cwd = "/usr", timeout = 0.3 }
      print(p, message, errno, detail.step, detail.path)
    ]])
    assert.equal("nil\ttimeout in: chdir /usr\t110\tchdir\t/usr\n", said)
  end)

  it("that is killed says so, with the signal", function()
    local said = under("chdir:signal=SIGKILL", [[
      local p, message, _, detail = require("ns").spawn { "true", cwd = "/usr" }
      print(p, message, detail.code)
    ]])
    assert.matches("^nil\tkilled by signal 9 before exec; .-\tDIED\n$", said)
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
