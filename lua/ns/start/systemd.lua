--- systemd makes the groups where it manages them: a scope for each host, which a small process of ours keeps there, as
-- systemd takes an empty one away. It is delegated, so what lies below it is ours.
-- @module ns.start.systemd
require("ns.core").nojit()
local core = require "ns.core"
local dbus = require "ns.start.dbus"
local errno_of = core.constants.errno

local systemd = {}

local TOP, SYSTEMD = "/sys/fs/cgroup", "org.freedesktop.systemd1"

--- The sockets by which a manager is asked: its own first, then a bus. A user's may be elsewhere than his session says.
local function sockets(uid)
  if uid == 0 then return { { "/run/systemd/private" }, { "/run/dbus/system_bus_socket", SYSTEMD } } end
  local list, usual = {}, ("/run/user/%d"):format(uid)
  for _, directory in ipairs { os.getenv "XDG_RUNTIME_DIR" or usual, usual } do
    list[#list + 1] = { directory .. "/systemd/private" }
    list[#list + 1] = { directory .. "/bus", SYSTEMD }
  end
  return list
end

local function read(path)
  local f = io.open(path)
  local text = f and f:read("*a")
  if f then f:close() end
  return text or ""
end

local function no_manager(uid)
  return uid == 0 and "systemd does not answer" or ("systemd runs, but no manager of this user: loginctl enable-linger %d, "
    .. "or systemctl start user@%d, as root"):format(uid, uid)
end

--- The place that systemd gives a host whose own group is `own`: nothing is asked of it yet. A user may move processes only
-- within what his manager has; from outside of that, as from a login session, systemd has to move them.
function systemd.place(own)
  local uid = core.ids().euid
  local found
  for _, row in ipairs(sockets(uid)) do found = found or core.access(row[1], 2) and true end
  if not found then
    return nil, { op = "group", path = own, word = "limits", hint = no_manager(uid) }, errno_of.ENOENT
  end
  local clones = uid == 0 or own:find(("/user@%d.service/"):format(uid), 1, true) ~= nil
  return { how = "systemd", name = "a scope of systemd", uid = uid, clones = clones }
end

local function connect(place)
  local message, errno
  for _, row in ipairs(sockets(place.uid)) do
    place.bus, message, errno = dbus.connect(row[1], row[2])
    if place.bus then return true end
  end
  return nil, message, errno
end

--- Calls a method of the manager. Where the connection was lost meanwhile, as when systemd was executed anew, there is
-- another one.
local function ask(place, member, signature, values)
  local call = { path = "/org/freedesktop/systemd1", interface = SYSTEMD .. ".Manager", member = member,
    signature = signature, values = values }
  for attempt = 1, 2 do
    if not place.bus then
      local ok, message, errno = connect(place)
      if not ok then return nil, message, errno end
    end
    local answer, message, errno, name = dbus.ask(place.bus, call)
    if answer or name then return answer, message, errno, name end
    place.bus.socket:close()
    place.bus = nil
    if attempt == 2 or errno == errno_of.ETIMEDOUT then return nil, message, errno end
  end
end

--- The group that systemd has moved a process to, once it has: its directory. The answer to the call comes before that.
local function await_move(keeper, pid, unit)
  local deadline = core.clock() + 20
  while core.clock() < deadline do
    local path = read(("/proc/%d/cgroup"):format(pid)):match("0::(/[^\n]*)")
    if path and path:find("/" .. unit, 1, true) then return TOP .. path end
    if select(2, keeper:wait(0.002)) == "exit" then return nil end
  end
end

local function start_scope(place, name, pid)
  for i = 1, 100 do -- other Lua states of this process have theirs
    local unit = ("%s%s.scope"):format(name, i > 1 and "-" .. i or "")
    local properties = { { "Description", { "s", "Programs of ns" } }, { "PIDs", { "au", { pid } } },
      { "Delegate", { "b", true } }, { "CollectMode", { "s", "inactive-or-failed" } } }
    local ok, message, errno, kind = ask(place, "StartTransientUnit", "ssa(sv)a(sa(sv))", { unit, "fail", properties, {} })
    if ok then return unit end
    if not (kind or ""):find "UnitExists" then return nil, message, errno end
  end
end

--- Has the scope made, with a process of ours that keeps it: true; or nil, the step, errno.
function systemd.open(place, name)
  local step = { op = "group", path = place.name, word = "limits" }
  local keeper, what, errno = core.launch(0, {}, "may")
  if not keeper then return nil, { op = what, namespaces = {} }, errno end
  local pid, ok, path = what, false, nil
  local message
  place.unit, message, errno = start_scope(place, name, pid)
  if place.unit then path = await_move(keeper, pid, place.unit) end
  if path then ok, message, errno = core.mkdir(path .. "/keeper") end
  if ok then ok, message, errno = ask(place, "AttachProcessesToUnit", "ssau", { place.unit, "/keeper", { pid } }) end
  if ok then
    place.path, place.keeper = path, keeper
    return true
  end
  keeper:close()
  step.hint = message and "systemd says: " .. message
  return nil, step, errno or errno_of.ETIMEDOUT
end

--- Keeps a scope that another host has had made, and what its groups tell, for as long as the handle lives that is
-- returned; nil where that cannot be.
function systemd.keep(path)
  local keeper, pid = core.launch(0, {}, "may")
  if not keeper or core.write(path .. "/keeper/cgroup.procs", ("%d"):format(pid)) then return keeper end
  local place = { uid = core.ids().euid }
  local ok = ask(place, "AttachProcessesToUnit", "ssau", { path:match "[^/]+$", "/keeper", { pid } })
  if place.bus then place.bus.socket:close() end
  if ok then return keeper end
  keeper:close()
end

--- Moves a process into a group below the scope: true; or nil, message, errno.
function systemd.attach(place, name, pid)
  return ask(place, "AttachProcessesToUnit", "ssau", { place.unit, "/" .. name, { pid } })
end

return systemd
