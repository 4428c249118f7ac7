--- ns.slurm with a real Slurm of three nodes (tools/cluster.sh). `make cluster-test` runs it; it is no part of the proof, as
-- Slurm is nothing that everybody wants to install.
--
-- usage: lua5.4 proof/cluster.lua short|long [PART ...]
local machine = require "support.machine"
local proof = require "proof"

proof.needs("slurmctld", "slurmd", "srun")

--- What each of the programs in a cluster begins with. `ran` is a directory in which an item leaves a line each time it
-- runs.
local BEGINNING = [==[
local ns, core = require "ns", require "ns.core"
local ran = assert(os.getenv "CLUSTER") .. "/ran"
os.execute("mkdir -m 777 " .. ran)
local function numbers(n)
  local list = {}
  for i = 1, n do list[i] = tostring(i) end
  return list
end
--- A box in which item N notes that it runs, and then does the line.
local function box(line)
  return ns.sandbox():bind(ran, "/ran", { mkdir = true }):argv("sh", "-c", 'echo $0 >>/ran/$0; ' .. line)
end
--- How often an item has begun.
local function begun(i)
  local f, n = io.open(ran .. "/" .. i), 0
  for _ in f and f:lines() or function() end do n = n + 1 end
  if f then f:close() end
  return n
end
local function sh(line)
  local r = assert(ns.run { "sh", "-c", line, timeout = 200 })
  return (r.stdout .. r.stderr):gsub("%s+$", "")
end
--- Counts what is so of the items.
local function count(n, is)
  local total = 0
  for i = 1, n do total = total + (is(i) and 1 or 0) end
  return total
end
--- Ends a node when so many items have begun, and some run there.
local function kill_node(node, after)
  return assert(ns.spawn { "sh", "-c", [[
    while [ $(ls "$0" | wc -l) -lt "$1" ]; do sleep 0.05; done
    while [ $(squeue -h -t running -w $2 | wc -l) -lt 4 ]; do :; done
    kill -9 $(cat $CLUSTER/run/$2)]], ran, tostring(after), node })
end
local LUA = core.readlink "/proc/self/exe"
local function say(text, ...) print(text:format(...)) end
]==]

--- Runs Lua code in a cluster: what it has printed, and whether it went well.
local function cluster(code, options)
  options = options or {}
  local under = { "sh", machine.public() .. "/tools/cluster.sh" }
  for _, word in ipairs(options.words or {}) do under[#under + 1] = word end
  local directory, remove = machine.directory()
  os.execute("chmod 777 " .. directory)
  local env = machine.paths(machine.public())
  env.NS_TOP = machine.public()
  local r = machine.host(BEGINNING .. code, { under = under, nobody = options.nobody, timeout = options.timeout or 300,
    spec = { cwd = directory, env = env } })
  local left = machine.sh({ cwd = directory }, "ls -A")
  remove()
  proof.check(left == "", "%s: left in the working directory: %s", options.title or "?", left)
  proof.check(r.ok and r.stderr == "", "%s: %s", options.title or "?", tostring(r))
  return r.stdout, r
end

local function expect(title, pattern, code, options)
  options = options or {}
  options.title = title
  local out = cluster(code, options)
  proof.check(out:find("^" .. pattern .. "\n$"), "%s: %s", title, out)
  return out
end

local parts, order = {}, {}
local function part(name, run)
  parts[name] = run
  order[#order + 1] = name
end

-- ---- results ----

local RESULTS = [[
  local results, failed = assert(ns.slurm.parallel({ { "sh", "-c", "echo out; echo err >&2; exit 3" },
    { "sh", "-c", "kill -9 $$" }, { "/no/such" }, { "sleep", "60", timeout = 0.5 }, { "cat", stdin = "fed" },
    { "hostname" }, { "sh", "-c", "id -u >/tmp/x; cat /tmp/x; test -e " .. ran } }, ns.sandbox():hostname("inside")))
  for _, r in ipairs(results) do
    say("%s %s %s %q %q %s", r.ok, r.how, r.code or r.signame or r.detail.step, r.stdout or "", r.stderr or "", r.ended_by)
  end
  for i, r in ipairs(results) do assert(r.node:find "^n[123]$" and r.job == "1_" .. i - 1 and r.attempt == 1) end
  say("%s", next(failed))
]]

local AS = [[
nil exit 3 "out\
" "err\
" exit
nil signal KILL "" "" signal
nil refused exec "" "" nil
nil signal TERM "" "" timeout
true exit 0 "fed" "" exit
true exit 0 "inside\
" "" exit
nil exit 1 "%d\
" "" exit
nil]]

part("results", function()
  for _, nobody in ipairs { false, true } do
    local uid = "%%d+"
    expect(nobody and "results of an ordinary user's" or "results", AS:gsub("[%%]d", uid), RESULTS, { nobody = nobody })
  end
end)

-- ---- 300 jobs, and a node that fails in their middle ----

local FAILS = [[
  local n, retries = %d, %d
  local killer, before = kill_node("n2", n // 3), core.clock()
  local results, failed = assert(ns.slurm.parallel(numbers(n), box "sleep 1; echo $0", { retries = retries }))
  local seconds = core.clock() - before
  killer:wait()
  killer:close()
  local function is_ok(i) return results[i].ok and results[i].stdout == i .. "\n" end
  local function is_lost(i)
    local r = results[i]
    return r.how == "lost" and r.node == "n2" and r.state == "NODE_FAIL" and r.ended_by == "node" and r.message:find "n2"
  end
  local ok, lost = count(n, is_ok), count(n, is_lost)
  say("results %%d", #results)
  say("neither there nor known to be lost %%d", n - ok - lost)
  say("run more than once, and not said %%d", count(n, function(i) return begun(i) > 1 and not results[i].lost end))
  say("run more often than they might %%d", count(n, function(i) return begun(i) > 1 + retries end))
  say("there, and never run %%d", count(n, function(i) return is_ok(i) and begun(i) == 0 end))
  local named = table.concat(failed.n2 or {}, " ")
  failed.n2 = nil
  say("named with another node %%s", next(failed))
  say("lost, and not named %%d", count(n, function(i)
    return results[i].lost and not (" " .. named .. " "):find(" " .. i .. " ", 1, true)
  end))
  say("left in the queue %%s", sh "squeue -h | wc -l")
  local again = count(n, function(i) return results[i].attempt > 1 end)
  say("figure: %%d jobs, a node killed, retries = %%d: %%.1f s, %%d lost, %%d run again", n, retries, seconds, lost, again)
  assert(retries == 0 or lost == 0)
  assert(lost + again > 0, "the node was killed too early or too late")
]]

local NOTHING_LOST = [[results 300
neither there nor known to be lost 0
run more than once, and not said 0
run more often than they might 0
there, and never run 0
named with another node nil
lost, and not named 0
left in the queue 0
figure: .*]]

part("failure", function()
  if not machine.root then return proof.skip "a node is killed whole by root alone" end
  for _, retries in ipairs { 0, 1 } do
    local out = expect("a node fails", NOTHING_LOST, FAILS:format(300, retries))
    io.write(out:match "(figure: [^\n]*\n)$" or "")
  end
end)

-- ---- what ends in other ways ----

part("cancel", function()
  -- by Ctrl-C: what runs ends, what waits does not begin, nothing is left
  for _, nobody in ipairs { false, true } do
    expect("Ctrl-C", "queue 0\nafter 0", [==[
      local p = assert(ns.spawn { LUA, "-e", [[
        local ns = require "ns"
        local list = {}
        for i = 1, 40 do list[i] = tostring(i) end
        ns.slurm.parallel(list, { "sh", "-c", 'echo >$CLUSTER/ran/$0; exec sleep 1041' })]],
        stdout = "null", stderr = "null" })
      sh "while [ $(ls $CLUSTER/ran | wc -l) -lt 5 ]; do sleep 0.1; done"
      p:kill "INT"
      p:wait(30)
      say("queue %s", sh "squeue -h | wc -l")
      say("after %s", sh "ps -eo args | grep -cx 'sleep 1041'")
    ]==] , { nobody = nobody })
  end
  -- by an error: what is raised in the script's own code is the same road
  expect("scancel from elsewhere", "lost cancel CANCELLED\ntrue exit nil", [==[
    local p = assert(ns.spawn { "sh", "-c", "while [ ! -e $CLUSTER/ran/1 ]; do sleep 0.1; done; scancel 1_0" })
    local results = assert(ns.slurm.parallel(numbers(2), box "[ $0 = 2 ] || sleep 60"))
    p:wait()
    say("%s %s %s", results[1].how, results[1].ended_by, results[1].state)
    say("%s %s %s", results[2].ok, results[2].ended_by, results[2].state)
  ]==])
end)

part("requeue", function()
  if not machine.root then return proof.skip "a node is killed whole by root alone" end
  -- the user wants Slurm to run a lost job again: ours does not begin it a second time, and says so
  expect("a job that Slurm queues anew", "lost REQUEUED node true 1", [==[
    local p = assert(ns.spawn { "sh", "-c", [[
      while [ ! -e $CLUSTER/ran/1 ]; do sleep 0.1; done
      kill -9 $(cat $CLUSTER/run/$(squeue -h -t running -o %N))]] })
    local r = assert(ns.slurm.parallel(numbers(1), box "sleep 60", { sbatch = { "--requeue" } }))[1]
    p:wait()
    say("%s %s %s %s %d", r.how, r.state, r.ended_by, r.node and r.message:find(r.node, 1, true) ~= nil, begun(1))
  ]==])
end)

part("unreachable", function()
  -- an ordinary user's node whose daemon is gone, as one that the network has lost: its programs go on, and their results
  -- come; a second run of what is not lost would be one too many
  expect("a node that only the network has lost", "exit 8\nonce 8", [==[
    local p = assert(ns.spawn { "sh", "-c", [[
      while [ ! -e $CLUSTER/ran/8 ]; do sleep 0.1; done; kill -9 $(cat $CLUSTER/run/n1)]] })
    local results = assert(ns.slurm.parallel(numbers(8), box "sleep 3"))
    p:wait()
    say("exit %d", count(8, function(i) return results[i].ok end))
    say("once %d", count(8, function(i) return begun(i) == 1 end))
  ]==], { nobody = true })
end)

part("nsbox", function()
  -- the boxes of a job that was written by hand: `srun nsbox run`, several on a node, signals and statuses as docker's
  expect("srun nsbox run", "inside inside inside\n3 nodes\nexit 7\nrank 0 1 2", [==[
    local nsbox = LUA .. " $NS_TOP/bin/nsbox"
    say("%s", (sh("srun -N3 " .. nsbox .. " run --system -h inside hostname"):gsub("\n", " ")))
    local run = nsbox .. " run --system -e SLURMD_NODENAME -e SLURM_PROCID sh -c "
    say("%s nodes", sh("srun -N3 " .. run .. "'echo $SLURMD_NODENAME' | sort -u | wc -l"))
    say("%s", sh("srun " .. run .. "'exit 7' 2>/dev/null; echo exit $?"))
    say("rank %s", (sh("srun -N1 -n3 " .. run .. "'echo $SLURM_PROCID' | sort"):gsub("\n", " ")))
  ]==])
end)

local OCI = [[
RunTimeQuery="crun --root=DIR-%u state %n.%u.%j.%s.%t"
RunTimeKill="crun --root=DIR-%u kill -a %n.%u.%j.%s.%t"
RunTimeDelete="crun --root=DIR-%u delete --force %n.%u.%j.%s.%t"
RunTimeRun="exec crun --root=DIR-%u --cgroup-manager=disabled run --bundle %b %n.%u.%j.%s.%t"
]]

part("bundle", function()
  -- a box as a bundle, which Slurm runs by a runtime that is not ours
  if not machine.root then return proof.skip "crun without control groups is root's" end
  if not os.execute "command -v crun >/dev/null" then return proof.skip "crun is not installed" end
  local directory, remove = machine.directory()
  machine.file(directory .. "/oci.conf", (OCI:gsub("DIR", directory .. "/state")))
  expect("srun --container", "bundled bundled bundled\nexit 7\nno home", [==[
    local bundle = os.getenv "CLUSTER" .. "/bundle"
    assert(ns.sandbox():hostname("bundled"):bundle(bundle, "true"))
    say("%s", (sh("srun -N3 --container=" .. bundle .. " hostname"):gsub("\n", " ")))
    say("%s", sh("srun --container=" .. bundle .. " sh -c 'exit 7' 2>/dev/null; echo exit $?"))
    say("%s", sh("srun --container=" .. bundle .. " sh -c '[ -e /root ] || echo no home'"))
  ]==], { words = { "-o", directory .. "/oci.conf" } })
  remove()
end)

part("suite", function()
  -- the files of a suite, each in a fresh busted; one fails, one ends its process
  expect("a suite over the cluster", "ok a_spec.lua on n%d: 2 successes[^\n]*\nok b_spec.lua on n%d: 1 success[^\n]*\n"
    .. "FAILED c_spec.lua on n%d: 0 successes[^\n]*\n.*\nFAILED d_spec.lua on n%d: [^\n]*\n"
    .. ".*\n2 of 4 files are good", [==[
    local files = {
      a = "describe('a', function() it('one', function() x = 1 end) it('two', function() end) end)",
      b = "it('is fresh', function() assert.is_nil(x) end)", c = "it('fails', function() assert.equal(1, 2) end)",
      d = "it('ends', function() os.exit(3) end)" }
    for name, text in pairs(files) do
      local f = assert(io.open(name .. "_spec.lua", "w"))
      f:write(text)
      f:close()
    end
    local suite = ("export BUSTED='%s /usr/bin/busted'; %s $NS_TOP/examples/cluster_specs.lua "):format(LUA, LUA)
    print((sh(suite .. "?_spec.lua; rm ?_spec.lua")))
  ]==])
  -- files of this project's own, as they stand
  expect("specs of this project over the cluster", "ok spec/check_spec.lua on [^\n]*\nok spec/lowering_spec.lua on [^\n]*\n"
    .. "ok spec/plan_spec.lua on [^\n]*\nok spec/run_spec.lua on [^\n]*\n4 of 4 files are good", ([==[
    print((sh(("cd %s; export BUSTED='%%s /usr/bin/busted'; %%s examples/cluster_specs.lua "):format(LUA, LUA)
      .. "spec/check_spec.lua spec/lowering_spec.lua spec/plan_spec.lua spec/run_spec.lua")))
  ]==]):format(machine.top))
end)

part("figures", function()
  local n = proof.size(60, 300)
  local out = expect("figures", "figure: .*\nfigure: .*\nfigure: .*\nfigure: .*", ([==[
    local n = %d
    local function timed(text, f)
      local before = core.clock()
      f()
      say("figure: %%d jobs, %%s: %%.1f s", n, text, core.clock() - before)
    end
    timed("srun of the bare command, 24 at a time", function()
      for _, r in ipairs(ns.parallel(numbers(n), { "srun", "-n1", "echo" }, { jobs = 24 })) do assert(r.ok, tostring(r)) end
    end)
    timed("an array of sbatch, the bare command", function()
      sh(("sbatch --parsable -o /dev/null --wait --array=1-%%d --wrap true"):format(n))
    end)
    local function all(options)
      for _, r in ipairs(assert(ns.slurm.parallel(numbers(n), ns.sandbox():argv "echo", options))) do assert(r.ok) end
    end
    timed("ns.slurm.parallel, a sandbox each", all)
    timed("ns.slurm.parallel, per_task = 10", function() all { per_task = 10 } end)
  ]==]):format(n), { timeout = 600 })
  for line in out:gmatch "[^\n]+" do proof.figure(line:match "^figure: ([^:]*): (.*)$") end
end)

local only = {}
for i = 2, #arg do only[#only + 1] = arg[i] end
for _, name in ipairs(#only > 0 and only or order) do
  print("== " .. name)
  parts[name]()
end
proof.finish()
