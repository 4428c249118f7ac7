--- What a configuration of a container says, as words of a spec. Each of its fields has a row here, in the shape of the
-- configuration; what no word can carry is noted under its name there.
-- @module ns.oci.read
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants
local devices = require "ns.oci.devices"
local field = require "ns.words.mount_fields"
local filters = require "ns.oci.filters"
local mounts = require "ns.oci.mounts"
local resources = require "ns.oci.resources"
local shapes = require "ns.oci.shapes"
local sorted = require "ns.words.sorted"
local users = require "ns.image.users"

local read = {}

-- ---- what is there ----

--- Does a value ask for anything?
local function asks(value)
  if type(value) == "table" then return next(value) ~= nil end
  return value ~= false and value ~= "" and value ~= 0
end

--- Notes that a field is left out. `weakens`: the program would have more rights than it says, or not be what it says.
local function leave(job, where, why, weakens)
  job.left[#job.left + 1] = { field = where, why = why, weakens = weakens or false }
end

--- A field that no word can carry.
local function cannot(why, weakens)
  return function(value, where, job)
    if asks(value) then leave(job, where, why, weakens) end
  end
end

--- One that says nothing about what the program sees.
local function nothing() end

--- One that is a word, after `change`, where it asks for something.
local function word(name, change)
  return function(value, _, job)
    if change then value = change(value) end
    if value ~= "" then job.words[name] = value end
  end
end

-- ---- the program ----

local BYTES_MOST = 2 ^ 53

local function env(value, where, job)
  local set = {}
  for i, text in ipairs(value) do
    local name, v = text:match("^([^=]+)=(.*)$")
    if name then set[name] = v else leave(job, check.at(where, i), ("'%s' is no NAME=VALUE"):format(text)) end
  end
  job.words.env = set
end

--- A number that may be the largest of 64 bits, which stands for no limit.
local function limit(value) return value >= BYTES_MOST and "unlimited" or value end

local function rlimits(value, where, job)
  for i, one in ipairs(value) do
    local at = check.at(where, i)
    local name = one.type:match("^RLIMIT_(%u+)$")
    if name and constants.rlimit[name] then
      job.words.rlimits = job.words.rlimits or {}
      job.words.rlimits[name:lower()] = { soft = limit(one.soft), hard = limit(one.hard) }
    else
      leave(job, at, "there is no such limit")
    end
  end
end

local function cap_set(value, where, job)
  local set = {}
  for i, name in ipairs(value) do
    local bare = name:upper():gsub("^CAP_", "")
    if constants.cap[bare] then set[bare:lower()] = true else
      leave(job, check.at(where, i), ("'%s' is not known"):format(name))
    end
  end
  return set
end

local SETS = { "ambient", "bounding", "effective", "inheritable", "permitted" }

--- The names that all these sets have.
local function common(sets, names)
  local result = {}
  for cap in pairs(sets[names[1]]) do
    local is_in_all = true
    for _, name in ipairs(names) do is_in_all = is_in_all and sets[name][cap] end
    if is_in_all then result[cap] = true end
  end
  return result
end

--- What one set has, and another has not, as "chown, kill"; nil, if that is nothing.
local function beyond(set, other)
  local list = {}
  for _, name in ipairs(sorted.keys(set)) do
    if not other[name] then list[#list + 1] = name end
  end
  return #list > 0 and table.concat(list, ", ") or nil
end

-- What stays for root, and for a user, to whom exec leaves the ambient ones; and the sets of which more is told.
local ROOT = { of = { "permitted", "effective", "bounding" }, told = SETS }
local USER = { of = { "ambient", "inheritable", "permitted", "bounding" }, told = { "ambient", "bounding", "inheritable" } }

--- What the program has after exec. With the word all five sets are the same: none has more than the bundle gives in the
-- three that count, so what is told weakens nothing. Root's ambient ones end with its id, as its rights do.
local function capabilities(value, where, job)
  local sets = {}
  for _, name in ipairs(SETS) do sets[name] = cap_set(value[name] or {}, where .. "." .. name, job) end
  local kind = (job.words.user == nil or job.words.user == 0) and ROOT or USER
  local given = common(sets, kind.of)
  job.words.caps = sorted.keys(given)
  for _, name in ipairs(kind.told) do
    local less, more = beyond(sets[name], given), beyond(given, sets[name])
    local at = ("%s.%s"):format(where, name)
    if less then leave(job, at, ("without %s: all sets are what '%s' have in common"):format(less,
      table.concat(kind.of, "', '"))) end
    if more then leave(job, at, ("with %s: all sets of the program are the same"):format(more)) end
  end
end

local POLICIES = { SCHED_OTHER = "other", SCHED_BATCH = "batch", SCHED_IDLE = "idle", SCHED_FIFO = "fifo", SCHED_RR = "rr" }

local function scheduler(value, where, job)
  local policy = POLICIES[value.policy]
  if not policy then return leave(job, where .. ".policy", ("'%s' is not known"):format(tostring(value.policy))) end
  local is_real_time = policy == "fifo" or policy == "rr"
  job.words.scheduler = { policy = policy, priority = is_real_time and value.priority or nil }
  job.words.nice = value.nice
  for _, name in ipairs { "flags", "runtime", "deadline", "period" } do
    cannot "there is no word for it"(value[name] or 0, where .. "." .. name, job)
  end
end

local CLASSES = { IOPRIO_CLASS_RT = "realtime", IOPRIO_CLASS_BE = "best-effort", IOPRIO_CLASS_IDLE = "idle" }

local function io_priority(value, where, job)
  local class = CLASSES[value.class]
  if not class then return leave(job, where .. ".class", ("'%s' is not known"):format(tostring(value.class))) end
  job.words.ioprio = { class = class, level = value.priority }
end

local PROCESS = {
  terminal = function(value, _, job)
    if value then job.words.pty = job.words.pty or true end
  end,
  consoleSize = function(value, _, job)
    if value.height > 0 and value.width > 0 then job.size = { rows = value.height, cols = value.width } end
  end,
  cwd = word "cwd",
  env = env,
  args = word "argv",
  commandLine = cannot "it is for Windows",
  user = {
    uid = word "user",
    gid = word "group",
    umask = word("umask", function(mask) return ("%03o"):format(mask) end),
    additionalGids = function(value, _, job)
      if #value > 0 then job.words.groups = value end
    end,
    username = cannot "it is for Windows",
  },
  rlimits = rlimits,
  capabilities = function(value, where, job) job.caps = { value, where } end,
  noNewPrivileges = word "no_new_privs",
  oomScoreAdj = word "oom_score_adj",
  apparmorProfile = cannot("no profile is entered", true),
  selinuxLabel = cannot("no label is set", true),
  ioPriority = io_priority,
  scheduler = scheduler,
  execCPUAffinity = cannot "it is for exec alone",
}

-- ---- namespaces ----

local KINDS = { pid = "pid", network = "net", mount = "mount", ipc = "ipc", uts = "uts", user = "user", cgroup = "cgroup",
  time = "time" }

local function namespaces(value, where, job)
  for i, one in ipairs(value) do
    local name, at = KINDS[one.type], check.at(where, i)
    if not name then
      leave(job, at .. ".type", ("'%s' is not known"):format(tostring(one.type)), true)
    elseif one.path and one.path ~= "" then
      job.words.join = job.words.join or {}
      job.words.join[name] = check.absolute(one.path, at .. ".path")
    else
      job.flags[name] = true
    end
  end
end

local function map(name)
  return function(value, _, job)
    local list = {}
    for i, one in ipairs(value) do list[i] = { one.containerID, one.hostID, one.size } end
    if #list > 0 then job.words[name] = list end
  end
end

local function offsets(value, where, job)
  for clock, one in pairs(value) do
    if clock == "monotonic" or clock == "boottime" then
      job.words.time = job.words.time or {}
      job.words.time[clock] = (one.secs or 0) + (one.nanosecs or 0) / 1e9
    else
      leave(job, ("%s.%s"):format(where, clock), "there is no such clock")
    end
  end
end

--- Settings of the network, where that is the container's own; of others there is no word.
local function sysctl(value, where, job)
  for name, v in pairs(value) do
    local at = ("%s['%s']"):format(where, name)
    if name:find "^net[./]" and job.flags.net then
      job.words.sysctl = job.words.sysctl or {}
      job.words.sysctl[name] = v
    else
      leave(job, at, "only settings of a network of its own can be set")
    end
  end
end

local PROPAGATION = { private = "private", rprivate = "private", slave = "slave", rslave = "slave" }

local function propagation(value, where, job)
  if value == "" then return end
  if not PROPAGATION[value] then return leave(job, where, ("'%s': the host's mounts are not shared"):format(value)) end
  job.words.propagation = PROPAGATION[value]
end

local LINUX = {
  namespaces = namespaces,
  uidMappings = map "uid_map",
  gidMappings = map "gid_map",
  timeOffsets = offsets,
  sysctl = function(value, where, job) job.sysctl = { value, where } end,
  resources = function(value, where, job) resources.read(value, where, job, leave) end,
  cgroupsPath = function(value, _, job) job.cgroup = value end,
  seccomp = function(value, where, job) filters.read(value, where, job, leave) end,
  rootfsPropagation = propagation,
  maskedPaths = function(value, _, job) job.masked = value end,
  readonlyPaths = function(value, _, job) job.readonly = value end,
  devices = function(value, where, job) devices.read(value, where, job, leave) end,
  mountLabel = cannot("no label is set", true),
  intelRdt = cannot "there is no word for it",
  memoryPolicy = cannot "there is no word for it",
  netDevices = cannot "no interface is moved into a box",
  personality = {
    domain = function(value, where, job)
      if value == "LINUX32" then job.words.personality = "linux32" elseif value ~= "LINUX" then
        leave(job, where, ("'%s' is not known"):format(tostring(value)))
      end
    end,
    flags = cannot "there is no word for it",
  },
}

-- ---- all of it ----

local CONFIG = {
  ociVersion = nothing,
  process = PROCESS,
  root = {
    path = function(value, _, job)
      local path = value:sub(1, 1) == "/" and value or ("%s/%s"):format(job.bundle, value)
      job.words.root = { bind = path, suid = true }
    end,
    readonly = word "read_only",
  },
  hostname = word "hostname",
  domainname = word "domainname",
  mounts = function(value, _, job) job.mounts = value end,
  hooks = cannot("hooks are not run", true),
  annotations = nothing,
  linux = LINUX,
  windows = cannot "it is for Windows", solaris = cannot "it is for Solaris", vm = cannot "it is for virtual machines",
  zos = cannot "it is for z/OS", freebsd = cannot "it is for FreeBSD",
}

--- Reads an object, field by field, as the rows say.
local function walk(rows, object, where, job)
  for _, key in ipairs(sorted.keys(object)) do
    local row, at, value = rows[key], where and ("%s.%s"):format(where, key) or key, object[key]
    if type(row) == "table" then
      walk(row, value, at, job)
    elseif row then
      row(value, at, job)
    else
      leave(job, at, "it is not known")
    end
  end
end

local function need(object, name, where)
  if type(object) ~= "table" or object[name] == nil then check.fail(where, "missing") end
end

--- Where the environment says nothing of it, HOME is what the root's /etc/passwd has for the user.
local function set_home(words, root)
  words.env = words.env or {}
  if words.env.HOME then return end
  local user = users.find({ root }, ("%.0f"):format(words.user or 0))
  words.env.HOME = user and user.home ~= "" and user.home or "/"
end

--- A directory that is missing in the root is made there, as other runtimes do.
local function make_cwd(words)
  local is_place, place = pcall(field.target, words.cwd, "process.cwd")
  if is_place then table.insert(words.mounts, { type = "dir", target = place, mkdir = "anywhere" }) end
end

--- The words of a configuration, that is a table; and what they leave out. Raises a mistake in it.
function read.config(config, bundle)
  local job = { bundle = bundle, left = {}, flags = { mount = true },
    words = { clear_env = true, session = true, umask = "022", caps = {}, read_only = false } }
  need(config, "ociVersion", "ociVersion")
  need(config, "root", "root.path")
  need(config.root, "path", "root.path")
  shapes.config(config)
  walk(CONFIG, config, nil, job)
  local words = job.words
  if job.caps then capabilities(job.caps[1], job.caps[2], job) end
  if job.sysctl then sysctl(job.sysctl[1], job.sysctl[2], job) end
  if words.pty then words.pty, words.session = job.size or true, nil end
  words.mounts = mounts.read(job, leave)
  if words.cwd then make_cwd(words) end
  if config.process then set_home(words, words.root.bind) end
  words.flags = sorted.keys(job.flags)
  shapes.words(words, job.flags)
  return words, job.left, job
end

--- What options of mounts there are.
function read.mount_options() return mounts.option_names() end

--- The words of a further program in a container whose configuration has `linux`, in that root: those of its own.
function read.process(process, linux, root, left)
  local job = { left = left, flags = {}, words = { clear_env = true, umask = "022", caps = {} } }
  shapes.process(process, "process")
  walk(PROCESS, process, "process", job)
  if linux and linux.seccomp then filters.read(linux.seccomp, "linux.seccomp", job, leave) end
  if job.caps then capabilities(job.caps[1], job.caps[2], job) end
  if job.words.pty then job.words.pty = job.size or true end
  if root then set_home(job.words, root) end
  shapes.words(job.words, job.flags)
  return job.words
end

return read
