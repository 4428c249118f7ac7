--- Our side of a program's own terminal: the field `pty` of a process whose spec has that word.
-- @module ns.running.pty
require("ns.core").nojit()
local core = require "ns.core"

local EBADF = core.constants.errno.EBADF

local pty = {}
local Pty = { __name = "ns.Pty" }
Pty.__index = Pty

--- Wraps the master: two Lua files, as one cannot change between reading and writing. Each keeps `kept` alive.
-- nil, message, errno on failure.
function pty.new(bag, master, kept)
  local other, message, errno = bag:dup(master)
  if not other then return nil, message, errno end
  local input, output
  input, message, errno = bag:file(other, "w", kept)
  if input then output, message, errno = bag:file(master, "t", kept) end
  if not output then return nil, message, errno end
  input:setvbuf("no")
  return setmetatable({ input = input, output = output, fd = master }, Pty)
end

--- Types into the terminal. As file:write, without a buffer.
-- @param ... strings and numbers
-- @return what file:write returns
-- @see pty(7)
function Pty:write(...)
  return self.input:write(...)
end

--- Reads what the program shows. As file:read; at the program's end nil.
-- @param ... formats: "*l", "*a", a number of bytes
-- @return what file:read returns
function Pty:read(...)
  return self.output:read(...)
end

--- Iterates over the lines that the program shows. As file:lines.
-- @treturn function an iterator
function Pty:lines()
  return function() return self:read("*l") end
end

--- Tells the program the size of its window. As `p:resize`.
-- @tparam integer rows lines of text
-- @tparam integer cols characters
-- @return true; or nil, message, errno (EBADF after it was closed)
-- @see ioctl_tty(2)
function Pty:resize(rows, cols)
  if io.type(self.output) ~= "file" then return nil, core.strerror(EBADF), EBADF end
  return core.resize(self.fd, rows, cols)
end

--- Hangs up: the program gets a SIGHUP.
function Pty:close()
  for _, file in ipairs { self.input, self.output } do
    if io.type(file) == "file" then file:close() end
  end
end

return pty
