--- What a program has from its host, and what is always new: the list at the end of README.md.
local machine = require "support.machine"

local PROCESSOR = machine.read("/proc/self/status"):match("Cpus_allowed_list:\t(%d+)")

--- A host with a habit of its own in each of these.
local PREPARE = ([[umask 077; ulimit -n 100; echo 5 >/proc/self/oom_score_adj; echo 70000 >/proc/$$/timerslack_ns
  export HABIT=kept; exec 7</dev/null
  exec env --block-signal=USR1 --ignore-signal=PIPE \
    nice -n 3 chrt -b 0 taskset -c %s ionice -c 3 setarch -R "$@"]]):format(PROCESSOR)

local REPORT = [[
echo "signals $(grep -E '^Sig(Blk|Ign)' /proc/$$/status | cut -f 2 | sort -u)"
echo "ambient $(grep -E '^Cap(Inh|Amb)' /proc/$$/status | cut -f 2 | sort -u)"
echo "descriptor $([ -e /proc/$$/fd/7 ] || echo closed)"
echo "umask $(umask)"
echo "files $(ulimit -n)"
echo "oom $(cat /proc/$$/oom_score_adj)"
echo "slack $(cat /proc/self/timerslack_ns)"
echo "nice $(nice)"
echo "policy $(chrt -p $$ | sed -n 's/.*policy: //p')"
echo "processors $(sed -n 's/^Cpus_allowed_list:\t//p' /proc/$$/status)"
echo "io $(ionice)"
echo "persona $(cat /proc/$$/personality)"
echo "habit $HABIT"
echo "directory $(pwd)"
]]

local ALWAYS_NEW = { signals = "0000000000000000", ambient = "0000000000000000", descriptor = "closed" }
local NICENESS = ("%d"):format(math.min(19, machine.sh({}, "nice") + 3))
local YOURS = { umask = "0077", files = "100", oom = "5", slack = "70000", nice = NICENESS, policy = "SCHED_BATCH",
  processors = PROCESSOR, io = "idle", persona = "00040000", habit = "kept", directory = "/usr" }
local IN_A_SANDBOX = { umask = "0022", habit = "", directory = "/" }

--- {[name] = what the program finds}, for a program that `start` (Lua, a prefix of the call) starts.
local function found(start, nobody)
  local code = ("io.write(assert(%s{ argv = { 'sh', '-c', %q } }).stdout)"):format(start, REPORT)
  local r = machine.host("local ns = require 'ns' " .. code,
    { nobody = nobody, under = { "sh", "-c", PREPARE, "sh" }, spec = { cwd = "/usr" } })
  assert.truthy(r.ok, tostring(r))
  assert.equal("", r.stderr)
  local values = {}
  for name, value in r.stdout:gmatch("(%a+) ([^\n]*)\n") do values[name] = value end
  return values
end

describe("a program", function()
  for who, nobody in pairs { ["this user"] = false, ["an ordinary user"] = true } do
    it("has what its host has, but for what is always new: started by " .. who, function()
      local values = found("ns.run", nobody)
      for name, value in pairs(ALWAYS_NEW) do assert.equal(value, values[name], name) end
      for name, value in pairs(YOURS) do assert.equal(value, values[name], name) end
    end)

    machine.it("user")("has the priorities and limits of its host in a sandbox, too: started by " .. who, function()
      local values = found("(function(spec) return ns.sandbox():run((table.unpack or unpack)(spec.argv)) end)", nobody)
      for name, value in pairs(ALWAYS_NEW) do assert.equal(value, values[name], name) end
      for name, value in pairs(YOURS) do assert.equal(IN_A_SANDBOX[name] or value, values[name], name) end
    end)
  end
end)
