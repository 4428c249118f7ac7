--- Many programs, some of them at a time, and what each has come to: `ns.parallel`.
-- @module ns.parallel
require("ns.core").nojit()
local box = require "ns.box"
local check = require "ns.words.check"
local core = require "ns.core"
local merge = require "ns.words.merge"
local plan = require "ns.start.plan"
local process = require "ns.running.process"
local result = require "ns.running.result"
local stdio = require "ns.words.stdio"

local parallel = {}

local check_options = check.record { jobs = check.integer(1, 10000), timeout = check.seconds(1e-6, 1e9),
  each = check.fn }

--- The words for one item: a table of words, or one more argument for the program of the box.
function parallel.words_of(item, words)
  if type(item) == "table" then return merge.over(words, plan.read(item)) end
  local argv = {}
  for i, argument in ipairs(words.argv or {}) do argv[i] = argument end
  argv[#argv + 1] = item
  return merge.over(words, { argv = argv })
end

--- f(...), whose mistakes are those of the item with that number.
local function of_item(i, f, ...)
  local ok, p, message, errno, detail = pcall(f, ...)
  if ok then return p, message, errno, detail end
  local mistake, where = check.mistake(p), ("bad argument #1 to 'parallel' (list[%d]: "):format(i)
  if mistake then check.raise("%s%s)", where, mistake) end
  if type(p) == "string" then p = p:gsub("bad argument #1 to 'spawn' %(", where, 1) end
  error(p, 0)
end

--- How an item becomes a process, for each kind of what runs them.
local function starter(runner, timeout)
  if type(runner) == "function" then return runner end
  local is_box = box.is(runner) or type(runner) == "table" and not getmetatable(runner)
  local words = {}
  if is_box then
    local ok, read = pcall(plan.read, box.is(runner) and runner:spec() or runner)
    if not ok then check.raise("bad argument #2 to 'parallel' (%s)", check.mistake(read) or tostring(read)) end
    words = read
  end
  local function start(item)
    local merged = stdio.collected(parallel.words_of(item, words))
    merged.timeout = merged.timeout or timeout
    if is_box then return box.spawn(merged) end
    return runner:spawn(merged)
  end
  return function(item, i) return of_item(i, start, item) end
end

local function check_arguments(list, runner, options)
  local ok, items = pcall(check.items, list, "list")
  if not ok then check.raise("bad argument #1 to 'parallel' (%s)", check.mistake(items) or tostring(items)) end
  local able = type(runner) == "function" or type(runner) == "table" and (not getmetatable(runner) or runner.spawn)
  if not able then
    check.raise("bad argument #2 to 'parallel' (a spec, box, container, pool or function expected, got %s)", type(runner))
  end
  local fine, checked = pcall(check_options, options or {}, "options")
  if not fine then check.raise("bad argument #3 to 'parallel' (%s)", check.mistake(checked) or tostring(checked)) end
  return items, checked
end

local function note(state, i, r)
  state.results[i] = r
  if state.each then state.each(r, i) end
end

--- Begins with one: an entry of `running`, or its result at once.
local function begin(state, i)
  local p, message, errno, detail = state.start(state.list[i], i)
  if not p and message ~= nil then return note(state, i, result.refused(tostring(message), errno, detail)) end
  if not process.is(p) then
    check.raise("parallel: for item %d the function has returned %s, no ns.Process", i, p == nil and "nothing" or type(p))
  end
  if state.timeout and not p.deadline then p.deadline = p.started + state.timeout end
  table.insert(state.running, { p = p, i = i })
  state.running[#state.running].x = process.exchange(p)
end

local function finish(state, one)
  local r, message, errno = process.finish(one.p, one.x)
  note(state, one.i, r or result.refused(message, errno))
end

--- Does for all that run what can be done without waiting. Was there anything?
local function advance(state)
  local busy = false
  for k = #state.running, 1, -1 do
    local one = state.running[k]
    local over, idle = process.advance(one.p, one.x, 0)
    if over then
      table.remove(state.running, k)
      finish(state, one)
    end
    busy = busy or not idle
  end
  return busy
end

--- Waits until something can be done for one of them.
local function await(state)
  local reads, writes, patience = {}, {}, nil
  for _, one in ipairs(state.running) do
    local into, out, err = one.x.capture:fds()
    local seconds = process.patience(one.p, one.x)
    if into then writes[#writes + 1] = into end
    if out then reads[#reads + 1] = out end
    if err then reads[#reads + 1] = err end
    if one.x.pidfd then reads[#reads + 1] = one.x.pidfd end
    if seconds and (not patience or seconds < patience) then patience = seconds end
  end
  core.await(patience, reads, writes)
end

local function run(state)
  local next_one = 1
  while next_one <= #state.list or #state.running > 0 do
    while next_one <= #state.list and #state.running < state.jobs do
      begin(state, next_one)
      next_one = next_one + 1
    end
    if not advance(state) and #state.running > 0 then await(state) end
  end
  return state.results
end

--- Runs a program for each item of the list, `jobs` of them at a time; the results are in the order of the list.
--
-- With a spec, a box, a container or a pool an item is a table of words, or one more argument for its program. With a
-- function, f(item, index) returns a Process, or nil and a message. What could not be started is a result, too: its `how`
-- is "refused".
-- @tparam table list
-- @tparam table|Box|Container|Pool|function runner
-- @tparam[opt] table options `jobs` (as many as there are processors), `timeout`: seconds for each, where its spec has none,
-- `each`: each(result, index) is called as soon as one has ended
-- @treturn {Result,...}
-- @raise a mistake in the arguments or in a spec, or what a function raises; all that run are ended then
-- @see ns.running.result
function parallel.run(list, runner, options)
  local items, checked = check_arguments(list, runner, options)
  local state = { list = items, start = starter(runner, checked.timeout), jobs = checked.jobs or core.processors(),
    timeout = checked.timeout, each = checked.each, results = {}, running = {} }
  local ok, results = pcall(run, state)
  if ok then return results end
  for _, one in ipairs(state.running) do
    if one.x then one.x.capture:close() end
    one.p:close()
  end
  error(results, 0)
end

return parallel
