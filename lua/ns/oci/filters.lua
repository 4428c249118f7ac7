--- The filter of system calls of a configuration, as the word seccomp.
-- @module ns.oci.filters
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local json = require "ns.json"
local profile = require "ns.words.profile"
local rules = require "ns.words.filter_rules"

local filters = {}

local ACTIONS = { SCMP_ACT_ALLOW = "allow", SCMP_ACT_LOG = "log", SCMP_ACT_KILL = "kill_thread",
  SCMP_ACT_KILL_THREAD = "kill_thread", SCMP_ACT_KILL_PROCESS = "kill", SCMP_ACT_TRAP = "trap" }
local constants = core.constants
local EPERM = constants.errno.EPERM

local ARCH = { x86_64 = "SCMP_ARCH_X86_64", aarch64 = "SCMP_ARCH_AARCH64", arm = "SCMP_ARCH_ARM", x86 = "SCMP_ARCH_X86",
  riscv64 = "SCMP_ARCH_RISCV64" }

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
  local low = value % 4294967296 -- of a Lua that has whole numbers, one of them
  return ("0x%08x%08x"):format((value - low) / 4294967296, low)
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
  for i, name in ipairs(one.names) do
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
  local default = action_of(value.defaultAction, value.defaultErrnoRet)
  if not default then
    return leave(job, where .. ".defaultAction", ("'%s' is not known"):format(tostring(value.defaultAction)), true)
  end
  local word = { default = default, rules = {}, arch = arches(value.architectures),
    flags = flags(value.flags, where .. ".flags", job, leave) }
  for i, one in ipairs(value.syscalls or {}) do
    local at = ("%s.syscalls[%d]"):format(where, i)
    local ok, rule = pcall(rule_of, one, at)
    if ok then
      word.rules[#word.rules + 1] = rule
    else
      local mistake = check.mistake(rule)
      if not mistake then error(rule, 0) end
      leave(job, at, mistake:match("^[^:]*: (.*)$") or mistake, true)
    end
  end
  job.words.seccomp = word
end

-- ---- writing ----

local NUMBERS = { allow = "SCMP_ACT_ALLOW", log = "SCMP_ACT_LOG", kill_thread = "SCMP_ACT_KILL_THREAD",
  kill = "SCMP_ACT_KILL_PROCESS", trap = "SCMP_ACT_TRAP" }

--- A rule for these names, with an action as the word has it.
local function named(names, action)
  if NUMBERS[action] then return { names = json.array(names), action = NUMBERS[action] } end
  return { names = json.array(names), action = "SCMP_ACT_ERRNO",
    errnoRet = type(action) == "number" and action or constants.errno[action] }
end

local function words_of(text)
  local list = {}
  for name in text:gmatch "%S+" do list[#list + 1] = name end
  return list
end

--- Adds a rule without those that are said already.
local function add(list, said, names, action)
  local left = {}
  for _, name in ipairs(names) do
    if not said[name] and type(name) == "string" then left[#left + 1] = name end
    said[name] = true
  end
  if #left > 0 then list[#list + 1] = named(left, action) end
end

--- The default profile, for who has these capabilities; but for what depends on arguments.
local function add_profile(list, said, spec)
  local function has(name)
    return name and spec.caps and math.floor(spec.caps / 2 ^ constants.cap[name:upper()]) % 2 == 1
  end
  for _, row in ipairs(profile.refused) do
    if not has(row.cap) then add(list, said, words_of(row[2]), row[1]) end
  end
  for _, row in ipairs(profile.refused) do add(list, said, words_of(row[2]), "allow") end
  add(list, said, words_of(profile.allowed), "allow")
  for _, row in ipairs(profile.rules) do add(list, said, row, "allow") end
end

--- The word seccomp as a configuration has it. A filter there has no order: what depends on arguments is left out.
function filters.write(value, spec, job, leave)
  local t = type(value) == "table" and value or {}
  local list, said = json.array {}, {}
  if t.bpf then return leave(job, "seccomp.bpf", "instructions are in no bundle", true) end
  if t.trace then leave(job, "seccomp.trace", "it is about a run, not about the program") end
  for i, rule in ipairs(t.rules or {}) do
    local names = {}
    for j, name in ipairs(rule) do names[j] = name end
    if rule.arg then
      leave(job, ("seccomp.rules[%d]"):format(i), "it depends on arguments", true)
    else
      add(list, said, names, rule.action)
    end
  end
  for _, one in ipairs { { "kill", "kill" }, { "deny", t.errno or "EPERM" }, { "log", "log" }, { "allow", "allow" } } do
    add(list, said, t[one[1]] or {}, one[2])
  end
  if not t.default then
    add_profile(list, said, spec)
    leave(job, "seccomp", "what the default profile says of arguments is left out: of clone, socket, ioctl, ...", true)
  end
  local default = named({}, t.default or "ENOSYS")
  return { defaultAction = default.action, defaultErrnoRet = default.errnoRet, syscalls = list,
    architectures = json.array { ARCH[core.machine] } }
end

return filters
