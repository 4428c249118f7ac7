--- The mounts of a configuration, as those of a spec. Places that are missing in the root are made there, as other runtimes
-- do.
-- @module ns.oci.mounts
require("ns.core").nojit()
local check = require "ns.words.check"
local json = require "ns.json"
local words = require "ns.words.mounts"

local mounts = {}

local ANYWHERE = "anywhere"

-- ---- options ----

-- What an option says of the mount; {} for one that says how it is anyway.
local SAYS = { ro = { ro = true }, rro = { ro = true }, rw = { ro = false }, rrw = { ro = false },
  nosuid = { suid = false }, rnosuid = { suid = false }, suid = { suid = true }, nodev = { dev = false },
  rnodev = { dev = false }, dev = { dev = true }, noexec = { exec = false }, rnoexec = { exec = false },
  exec = { exec = true }, bind = { bind = true }, rbind = { bind = true }, tmpcopyup = nil }
for name in ("defaults relatime norelatime strictatime nostrictatime noatime atime diratime nodiratime sync async private "
  .. "rprivate newinstance nofail remount ptmxmode=0666 mode=0620 mode=620 rexec rsuid rdev"):gmatch("%S+") do
  SAYS[name] = {}
end

--- The names of those that are known.
function mounts.option_names()
  local list = json.array {}
  for name in pairs(SAYS) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local VALUES = { size = "size", mode = "mode", nr_inodes = "inodes", hidepid = "hidepid", subset = "subset",
  lowerdir = "lowerdir", upperdir = "upperdir", workdir = "workdir" }

--- The options of one mount: a table of fields; what is not known is noted.
local function options_of(list, where, job, leave)
  local fields = { ro = false, suid = true, dev = true, exec = true }
  for i, text in ipairs(list or {}) do
    local name, value = text:match("^([^=]+)=(.*)$")
    if SAYS[text] then
      for field, v in pairs(SAYS[text]) do fields[field] = v end
    elseif VALUES[name] then
      fields[VALUES[name]] = value
    elseif text ~= "userxattr" then
      leave(job, check.at(where, i), ("'%s' is not known"):format(text))
    end
  end
  return fields
end

-- ---- kinds ----

--- What the program sees of a mount: read-only or not, devices, set-user-ID programs, programs.
local function attributes(o, m)
  m.ro, m.suid, m.dev = o.ro or nil, o.suid or nil, o.dev or nil
  if o.exec == false then m.exec = false end
  m.mkdir = ANYWHERE
  return m
end

local function bind(one, at, o, job)
  local source = check.path(one.source, at .. ".source")
  if source:sub(1, 1) ~= "/" then source = ("%s/%s"):format(job.bundle, source) end
  return attributes(o, { type = "bind", source = source, target = one.destination })
end

--- A kind that shows a namespace: of one that is shared, the host's own is bound.
local function showing(kind, namespace)
  return function(one, _, o, job)
    local has = job.flags[namespace] or job.words.join and job.words.join[namespace]
    if not has then return { type = "bind", source = one.destination, target = one.destination, ro = o.ro or nil } end
    local m = { type = kind, target = one.destination, mkdir = ANYWHERE }
    if kind ~= "mqueue" then m.ro = o.ro end
    return m
  end
end

local function proc(one, at, o, job)
  local m = showing("proc", "pid")(one, at, o, job)
  if m.type == "proc" then m.hidepid, m.subset, m.protect = o.hidepid, o.subset, false end
  return m
end

local function tmpfs(one, _, o)
  local mode = o.mode and o.mode:match("^0*([0-7]+)$")
  return attributes(o, { type = "tmpfs", target = one.destination, size = o.size, inodes = tonumber(o.inodes),
    mode = mode and ("%04d"):format(tonumber(mode)) or "1777" })
end

local function overlay(one, at, o)
  local lower = {}
  for path in (o.lowerdir or check.fail(at .. ".options", "lowerdir is missing")):gmatch("[^:]+") do
    lower[#lower + 1] = path
  end
  return attributes(o, { type = "overlay", target = one.destination, lower = lower, upper = o.upperdir, work = o.workdir })
end

local KINDS = { proc = proc, sysfs = showing("sys", "net"), mqueue = showing("mqueue", "ipc"), tmpfs = tmpfs,
  overlay = overlay, bind = bind, none = bind }

-- ---- /dev ----

--- Is it a part of the small /dev that there is in each box? Its size is that of the /dev/shm there.
local function is_of_dev(one, kind, o, dev)
  if kind == "devpts" and one.destination == "/dev/pts" then return true end
  if kind ~= "tmpfs" then return false end
  if one.destination == "/dev/shm" then dev.size = o.size end
  return one.destination == "/dev" or one.destination == "/dev/shm"
end

--- The name of the kind that a mount is of.
local function kind_of(one, o)
  if o.bind then return "bind" end
  return one.type or "none"
end

local function place_of(one)
  local place = one.destination
  return place:sub(1, 1) == "/" and place or "/" .. place
end

--- The mounts of a configuration, and what else covers its places: a list. `job`: as of `ns.oci.read`.
function mounts.read(job, leave)
  local dev = { type = "dev", target = "/dev", mkdir = ANYWHERE }
  local list = { dev }
  for i, one in ipairs(job.mounts or {}) do
    local at = check.at("mounts", i)
    local m = { destination = place_of(one), type = one.type, source = one.source }
    local o = options_of(one.options, at .. ".options", job, leave)
    local kind = kind_of(m, o)
    if kind == "bind" and m.destination == "/dev" then table.remove(list, 1) end
    if KINDS[kind] and not is_of_dev(m, kind, o, dev) then
      list[#list + 1] = KINDS[kind](m, at, o, job)
      words.check_one(list[#list], at)
    elseif not is_of_dev(m, kind, o, dev) then
      leave(job, at, ("'%s' on %s: there is no such mount"):format(kind, m.destination), not kind:find "^cgroup")
    end
  end
  for _, m in ipairs(job.devices or {}) do list[#list + 1] = m end
  for _, path in ipairs(job.readonly or {}) do list[#list + 1] = { type = "readonly", target = path } end
  for _, path in ipairs(job.masked or {}) do list[#list + 1] = { type = "mask", target = path } end
  return list
end

return mounts
