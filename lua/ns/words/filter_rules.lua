--- The rules of a filter of system calls: names, actions and arguments, as the caller writes them, and as clauses of
-- `ns.words.bpf`.
-- @module ns.words.filter_rules
require("ns.core").nojit()
local bpf = require "ns.words.bpf"
local check = require "ns.words.check"
local constants = require("ns.core").constants
local profile = require "ns.words.profile"

local filter_rules = {}

local WORD = 4294967296
local type_of = math.type or type -- luacheck: ignore

-- ---- names ----

--- Adds the words of a text as keys.
local function add_words(names, text)
  for name in text:gmatch("%S+") do names[name] = true end
end

local NAMES = {}
for _, row in ipairs(profile.refused) do add_words(NAMES, row[2]) end
for _, rule in ipairs(profile.rules) do
  for _, name in ipairs(rule) do NAMES[name] = true end
end
add_words(NAMES, profile.allowed)
add_words(NAMES, profile.elsewhere)

local check_number = check.integer(0, 0x3fffffff)

--- A name, of whatever machine; or a number of this one.
function filter_rules.check_call(value, where)
  if type(value) == "number" then return check_number(value, where) end
  if type(value) ~= "string" then check.fail(where, "name of a system call expected, got %s", type(value)) end
  if not NAMES[value] then check.fail(where, "unknown system call '%s'%s", value, check.nearest(value, NAMES)) end
  return value
end

-- ---- actions ----

local ACTIONS = {}
for name in pairs(bpf.actions) do ACTIONS[name] = true end
for name in pairs(constants.errno) do ACTIONS[name] = true end
ACTIONS.notify = nil -- nobody would answer

local check_errno_number = check.integer(0, 4095)

--- The action that refuses with an errno, by its name or number.
function filter_rules.check_errno(value, where)
  if type(value) == "number" then return bpf.errno(check_errno_number(value, where)) end
  local number = type(value) == "string" and constants.errno[value]
  if not number then check.fail(where, "errno expected, as 'EPERM' or its number, got %s", check.show(value)) end
  return bpf.errno(number)
end

--- What is done for a call: "allow", "log", "kill", "kill_thread", "trap", "trace"; or the errno that it fails with.
function filter_rules.check_action(value, where)
  if type(value) == "number" then return filter_rules.check_errno(value, where) end
  if not ACTIONS[value] then
    local near = type(value) == "string" and check.nearest(value, ACTIONS) or ""
    check.fail(where, "'allow', 'log', 'kill', 'kill_thread', 'trap', 'trace' or an errno expected, got %s%s",
      check.show(value), near)
  end
  return bpf.actions[value] or filter_rules.check_errno(value, where)
end

-- ---- arguments ----

-- Of these arguments the kernel takes 32 bits, and does not look at the upper half of the register: nor may a rule, or who
-- writes something there gets round it. Of all others it takes 64.
local NARROW = {}
for name, places in ([[accept4=03 access=1 arch_prctl=0 bind=02 bpf=02 chmod=1 chown=12 clone=0 clock_settime=0
  close_range=012 connect=02 dup=0 dup2=01 dup3=012 epoll_ctl=012 eventfd2=01 execveat=04 faccessat=02 faccessat2=023
  fallocate=01
  fanotify_init=01 fchmod=01 fchmodat=02 fchmodat2=023 fchown=012 fchownat=0234 fcntl=01 fcntl64=01
  finit_module=02 flock=01 getpriority=01 getrandom=2 getsockopt=012 inotify_add_watch=02 io_uring_setup=0
  ioctl=01 iopl=0 ioprio_set=012 keyctl=0 kill=01 landlock_create_ruleset=2 landlock_restrict_self=01 lchown=12
  linkat=024 listen=01 madvise=2 membarrier=012 memfd_create=1 memfd_secret=0 mkdir=1 mkdirat=02 mknod=12
  mknodat=023 mlock2=2 mlockall=0 mount_setattr=02 move_mount=024 mq_open=12 msgctl=01 msgget=01
  name_to_handle_at=04 open=12 open_by_handle_at=02 open_tree=02 openat=023 openat2=0 perf_event_open=123
  personality=0 pidfd_getfd=012 pidfd_open=01 pidfd_send_signal=013 pipe2=1 prctl=0 prlimit64=01
  process_madvise=034 process_mrelease=01 quotactl=02 reboot=012 recvfrom=03 recvmsg=02 renameat2=024
  rt_sigqueueinfo=01 rt_tgsigqueueinfo=012 sched_setaffinity=01 sched_setattr=02 sched_setparam=0
  sched_setscheduler=01 seccomp=01 semctl=012 semget=012 sendmsg=02 sendto=035 setfsgid=0 setfsuid=0 setgid=0
  setgroups=0 setns=01 setpgid=01 setpriority=012 setregid=01 setresgid=012 setresuid=012 setreuid=01 setrlimit=0
  setsockopt=0124 setuid=0 shmat=02 shmctl=01 shmget=02 shutdown=01 signalfd4=03 socket=012 socketpair=012
  statx=023 swapon=1 symlinkat=1 syslog=02 tgkill=012 timer_create=0 timerfd_create=01 tkill=01 umask=0 umount2=1
  unlinkat=02 userfaultfd=0 wait4=02 waitid=013]]):gmatch("([%w_]+)=(%d+)") do
  NARROW[name] = {}
  for place in places:gmatch("%d") do NARROW[name][tonumber(place)] = true end
end

--- Both halves of a number of 64 bits: one from -2^63 on, or "0x" and up to 16 digits, where a Lua has no such numbers.
local function check_value(value, where)
  local digits = type(value) == "string" and value:match("^0[xX](%x+)$")
  if digits and #digits <= 16 then
    return { high = tonumber("0" .. digits:sub(1, -9), 16), low = tonumber(digits:sub(-8), 16) }
  end
  local is_whole = type(value) == "number" and value % 1 == 0
  local is_exact = is_whole and (value >= -2 ^ 53 and value <= 2 ^ 53 or type_of(value) == "integer")
  if not is_exact then
    check.fail(where, "integer, or a string as '0xffffffff00000000', expected, got %s", check.show(value))
  end
  local low = value % WORD
  return { high = (value - low) / WORD % WORD, low = low }
end

--- Has `value` a bit, of 32, that `mask` has not?
local function has_more(value, mask)
  for i = 0, 31 do
    local bit = 2 ^ i
    if math.floor(value / bit) % 2 > math.floor(mask / bit) % 2 then return true end
  end
end

local check_index, check_op = check.integer(0, 5), check.choice("==", "!=", "<", "<=", ">", ">=", "&")

--- { index, op, value }, or { index, "&", mask, value }: of the bits of the mask, just those of the value are set.
local function check_test(value, where)
  local list = check.list(function(v) return v end, 3)(value, where)
  local at = function(i) return check.at(where, i) end
  local t = { index = check_index(list[1], at(1)), op = check_op(list[2], at(2)) }
  local is_masked = t.op == "&"
  if #list ~= (is_masked and 4 or 3) then
    check.fail(where, is_masked and "{ index, '&', mask, value } expected" or "{ index, op, value } expected")
  end
  local number = check_value(list[#list], at(#list))
  t.high, t.low = number.high, number.low
  if is_masked then
    local mask = check_value(list[3], at(3))
    t.mask_high, t.mask_low = mask.high, mask.low
    if t.mask_high + t.mask_low == 0 then check.fail(at(3), "no bit is set") end
    if has_more(t.high, t.mask_high) or has_more(t.low, t.mask_low) then
      check.fail(at(4), "has bits that are not in the mask: it would never fit")
    end
  end
  return t
end

--- A list of tests, which must all hold.
filter_rules.check_tests = check.list(check_test, 1)

--- Does the kernel take 32 bits of the argument that a test is about?
function filter_rules.is_narrow(name, t) return NARROW[name] and NARROW[name][t.index] or false end

--- What 32 bits cannot have. A number below zero can be meant as one of 32 bits.
local function check_narrow(names, t, where)
  local is_wide = t.high ~= 0 and not (t.high == WORD - 1 and t.low >= WORD / 2)
  for _, name in ipairs(names) do
    if filter_rules.is_narrow(name, t) and (is_wide or t.mask_low == 0) then
      check.fail(where, "of this argument of %s the kernel takes 32 bits", name)
    end
  end
end

--- A test as it is for one call.
local function test_for(name, t)
  local copy = { wide = not filter_rules.is_narrow(name, t) }
  for key, value in next, t do copy[key] = value end
  return copy
end

-- ---- rules ----

--- { "name", ..., arg = { test, ... }, action = "allow" }
function filter_rules.check_rule(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local names, fields = {}, {}
  for key, v in next, value do
    if type(key) == "number" then names[key] = v else fields[key] = v end
  end
  local rule = check.record({ arg = filter_rules.check_tests, action = filter_rules.check_action })(fields, where)
  rule.names = check.list(filter_rules.check_call, 1)(names, where)
  if not rule.action then check.fail(where .. ".action", "missing") end
  for i, t in ipairs(rule.arg or {}) do check_narrow(rule.names, t, check.at(where .. ".arg", i)) end
  return rule
end

-- ---- layers ----

local function add_clause(clauses, name, clause)
  clauses[name] = clauses[name] or {}
  table.insert(clauses[name], clause)
end

--- {[name or number] = {clause, ..., action for the rest, or none}} of rules and of lists, {{action, names}...}.
function filter_rules.layer(rules, lists)
  local clauses = {}
  for _, rule in ipairs(rules) do
    for _, name in ipairs(rule.names) do
      local tests = {}
      for i, t in ipairs(rule.arg or tests) do tests[i] = test_for(name, t) end
      add_clause(clauses, name, #tests > 0 and { tests = tests, action = rule.action } or rule.action)
    end
  end
  for _, list in ipairs(lists) do
    for _, name in ipairs(list[2]) do add_clause(clauses, name, list[1]) end
  end
  return clauses
end

return filter_rules
