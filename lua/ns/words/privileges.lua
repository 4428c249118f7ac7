--- Ids, capabilities, limits and priorities: checks and steps of their words.
-- @module ns.words.privileges
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local sorted = require "ns.words.sorted"
local constants = core.constants

local privileges = {}

local HOW, PR = constants.step, constants.prctl

-- ---- names of users: those of the host, asked before there is a process ----

local function id_of(find)
  return function(value, where)
    if type(value) == "number" then return { id = check.id(value, where) } end
    check.text(value, where)
    local id, gid = find(value)
    if not id then check.fail(where, "'%s' is not known on this machine", value) end
    return { id = id, gid = gid }
  end
end

--- A user, by number or name: {id=, gid=} with the user's own group where it was a name.
privileges.check_user = id_of(core.user)

--- A group, by number or name.
privileges.check_group = id_of(core.group)

local GROUPS_MAX = 65536 -- of the kernel: kernel.ngroups_max
local list_of_groups = check.list(privileges.check_group)

--- The further groups: a list.
function privileges.check_groups(value, where)
  local list = list_of_groups(value, where)
  if #list > GROUPS_MAX then check.fail(where, "%d are too many, %d are the most", #list, GROUPS_MAX) end
  return list
end

local function pack(entries)
  local bytes = {}
  for i, entry in ipairs(entries) do
    local n, four = entry.id, {}
    for b = 1, 4 do four[b], n = n % 256, math.floor(n / 256) end
    if not core.little_endian then four[1], four[2], four[3], four[4] = four[4], four[3], four[2], four[1] end
    bytes[i] = string.char(four[1], four[2], four[3], four[4])
  end
  return table.concat(bytes)
end

--- Without no_new_privs the kernel takes a filter only from who has CAP_SYS_ADMIN: the launcher keeps it until exec, which
-- gives the program nothing that its bounding set does not have.
local function keeps_for_filter(spec) return spec.seccomp and not spec.no_new_privs and spec.caps ~= nil end

--- Groups before gid before uid: each needs a right that the next one takes away.
-- @see credentials(7)
function privileges.set_ids(_, spec, add, found)
  local user, group, groups = spec.user, spec.group, spec.groups
  if not (user or group or groups) then return end
  if user and user.id ~= 0 and (spec.caps and spec.caps ~= 0 or keeps_for_filter(spec)) then
    add { op = "prctl", which = PR.SET_KEEPCAPS, value = 1, word = "caps" }
  end
  -- Without a user namespace the kernel says who may; with one it is known already (check_mapped).
  if found.may_set_groups or groups and not spec.flags.user then
    add { op = "setgroups", data = pack(groups or {}), word = "groups" }
  end
  local gid = group and group.id or user and user.gid
  if gid then add { op = "setgid", value = gid, word = "group" } end
  if user then add { op = "setuid", value = user.id, word = "user" } end
end

-- ---- capabilities ----

-- In place of a mask: all that there are for us.
local ALL = -1

local NAMES_OF_CAPS = {}
for name in pairs(constants.cap) do NAMES_OF_CAPS[name:lower()] = true end

--- A list of names, with or without CAP_, in any case -> a mask. {"all"} stands for every one that
-- the host has, or that a user namespace gives.
-- @see capabilities(7)
function privileges.check_caps(value, where)
  if type(value) == "table" and rawget(value, 1) == "all" and #check.items(value, where) == 1 then return ALL end
  local mask, seen = 0, {}
  for i, name in ipairs(check.items(value, where)) do
    local at = check.at(where, i)
    if type(name) ~= "string" then check.fail(at, "name of a capability expected, got %s", type(name)) end
    local bare = name:upper():gsub("^CAP_", "")
    local number = constants.cap[bare]
    if bare == "ALL" then check.fail(at, "'all' stands alone") end
    if not number then check.fail(at, "unknown capability '%s'%s", name, check.nearest(bare, NAMES_OF_CAPS)) end
    if not seen[bare] then mask = mask + 2 ^ number end
    seen[bare] = true
  end
  return mask
end

--- What the bounding set keeps. It is about what exec may give: under no_new_privs that is nothing, so who may not change it
-- need not.
-- @see capabilities(7)
function privileges.bound(mask, spec, add)
  local ignore = spec.no_new_privs and constants.errno.EPERM or nil
  if mask ~= ALL then add { op = "bound", flags = mask, ignore = ignore, word = "caps" } end
end

--- What is left in the end: the capabilities of the spec; without that word the inheritable ones are emptied.
function privileges.set_caps(_, spec, add)
  if spec.caps then
    local all = spec.caps == ALL
    add { op = "caps", flags = all and 0 or spec.caps,
      how = all and HOW.CAPS_ONLY + HOW.CAPS_ALL or HOW.CAPS_ONLY, word = "caps",
      clear = keeps_for_filter(spec) and 2 ^ constants.cap.SYS_ADMIN or nil }
  else
    add { op = "caps" }
  end
end

local SECUREBITS = { noroot = 1, noroot_locked = 2, no_setuid_fixup = 4, no_setuid_fixup_locked = 8, keep_caps = 16,
  keep_caps_locked = 32, no_cap_ambient_raise = 64, no_cap_ambient_raise_locked = 128 }

--- A sum of named bits.
local function bits(known, what)
  return function(value, where)
    local sum, seen = 0, {}
    for i, name in ipairs(check.items(type(value) == "string" and { value } or value, where)) do
      if not known[name] then
        check.fail(check.at(where, i), "unknown %s '%s'%s", what, check.show(name),
          type(name) == "string" and check.nearest(name, known) or "")
      end
      if not seen[name] then sum = sum + known[name] end
      seen[name] = true
    end
    return sum
  end
end

--- Names of securebits, or one.
privileges.check_securebits = bits(SECUREBITS, "bit")

local function has_bit(sum, name) return math.floor(sum / SECUREBITS[name]) % 2 == 1 end

--- The bits are set before the ids, as that needs a capability that they may take; some of them forbid what comes then.
function privileges.check_bits(spec)
  local bits_, caps = spec.securebits, spec.caps
  if not bits_ or not caps or caps == 0 then return end
  if has_bit(bits_, "no_cap_ambient_raise") then
    check.fail("securebits", "'no_cap_ambient_raise' forbids to give the program 'caps'")
  elseif has_bit(bits_, "keep_caps_locked") and spec.user and spec.user.id ~= 0 then
    check.fail("securebits", "'keep_caps_locked' forbids to take 'caps' over to another 'user'")
  end
end

--- The securebits, locked or not.
-- @see capabilities(7)
function privileges.securebits(sum, _, add)
  add { op = "prctl", which = PR.SET_SECUREBITS, value = sum, word = "securebits" }
end

--- No program gets more rights by exec from here on: not by set-user-ID, not by file capabilities.
-- @see prctl(2)
function privileges.no_new_privs(value, _, add)
  if value then add { op = "prctl", which = PR.SET_NO_NEW_PRIVS, value = 1, word = "no_new_privs" } end
end

-- ---- limits ----

local amount = check.integer(0, 9007199254740992)

local UNITS = { [""] = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30 }

local function limit(value, where)
  if value == "unlimited" then return -1 end
  if type(value) == "string" then check.fail(where, "a number or 'unlimited' expected, got '%s'", value) end
  return amount(value, where)
end

local function size(value, where)
  if type(value) ~= "string" or value == "unlimited" then return limit(value, where) end
  local digits, unit = value:match("^(%d+)([kKmMgG]?)$")
  if not digits then check.fail(where, "bytes, '64k', '64m', '2g' or 'unlimited' expected, got '%s'", value) end
  return amount(tonumber(digits) * UNITS[unit:lower()], where)
end

--- No core dump, and no handler either: of 0 bytes the kernel starts that of its core_pattern, as the host's root; of 1 it
-- does not (core(5)), and no file is so small.
local function core_size(value, where)
  local most = size(value, where)
  return most == 0 and 1 or most
end

local IN_BYTES = { as = size, data = size, fsize = size, memlock = size, msgqueue = size, rss = size, stack = size,
  core = core_size }

local LIMITS = {}
for name in pairs(constants.rlimit) do
  local limit_of = IN_BYTES[name:lower()] or limit
  LIMITS[name:lower()] = function(value, where)
    if type(value) ~= "table" then
      local both = limit_of(value, where)
      return { soft = both, hard = both }
    end
    local pair = check.record({ soft = limit_of, hard = limit_of })(value, where)
    if not (pair.soft and pair.hard) then check.fail(where .. (pair.soft and ".hard" or ".soft"), "missing") end
    if pair.hard ~= -1 and (pair.soft == -1 or pair.soft > pair.hard) then check.fail(where, "soft is above hard") end
    return pair
  end
end

--- {nofile = 64, cpu = {soft = 1, hard = 2}, as = "512m", core = "unlimited"}: both limits, or each.
privileges.check_rlimits = check.record(LIMITS)

--- The name of one.
function privileges.check_rlimit_name(name, where)
  return LIMITS[name] and name or check.fail(where, "unknown limit '%s'%s", name, check.nearest(name, LIMITS))
end

--- Under a hard limit of 0 nobody may have the one byte.
local function is_no_core(name, pair) return name == "core" and pair.soft == 1 and pair.hard == 1 end

--- Limits, in the order of their names.
-- @see setrlimit(2)
function privileges.rlimits(value, _, add)
  for _, name in ipairs(sorted.keys(value)) do
    local pair = value[name]
    add { op = "rlimit", which = constants.rlimit[name:upper()], value = pair.soft, limit = pair.hard, data = name,
      ignore = is_no_core(name, pair) and constants.errno.EPERM or nil, word = "rlimits", part = name }
  end
end

-- ---- priorities ----

--- A list of processor numbers, or one number.
function privileges.check_affinity(value, where)
  return check.list(check.integer(0, 8191), 1)(type(value) == "number" and { value } or value, where)
end

--- The processors as the kernel's mask of bits, in whole words of 64.
-- @see sched_setaffinity(2)
function privileges.affinity(cpus, _, add)
  local bytes, last = {}, 0
  for _, cpu in ipairs(cpus) do
    local at = math.floor(cpu / 8) + 1
    local bit = 2 ^ (cpu % 8)
    if math.floor((bytes[at] or 0) / bit) % 2 == 0 then bytes[at] = (bytes[at] or 0) + bit end
    last = math.max(last, at)
  end
  last = math.ceil(last / 8) * 8
  for i = 1, last do bytes[i] = string.char(bytes[i] or 0) end
  add { op = "affinity", data = table.concat(bytes, "", 1, last), word = "affinity" }
end

local POLICIES = { other = 0, fifo = 1, rr = 2, batch = 3, idle = 5 }
local IO_CLASSES = { none = 0, realtime = 1, ["best-effort"] = 2, idle = 3 }

--- "batch", or {policy = "fifo", priority = 10}.
function privileges.check_scheduler(value, where)
  if type(value) == "string" then value = { policy = value } end
  local s = check.record({ policy = check.choice("other", "batch", "idle", "fifo", "rr"), priority = check.integer(0, 99) })(
    value, where)
  if not s.policy then check.fail(where .. ".policy", "missing") end
  local real_time = s.policy == "fifo" or s.policy == "rr"
  if real_time and (s.priority or 0) == 0 then check.fail(where .. ".priority", "'%s' needs one, 1 to 99", s.policy) end
  if not real_time and (s.priority or 0) > 0 then
    check.fail(where .. ".priority", "'%s' has none: only 'fifo' and 'rr' do, 'nice' is for the others", s.policy)
  end
  return s
end

--- The policy and its priority.
-- @see sched(7)
function privileges.scheduler(s, _, add)
  add { op = "scheduler", which = POLICIES[s.policy], value = s.priority or 0, data = s.policy, word = "scheduler" }
end

--- "idle", or {class = "best-effort", level = 7}.
function privileges.check_ioprio(value, where)
  if type(value) == "string" then value = { class = value } end
  local p = check.record({ class = check.choice("none", "realtime", "best-effort", "idle"), level = check.integer(0, 7) })(
    value, where)
  if not p.class then check.fail(where .. ".class", "missing") end
  if p.class == "none" and (p.level or 0) > 0 then check.fail(where .. ".level", "'none' has no level") end
  return p
end

--- The class and the level of input and output.
-- @see ioprio_set(2)
function privileges.ioprio(p, _, add)
  local level = p.level or (p.class == "realtime" or p.class == "best-effort") and 4 or 0 -- as ionice(1)
  add { op = "ioprio", which = IO_CLASSES[p.class], value = level, data = p.class, word = "ioprio" }
end

local PERSONAS = { addr_no_randomize = 0x0040000, mmap_page_zero = 0x0100000, addr_compat_layout = 0x0200000,
  read_implies_exec = 0x0400000, addr_limit_32bit = 0x0800000, linux32 = 8, whole_seconds = 0x2000000,
  sticky_timeouts = 0x4000000, addr_limit_3gb = 0x8000000, uname26 = 0x0020000 }

--- Names of personality(2).
privileges.check_personality = bits(PERSONAS, "persona")

return privileges
