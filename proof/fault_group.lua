--- One host of the fault matrix, with the test build of the core: goes through the modes of a group, and leaves a table of
-- what it has seen in DIRECTORY/out/GROUP.
-- usage: lua5.4 proof/fault_group.lua short|long GROUP DIRECTORY SEED
local form, group, directory, seed = table.unpack(arg)
local CORE = "build/proof/fault/5.4/"
package.cpath = CORE .. "?.so;" .. package.cpath
local fault = assert(package.loadlib(CORE .. "ns/core.so", "luaopen_ns_fault"))()

local core = require "ns.core"
local join = require "ns.words.join"
local modes = require "fault_modes"
local ns = require "ns"
local plan = require "ns.start.plan"
local relay = require "ns.start.relay"
local rules = require "fault_rules"
local snapshot = require "support.snapshot"
local sorted = require "ns.words.sorted"

local FAIL, HANG, DIE = rules.FAIL, rules.HANG, rules.DIE
local OTHERS = form == "short" and 12 or math.huge -- so many cases that are not due
local AT_EACH = 2 -- in the long form, so many errnos at each call, beside all of them at one call of each step
local DEATHS = 3 -- calls of a step at which the launcher is killed
local STEPS = form == "short" and 4 or math.huge -- of each op, which many modes have alike

-- steps: all there are, in the short form those that are chosen; covered: those that were given an error; silent: those that
-- make no call which can fail
local report = { passed = 0, failures = {}, cases = 0, missed = 0, steps = 0, covered = 0, silent = 0, ops = {},
  outcomes = {}, skipped = {} }

-- ---- one start ----

-- The steps of the start's processes, by their number; who holds ids has none. While a process waits for its plan, its host
-- may start others for it: a plan belongs to the last one that has none yet.
local lists, waiting, count = {}, {}, 0
local launch, lower = core.launch, plan.lower

function core.launch(...)
  local handle, more, errno = launch(...)
  if handle then
    count = count + 1
    waiting[#waiting + 1] = count
  end
  return handle, more, errno
end

function plan.lower(spec, found)
  local steps = lower(spec, found)
  if found.scope == "job" then -- the init of a living box has made the process
    count = count + 1
    waiting[#waiting + 1] = count
  end
  lists[table.remove(waiting)] = steps
  return steps
end

--- The plan of a launcher that joins; the next one belongs to the process that it makes.
local join_steps = join.steps
function join.steps(...)
  local steps = join_steps(...)
  lists[table.remove(waiting)] = steps
  count = count + 1
  waiting[#waiting + 1] = count
  return steps
end

--- The plan of a relay, whose process comes after that of its box.
local relay_steps = relay.steps
function relay.steps(...)
  local steps = relay_steps(...)
  lists[count + 1] = steps
  return steps
end

--- A living box with one program, which it ends with.
local function spawn_living(spec)
  local c, message, errno, detail = ns.box(spec):start { table.unpack(spec.argv) }
  if not c then return nil, message, errno, detail end
  local p = c.main
  p.container, c.main = c, nil
  return p
end

local NO_POINT = {}

--- Starts the mode, with a fault if there is one. What has come of it: ok, p, message, errno, detail of the start; r of the
-- program.
local function start(mode, point, action, errno)
  local o, spec = { before = core.clock() }, {}
  point, lists, waiting, count = point or NO_POINT, {}, {}, 0
  for word, value in pairs(mode.spec) do spec[word] = value end
  spec.timeout, spec.grace = action == HANG and 0.3 or 4, 0.1
  fault.begin(point.process, point.step, point.nth, point.call, point.name, action, errno)
  o.ok, o.p, o.message, o.errno, o.detail = pcall(mode.trial and ns.check or mode.living and spawn_living or ns.spawn, spec)
  fault.spawned()
  if o.ok and o.p and not mode.trial then
    local ok, r = pcall(o.p.communicate, o.p)
    o.r = ok and r or nil
    o.p:close()
  end
  o.p = o.ok and o.p and true or not o.ok and o.p or nil
  o.fired = fault.finish()
  o.seconds, o.lists, lists = core.clock() - o.before, lists, {}
  return o
end

--- The core notes for good that the launcher may not be executed: it is to forget that. What is joined was started from the
-- first one, which its handle refers to.
local first_launcher
local function renew_launcher()
  local registry = debug.getregistry()
  first_launcher = first_launcher or registry["ns.launcher"]
  registry["ns.launcher"] = nil
end

--- Does one case; true if the fault was met.
local function try(case)
  local before = snapshot.take()
  local o = start(case.mode, case.point, case.action, case.errno)
  if not o.fired then return false end
  local what, outcome = rules.judge(case, o)
  if case.point.step <= 0 and not group:find("copying") then renew_launcher() end
  collectgarbage()
  collectgarbage()
  local may_orphan = rules.may_orphan(case)
  if may_orphan then ns.run { "/bin/sleep", "0.05" } end -- it ends when it is told that the launcher has
  if fault.reap() > 0 and not may_orphan then what = what or "a process is left to the init of this machine" end
  what = what or snapshot.changed(before)
  local following = ns.run { "/bin/true", stdin = "null" }
  if not (following and following.ok) then what = "the next one does not start" end
  if what then
    report.failures[#report.failures + 1] = ("%s: %s"):format(rules.describe(case, o), what)
  else
    report.passed = report.passed + 1
    local key = ("%s: %s"):format(rules.words[case.action], outcome)
    report.outcomes[key] = (report.outcomes[key] or 0) + 1
  end
  return true
end

-- ---- the points of a mode ----

--- Starts the mode as it is, which must look the same each time. Its calls and its plans.
local function survey(mode)
  start(mode)
  local first = start(mode)
  local events, second = fault.events(), start(mode)
  for _, o in ipairs { first, second } do
    if not o.ok or not o.p then error(("%s: %s"):format(mode.name, tostring(o.message or o.p)), 0) end
  end
  if not mode.trial then
    if not first.r or first.r.code ~= 7 then error(("%s: %s"):format(mode.name, tostring(first.r)), 0) end
    if first.r.stdout ~= second.r.stdout then error(mode.name .. ": it is not the same twice", 0) end
    mode.output = first.r.stdout
  end
  return events, first.lists
end

--- The first, the second and the last of calls that follow each other.
local function numbers(event)
  local list = { event.first }
  if event.count > 2 then list[2] = event.first + 1 end
  if event.count > 1 then list[#list + 1] = event.first + event.count - 1 end
  return list
end

local function points_of(events)
  local points = {}
  for _, e in ipairs(events) do
    for _, nth in ipairs(numbers(e)) do
      local point = { process = e.process, step = e.step, nth = nth, call = e.call, name = e.name,
        ["function"] = e["function"] }
      if #rules.plausible(point) > 0 then points[#points + 1] = point end
    end
  end
  return points
end

local function shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

-- ---- the cases ----

local steps, speaking, covered, rest = {}, {}, {}, {} -- sets of keys; a list of cases
local chosen = {} -- how many steps of each op

--- What is covered by a fault at the point: the step of the mode, or the call of the host in any mode.
local function key_of(mode, point)
  if point.process == 0 then return "host: " .. rules.call(point) end
  return ("%s:%d:%d"):format(mode.name, point.process, point.step)
end

--- The cases of one mode. due: for each step, and each call of the host, a list of cases, of which one is done in any case;
-- and all others, stops and deaths early.
local function cases_of(mode, points)
  local due, others, seen = {}, {}, {} -- seen: how many points of each step
  for _, point in ipairs(shuffle(points)) do
    local key, inside = key_of(mode, point), point.process > 0
    for i, code in ipairs(shuffle(rules.plausible(point))) do
      local case = { mode = mode, point = point, action = FAIL, errno = core.constants.errno[code], rank = math.random() }
      if i == 1 and (inside or not covered[key]) then
        due[key] = due[key] or {}
        table.insert(due[key], case)
      elseif not seen[key] or i <= AT_EACH then
        others[#others + 1] = case
      end
    end
    if inside and not seen[key] then
      others[#others + 1] = { mode = mode, point = point, action = HANG, rank = math.random() / 5 }
    end
    seen[key] = (seen[key] or 0) + 1
    if inside and seen[key] <= DEATHS then
      others[#others + 1] = { mode = mode, point = point, action = DIE, rank = math.random() / 5 }
    end
  end
  return due, others
end

--- Does a case; true if its fault was met, which some other course of events may prevent.
local function run(case)
  report.cases = report.cases + 1
  local met = try(case) or try(case) or try(case)
  if met then
    covered[key_of(case.mode, case.point)] = true
  else
    report.missed = report.missed + 1
  end
  return met
end

local function run_mode(mode)
  local events, plans = survey(mode)
  local points = points_of(events)
  local due, more = cases_of(mode, points)
  for _, process in ipairs(sorted.keys(plans)) do
    for number, step in ipairs(plans[process]) do
      chosen[step.op] = (chosen[step.op] or 0) + 1
      if chosen[step.op] <= STEPS then steps[key_of(mode, { process = process, step = number })] = true end
      report.ops[step.op] = true
    end
  end
  for _, point in ipairs(points) do speaking[key_of(mode, point)] = true end
  for _, key in ipairs(sorted.keys(due)) do
    local cases = due[key]
    local point = cases[1].point
    local met = form == "short" and point.process > 0 and point.step > 0 and not steps[key]
    for _, case in ipairs(cases) do
      met = met or run(case)
      if form == "long" then met = false end
    end
  end
  for _, case in ipairs(more) do rest[#rest + 1] = case end
end

local function count_steps()
  for key in pairs(steps) do
    report.steps = report.steps + 1
    if covered[key] then report.covered = report.covered + 1 end
    if not speaking[key] then report.silent = report.silent + 1 end
  end
end

local function main()
  if group:find("nobody") then fault.become(65534) end
  local list = modes.list(directory, group)
  report.skipped = list.skipped
  if group:find("copying") then
    assert(ns.run({ "/bin/true", stdin = "null" }).ok and core.launcher_way() == "copy", "the host is not copied")
  end
  for _, mode in ipairs(list) do run_mode(mode) end
  table.sort(rest, function(a, b) return a.rank < b.rank end)
  for i = 1, math.min(#rest, OTHERS) do run(rest[i]) end
  count_steps()
end

-- ---- what the part reads ----

local function write(value)
  if type(value) ~= "table" then return ("%q"):format(value) end
  local parts = {}
  for k, v in pairs(value) do parts[#parts + 1] = ("[%s]=%s"):format(write(k), write(v)) end
  return "{" .. table.concat(parts, ",\n") .. "}"
end

math.randomseed(tonumber(seed))
local ok, problem = xpcall(main, debug.traceback)
if not ok then report.failures[#report.failures + 1] = problem end
local f = assert(io.open(("%s/out/%s"):format(directory, group), "w"))
f:write("return " .. write(report))
f:close()
