--- Namespaces that somebody else has made: what the word join may be, and how a launcher enters them.
--
-- It enters with what the host may do, and makes the process that the program will be in there: a pid namespace holds for
-- children alone. Whoever lives in there and may trace its like finds nothing of the host's in either of the two: no memory,
-- as they are not dumpable; no descriptor but the program's own. New namespaces (`flags`) are made with that process, so
-- that they belong to the user namespace that was entered.
-- @module ns.words.join
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants
local maps = require "ns.words.maps"
local namespaces = require "ns.words.namespaces"
local stdio = require "ns.words.stdio"

local join, NONE = {}, {}

local errno_of, HOW, PR = constants.errno, constants.step, constants.prctl

-- ---- the word ----

local pid = check.integer(1, 4194304) -- the kernel's PID_MAX_LIMIT

--- Who has them: {pid=} or {handle=}, of a Process or of the init of a Container. What it is kept alive by stays, too.
local function check_from(value, where)
  local class = stdio.class_of(value)
  if class == "ns.Process" then return { handle = value.handle, owner = value } end
  if class == "ns.Container" then return { handle = value.box.handle, owner = value } end
  if type(value) ~= "number" then
    check.fail(where, "the number of a process, a Process or a Container expected, got %s", type(value))
  end
  return { pid = pid(value, where) }
end

--- What one is: {path=} or {fd=}.
local function check_one(value, where)
  local class = stdio.class_of(value)
  if class == "ns.Process" or class == "ns.Container" then
    check.fail(where, "a path or a descriptor expected, got a %s; did you mean from = it?", class:match("%a+$"):lower())
  elseif type(value) == "string" then
    if check.path(value, where):sub(1, 1) ~= "/" then
      check.fail(where, "absolute path expected, got '%s' (those of ip netns are in /run/netns)", value)
    end
    return { path = value }
  end
  local fd = stdio.number_of(value, where)
  return fd and { fd = fd, owner = value }
    or check.fail(where, "a path, a file or a descriptor expected, got %s", type(value))
end

--- {net = PATH, pid = descriptor}, or {from = process, "net", "pid"} -> {from={pid=|handle=}, names={[name]=true},
-- given={[name]={path=|fd=}}}; all that `from` has and the host has not where there are no names.
function join.check(value, where)
  if type(value) ~= "table" then
    check.fail(where, "{net=PATH, ...} or {from=process, ...} expected, got %s", type(value))
  end
  local result, seen, words = { given = {} }, {}, {}
  for key, v in next, value do
    if type(key) == "number" then
      words[key] = v
    elseif key == "from" then
      result.from = check_from(v, where .. ".from")
    else
      local name = namespaces.name(key, where, seen)
      result.given[name] = check_one(v, ("%s.%s"):format(where, key))
    end
  end
  words = check.items(words, where)
  for i = 1, #words do
    result.names = result.names or {}
    result.names[namespaces.name(words[i], check.at(where, i), seen)] = true
  end
  if words[1] and not result.from then
    check.fail(where, "from missing, or a path: join = { %s = PATH }", tostring(words[1]))
  end
  if not result.from and not next(result.given) then check.fail(where, "nothing to join") end
  return result
end

--- Is a namespace of this kind joined, as far as the word says?
function join.has(word, name)
  return word and (word.given[name] or word.names and word.names[name]) and true or false
end

--- May one of this kind be joined? Of a process without names only the machine can say.
function join.may_have(word, name)
  return word and (join.has(word, name) or word.from and not word.names) and true or false
end

--- No kind can be joined and new.
function join.check_together(spec, is_root)
  local word = spec.join
  for _, row in ipairs(namespaces.list) do
    if join.has(word, row.name) and spec.flags[row.name] then
      check.fail("join", "'%s' is in flags, too: it is either joined or new", row.name)
    end
  end
  if spec.time and join.may_have(word, "user") and not is_root then
    check.fail("time", "an ordinary user cannot set the clocks of a new namespace beside 'join' of a user namespace")
  end
end

-- ---- the host's steps ----

--- Opens what is joined: found.join, as by `ns.start.join`.
function join.open(word, _, add, found)
  if word.from and next(found.join.kinds) then
    add { op = "pidfd", from = word.from, pid = found.join.pid, word = "join" }
  end
  for _, row in ipairs(namespaces.list) do
    local one = found.join.kinds[row.name]
    if one then
      add { op = "open_ns", namespace = row.name, path = one.path, fd = one.fd, from = one.of, word = "join" }
    end
  end
  if found.join.kinds.mount then add { op = "open_proc", path = "/proc", word = "join" } end
end

-- ---- the launcher's steps ----

--- A step with a path of /proc. In a mount namespace that others have made anything may lie there: the host's is asked.
function join.in_proc(step, found)
  if found.join and found.join.kinds.mount then step.fd, step.how = found.join.fds.proc, HOW.HOSTS_PROC end
  return step
end

local function enter(name, add, found)
  local one = found.join.kinds[name]
  if one then
    local from = one.path or ("of descriptor %s"):format(tostring(one.fd))
    add { op = "setns", fd = found.join.fds[name], from = from, flags = namespaces.flag(name), type = name, word = "join" }
  end
end

--- In a user namespace all ids are what they are there: 0, or the first that there is; else the host's would stay.
local function take_ids(spec, add, found)
  local known = found.join.ids or NONE
  local ignore = (spec.user or not found.join.admin) and errno_of.EINVAL or nil
  if not found.join.groups then add { op = "setgroups", data = "", ignore = errno_of.EPERM, word = "join" } end
  add { op = "setgid", value = known.gid and maps.first(known.gid) or 0, ignore = ignore, word = "join" }
  add { op = "setuid", value = known.uid and maps.first(known.uid) or 0, ignore = ignore, word = "join" }
end

local function enter_user(spec, add, found)
  if not found.join.kinds.user then return end
  enter("user", add, found)
  take_ids(spec, add, found)
end

--- The plan of a launcher that enters what `found.join` has, as by `ns.start.join`. With CAP_SYS_ADMIN on
-- the host the user namespace comes last, as the others may be the host's; without it first, as the right comes from there.
function join.steps(spec, found)
  local steps, admin, groups = {}, found.join.admin, found.join.groups
  local function add(step) steps[#steps + 1] = step end
  -- Before it is closed to others: then the file is root's.
  if spec.oom_score_adj then join.oom_score_adj(spec.oom_score_adj, add) end
  add { op = "prctl", which = PR.SET_DUMPABLE, value = 0, word = "join" }
  if found.join.kinds.user and groups then add { op = "setgroups", data = "", word = "join" } end
  if not admin then enter_user(spec, add, found) end
  for _, row in ipairs(namespaces.list) do
    if row.name ~= "user" then enter(row.name, add, found) end
  end
  if admin then enter_user(spec, add, found) end
  -- A change of ids has made of it what fs.suid_dumpable says.
  add { op = "prctl", which = PR.SET_DUMPABLE, value = 0, word = "join" }
  add { op = "clone", flags = namespaces.clone_flags(spec.flags), of = { op = "clone", namespaces = spec.flags } }
  return steps
end

--- How willingly the kernel ends it where memory runs out.
function join.oom_score_adj(value, add)
  add { op = "write", path = "/proc/self/oom_score_adj", data = ("%d"):format(value), word = "oom_score_adj" }
end

return join
