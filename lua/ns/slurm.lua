--- Many programs on the machines of a Slurm cluster: `ns.slurm.parallel`, with the face of `ns.parallel`.
-- @module ns.slurm
require("ns.core").nojit()
local box = require "ns.box"
local core = require "ns.core"
local plan = require "ns.slurm.plan"
local queue = require "ns.slurm.queue"
local watch = require "ns.slurm.watch"

local slurm = {}

local signal = core.constants.signal

--- Runs a program for each item of the list on the nodes of a cluster, as jobs of an array; the results are in the order of
-- the list, as those of `ns.parallel`.
-- @tparam table list of tables of words, or of last arguments
-- @tparam table|Box runner a spec or a box
-- @tparam[opt] table options jobs, per_task, retries, timeout, partition, account, qos, constraint, reservation, nodelist,
-- exclude, cpus, memory, time, sbatch, name, folder, lua
-- @treturn {Result,...} with `node`, `job`, `attempt`, `lost`, too; or nil, message, errno
-- @treturn table { [node] = items that were lost with it }
-- @raise a mistake in the arguments or in the words of an item; what Ctrl-C raises. All jobs are cancelled then
function slurm.parallel(list, runner, options)
  local made = plan.make(list, runner, options)
  if #made.items == 0 then return {}, {} end
  local most, message, errno = queue.most()
  if not most then return nil, message, errno end
  local caught, why, code = core.catch { signal.INT, signal.TERM, signal.HUP }
  if not caught then return nil, why, code end
  local self = { plan = made, most = most, caught = caught, batches = 0, arrays = {}, results = {}, left = #made.items,
    lost = {}, failed = {}, serial = {} }
  local ok, e = pcall(watch.run, self)
  if not ok then queue.cancel_all(made.name) end
  box.run { "rm", "-rf", made.folder }
  caught:release(self.interrupted) -- it is for the host, too
  if ok then return self.results, self.failed end
  if type(e) == "table" and e.refusal then return nil, e.refusal, e.errno end
  error(e, 0)
end

return slurm
