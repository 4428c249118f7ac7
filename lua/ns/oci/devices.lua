--- The devices of a configuration: nodes of the host that have these very numbers, whatever they are called there.
-- @module ns.oci.devices
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"

local devices = {}

-- What is in each small /dev: {major, minor}; a console and a ptmx are the box's own.
local OURS = { null = { 1, 3 }, zero = { 1, 5 }, full = { 1, 7 }, random = { 1, 8 }, urandom = { 1, 9 }, tty = { 5, 0 },
  console = { 5, 1 }, ptmx = { 5, 2 } }

local KINDS = { c = "char", u = "char", b = "block" }

--- The name that the kernel gives a device in /dev.
local function name_of(one)
  local f = io.open(("/sys/dev/%s/%.0f:%.0f/uevent"):format(KINDS[one.type], one.major, one.minor))
  local text = f and f:read "*a" or ""
  if f then f:close() end
  return text:match "DEVNAME=([^\n]+)"
end

local function is_node(path, one)
  local _, _, _, kind, major, minor = core.owner(path)
  return kind == (one.type == "u" and "c" or one.type) and major == one.major and minor == one.minor
end

--- A node of the host with the numbers of a device; nil, if there is none.
local function find(one)
  if is_node(one.path, one) then return one.path end
  local name = name_of(one)
  if name and is_node("/dev/" .. name, one) then return "/dev/" .. name end
  for _, entry in ipairs(core.entries "/dev" or {}) do
    if is_node("/dev/" .. entry.name, one) then return "/dev/" .. entry.name end
  end
end

--- Of three digits of a mode: what is in `a`, and not in `b`.
local function has_more(a, b)
  for bit = 0, 8 do
    if math.floor(a / 2 ^ bit) % 2 > math.floor(b / 2 ^ bit) % 2 then return true end
  end
  return false
end

--- What owner, group and others may by a mode.
local function digits_of(mode) return math.floor(mode / 64) % 8, math.floor(mode / 8) % 8, mode % 8 end

--- Notes where a node's mode and owner are not those that are asked for: they are the host's.
local function compare(one, node, at, job, leave)
  local uid, gid, mode = core.owner(node)
  local function note(field, has, wanted, weakens)
    leave(job, ("%s.%s"):format(at, field), ("%s is the host's, with %s, not %s"):format(node, has, wanted), weakens)
  end
  local owner, group, others = digits_of(mode)
  local wanted = one.fileMode and one.fileMode % 512
  if wanted and wanted ~= mode % 512 then
    note("fileMode", ("%04o"):format(mode % 512), ("%04o"):format(wanted), has_more(mode, wanted))
  end
  if one.uid and one.uid ~= uid then note("uid", ("%.0f"):format(uid), ("%.0f"):format(one.uid), owner ~= others) end
  if one.gid and one.gid ~= gid then note("gid", ("%.0f"):format(gid), ("%.0f"):format(one.gid), group ~= others) end
end

--- One device as a mount; nil, if it is not to be had, or there anyway.
local function mount_of(one, at, job, leave)
  local own = OURS[one.path:match "^/dev/([^/]+)$" or ""]
  local is_own = own and one.type ~= "b" and one.major == own[1] and one.minor == own[2]
  if is_own and own[1] == 5 and own[2] > 0 then return nil end
  local node = (not own or is_own or one.path ~= "/dev/ptmx") and find(one)
  if not node then
    local numbers = ("%s %.0f:%.0f"):format(one.type, one.major, one.minor)
    return leave(job, at, ("%s: there is no device %s on this machine"):format(one.path, numbers), true)
  end
  compare(one, node, at, job, leave)
  if is_own then return nil end
  return { type = "bind", source = node, target = one.path, dev = true, mkdir = "anywhere" }
end

--- The mounts of all of them, into job.devices.
function devices.read(value, where, job, leave)
  job.devices = {}
  for i, one in ipairs(value) do
    local at = check.at(where, i)
    if KINDS[one.type] and not (one.major and one.minor) then check.fail(at .. ".major", "missing, or minor is") end
    if KINDS[one.type] then
      job.devices[#job.devices + 1] = mount_of(one, at, job, leave)
    else
      leave(job, at, ("%s: there is no word for a fifo"):format(one.path), true)
    end
  end
end

return devices
