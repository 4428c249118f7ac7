--- How the host comes to a server in a box, with or without an interface between the two: the init makes a socket of the
-- box's network, which the host connects; or a job of a living box connects it, where only there the path is known.
-- @module ns.running.connect
require("ns.core").nojit()
local check = require "ns.words.check"
local connection = require "ns.running.connection"
local core = require "ns.core"
local endpoint = require "ns.words.endpoint"

local errno_of = core.constants.errno

local connect = {}

-- Seconds between two attempts: at first, at the most, and by how much they grow.
local FIRST, MOST, GROWTH = 0.001, 0.05, 1.5

-- What a server gives that is not there yet, or has too much to do.
local NOT_YET = {}
for _, name in ipairs { "ECONNREFUSED", "ENOENT", "EAGAIN", "ECONNRESET" } do NOT_YET[errno_of[name]] = true end

local function left(deadline) return deadline and math.max(0, deadline - core.clock()) or -1 end

--- Calls until no signal has come between: those that are waited for run in between, a Ctrl-C too.
local function patiently(f, ...)
  while true do
    local result, message, errno = f(...)
    if result or errno ~= errno_of.EINTR then return result, message, errno end
  end
end

--- A socket of the network of that init, connected to the address: its descriptor.
local function dial(bag, handle, address, deadline)
  local fd, message, errno = patiently(function() return core.inside_socket(bag, handle, address, left(deadline)) end)
  if not fd then return nil, message, errno end
  local ok
  ok, message, errno = patiently(function() return core.connect(fd, address, left(deadline)) end)
  if not ok then return nil, message, errno end
  return fd
end

--- The same by a job, for the path of a socket in a living box: the init's child connects it, and sends it to us.
local function dial_path(bag, handle, path, deadline)
  local plan = core.encode { { op = "connect", data = path } }
  local job, _, errno = patiently(function() return handle:start_job({}, plan, 0, left(deadline)) end)
  if not job then return nil, core.strerror(errno), errno end
  local ok, what, refused
  repeat ok, what, refused = job:play(plan, left(deadline)) until ok or what ~= "again"
  local fd, message, why = core.handed(bag, job)
  job:close()
  if ok and fd then return fd, message, why end
  if what == "timeout" then refused = errno_of.ETIMEDOUT end
  if ok or what == "died" or not refused or refused == 0 then refused = errno_of.ECONNRESET end
  return nil, core.strerror(refused), refused
end

--- The addresses in their order, until one does not refuse.
local function dial_any(bag, handle, server, deadline)
  local fd, message, errno
  for _, address in ipairs(server.addresses) do
    fd, message, errno = dial(bag, handle, address, deadline)
    if fd or errno ~= errno_of.ECONNREFUSED then break end
  end
  return fd, message, errno
end

local function open(bag, handle, server, deadline)
  local by = server.path and dial_path or dial_any
  local fd, message, errno = by(bag, handle, server.path or server, deadline)
  if not fd then return nil, ("connect to %s: %s"):format(server.text, message), errno end
  return connection.new(bag, fd, server.text)
end

--- A connection to what `endpoint.server` has read, by that init; or nil, message, errno.
local function to(handle, server, deadline)
  local bag = core.bag()
  local ok, c, message, errno = pcall(open, bag, handle, server, deadline)
  bag:close()
  if not ok then error(c, 0) end
  return c, message, errno
end

--- What was given to the method `name`, or a mistake at the caller's line.
local function read(where, seconds, name, has_paths)
  if seconds ~= nil and (type(seconds) ~= "number" or not (seconds >= 0)) then
    check.raise("bad argument #2 to '%s' (seconds expected, got %s)", name, check.show(seconds))
  end
  local ok, server = pcall(endpoint.server, where, "server")
  local mistake = not ok and (check.mistake(server) or error(server, 0))
  if ok and server.path and not has_paths then
    mistake = "server: a path is for a container, whose files are known inside"
  end
  if mistake then check.raise("bad argument #1 to '%s' (%s)", name, mistake) end
  return server, seconds and core.clock() + seconds
end

--- The method `connect` of what has that init.
function connect.open(handle, where, seconds, has_paths)
  local server, deadline = read(where, seconds, "connect", has_paths)
  return to(handle, server, deadline)
end

--- The method `wait_for`. `pause(seconds)`: waits so long, and returns in words what has ended meanwhile, if anything.
function connect.wait(handle, where, seconds, has_paths, pause)
  local server, deadline = read(where, seconds, "wait_for", has_paths)
  local step = FIRST
  while true do
    local c, message, errno = to(handle, server, deadline)
    if c then return c:close() end
    if not NOT_YET[errno] and errno ~= errno_of.ETIMEDOUT and errno ~= errno_of.ESRCH then return nil, message, errno end
    local rest = left(deadline)
    local over = pause(rest < 0 and step or math.min(step, rest))
    if over then return nil, over, errno_of.ESRCH end
    if rest == 0 then return nil, "timeout", errno_of.ETIMEDOUT end
    step = math.min(MOST, step * GROWTH)
  end
end

return connect
