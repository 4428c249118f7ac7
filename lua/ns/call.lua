--- A function is called in a copy of this Lua state, and its results come back.
-- @module ns.call
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local process = require "ns.running.process"
local signals = require "ns.words.signals"
local values = require "ns.start.values"

local call = {}

local function mistake(position, ...)
  check.raise("bad argument #%d to 'call' (%s)", position, (...):format(select(2, ...)))
end

--- The words of a call: those of the spec, the function and its arguments.
function call.words(spec, fn, ...)
  if type(spec) ~= "table" then mistake(1, "spec: %s", check.no_words(spec)) end
  if type(fn) ~= "function" then mistake(2, "function expected, got %s", type(fn)) end
  local words = {}
  for key, value in next, spec do words[key] = value end
  for _, word in ipairs { "fn", "args" } do
    if words[word] ~= nil then mistake(1, "%s: comes after the spec", word) end
  end
  for _, word in ipairs { "stdin", "stdout", "stderr" } do
    if words[word] == "pipe" then mistake(1, "%s: nobody has the other end of a 'pipe': ns.spawn { fn = ... }", word) end
  end
  for _, word in ipairs { "pty", "detach" } do
    if words[word] then mistake(1, "%s: a call is awaited, and has no Process: ns.spawn { fn = ... }", word) end
  end
  words.fn, words.args = fn, { n = select("#", ...), ... }
  return words
end

local unpack = table.unpack or unpack -- luacheck: ignore

--- How a function has ended that has neither returned nor raised an error: a message, and the errno, if there is one.
local function ended(r, detail)
  if r.timed_out then return ("timeout after %.3g s"):format(r.wall), core.constants.errno.ETIMEDOUT, "timeout" end
  if r.how == "signal" then
    detail.signal, detail.signame = r.signal, r.signame
    return ("killed by signal %d (%s)"):format(r.signal, signals.name(r.signal)), nil, "signal"
  end
  detail.status = r.code
  if r.truncated then return "the results are more than max_output", nil, "truncated" end
  return ("the function has left with the status %d"):format(r.code), nil, "exit"
end

--- true and what the function has returned; or nil, message, errno, detail.
function call.collect(p, message, errno, detail)
  if not p then return nil, message, errno, detail end
  local r, why, code = process.collect(p)
  if not r then return nil, why, code, { how = "lost", errno = code } end
  local kind, list = values.decode(r.stdout)
  r.stdout, detail = nil, { result = r }
  if kind == "returned" and r.ok then return true, unpack(list, 1, list.n) end
  if kind == "raised" and not r.timed_out then
    detail.how, detail.traceback, detail.value = "error", list[2], list[3]
    return nil, list[1], nil, detail
  end
  message, errno, detail.how = ended(r, detail)
  detail.errno = errno
  return nil, message, errno, detail
end

return call
