--- Which namespaces are joined, and how the host opens them: before there is a process, with its own rights. A process is
-- held by a pidfd meanwhile, so that all of them are of one.
-- @module ns.start.join
require("ns.core").nojit()
local core = require "ns.core"
local ids = require "ns.start.ids"
local namespaces = require "ns.words.namespaces"
local subids = require "ns.start.subids"

local errno_of = core.constants.errno

local join = {}

--- The number in /proc of who has them; or nil, message, errno.
function join.number_of(from)
  if from.handle and from.handle:isclosed() then return nil, core.strerror(errno_of.ESRCH), errno_of.ESRCH end
  if from.handle then return from.handle:proc_pid() end
  local bag = core.bag()
  local pidfd, message, errno = bag:pidfd(from.pid)
  local number
  if pidfd then number, message, errno = core.proc_pid(pidfd) end
  bag:close()
  return number, message, errno
end

--- Those of a process that are wanted, and are not the host's own: {[name] = path}; or nil, errno.
local function of_process(number, wanted, host)
  local paths = {}
  for _, row in ipairs(namespaces.list) do
    local path = ("/proc/%d/ns/%s"):format(number, row.file)
    local own, theirs = host.readlink("/proc/self/ns/" .. row.file), host.readlink(path)
    if own and not theirs then
      local _, _, errno = host.access(path, 0)
      return nil, errno == errno_of.ENOENT and errno_of.ESRCH or errno or errno_of.EACCES
    end
    if own ~= theirs and wanted(row.name) then paths[row.name] = path end
  end
  return paths
end

--- The paths of what `from` has: {[name] = path}, and its number; or nil, errno, its number if there is one.
local function of_from(spec, host)
  local word = spec.join
  local number, _, errno = host.number_of(word.from)
  if not number then return nil, errno end
  local paths, why = of_process(number, function(name)
    if word.names then return word.names[name] end
    return not spec.flags[name] and not word.given[name]
  end, host)
  return paths, why or number, number
end

--- What is joined by a checked spec: {kinds = {[name] = {path=|fd=, of=}}, fds = {}; pid: of who has them; admin, groups:
-- may the host enter, and drop its groups; ids: the maps of the user namespace among them, empty where they are not known};
-- or nil, step, errno.
function join.find(spec, host)
  local word, kinds = spec.join, {}
  local found = { kinds = kinds, fds = {}, admin = ids.has(host, "SYS_ADMIN"),
    groups = ids.has(host, "SETGID") and subids.machine(host).setgroups ~= "deny" }
  for name, one in next, word.given do kinds[name] = one end
  if word.from then
    local paths, errno, number = of_from(spec, host)
    found.pid = number
    local step = { op = "pidfd", from = word.from, pid = number or word.from.pid, word = "join" }
    if not paths then return nil, step, errno end
    for name, path in next, paths do kinds[name] = { path = path, of = word.from } end
  end
  if kinds.user then
    found.ids = kinds.user.of and host.maps_of(found.pid) or {}
    if not (found.ids.uid and found.ids.uid[1] and found.ids.gid[1]) then found.ids = {} end
  end
  return found
end

--- Holds who has them, in the bag of the start.
function join.pidfd(step, start)
  local from, message, errno = step.from, nil, nil
  if from.handle then
    if from.handle:isclosed() then return nil, step, errno_of.ESRCH end
    start.target = from.handle:getfd()
  else
    start.target, message, errno = start.bag:pidfd(from.pid)
  end
  return start.target and true, step, errno, message
end

--- The name of the kind that a descriptor is; or nil, errno.
local function kind_of(fd)
  local flag, _, errno = core.namespace(fd)
  for _, row in ipairs(flag and namespaces.list or {}) do
    if namespaces.flag(row.name) == flag then return row.name end
  end
  return nil, errno
end

--- Opens one, and looks whether it is what it should be.
function join.open_ns(step, start)
  local fd, errno, _ = step.fd, nil, nil
  if not fd then fd, _, errno = start.bag:open(step.path, core.constants.open.RDONLY) end
  if step.from and (core.has_ended(start.target) or errno == errno_of.ENOENT) then return nil, step, errno_of.ESRCH end
  if not fd then return nil, step, errno end
  step.is, errno = kind_of(fd)
  if step.is ~= step.namespace then return nil, step, step.is and errno_of.EINVAL or errno end
  start.found.join.fds[step.namespace] = fd
  return true
end

--- The host's /proc, for what the launcher has to ask there when it is in another mount namespace.
function join.open_proc(step, start)
  local fd, _, errno = start.bag:open(step.path, core.constants.open.RDONLY)
  start.found.join.fds.proc = fd
  return fd and true, step, errno
end

return join
