--- The filter of system calls of a configuration, as the word seccomp.
-- @module ns.oci.filters
require("ns.core").nojit()
local check = require "ns.words.check"
local rules = require "ns.words.filter_rules"

local filters = {}

local ACTIONS = { SCMP_ACT_ALLOW = "allow", SCMP_ACT_LOG = "log", SCMP_ACT_KILL = "kill_thread",
  SCMP_ACT_KILL_THREAD = "kill_thread", SCMP_ACT_KILL_PROCESS = "kill", SCMP_ACT_TRAP = "trap" }
local EPERM = 1

--- What is done; nil, if that is not to be had.
local function action_of(name, number)
  if name == "SCMP_ACT_ERRNO" then return number or EPERM end
  return ACTIONS[name]
end

local OPS = { SCMP_CMP_EQ = "==", SCMP_CMP_NE = "!=", SCMP_CMP_LT = "<", SCMP_CMP_LE = "<=", SCMP_CMP_GT = ">",
  SCMP_CMP_GE = ">=", SCMP_CMP_MASKED_EQ = "&" }

--- A number of 64 bits, as the word has it: in digits, where a Lua may have no such number.
local function number(value)
  if type(value) ~= "number" or value < 2 ^ 53 then return value end
  local low = value % 2 ^ 32
  return ("0x%08x%08x"):format((value - low) / 2 ^ 32, low)
end

local function test_of(one, where)
  local op = OPS[one.op] or check.fail(where .. ".op", "'%s' is not known", tostring(one.op))
  if op == "&" then return { one.index, op, number(one.value), number(one.valueTwo or 0) } end
  return { one.index, op, number(one.value) }
end

--- A rule for the calls that have a name here; nil where none has. A test that the kernel would not see is a mistake.
local function rule_of(one, where)
  local rule = { action = action_of(one.action, one.errnoRet) }
  if not rule.action then check.fail(where .. ".action", "'%s' is not known", tostring(one.action)) end
  for i, name in ipairs(check.list(check.text, 1)(one.names, where .. ".names")) do
    if pcall(rules.check_call, name, check.at(where, i)) then rule[#rule + 1] = name end
  end
  for i, arg in ipairs(one.args or {}) do
    rule.arg = rule.arg or {}
    rule.arg[i] = test_of(arg, ("%s.args[%d]"):format(where, i))
  end
  if #rule == 0 then return nil end
  rules.check_rule(rule, where)
  return rule
end

local ARCHES = { SCMP_ARCH_X86 = "x86", SCMP_ARCH_X32 = "x32" }

local function arches(list)
  local result = {}
  for _, name in ipairs(list or {}) do result[#result + 1] = ARCHES[name] end
  return #result > 0 and result or nil
end

local FLAGS = { SECCOMP_FILTER_FLAG_LOG = "log", SECCOMP_FILTER_FLAG_SPEC_ALLOW = "spec_allow" }

local function flags(list, where, job, leave)
  local result = {}
  for i, name in ipairs(list or {}) do
    if FLAGS[name] then result[#result + 1] = FLAGS[name] elseif name ~= "SECCOMP_FILTER_FLAG_TSYNC" then
      leave(job, check.at(where, i), ("'%s' is not known"):format(tostring(name)))
    end
  end
  return #result > 0 and result or nil
end

--- Reads it into job.words.seccomp. What cannot be had is noted, as it weakens the container.
function filters.read(value, where, job, leave)
  if type(value) ~= "table" then check.fail(where, "object expected, got %s", type(value)) end
  local default = action_of(value.defaultAction, value.defaultErrnoRet)
  if not default then
    return leave(job, where .. ".defaultAction", ("'%s' is not known"):format(tostring(value.defaultAction)), true)
  end
  local profile = { default = default, rules = {}, arch = arches(value.architectures),
    flags = flags(value.flags, where .. ".flags", job, leave) }
  for i, one in ipairs(value.syscalls or {}) do
    local at = ("%s.syscalls[%d]"):format(where, i)
    local ok, rule = pcall(rule_of, one, at)
    if ok then
      profile.rules[#profile.rules + 1] = rule
    else
      local mistake = check.mistake(rule)
      if not mistake then error(rule, 0) end
      leave(job, at, mistake:match("^[^:]*: (.*)$") or mistake, true)
    end
  end
  job.words.seccomp = profile
end

return filters
