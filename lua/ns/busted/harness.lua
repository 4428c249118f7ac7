--- One element of busted's, a file or a test, in a copy of the Lua state: started, recorded there, played here.
-- @module ns.busted.harness
require("ns.core").nojit()
local copies = require "ns.busted.copies"
local core = require "ns.core"
local coverage = require "ns.busted.coverage"
local engine = require "ns.busted.engine"
local frames = require "ns.busted.frames"
local leaks = require "ns.busted.leaks"
local listeners = require "ns.busted.listeners"
local player = require "ns.busted.player"
local recorder = require "ns.busted.recorder"

local harness = {}

-- How many tests are to be passed over, as an earlier copy has run them; and how many were called so far.
local behind, called = 0, 0

--- Sets what it works with: busted's parts (`ns.busted.engine`) and the settings.
function harness.open(parts, said)
  harness.parts, harness.busted, harness.said = parts, parts.busted, said
end

--- The executors of tests and blocks count, and pass over. `around(execute, element)` is called for the others.
function harness.wrap_executors(around)
  local executors = harness.parts.executors
  harness.pending = executors.pending
  for _, name in ipairs { "it", "pending", "describe" } do
    local execute = executors[name]
    executors[name] = function(element)
      if name == "describe" then return around(execute, element) end
      called = called + 1
      if called <= behind then return end
      return around(execute, element)
    end
  end
end

--- Without a helper: what tests leave in this process itself is watched, for assert.nothing_left.
function harness.watch_here()
  harness.watch = leaks.begin({}, false, core.ids().pid)
  harness.busted.subscribe({ "test", "end" }, function(test)
    if not listeners.replaying then harness.watch:after(test) end
    return nil, true
  end)
end

-- ---- in the copy ----

local OURS = "ns[/\\]busted[/\\]"

--- A test that was tail-called has no frame of its file's: then the trace is ours, and the place is the file.
local function fix_traces(name)
  local busted = harness.busted
  local trace_of = busted.getTrace
  busted.getTrace = function(element, level, message)
    local info = trace_of(element, (level or 3) + 1, message)
    if info.source and info.source:find(OURS) then
      info.short_src, info.source, info.currentline, info.what = name, "@" .. name, 0, "main"
    end
    return info
  end
end

--- What the recorder is to do before and after events: the clock of a test, and what it leaves.
local function listener_for(record, watch)
  local timeout = harness.said.timeout
  local message = ("timeout: the test has run for %g s"):format(timeout)
  local test
  local function hear(kind, element)
    if kind == "test/start" then
      local out = {}
      frames.add(out, called)
      record().out, record().err = record().tape:sizes()
      record():send("N", out)
      test = element
    elseif kind == "test/end" and element == test then
      core.interrupt_after()
      record():send("M", {})
      if watch then watch:after(element) end
      test = nil
    end
  end
  local function heard(kind)
    if kind == "test/start" and timeout > 0 then core.interrupt_after(timeout, message) end
  end
  return { hear = hear, heard = heard }
end

local function tell_left(record, watch)
  for _, left in ipairs(watch and watch:left() or {}) do
    local out = {}
    frames.add(out, left.kind)
    frames.add(out, left.element, record.number_of)
    frames.add(out, left.count)
    frames.add(out, left.list)
    record:send("L", out)
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
  if not options.inner then fix_traces(element.name or "?") end
  listeners.mute()
  coverage.begin()
  local before = listeners.all(channels)
  local lazy = root.lazy_setup
  local was_set_up = lazy and lazy.success ~= nil
  local watch = options.watches and leaks.begin(harness.said, options.has_pid, core.ids().ppid) or nil
  harness.watch = watch or harness.watch
  local record
  record = recorder.new(busted, tape, element, root, listener_for(function() return record end, watch))
  record.element = element
  record.is_behind = function() return called < behind end
  record:start()
  behind, called = options.skip or 0, 0
  harness.record = record
  busted.safe(element.descriptor, body, element)
  if not options.inner then end_suite(record, before, was_set_up) end
  tell_left(record, watch)
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

--- Starts a copy for an element, in the surroundings `spec`. `options`: skip, watches, has_pid, left_out, inherits. A
-- player; or nil, message, errno, detail.
function harness.start(element, spec, body, options)
  local root = engine.root_of(harness.busted.context, element)
  listeners.settle(harness.parts.channels)
  local copy, message, errno, detail = copies.start(spec, function(tape)
    run(tape, element, root, body, options)
  end, options)
  if not copy then return nil, message, errno, detail end
  return player.new(harness.busted, listeners, copy, element, root)
end

local COUNTED = { processes = { "process", "processes" }, descriptors = { "descriptor", "descriptors" } }
local SETTING = { processes = "leaks", descriptors = "descriptors" }

local function tell_leak(play, left)
  local names = COUNTED[left.kind]
  local who = left.element and ("the test '%s'"):format(tostring(left.element.name)) or "it"
  local text = ("%s has left %d %s: %s"):format(who, left.count, names[left.count == 1 and 1 or 2], left.list)
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
