--- What a run has come to: `ok, how, code` in the words of os.execute, the outputs, and what it cost.
-- @module ns.running.result
require("ns.core").nojit()
local changes = require "ns.running.changes"
local core = require "ns.core"
local signals = require "ns.words.signals"

local Result = {}
Result.__index = Result

local function verdict(r)
  if r.message then return ("%s: %s"):format(r.how, r.message) end
  local text = r.how == "signal" and ("killed by signal %d (%s)"):format(r.signal, r.signame) or ("exit %d"):format(r.code)
  local cause = r.ended_by == "memory" and "out of memory, " or r.timed_out and "timeout, " or ""
  return cause .. text
end

--- One line, and the end of stderr: for assert(r.ok, tostring(r)).
function Result:__tostring()
  local text = ("ns.Result (%s)"):format(verdict(self))
  local tail = (self.stderr or ""):sub(-1000):gsub("%s+$", "")
  return tail == "" and text or text .. "\n" .. tail
end

--- What the program has changed in its layers: its root, if that is in layers (box:upper), and its overlays. Of what was
-- thrown away there is the list, and no more; E2BIG, if that would be very long.
-- @treturn Changes for a loop, and with its methods; or nil, message, errno (EINVAL: it had no layer)
-- @see ns.changes
function Result:changes()
  if self.changed then return changes.new(self.changed.layers, self.changed.known) end
  return nil, "there was no layer that it wrote to", core.constants.errno.EINVAL
end

local result = {}

--- Makes a result of the wait triple and the `fields` that are known. `code` is the exit status, `signal` the signal:
-- one of them is nil. What was told to end in time, and then ended well, was too slow.
function result.new(ok, how, code, fields)
  fields.ok, fields.how = not fields.timed_out and ok or nil, how
  if how == "signal" then
    fields.signal, fields.signame = code, signals.name(code)
  else
    fields.code = code
  end
  local of_memory = fields.oom and fields.signame == "KILL"
  fields.ended_by = of_memory and "memory" or fields.timed_out and "timeout" or how
  return setmetatable(fields, Result)
end

--- A result of a start that was refused.
function result.refused(message, errno, detail)
  return setmetatable({ how = "refused", message = message, errno = errno, detail = detail }, Result)
end

--- A result of a task on another machine that was `how`: "lost" there after it had begun, or "refused" before.
function result.lost(how, message, fields)
  fields.how, fields.message = how, message
  fields.timed_out = fields.ended_by == "timeout"
  return setmetatable(fields, Result)
end

--- Is it a result?
function result.is(value) return getmetatable(value) == Result end

return result
