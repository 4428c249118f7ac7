--- A program in a box, from its start to its end.
-- @module ns.nsbox.play
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"

local play = {}

-- Signals that come to us are for the program.
local FORWARDED = { "TERM", "INT", "HUP", "QUIT", "USR1", "USR2" }

--- Says in the words of a program where it reads: `given.interactive`, our stdin; `given.tty`, a terminal of its own.
function play.at(given, words)
  words.stdin = given.interactive and "inherit" or "null"
  if given.tty then words.pty, words.stdin = true, nil end
  return words
end

--- Runs a program in a box, or a container, with our streams, or at our terminal: its exit status; or nil, message, errno,
-- detail.
function play.whole(box, words)
  words.forward_signals = FORWARDED
  if words.pty then
    local rows, cols = core.window(0)
    words.pty = rows and { rows = rows, cols = cols } or true -- so that it is right when the program looks first
    local p, message, errno, detail = box:spawn(words)
    if not p then return nil, message, errno, detail end
    return fail.status(p:interact())
  end
  words.stdout, words.stderr = "inherit", "inherit"
  local r, message, errno, detail = box:run(words)
  if not r then return nil, message, errno, detail end
  return fail.status(r.ok, r.how, r.code or r.signal)
end

return play
