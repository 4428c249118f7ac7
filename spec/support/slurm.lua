--- A Slurm that is none, for the specs of `ns.slurm`: sbatch runs the tasks of an array here, one after the other, while it
-- says the number of the job; squeue says what was noted of them. What comes of a task can be said before: its fate.
local machine = require "support.machine"

local slurm = {}

local PROGRAMS = {
  sbatch = [[
    echo "$*" >>$FAKE/submitted
    n=$(($(cat $FAKE/jobs) + 1)) && echo $n >$FAKE/jobs
    for a; do
      case $a in --array=0-*) last=${a#--array=0-} last=${last%%%*} ;; --output=*) out=${a#--output=} ;; esac
      script=$batch batch=$a
    done
    folder=${out%/log/*}
    [ ! -e $FAKE/refuses ] || { cat $FAKE/refuses >&2 && exit 1; }
    export SLURM_ARRAY_JOB_ID=$n SLURMD_NODENAME SLURM_ARRAY_TASK_ID
    for k in $(seq 0 $last); do
      id=${n}_$k SLURMD_NODENAME=n$((k % 3 + 1)) SLURM_ARRAY_TASK_ID=$k
      task() { sh $script $batch >$folder/log/$id 2>&1 && state=COMPLETED || state=FAILED; }
      if [ -e $FAKE/fate.$id ]; then . $FAKE/fate.$id; else task; fi
      [ -z "$state" ] || echo "$id|$state|$SLURMD_NODENAME|None" >>$FAKE/rows
    done
    echo $n]],
  squeue = [[
    while [ $# -gt 0 ]; do
      [ "$1" != -j ] || job=$2
      shift
    done
    [ -z "$job" ] || grep "^${job}_" $FAKE/rows || { echo 'Invalid job id specified' >&2 && exit 1; }]],
  scancel = [[
    echo "$*" >>$FAKE/cancelled
    for id; do :; done
    sed -i "s/^$id|[A-Z_]*|/$id|CANCELLED|/" $FAKE/rows]],
  scontrol = "echo 'MaxArraySize            = '${MOST-1001}",
}

--- Makes one. `fate(job_task, line)`: what the task does in the place of its item, a shell line that sets `state`; in it,
-- `task` is the item, `$folder` the directory of the run. `env`: the variables by which it is found; `read(name)`: what was
-- "submitted" and "cancelled"; `write(name, text)`; `uninstall()`; `remove()`.
function slurm.new()
  local directory, remove = machine.directory()
  local self = { path = directory, remove = remove }
  local function write(name, text)
    local f = assert(io.open(directory .. "/" .. name, "w"))
    f:write(text)
    f:close()
  end
  assert(os.execute(("mkdir %s/bin %s/work && chmod 777 %s/work"):format(directory, directory, directory)))
  for name, text in pairs(PROGRAMS) do
    write("bin/" .. name, "#!/bin/sh\n" .. text .. "\n")
    assert(os.execute(("chmod 755 %s/bin/%s"):format(directory, name)))
  end
  write("jobs", "0\n")
  write("rows", "")
  function self.fate(id, line) write("fate." .. id, line .. "\n") end
  function self.write(name, text) write(name, text) end
  function self.read(name) return machine.read(directory .. "/" .. name) or "" end
  --- A machine that has no Slurm.
  function self.uninstall()
    assert(os.execute(("rm %s/bin/* && ln -s $(command -v %s) %s/bin"):format(directory, machine.lua, directory)))
    self.env.PATH = directory .. "/bin"
  end
  self.env = { FAKE = directory, PATH = directory .. "/bin:" .. os.getenv "PATH" }
  return self
end

--- A host for which this is Slurm: its result.
function slurm.run(self, code)
  local env = machine.paths(machine.public())
  for name, value in pairs(self.env) do env[name] = value end
  return machine.host("local ns = require 'ns'\n" .. code, { spec = { env = env, cwd = self.path .. "/work" } })
end

return slurm
