--- The fault matrix: each system call of a start, in host and launcher, in every mode, is answered with each plausible
-- errno; the launcher stops for ever, or is killed, at each step. Every one of these starts must name the step and the
-- errno, or succeed by a fallback with the same effect, within 2 seconds, and leave nothing; and the next one must work.
--
-- The test build has fault.c between each call and the kernel. Each group of modes has a host of its own, fault_group.lua.
--
-- usage: lua5.4 proof/faults.lua short|long [SEED]
local proof = require "proof"

local core = require "ns.core"
local machine = require "support.machine"
local modes = require "fault_modes"
local ns = require "ns"

local BUILD = [[
  unset MAKEFLAGS MAKELEVEL; set -e
  make -s LUA_VERSION=5.4 BUILD=build/proof/fault 'HEADERS=$(wildcard src/*.h src/*/*.h proof/fault*)' \
    CC='gcc -include proof/fault.h proof/fault.c proof/fault_host.c @proof/fault.wrap'
  gcc -O1 -static -o build/proof/fault/report proof/fault_report.c]]

-- Of all ranges that root may have, one is free: so each start has the same.
local SUBUID = "root:100000:65536\n65534:200000:1000\nothers:2000289792:147062784\n"
local OWN_SUBUID = 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"'

--- What the host of a group is run by. Each but the first is run in a mount namespace with an /etc/subuid of its own.
local GROUPS = {
  { "root" },
  { "nobody" },
  { "copying" },
  { "copying nobody" },
  { "terminal", pty = true },
  { "closed", streams = "<&- >&- 2>&-" },
}

local seed = arg[2] or arg[1] == "short" and "1" or tostring(os.time()) -- the short form is the same each time

--- Without fchmod(2) nothing can be made that could be executed: then the host is copied.
local function run(group, directory)
  local line = ('exec "$@" %s'):format(group.streams or "")
  local argv = { "unshare", "--mount", "--propagation=private", "sh", "-c", OWN_SUBUID, directory .. "/subuid",
    "sh", "-c", line, "sh" }
  for _, word in ipairs(group[1]:find("copying") and machine.refuse("EPERM", "fchmod") or {}) do argv[#argv + 1] = word end
  for _, word in ipairs { "lua5.4", "proof/fault_group.lua", arg[1], group[1], directory, seed } do
    argv[#argv + 1] = word
  end
  local r = assert(ns.run { argv = argv, pty = group.pty, stdin = not group.pty and "null" or nil })
  local report = loadfile(("%s/out/%s"):format(directory, group[1]))
  return proof.check(report, "%s: no report: %s", group[1], tostring(r)) and report()
end

local total = { cases = 0, steps = 0, covered = 0, silent = 0, missed = 0, ops = {}, outcomes = {} }

local function add(report)
  for _ = 1, report.passed do proof.check(true) end
  for _, text in ipairs(report.failures) do proof.check(false, "%s", text) end
  for _, name in ipairs { "cases", "steps", "covered", "silent", "missed" } do total[name] = total[name] + report[name] end
  for _, text in ipairs(report.skipped) do proof.skip("%s", text) end
  for op in pairs(report.ops) do total.ops[op] = true end
  for outcome, count in pairs(report.outcomes) do total.outcomes[outcome] = (total.outcomes[outcome] or 0) + count end
end

local function count(set)
  local n = 0
  for _ in pairs(set) do n = n + 1 end
  return n
end

--- All ops that there are, from the table in ops.c.
local function all_ops()
  local ops = {}
  for op in assert(machine.read("src/launcher/ops.c")):match("ns_ops%[%] = (%b{})"):gmatch('{"(%w+)"') do ops[op] = true end
  return ops
end

-- A job without a program, and a launcher that waits for another process, which no start of ours has:
-- spec/connect_spec.lua, spec/oci_runtime_spec.lua.
local ELSEWHERE = { connect = true, wait = true }

local function figures()
  local ops = all_ops()
  for op in pairs(ops) do proof.check(total.ops[op] or ELSEWHERE[op], "no mode plays the op %s", op) end
  proof.check(total.covered + total.silent == total.steps, "%d of %d steps were given no fault",
    total.steps - total.silent - total.covered, total.steps)
  proof.check(total.cases >= proof.size(600, 10000), "only %d cases", total.cases)
  proof.check(total.missed * 100 <= total.cases, "%d faults of %d were not met", total.missed, total.cases)
  proof.figure("cases", "%d (seed %s)", total.cases, seed)
  proof.figure("steps", "%d of %d, and %d that make no call which can fail", total.covered, total.steps, total.silent)
  proof.figure("ops", "%d of %d", count(total.ops), count(ops))
  local outcomes = {}
  for outcome, number in pairs(total.outcomes) do outcomes[#outcomes + 1] = ("%s %d"):format(outcome, number) end
  table.sort(outcomes)
  proof.figure("outcomes", table.concat(outcomes, ", "))
  proof.figure("faults that were not met", "%d", total.missed)
end

--- The hook is in the test build, and in no other.
local function check_builds()
  for build, wanted in pairs { ["build/proof/fault"] = true, build = false } do
    local r = assert(ns.run { "nm", build .. "/5.4/ns/core.so" })
    proof.check(r.ok and (r.stdout:find("fault_call", 1, true) ~= nil) == wanted, "%s: the hook", build)
  end
end

local function main()
  assert(ns.run({ "sh", "-c", BUILD, stdout = "inherit", stderr = "inherit" }).ok, "the test build")
  check_builds()
  local directory, remove = machine.directory()
  assert(os.execute(("mkdir -m 777 %s/out && cp build/proof/fault/report %s"):format(directory, directory)))
  machine.file(directory .. "/subuid", SUBUID, "644")
  modes.prepare(directory)
  for _, group in ipairs(GROUPS) do
    local report = run(group, directory)
    if report then add(report) end
  end
  remove()
  figures()
end

if core.ids().euid == 0 and machine.can.mount then
  main()
else
  proof.skip("the fault matrix: it needs root, who can take on other ids")
end
proof.finish()
