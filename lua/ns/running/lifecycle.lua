--- How a program is waited for, and brought to its end: SIGTERM, seconds of grace, SIGKILL. Nothing sleeps in between: the
-- process has in `stopping` how far it is ({deadline, next, gave_up, refused, tree}), and whoever waits for it does what is
-- due then.
-- @module ns.running.lifecycle
require("ns.core").nojit()
local core = require "ns.core"
local constants = core.constants
local group = require "ns.running.group"
local signals = require "ns.words.signals"
local stream = require "ns.running.stream"

local lifecycle = {}

-- Seconds: for a program after SIGTERM, for an init that was told to end all, for the kernel after SIGKILL; of these, until
-- what is inside is killed one by one, too.
local GRACE, INIT_GRACE, KILL_GRACE, INSIDE_AFTER = 2, 0.4, 0.6, 0.2

-- For the end of a relay after that of its box.
local RELAY_END = 0.1

-- A program that has the host's terminal can be stopped from there: how often that is looked for, in seconds.
local POLL_INTERVAL = 0.1
local FROM_TERMINAL = { [signals.number("TSTP")] = true, [signals.number("TTIN")] = true, [signals.number("TTOU")] = true }

local function lost(errno)
  return nil, "the status is lost: SIGCHLD is ignored, or somebody else has reaped the process", errno
end

--- Why something of it lives on, and the errno; nothing while all of it may still end.
function lifecycle.failure(self)
  local e = self.stopping
  if not e or not (e.refused or e.gave_up) then return end
  local errno = e.refused and constants.errno.EPERM or constants.errno.ETIMEDOUT
  local what = e.refused and "has changed its ids, and may not be killed" or "was killed, and has not ended"
  local why = self.timed_out and ", whose timeout was over," or ""
  return ("process %d%s %s: %s"):format(e.refused or self.pid, why, what, core.strerror(errno)), errno
end

local function kill_tree(self)
  local tree = self.stopping.tree
  self.stopping.tree = nil
  self.stopping.refused = tree and tree:kill() or self.handle:left() or self.stopping.refused
end

--- What its control group has counted, and the end of that; of a program in a living box, whether memory has run out there,
-- and what all in the box have used, if that ends with it.
local function ask_group(self, how, code)
  if self.group then
    local told = group.finish(self.group)
    self.group, self.grouped, self.oom = nil, told and told.usage, told ~= nil and told.oom
  elseif self.around and not self.around:isgone() then
    self.oom = how == "signal" and code == signals.number("KILL") and group.oom(self.around)
    self.grouped = (self.oom or self.ends_box) and group.usage(self.around) or nil
  end
end

--- The relay of a box that has ended listens no more in a moment: then others can, as the same box started anew. It may have
-- connections to bring to an end, for which nobody waits.
local function settle_relay(self)
  if self.relay and not self.relay:isclosed() then self.relay:wait(RELAY_END) end
end

--- Keeps the status once it is known, ends what is left of a tree that was being stopped, and takes the terminal back.
local function settle(self, ok, how, code)
  self.wall = core.clock() - self.started
  ask_group(self, how, code)
  if self.stopping then kill_tree(self) end
  settle_relay(self)
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
function lifecycle.remaining(deadline)
  return deadline and math.max(0, deadline - core.clock())
end

local function earliest(a, b)
  return a and b and math.min(a, b) or a or b
end

--- How long to wait at once.
function lifecycle.wait_time(self, deadline)
  local left = lifecycle.remaining(deadline)
  return self.terminal and math.min(left or POLL_INTERVAL, POLL_INTERVAL) or left
end

--- When it is to be ended, or more than it was.
local function own_deadline(self)
  if self.stopping then return self.stopping.deadline end
  return self.deadline
end

--- When all of its time is over, if it has a timeout.
function lifecycle.over(self)
  return self.deadline and self.deadline + (self.grace or GRACE)
end

--- When there is something to be done, if it has not ended by then: to it, or by who has started it (`due`, `when_due`).
function lifecycle.next_deadline(self)
  return earliest(own_deadline(self), self.due)
end

--- Loops that were told of the process and of its streams forget them: before their descriptors are closed, and where
-- something is due before the time that they were told.
function lifecycle.forget(self)
  stream.forget(self)
  for _, one in next, self.streams or {} do stream.forget(one) end
end

--- What loops poll is readable when something is due next.
function lifecycle.set_alarm(self)
  if self.alarm then self.alarm:set(lifecycle.wait_time(self, lifecycle.next_deadline(self))) end
end

--- What is to be done in so many seconds, if it has not ended by then.
local function schedule(self, seconds, action)
  self.stopping.deadline, self.stopping.next = core.clock() + seconds, action
  lifecycle.forget(self)
  lifecycle.set_alarm(self)
end

--- Stops together with a program that was stopped at the terminal; lends it the terminal once the host's job has that.
function lifecycle.job_control(self)
  if not self.terminal then return end
  local signal = self.handle:stopped()
  if FROM_TERMINAL[signal or 0] then return core.suspend(self.terminal, self.pid, signal) end
  core.lend(self.terminal, self.pid)
end

local function give_up(self)
  self.stopping.deadline, self.stopping.gave_up = nil, true
end

local function has_given_up(self)
  return self.stopping and self.stopping.gave_up
end

--- The init was killed, and has not ended: those inside may keep all processor time from it.
local function kill_inside(self)
  schedule(self, KILL_GRACE - INSIDE_AFTER, give_up)
  self.handle:kill_inside()
end

local function kill_now(self)
  local e = self.stopping
  if self.alone then schedule(self, KILL_GRACE, give_up) else schedule(self, INSIDE_AFTER, kill_inside) end
  if self.group then self.group:kill() end
  e.refused = self.handle:kill_all()
  kill_tree(self)
  if e.refused == self.pid then give_up(self) end
end

--- Ends the program and all it has started, now: by its control group, or by its init, if it has one that does it in time.
function lifecycle.kill(self)
  self.stopping = self.stopping or {}
  if self.group or not self.handle:order_end() then return kill_now(self) end
  schedule(self, INIT_GRACE, kill_now)
end

--- Asks the program to end; after `grace` seconds (else those of its spec) it is forced to.
function lifecycle.terminate(self, grace)
  grace = grace or self.grace or GRACE
  if grace == 0 then return lifecycle.kill(self) end
  if self.stopping then
    local is_sooner = self.stopping.next == lifecycle.kill and grace < lifecycle.remaining(self.stopping.deadline)
    if is_sooner then schedule(self, grace, lifecycle.kill) end
    return
  end
  self.stopping = {}
  schedule(self, grace, lifecycle.kill)
  -- It is stopped, as then it starts nothing more that would not be found. One that is not ours any more has no tree: its
  -- pid may be another's.
  local stopped, done, tree = self.alone and self.handle:kill(signals.number("STOP")), true, nil
  if stopped then done, tree = pcall(core.descendants, self.handle) end
  if done then self.stopping.tree = tree end
  self.handle:kill(signals.number("TERM"))
  self.handle:kill(signals.number("CONT"))
  if not done then error(tree, 0) end
end

--- Does what is due, if anything is.
function lifecycle.escalate(self)
  if lifecycle.remaining(self.due) == 0 then
    self.due = nil
    self.when_due()
  end
  if lifecycle.remaining(own_deadline(self)) ~= 0 then return end
  if self.stopping then return self.stopping.next(self) end
  self.timed_out = true
  lifecycle.terminate(self)
end

--- Hands on to the program what its host gets meanwhile. What it cannot have any more is the host's own.
local function forward(self)
  if not self.caught then return end
  for signal, had in self.caught.next, self.caught, self.pid do
    if not had and not self.handle:kill(signal) then self.undelivered = signal end
  end
end

--- What is to be done for a process that runs, without waiting.
function lifecycle.poll(self)
  forward(self)
  lifecycle.job_control(self)
  lifecycle.escalate(self)
  lifecycle.set_alarm(self)
end

--- A descriptor that ends a wait when there is something to be handed on.
function lifecycle.wake_fd(self)
  return self.caught and self.caught:getfd()
end

--- The signals are the host's again; what the protected call has come to.
local function release(self, done, ...)
  local caught, undelivered = self.caught, self.undelivered
  self.caught, self.undelivered = nil, nil
  caught:release(undelivered)
  if not done then error((...), 0) end
  return ...
end

local function started(caught, done, p, ...)
  if done and p then p.early = caught else caught:release() end
  if not done then error(p, 0) end
  return p, ...
end

--- f(...), the start of a program that is waited for at once: the signals that come meanwhile are for it, too.
function lifecycle.catching(wanted, f, ...)
  if not wanted then return f(...) end
  local caught, message, errno = core.catch(wanted)
  if not caught then return nil, message, errno end
  return started(caught, pcall(f, ...))
end

--- f(self, ...), while the signals of `forward_signals` go to the program. Before and after that nothing of them is changed.
function lifecycle.forwarding(self, f, ...)
  if not self.forward_signals or self.caught then return f(self, ...) end
  local caught, message, errno = self.early, nil, nil
  if not caught then caught, message, errno = core.catch(self.forward_signals) end
  if not caught then return nil, message, errno end
  self.caught, self.early = caught, nil
  return release(self, pcall(f, self, ...))
end

--- One wait after the other until `deadline`, as signals end each of them: so a Ctrl-C gets through. What was killed, and
-- does not end, is not waited for.
function lifecycle.wait(self, deadline)
  if self.status then return self.status[1], self.status[2], self.status[3] end
  if self.handle:isclosed() then return nil, "attempt to wait for a closed process" end
  while true do
    local over = has_given_up(self)
    local seconds = over and 0 or lifecycle.wait_time(self, earliest(deadline, lifecycle.next_deadline(self)))
    local ok, how, code = self.handle:wait(seconds, lifecycle.wake_fd(self))
    if how ~= "again" and how ~= "timeout" then return settle(self, ok, how, code) end
    lifecycle.poll(self)
    if over then return nil, lifecycle.failure(self) end
    if how == "timeout" and lifecycle.remaining(deadline) == 0 and not has_given_up(self) then return nil, "timeout" end
  end
end

return lifecycle
