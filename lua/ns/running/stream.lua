--- A stream of a process as an event loop wants it: a descriptor to poll, and what can be read or written at once. Made by
-- `p:stream`; the Lua file of the same name may be used beside it.
-- @module ns.running.stream
require("ns.core").nojit()
local core = require "ns.core"
local raise = require("ns.words.check").raise

local stream = {}
local Stream = { __name = "ns.Stream" }
Stream.__index = Stream

--- Makes one of a process's file, or of the two of a terminal. `poll` does what is due for the process.
function stream.new(process, poll, input, output)
  return setmetatable({ process = process, poll = poll, input = input, output = output, unwritten = "" }, Stream)
end

--- Is it a stream?
function stream.is(value)
  return getmetatable(value) == Stream
end

--- A loop that was told of it forgets it: before its file is closed.
function stream.forget(self)
  if self.watch then self.watch:cancel() end
  self.watch = nil
end

local function fd_of(file)
  return io.type(file) == "file" and core.fileno(file) or raise "attempt to use a closed stream"
end

--- The descriptor: for luv's new_poll, and for LuaSocket's select. It stays the stream's own.
-- @treturn integer
function Stream:getfd()
  return fd_of(self.output or self.input)
end

--- For LuaSocket's select: is there something that was read ahead, by `lines` and the like?
-- @treturn boolean
function Stream:dirty()
  return self.output ~= nil and core.ahead(self.output) > 0
end

--- For cqueues: the descriptor to poll.
-- @treturn integer
function Stream:pollfd()
  local fd = self:getfd()
  self.watch = self.watch or core.watch(fd)
  return fd
end

--- For cqueues: what to poll it for.
-- @treturn string "r"; "w" for stdin
function Stream:events()
  return self.output and "r" or "w"
end

--- For cqueues: seconds until something is due for the process. Then `read` and `write` see to it.
-- @treturn number or nil
function Stream:timeout()
  return self.process:timeout()
end

--- What is there to be read now, without waiting. Does what is due for the process, as `p:wait(0)`.
-- @treturn string "" if nothing is there yet; nil at the end; nil, message, errno
function Stream:read()
  if not self.output then raise "the stream cannot be read" end
  self.poll(self.process)
  fd_of(self.output)
  return core.read_now(self.output)
end

--- What the Lua file still has comes first: the string that is left of it.
local function write_pending(self, fd)
  local pending = self.unwritten .. core.pending(self.input)
  if pending == "" then return "" end
  local n, message, errno = core.write_now(fd, pending)
  if not n then return nil, message, errno end
  self.unwritten = pending:sub(n + 1)
  return self.unwritten
end

--- Writes as much as there is room for now, without waiting.
-- @tparam string bytes
-- @treturn integer how many bytes were taken; nil, message, errno (EPIPE when nobody reads)
function Stream:write(bytes)
  if not self.input then raise "the stream cannot be written" end
  if type(bytes) ~= "string" then raise("bad argument #1 to 'write' (string expected, got %s)", type(bytes)) end
  self.poll(self.process)
  local fd = fd_of(self.input)
  local left, message, errno = write_pending(self, fd)
  if left ~= "" then return left and 0, message, errno end
  return core.write_now(fd, bytes)
end

--- Closes it, and the Lua file.
function Stream:close()
  stream.forget(self)
  for _, name in ipairs { "input", "output" } do
    local file = self[name]
    if io.type(file) == "file" then file:close() end
  end
end

return stream
