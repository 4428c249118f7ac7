--- Plans as data, for hosts that are made up: no privilege, no system call, no process.
local errors = require "ns.start.errors"
local mounts = require "ns.words.mounts"
local plan = require "ns.start.plan"
local survey = require "ns.start.survey"

local plans = {}

local ROOT = { etc = false, usr = false, srv = false, proc = false, bin = "usr/bin", lib = "usr/lib" }

--- A host: root's, unless `more` says otherwise.
function plans.host(more)
  local host = { euid = 0, egid = 0, ends = { [0] = 0, 1, 2 }, slave = 9, subuid = "/no/subuid", subgid = "/no/subgid" }
  function host.environ() return { "PATH=/usr/bin:/bin", "HOME=/root", "LANG=C" } end
  function host.arg_max() return 2097152 end
  function host.nested() return false end
  function host.nofile() return 1024, 1048576 end
  function host.realpath(path) return path end
  function host.access() return true end
  function host.readlink() end
  function host.owner() return 0, 0, 448 end
  function host.landlock() return 7 end
  function host.stamp() return "1:2:3:4.5:6.7;" end
  function host.entries()
    local list = {}
    for name, link in pairs(ROOT) do list[#list + 1] = { name = name, link = link or nil } end
    return list
  end
  local all = { { 0, 0, 4294967295 } }
  host.caps, host.machine = 2 ^ 41 - 1, { uid = all, gid = all, setgroups = "allow" }
  for k, v in pairs(more or {}) do host[k] = v end
  if host.root == nil then host.root = host.euid == 0 end
  return host
end

plans.ordinary = { euid = 1000, egid = 1000 }

--- The spec in its normal form; a mistake is an error.
function plans.check(spec, more)
  local checked, mistake = plan.check(spec, plans.host(more))
  if not checked then error(mistake, 2) end
  return checked
end

--- What is found for a checked spec on a host. `box`: what a box has kept.
function plans.found(checked, host, box)
  local opened = { ends = host.ends, slave = host.slave, console = host.console, made = {},
    ptmx = checked.pty and mounts.ptmx(checked.mounts) }
  local found = assert(survey.find(checked, host, opened, box))
  found.trees, found.background = host.trees or {}, host.background
  if host.privileged ~= nil then found.privileged = host.privileged end
  return found
end

--- The steps for a spec, as ns.spawn makes them.
function plans.steps(spec, more)
  local checked = plans.check(spec, more)
  return plan.lower(checked, plans.found(checked, plans.host(more)))
end

--- The steps in words.
function plans.words(spec, more)
  local words = {}
  for i, step in ipairs(plans.steps(spec, more)) do words[i] = errors.describe(step) end
  return words
end

--- The steps with one of the ops, in their order.
function plans.only(steps, ...)
  local wanted, found = {}, {}
  for _, op in ipairs { ... } do wanted[op] = true end
  for _, step in ipairs(steps) do
    if wanted[step.op] then found[#found + 1] = step end
  end
  return found
end

--- The place of the first step that has all of `fields`; from the end with `last`.
function plans.find(steps, fields, last)
  local from, to, by = 1, #steps, 1
  if last then from, to, by = to, from, -1 end
  for i = from, to, by do
    local same = true
    for k, v in pairs(fields) do same = same and steps[i][k] == v end
    if same then return i end
  end
end

return plans
