--- The mounts of a configuration, as those of a spec. Places that are missing in the root are made there, as other runtimes
-- do.
-- @module ns.oci.mounts
require("ns.core").nojit()
local check = require "ns.words.check"
local field = require "ns.words.mount_fields"
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

-- What /proc hides, by the numbers that other runtimes hand to the kernel.
local HIDES = { ["0"] = "off", ["1"] = "noaccess", ["2"] = "invisible", ["4"] = "ptraceable" }
local check_hides = check.choice("off", "noaccess", "invisible", "ptraceable")

local function mode(value, where)
  if not value:find "^0*[0-7]?[0-7]?[0-7]?[0-7]$" then check.fail(where, "mode expected, got '%s'", value) end
  return ("%04d"):format(tonumber(value))
end

local function inodes(value, where)
  local digits = value:match "^%d+$" or check.fail(where, "number expected, got '%s'", value)
  return check.integer(0, 2 ^ 53)(tonumber(digits), where)
end

--- A size; none, if that is 0, which is no limit to the kernel.
local function size(value, where) return not value:find "^0+$" and field.size(value, where) or nil end

local function hides(value, where) return check_hides(HIDES[value] or value, where) end

-- Options with a value: the field, and what makes it of the text.
local VALUES = { size = { "size", size }, mode = { "mode", mode }, nr_inodes = { "inodes", inodes },
  hidepid = { "hidepid", hides }, subset = { "subset", check.choice "pid" }, lowerdir = { "lowerdir", check.text },
  upperdir = { "upperdir", check.absolute }, workdir = { "workdir", check.absolute } }

--- An option that is not known. Files of a tmpfs that belong to another than its owner weaken the container.
local function unknown(text, one, at, job, leave)
  local is_owner = one.type == "tmpfs" and (text:find "^uid=" or text:find "^gid=")
  if is_owner then
    local is_root = text:find "=0*$"
    return not is_root and leave(job, at, ("'%s' on %s: its files are root's"):format(text, one.destination), true)
  end
  leave(job, at, ("'%s' is not known"):format(text))
end

--- The options of one mount: a table of fields; `at`, where each of them is. What is not known is noted.
local function options_of(one, where, job, leave)
  local fields = { ro = false, suid = true, dev = true, exec = true, at = {} }
  for i, text in ipairs(one.options or {}) do
    local at = check.at(where, i)
    local name, value = text:match("^([^=]+)=(.*)$")
    if SAYS[text] then
      for key, v in pairs(SAYS[text]) do fields[key] = v end
    elseif VALUES[name] then
      local key, read = VALUES[name][1], VALUES[name][2]
      fields[key], fields.at[key] = read(value, at), at
    elseif text ~= "userxattr" then
      unknown(text, one, at, job, leave)
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
  return attributes(o, { type = "tmpfs", target = one.destination, size = o.size,
    inodes = o.inodes ~= 0 and o.inodes or nil, mode = o.mode or "1777" })
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

-- The file systems of the small /dev that there is in each box, as they are there.
local DEV = { ["/dev/pts"] = { type = "devpts" }, ["/dev"] = { type = "tmpfs", mode = "0755", size = "1m" },
  ["/dev/shm"] = { type = "tmpfs", mode = "1777" } }

local UNITS = { [""] = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30 }

--- Bytes of a size, or its text, if that is a share.
local function bytes(text)
  local digits, unit = text:lower():match "^(%d+)([kmg]?)$"
  return digits and digits * UNITS[unit] or text
end

--- Notes what an option says of a part of /dev, and is not so there.
local function compare(o, there, place, job, leave)
  if o.mode and o.mode ~= there.mode then leave(job, o.at.mode, ("%s has the mode %s"):format(place, there.mode)) end
  if there.size and o.size and bytes(o.size) ~= bytes(there.size) then
    leave(job, o.at.size, ("%s has %s"):format(place, there.size))
  end
end

--- Is it a part of the small /dev? What that can be told is told: the size of /dev/shm, and what may be done there.
local function is_of_dev(one, kind, o, list, job, leave)
  local there, dev = DEV[one.destination], list.dev
  if not there or there.type ~= kind then return false end
  if kind == "devpts" then return true end
  if list[1] ~= dev then return false end
  compare(o, there, one.destination, job, leave)
  if one.destination == "/dev/shm" then
    dev.size, dev.inodes = o.size, o.inodes ~= 0 and o.inodes or nil
    if o.exec and not o.ro then return true end
    list[#list + 1] = { type = "remount", target = "/dev/shm", ro = o.ro or nil, exec = o.exec and nil or false }
  end
  return true
end

--- The name of the kind that a mount is of.
local function kind_of(one, o)
  if o.bind then return "bind" end
  return one.type or "none"
end

local function place_of(one)
  local place = one.destination
  return field.place(place:sub(1, 1) == "/" and place or "/" .. place, "mounts")
end

--- The mounts of a configuration, and what else covers its places: a list. `job`: as of `ns.oci.read`.
function mounts.read(job, leave)
  local dev = { type = "dev", target = "/dev", mkdir = ANYWHERE }
  local list = { dev, dev = dev }
  for i, one in ipairs(job.mounts or {}) do
    local at = check.at("mounts", i)
    local m = { destination = place_of(one), type = one.type, source = one.source, options = one.options }
    local o = options_of(m, at .. ".options", job, leave)
    local kind = kind_of(m, o)
    if kind == "bind" and m.destination == "/dev" and list[1] == dev then table.remove(list, 1) end
    local is_there = is_of_dev(m, kind, o, list, job, leave)
    if KINDS[kind] and not is_there then
      list[#list + 1] = KINDS[kind](m, at, o, job)
      words.check_one(list[#list], at)
    elseif not is_there then
      leave(job, at, ("'%s' on %s: there is no such mount"):format(kind, m.destination), not kind:find "^cgroup")
    end
  end
  for _, m in ipairs(job.devices or {}) do list[#list + 1] = m end
  for _, path in ipairs(job.readonly or {}) do list[#list + 1] = { type = "readonly", target = path } end
  for _, path in ipairs(job.masked or {}) do list[#list + 1] = { type = "mask", target = path } end
  list.dev = nil
  return list
end

return mounts
