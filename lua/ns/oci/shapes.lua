--- The shape of a configuration: each field that is read, with a check of its value. It is checked before anything is read,
-- so readers need not ask what they have. What is not named here may be anything: readers note that it is left out.
-- @module ns.oci.shapes
require("ns.core").nojit()
local check = require "ns.words.check"
local field = require "ns.words.mount_fields"
local plan = require "ns.start.plan"
local sorted = require "ns.words.sorted"

local shapes = {}

-- ---- kinds of values ----

local id, text, boolean, list = check.id, check.text, check.boolean, check.list

local function number(least, most) return check.integer(least, most) end

local uint32, uint64 = number(0, 2 ^ 32 - 1), number(0, 2 ^ 64)
local int64 = number(-2 ^ 63, 2 ^ 64)

--- A table with names, not a list.
local function table_of(value, where)
  if type(value) ~= "table" then check.fail(where, "object expected, got %s", type(value)) end
  for key in pairs(value) do
    if type(key) ~= "string" then check.fail(where, "object expected, got a list") end
  end
  return value
end

--- One with these fields, of which those named in `needed` may not be missing.
local function object(fields, needed)
  return function(value, where)
    table_of(value, where)
    for _, name in ipairs(sorted.keys(fields)) do
      local is_needed = needed and (" %s "):format(needed):find((" %s "):format(name), 1, true)
      if value[name] ~= nil or is_needed then fields[name](value[name], where and ("%s.%s"):format(where, name) or name) end
    end
    return value
  end
end

--- One whose names are free.
local function map(test)
  return function(value, where)
    for _, name in ipairs(sorted.keys(table_of(value, where))) do test(value[name], ("%s['%s']"):format(where, name)) end
    return value
  end
end

local texts, ids = list(text), list(id)

--- A text that has to look like this.
local function like(pattern, what)
  return function(value, where)
    if not text(value, where):find(pattern) then check.fail(where, "%s expected, got '%s'", what, value) end
    return value
  end
end

--- A place inside, of which nothing is made but what lies beneath.
local function place(value, where)
  if check.path(value, where):sub(1, 1) ~= "/" then value = "/" .. value end
  return field.target(value, where)
end

-- ---- the program ----

local process = object({
  terminal = boolean,
  consoleSize = object({ height = number(0, 65535), width = number(0, 65535) }, "height width"),
  cwd = check.absolute,
  env = texts,
  args = list(text, 1),
  user = object { uid = id, gid = id, umask = number(0, 511), additionalGids = ids },
  rlimits = list(object({ type = text, soft = uint64, hard = uint64 }, "type soft hard")),
  capabilities = object { ambient = texts, bounding = texts, effective = texts, inheritable = texts, permitted = texts },
  noNewPrivileges = boolean,
  oomScoreAdj = number(-1000, 1000),
  ioPriority = object({ class = text, priority = number(0, 7) }, "class"),
  scheduler = object({ policy = text, nice = number(-20, 19), priority = number(0, 99), flags = texts, runtime = uint64,
    deadline = uint64, period = uint64 }, "policy"),
})

-- ---- the filter ----

local argument = object({ index = number(0, 5), value = uint64, valueTwo = uint64, op = text }, "index value op")

local seccomp = object({ defaultAction = text, defaultErrnoRet = number(0, 4095), architectures = texts, flags = texts,
  syscalls = list(object({ names = list(text, 1), action = text, errnoRet = number(0, 4095), args = list(argument) },
    "names action")) }, "defaultAction")

-- ---- resources ----

local rates = list(object({ major = number(0, 4095), minor = number(0, 2 ^ 20 - 1), rate = uint64 }, "major minor rate"))

local resources = object {
  memory = object { limit = int64, swap = int64 },
  cpu = object { shares = uint64, quota = int64, period = uint64, cpus = like("^[%d,%-]*$", "numbers of processors") },
  pids = object { limit = int64 },
  blockIO = object { throttleReadBpsDevice = rates, throttleWriteBpsDevice = rates, throttleReadIOPSDevice = rates,
    throttleWriteIOPSDevice = rates },
  devices = list(object { allow = boolean, type = text, access = text }),
}

-- ---- all of it ----

local ranges = list(object({ containerID = id, hostID = id, size = number(1, 2 ^ 32) }, "containerID hostID size"))
local MOST_SECONDS = 1e9

local linux = object {
  namespaces = list(object({ type = text, path = text }, "type")),
  uidMappings = ranges,
  gidMappings = ranges,
  timeOffsets = map(object { secs = number(-MOST_SECONDS, MOST_SECONDS), nanosecs = number(0, 999999999) }),
  sysctl = map(text),
  resources = resources,
  cgroupsPath = text,
  seccomp = seccomp,
  rootfsPropagation = text,
  maskedPaths = list(field.target),
  readonlyPaths = list(field.target),
  devices = list(object({ path = field.target, type = check.choice("c", "b", "u", "p"), major = uint32, minor = uint32,
    fileMode = uint32, uid = id, gid = id }, "path type")),
  personality = object({ domain = text }, "domain"),
}

local mount = object({ destination = place, type = text, source = text, options = texts }, "destination")

--- Checks a configuration; raises the first mistake.
shapes.config = object({
  ociVersion = like("^1%.", "version 1"),
  process = process,
  root = object({ path = check.path, readonly = boolean }, "path"),
  hostname = check.sized(0, 64),
  domainname = check.sized(0, 64),
  mounts = list(mount),
  annotations = table_of,
  linux = linux,
}, "ociVersion root")

--- Checks a process alone, as of `exec`.
shapes.process = process

-- ---- the words that are read ----

-- Words that need a namespace of the container's own: {word, its field, the namespace}.
local NEEDS = { { "hostname", "hostname", "uts" }, { "domainname", "domainname", "uts" },
  { "uid_map", "linux.uidMappings", "user" }, { "gid_map", "linux.gidMappings", "user" },
  { "time", "linux.timeOffsets", "time" } }

-- The field that a word is, where each word is checked alone. Mounts have their own.
local FIELDS = { argv = "process.args", env = "process.env", cwd = "process.cwd", user = "process.user.uid",
  group = "process.user.gid", groups = "process.user.additionalGids", umask = "process.user.umask",
  rlimits = "process.rlimits", caps = "process.capabilities", scheduler = "process.scheduler",
  nice = "process.scheduler.nice", ioprio = "process.ioPriority", pty = "process.consoleSize", root = "root.path",
  join = "linux.namespaces", uid_map = "linux.uidMappings", gid_map = "linux.gidMappings", time = "linux.timeOffsets",
  sysctl = "linux.sysctl", limits = "linux.resources", seccomp = "linux.seccomp" }

--- What is of the right shape may still be none of a word's values.
function shapes.words(words, flags)
  for _, name in ipairs(sorted.keys(words)) do
    if FIELDS[name] then plan.words[name].check(words[name], FIELDS[name]) end
  end
  for _, row in ipairs(NEEDS) do
    if words[row[1]] and not flags[row[3]] then
      check.fail(row[2], "there is no namespace '%s' of its own in linux.namespaces", row[3])
    end
  end
end

return shapes
