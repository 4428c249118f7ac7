--- What goes on when nsbox has ended: a copy of it that stays behind, until what it sees to has ended.
-- @module ns.nsbox.behind
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"
local ns = require "ns"

local behind = {}

local function say(...)
  io.stdout:write(...)
  io.stdout:flush()
end

--- In the copy: f(begun, ...), which calls `begun` when all is well; says so to the parent, or what is not.
local function play(f, ...)
  local done, status = pcall(f, function() say "started\n" end, ...)
  if done then return end
  local message, code = fail.read(status)
  say(code, " ", message, "\n")
end

--- Starts a copy that calls f(begun, ...): true when it has begun; or nil, the exit status, message.
function behind.start(f, ...)
  local p = fail.unless(ns.spawn { fn = play, args = { f, ... }, detach = true, session = true, stdin = "null",
    stdout = "pipe", stderr = "null" })
  local line = p.stdout:read "*l"
  p:close()
  if line == "started" then return true end
  local code, message = (line or ""):match("^(%d+) (.*)$")
  return nil, tonumber(code) or 125, message or "the process that sees to the box has ended"
end

return behind
