--- Where the control groups of starts may lie (cgroup v2): below a group that is ours to divide, which is looked for once.
--
-- Nothing of a group that others manage is written: under systemd what is below a unit that was not delegated is taken back
-- at any time, without an error.
-- @module ns.start.group_places
require("ns.core").nojit()
local core = require "ns.core"
local systemd = require "ns.start.systemd"
local errno_of = core.constants.errno

local places = {}

local TOP = "/sys/fs/cgroup"
local READ, WRITE, ENTER = 4, 2, 3 -- as in access(2)

--- The whole of a file, or nil and an errno.
local function read(path)
  local f, _, errno = io.open(path)
  if not f then return nil, errno end
  local text = f:read("*a")
  f:close()
  return text
end

--- What is asked of the machine. Specs put others in its place.
places.machine = { read = read, access = core.access, is_cgroup2 = core.is_cgroup2, xattr = core.xattr, ids = core.ids }

local function refused(errno, path, hint) return nil, { op = "group", path = path, word = "limits", hint = hint }, errno end

local function is_there(path) return places.machine.access(path, READ) end

-- ---- our own ----

--- May we make groups in it, and put processes into them?
local function is_writable(path)
  for _, row in ipairs { { "", ENTER }, { "/cgroup.procs", WRITE }, { "/cgroup.subtree_control", WRITE } } do
    local ok, _, errno = places.machine.access(path .. row[1], row[2])
    if not ok then return false, errno end
  end
  return true
end

--- One that has processes cannot have groups with limits beside them: but for the root of all.
local function has_room(path)
  if not is_there(path .. "/cgroup.type") then return true end
  return not (places.machine.read(path .. "/cgroup.procs") or "0"):find("%d")
end

--- Has this process us as an ancestor?
local function is_below(pid, ours)
  for _ = 1, 64 do
    if pid == ours then return true end
    local parent = (places.machine.read(("/proc/%d/stat"):format(pid)) or ""):match(".*%) %S (%d+)")
    pid = tonumber(parent or "0")
    if pid < 2 then return pid == ours end
  end
end

--- Is nobody in it but we and what we have started?
local function is_alone(path)
  local ours = places.machine.ids().pid
  for pid in (places.machine.read(path .. "/cgroup.procs") or "0"):gmatch("%d+") do
    if not is_below(tonumber(pid), ours) then return false end
  end
  return true
end

--- A place in our own group or in one above it, up to `top`, which is ours.
local function own_place(own, top, how)
  local path, why = own, errno_of.EBUSY
  while true do
    local ok, errno = is_writable(path)
    if not ok then
      if path == own then why = errno end
      break
    end
    if has_room(path) then return { how = how, path = path } end
    if path == top then break end
    path = path:match("^(.+)/[^/]+$")
  end
  if why ~= errno_of.EBUSY then return refused(why, own) end
  if is_alone(own) then return { how = how, path = own, leaf = true } end
  return refused(why, own)
end

--- The unit of systemd's that a group belongs to: its directory.
local function unit_of(path)
  while path and #path > #TOP do
    if path:find("%.service$") or path:find("%.scope$") then return path end
    path = path:match("^(.+)/[^/]+$")
  end
end

--- Was it given to us to divide? That of a user's manager was, but to the manager.
local function is_delegated(unit)
  if unit:find("/user@%d+%.service$") then return false end
  local xattr = places.machine.xattr
  return xattr(unit, "user.delegate") == "1" or xattr(unit, "trusted.delegate") == "1"
end

--- Our own group: its directory; or nil, the step, errno.
local function own_group()
  if not places.machine.is_cgroup2(TOP) then return refused(errno_of.ENODEV, TOP) end
  local own = (places.machine.read("/proc/self/cgroup") or ""):match("0::(/[^\n]*)")
  local path = own and (TOP .. own):gsub("/$", "")
  if not own or own:find("^/%.%.") or not is_there(path .. "/cgroup.procs") then
    return refused(errno_of.ENOENT, TOP, "our own group is not below " .. TOP .. ": see /proc/self/cgroup")
  end
  return path
end

local function search()
  local own, step, errno = own_group()
  if not own then return nil, step, errno end
  if not is_there "/run/systemd/system" then
    return own_place(own, TOP, places.machine.is_cgroup2(TOP) and is_there(TOP .. "/cgroup.type") and "delegated" or "root")
  end
  local unit = unit_of(own)
  local place = unit and is_delegated(unit) and own_place(own, unit, "delegated") or nil
  if place then return place end
  return systemd.place(own)
end

-- ---- the one that is taken ----

--- One that the caller has named.
local function named(parent)
  local path = parent:gsub("(.)/+$", "%1")
  if places.machine.is_cgroup2(path) then return { how = "parent", path = path } end
  return refused(is_there(path) and errno_of.EINVAL or errno_of.ENOENT, path, "it is no directory of a cgroup v2")
end

--- The places that were found, by the parent that is named, or "". Of the machine: specs make up others.
local function kept()
  places.machine.kept = places.machine.kept or {}
  return places.machine.kept
end

--- The place is looked for anew.
function places.forget(place) kept()[place.parent] = nil end

--- The place for these limits: { how, path, ... }; or nil, the step, errno. Nothing is made yet.
function places.find(wanted)
  local pid, parent = places.machine.ids().pid, wanted.parent or ""
  local found = kept()[parent]
  if found and found.pid == pid then return found end -- a copy of us looks for its own
  local place, step, errno
  if wanted.parent then place, step, errno = named(parent) else place, step, errno = search() end
  if not place then return nil, step, errno end
  place.pid, place.parent = pid, parent
  if place.clones == nil then place.clones = true end
  kept()[parent] = place
  return place
end

return places
