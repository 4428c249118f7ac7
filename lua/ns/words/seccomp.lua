--- The word seccomp: which system calls the program may make. From names and rules to a filter.
-- @module ns.words.seccomp
require("ns.core").nojit()
local bpf = require "ns.words.bpf"
local check = require "ns.words.check"
local core = require "ns.core"
local filter_rules = require "ns.words.filter_rules"
local profile = require "ns.words.profile"
local syscalls = require "ns.words.syscalls"

local seccomp = {}

local floor = math.floor
local constants = core.constants
local ENOSYS = bpf.errno(constants.errno.ENOSYS)

local FLAGS = { tsync = 1, log = 2, spec_allow = 4 }

local function check_flags(value, where)
  local sum, seen = 0, {}
  for i, name in ipairs(check.items(value, where)) do
    if not FLAGS[name] then
      check.fail(check.at(where, i), "'tsync', 'log' or 'spec_allow' expected, got %s", check.show(name))
    end
    sum = sum + (seen[name] and 0 or FLAGS[name])
    seen[name] = true
  end
  return sum
end

--- Ready instructions, in the bytes of struct sock_filter.
local function check_bpf(value, where)
  if type(value) ~= "string" then check.fail(where, "string expected, got %s", type(value)) end
  if #value == 0 or #value % 8 ~= 0 then check.fail(where, "%d bytes are no whole instructions of 8", #value) end
  if #value > 8 * bpf.MOST then check.fail(where, "%d instructions, the kernel takes %d", #value / 8, bpf.MOST) end
  return value
end

local calls = check.list(filter_rules.check_call)

local FIELDS = { default = filter_rules.check_action, allow = calls, deny = calls, kill = calls, log = calls,
  errno = filter_rules.check_errno, rules = check.list(filter_rules.check_rule),
  arch = check.list(check.choice("x86", "x32", "x86_64", "aarch64", "arm", "riscv64")),
  flags = check_flags, bpf = check_bpf, trace = check.boolean }

-- ---- layers: what a table says, and what the default profile says ----

local function words(text)
  local list = {}
  for name in text:gmatch("%S+") do list[#list + 1] = name end
  return list
end

--- Do the words of a spec open a row of the profile?
local function is_opened(row, opened)
  return row.nested and opened.nested or row.cap and opened.caps[row.cap] or false
end

--- The default profile, for who has those rights.
local function profile_layer(opened)
  local rules, lists = {}, {}
  for _, row in ipairs(profile.rules) do
    local open, allows = is_opened(row, opened), row.action == "allow"
    local rule = { names = row, arg = row.arg and filter_rules.check_tests(row.arg, "arg"),
      action = filter_rules.check_action(open and "allow" or row.action, "action") }
    local applies = not row.where or opened.met[row.where]
    if applies and (open or not (allows and row.nested)) then rules[#rules + 1] = rule end
  end
  for _, row in ipairs(profile.refused) do
    local action = is_opened(row, opened) and "allow" or row[1]
    lists[#lists + 1] = { filter_rules.check_action(action, "refused"), words(row[2]) }
  end
  lists[#lists + 1] = { bpf.actions.allow, words(profile.allowed) }
  return filter_rules.layer(rules, lists)
end

--- What a 32-bit program can do by one call of another name: where one is refused, the other has to be.
local MANY = { socketcall = "socket bind connect listen accept4 getsockname getpeername socketpair sendto recvfrom shutdown "
  .. "setsockopt getsockopt sendmsg recvmsg recvmmsg sendmmsg", ipc = "semget semctl semtimedop msgget msgctl msgsnd msgrcv "
  .. "shmget shmctl shmat shmdt" }

local function close_ways_around(layer)
  for many, list in pairs(MANY) do
    for name in list:gmatch("%S+") do
      local first = layer[name] and layer[name][1]
      if first and first ~= bpf.actions.allow and not layer[many] then layer[many] = { ENOSYS } end
    end
  end
end

--- The clauses of one call: those of the first layer that has an action for the rest end it.
local function leaf_of(layers, name, number, rest)
  local leaf = {}
  for _, layer in ipairs(layers) do
    for _, clause in ipairs(layer[number] or layer[name] or {}) do
      leaf[#leaf + 1] = clause
      if type(clause) == "number" then return #leaf == 1 and clause or leaf end
    end
  end
  leaf[#leaf + 1] = rest
  return #leaf == 1 and rest or leaf
end

-- ---- the word ----

--- A table, or "default", in its normal form: {layer =, default = action or nil, arch =, flags =, bpf =, trace =}.
local DEFAULT = { layer = {}, flags = 0 }

local function check_table(value, where)
  local t = check.record(FIELDS)(value, where)
  if t.bpf then
    for name in pairs(t) do
      if name ~= "bpf" and name ~= "flags" then check.fail(("%s.%s"):format(where, name), "given beside bpf") end
    end
    return { bpf = t.bpf, flags = t.flags or 0 }
  end
  local lists, seen = {}, {}
  local actions = { allow = bpf.actions.allow, deny = t.errno or bpf.errno(constants.errno.EPERM), kill = bpf.actions.kill,
    log = bpf.actions.log }
  for _, list in ipairs { "allow", "deny", "kill", "log" } do
    for i, name in ipairs(t[list] or {}) do
      if seen[name] and seen[name] ~= list then
        check.fail(check.at(("%s.%s"):format(where, list), i), "'%s' is in '%s', too", name, seen[name])
      end
      seen[name] = list
    end
    lists[#lists + 1] = { actions[list], t[list] or {} }
  end
  local flags = t.flags or 0
  if t.trace and flags % 2 == FLAGS.tsync then check.fail(where .. ".trace", "not with the flag 'tsync'") end
  return { layer = filter_rules.layer(t.rules or {}, lists), default = t.default, arch = t.arch, flags = flags,
    trace = t.trace }
end

--- "default", false, or a table.
function seccomp.check(value, where)
  if value == false then return false end
  if value == "default" then return DEFAULT end
  if type(value) ~= "table" then
    check.fail(where, "'default', false or a table expected, got %s", type(value) == "string" and "'" .. value .. "'"
      or type(value))
  end
  return check_table(value, where)
end

--- What the other words of a spec open: {nested =, caps = {[name] = true}, met = `profile.conditions`}; a key.
local function opened_by(spec)
  local caps, list, sum = {}, {}, spec.caps or spec.caps_of_box
  for name, number in pairs(constants.cap) do
    local has = sum and (sum < 0 or floor(sum / 2 ^ number) % 2 == 1)
    if has then
      caps[name:lower()] = true
      list[#list + 1] = name
    end
  end
  local nested = spec.disable_userns == false or caps.sys_admin or false
  if nested then list[#list + 1] = "nested" end
  local met = profile.conditions(spec)
  for name, is_met in next, met do list[#list + 1] = is_met and name or nil end
  table.sort(list)
  return { nested = nested, caps = caps, met = met }, table.concat(list, ",")
end

local base = {} -- by what is opened

--- A second supervisor could allow what the first one refuses: the kernel takes one as long as the first lives, and then
-- asks the newest.
local ONE_SUPERVISOR = filter_rules.layer({ { names = { "seccomp" }, action = bpf.never,
  arg = filter_rules.check_tests({ { 0, "==", 1 }, { 1, "&", 8, 8 } }, "arg") } }, {})

local function layers_of(form, opened, key)
  local layers = { form.trace and ONE_SUPERVISOR or nil }
  layers[#layers + 1] = form.layer
  if form.default then return layers end
  base[key] = base[key] or profile_layer(opened)
  layers[#layers + 1] = base[key]
  return layers
end

--- The machines of `bpf.compile`. Who has numbers of its own lies in the numbers of this one, as x32.
local function machine_of(name, form, layers)
  local machine = syscalls.machine(name)
  local rest = form.default or ENOSYS
  local is_errno = floor(rest / 65536) == 5
  local map = {}
  local function add(numbers)
    for call, number in next, numbers do map[number] = leaf_of(layers, call, number, rest) end
  end
  add(machine.numbers)
  for _, other in ipairs(machine.limit and form.arch or {}) do
    if other == "x32" then add(syscalls.of "x32") end
  end
  for number in next, name == core.machine and form.layer or {} do
    if type(number) == "number" then map[number] = leaf_of(layers, nil, number, rest) end
  end
  -- What we have no name for is newer than we are: C libraries then fall back to what is older.
  return { audit = machine.audit, map = map, unknown = is_errno and ENOSYS or rest, limit = machine.limit, beyond = ENOSYS }
end

--- The bytes for a normal form.
local function compile(form, spec)
  local opened, key = opened_by(spec)
  local layers, machines = layers_of(form, opened, key), { core.machine }
  for _, name in ipairs(form.arch or {}) do
    local is_other = name ~= core.machine and name ~= "x32"
    if is_other and syscalls.of(name) then machines[#machines + 1] = name end
  end
  for i, name in ipairs(machines) do
    if name == "x86" then close_ways_around(form.layer) end
    machines[i] = machine_of(name, form, layers)
  end
  return bpf.compile(machines, bpf.actions.kill)
end

local compiled = setmetatable({}, { __mode = "k" }) -- by the normal form, then by what is opened

--- The bytes of the filter for a checked spec.
function seccomp.bytes(form, spec)
  if form.bpf then return form.bpf end
  local _, key = opened_by(spec)
  local known = compiled[form] or {}
  compiled[form] = known
  known[key] = known[key] or compile(form, spec)
  return known[key]
end

--- What can be said before anything is compiled: it must let the program start, and not be too long.
function seccomp.check_together(spec)
  local form = spec.seccomp
  if not form or form.bpf or form == DEFAULT then return end
  local layers = layers_of(form, opened_by(spec))
  local first = leaf_of(layers, "execve", syscalls.of(core.machine).execve, form.default or ENOSYS)
  local is_refused = type(first) == "number" and (first < bpf.actions.trace or first == bpf.actions.kill)
  if is_refused and not spec.fn then
    check.fail("seccomp", "refuses 'execve', by which the program is started")
  end
  local count = #seccomp.bytes(form, spec) / 8
  if count > bpf.MOST then check.fail("seccomp", "%d instructions, the kernel takes %d", count, bpf.MOST) end
end

--- Is it to be noted what the filter refuses?
function seccomp.traces(spec) return spec.seccomp and spec.seccomp.trace or false end

--- The supervisor that notes it is a child of the init.
function seccomp.check_needs(spec)
  if seccomp.traces(spec) and not spec.init then check.fail("seccomp.trace", "needs 'init'") end
end

--- The memory for what is noted, while its descriptor is still there.
function seccomp.open_trace(_, spec, add, found)
  if seccomp.traces(spec) then add { op = "trace", fd = found.trace, word = "seccomp", part = "trace" } end
end

--- The filter. It is the last that is done before the program runs, and not for what the launcher itself still has to do.
-- @see seccomp(2)
-- @see seccomp_unotify(2)
function seccomp.steps(form, spec, add)
  if not form then return end
  local asking, plain = "", seccomp.bytes(form, spec)
  if form.trace then asking, plain = bpf.asking(plain) end
  add { op = "seccomp", data = asking .. plain, value = form.trace and #asking or nil, flags = form.flags, word = "seccomp" }
end

return seccomp
