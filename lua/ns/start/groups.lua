--- The control group of a start: what it is to have is found out, then it is made in its place (`ns.start.group_places`).
-- @module ns.start.groups
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local errors = require "ns.start.errors"
local limits = require "ns.words.limits"
local places = require "ns.start.group_places"
local systemd = require "ns.start.systemd"
local errno_of = core.constants.errno

local groups = {}

local TOP = "/sys/fs/cgroup"

local function read(path) return places.machine.read(path) end

local function words_of(path)
  local set = {}
  for word in (read(path) or ""):gmatch("%S+") do set[word] = true end
  return set
end

-- ---- what is asked for ----

local DELEGATE = "give it to the managers of users: systemctl edit user@.service, [Service] "
  .. "Delegate=cpu cpuset io memory pids"

--- Why a controller cannot be had.
local function no_controller(name, place)
  if words_of(TOP .. "/cgroup.controllers")[name] then
    return ("the %s controller is not given to %s%s"):format(name, place.path or "this user",
      place.how == "systemd" and core.ids().euid ~= 0 and "; " .. DELEGATE or "")
  end
  local hierarchy = ("\n" .. (read("/proc/cgroups") or "")):match("\n" .. name .. "%s+(%d+)")
  if hierarchy and hierarchy ~= "0" then
    return ("the %s controller belongs to cgroup v1 here, and limits need v2: boot with "
      .. "systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"):format(name)
  end
  return ("this kernel has no %s controller, or it was booted with cgroup_disable=%s"):format(name, name)
end

local WISHED = { "memory", "pids", "cpu" } -- for what `usage` tells

--- Switches controllers on for the groups below: true; or nil, the step, errno.
local function enable(place, files)
  local there, on, asked = words_of(place.path .. "/cgroup.controllers"), nil, {}
  for _, file in ipairs(files) do asked[file.controller] = file.word end
  for _, name in ipairs(WISHED) do asked[name] = asked[name] or false end
  for name, word in next, asked do
    if word and not there[name] then
      return nil, { op = "group", path = place.path, word = word, hint = no_controller(name, place) }, errno_of.EOPNOTSUPP
    end
    on = on or words_of(place.path .. "/cgroup.subtree_control")
    if there[name] and not on[name] then
      local path = place.path .. "/cgroup.subtree_control"
      local ok, _, errno = core.write(path, "+" .. name)
      if not ok and word then return nil, { op = "write", path = path, data = "+" .. name, word = word }, errno end
    end
  end
  return true
end

local function smallest(path, file, pick)
  local least = math.huge
  while #path >= #TOP do
    local n = tonumber(pick(read(("%s/%s"):format(path, file)) or "") or nil)
    if n then least = math.min(least, n) end
    path = path:match("^(.+)/[^/]+$")
  end
  return least
end

local function number(text) return text:match("^%d+") end

local function rate(text)
  local quota, period = text:match("^(%d+) (%d+)")
  return quota and tonumber(quota) / tonumber(period)
end

--- "8:0" for /dev/sda.
local function disk(path)
  local name = (core.realpath(path) or path):match("([^/]+)$")
  local numbers = (read(("/sys/class/block/%s/dev"):format(name)) or ""):match("%d+:%d+")
  if numbers then return numbers end
  error({ refused = errno_of.ENODEV, op = "limit", path = "io.max", word = "limits.io", hint = path .. " is no disk" }, 0)
end

--- What the host may use itself, so what there can be a share of.
local function capacity(place)
  local path = place.path or TOP
  local total = (read("/proc/meminfo") or ""):match("MemTotal:%s+(%d+) kB")
  local threads = tonumber((read("/proc/sys/kernel/threads-max"))) or math.huge
  return { memory = math.min(smallest(path, "memory.max", number), tonumber(total) and tonumber(total) * 1024 or math.huge),
    pids = math.min(smallest(path, "pids.max", number), threads),
    cpu = math.min(smallest(path, "cpu.max", rate), core.processors()), disk = disk }
end

local function fail(method, text, ...) check.raise("bad argument #1 to '%s' (%s)", method, text:format(...)) end

--- New limits for a living box: true; or nil, message, errno, detail.
function groups.change(box, wanted)
  local ok, checked = pcall(limits.check_change, wanted, "limits")
  local mistake = not ok and check.mistake(checked)
  if mistake then fail("limits", "%s", mistake) end
  if not ok then error(checked, 0) end
  if not box.spec.limits then fail("limits", "the container was started without the word 'limits'") end
  if not box.group or box.group:isgone() then return nil, "the container is closed", errno_of.ESRCH end
  local place = box.found.group.place
  local known, files = pcall(function() return limits.files(checked, capacity(place), false) end)
  if not known then return errors.caught(files) end
  for _, file in ipairs(files) do
    local done, _, errno = box.group:write(file.file, file.data)
    if not done then return errors.refused({ op = "limit", path = file.file, data = file.data, word = file.word }, errno) end
  end
  return true
end

--- Gives a box that was found by its name the group that it has, which may be gone. `ours`: where we have a handle already.
function groups.adopt(box, ours)
  local above, name = (box.group_path or ""):match("^(/.+)/([^/]+)$")
  if not (name and name:find "^ns%-%d+%-%d+%-%d+%-detached$") then return end
  box.group, box.found.group = ours or core.open_cgroup(box.group_path), { place = { path = above } }
  if box.group and not ours and above:find "%.scope$" then box.keeper = systemd.keep(above) end
end

local NOTHING = { memory = math.huge, pids = math.huge, cpu = 1, disk = disk }

--- What is known of the group for these limits before it is made: { path, by, place, files, opened }.
function groups.find(wanted)
  local place, step, errno = places.find(wanted)
  if not place then return nil, step, errno end
  local most = limits.asks(wanted) and capacity(place) or NOTHING
  local by = not place.clones and "systemd" or core.syscall_works "clone3" and "clone" or "host"
  return { path = place.path or place.name, by = by, place = place, files = limits.files(wanted, most, true), opened = {} }
end

-- ---- making one ----

--- When a process was started; nil if there is none.
local function started(pid)
  return (read(("/proc/%s/stat"):format(pid)) or ""):match(".*%)" .. (" %S+"):rep(19) .. " (%d+)")
end

--- Takes away what hosts that were killed have left, and what has outlived its host and has ended since.
local function sweep(path)
  for _, entry in ipairs(core.entries(path) or {}) do
    local pid, start, rest = entry.name:match("^ns%-(%d+)%-(%d+)%-(.+)$")
    local outlives = pid and rest:find "detached"
    if pid and (outlives or started(pid) ~= start) then
      core.sweep_group(path .. "/" .. entry.name, not (outlives or rest == "host"))
    end
  end
end

--- The same for scopes of systemd, which stay as long as a program of such a host is in them.
local function sweep_scopes(own)
  local slice = own:match("^(.+)/[^/]+$")
  for _, entry in ipairs(core.entries(slice) or {}) do
    if entry.name:find "^ns%-%d+%-%d+.*%.scope$" then sweep(slice .. "/" .. entry.name) end
  end
end

--- A leaf for ourselves, so that there is nobody in the group that is divided.
local function move_into_leaf(place, name)
  local leaf = ("%s/%s-host"):format(place.path, name)
  local ok, _, errno = core.mkdir(leaf)
  if not ok and errno ~= errno_of.EEXIST then return nil, { op = "group", path = place.path, word = "limits" }, errno end
  for _ = 1, 10 do
    local text = read(place.path .. "/cgroup.procs") or ""
    if not text:find("%d") then return true end
    for pid in text:gmatch("%d+") do
      local moved, _, why = core.write(leaf .. "/cgroup.procs", pid)
      if not moved and why ~= errno_of.ESRCH then
        return nil, { op = "write", path = leaf .. "/cgroup.procs", data = pid, word = "limits" }, why
      end
    end
  end
  return nil, { op = "group", path = place.path, word = "limits" }, errno_of.EBUSY
end

--- Before the first group in it: true; or nil, the step, errno.
local function prepare(place)
  if place.prepared then return true end
  local name = ("ns-%d-%s"):format(places.machine.ids().pid, started "self" or "0") -- who we are
  if place.how == "systemd" then
    local ok, step, errno = systemd.open(place, name)
    if not ok then return nil, step, errno end
    sweep_scopes(place.path)
  else
    sweep(place.path)
  end
  if place.leaf then
    local ok, step, errno = move_into_leaf(place, name)
    if not ok then return nil, step, errno end
  end
  place.prepared = name
  return true
end

local count = 0

--- A group of a name that no other Lua state of this process has taken: it; or nil, what, errno.
local function make_next(place, ending)
  while true do
    count = count + 1
    local name = ("%s-%d%s"):format(place.prepared, count, ending)
    local group, _, errno = core.cgroup(place.path .. "/" .. name)
    if group then return group, name end
    if errno ~= errno_of.EEXIST then return nil, nil, errno end
  end
end

local function make(step, start)
  local of, place = start.found.group, start.found.group.place
  local ok, shown, errno = prepare(place)
  if ok then ok, shown, errno = enable(place, of.files) end
  if not ok then return nil, shown, errno end
  start.group, of.name, errno = make_next(place, step.detached and "-detached" or "")
  return start.group ~= nil, { op = "group", path = place.path, word = "limits" }, errno
end

--- Makes the group of a start: true; or nil, the step, errno. A place that is gone is looked for anew at the next start.
function groups.make(step, start)
  local ok, shown, errno = make(step, start)
  local place = start.found.group.place
  if not (ok or place.prepared and errno ~= errno_of.ENOENT) then places.forget(place) end
  return ok, shown, errno
end

--- Opens a file of the group for the launcher, which writes it.
function groups.open_limit(step, start)
  local path = ("/proc/self/fd/%d/%s"):format(start.group:getfd(), step.path)
  local fd, _, errno = start.bag:open(path, core.constants.open.WRONLY)
  start.found.group.opened[step.path] = fd or false
  if fd or errno == step.ignore then return true end
  return nil, { op = "limit", path = step.path, word = step.word }, errno
end

--- Writes a file of the group.
function groups.limit(step, start)
  local ok, _, errno = start.group:write(step.path, step.data)
  return ok, step, errno
end

--- Moves the launcher into the group. One that has ended already says itself why, where it is asked.
function groups.attach(step, start)
  local of, pid = start.found.group, start.handle:pid()
  local ok, _, errno
  if of.by == "systemd" then
    ok, _, errno = systemd.attach(of.place, of.name, pid)
  else
    ok, _, errno = start.group:write("cgroup.procs", ("%d"):format(pid))
  end
  if ok or select(2, start.handle:wait(0)) ~= "timeout" then return true end
  return nil, step, errno
end

return groups
