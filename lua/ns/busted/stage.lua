--- Where the users' code is just then: which test, or which body or hook of a block; the time it has there; and what an
-- earlier copy has been through already. A place is { subject = "test", "block", "file" or "suite", where = "in setup of
-- 'x'", owner = the element that it is for, element = the one that has the code, position }.
--
-- A position is a list of numbers: for each element from the copy's own downwards, its place among its siblings. {} is the
-- copy's element itself.
-- @module ns.busted.stage
require("ns.core").nojit()
local core = require "ns.core"
local frames = require "ns.busted.frames"

local stage = {}

-- A test may have replaced what the libraries have.
local format, insert, tostring = string.format, table.insert, tostring
local interrupt_after, setmetatable = core.interrupt_after, setmetatable

local OF_TEST = { it = true, before_each = true, after_each = true, finally = true }
local IS_BLOCK = { describe = true, file = true }

local context -- busted's
local timeout, record = 0, nil
local behind = {}
local numbers, counts = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })

--- The test that is executed, with its hooks; nil between tests.
stage.test = nil
--- Where it is; nil: not in users' code.
stage.place = nil

--- Sets busted's core, and the seconds that each has where no copy is.
function stage.open(busted, seconds)
  context, timeout = busted.context, seconds
end

--- In a copy: what is told goes to `recorder`; each has `seconds`; `position`: the last that an earlier copy has been at.
function stage.begin(recorder, seconds, position)
  record, timeout, behind = recorder, seconds, position or {}
  numbers, counts = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })
  stage.place = nil
end

-- ---- positions ----

--- Numbers an element that is executed.
function stage.count(element)
  local parent = context.parent(element)
  counts[parent] = (counts[parent] or 0) + 1
  numbers[element] = counts[parent]
end

local function position_of(element)
  local list = {}
  while element and numbers[element] do
    insert(list, 1, numbers[element])
    element = context.parent(element)
  end
  return list
end

--- Has an earlier copy been through it?
function stage.is_behind(element)
  local position = position_of(element)
  for i = 1, #behind do
    if position[i] == nil then return false end
    if position[i] ~= behind[i] then return position[i] < behind[i] end
  end
  return #behind > 0
end

--- Has an earlier copy died within it?
function stage.is_around(element)
  local position = position_of(element)
  for i = 1, #position do
    if position[i] ~= behind[i] then return false end
  end
  return #position < #behind
end

-- ---- places ----

local SUBJECTS = { file = "file", suite = "suite" } -- other blocks have names

local function name_of(element)
  local subject = SUBJECTS[element.descriptor]
  return subject and "the " .. subject or format("'%s'", tostring(element.name))
end

local function words(descriptor, element, owner)
  if descriptor == "it" then return "in this test" end
  if descriptor == "finally" then return "in finally of " .. name_of(owner) end
  if IS_BLOCK[descriptor] then return "in the body of " .. name_of(owner) end
  return format("in %s of %s", element.name or descriptor, name_of(owner))
end

--- The place of an element's code; `descriptor`, as what it is called.
function stage.at(descriptor, element)
  local of_test = OF_TEST[descriptor]
  local owner = of_test and stage.test or IS_BLOCK[descriptor] and element or context.parent(element)
  local subject = of_test and "test" or SUBJECTS[owner.descriptor] or "block"
  return { subject = subject, where = words(descriptor, element, owner), owner = owner, element = element,
    position = position_of(owner) }
end

local function tell(kind, place, position, waits)
  local out = {}
  frames.add(out, place.subject)
  frames.add(out, place.where)
  frames.add(out, position)
  frames.add(out, place.element, record.number_of)
  record.out, record.err = record.tape:sizes()
  record:send(kind, out, not waits)
end

--- From now on it is there, nil for nowhere: the host is told, which counts the seconds, too. `waits`: something else is
-- told at once.
function stage.enter(place, waits)
  if record and place and place ~= stage.place then tell("N", place, place.position, waits) end
  if record and stage.place and not place then record:send("M", {}) end
  stage.place = place
end

--- In a copy that plays another one: what that has told is passed on; its seconds are counted here.
function stage.pass_on(element, place)
  if not record then return end
  if place then tell("W", place, position_of(element)) else record:send("M", {}) end
end

--- The users' code that is called now has its time: then an error is raised in it.
function stage.set_alarm(place)
  if timeout <= 0 then return end
  local where = place.where == "in this test" and "" or " " .. place.where
  interrupt_after(timeout, format("timeout: the %s has run for %g s%s", place.subject, timeout, where))
end

--- It has returned.
function stage.stop_alarm() interrupt_after() end

return stage
