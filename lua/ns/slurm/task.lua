--- What runs on a node: one item, once.
-- @module ns.slurm.task
require("ns.core").nojit()
local folder = require "ns.slurm.folder"
local ns = require "ns"

local task = {}

local function say(text, ...)
  io.stdout:write(text:format(...), "\n")
  io.stdout:flush()
end

local FIELDS = { "ok", "how", "code", "signal", "stdout", "stderr", "truncated", "timed_out", "wall", "usage", "left_out",
  "oom", "denied", "argv", "message", "errno" }

--- What is plain of a result.
local function plain(r)
  local fields = {}
  for _, name in ipairs(FIELDS) do fields[name] = r[name] end
  local detail = r.detail
  if detail then
    fields.detail = { step = detail.step, path = detail.path, word = detail.word, errno = detail.errno, code = detail.code,
      hint = detail.hint }
  end
  return fields
end

local function run(words)
  local ok, r, message, errno, detail = pcall(ns.run, words)
  if not ok then return { how = "refused", message = tostring(r) } end
  if not r then return plain { how = "refused", message = message, errno = errno, detail = detail } end
  return plain(r)
end

--- Who this is, as Slurm says it.
local function who()
  local job = os.getenv "SLURM_ARRAY_JOB_ID"
  return { node = os.getenv "SLURMD_NODENAME", job = ("%s_%s"):format(job, os.getenv "SLURM_ARRAY_TASK_ID") }
end

--- Runs an item, unless somebody has begun with it or has given it up.
local function run_item(path, name, me)
  local first, why = folder.claim(path, name)
  if not first then
    say("%s: %s", name, why or "it was begun before, or was given up: it is not run again")
    return 104
  end
  folder.sign(path, name, me)
  local words = folder.item(path, tonumber(name:match "^%d+"))
  local fields = words and run(words) or { how = "refused", message = "its words are not there" }
  fields.node, fields.job = me.node, me.job
  local ok, message = folder.put_result(path, name, fields)
  if ok then return 0 end
  say("%s: %s", name, message)
  return 105
end

--- Runs the items of this task, one after the other.
function task.run(path, batch)
  local me, status = who(), 0
  local names = folder.task(path, tonumber(batch), tonumber(os.getenv "SLURM_ARRAY_TASK_ID"))
  if #names == 0 then
    say("%s does not say what task %s of batch %s is", path, me.job, tostring(batch))
    status = 103
  end
  for _, name in ipairs(names) do status = math.max(status, run_item(path, name, me)) end
  os.exit(status)
end

return task
