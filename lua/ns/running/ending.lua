--- How a program is waited for, and brought to its end: SIGTERM, some patience, SIGKILL. Nobody sleeps in between: the
-- process keeps in `ending` how far it is, and whoever waits for it does what is due.
-- @module ns.running.ending
require("ns.core").nojit()
local core = require "ns.core"
local constants = core.constants
local signals = require "ns.words.signals"

local ending = {}

-- Seconds: for a program after SIGTERM, for an init that was told to end all, for the kernel after SIGKILL.
local GRACE, ORDERLY, PATIENCE = 2, 0.4, 0.6

-- A program that has the host's terminal can be stopped from there: how often that is looked for, in seconds.
local GLANCE = 0.1
local FROM_TERMINAL = { [signals.number("TSTP")] = true, [signals.number("TTIN")] = true, [signals.number("TTOU")] = true }

local function lost(errno)
  return nil, "the status is lost: SIGCHLD is ignored, or somebody else has reaped the process", errno
end

--- Why something of it lives on, and the errno; nothing while all of it may still end.
function ending.failure(self)
  local e = self.ending
  if not e or not (e.refused or e.over) then return end
  local errno = e.refused and constants.errno.EPERM or constants.errno.ETIMEDOUT
  local what = e.refused and "has changed its ids, and may not be killed" or "was killed, and has not ended"
  return ("process %d %s: %s"):format(e.refused or self.pid, what, core.strerror(errno)), errno
end

local function kill_tree(self)
  local tree = self.ending.tree
  self.ending.tree = nil
  self.ending.refused = tree and tree:kill() or self.handle:left() or self.ending.refused
end

--- Keeps the status once it is known, ends what is left of a tree that was being stopped, and takes the terminal back.
local function settle(self, ok, how, code)
  self.wall = core.clock() - self.started
  if self.ending then kill_tree(self) end
  if self.terminal then core.restore_terminal(self.terminal) end
  self.terminal = nil
  if how == "lost" then
    self.status = { lost(code) }
  else
    self.status = { ok, how, code }
  end
  return self.status[1], self.status[2], self.status[3]
end

--- Seconds until then, 0 when it is over; nil for ever.
function ending.remaining(deadline)
  return deadline and math.max(0, deadline - core.clock())
end

local function earliest(a, b)
  return a and b and math.min(a, b) or a or b
end

--- How long to wait at once.
function ending.patience(self, deadline)
  local left = ending.remaining(deadline)
  return self.terminal and math.min(left or GLANCE, GLANCE) or left
end

--- Stops together with a program that was stopped at the terminal; lends it the terminal once the host's job has that.
function ending.follow(self)
  if not self.terminal then return end
  local signal = self.handle:stopped()
  if FROM_TERMINAL[signal or 0] then return core.suspend(self.terminal, self.pid, signal) end
  core.lend(self.terminal, self.pid)
end

local function give_up(self)
  self.ending.due, self.ending.over = nil, true
end

local function kill(self)
  local e = self.ending
  e.due, e.next = core.clock() + PATIENCE, give_up
  e.refused = self.handle:kill_tree()
  kill_tree(self)
  if e.refused == self.pid then give_up(self) end
end

--- Ends the program and all it has started, now: by its init, if it has one that does it in time.
function ending.force(self)
  self.ending = self.ending or {}
  if not self.handle:order_end() then return kill(self) end
  self.ending.due, self.ending.next = core.clock() + ORDERLY, kill
end

--- Asks the program to end; after `grace` seconds (else those of its spec) it is forced to.
function ending.ask(self, grace)
  grace = grace or self.grace or GRACE
  if grace == 0 then return ending.force(self) end
  local at = core.clock() + grace
  if self.ending then
    if self.ending.next == ending.force then self.ending.due = earliest(self.ending.due, at) end
    return
  end
  self.ending = { due = at, next = ending.force }
  -- It is stopped, as then it starts nothing more that would not be found. One that is not ours any more has no tree: its
  -- pid may be another's.
  local held, done, tree = self.alone and self.handle:kill(signals.number("STOP")), true, nil
  if held then done, tree = pcall(core.tree, self.handle) end
  if done then self.ending.tree = tree end
  self.handle:kill(signals.number("TERM"))
  self.handle:kill(signals.number("CONT"))
  if not done then error(tree, 0) end
end

--- When there is something to be done, if it has not ended by then.
function ending.due(self)
  if self.ending then return self.ending.due end
  return self.deadline
end

--- Does what is due, if anything is.
function ending.advance(self)
  if ending.remaining(ending.due(self)) ~= 0 then return end
  if self.ending then return self.ending.next(self) end
  self.timed_out = true
  ending.ask(self)
end

--- Hands on to the program what its host gets meanwhile. What it cannot have any more is the host's own.
local function forward(self)
  if not self.caught then return end
  for signal, had in self.caught.next, self.caught, self.pid do
    if not had and not self.handle:kill(signal) then self.unheard = signal end
  end
end

--- What is to be done for a process that runs, without waiting.
function ending.attend(self)
  forward(self)
  ending.follow(self)
  ending.advance(self)
end

--- A descriptor that ends a wait when there is something to be handed on.
function ending.alarm(self)
  return self.caught and self.caught:getfd()
end

--- The signals are the host's again; what the protected call has come to.
local function release(self, done, ...)
  local caught, unheard = self.caught, self.unheard
  self.caught, self.unheard = nil, nil
  caught:release(unheard)
  if not done then error((...), 0) end
  return ...
end

--- f(self, ...), while the signals of `forward_signals` go to the program. Before and after that nothing of them is changed.
function ending.forwarding(self, f, ...)
  if not self.forward_signals or self.caught then return f(self, ...) end
  local message, errno
  self.caught, message, errno = core.catch(self.forward_signals)
  if not self.caught then return nil, message, errno end
  return release(self, pcall(f, self, ...))
end

--- One wait after the other until `deadline`, as signals end each of them: so a Ctrl-C gets through. What was killed, and
-- does not end, is not waited for.
function ending.wait(self, deadline)
  if self.status then return self.status[1], self.status[2], self.status[3] end
  if self.handle:isclosed() then return nil, "attempt to wait for a closed process" end
  while true do
    local over = self.ending and self.ending.over
    local patience = over and 0 or ending.patience(self, earliest(deadline, ending.due(self)))
    local ok, how, code = self.handle:wait(patience, ending.alarm(self))
    if how ~= "again" and how ~= "timeout" then return settle(self, ok, how, code) end
    ending.attend(self)
    if over then return nil, ending.failure(self) end
    if how == "timeout" and ending.remaining(deadline) == 0 then return nil, "timeout" end
  end
end

return ending
