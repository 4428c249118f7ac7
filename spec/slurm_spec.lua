--- ns.slurm: what would be submitted, as data; what becomes of tasks that end without a result; and whole runs with a Slurm
-- that is none (spec/support/slurm.lua). A real one has `make cluster-test`.
local judge = require "ns.slurm.judge"
local machine = require "support.machine"
local ns = require "ns"
local plan = require "ns.slurm.plan"
local queue = require "ns.slurm.queue"
local slurm = require "support.slurm"

describe("what is submitted to Slurm", function()
  local function command(options, count, after)
    local made = plan.make({ "a" }, { "echo" }, options)
    local line = table.concat(plan.command(made, 2, count or 1, after), " ")
    return (line:gsub(made.folder:gsub("%p", "%%%0"), "FOLDER"):gsub(made.name:gsub("%p", "%%%0"), "NAME"))
  end

  it("is an array of jobs, which Slurm does not run again by itself", function()
    assert.equal("sbatch --parsable --no-requeue --job-name=NAME --ntasks=1 --output=FOLDER/log/%A_%a --input=/dev/null "
      .. "--array=0-6 FOLDER/script 2", command({}, 7))
  end)

  for _, row in ipairs {
    { { jobs = 4 }, "--array=0-0%4" },
    { { partition = "debug" }, "--partition=debug" },
    { { account = "a", qos = "high" }, "--account=a --qos=high" },
    { { constraint = "gpu|big", reservation = "r" }, "--constraint=gpu|big --reservation=r" },
    { { nodelist = "n[1-3]", exclude = "n2" }, "--nodelist=n[1-3] --exclude=n2" },
    { { cpus = 4, memory = "2G" }, "--cpus-per-task=4 --mem=2G" },
    { { time = 90 }, "--time=1:30" },
    { { sbatch = { "--gres=gpu:1", "--requeue" } }, "--gres=gpu:1 --requeue" },
  } do
    it("has the options of sbatch: " .. row[2], function()
      assert.truthy((" %s "):format(command(row[1])):find(" " .. row[2] .. " ", 1, true), command(row[1]))
    end)
  end

  it("waits for the array before it, where only so many are to run at a time", function()
    assert.matches("%-%-dependency=afterany:17 ", command({ jobs = 2 }, 1, "17"))
  end)

  it("has a name that no other run has, and a directory of that name", function()
    local a, b = plan.make({}, {}, { name = "sweep", folder = "/data" }), plan.make({}, {}, { name = "sweep" })
    assert.matches("^sweep%-%x+$", a.name)
    assert.not_equal(a.name, b.name)
    assert.equal("/data/" .. a.name, a.folder)
    assert.equal(machine.top, (b.folder:gsub("/[^/]*$", "")))
  end)

  it("has the words of each item, over those of the box", function()
    local box = ns.box():env("A", "1"):argv("echo")
    local made = plan.make({ "x", { env = { B = "2" } }, { "ls", timeout = 3 } }, box, { timeout = 9 })
    local function words(given)
      given.stdin, given.stdout, given.stderr = "null", "pipe", "pipe"
      return given
    end
    assert.same(words { argv = { "echo", "x" }, env = { A = "1" }, timeout = 9 }, made.items[1])
    assert.same(words { argv = { "echo" }, env = { A = "1", B = "2" }, timeout = 9 }, made.items[2])
    assert.same(words { argv = { "ls" }, env = { A = "1" }, timeout = 3 }, made.items[3])
  end)

  it("is a script that says what a node does not have", function()
    local made = plan.make({ "x" }, { "echo" }, { folder = "/no where", lua = "lua'5" })
    assert.matches("\nfolder='/no where/ns%-%x+' lua='lua'\\''5'\n", made.script)
    local r = ns.run { "sh", "-c", made.script, "sh", "1" }
    assert.same({ 101, ("there is no %s here\n"):format(made.folder) }, { r.code, r.stdout })
  end)
end)

describe("a mistake in what is to be submitted", function()
  local function mistake(list, box, options)
    local ok, message = pcall(ns.slurm.parallel, list, box, options)
    assert.falsy(ok)
    return (message:gsub("^[^ ]+:%d+: bad argument ", ""))
  end

  for _, row in ipairs {
    { { "x" }, ns.box, nil, "^#2 to 'parallel' %(a spec or a box expected, got function: what lives on this machine" },
    { { "x" }, ns.sandbox():pool(1), nil, "^#2 to 'parallel' %(a spec or a box expected, got an object" },
    { { "x" }, { hostnam = "x" }, nil, "^#2 to 'parallel' %(hostnam: unknown word" },
    { { "x" }, { "echo" }, { partitio = "x" }, "^#3 to 'parallel' %(options: unknown field 'partitio' %(did you mean" },
    { { "x" }, { "echo" }, { jobs = 0 }, "^#3 to 'parallel' %(options.jobs: 0 is out of range" },
    { { "x" }, { "echo" }, { name = "a b" }, "^#3 to 'parallel' %(options.name: letters, digits" },
    { { "x" }, { "echo" }, { folder = "here" }, "^#3 to 'parallel' %(options.folder: absolute path expected" },
    { "x", { "echo" }, nil, "^#1 to 'parallel' %(list: list expected, got string" },
    { { "x", { hostname = "h" } }, { "echo" }, nil, "^#1 to 'parallel' %(list%[2%]: hostname: needs 'uts' in flags" },
    { { { fn = print } }, {}, nil, "^#1 to 'parallel' %(list%[1%]: fn: a function cannot go to another machine" },
    { { "x" }, { "cat", stdin = io.stdin }, nil, "^#1 to 'parallel' %(list%[1%]: stdin: a userdata cannot go" },
    { { "x" }, { "cat", stdout = 1 }, nil, "^#1 to 'parallel' %(list%[1%]: stdout: a descriptor cannot go" },
    { { "x" }, { "cat", fds = { [3] = 0 } }, nil, "^#1 to 'parallel' %(list%[1%]: fds: descriptors cannot go" },
    { { "x" }, { "cat", detach = true }, nil, "^#1 to 'parallel' %(list%[1%]: detach: a process that outlives" },
  } do
    it("is said before anything is: " .. row[4], function() assert.matches(row[4], mistake(row[1], row[2], row[3])) end)
  end
end)

describe("a task without a result", function()
  it("lives, waits, was queued anew, or has ended, by what squeue says", function()
    local rows = queue.read("7_0|RUNNING|n1|None\n7_1|PENDING||Resources\n7_2|NODE_FAIL|n2|NodeDown\n")
    assert.same({ state = "RUNNING", node = "n1", reason = "None" }, rows["7_0"])
    assert.is_nil(rows["7_1"].node)
    local function phase(id, begun) return judge.phase(rows[id], begun) end
    assert.same({ "lives", "waits", "again", "ended", "ended" },
      { phase("7_0"), phase("7_1"), phase("7_1", true), phase "7_2", phase "7_3" })
  end)

  --- begun, state, attempt, tries, retries -> what is done, how, ended_by
  for _, row in ipairs {
    { false, "NODE_FAIL", 1, 1, 0, "submit" }, { false, "PREEMPTED", 1, 4, 0, "submit" },
    { false, "NODE_FAIL", 1, 5, 9, "give up", "refused" }, { false, "FORGOTTEN", 1, 1, 0, "submit" },
    { false, "FAILED", 1, 1, 9, "give up", "refused" }, { false, "CANCELLED", 1, 1, 9, "give up", "refused" },
    { true, "NODE_FAIL", 1, 1, 0, "give up", "lost", "node" }, { true, "NODE_FAIL", 1, 1, 1, "retry" },
    { true, "NODE_FAIL", 2, 1, 1, "give up", "lost", "node" }, { true, "REQUEUED", 1, 1, 0, "give up", "lost", "node" },
    { true, "REQUEUED", 1, 1, 3, "retry" }, { true, "CANCELLED", 1, 1, 3, "give up", "lost", "cancel" },
    { true, "TIMEOUT", 1, 1, 3, "give up", "lost", "timeout" },
    { true, "OUT_OF_MEMORY", 1, 1, 3, "give up", "lost", "memory" }, { true, "FAILED", 1, 1, 3, "give up", "lost" },
  } do
    local title = "%s %s: attempt %d, the %d. time submitted, %d retries: %s"
    it(title:format(row[1] and "begun," or "not begun,", row[2], row[3], row[4], row[5], row[6]), function()
      local act, text, how, by = judge.verdict { begun = row[1], state = row[2], attempt = row[3], tries = row[4],
        retries = row[5], node = "n7" }
      assert.same({ row[6], row[7], row[8] }, { act, how, by })
      assert.matches("n7", text)
    end)
  end
end)

describe("a run on a cluster #system", function()
  local fake
  before_each(function() fake = slurm.new() end)
  after_each(function() fake.remove() end)

  --- Each result in a word: what the program said, or how and by what it has ended.
  local SHOW = [[
    require("ns.slurm.watch").grace = 0.5
    local function show(results, failed)
      for _, r in ipairs(results) do
        local what = r.how == "exit" and r.stdout or r.how .. (r.ended_by and "-" .. r.ended_by or "")
        io.write(what, "@", r.node or "?", "#", r.attempt, " ")
      end
      for node, items in pairs(failed) do io.write(node, "=", table.concat(items, ","), " ") end
    end
  ]]

  local function run(code)
    local r = slurm.run(fake, SHOW .. code)
    assert.equal("", r.stderr)
    assert.equal("", machine.sh({ cwd = fake.path .. "/work" }, "ls -A"))
    return (r.stdout:gsub(" $", ""))
  end

  local ECHO = "show(ns.slurm.parallel({ 'a', 'b', 'c', 'd' }, { 'printf', '%%s' }, { %s }))"

  it("has the results in the order of the list, with node and attempt", function()
    assert.equal("a@n1#1 b@n2#1 c@n3#1 d@n1#1", run(ECHO:format ""))
    assert.equal("a@n1#1 b@n1#1 c@n1#1 d@n2#1", run(ECHO:format "per_task = 3"))
  end)

  it("tells how each program has ended, and what it has said", function()
    local text = run([[
      local list = { { "sh", "-c", "echo out; echo err >&2; exit 3" }, { "sh", "-c", "kill -9 $$" }, { "/no/such" },
        { "sleep", "60", timeout = 0.1 }, { "cat", stdin = "fed" } }
      for _, r in ipairs(ns.slurm.parallel(list, {})) do
        print(r.ok, r.how, r.code or r.signame or r.detail.step, r.stdout, r.stderr, r.ended_by, r.job)
      end]])
    assert.equal("nil\texit\t3\tout\n\terr\n\texit\t1_0\nnil\tsignal\tKILL\t\t\tsignal\t1_1\n"
      .. "nil\trefused\texec\tnil\tnil\tnil\t1_2\nnil\tsignal\tTERM\t\t\ttimeout\t1_3\n"
      .. "true\texit\t0\tfed\t\texit\t1_4\n", text)
  end)

  it("runs what has not begun on a node that failed on another one", function()
    fake.fate("1_1", "state=NODE_FAIL")
    assert.equal("a@n1#1 b@n1#1 c@n3#1 d@n1#1", run(ECHO:format ""))
    assert.equal(2, select(2, fake.read "submitted":gsub("\n", "")))
  end)

  it("does not run again what had begun there, unless it may", function()
    fake.fate("1_1", "mkdir $folder/claims/2.1; state=NODE_FAIL")
    assert.equal("a@n1#1 lost-node@n2#1 c@n3#1 d@n1#1 n2=2", run(ECHO:format ""))
    fake.fate("2_1", "mkdir $folder/claims/2.1; state=NODE_FAIL")
    assert.equal("a@n1#1 b@n1#2 c@n3#1 d@n1#1 n2=2", run(ECHO:format "retries = 1"))
  end)

  it("says so where a task that is lost comes to its end all the same", function()
    fake.fate("1_1", "task; mv $folder/results/2.1 $FAKE/late; state=NODE_FAIL; "
      .. "(sleep 2; mv $FAKE/late $folder/results/2.1) >/dev/null 2>&1 &")
    fake.fate("1_3", "(sleep 3; task) >/dev/null 2>&1 & state=RUNNING")
    assert.equal("a@n1#1 b@n2#1 c@n3#1 d@n1#1 n2=2", run(ECHO:format ""))
  end)

  it("takes a task away that Slurm has queued anew after it had begun", function()
    fake.fate("1_2", "mkdir $folder/claims/3.1; state=PENDING")
    assert.equal("a@n1#1 b@n2#1 lost-node@n3#1 d@n1#1 n3=3", run(ECHO:format ""))
    assert.equal("-Q 1_2\n", fake.read "cancelled")
  end)

  it("does not run what Slurm starts a second time", function()
    fake.fate("1_0", "task; rm $folder/results/1.1; task; state=COMPLETED")
    assert.equal("lost@n1#1 b@n2#1 c@n3#1 d@n1#1 n1=1", run(ECHO:format ""))
  end)

  it("tells of tasks that were cancelled, or that Slurm has forgotten", function()
    fake.fate("1_0", "state=CANCELLED")
    fake.fate("1_1", "mkdir $folder/claims/2.1; state=")
    assert.equal("refused@n1#1 lost-node@?#1 c@n3#1 d@n1#1 n1=1", run(ECHO:format ""))
  end)

  it("says what the task has said where it could not begin", function()
    assert.matches("there is no no%-such%-lua here; it has not begun$",
      run("print(ns.slurm.parallel({ 'x' }, { 'echo' }, { lua = 'no-such-lua' })[1].message)"):gsub("\n$", ""))
  end)

  it("is several arrays where the list is longer than one may be", function()
    fake.env.MOST = "2"
    assert.equal("a@n1#1 b@n2#1 c@n1#1 d@n2#1", run(ECHO:format "jobs = 2"))
    assert.matches("%-%-dependency=afterany:1 .*/script 2\n$", fake.read "submitted")
  end)

  it("is refused as sbatch says it, and without Slurm with the package", function()
    fake.write("refuses", "sbatch: error: invalid partition specified: x\n")
    assert.equal("nil\tsbatch: sbatch: error: invalid partition specified: x\t5\n",
      run("print(ns.slurm.parallel({ 'x' }, { 'echo' }))"))
    assert.matches("^%-Q %-%-name=ns%-%x+\n$", fake.read "cancelled")
    fake.uninstall()
    assert.matches("^nil\tthere is no scontrol here: .* package slurm%-client.*\t2\n$",
      run("print(ns.slurm.parallel({ 'x' }, { 'echo' }))"))
  end)

  it("is nothing for an empty list", function()
    fake.uninstall()
    assert.equal("0", run("io.write(#ns.slurm.parallel({}, { 'echo' }))"))
  end)

  it("is cancelled by Ctrl-C, which has its effect then", function()
    fake.fate("1_1", "state=RUNNING; (sleep 1; kill -INT $(cat $FAKE/parent)) >/dev/null 2>&1 &")
    local r = slurm.run(fake, [[
      assert(ns.run { "sh", "-c", "echo $PPID >$FAKE/parent" })
      print(pcall(ns.slurm.parallel, { "a", "b" }, { "echo" }))]])
    assert.matches("^false\t.*interrupted!\n$", r.stdout)
    assert.matches("^%-Q %-%-name=ns%-%x+\n$", fake.read "cancelled")
    assert.equal("", machine.sh({ cwd = fake.path .. "/work" }, "ls -A"))
  end)
end)
