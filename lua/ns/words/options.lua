--- The words of a spec, one row each, in the order in which the launcher plays them.
--
-- A row: `word`; `check(value, where)`, which returns the value in its normal form or raises a mistake; `needs`, the
-- namespaces without which the word means nothing; `steps(value, spec, add, found)`, which adds what the launcher shall do;
-- `host`, likewise, what the host does before. `found`: what the machine has said (`ns.start.survey`). `anew`: what the
-- check says depends on the moment, too, so a box asks for each start. `scope`, in a living box: "job" is said and done for
-- each program, "rights" too where the init keeps its own, "both" for the init and for each program; "within" is said of the
-- box and done for each program; all else is the box's, and a program that says it is told so, or what the row has as
-- `outside`.
-- The word optional may name parts of a word that has `check_part(name, where)`; `has_part` and `without_part` say so of its
-- value, where parts are no fields. `describes`: it only says how the namespace that it needs is to be.
-- A row without a word is played always, or with the word `with`; one with a `flag` only in such a namespace. To add a
-- word: its row, at the place where it is to be played. To move a step: move its row. Builder methods and the list of known
-- words come from here.
--
-- The room of the words: what a spec may say, and the steps that it becomes, as plain data.
-- Requires nothing.
-- @module ns.words.options
require("ns.core").nojit()
local later = require("ns.words.later").module
local check = require "ns.words.check"
local constants = require("ns.core").constants
local protocol = require("ns.core").protocol
local join = require "ns.words.join"
local landlock = later "ns.words.landlock"
local limits = later "ns.words.limits"
local maps = require "ns.words.maps"
local field = require "ns.words.mount_fields"
local mounts = require "ns.words.mounts"
local namespaces = require "ns.words.namespaces"
local network = later "ns.words.network"
local optional = require "ns.words.optional"
local ports = later "ns.words.ports"
local privileges = require "ns.words.privileges"
local program = require "ns.words.program"
local root = require "ns.words.root"
local seccomp = later "ns.words.seccomp"
local signals = require "ns.words.signals"
local stdio = require "ns.words.stdio"
local sysctl = require "ns.words.sysctl"
local terminal = later "ns.words.terminal"
local trees = require "ns.words.trees"

local HOW, mount = constants.step, constants.mount
local EPERM = constants.errno.EPERM

local function die_with_host(_, spec, add)
  if not spec.detach then add { op = "pdeathsig", value = constants.signal.KILL } end
end

--- The host makes the process; and writes the maps of its user namespace, where the process may not do that itself.
local function clone(_, spec, add, found)
  local joins = found.join and spec.flags or nil -- those are made by a launcher that has entered what is joined
  local drop = not joins and found.drops_groups or nil
  local made = joins and {} or found.group and limits.flags(spec, found) or spec.flags
  add { op = "clone", namespaces = made, joins = joins, drop = drop, grouped = found.group and found.group.by }
  if found.writer == "host" or found.writer == "newuidmap" then
    local setgroups = spec.setgroups or found.denies and "deny"
    if setgroups then add { op = "write", path = "/proc/PID/setgroups", data = setgroups, word = "setgroups" } end
    for _, kind in ipairs { "gid", "uid" } do
      local map, data = found.maps[kind], maps.format(found.maps[kind])
      if found.writer == "host" then
        add { op = "write", path = ("/proc/PID/%s_map"):format(kind), data = data, word = kind .. "_map" }
      else
        add { op = ("new%smap"):format(kind), map = map, data = data, word = "map" }
      end
    end
  end
end

--- In a new user namespace: maps that the launcher may write itself, then ids that exist there.
local function enter_user(_, _, add, found)
  local uid, gid = found.maps.uid, found.maps.gid
  if found.writer == "launcher" then
    add(join.in_proc({ op = "write", path = "/proc/self/setgroups", data = "deny", word = "setgroups" }, found))
    add(join.in_proc({ op = "write", path = "/proc/self/gid_map", data = maps.format(gid), word = "gid_map" }, found))
    add(join.in_proc({ op = "write", path = "/proc/self/uid_map", data = maps.format(uid), word = "uid_map" }, found))
  elseif found.may_set_groups then
    add { op = "setgroups", data = "" }
  end
  add { op = "setgid", value = maps.first(gid), word = "gid_map" }
  add { op = "setuid", value = maps.first(uid), word = "uid_map" }
end

local offset = check.seconds(-1e9, 1e9)

--- A time namespace is for children at first; until somebody enters it, its clocks can be set (time_namespaces(7)). From
-- Linux 6.2 on exec enters it; setns does on all.
local function enter_time(_, spec, add, found)
  add { op = "unshare", flags = constants.clone.NEWTIME, word = "flags", part = "time" }
  local lines = {}
  for _, clock in ipairs { "monotonic", "boottime" } do
    local seconds = spec.time and spec.time[clock]
    if seconds then
      local whole = math.floor(seconds)
      lines[#lines + 1] = ("%s %.0f %.0f\n"):format(clock, whole, math.floor((seconds - whole) * 1e9))
    end
  end
  local data, flags = table.concat(lines), constants.clone.NEWTIME
  if data ~= "" then
    add(join.in_proc({ op = "write", path = "/proc/self/timens_offsets", data = data, word = "time" }, found))
  end
  local path = "/proc/self/ns/time_for_children"
  add(join.in_proc({ op = "setns", path = path, flags = flags, word = "flags", part = "time" }, found))
end

--- The session keyring of the host is not for the program. Asked for by word it must succeed; else a container that forbids
-- keyctl(2) has no keys to hide either.
local function own_keyring(_, spec, add)
  if spec.keyring ~= "inherit" then
    add { op = "keyring", ignore = not spec.keyring and EPERM or nil, word = "keyring" }
  end
end

local function leave_propagation(_, spec, add)
  add { op = "mount", path = "/", flags = mount.REC + trees.propagation(spec), word = "flags", part = "mount" }
end

-- The usual masks, by their digits, as one may write them without thinking of octal.
local UMASKS = { [22] = true, [26] = true, [27] = true, [37] = true, [66] = true, [67] = true, [77] = true }

--- The launcher works with an empty mask.
local function set_umask(_, spec, add)
  add { op = "umask", value = spec.umask, how = not spec.umask and HOW.HOSTS or nil, word = "umask" }
end

local function proc_path(value, where)
  if type(value) == "boolean" then return value and "/proc" end
  return field.place(value, where)
end

--- The init of one program, or that of a living box, which gets its programs later; one with a name has descriptors, too.
local function leave_init(value, spec, add, found)
  local count = found.ends[0] and #found.ends + 1 or nil
  if found.scope == "box" then
    return add { op = "serve", value = count, limit = count and protocol, data = found.directory, word = "init" }
  end
  local how = (spec.detach and HOW.OUTLIVES or 0) + (spec.tty and HOW.TELLS_STOPS or 0)
    + (spec.flags.pid and 0 or HOW.ENDS_ALL) + (spec.fn and HOW.ANEW or 0)
  if value then add { op = "init", how = how, fd = found.launcher, word = "init" } end
  if value and spec.fn then add { op = "close", fd = found.launcher, to = found.launcher } end
end

local function check_flag(name, where) return namespaces.name(name, where, {}) end

local rows
rows = {
  { word = "join", check = join.check, anew = true, outside = "is for a start of its own: a container has its namespaces",
    host = join.open },
  { with = "root", host = trees.open_parts },
  { with = "mounts", host = trees.open },
  { host = trees.give_streams },
  { with = "publish", host = ports.publish },
  { with = "reach", host = ports.resolve },
  { with = "limits", host = limits.make },
  { host = clone },
  { word = "network", check = network.check, needs = { "net" }, describes = true, host = network.attach },
  { with = "limits", host = limits.place },
  { word = "flags", check = namespaces.check, check_part = check_flag },
  { scope = "job", word = "optional", check = function(value, where) return optional.check(value, where, rows) end },
  { word = "detach", check = check.boolean },
  { scope = "job", word = "timeout", check = check.seconds(1e-6, 1e9) },
  { scope = "job", word = "grace", check = check.seconds(0, 1e9) },
  { scope = "job", word = "forward_signals", check = signals.check_forwarded },
  { scope = "job", word = "max_output", check = check.integer(0, 9007199254740992) },
  { steps = die_with_host },
  -- As soon as the memory is not the host's any more.
  { word = "limits", check = limits.check, steps = limits.steps },
  -- Before the ids: it is counted against the quota of the host's user, not against that of ids which all sandboxes share.
  { word = "keyring", check = check.choice("own", "inherit") },
  { steps = own_keyring },
  { word = "map", check = check.choice("root", "self", "auto", "range"), needs = { "user" }, describes = true },
  { word = "uid_map", check = maps.check, needs = { "user" }, describes = true },
  { word = "gid_map", check = maps.check, needs = { "user" }, describes = true },
  { word = "setgroups", check = check.choice("allow", "deny"), needs = { "user" }, describes = true },
  { flag = "user", steps = enter_user },
  { scope = "job", word = "session", check = check.boolean, steps = function(value, spec, add)
    if value and not spec.pty then add { op = "setsid", word = "session" } end
  end },
  { scope = "job", word = "pty", check = terminal.check, steps = terminal.leave_session },
  -- The first mount call of all: on a host with shared mounts every later one would reach the host.
  { word = "propagation", check = check.choice("private", "slave"), needs = { "mount" }, describes = true },
  { flag = "mount", steps = leave_propagation },
  { word = "time", check = check.record { monotonic = offset, boottime = offset }, needs = { "time" } },
  { flag = "time", steps = enter_time },
  { scope = "job", word = "oom_score_adj", check = check.integer(-1000, 1000), steps = function(value, spec, add)
    if not spec.join then join.oom_score_adj(value, add) end
  end },
  { word = "disable_userns", check = check.boolean, needs = { "user" }, steps = function(value, _, add, found)
    if not value then return end
    local path = "/proc/sys/user/max_user_namespaces"
    add(join.in_proc({ op = "sysctl", path = path, data = "0", word = "disable_userns" }, found))
  end },
  { word = "sysctl", check = sysctl.check, needs = { "net" }, describes = true, steps = sysctl.steps },
  { with = "network", steps = network.links },
  { flag = "mount", steps = root.lift_limit },
  { word = "root", check = root.check, needs = { "mount" }, steps = root.build },
  { word = "system", check = check.boolean, needs = { "mount" } },
  { word = "read_only", check = check.boolean, needs = { "mount" } },
  { word = "mounts", check = mounts.check, check_part = field.place, has_part = mounts.has,
    without_part = mounts.without, needs = { "mount" }, steps = function(list, _, add, found)
    mounts.steps(list, add, found)
  end },
  { flag = "net", steps = function(_, _, add) add { op = "loopback", word = "flags", part = "net" } end },
  { with = "network", steps = network.addresses },
  { word = "reach", check = ports.check_reach, needs = { "net" }, steps = ports.listen },
  { word = "mount_proc", check = proc_path, needs = { "pid", "mount" }, steps = function(path, spec, add, found)
    if not path then return end
    if spec.root then
      return mounts.steps({ { type = "proc", target = path } }, function(step)
        step.word = "mount_proc"
        add(step)
      end, found)
    end
    local flags = mount.NOSUID + mount.NODEV + mount.NOEXEC -- no guards: the host's whole tree is there, too
    add { op = "mount", type = "proc", source = "proc", path = path, flags = flags, word = "mount_proc" }
  end },
  { with = "root", steps = root.pivot },
  { word = "hostname", check = check.sized(1, 64), needs = { "uts" }, steps = function(name, _, add)
    add { op = "sethostname", data = name, word = "hostname" }
  end },
  { word = "domainname", check = check.sized(1, 64), needs = { "uts" }, steps = function(name, _, add)
    add { op = "setdomainname", data = name, word = "domainname" }
  end },
  { with = "network", steps = network.await },
  { scope = "job", with = "pty", steps = terminal.open },
  { scope = "job", word = "input", check = stdio.check_input },
  { scope = "job", word = "stdin", check = stdio.check, anew = true },
  { scope = "job", word = "stdout", check = stdio.check, anew = true },
  { scope = "job", word = "stderr", check = stdio.check, anew = true },
  { scope = "job", word = "fds", check = stdio.check_fds, anew = true },
  { scope = "within", with = "seccomp", steps = seccomp.open_trace },
  { scope = "both", steps = function(_, _, add, found) stdio.steps(found.ends, add) end },
  -- Before any limit is lowered: what lies above a limit would not be found, and what is yet to be opened might not be.
  { scope = "both", steps = function(_, spec, add, found)
    stdio.close_steps(found.ends, add)
    if spec.init then add { op = "signalfd", word = "init" } end
  end },
  { scope = "job", word = "tty", check = check.boolean, steps = function(value, _, add, found)
    if not value then return end
    add { op = "setpgid", word = "tty" }
    if not found.background then add { op = "foreground", fd = 0, word = "tty" } end
  end },
  { scope = "within", with = "landlock", steps = landlock.build },
  { flag = "mount", steps = root.restore_limit },
  { scope = "job", steps = root.lower_limit },
  { scope = "job", word = "rlimits", check = privileges.check_rlimits, check_part = privileges.check_rlimit_name,
    steps = privileges.rlimits },
  { scope = "job", word = "nice", check = check.integer(-20, 19), steps = function(value, _, add)
    add { op = "nice", value = value, word = "nice" }
  end },
  { scope = "job", word = "ioprio", check = privileges.check_ioprio, steps = privileges.ioprio },
  { scope = "job", word = "scheduler", check = privileges.check_scheduler, steps = privileges.scheduler },
  { scope = "job", word = "affinity", check = privileges.check_affinity, steps = privileges.affinity },
  { scope = "job", word = "personality", check = privileges.check_personality, steps = function(sum, _, add)
    add { op = "personality", flags = sum, word = "personality" }
  end },
  -- Before the ids: it needs CAP_SETPCAP, which a change of ids may take.
  { scope = "rights", word = "caps", check = privileges.check_caps, steps = privileges.bound },
  { scope = "rights", word = "securebits", check = privileges.check_securebits, steps = privileges.securebits },
  { scope = "both", word = "umask", check = check.mode("777", UMASKS) },
  { scope = "both", steps = set_umask },
  { scope = "rights", word = "user", check = privileges.check_user, anew = true },
  { scope = "rights", word = "group", check = privileges.check_group, anew = true },
  { scope = "rights", word = "groups", check = privileges.check_groups, anew = true },
  { scope = "rights", steps = privileges.set_ids },
  { scope = "rights", steps = privileges.set_caps },
  -- Once more: a change of ids has cleared it.
  { steps = function(_, spec, add)
    if spec.flags.user or spec.user or spec.group then die_with_host(nil, spec, add) end
  end },
  { scope = "job", word = "cwd", check = check.path, steps = function(path, _, add)
    add { op = "chdir", path = path, word = "cwd" }
  end },
  { scope = "rights", word = "no_new_privs", check = check.boolean, steps = privileges.no_new_privs },
  { word = "reachable", check = check.boolean },
  { word = "publish", check = ports.check_publish, needs = { "net" } },
  { word = "init", check = check.boolean, steps = leave_init },
  { scope = "job", with = "pty", steps = terminal.lead_session },
  -- All is done but what would keep the launcher itself from listening: that of a bundle waits here until it is started.
  { with = "argv", steps = program.wait },
  -- The init is not restricted: it must reach all that the program has started.
  { scope = "within", word = "landlock", check = landlock.check, check_part = landlock.check_part,
    has_part = landlock.has_part, without_part = landlock.without, steps = landlock.restrict },
  { scope = "within", word = "seccomp", check = seccomp.check, steps = seccomp.steps },
  { scope = "job", word = "env", check = program.check_env },
  { scope = "job", word = "clear_env", check = check.boolean },
  { scope = "job", word = "argv0", check = program.argument },
  { scope = "job", word = "argv", check = program.check_argv, anew = true, steps = program.execute },
  { word = "args", check = program.check_args, anew = true, outside = program.OUTSIDE },
  { word = "fn", check = check.fn, anew = true, outside = program.OUTSIDE, steps = program.call },
}

return rows
