--- In the host: what a copy has told is published again, with elements that stand for those of the copy.
-- @module ns.busted.player
require("ns.core").nojit()
local copies = require "ns.busted.copies"
local core = require "ns.core"
local frames = require "ns.busted.frames"
local recorder = require "ns.busted.recorder"
local stage = require "ns.busted.stage"

local player = {}

local unpack = table.unpack or unpack -- luacheck: ignore

local Player = {}
Player.__index = Player

--- For a copy that is for an element. `listeners`: who is told that a replay goes on.
function player.new(busted, listeners, copy, element, root)
  local shadows = {}
  for above, id in pairs(recorder.numbers(busted.context, element, root)) do shadows[id] = above end
  local self = setmetatable({ busted = busted, listeners = listeners, copy = copy, element = element, shadows = shadows,
    open = {}, left = {} }, Player)
  self.element_of = function(id) return self.shadows[id] end
  return self
end

--- Publishes as if it happened here: with the element as context, so that errors in handlers are as ever.
function Player:publish(channel, element, ...)
  local busted, listeners = self.busted, self.listeners
  local n, args, before = select("#", ...), { ... }, listeners.replaying
  local function publish() busted.publish(channel, element, unpack(args, 1, n)) end
  listeners.replaying = true
  if busted.context.parent(element) or element == self.shadows[0] then
    busted.safe(channel[1], publish, element)
  else
    publish()
  end
  listeners.replaying = before
end

local on = {}

on.E = function(self, values)
  local id, above, element, trace = unpack(values, 1, values.n)
  local parent = self.shadows[above]
  element.trace, element.attributes = trace, element.attributes or {}
  element.attributes.envmode = nil -- nothing here is to be saved, or restored, for what runs there
  self.shadows[id] = element
  local attributes, context = parent.attributes, self.busted.context
  parent.attributes = {}
  context.push(parent)
  context.attach(element)
  context.pop()
  parent.attributes = attributes
end

on.U = function(self, values)
  local element = self.shadows[values[1]]
  for field, value in pairs(values[2]) do element[field] = value end
end

local function begin(self, channel, element, parent)
  self.open[#self.open + 1] = { channel[1], element, parent }
  if channel[1] == "test" then
    self.test = element
  end
end

local function finish(self, channel, element)
  table.remove(self.open)
  if channel[1] == "test" then self.last_test, self.test = element, nil end
end

on.P = function(self, values)
  local channel, id, element, n = values[1], values[2], values[3], values[4]
  if id then element = self.shadows[id] end
  if channel[2] == "start" then begin(self, channel, element, values[5]) end
  if channel[2] == "end" then finish(self, channel, element) end
  if channel[2] == "end" and channel[1] == "file" and id == 1 then
    self.held = { channel, element, unpack(values, 5, 4 + n) } -- until the copy has ended
    return
  end
  self:publish(channel, element, unpack(values, 5, 4 + n))
end

on.C = function(self, values) self.coverage = values[1] end
on.R = function(self, values) self.results = values end
on.L = function(self, values) self.left = values[1] end

--- The users' code is there, and begins; what it has on stderr is its own.
on.N = function(self, values)
  self.place = { subject = values[1], where = values[2], position = values[3], element = values[4] }
  self.copy.last_words = nil
  stage.pass_on(self.element, self.place)
end
on.W = on.N
on.M = function(self)
  self.place = nil
  stage.pass_on(self.element, nil)
end
--- A test can write where the copy tells: what it says of the end while it runs is not believed.
on.Z = function(self) self.done = not (self.place or self.test) end

--- Plays what has come. After what is no frame, which only a test can have written, nothing of that copy is believed.
function Player:play()
  local frame = copies.next(self.copy)
  while frame do
    local known, values = pcall(frames.values, frame, self.element_of)
    self.is_forged = self.is_forged or not (known and on[frame.kind])
    if not self.is_forged then
      copies.show(self.copy, frame.printed, frame.errors)
      on[frame.kind](self, values)
    end
    frame = copies.next(self.copy)
  end
  if self.is_forged then self.done = false end
end

-- ---- the end ----

--- Where an error of ours stands: at a test, or in the file.
function Player:trace(element)
  local t = element and element.trace
  local name = self.element.name or (self.element.trace or {}).short_src or "?"
  if t then
    return { short_src = t.short_src, source = t.source, currentline = t.currentline, what = t.what, traceback = "" }
  end
  return { short_src = name, source = "@" .. tostring(name), currentline = 0, what = "main", traceback = "" }
end

--- Publishes an error of ours: at the place of `test`, of the element `of`.
function Player:fail(of, parent, test, text)
  local trace = self:trace(test)
  local message = ("%s:%d: %s"):format(trace.short_src, trace.currentline, text)
  self:publish({ "error", of.descriptor }, of, parent, message, trace)
end

local function tail(copy)
  return copy.last_words and copy.last_words ~= "" and "\nits last words on stderr:\n" .. copy.last_words or ""
end

local function rest(self, goes_on)
  if goes_on or self.element.descriptor ~= "file" then return "" end
  return "; what comes after it in this file did not run"
end

--- It has died before its end: an error at the place where it was, or else of the file.
local function tell_death(self, goes_on)
  local place = self.place
  local why, behind = copies.death(self.copy, place and place.subject), rest(self, goes_on) .. tail(self.copy)
  if place then
    local of = place.element
    local parent = of.descriptor ~= "file" and self.busted.context.parent(of) or nil
    return self:fail(of, parent, of, ("%s %s"):format(why, place.where) .. behind)
  end
  local after = self.last_test and (" after the test '%s'"):format(tostring(self.last_test.name)) or ""
  self:fail(self.element, nil, nil, why .. after .. behind)
end

--- Is the copy for one test?
local function is_test(self) return self.element.descriptor == "it" end

--- The ends of what was open when it died, but for its block or file, which another copy may go on with.
local function close_open(self)
  local now = self.busted.monotime and self.busted.monotime() or core.clock()
  for i = #self.open, 1, -1 do
    local channel, element, parent = self.open[i][1], self.open[i][2], self.open[i][3]
    if element ~= self.element or is_test(self) then
      element.endtick = element.endtick or now
      element.duration = element.duration or element.starttick and element.endtick - element.starttick
      self:publish({ channel, "end" }, element, parent, channel == "test" and "error" or nil)
    end
  end
end

--- Says how it has ended. `goes_on`: another copy will run what is left.
function Player:finish(goes_on)
  copies.show_all(self.copy)
  if not self.done then
    tell_death(self, goes_on)
    close_open(self)
    on.M(self) -- it is nowhere any more; whoever plays this copy in turn is to hear of that, too
  end
end

--- The end of its block or file, which nobody has heard of yet.
function Player:close()
  local held, first = self.held, self.open[1]
  if held then return self:publish(unpack(held)) end
  local element = self.element
  if is_test(self) or not (first and first[2] == element) then return end
  element.endtick = element.endtick or self.busted.monotime and self.busted.monotime() or core.clock()
  element.duration = element.duration or element.starttick and element.endtick - element.starttick
  self:publish({ first[1], "end" }, element, first[3])
end

return player
