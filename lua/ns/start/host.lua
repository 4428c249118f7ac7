--- What the host does for a start, before the launcher plays its plan: the steps that are `by = "host"`.
-- @module ns.start.host
require("ns.core").nojit()
local later = require("ns.words.later").module
local constants = require("ns.core").constants
local copy = require "ns.start.copy"
local core = require "ns.core"
local groups = later "ns.start.groups"
local join = later "ns.start.join"
local maps = require "ns.words.maps"
local mountinfo = require "ns.start.mountinfo"
local namespaces = require "ns.words.namespaces"
local pasta = later "ns.start.pasta"
local relay = require "ns.start.relay"
local overlay = later "ns.words.overlay"
local streams = require "ns.start.streams"

local errno_of = constants.errno

local host = {}

-- ---- trees ----

local function path_of(source)
  return type(source) == "number" and core.readlink(("/proc/self/fd/%d"):format(source)) or source
end

--- nil, or what is mounted below one of an overlay's directories as a refusal: an overlay shows what that covers, and the
-- kernel refuses it only where these mounts come from another user namespace.
local function uncovers(m, found)
  local place, _, errno = mountinfo.mount_below { m.lower[1] }
  if errno then return { op = "open", path = "/proc/self/mountinfo", word = "mounts" }, errno end
  if place then return overlay.step(m, found, 0), errno_of.EINVAL end
end

--- found.trees[mount]: its descriptor; false for one that is only tried, and missing; nil (or the source, if that is a
-- descriptor) for one that the launcher takes by its path.
local function open_tree(step, start)
  local m, found = step.mount, start.found
  local below = step.below or {}
  local fd, _, errno = start.bag:open_tree(below.rest or step.path, step.propagation, step.nofollow, below.top)
  if fd then
    local refused, why = nil, nil
    if m.type == "overlay" and not m.is_base then refused, why = uncovers(m, found) end
    found.trees[m] = fd
    return not refused, refused, why
  elseif m.try and errno == errno_of.ENOENT then
    found.trees[m] = false
  elseif step.may_fail and (errno == errno_of.EPERM or errno == errno_of.ENOSYS) then
    found.trees[m] = type(step.path) == "number" and step.path or nil
  else
    local path = path_of(step.path)
    return nil, { op = "open_tree", path = path, below = step.below, word = step.word, part = step.part }, errno
  end
  return true
end

--- The ranges for an idmapped mount: from ids on disk to ids of the host. nil: some of them are not mapped
local function disk_map(idmap, map, owner, program)
  if idmap == true then return map end
  local result = {}
  for i, r in ipairs(idmap == "owner" and { { owner, program, 1 } } or idmap) do
    local id, room = maps.outer(map, r[2])
    if not id or room < r[3] then return nil end
    result[i] = { r[1], id, r[3] }
  end
  return result
end

--- A user namespace with these maps, in a process that does nothing: the path of it, for as long as `start.holder` lives.
local function make_user(start, uid, gid)
  local wanted = maps.format(uid) .. maps.format(gid)
  if start.holder and start.held == wanted then return start.holding end
  local holder, what, errno = core.launch(constants.clone.NEWUSER, {}, "may")
  if not holder then return nil, { op = what, namespaces = { user = true } }, errno end
  if start.holder then start.holder:close() end
  start.held = nil
  start.holder = holder
  local pid, _, why = holder:proc_pid()
  if not pid then return nil, { op = "write", path = "/proc/PID/uid_map", data = "", word = "uid_map" }, why end
  for _, map in ipairs { { "gid_map", gid }, { "uid_map", uid } } do
    local step = { op = "write", path = ("/proc/%d/%s"):format(pid, map[1]), data = maps.format(map[2]), word = map[1] }
    local ok, _, refused = core.write(step.path, step.data)
    if not ok then return nil, step, refused end
  end
  start.held, start.holding = wanted, ("/proc/%d/ns/user"):format(pid)
  return start.holding
end

local function idmap(step, start)
  local m, found = step.mount, start.found
  local tree = found.trees[m]
  local shown = { op = "idmap", path = path_of(step.path), word = step.word, part = step.part }
  if not tree then return true end
  local uid, gid, refused, is_device = core.owner(tree)
  if not uid then return nil, shown, refused end
  if is_device and m.idmap == nil then return true end -- its mode says who may; and a /dev cannot have its ids mapped
  if step.owner then uid, gid = step.owner.uid, step.owner.gid end
  local uids = disk_map(step.idmap, found.maps and found.maps.uid, uid, found.inner.uid)
  local gids = disk_map(step.idmap, found.maps and found.maps.gid, gid, found.inner.gid)
  if not (uids and gids) then return nil, shown, errno_of.EINVAL end
  local user, what, errno = make_user(start, uids, gids)
  if not user then
    what.path, what.word = what.path or shown.path, what.word or shown.word
    return nil, what, errno
  end
  local ok, _, why = core.idmap(tree, user)
  return ok, shown, why
end

--- A directory of the host's, where it is missing; for the ids that are named. start.new has those that were.
local function mkdir(step, start)
  local ok, _, errno = core.mkdir(step.path, step.mode, step.uid, step.gid)
  if ok then start.new[#start.new + 1] = step.path end
  return ok or errno == errno_of.EEXIST, step, errno
end

local function remove_empty(path)
  for _, name in ipairs(core.layer_names(path, "") or {}) do
    local entry = core.layer_entry(path, name)
    if entry and entry.type == "directory" then remove_empty(path .. "/" .. name) end
  end
  os.remove(path)
end

--- Takes away again the directories that a start has made (`new`), and the empty ones that the launcher has made in them.
function host.unmake(new)
  for i = #new, 1, -1 do remove_empty(new[i]) end
end

-- ---- the process ----

local function give(step)
  for _, fd in ipairs(step.fds) do core.give(fd, step.uid, step.gid) end
  return true
end

local function clone(step, start)
  local flags = namespaces.clone_flags(step.namespaces)
  local grouped = step.grouped and (step.grouped ~= "clone" or start.group:getfd())
  local handle, what, errno = core.launch(flags, streams.inherited(start.found), start.copies, step.drop or false,
    step.joins and namespaces.clone_flags(step.joins), grouped)
  if handle == "copy" then copy.go_on(start) end
  if not handle then return nil, { op = what, namespaces = step.namespaces }, errno end
  start.handle, start.pid = handle, what
  return true
end

--- Writes a file of the process: the number in /proc may be that of another pid namespace.
local function write(step, start)
  local pid, _, unknown = start.handle:proc_pid()
  if not pid then return nil, step, unknown end
  local shown = { op = "write", path = step.path:gsub("PID", ("%d"):format(pid)), data = step.data, word = step.word }
  local ok, _, errno = core.write(shown.path, shown.data)
  return ok, shown, errno
end

--- newuidmap and newgidmap are programs: the caller is not trusted with more than its /etc/subuid.
local function run_helper(step, start)
  local pid, _, unknown = start.handle:proc_pid()
  if not pid then return nil, step, unknown end
  local argv = { step.op, ("%d"):format(pid) }
  for _, r in ipairs(step.map) do
    for i = 1, 3 do argv[#argv + 1] = ("%.0f"):format(r[i]) end
  end
  local why, errno = start.run(argv, start.deadline)
  return not errno, { op = step.op, word = "map", path = why }, errno
end

local PLAYERS = { pidfd = join.pidfd, open_ns = join.open_ns, open_proc = join.open_proc, open_tree = open_tree,
  idmap = idmap, mkdir = mkdir, give = give, group = groups.make, limit = groups.limit, open_limit = groups.open_limit,
  attach = groups.attach, clone = clone, write = write, newuidmap = run_helper, newgidmap = run_helper,
  pasta = pasta.attach, publish = relay.publish, resolve = relay.resolve }

--- Plays a step for `start`, {found=, bag=, copies=, deadline=, run=}, which gets handle and pid, and a holder of user
-- namespaces: true; or nil, the step as it reads, errno.
function host.play(step, start) return PLAYERS[step.op](step, start) end

return host
