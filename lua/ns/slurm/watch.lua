--- From submitted items to their results: what Slurm and the directory of the run say, looked at again and again.
-- @module ns.slurm.watch
require("ns.core").nojit()
local core = require "ns.core"
local folder = require "ns.slurm.folder"
local judge = require "ns.slurm.judge"
local plan = require "ns.slurm.plan"
local queue = require "ns.slurm.queue"
local result = require "ns.running.result"

--- `grace`: seconds for a result to be seen, after Slurm has said that its task has ended.
local watch = { grace = 3 }

local INTERVAL = 0.2 -- seconds between two looks, at the least
local PATIENCE = 300 -- seconds for a controller that does not answer

--- Ends the run: the message, errno.
local function fail(message, errno) error({ refusal = message, errno = errno }, 0) end

local function must(value, message, errno)
  if not value then fail(message, errno) end
  return value
end

-- ---- submitting ----

local function job_of(array, one) return ("%s_%d"):format(array.job, one.k) end

--- The names of what one task of the array does, of which each has its place in `array.open`.
local function add_task(self, array, ones, k)
  local names = {}
  for i, one in ipairs(ones) do
    local serial = (self.serial[one.item] or 0) + 1
    self.serial[one.item] = serial
    one.name, one.k = ("%d.%d"):format(one.item, serial), k
    array.open[one.name], names[i] = one, one.name
  end
  return table.concat(names, " ") .. "\n"
end

--- Submits one array of `tasks`, each a list of { item, attempt, tries }. The serial number of an item is how often it has
-- been submitted, while an attempt is one in which its program may have run.
local function submit_array(self, tasks)
  self.batches = self.batches + 1
  local array, lines = { open = {}, requeued = {} }, {}
  for k, ones in ipairs(tasks) do lines[k] = add_task(self, array, ones, k - 1) end
  must(folder.put(self.plan.folder, "batches/" .. self.batches, table.concat(lines)))
  -- those of all arrays together are no more at a time than one has
  local after = self.plan.options.jobs and self.last
  array.job = must(queue.submit(plan.command(self.plan, self.batches, #tasks, after)))
  self.last = array.job
  self.arrays[#self.arrays + 1] = array
end

--- Submits all these: `per_task` of them in a task, and as many tasks in an array as it may have.
local function submit(self, ones)
  local tasks, per_task = {}, self.plan.options.per_task or 1
  for i, one in ipairs(ones) do
    if (i - 1) % per_task == 0 then
      if #tasks == self.most then
        submit_array(self, tasks)
        tasks = {}
      end
      tasks[#tasks + 1] = {}
    end
    table.insert(tasks[#tasks], one)
  end
  submit_array(self, tasks)
end

-- ---- results ----

--- The result of what a task has written.
local function read_result(fields)
  local how, code = fields.how, fields.code or fields.signal
  fields.how, fields.code, fields.signal = nil, nil, nil
  if how ~= "refused" then return result.new(fields.ok, how, code, fields) end
  local r = result.refused(fields.message, fields.errno, fields.detail)
  r.node, r.job = fields.node, fields.job
  return r
end

local function finish(self, one, r)
  r.attempt = one.attempt
  r.lost = self.lost[one.item]
  self.results[one.item] = r
  self.left = self.left - 1
end

--- Takes what has come to an end.
local function collect(self, array)
  for name, one in pairs(array.open) do
    local fields = self.there[name] and folder.result(self.plan.folder, name)
    if fields then
      finish(self, one, read_result(fields))
      array.open[name] = nil
    end
  end
end

--- Notes that an attempt has not come to its end: { node, job, state, message }.
local function note_loss(self, one, loss)
  local list = self.lost[one.item] or {}
  self.lost[one.item] = list
  loss.attempt, loss.name = one.attempt, one.name
  list[#list + 1] = loss
  if loss.node then
    self.failed[loss.node] = self.failed[loss.node] or {}
    table.insert(self.failed[loss.node], one.item)
  end
end

--- Decides on one whose task has ended without its result; what is to be submitted again is added to `again`.
local function settle(self, array, one, state, again)
  array.open[one.name] = nil
  local path, job = self.plan.folder, job_of(array, one)
  local claimed, message, errno = folder.claim(path, one.name)
  if claimed == nil then fail(message, errno) end
  local begun, node = not claimed, one.row and one.row.node
  if begun then node = folder.signed(path, one.name).node or node end
  local act, text, how, ended_by = judge.verdict { state = state, node = node, begun = begun, attempt = one.attempt,
    tries = one.tries, retries = self.plan.options.retries or 0, log = folder.log(path, job) }
  if begun or act == "give up" then note_loss(self, one, { node = node, job = job, state = state, message = text }) end
  if act == "give up" then
    finish(self, one, result.lost(how, text, { node = node, job = job, state = state, ended_by = ended_by }))
    return
  end
  again[#again + 1] = { item = one.item, attempt = one.attempt + (begun and 1 or 0), tries = begun and 1 or one.tries + 1 }
end

-- ---- looking ----

--- Looks after one item, of whose task Slurm says `row`.
local function look_at(self, array, one, row, again)
  local phase = judge.phase(row, self.begun[one.name])
  one.row = row or one.row
  if phase == "again" and not array.requeued[one.k] then
    array.requeued[one.k] = true
    queue.cancel(job_of(array, one))
  end
  if phase ~= "again" and phase ~= "ended" then return end
  one.ended = one.ended or core.clock()
  if core.clock() - one.ended < watch.grace then return end
  settle(self, array, one, array.requeued[one.k] and "REQUEUED" or row and row.state or "FORGOTTEN", again)
end

--- Looks after one array.
local function look(self, array, again)
  local rows, message = queue.list(array.job)
  if not rows then
    self.silent = self.silent or core.clock()
    if core.clock() - self.silent > PATIENCE then fail(message, core.constants.errno.EIO) end
    return
  end
  self.silent = nil
  for _, one in pairs(array.open) do look_at(self, array, one, rows[job_of(array, one)], again) end
end

local function round(self)
  local again = {}
  self.begun = folder.names(self.plan.folder, "claims") -- before Slurm is asked: what waits and has begun was queued anew
  for i = #self.arrays, 1, -1 do
    local array = self.arrays[i]
    self.there = folder.names(self.plan.folder, "results")
    collect(self, array)
    if next(array.open) then look(self, array, again) end
    if not next(array.open) then table.remove(self.arrays, i) end
  end
  if #again > 0 then submit(self, again) end
end

--- What was lost, and has come to its end all the same, as on a machine that only the network had lost.
local function collect_late(self)
  local names = folder.names(self.plan.folder, "results")
  for item, list in pairs(self.lost) do
    for _, loss in ipairs(list) do
      local fields = names[loss.name] and folder.result(self.plan.folder, loss.name)
      if fields then
        loss.ended = true
        local r = self.results[item]
        if r.how == "lost" and r.attempt == loss.attempt then
          local late = read_result(fields)
          late.attempt, late.lost = loss.attempt, list
          self.results[item] = late
        end
      end
    end
  end
end

local function check_signal(self)
  local number = self.caught:next()
  if number then
    self.interrupted = number
    error("interrupted!", 0)
  end
end

--- Submits all items and waits until each has its result.
function watch.run(self)
  must(folder.make(self.plan.folder))
  must(folder.put(self.plan.folder, "script", self.plan.script))
  must(folder.put(self.plan.folder, "task.lua", self.plan.code))
  local ones = {}
  for i, words in ipairs(self.plan.items) do
    must(folder.put_item(self.plan.folder, i, words))
    ones[i] = { item = i, attempt = 1, tries = 1 }
  end
  submit(self, ones)
  while self.left > 0 do
    check_signal(self)
    local before = core.clock()
    round(self)
    if self.left > 0 then core.await(math.max(INTERVAL, 2 * (core.clock() - before)), { self.caught:getfd() }, {}) end
  end
  collect_late(self)
end

return watch
