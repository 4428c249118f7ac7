--- One element of busted's, a file or a test, in a copy of the Lua state: started, recorded there, played here.
-- @module ns.busted.harness
require("ns.core").nojit()
local copies = require "ns.busted.copies"
local core = require "ns.core"
local coverage = require "ns.busted.coverage"
local engine = require "ns.busted.engine"
local frames = require "ns.busted.frames"
local leaks = require "ns.leaks"
local listeners = require "ns.busted.listeners"
local player = require "ns.busted.player"
local recorder = require "ns.busted.recorder"
local stage = require "ns.busted.stage"

local harness = {}

--- Sets what it works with: busted's parts (`ns.busted.engine`) and the settings.
function harness.open(parts, said)
  harness.parts, harness.busted, harness.said = parts, parts.busted, said
end

local function who_of(test)
  return { text = ("the test '%s'"):format(tostring(test.name)), element = test, is_test = true }
end

--- Notes what is there now, as of `who`; in a copy the host is told what tests have left, should this die.
local function look(who)
  local watch, record = harness.watch, harness.record
  if watch and watch:after(who) and record then record:leaks(watch:of_tests()) end
end

--- Who a fixture is of that is started now: it is closed after a test or a block.
function harness.owner_of_fixture(element)
  return { text = ("a fixture of '%s'"):format(tostring(element.name)), element = element }
end

--- The executors of tests and blocks count, and pass over what an earlier copy has been through. `around(execute, element)`
-- is called for the others.
function harness.wrap_executors(around)
  local executors = harness.parts.executors
  harness.pending = executors.pending
  for _, name in ipairs { "it", "pending", "describe" } do
    local execute = executors[name]
    executors[name] = function(element)
      stage.count(element)
      if stage.is_behind(element) then return end
      if name == "describe" then return around(execute, element) end
      stage.test = element
      local ok, e = pcall(around, execute, element)
      stage.test = nil
      look(who_of(element))
      if not ok then error(e, 0) end
    end
  end
end

local function leave(place, before, ...)
  stage.stop_alarm()
  stage.enter(before)
  if place.element.descriptor == "before_each" then
    look(who_of(place.owner)) -- that is not left in the body of the test
  elseif place.subject ~= "test" then look { text = place.where:gsub("^in ", ""), element = place.element } end
  return ...
end

--- All users' code is called by busted.safe: the host is told where it is, it has its time, and what it leaves is looked
-- for.
function harness.wrap_calls()
  local busted = harness.busted
  local safe = busted.safe
  busted.safe = function(descriptor, run, element)
    if run ~= element.run and descriptor ~= "finally" then return safe(descriptor, run, element) end
    local place, before = stage.at(descriptor, element), stage.place
    if descriptor == "it" and before then place = before else stage.enter(place) end
    stage.set_alarm(place)
    return leave(place, before, safe(descriptor, run, element))
  end
end

--- Without a helper: what tests leave in this process itself is watched, for assert.nothing_left.
function harness.watch_here()
  harness.watch = leaks.begin({}, core.ids().pid)
end

-- ---- in the copy ----

--- What the recorder is to do before events: a test is entered, and left.
local function hear(kind, element)
  if listeners.replaying then return end
  if kind == "test/start" and stage.test == element then
    stage.enter(stage.at("it", element), true)
  elseif kind == "test/end" and stage.test == element then
    stage.enter(nil)
  end
end

--- What a file itself has subscribed to the end of the suite hears of it here; and lazy setups of helpers were run here.
local function end_suite(record, before, was_set_up)
  local root, parts = record.root, harness.parts
  local lazy = root.lazy_setup
  if lazy and lazy.success ~= nil and not was_set_up then parts.block.lazyTeardown(root) end
  listeners.silence(before)
  record.publish({ "suite", "end" }, root, 1, 1)
  record.publish { "exit" }
end

--- What the host has attached to a file that goes on stands for what died: it is none of this copy's.
local function forget_children(element)
  local children = harness.busted.context.children(element)
  for i = #children, 1, -1 do children[i] = nil end
end

local function run(tape, element, root, body, options)
  local busted, channels = harness.busted, harness.parts.channels
  forget_children(element)
  listeners.mute()
  coverage.begin()
  local before = listeners.all(channels)
  local lazy = root.lazy_setup
  local was_set_up = lazy and lazy.success ~= nil
  harness.watch = leaks.begin(harness.said, core.ids().ppid)
  local record = recorder.new(busted, tape, element, root, hear)
  harness.record = record
  stage.begin(record, options.timeout or harness.said.timeout, options.position)
  record:start()
  busted.safe(element.descriptor, body, element)
  if stage.test then look(who_of(stage.test)) end
  if not options.inner then end_suite(record, before, was_set_up) end
  record:leaks(harness.watch:left())
  local lines = coverage.take()
  if lines then
    local out = {}
    frames.add(out, lines)
    record:send("C", out)
  end
  record.out, record.err = tape:sizes()
  record:send("Z", {}, true)
end

-- ---- in the host ----

--- Starts a copy for an element, in the surroundings `spec`. `options`: position, that an earlier one has been at; timeout,
-- of a test, and file_timeout; inner, left_out, inherits. A player; or nil, message, errno, detail.
function harness.start(element, spec, body, options)
  local root = engine.root_of(harness.busted.context, element)
  options.timeout, options.max_output = options.timeout or harness.said.timeout, harness.said.max_output
  listeners.settle(harness.parts.channels)
  local copy, message, errno, detail = copies.start(spec, function(tape)
    run(tape, element, root, body, options)
  end, options)
  if not copy then return nil, message, errno, detail end
  return player.new(harness.busted, listeners, copy, element, root)
end

local AGAIN = 50 -- how often an element goes on after a death

--- Where another copy goes on when this one has died: behind what it was at; nil, if nothing is behind that.
local function behind(play)
  local position = play.place and play.place.position
  return harness.said.go_on and not play.done and position and position[1] and position or nil
end

--- An element until it is at its end, in as many copies as it takes. follow(player) plays one until it has ended;
-- again(position) starts another one behind that, false where it shall not.
function harness.play_out(play, follow, again)
  for times = 0, AGAIN do
    follow(play)
    local position = times < AGAIN and behind(play)
    local next_one = position and again(position)
    harness.finish(play, next_one and true)
    if not next_one then break end
    next_one.open = { { play.element.descriptor, play.element, play.open[1] and play.open[1][3] } }
    play = next_one
  end
  play:close()
end

local COUNTED = { processes = { "process", "processes" }, descriptors = { "descriptor", "descriptors" } }
local SETTING = { processes = "leaks", descriptors = "descriptors" }

local function tell_leak(play, left)
  local names = COUNTED[left.kind]
  local text = ("%s has left %d %s: %s"):format(left.who or "it", left.count, names[left.count == 1 and 1 or 2], left.list)
  local how = harness.said[SETTING[left.kind]]
  if how == "error" then return play:fail(play.element, nil, left.element, text) end
  io.stdout:flush()
  io.stderr:write("ns.busted: ", play:trace(left.element).short_src, ": ", text, "\n")
end

--- All that is to be said when a copy has ended, but for the end of its file.
function harness.finish(play, goes_on)
  play:finish(goes_on)
  for _, left in ipairs(play.left) do tell_leak(play, left) end
  coverage.add(play.coverage)
end

return harness
