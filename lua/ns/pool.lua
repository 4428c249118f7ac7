--- Boxes that are started in advance: each runs one program, ends with it, and another one is launched in its place. Made by
-- `box:pool(n)`.
--
-- To launch one takes the host longer than a short program runs. So it is done when the host would only wait: once a program
-- has run for a moment, and where a loop asks for a descriptor; else when few are left.
--
-- No program ever meets another: a pool is for strangers' programs, a Container for those that trust each other. Where no
-- box is ready, or those in advance were refused, one is started at once, and what is then refused is told.
-- @module ns.pool
require("ns.core").nojit()
local check = require "ns.words.check"
local container = require "ns.container"
local living = require "ns.start.living"
local process = require "ns.running.process"
local stdio = require "ns.words.stdio"

local pool = {}

-- Seconds that a program has run when it is waited for anyway.
local MOMENT = 0.01

local Pool = { __name = "ns.Pool" }
Pool.__index = Pool

local function is(value)
  return getmetatable(value) == Pool
end

--- Boxes whose program has ended, and they with it: the host has them as children until now.
local function reap(self)
  for _, c in ipairs(self.ended) do c:close() end
  self.ended = {}
end

--- Launches one more, which nobody waits for. A refusal is counted: who needs a box then hears of it. Where something may be
-- left out, the first one is waited for, and the others are started without what that was refused.
local function launch(self)
  local is_known = self.left_out or not self.spec.optional
  local c = container.launch(self.spec, "pool", is_known, self.left_out, self.cache)
  if c and not is_known then self.left_out = c.box.left end
  self.counts.launched = self.counts.launched + 1
  if c then table.insert(self.boxes, c) else self.counts.failed = self.counts.failed + 1 end
  return c
end

--- Launches what is missing, as far as that is not refused.
local function launch_missing(self)
  while not self.closed and #self.boxes < self.size and launch(self) do end
  reap(self)
end

--- A pool of `size` boxes of the spec.
function pool.new(spec, size)
  local ok, mistake = pcall(check.integer(1, 1000), size, "size")
  if not ok then check.raise("bad argument #1 to 'pool' (%s)", check.mistake(mistake) or "size") end
  if spec.publish then check.raise "bad argument to 'pool' (publish: the boxes of a pool cannot all have one port)" end
  local self = setmetatable({ size = size, boxes = {}, ended = {}, spec = spec, cache = not spec.optional and {} or nil,
    counts = { launched = 0, failed = 0, warm = 0, cold = 0 } }, Pool)
  self:fill()
  return self
end

--- One that is ready: the oldest. nil where there is none.
local function take(self)
  while #self.boxes > 0 do
    local c = table.remove(self.boxes, 1)
    if living.finish(c.box) then
      self.counts.warm = self.counts.warm + 1
      return c
    end
    self.counts.failed = self.counts.failed + 1
  end
end

--- A box has been used up. It ends with its program, which only who is `patient` waits for.
local function leave(self, c, patient)
  if patient or self.closed then c:close() else table.insert(self.ended, c) end
  if 2 * #self.boxes < self.size then launch_missing(self) end
end

local function start(self, name, words, patient)
  if self.closed then check.raise("the pool is closed") end
  local c = take(self)
  if not c then
    local cold, why, code, more = container.launch(self.spec, name, false, self.left_out, self.cache)
    self.counts.cold = self.counts.cold + 1
    if not cold then return nil, why, code, more end
    c = cold
  end
  local done, p, message, errno, detail = pcall(container.spawn, c, name, words, true)
  if not (done and p) then leave(self, c, true) end
  if not done then error(p, 0) end
  if not p then return nil, message, errno, detail end
  p.due, p.when_due = p.started + MOMENT, function() launch_missing(self) end
  p.container = { close = function()
    p.container = nil
    leave(self, c, patient or not p.status)
  end }
  return p
end

--- Starts a program in a box that is ready, which ends with it: as `Container:spawn`.
-- @tparam string|table ... a program and its arguments; or one table of words, whose array part is that
-- @treturn Process the running program; or nil, message, errno, detail
-- @raise a mistake in the words, or one that is the box's
function Pool:spawn(...)
  return start(self, "spawn", container.read("spawn", ...), true)
end

--- Runs a program in a box that is ready, which ends with it: as `Container:run`.
-- @tparam string|table ... a program and its arguments; or one table of words, whose array part is that
-- @treturn Result what it has come to; or nil, message, errno, detail
-- @raise a mistake in the words, or one that is the box's
function Pool:run(...)
  return process.collect(start(self, "run", stdio.collected(container.read("run", ...))))
end

--- Launches what is missing or has ended, and hears of those that are ready meanwhile, without waiting for any.
-- @treturn integer how many are ready
function Pool:fill()
  for i = #self.boxes, 1, -1 do
    local ok, message = living.finish(self.boxes[i].box, 0)
    if not ok and message ~= "timeout" then
      table.remove(self.boxes, i)
      self.counts.failed = self.counts.failed + 1
    end
  end
  launch_missing(self)
  return self:stats().ready
end

--- For an event loop: a descriptor that is readable when one that was launched has something to say; then `fill` hears it.
-- Ask again after that. Launches what is missing.
-- @treturn integer which stays the pool's own; or nil, where all have been heard
function Pool:getfd()
  launch_missing(self)
  for _, c in ipairs(self.boxes) do
    if c.box.pending then return c.box.handle:socket() end
  end
end

--- How it has worked so far: `size`, `ready` (boxes that were heard of), `launched`, `warm` (programs that found a box),
-- `cold` (those that had to wait for one), `failed` (boxes that were refused).
-- @treturn table
function Pool:stats()
  local ready = 0
  for _, c in ipairs(self.boxes) do
    if not c.box.pending and living.is_alive(c.box) then ready = ready + 1 end
  end
  local stats = { size = self.size, ready = ready }
  for name, count in next, self.counts do stats[name] = count end
  return stats
end

--- Ends all boxes that wait; programs that run go on. May be called again.
-- @return true
function Pool:close()
  self.closed = true
  for _, c in ipairs(self.boxes) do c:close() end
  self.boxes = {}
  reap(self)
  return true
end

function Pool:__tostring()
  return ("ns.Pool (%s)"):format(self.closed and "closed" or ("%d of %d ready"):format(self:stats().ready, self.size))
end

Pool.__close = Pool.close
check.methods(is, Pool, { fill = 0, getfd = 0, stats = 0, close = 0 })

return pool
