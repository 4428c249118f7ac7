--- What is to become of a task that has no result, by what Slurm says of it. Data in, data out.
-- @module ns.slurm.judge
require("ns.core").nojit()

local judge = {}

local function set(text)
  local result = {}
  for name in text:gmatch "%S+" do result[name] = true end
  return result
end

local WAITING = set "PENDING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD SPECIAL_EXIT"
local LIVES = set "RUNNING SUSPENDED CONFIGURING COMPLETING RESIZING SIGNALING STAGE_OUT STOPPED"

-- Ends that are the machine's, not the program's nor a person's: with these it may be tried again.
local OF_THE_NODE = set "NODE_FAIL BOOT_FAIL LAUNCH_FAILED PREEMPTED REQUEUED FORGOTTEN"

local SENTENCES = {
  NODE_FAIL = "node %s has failed", BOOT_FAIL = "node %s has not booted", PREEMPTED = "preempted on %s",
  CANCELLED = "cancelled on %s", TIMEOUT = "Slurm's time limit was over on %s", OUT_OF_MEMORY = "out of memory on %s",
  DEADLINE = "Slurm's deadline was over on %s", REQUEUED = "Slurm has stopped it on %s and queued it anew",
  FORGOTTEN = "Slurm knows nothing of it any more, last seen on %s",
}

local ENDED_BY = { TIMEOUT = "timeout", DEADLINE = "timeout", OUT_OF_MEMORY = "memory", CANCELLED = "cancel" }

-- How often what has not begun is submitted again.
local TRIES = 5

--- "waits", "lives", "again" (it was queued anew after it had begun) or "ended". `row`: of squeue, or nil; `begun`: was it
-- claimed before squeue was asked?
function judge.phase(row, begun)
  if not row then return "ended" end
  if WAITING[row.state] then return begun and "again" or "waits" end
  return LIVES[row.state] and "lives" or "ended"
end

--- What has come of it, in a sentence.
local function sentence(state, node, log)
  local text = (SENTENCES[state] or "the task has ended without a result on %s, as " .. state)
    :format(node or "a node that is not known")
  return log and log ~= "" and ("%s: %s"):format(text, log) or text
end

--- What is done about a task that has ended without a result.
--
-- @tparam table t { state, node, begun, attempt, tries, retries, log }: `begun`: the program may have run
-- @treturn string "submit": it is queued again, and has not run; "retry": likewise, as another attempt; "give up"
-- @treturn string the sentence
-- @treturn string what the result's `how` is: "refused" if it has not begun, else "lost"
-- @treturn string|nil its `ended_by`
function judge.verdict(t)
  local text = sentence(t.state, t.node, t.log)
  local of_node = OF_THE_NODE[t.state]
  if not t.begun and of_node and t.tries < TRIES then return "submit", text end
  if t.begun and of_node and t.attempt <= t.retries then return "retry", text end
  if not t.begun then return "give up", text .. "; it has not begun", "refused" end
  return "give up", text .. "; it had begun", "lost", ENDED_BY[t.state] or of_node and "node" or nil
end

return judge
