--- Each example runs, and says what it should.
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

local LOOP = "program 1: exit 1\nprogram 2: exit 2\nprogram 3: exit 3\n"
local SEED = "^ %- %[ *%d+%] Current namespace, Parent PID : %d+\n"
  .. " %- %[   1%] New namespace, Parent PID : 0\n"
  .. "%$ hostname\nnamespace\n%$ ps %-aef\nUID[^\n]+\nroot +1 +0 [^\n]+/bin/bash\nroot +%d+ +1 [^\n]+ps %-aef\n"
  .. "%$ pstree %-p\nbash%(1%)%-%-%-pstree%(%d+%)\n%$ mount\nproc on /proc type proc [^\n]+\n$"

local EXPECTED = {
  ["newns.lua"] = SEED,
  ["loop_cqueues.lua"] = "^" .. LOOP .. "$",
  ["loop_luv.lua"] = "^" .. LOOP .. "$",
  ["loop_socket.lua"] = "^" .. LOOP .. "$",
}

local function run(name, nobody)
  return machine.host(("arg = {[0] = '%s'} dofile('%s/examples/%s')"):format(name, machine.public(), name),
    { nobody = nobody })
end

describe("the example", function()
  for name in lfs.dir("examples") do
    if name:find("%.lua$") then
      it(name .. " runs", function()
        local r = run(name)
        assert.truthy(r.ok, tostring(r))
        assert.matches(assert(EXPECTED[name], "no expectation for it"), r.stdout)
      end)
    end
  end

  machine.it("user")("newns.lua runs for an ordinary user", function()
    assert.matches(SEED, run("newns.lua", true).stdout)
  end)

  it("newns.lua -i gives a shell with job control, and the terminal whole afterwards", function()
    local keys = { "hostname", "sleep 100", "\3", "echo rc $?", "sleep 50", "\26", "jobs", "kill -9 %1", "exit 7",
      "stty -a; exit" }
    local feed = ""
    for _, key in ipairs(keys) do
      feed = feed .. ("sleep 0.4; printf '%%s' '%s'; "):format(#key == 1 and key or key .. "\n")
    end
    local line = ("%s %s/examples/newns.lua -i; echo after \\$?; bash --norc"):format(machine.lua, machine.public())
    local r = ns.run { "sh", "-c", ('( %s sleep 0.5 ) | script -qec "%s" /dev/null'):format(feed, line),
      env = machine.paths(machine.public()), timeout = 30 }
    assert.matches("[\r\n]namespace\r\n", r.stdout)
    assert.matches("rc 130", r.stdout)
    assert.matches("Stopped +sleep 50", r.stdout)
    assert.matches("after 7\r\n", r.stdout)
    assert.matches("[^-]isig icanon", r.stdout)
  end)
end)
