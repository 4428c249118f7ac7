--- What this machine allows to this user, found out by trying. To add a feature: a row in `rows`.
-- @module ns.features
require("ns.core").nojit()
local core = require "ns.core"
local errors = require "ns.start.errors"
local ids = require "ns.start.ids"
local namespaces = require "ns.words.namespaces"
local ns = require "ns"
local places = require "ns.start.group_places"

local features = {}

local function try(spec)
  spec.argv = { "/proc/self/exe" }
  spec.stdin, spec.stdout, spec.stderr = "null", "null", "null"
  return ns.check(spec)
end

local function read(path)
  local f = io.open(path)
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

--- A kind of namespace: root's own, or in a user namespace.
local function namespace(name)
  return function()
    if core.ids().euid == 0 and try { flags = { name } } then return true end
    return try { flags = { "user", name ~= "user" and name or nil } }
  end
end

--- Is the call there, and not refused by a filter?
local function syscall(name)
  return function() return core.syscall_works(name) end
end

--- Mounts in a user namespace, so that an ordinary user may.
local function mounts(m)
  return function() return try { flags = { "user", "mount" }, mounts = { m } } end
end

--- The calls that say to everybody whether they are there, and then all of them by a mount.
local function mount_api()
  for _, name in ipairs { "open_tree", "fsconfig" } do
    local ok, reason = core.syscall_works(name)
    if not ok then return nil, reason end
  end
  return mounts { type = "mask", target = "/etc" } ()
end

local function idmap()
  if not ids.is_root(core.ids()) then return nil, "only root can map the ids of a tree of the host" end
  return try { flags = { "user", "mount" }, map = "range", mounts = { { type = "bind", source = "/etc", idmap = true } } }
end

local function memfd()
  local mode = tonumber((read("/proc/sys/vm/memfd_noexec") or "0"):match("%d+"))
  local ok, reason = try {}
  local way = core.launcher_way()
  if way == "memfd" then return ok, reason end
  return nil, (mode == 2 and "vm.memfd_noexec is 2" or "the system refuses it")
    .. (way == "file" and ": a temporary file is executed instead" or ": the host is copied instead")
end

local function controllers()
  local list = read("/sys/fs/cgroup/cgroup.controllers")
  if not list then return nil, "no cgroup v2 at /sys/fs/cgroup" end
  if not list:find("%a") then return nil, "cgroup v2 has no controllers" end
  return true
end

--- Would a program have limits, and where would its group lie?
local function limits()
  local ok, message = try { limits = { pids = 1000 } }
  if not ok then return nil, message end
  local place = places.find {}
  return true, nil, place and place.how
end

local function installed(name)
  for dir in (os.getenv("PATH") or "/usr/bin"):gmatch("[^:]+") do
    if core.access(dir .. "/" .. name, 1) then return true end
  end
end

local function newuidmap()
  local host = core.ids()
  if not installed "newuidmap" then return nil, "not installed: apt-get install uidmap" end
  if ids.is_root(host) then return true end -- who can do without
  local uid, gid = ids.maps({ map = "auto" }, host)
  if #uid == 1 or #gid == 1 then return nil, "/etc/subuid or /etc/subgid gives no ranges to this user" end
  return try { flags = "user", map = "auto" }
end

--- What is asked, and how: true, or nil and the reason; and which version it has, if it has some.
local rows = {
  { "overlay", mounts { type = "overlay", lower = "/usr/bin", target = "/usr/bin" } }, -- containers mount files in /etc
  { "idmapped_mounts", idmap },
  { "mount_api", mount_api },
  { "mount_setattr", syscall "mount_setattr" },
  { "openat2", syscall "openat2" },
  { "close_range", syscall "close_range" },
  { "clone3", syscall "clone3" },
  { "memfd_exec", memfd },
  { "pidfd", syscall "pidfd_open" },
  { "pidfd_info", function() return core.pidfd_info() end },
  { "keyring", syscall "keyctl" },
  { "limits", limits },
  { "cgroup_controllers", controllers },
  { "seccomp", syscall "seccomp" },
  { "landlock", core.landlock, core.landlock },
  { "newuidmap", newuidmap },
}
for i, row in ipairs(namespaces.list) do table.insert(rows, i, { row.name, namespace(row.name) }) end

--- The names of all, as a set.
function features.names()
  local names = {}
  for _, row in ipairs(rows) do names[row[1]] = true end
  return names
end

--- true; or false and the reason; nil, "unknown" where there is none of that name.
function features.one(name)
  for _, row in ipairs(rows) do
    if row[1] == name then
      local answered, ok, reason = pcall(row[2])
      if not answered then ok, reason = errors.caught(ok) end
      return ok and true or false, reason
    end
  end
  return nil, "unknown"
end

--- {[name] = {ok = true, abi = of landlock} or {ok = false, reason = "..."}}
function features.all()
  local result = {}
  for _, row in ipairs(rows) do
    local answered, ok, reason, how = pcall(row[2])
    if not answered then ok, reason = errors.caught(ok) end
    result[row[1]] = { ok = ok and true or false, reason = not ok and reason or nil, abi = row[3] and row[3]() or nil,
      how = how }
  end
  return result
end

return features
