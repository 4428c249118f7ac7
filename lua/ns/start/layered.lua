--- A root in layers, as the machine has it: which parts of the host's system can be layers, and the places of mounts.
-- @module ns.start.layered
require("ns.core").nojit()
local core = require "ns.core"
local layers = require "ns.words.layers"
local maps = require "ns.words.maps"
local mountinfo = require "ns.start.mountinfo"
local owners = require "ns.start.owners"

local layered = {}

local errno_of = core.constants.errno
local ENOENT, ENOTDIR, EROFS = errno_of.ENOENT, errno_of.ENOTDIR, errno_of.EROFS
local FILE_MODE, DIRECTORY_MODE = tonumber("644", 8), tonumber("755", 8)

-- File systems that are the kernel's, and no files of anybody's.
local KERNELS = {}
for name in ("proc sysfs devtmpfs devpts cgroup cgroup2 mqueue debugfs tracefs securityfs autofs"):gmatch("%S+") do
  KERNELS[name] = true
end

--- One that is closed to us is taken for a directory.
local function is_directory(path, host)
  local ok, _, errno = host.access(path .. "/.", 0)
  return ok or errno ~= ENOTDIR
end

--- Why a directory of the host is no layer: what lies on it is the kernel's, or there are mounts below it, and an overlay
-- would show what they cover. false: the first, which nobody expects.
local function no_layer(path, list)
  local kernels = false
  for _, one in ipairs(list) do
    if one[1] == path then kernels = KERNELS[one[2]] or false end
  end
  if kernels then return false end
  for _, one in ipairs(list) do
    if one[1]:sub(1, #path + 1) == path .. "/" then
      return ("%s is mounted below it: it is as on the host, and read-only"):format(one[1])
    end
  end
end

--- Is a place of the root covered by a mount of the spec's own?
local function is_covered(spec, target)
  for _, m in ipairs(spec.mounts) do
    if m.layer ~= "root" and m.target == target and m.type ~= "remount" and m.type ~= "propagation" then return true end
  end
end

--- A part of the host's system as a layer; or as it is, where it cannot be one.
local function as_layer(part, spec, list)
  local why = no_layer(part.source, list)
  if why == nil then
    return { type = "overlay", target = part.target, lower = { part.source }, layer = "part", part = true,
      kept = spec.layers.upper and true, ro = spec.read_only or nil, userxattr = spec.layers.userxattr }
  end
  part.ro = true
  return part, why and not is_covered(spec, part.target) and { path = part.source, errno = EROFS, why = why } or nil
end

--- Changes the parts of a root for its layers; found.places: what its lowest layer is to have.
local function take_parts(found, spec, host)
  local list, errno = mountinfo.list()
  if not list then return nil, errno end
  local parts, places = { left_out = found.parts.left_out }, found.places
  for _, part in ipairs(found.parts) do
    local left
    if part.type == "symlink" then
      places[#places + 1] = { path = part.target, to = part.to }
    elseif is_directory(part.source, host) then
      places[#places + 1] = { path = part.target, mode = DIRECTORY_MODE }
      parts[#parts + 1], left = as_layer(part, spec, list)
    else
      part.ro = true
      places[#places + 1], parts[#parts + 1] = { path = part.target, mode = FILE_MODE, file = true }, part
    end
    parts.left_out[#parts.left_out + 1] = left
  end
  found.parts = parts
  return true
end

local DIRECTORIES = { tmpfs = true, proc = true, dev = true, sys = true, mqueue = true, overlay = true, dir = true }

--- The places of the spec's mounts that are directories.
local function add_places(found, spec, host)
  local is_part = {}
  for _, one in ipairs(found.places) do is_part[one.path] = true end
  local function add(m, target, mode)
    if is_part["/" .. target:match("[^/]*", 2)] or target == "/" then return end
    local directory = DIRECTORIES[m.type] or m.type == "bind"
      and is_directory(type(m.source) == "number" and ("/proc/self/fd/%d"):format(m.source) or m.source, host)
    if directory then found.places[#found.places + 1] = { path = target, mode = mode or DIRECTORY_MODE } end
  end
  for _, m in ipairs(spec.mounts) do add(m, m.target, m.type == "dir" and m.mode) end
  if spec.mount_proc then add({ type = "proc" }, spec.mount_proc) end
end

--- Whose the directories of an upper are to be, where the program's ids are others than ours.
local function owner_of(found, host)
  if not found.maps or host.euid ~= 0 or found.layers_idmap then return nil end
  local uid, gid = maps.outer(found.maps.uid, found.inner.uid), maps.outer(found.maps.gid, found.inner.gid)
  return uid and gid and { uid = uid, gid = gid }
end

--- Sets what is to be known of a root in layers: found.parts, found.places, and how its ids are mapped. true; or nil, step,
-- errno.
function layered.find(spec, host, found)
  local t = spec.layers
  found.places = {}
  local ok, errno = take_parts(found, spec, host)
  if not ok then return nil, { op = "open", path = "/proc/self/mountinfo", word = "root" }, errno end
  add_places(found, spec, host)
  local idmap = t.idmap
  if idmap == nil and spec.map == "range" and found.root then idmap = true end
  found.layers_idmap = idmap or nil
  local base = layers.base(t)
  if base and idmap then
    local by, owner = owners.idmap(base, host, true)
    if not by then return nil, { op = owner == ENOENT and "mkdir" or "idmap", path = base, word = "root" }, owner end
    found.base_idmap, found.base_owner = by, owner
  end
  found.upper_owner = base and owner_of(found, host)
  return true
end

return layered
