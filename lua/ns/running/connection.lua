--- A connection to a server in a box: made by `p:connect` and `c:connect`. It is read and written as a Lua file; what has an
-- event loop of its own takes its descriptor by `detach`.
-- @module ns.running.connection
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"

local connection = {}
local Connection = { __name = "ns.Connection" }
Connection.__index = Connection

--- Wraps a connected socket of the bag: two Lua files, as one cannot change between reading and writing. nil, message, errno
-- on failure.
function connection.new(bag, fd, text)
  local other, message, errno = bag:dup(fd)
  if not other then return nil, message, errno end
  local input, output
  input, message, errno = bag:file(other, "w")
  if input then output, message, errno = bag:file(fd, "t") end
  if not output then return nil, message, errno end
  input:setvbuf("no")
  return setmetatable({ input = input, output = output, text = text }, Connection)
end

--- Is it a connection?
function connection.is(value)
  return getmetatable(value) == Connection
end

local function open_fd(self)
  return io.type(self.output) == "file" and core.fileno(self.output)
    or check.raise "attempt to use a closed connection"
end

local check_seconds, EAGAIN = check.seconds(0, 1e6), core.constants.errno.EAGAIN

--- What a method of a Lua file returns, whose mistakes are those of whoever has called ours.
local function relayed(done, ...)
  core.limit(-1)
  local result, _, errno = ...
  if done and not result and errno == EAGAIN then return nil, "timeout", EAGAIN end
  if done then return ... end
  check.raise("%s", (tostring((...)):gsub("^[^\n]-:%d+: ", "")))
end

--- How long a `read` or a `write` may take, all in all: then it returns nil, "timeout", errno. What had come of a line by
-- then is lost, and how much was written is not known.
-- @number[opt] seconds without it, as at first: as long as it takes; 0: what is there now
-- @return the connection
function Connection:settimeout(seconds)
  if seconds ~= nil then
    local ok, mistake = pcall(check_seconds, seconds, "seconds")
    if not ok then check.raise("bad argument #1 to 'settimeout' (%s)", check.mistake(mistake) or mistake) end
  end
  open_fd(self)
  self.seconds = seconds
  return self
end

--- Writes to the server. As file:write, without a buffer.
-- @param ... strings and numbers
-- @return the connection; or nil, message, errno, "timeout" where the server takes nothing for so long
function Connection:write(...)
  open_fd(self)
  core.limit(core.fileno(self.input), self.seconds)
  local ok, message, errno = relayed(pcall(self.input.write, self.input, ...))
  if not ok then return nil, message, errno end
  return self
end

--- Reads what the server says. As file:read; nil when it has closed its side.
-- @param ... formats: "*l", "*a", a number of bytes
-- @return what file:read returns; nil, "timeout", errno
function Connection:read(...)
  core.limit(open_fd(self), self.seconds)
  return relayed(pcall(self.output.read, self.output, ...))
end

--- Iterates over the lines that the server says. As file:lines.
-- @treturn function an iterator
-- @raise in a round in which one could not be read
function Connection:lines()
  return function()
    local line, message = self:read("*l")
    if message then error(message, 2) end
    return line
  end
end

--- Tells the server that nothing more will be written; what it says can still be read.
-- @return true; or nil, message, errno
-- @see shutdown(2)
function Connection:shutdown()
  return core.shutdown(open_fd(self))
end

--- Its descriptor, which stays the connection's own: as a stream of a spec, and for LuaSocket's select.
-- @treturn integer
function Connection:getfd()
  return open_fd(self)
end

--- For LuaSocket's select: is there something that was read ahead?
-- @treturn boolean
function Connection:dirty()
  return core.ahead(self.output) > 0
end

--- Gives its descriptor away, to a library that has sockets of its own: luv's `tcp:open`, `fdopen` of cqueues. It does not
-- block, is closed on exec, and is yours; the connection itself is closed.
-- @treturn integer a descriptor; or nil, message, errno
-- @raise if something was read from it already, of which a part may be lost
function Connection:detach()
  local fd = open_fd(self)
  if core.ahead(self.output) > 0 then check.raise "something was read ahead already: detach comes first" end
  local other, message, errno = core.detach(fd)
  if other then self:close() end
  return other, message, errno
end

--- Closes it. May be called again.
-- @return true
function Connection:close()
  for _, file in ipairs { self.input, self.output } do
    if io.type(file) == "file" then file:close() end
  end
  return true
end

function Connection:__tostring()
  return ("ns.Connection (%s%s)"):format(self.text, io.type(self.output) == "file" and "" or ", closed")
end

Connection.__close = Connection.close
check.methods(connection.is, Connection,
  { settimeout = 1, lines = 0, shutdown = 0, getfd = 0, dirty = 0, detach = 0, close = 0 })

return connection
