--- The words of a spec as a bundle: a configuration, and where the root is no directory, one of the bundle's own.
-- @module ns.oci.write
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants
local core = require "ns.core"
local filters = require "ns.oci.filters"
local ids = require "ns.start.ids"
local json = require "ns.json"
local mounts = require "ns.oci.write_mounts"
local namespaces = require "ns.words.namespaces"
local parts = require "ns.start.parts"
local plan = require "ns.start.plan"
local survey = require "ns.start.survey"

local write = {}

local array = json.array

local function leave(job, field, why, weakens)
  job.left[#job.left + 1] = { field = field, why = why, weakens = weakens or false }
end

--- A word that no field can carry.
local function cannot(why, weakens)
  return function(_, job, word) leave(job, word, why, weakens) end
end

local function nothing() end

-- ---- the program ----

local function env_of(spec, host)
  local set, list = spec.clear_env and {} or host.environ(), array {}
  for name, value in pairs(spec.env or {}) do set[name] = value or nil end
  for name, value in pairs(set) do list[#list + 1] = ("%s=%s"):format(name, value) end
  table.sort(list)
  return list
end

local function names_of_caps(keeps)
  local list = array {}
  for name, number in pairs(constants.cap) do
    if keeps(number) then list[#list + 1] = "CAP_" .. name end
  end
  table.sort(list)
  return list
end

local function has_bit(mask, number) return math.floor(mask / 2 ^ number) % 2 == 1 end

--- Which capabilities the program has: without the word, root's, or those that a user namespace gives.
local function capabilities(spec, host)
  local list = names_of_caps(function(number)
    if spec.caps and spec.caps >= 0 then return has_bit(spec.caps, number) end
    return spec.flags.user or has_bit(host.caps, number)
  end)
  local is_root = not spec.user or spec.user.id == 0
  local kept = (spec.caps or is_root) and list or array {}
  return { bounding = list, permitted = kept, effective = kept, inheritable = spec.caps and list or array {},
    ambient = spec.caps and list or array {} }
end

local function rlimits(value, job)
  local list, names = array {}, {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do
    local pair = value[name]
    list[i] = { type = "RLIMIT_" .. name:upper(), soft = pair.soft == -1 and 2 ^ 64 or pair.soft,
      hard = pair.hard == -1 and 2 ^ 64 or pair.hard }
  end
  job.process.rlimits = list
end

local POLICIES = { other = "SCHED_OTHER", batch = "SCHED_BATCH", idle = "SCHED_IDLE", fifo = "SCHED_FIFO",
  rr = "SCHED_RR" }
local CLASSES = { realtime = "IOPRIO_CLASS_RT", ["best-effort"] = "IOPRIO_CLASS_BE", idle = "IOPRIO_CLASS_IDLE" }
local LINUX32 = 8

local function set(place, field)
  return function(value, job) job[place][field] = value end
end

local RUNS = "it is about a run, not about the program"

--- Each word that is said, but for those which are a part of all that follows.
local WORDS = {
  argv = set("process", "args"), cwd = nothing, env = nothing, clear_env = nothing, flags = nothing, user = nothing,
  group = nothing, groups = nothing, caps = nothing, root = nothing, system = nothing, read_only = nothing,
  mounts = nothing, mount_proc = nothing, map = nothing, uid_map = nothing, gid_map = nothing, umask = nothing,
  argv0 = cannot "the name that a program sees is that by which it is found",
  fn = cannot("a function is in no bundle", true), args = nothing,
  hostname = set("config", "hostname"), domainname = set("config", "domainname"),
  time = function(value, job)
    job.linux.timeOffsets = {}
    for clock, seconds in pairs(value) do
      local whole = math.floor(seconds)
      job.linux.timeOffsets[clock] = { secs = whole, nanosecs = math.floor((seconds - whole) * 1e9) }
    end
  end,
  join = function(value, job)
    if value.from then return leave(job, "join.from", "only namespaces that have a path can be joined", true) end
    for name, one in pairs(value.given) do
      if one.path then job.joined[name] = one.path else
        leave(job, "join." .. name, "a descriptor is in no bundle", true)
      end
    end
  end,
  no_new_privs = set("process", "noNewPrivileges"),
  rlimits = rlimits,
  nice = function(value, job)
    job.process.scheduler = job.process.scheduler or { policy = "SCHED_OTHER" }
    job.process.scheduler.nice = value
  end,
  scheduler = function(value, job)
    job.process.scheduler = job.process.scheduler or {}
    job.process.scheduler.policy = POLICIES[value.policy]
    job.process.scheduler.priority = value.priority
  end,
  ioprio = function(value, job, word)
    if not CLASSES[value.class] then return leave(job, word, "there is no class 'none'") end
    job.process.ioPriority = { class = CLASSES[value.class], priority = value.level or 4 }
  end,
  oom_score_adj = set("process", "oomScoreAdj"),
  personality = function(value, job, word)
    if value ~= LINUX32 then return leave(job, word, "there is only LINUX32") end
    job.linux.personality = { domain = "LINUX32" }
  end,
  pty = function(value, job)
    if not value then return end
    job.process.terminal, job.process.consoleSize = true, { height = value.rows, width = value.cols }
  end,
  sysctl = set("linux", "sysctl"),
  propagation = function(value, job) job.linux.rootfsPropagation = value == "slave" and "rslave" or "rprivate" end,
  limits = function(_, job) mounts.resources(job.words.limits, job, leave) end,
  seccomp = function(value, job)
    if value then job.linux.seccomp = filters.write(job.words.seccomp, job.spec, job, leave) end
  end,
  session = nothing, keyring = nothing, detach = nothing, optional = nothing, stdin = nothing, stdout = nothing,
  stderr = nothing,
  init = cannot "there is no init: the program is process 1",
  affinity = cannot "the processors of each of its processes are not said in a bundle; limits.cpuset are",
  securebits = cannot("there is no field for it", true), landlock = cannot("there is no field for it", true),
  disable_userns = cannot("there is no field for it", true), setgroups = cannot("there is no field for it", true),
  network = function(value, job, word)
    if value == "pasta" then leave(job, word, "there is no field for it", true) end
  end,
  publish = cannot("there is no field for it", true), reach = cannot("there is no field for it", true),
  reachable = nothing, fds = cannot("descriptors are in no bundle", true), input = cannot(RUNS, true),
  timeout = cannot(RUNS, true), grace = nothing, max_output = nothing, forward_signals = nothing, tty = nothing,
}

-- ---- namespaces ----

local TYPES = { net = "network" }

local function namespaces_of(spec, job)
  local list = array {}
  for _, row in ipairs(namespaces.list) do
    local path = job.joined[row.name]
    local is_idle = row.name == "time" and not path and not spec.time -- runc knows none
    if spec.flags[row.name] and is_idle then leave(job, "flags", "'time' is left out, as no clock is shifted") end
    if path or spec.flags[row.name] and not is_idle then
      list[#list + 1] = { type = TYPES[row.name] or row.name, path = path }
    end
  end
  return list
end

local function mappings(map)
  local list = array {}
  for i, r in ipairs(map) do list[i] = { containerID = r[1], hostID = r[2], size = r[3] } end
  return list
end

-- ---- all of it ----

local function user_of(spec, map)
  local first = map and map.uid[1][1] or core.ids().euid
  local group = spec.group and spec.group.id or spec.user and spec.user.gid or map and map.gid[1][1] or core.ids().egid
  local list = array {}
  for i, one in ipairs(spec.groups or {}) do list[i] = one.id end
  return { uid = spec.user and spec.user.id or first, gid = group, umask = spec.umask or tonumber("022", 8),
    additionalGids = #list > 0 and list or nil }
end

--- What the parts of the root are, where that is put together of the host's.
local function parts_of(spec, host)
  if spec.whole or spec.root ~= "empty" and spec.root ~= "/" then return {} end
  local list, path, errno = parts.find(spec, host)
  if not list then error({ message = ("%s: %s"):format(path, core.strerror(errno)), errno = errno }, 0) end
  return list
end

--- The configuration of a checked spec; the files that it needs are in job.files, the links and directories of its own root
-- in job.places. `words`: the spec as it was said.
function write.config(spec, words, host, directory)
  local job = { left = {}, joined = {}, files = {}, places = {}, spec = spec, words = words, directory = directory,
    process = {}, linux = {}, config = { ociVersion = "1.0.2" } }
  if not spec.root then leave(job, "root", "missing: the files of the host, as they are, cannot be a root", true) end
  local map = nil
  if spec.flags.user then map = { ids.maps(spec, host) } map.uid, map.gid = map[1], map[2] end
  for word, row in pairs(plan.words) do
    if words[word] ~= nil and WORDS[word] then WORDS[word](spec[word], job, word) end
    if words[word] ~= nil and not WORDS[word] then leave(job, word, "it is not known in bundles", row.needs ~= nil) end
  end
  local process, linux, config = job.process, job.linux, job.config
  process.cwd, process.env, process.user = spec.cwd or "/", env_of(spec, host), user_of(spec, map)
  process.capabilities, process.noNewPrivileges = capabilities(spec, host), process.noNewPrivileges or false
  process.terminal = process.terminal or false
  if map then linux.uidMappings, linux.gidMappings = mappings(map.uid), mappings(map.gid) end
  linux.namespaces = namespaces_of(spec, job)
  config.process, config.linux = process, linux
  config.mounts = mounts.write(parts_of(spec, host), job, leave)
  config.root = { path = job.root or "rootfs", readonly = spec.read_only ~= false }
  table.sort(job.left, function(a, b) return a.field < b.field end)
  return config, job
end

--- The same of words that are not checked; a mistake is raised as one of the function `name`.
function write.read(words, name, directory)
  local host = survey.host()
  local spec, mistake, refused = plan.check(words, host)
  if refused then error({ message = "a part of it cannot be read", errno = constants.errno.EINVAL }, 0) end
  if not spec then check.raise("bad argument to '%s' (%s)", name, mistake) end
  return write.config(spec, words, host, directory)
end

return write
