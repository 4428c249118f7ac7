--- The host's terminal at the service of a program with one of its own: keys, what is shown, the size of the window.
-- @module ns.running.interact
require("ns.core").nojit()
local core = require "ns.core"
local lifecycle = require "ns.running.lifecycle"
local signals = require "ns.words.signals"

local interact = {}

local KEYS, SCREEN = 0, 1
local END_OF_INPUT = "\4" -- what a key says, where the host's stdin is none

-- What has been shown by the program's end may still be on its way through the terminal: seconds.
local LINGER = 0.1
local PIECE = 256 -- bytes for which a terminal that takes something has room

-- What ends the host, or stops it, comes to it when its terminal is as before; the others say that the window has changed.
local LEAVES, NUMBERS = {}, {}
for name, leaves in pairs { TERM = true, INT = true, HUP = true, QUIT = true, TSTP = true, WINCH = false, CONT = false } do
  local number = signals.number(name)
  LEAVES[number], NUMBERS[#NUMBERS + 1] = leaves, number
end

local function resize(self)
  local rows, cols = core.window(KEYS)
  if rows then self.pty:resize(rows, cols) end
end

--- The signals that have come: one that the host is to have, if there is one.
local function next_signal(self, session)
  for signal in session.caught.next, session.caught do
    if LEAVES[signal] then return signal end
    if session.terminal then core.raw(session.terminal) end
    resize(self)
  end
end

local function type_key(session, terminal)
  if session.typed ~= "" then
    local n = terminal:write(session.typed)
    session.typed = n and session.typed:sub(n + 1) or ""
  end
end

local function show(session)
  local n = core.write_now(SCREEN, session.shown:sub(1, PIECE))
  session.shown = n and session.shown:sub(n + 1) or ""
end

--- Carries what can be carried now, both ways.
local function transfer(session, terminal, keys, shown)
  if keys then
    local typed = core.read_now(io.stdin)
    session.typed, session.input_ended = typed or END_OF_INPUT, not typed
  end
  type_key(session, terminal)
  if shown then
    local bytes = terminal:read()
    session.shown, session.output_ended = bytes or "", not bytes
  end
  if session.shown ~= "" then show(session) end
end

--- Until the program has ended and all is shown, or there is a signal for the host: that.
local function relay(self, session, terminal)
  local linger
  while true do
    local pidfd = not linger and self.handle:getfd() or -1
    local wait_time = linger and lifecycle.remaining(linger) or lifecycle.wait_time(self, lifecycle.next_deadline(self))
    local signal, ended, keys, shown = core.poll(wait_time, session.caught:getfd(), "r", pidfd, "r",
      (session.input_ended or session.typed ~= "") and -1 or KEYS, "r",
      (session.output_ended or session.shown ~= "") and -1 or terminal:getfd(), "r",
      session.shown ~= "" and SCREEN or -1, "w", session.typed ~= "" and terminal:getfd() or -1, "w")
    signal = signal and next_signal(self, session)
    if signal then return signal end
    transfer(session, terminal, keys, shown)
    local is_over = session.output_ended or linger and not shown and core.clock() >= linger
    if linger and is_over and session.shown == "" then return end
    if ended then linger = core.clock() + LINGER end
    if not linger then lifecycle.poll(self) end
    if lifecycle.failure(self) then return end
  end
end

--- One session at the terminal, which is the host's again afterwards, whatever has happened. The signal that has ended it.
local function session(self, terminal)
  local caught, message = core.catch(NUMBERS)
  if not caught then error(message, 0) end
  local one = { caught = caught, terminal = core.terminal(KEYS), typed = "", shown = "" }
  local done, signal = pcall(function()
    if one.terminal then core.raw(one.terminal) end
    resize(self)
    return relay(self, one, terminal)
  end)
  if one.terminal then core.cook(one.terminal) end
  caught:release(done and signal or nil)
  if not done then error(signal, 0) end
  return signal
end

--- Until the program's end. A signal that the host survives, a Ctrl-Z and fg, leads back to the program.
function interact.run(self)
  local terminal = self:stream "pty"
  io.stdout:flush()
  while not self.status and not self.handle:isclosed() do
    if not session(self, terminal) then return end
  end
end

return interact
