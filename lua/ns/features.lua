--- What this machine allows to this user, found out by trying. To add a feature: a row in `rows`.
-- @module ns.features
local core = require "ns.core"
local ids = require "ns.ids"
local namespaces = require "ns.namespaces"

local features = {}

local function try(spec)
  spec.argv = { "/proc/self/exe" }
  spec.stdin, spec.stdout, spec.stderr = "null", "null", "null"
  return features.check(spec)
end

local function read(path)
  local f = io.open(path)
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

--- The flags for a kind of namespace: an ordinary user needs a user namespace around it.
local function flags_for(...)
  local flags, root = { ... }, core.ids().euid == 0
  if not root and flags[1] ~= "user" then table.insert(flags, 1, "user") end
  return flags
end

local function syscall(name)
  return function() return core.syscall_works(name) end
end

local function overlay()
  return try { flags = { "user", "mount" }, mounts = {
    { type = "overlay", lower = "/etc", target = "/etc" } } }
end

local function idmap()
  if not ids.is_root(core.ids()) then return nil, "only root can map the ids of a tree of the host" end
  return try { flags = { "user", "mount" }, map = "range", root = "empty", mounts = {
    { type = "bind", source = "/etc", target = "/etc", idmap = true }, { type = "bind", source = "/proc", ro = true } } }
end

local function memfd()
  local mode = tonumber((read("/proc/sys/vm/memfd_noexec") or "0"):match("%d+"))
  if mode == 2 then return nil, "vm.memfd_noexec is 2: the host is copied instead" end
  return core.syscall_works("memfd_create")
end

local function controllers()
  local list = read("/sys/fs/cgroup/cgroup.controllers")
  if not list then return nil, "no cgroup v2 at /sys/fs/cgroup" end
  if not list:find("%a") then return nil, "cgroup v2 has no controllers" end
  return true, list:gsub("%s+$", "")
end

local function landlock()
  return core.syscall_works("landlock_create_ruleset")
end

local function seccomp()
  if read("/proc/sys/kernel/seccomp/actions_avail") then return true end
  return nil, "the kernel has no seccomp filters"
end

local function newuidmap()
  for dir in (os.getenv("PATH") or "/usr/bin"):gmatch("[^:]+") do
    if core.access(dir .. "/newuidmap", 1) then
      local ranges = read("/etc/subuid")
      if ranges and ranges:find("%d") then return true end
      return nil, "/etc/subuid gives no ranges"
    end
  end
  return nil, "not installed: apt-get install uidmap"
end

--- What is asked, and how: true, or nil and the reason.
local rows = {
  { "overlay", overlay },
  { "idmapped_mounts", idmap },
  { "mount_api", syscall "fsopen" },
  { "mount_setattr", syscall "mount_setattr" },
  { "openat2", syscall "openat2" },
  { "close_range", syscall "close_range" },
  { "clone3", syscall "clone3" },
  { "memfd_exec", memfd },
  { "pidfd", syscall "pidfd_open" },
  { "pidfd_info", function() return core.pidfd_info() end },
  { "keyring", syscall "keyctl" },
  { "cgroup_controllers", controllers },
  { "seccomp", seccomp },
  { "landlock", landlock },
  { "newuidmap", newuidmap },
}
for i, row in ipairs(namespaces.list) do
  table.insert(rows, i, { row.name, function() return try { flags = flags_for(row.name) } end })
end

--- {[name] = {ok = true} or {ok = false, reason = "..."}}
function features.all()
  local result = {}
  for _, row in ipairs(rows) do
    local ok, reason = row[2]()
    result[row[1]] = { ok = ok and true or false, reason = not ok and reason or nil }
  end
  return result
end

return features
