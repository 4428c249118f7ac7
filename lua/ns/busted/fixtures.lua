--- What a test has beside it, and that is closed after it: living boxes, servers.
-- @module ns.busted.fixtures
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local harness = require "ns.busted.harness"
local ns = require "ns"
local stage = require "ns.busted.stage"

local fixtures = {}

local open = {} -- what is open, each with the element that it is closed with

--- The element with whose end something goes that is made now: the test, also in a before_each; or the block, in a setup.
local function owner()
  local context = harness.busted and harness.busted.context
  if stage.test or not context then return stage.test end
  local element = context.get()
  while element and element.descriptor ~= "describe" and element.descriptor ~= "file" do
    element = context.parent(element)
  end
  return element
end

local IN_BLOCK = { setup = true, strict_setup = true, lazy_setup = true }

local function keep(object)
  local context = harness.busted.context
  local element = context.get()
  local in_block = IN_BLOCK[element.descriptor] and context.parent(element)
  local one = { object = object, owner = in_block or owner(), pid = object.pid }
  open[#open + 1] = one
  if harness.watch then harness.watch:keep(object.pid, harness.owner_of_fixture(one.owner)) end
  return object
end

--- Closes what goes with an element, the last one first.
function fixtures.close(element)
  for i = #open, 1, -1 do
    local one = open[i]
    if one.owner == element then
      table.remove(open, i)
      one.object:close()
      if harness.watch then harness.watch:forget(one.pid) end
    end
  end
end

--- Executes a test or a block, and closes what goes with it.
function fixtures.around(execute, element)
  local ok, e = pcall(execute, element)
  fixtures.close(element)
  if not ok then error(e, 0) end
end

--- A living box of a spec or a box, a sandbox where nothing is said.
function fixtures.container(spec)
  local box = spec == nil and ns.sandbox() or ns.box(spec)
  return keep(assert(box:start()))
end

-- ---- servers ----

local Server = {}
Server.__index = Server

--- What it has written so far, to both.
function Server:logs()
  self.file:seek("set", 0)
  return self.file:read "*a"
end

--- Ends it: SIGTERM, then SIGKILL.
function Server:stop(grace) return self.process:stop(grace) end

function Server:close()
  if self.process then self.process:close() end
  if self.file then self.file:close() end
  self.process, self.file = nil, nil
  return true
end

--- Is somebody listening at a TCP port, where the process is?
local function listens(pid, port)
  local wanted = (":%04X 0*:0000 0A"):format(port):gsub("0%*:0000", "%%x+:0000")
  for _, name in ipairs { "tcp", "tcp6" } do
    local f = io.open(("/proc/%d/net/%s"):format(pid, name))
    local text = f and f:read "*a" or ""
    if f then f:close() end
    if text:find(wanted) then return true end
  end
  return false
end

--- Is somebody listening at a UNIX socket, "@NAME" for one without a path, where the process is? It may have bound a path
-- below its working directory.
local function listens_at(pid, path)
  local f = io.open(("/proc/%d/net/unix"):format(pid))
  local cwd = (core.readlink(("/proc/%d/cwd"):format(pid)) or "") .. "/"
  local found = false
  for line in f and f:lines() or function() end do
    local bound = line:match("^%x+: %x+ %x+ 00010000 %x+ %x+ +%d+ (.+)$") -- it takes connections
    found = found or bound == path or bound ~= nil and cwd .. bound == path
  end
  if f then f:close() end
  return found
end

local function network_of(pid) return core.readlink(("/proc/%d/ns/net"):format(pid)) end

--- The network of that process, if somebody listens there at the port: a server that is started then does not get it, and
-- would seem to be ready.
local function taken_in(pid, port)
  return port and listens(pid, port) and network_of(pid) or nil
end

local CONDITIONS = {
  socket = function(self, path) return listens_at(self.process.pid, path) end,
  port = function(self, port) return listens(self.process.pid, port) end,
  file = function(_, path) return core.access(path, 0) end,
  pattern = function(self, pattern) return self:logs():find(pattern) ~= nil end,
  ready = function(self, ready) return ready(self) end,
}

local FIELDS = { port = check.integer(1, 65535), socket = check.path, file = check.path, pattern = check.text,
  ready = function(value, where)
    return type(value) == "function" and value or check.fail(where, "function expected, got %s", type(value))
  end }

--- A number is a port, a text the path of a socket; other conditions are named: { port = 80, pattern = "ready" } are both
-- awaited.
local function conditions(value)
  if type(value) == "number" then value = { port = value } end
  if type(value) == "string" then value = { socket = value } end
  local ok, result = pcall(check.record(FIELDS), value, "wait_for")
  if not ok then check.raise("bad argument #1 to 'server' (%s)", check.mistake(result) or tostring(result)) end
  return result
end

local function tail(self)
  local text = self:logs():sub(-1000):gsub("%s+$", "")
  return text == "" and "" or "\n" .. text
end

local function await(self, wanted, seconds, taken)
  local deadline = core.clock() + seconds
  if taken and taken == network_of(self.pid) then
    error(("the port %d is another server's already%s"):format(wanted.port, tail(self)), 0)
  end
  for name, value in pairs(wanted) do
    while not CONDITIONS[name](self, value) do
      local _, how, code = self.process:wait(0.01)
      if how ~= "timeout" then error(("the server has ended (%s %s)%s"):format(how, tostring(code), tail(self)), 0) end
      if core.clock() > deadline then
        error(("the server is not ready after %g s: %s %s%s"):format(seconds, name, tostring(value), tail(self)), 0)
      end
    end
  end
end

--- Starts a program that stays: the words of a spec, and `wait_for`; `within`, seconds for that (10); `inside`, a container
-- that it is started in. { process =, pid =, logs(), stop(), close() }
function fixtures.server(words)
  local spec, wanted = {}, conditions(words.wait_for or {})
  for word, value in next, words do spec[word] = value end
  local seconds, place = spec.within or 10, spec.inside
  spec.wait_for, spec.within, spec.inside = nil, nil, nil
  local taken = taken_in((place or core.ids()).pid, wanted.port)
  local file = assert(io.tmpfile())
  spec.stdin, spec.stdout, spec.stderr = spec.stdin or "null", file, file
  local p, message
  if place then p, message = place:spawn(spec) else p, message = ns.spawn(spec) end
  if not p then
    file:close()
    error(message, 0)
  end
  local self = setmetatable({ process = p, pid = p.pid, file = file }, Server)
  local ok, e = pcall(await, self, wanted, seconds, taken)
  if not ok then
    self:close()
    error(e, 0)
  end
  return keep(self)
end

return fixtures
