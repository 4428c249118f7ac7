--- Slurm's own commands: sbatch, squeue, scancel, scontrol.
-- @module ns.slurm.queue
require("ns.core").nojit()
local box = require "ns.box"
local core = require "ns.core"

local queue = {}

local ENOENT = core.constants.errno.ENOENT
local PATIENCE = 60 -- seconds for one command: a controller that is busy answers late

--- Runs one: its output; or nil, message, errno. In a session of its own: a Ctrl-C is for the script, and does not end
-- sbatch when the jobs are there and their number is not said yet.
local function command(argv)
  local r, message, errno, detail = box.run { argv = argv, session = true, timeout = PATIENCE }
  if not r and detail and detail.step == "exec" and errno == ENOENT then
    return nil, ("there is no %s here: it is run where jobs are submitted, and comes with Debian's package slurm-client, a "
      .. "whole Slurm with slurm-wlm"):format(argv[1]), errno
  end
  if not r then return nil, message, errno end
  if r.ok then return r.stdout end
  local said = r.stderr:gsub("%s+$", "")
  return nil, ("%s: %s"):format(argv[1], said ~= "" and said or tostring(r)), core.constants.errno.EIO
end

--- Submits: the number of the job; or nil, message, errno.
function queue.submit(argv)
  local out, message, errno = command(argv)
  if not out then return nil, message, errno end
  return out:match "^(%d+)" or nil, "sbatch has said '" .. out .. "'"
end

--- How many tasks an array may have.
function queue.most()
  local out, message, errno = command { "scontrol", "show", "config" }
  if not out then return nil, message, errno end
  return tonumber(out:match "MaxArraySize%s*=%s*(%d+)") or 1001
end

--- The lines of squeue: {["12_3"] = { state=, node=, reason= }}.
function queue.read(text)
  local rows = {}
  for line in text:gmatch "[^\n]+" do
    local id, state, node, reason = line:match "^([^|]*)|([^|]*)|([^|]*)|(.*)$"
    if id then rows[id] = { state = state, node = node ~= "" and node or nil, reason = reason } end
  end
  return rows
end

--- What Slurm knows of the tasks of an array; or nil, message. One that it has forgotten has none.
function queue.list(job)
  local out, message = command { "squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%i|%T|%N|%r" }
  if out then return queue.read(out) end
  if message:find("Invalid job id", 1, true) then return {} end
  return nil, message
end

--- Cancels a task, or all jobs of a name.
function queue.cancel(task) return command { "scancel", "-Q", task } end

--- Cancels all jobs of a name, and waits a while until they have ended.
function queue.cancel_all(name)
  command { "scancel", "-Q", "--name=" .. name }
  local deadline = core.clock() + 10
  repeat
    local out = command { "squeue", "-h", "--name=" .. name, "-o", "%i" }
    if not out or out == "" then return end
    core.await(0.1, {}, {})
  until core.clock() > deadline
end

return queue
