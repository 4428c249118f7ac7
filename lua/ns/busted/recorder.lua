--- In a copy: what busted publishes is told to the host, and goes to the listeners of the copy.
--
-- Frames: E, an element, when it is first spoken of: its number, that of its parent, its plain fields, its trace; U, what
-- has changed in it; P, what was published: the channel, the element, further arguments; N, W, M, where the users' code is
-- (`ns.busted.stage`), W without a clock, M nowhere; L, what is left; C, what luacov has counted; Z, the end. The root is
-- 0, the element that the copy is for is 1, those between them -1, -2 and so on.
-- @module ns.busted.recorder
require("ns.core").nojit()
local frames = require "ns.busted.frames"
local stage = require "ns.busted.stage"

local recorder = {}

local ipairs, next, rawequal, select, type, tostring = ipairs, next, rawequal, select, type, tostring
local concat, add, frame = table.concat, frames.add, frames.frame

local CHANGES = { "starttick", "endtick", "starttime", "endtime", "duration", "randomseed", "message" }
local ROOM = 30000

--- What a crash must not lose.
local AT_ONCE = { ["test/start"] = true, ["test/end"] = true, ["file/end"] = true }

--- The numbers that both sides know.
function recorder.numbers(context, element, root)
  local ids, above, n = { [element] = 1, [root] = 0 }, context.parent(element), 0
  while above and above ~= root do
    n = n - 1
    ids[above] = n
    above = context.parent(above)
  end
  return ids
end

local function plain_fields(element, executors)
  local fields = {}
  for key, value in next, element do
    local kind = type(value)
    local is_list = kind == "table" and executors[key] -- its children of one kind
    if type(key) == "string" and kind ~= "function" and key ~= "env" and key ~= "run" and key ~= "trace" and not is_list then
      fields[key] = value
    end
  end
  return fields
end

local Recorder = {}
Recorder.__index = Recorder

--- For the element that the copy is for. `busted`: its core; hear(kind, element) is told of an event before it is sent.
function recorder.new(busted, tape, element, root, hear)
  local self = setmetatable({ busted = busted, tape = tape, element = element, root = root, hear = hear, batch = {},
    bytes = 0, ids = recorder.numbers(busted.context, element, root), last = {}, count = 1, out = 0, err = 0,
    silent = {} }, Recorder)
  self.number_of = function(value) return self:number(value) end
  return self
end

--- Sends what is waiting.
function Recorder:flush()
  if #self.batch == 0 then return end
  local bytes = concat(self.batch)
  self.batch, self.bytes = {}, 0
  self.tape:tell(bytes)
end

--- Tells the parent: a frame of that kind. `at_once`: it does not wait for others.
function Recorder:send(kind, values, at_once)
  local one = frame(kind, self.out, self.err, values)
  self.batch[#self.batch + 1] = one
  self.bytes = self.bytes + #one
  if at_once or self.bytes > ROOM then self:flush() end
end

local function encoded(...)
  local out = {}
  for i = 1, select("#", ...) do add(out, (select(i, ...))) end
  return out
end

--- The number of an element, of which the host is told if it is new; nil for what is none.
function Recorder:number(value)
  if rawequal(value, self.root) then return 0 end
  local known = self.ids[value]
  if known then return known end
  local parent = self.busted.context.parent(value)
  local above = parent and self:number(parent)
  if not above then return nil end
  self.count = self.count + 1
  self.ids[value] = self.count
  self:send("E", encoded(self.count, above, plain_fields(value, self.busted.executors), value.trace))
  return self.count
end

--- Sends what has changed in an element since, and in those above it.
function Recorder:update(element)
  local id = self.ids[element]
  if not id then return end
  local last = self.last[element] or {}
  self.last[element] = last
  local changed
  for _, field in ipairs(CHANGES) do
    local value = element[field]
    if value ~= nil and value ~= last[field] then
      changed = changed or {}
      changed[field], last[field] = value, value
    end
  end
  if changed then self:send("U", encoded(id, changed)) end
  if id ~= 0 then self:update(self.busted.context.parent(element)) end
end

--- A copy that goes on where another has died runs the blocks again in which that was; of these the host has heard. The
-- file itself is not at its end yet.
function Recorder:is_known(channel, element)
  if channel[1] ~= "describe" and channel[1] ~= "file" then return false end
  if channel[2] == "start" and stage.is_around(element) then self.silent[element] = true end
  return self.silent[element] and (element ~= self.element or channel[2] == "start")
end

--- Tells what is left, in the place of what it has told before.
function Recorder:leaks(list)
  local out = {}
  add(out, list, self.number_of)
  self:send("L", out)
end

--- Notes what busted publishes on a channel about an element.
function Recorder:published(channel, element, ...)
  local kind = tostring(channel[1]) .. "/" .. tostring(channel[2])
  self.hear(kind, element)
  if self:is_known(channel, element) then return end
  self.out, self.err = self.tape:sizes()
  local id = type(element) == "table" and self:number(element) or nil
  if id then self:update(element) end
  local values = encoded(channel, id, not id and element or nil, (select("#", ...)))
  for i = 1, select("#", ...) do add(values, (select(i, ...)), self.number_of) end
  self:send("P", values, AT_ONCE[kind])
end

local base -- as busted publishes: in a copy of a copy that of the copy is not ours, whose tape is another one

--- From now on what busted publishes goes to the host, and to the copy's own listeners.
function Recorder:start()
  local busted = self.busted
  base = base or busted.publish
  local publish = base
  busted.publish = function(channel, element, ...)
    if channel[1] == "register" then return publish(channel, element, ...) end
    self:published(channel, element, ...)
    return publish(channel, element, ...)
  end
  if busted.api.publish then busted.api.publish = busted.publish end
  self.publish = publish
end

return recorder
