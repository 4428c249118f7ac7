--- The word `limits`: what it takes, the steps that it becomes, where the groups lie, and what a program sees of them.
local constants = require("ns.core").constants
local core = require "ns.core"
local groups = require "ns.start.groups"
local limits = require "ns.words.limits"
local machine = require "support.machine"
local ns = require "ns"
local places = require "ns.start.group_places"
local plan = require "ns.start.plan"
local plans = require "support.plans"

local MIB = 2 ^ 20

describe("limits", function()
  local ROWS = {
    { "bytes by their unit", { memory = "64m", memory_high = "1g", swap = "0" },
      { memory = 64 * MIB, memory_high = 1024 * MIB, swap = 0 } },
    { "a part of what the host may use", { memory = "50%", pids = "12.5%", cpu = "1%" },
      { memory = { percent = 50 }, pids = { percent = 12.5 }, cpu = { percent = 1 } } },
    { "no limit", { memory = "max", swap = "max", pids = "max", cpu = "max" },
      { memory = "max", swap = "max", pids = "max", cpu = "max" } },
    { "processors by number or as the kernel names them", { cpuset = { 0, 2 } }, { cpuset = "0,2" } },
    { "one processor", { cpuset = 3 }, { cpuset = "3" } },
    { "processors as a text", { cpuset = "0-3,6" }, { cpuset = "0-3,6" } },
    { "disks", { io = { ["8:0"] = { read = "1m", write_ops = 10 } } },
      { io = { ["8:0"] = { read = MIB, write_ops = 10 } } } },
  }
  for _, row in ipairs(ROWS) do
    it("can be " .. row[1], function() assert.same(row[3], limits.check(row[2], "limits")) end)
  end

  local MISTAKES = {
    { { memory = "64q" }, "limits.memory: bytes, '64k', '64m', '2g', '50%' or 'max' expected, got '64q'" },
    { { memory = 0 }, "limits.memory: 0 is out of range, 1 to 9.007199254741e+15" },
    { { memory = 1.5 }, "limits.memory: integer expected, got 1.5" },
    { { memory = "0%" }, "limits.memory: '0%' is out of range, above 0% and up to 100%" },
    { { swap = "50%" }, "limits.swap: no share of it is known" },
    { { pids = 0 }, "limits.pids: 0 is out of range, 1 to 4194304" },
    { { pids = "many" }, "limits.pids: a number, '50%' or 'max' expected, got 'many'" },
    { { cpu = 0 }, "limits.cpu: 0 is out of range, 0.01 to 8192 processors" },
    { { cpu = 0 / 0 }, "limits.cpu: .*nan is out of range, 0.01 to 8192 processors" },
    { { cpu = true }, "limits.cpu: number expected, got boolean" },
    { { cpu_weight = 0 }, "limits.cpu_weight: 0 is out of range, 1 to 10000" },
    { { cpuset = "0-" }, "limits.cpuset: processors expected, as '0-3,6', got '0-'" },
    { { cpuset = "3-1" }, "limits.cpuset: processors expected, as '0-3,6', got '3-1'" },
    { { cpuset = {} }, "limits.cpuset: empty list" },
    { { io = { sda = {} } }, "limits.io[sda]: a disk expected, as '/dev/sda' or '8:0'" },
    { { io = { ["8:0"] = { read = "50%" } } }, "limits.io[8:0].read: of a disk there is no share" },
    { { io = { ["8:0"] = { reads = 5 } } }, "limits.io[8:0]: unknown field 'reads' (did you mean 'read'?)" },
    { { parent = "below" }, "limits.parent: absolute path expected, got 'below'" },
    { { memroy = 5 }, "limits: unknown field 'memroy' (did you mean 'memory'?)" },
    { 5, "limits: table expected, got number" },
  }
  for _, row in ipairs(MISTAKES) do
    it("are refused: " .. row[2], function()
      local ok, e = pcall(ns.spawn, { "true", limits = row[1] })
      local text = ("bad argument #1 to 'spawn' (%s)"):format(row[2])
      assert.is_false(ok)
      assert.matches(row[2]:find ".*nan" and row[2] or text:gsub("%p", "%%%0"), e)
    end)
  end
end)

describe("the files of limits", function()
  local HOST = { memory = 1000 * MIB, pids = 1000, cpu = 4, disk = function() return "8:16" end }

  local function files(wanted, first)
    local list = {}
    for _, file in ipairs(limits.files(limits.check(wanted, "limits"), HOST, first)) do
      list[#list + 1] = ("%s=%s %s"):format(file.file, file.data, file.when)
    end
    return list
  end

  it("are written when it is time: those of memory last", function()
    assert.same({ "pids.max=64 first", "cpu.weight=10 first", "cpuset.cpus=0 first", "cpu.max=150000 100000 between",
      "memory.swap.max=max last", "memory.max=1048576 last", "memory.oom.group=1 last", "memory.high=1000 last" },
      files({ memory = "1m", memory_high = 1000, swap = "max", pids = 64, cpu = 1.5, cpu_weight = 10, cpuset = 0 }, true))
  end)

  it("leave no swap beside a limit of memory, unless it is said", function()
    assert.same({ "memory.swap.max=0 last", "memory.max=1048576 last", "memory.oom.group=1 last" },
      files({ memory = "1m" }, true))
    assert.same({ "memory.max=max last" }, files({ memory = "max" }, true))
  end)

  it("change nothing else in a group that is there", function()
    assert.same({ "memory.max=1048576 last" }, files({ memory = "1m" }, false))
  end)

  it("have shares of what the host may use", function()
    assert.same({ "pids.max=250 first", "cpu.max=200000 100000 between", "memory.max=524288000 last" },
      files({ memory = "50%", pids = "25%", cpu = "50%" }, false))
  end)

  it("name a disk by its numbers, a line for each", function()
    assert.same({ "io.max=8:0 riops=5 first", "io.max=8:16 rbps=1024 wbps=max first" },
      files({ io = { ["/dev/vda"] = { read = "1k", write = "max" }, ["8:0"] = { read_ops = 5 } } }, false))
  end)
end)

describe("the steps of limits", function()
  local function both(by, flags)
    local function group(wanted)
      local all = limits.files(wanted, {}, true)
      return { path = "/g", by = by, files = all, opened = { ["memory.max"] = 7, ["memory.swap.max"] = false } }
    end
    local host = plans.host { control_group = group }
    local checked = plans.check { "true", flags = flags, limits = { memory = 4096, pids = 5, cpu = 1 } }
    local found = plans.found(checked, host)
    return plan.host_steps(checked, found), plan.lower(checked, found)
  end

  local function names(steps)
    local list = {}
    for _, step in ipairs(steps) do
      local name = step.from or step.path
      if (step.word or ""):find "^limits" or step.op == "clone" then
        list[#list + 1] = name and ("%s %s"):format(step.op, name) or step.op
      end
    end
    return list
  end

  -- Until the launcher is executed, the memory is the host's.
  it("are the host's, but for the limits of memory, which the launcher writes", function()
    local by_host, inside = both("clone", { "cgroup" })
    assert.same({ "group /g", "limit pids.max", "open_limit memory.swap.max", "open_limit memory.max",
      "open_limit memory.oom.group", "clone", "limit cpu.max" }, names(by_host))
    assert.same({ "write memory.max", "write memory.oom.group" }, names(inside))
    assert.same({ "pdeathsig", "write" }, { inside[1].op, inside[2].op })
    local clone = by_host[plans.find(by_host, { op = "clone" })]
    assert.same({ { cgroup = true }, "clone" }, { clone.namespaces, clone.grouped })
  end)

  it("have a cgroup namespace only when the launcher has been moved, where it is not born in the group", function()
    local by_host, inside = both("systemd", { "cgroup", "uts" })
    local clone = plans.find(by_host, { op = "clone" })
    assert.same({ uts = true }, by_host[clone].namespaces)
    assert.equal("attach", by_host[clone + 1].op)
    assert.same({ "unshare", constants.clone.NEWCGROUP }, { inside[2].op, inside[2].flags })
  end)

  it("are none without the word", function()
    local checked = plans.check { "true" }
    local found = plans.found(checked, plans.host { control_group = function() error "asked" end })
    assert.same({ "clone" }, names(plan.host_steps(checked, found)))
  end)
end)

describe("the place of the groups", function()
  local real = places.machine
  after_each(function() places.machine = real end)

  --- What is found on a machine with these files; PATH:w, that one may be written, PATH:delegate, its xattr. `more`:
  -- v1, or the errno of what may not be written.
  local function place(files, more)
    places.machine = { read = function(path) return files[path] end,
      access = function(path, mode)
        local errno = constants.errno
        if files[path] == nil then return nil, "", errno.ENOENT end
        if mode ~= 4 and mode ~= 0 and not files[path .. ":w"] then return nil, "", more and more.errno or errno.EACCES end
        return true
      end,
      is_cgroup2 = function(path) return path == "/sys/fs/cgroup" and not (more and more.v1) end,
      xattr = function(path, name) return name == "user.delegate" and files[path .. ":delegate"] or nil end,
      ids = function() return { pid = 50, euid = 0 } end }
    local found, step, errno = places.find {}
    if found then return found.how, found.path, found.leaf end
    return nil, step.path, errno
  end

  --- A group with these processes that may be written, or not.
  local function group(files, path, procs, writable)
    files[path] = ""
    files[path .. "/cgroup.procs"], files[path .. "/cgroup.subtree_control"] = procs, ""
    if path ~= "/sys/fs/cgroup" then files[path .. "/cgroup.type"] = "domain\n" end
    for _, file in ipairs(writable and { "", "/cgroup.procs", "/cgroup.subtree_control" } or {}) do
      files[path .. file .. ":w"] = true
    end
    return files
  end

  local function own(path) return { ["/proc/self/cgroup"] = ("1:name=x:/y\n0::%s\n"):format(path) } end

  it("is below the root of all, for root without systemd", function()
    assert.same({ "root", "/sys/fs/cgroup" }, { place(group(own "/", "/sys/fs/cgroup", "1\n50\n", true)) })
  end)

  it("is the nearest group above ours in which there is nobody", function()
    local files = group(own "/a/b", "/sys/fs/cgroup", "1\n", true)
    group(group(files, "/sys/fs/cgroup/a", "", true), "/sys/fs/cgroup/a/b", "9\n50\n", true)
    assert.same({ "root", "/sys/fs/cgroup/a" }, { place(files) })
  end)

  it("is in a container its own root, which we leave for a group of our own, if all in it are ours", function()
    local files = group(own "/", "/sys/fs/cgroup", "50\n60\n", true)
    files["/sys/fs/cgroup/cgroup.type"], files["/proc/60/stat"] = "domain\n", "60 (a) b) S 50 1 1"
    assert.same({ "delegated", "/sys/fs/cgroup", true }, { place(files) })
  end)

  it("is none where others are in our group", function()
    local files = group(own "/", "/sys/fs/cgroup", "1\n50\n", true)
    files["/sys/fs/cgroup/cgroup.type"], files["/proc/1/stat"] = "domain\n", "1 (sh) S 0 1 1"
    assert.same({ nil, "/sys/fs/cgroup", constants.errno.EBUSY }, { place(files) })
  end)

  it("is none where it is read-only, or not ours", function()
    local files = group(own "/", "/sys/fs/cgroup", "50\n", false)
    assert.same({ nil, "/sys/fs/cgroup", constants.errno.EROFS }, { place(files, { errno = constants.errno.EROFS }) })
    assert.same({ nil, "/sys/fs/cgroup", constants.errno.EACCES }, { place(files) })
  end)

  it("is none with cgroup v1", function()
    assert.same({ nil, "/sys/fs/cgroup", constants.errno.ENODEV }, { place({}, { v1 = true }) })
  end)

  it("is under systemd a unit that was delegated, and no other", function()
    local files = group(own "/system.slice/x.service/sub", "/sys/fs/cgroup/system.slice/x.service", "", true)
    group(files, "/sys/fs/cgroup/system.slice/x.service/sub", "1\n50\n", true)
    files["/run/systemd/system"] = ""
    files["/sys/fs/cgroup/system.slice/x.service:delegate"] = "1"
    assert.same({ "delegated", "/sys/fs/cgroup/system.slice/x.service" }, { place(files) })
    files["/sys/fs/cgroup/system.slice/x.service:delegate"] = nil
    assert.are_not.equal("delegated", (place(files)))
  end)
end)

describe("without a control group", function()
  it("nothing is asked of the machine", function()
    local real = groups.find
    finally(function() groups.find = real end)
    groups.find = function() error "asked" end
    local r = assert(ns.run { "true" })
    assert.same({ false, "exit" }, { r.oom, r.ended_by })
    assert.is_nil(r.usage.cpu)
  end)

  it("a place that is none is a refusal, with what helps", function()
    local p, message, errno, detail = ns.spawn { "true", limits = { parent = machine.top } }
    assert.same({ nil, constants.errno.EINVAL, "group", "limits" }, { p, errno, detail.step, detail.word })
    assert.matches("it is no directory of a cgroup v2", message)
    assert.equal(constants.errno.ENOENT, select(3, ns.spawn { "true", limits = { parent = "/nowhere" } }))
  end)

  it("a timeout is what has ended a program", function()
    local began = core.clock()
    assert(ns.run { "true" })
    local timeout = 0.1 + 10 * (core.clock() - began) -- a start counts, too
    assert.equal("timeout", assert(ns.run { "sleep", "60", timeout = timeout, grace = 0 }).ended_by)
    assert.equal("signal", ns.run({ "sh", "-c", "kill -9 $$" }).ended_by)
  end)
end)

-- ---- on a machine that has them ----

local EAT = { "sh", "-c", "head -c 200m /dev/zero | tail" }

--- The spec with further words.
local function with(words, more)
  local box = ns.box(more or {})
  for word, value in pairs(words) do box[word](box, value) end
  return box
end

--- The groups that there are of ours.
local function left()
  local place, list = assert(places.find {}), {}
  for _, entry in ipairs(place.path and core.entries(place.path) or {}) do
    if entry.name:find "^ns%-%d+%-%d+%-%d" then list[#list + 1] = entry.name end
  end
  return list
end

machine.describe("limits")("a program with limits", function()
  for name, spec in pairs { ["without namespaces"] = {}, ["in a sandbox"] = ns.sandbox() } do
    it("that takes more memory is killed, and said to be: " .. name, function()
      local r = assert(ns.run(with({ argv = EAT, limits = { memory = "24m" }, timeout = 60 }, spec)))
      assert.same({ true, "memory", "signal", 9 }, { r.oom, r.ended_by, r.how, r.signal })
      assert.truthy(r.usage.memory_peak == nil or r.usage.memory_peak <= 24 * MIB)
      assert.matches("out of memory", tostring(r))
      assert.same({}, left())
    end)

    it("that has enough is not: " .. name, function()
      local r = assert(ns.run(with({ argv = { "true" }, limits = { memory = "100m" } }, spec)))
      assert.same({ true, false, "exit" }, { r.ok, r.oom, r.ended_by })
      assert.truthy(r.usage.cpu > 0)
    end)

    it("starts no more processes than it may: " .. name, function()
      local r = assert(ns.run(with({ argv = { "sh", "-c", "for i in $(seq 40); do sleep 60 & done" }, stderr = "null",
        limits = { pids = 12 }, timeout = 60 }, spec)))
      assert.is_nil(r.ok)
      assert.truthy(r.usage.pids_refused > 0)
      assert.same({}, left())
    end)
  end

  it("that is killed by somebody else has not run out of memory", function()
    local p = assert(ns.spawn { "sleep", "60", limits = { memory = "50m" } })
    p:kill("KILL")
    local r = p:communicate()
    assert.same({ false, "signal", 9 }, { r.oom, r.ended_by, r.signal })
    assert.truthy(r.usage.cpu > 0)
  end)

  it("takes no more processor time than it may", function()
    local r = assert(ns.run { "sh", "-c", "while :; do :; done", limits = { cpu = 0.2 }, timeout = 3, grace = 0 })
    assert.equal("timeout", r.ended_by)
    assert.truthy(r.usage.cpu < 0.5 * r.wall, ("%g of %g"):format(r.usage.cpu, r.wall))
    assert.truthy(r.usage.throttled > 0)
  end)

  it("sees its group as the root", function()
    assert.equal("0::/", machine.sh(ns.sandbox():limits({}):spec(), "grep ^0: /proc/self/cgroup"))
  end)

  it("has nothing of its limits as a descriptor", function()
    local r = assert(ns.run { "ls", "/proc/self/fd", limits = { memory = "100m" } })
    assert.equal("0\n1\n2\n3\n", r.stdout)
  end)

  it("tells its usage while it runs", function()
    local p = assert(ns.spawn { "sleep", "60", limits = { memory = "100m" } })
    local usage = p:usage()
    p:close()
    assert.truthy(usage.cpu >= 0 and usage.pids_refused == 0)
    assert.same({}, left())
  end)

  it("takes its whole tree with it, without a pid namespace", function()
    local r = assert(ns.run { "sh", "-c", "setsid sleep 4041 & (setsid sleep 4041 &) ; sleep 4041", limits = {},
      timeout = 4, grace = 0, stdout = "null", stderr = "null" })
    assert.is_true(r.timed_out)
    assert.equal(0, machine.processes "4041")
    assert.same({}, left())
  end)

  it("leaves nothing in its group when it ends, nor when it is collected", function()
    assert(ns.run { "sh", "-c", "setsid sleep 4042 & :", limits = {}, stdout = "null" })
    assert.equal(0, machine.processes "4042")
    assert(ns.spawn { "sleep", "4042", limits = {} })
    collectgarbage()
    collectgarbage()
    machine.eventually(function() return machine.processes "4042" == 0 and #left() == 0 end)
  end)

  it("whose limit is too small for anything is refused, with that as the reason", function()
    local p, message, _, detail = ns.spawn { "true", limits = { memory = 4096 } }
    assert.is_nil(p)
    assert.equal("DIED", detail.code)
    assert.matches("write memory.max %(4096%) may be the cause", message)
    assert.same({}, left())
  end)

  it("that cannot be executed leaves no group", function()
    assert.is_nil(ns.run { "/no/such", limits = { pids = 5 } })
    assert.is_nil(ns.run { "true", limits = { cpuset = 8000 } })
    assert.same({}, left())
  end)

  it("is tried without leaving one, too", function()
    assert.is_true(ns.check { "true", limits = { memory = "50m" } })
    assert.same({}, left())
  end)

  it("may be a function", function()
    local ok, text = ns.call({ limits = { memory = "100m" } }, function()
      local f = io.open "/proc/self/cgroup"
      local said = f:read("*a")
      f:close()
      return said
    end)
    assert.is_true(ok)
    assert.matches("/ns%-%d+", text)
    assert.same({}, left())
  end)

  it("is moved into its group, where it cannot be born there", function()
    local r = machine.host([[
      local r = assert(require("ns").run { "sh", "-c", "head -c 200m /dev/zero | tail", limits = { memory = "24m" } })
      io.write(r.ended_by, " ", tostring(r.oom))]], { under = machine.refuse("ENOSYS", "clone3") })
    assert.equal("memory true", r.stdout .. r.stderr)
  end)

  it("has what a killed host has left removed by the next one", function()
    local r = machine.host [[
      local ns = require "ns"
      local p = assert(ns.spawn { "sh", "-c", "setsid sleep 4043 & sleep 4043", limits = {} })
      ns.run { "kill", "-9", tostring(require("ns.core").ids().pid) }]]
    assert.equal("KILL", r.signame)
    local r2 = machine.host 'assert(require("ns").run { "true", limits = {} })'
    assert.is_true(r2.ok, tostring(r2))
    machine.eventually(function() return machine.processes "4043" == 0 and #left() == 0 end)
  end)

  it("may be a fork bomb", function()
    local p = assert(ns.spawn { "sh", "-c", "b() { b | b & }; b; sleep 60", stderr = "null", limits = { pids = 30 } })
    machine.eventually(function() return p:usage().pids_refused > 0 end)
    assert.truthy((p:usage().pids_peak or 0) <= 30)
    p:close()
    assert.same({}, left())
  end)

  it("that has as much as it may is told apart from those that take more, of sixty at once", function()
    local list = {}
    for i = 1, 60 do list[i] = { "sh", "-c", ("head -c %dm /dev/zero | tail | wc -c"):format(i % 3 == 0 and 60 or 4) } end
    for i, r in ipairs(ns.parallel(list, { limits = { memory = "32m" }, timeout = 100 }, { jobs = 8 })) do
      assert.same(i % 3 == 0 and { i, true, "memory" } or { i, false, "exit" }, { i, r.oom, r.ended_by })
    end
    assert.same({}, left())
  end)

  it("is one of many", function()
    local results = ns.parallel((function()
      local list = {}
      for i = 1, 60 do list[i] = { "sh", "-c", "exit " .. i } end
      return list
    end)(), { limits = { memory = "50m", pids = 5 } }, { jobs = 20 })
    for i, r in ipairs(results) do assert.equal(i, r.code) end
    assert.same({}, left())
  end)
end)

machine.describe("limits", "sandbox")("a container with limits", function()
  it("ends as a whole when its memory runs out, and says so", function()
    local c = assert(ns.sandbox():limits({ memory = "32m" }):start())
    local other = assert(c:spawn("sleep", "60"))
    local r = assert(c:run { "sh", "-c", EAT[3] })
    assert.same({ true, "memory" }, { r.oom, r.ended_by })
    assert.truthy(r.usage.pids_refused == 0 and r.usage.cpu >= 0)
    other:wait()
    other:close()
    c:wait(10)
    local p, message = c:spawn("true")
    assert.is_nil(p)
    assert.matches("its memory ran out", message)
    assert.is_true(c:usage().oom)
    c:close()
    assert.is_true(c:usage().oom)
    assert.same({}, left())
  end)

  it("of a pool tells what its program has used, however that ended", function()
    local pool = ns.sandbox():limits({ memory = "32m", pids = 20 }):pool(1)
    for _, line in ipairs { "exit 0", EAT[3] } do
      local r = assert(pool:run("sh", "-c", line))
      assert.truthy(r.usage.pids_refused == 0 and r.usage.cpu >= 0, line)
      assert.equal(line == EAT[3], r.oom)
    end
    pool:close()
    assert.same({}, left())
  end)

  it("is one of two hundred", function()
    -- as an ordinary user may have 200 keys
    local list, box = {}, ns.sandbox():keyring("inherit"):limits { memory = "20m", pids = 5 }
    for i = 1, 200 do list[i] = assert(box:start()) end
    assert.equal(200, #left())
    for i = 1, 200, 20 do assert.equal(i % 7, list[i]:run("sh", "-c", "exit " .. i % 7).code) end
    for _, c in ipairs(list) do c:close() end
    assert.same({}, left())
  end)

  it("goes with a host that is killed", function()
    local r = machine.host [[
      local ns = require "ns"
      local c = assert(ns.sandbox():limits({}):start("sleep", "4045"))
      ns.run { "kill", "-9", tostring(require("ns.core").ids().pid) }]]
    assert.equal("KILL", r.signame)
    machine.eventually(function()
      assert(machine.host 'assert(require("ns").run { "true", limits = {} })'.ok)
      return machine.processes "4045" == 0 and #left() == 0
    end)
  end)

  it("has other limits when they are changed", function()
    local c = assert(ns.sandbox():limits({ pids = 50 }):start())
    assert.is_true(c:limits { pids = 6, memory = "100m" })
    assert.is_nil(c:run("sh", "-c", "for i in $(seq 20); do sleep 1 & done").ok)
    assert.truthy(c:usage().pids_refused > 0)
    assert.has_error(function() c:limits { parent = "/x" } end)
    c:close()
    assert.same({}, left())
  end)
end)

--- The groups that outlive their hosts, wherever they lie.
local function kept()
  local list, line = {}, "find /sys/fs/cgroup -type d -name 'ns-*-detached'"
  for name in machine.sh({}, line):gmatch "[^\n]+" do list[#list + 1] = name end
  return list
end

--- Hosts of their own, one after the other, that know the names of a directory: what a script prints.
local function hosts()
  local directory, remove = machine.directory()
  local env = machine.paths(machine.public())
  env.XDG_RUNTIME_DIR = directory
  local function run(code)
    local r = machine.host('local ns = require "ns"; ' .. code, { spec = { env = env } })
    assert.equal("", r.stderr)
    return r.stdout
  end
  finally(function()
    run 'local c = ns.container "spec-limits" if c then c:close() end'
    remove()
  end)
  return run
end

--- Nothing is left once there has been one more start, as of what ends by itself.
local function swept()
  machine.eventually(function()
    assert(machine.host 'assert(require("ns").run { "true", limits = {} })'.ok)
    return #kept() == 0
  end)
end

machine.describe("limits", "sandbox")("a container with limits and a name", function()
  it("keeps its group when its host ends, and a later host has it changed, asked and ended", function()
    local run = hosts()
    run [[assert(ns.sandbox():limits({ pids = 50, memory = "100m" }):start { name = "spec-limits", "sleep", "4044" })]]
    assert.equal(1, #kept())
    assert(ns.run { "true", limits = {} }) -- who sweeps
    assert.same({ 1, 1 }, { #kept(), machine.processes "4044" })
    assert.equal("100\n50\ntrue\nnil\ttrue\n", run [[
      local c = assert(ns.container "spec-limits")
      local function limit(file)
        local p = c:info().pid
        local own = io.open(("/proc/%d/cgroup"):format(p)):read("*a"):match("0::(%S+)")
        return io.open("/sys/fs/cgroup" .. own .. "/" .. file):read("*l")
      end
      print(("%.0f"):format(limit "memory.max" / 2^20))
      print(limit "pids.max")
      print(c:limits { pids = 6 })
      local r = assert(c:run("sh", "-c", "for i in $(seq 20); do sleep 1 & done"))
      print(r.ok, c:usage().pids_refused > 0 and c:usage().cpu > 0)]])
    assert.equal("true\ntrue\tnil\n", run [[
      local c = assert(ns.container "spec-limits")
      c:stop(0)
      print(c:usage().pids_refused > 0)
      local gone, message = c:limits { pids = 7 }
      print(message == "the container is closed", gone)
      c:close()]])
    assert.same({ 0, 0 }, { #kept(), machine.processes "4044" })
  end)

  it("says that its memory ran out to a host that has found it", function()
    local run = hosts()
    run [[assert(ns.sandbox():limits({ memory = "32m" }):start { name = "spec-limits" })]]
    assert.equal("memory\ttrue\ttrue\ntrue\n", run [[
      local c = assert(ns.container "spec-limits")
      local r = assert(c:run("sh", "-c", "head -c 200m /dev/zero | tail"))
      c:wait(10)
      local _, message = c:run("true")
      print(r.ended_by, r.oom, message:find("its memory ran out", 1, true) ~= nil)
      c:close()
      print(c:usage().oom)]])
    assert.same({}, kept())
  end)

  it("that has ended by itself leaves its group to the last handle, or to the next start", function()
    local run = hosts()
    for _, ending in ipairs { "c:wait(10)", "os.exit(0)" } do
      run('local c = assert(ns.sandbox():limits({}):start { name = "spec-limits", "sleep", "0.3" }) ' .. ending)
      swept()
    end
  end)

  it("that is refused leaves no group", function()
    local run = hosts()
    assert.equal("nil\tENOENT\n", run [[
      local c, _, _, detail = ns.sandbox():limits({}):start { name = "spec-limits", "/no/such" }
      print(c, detail.code)]])
    assert.same({}, kept())
  end)

  it("may have a host that lives longer: its group goes all the same, as that of a detached program", function()
    local p = assert(ns.spawn { "sleep", "0.3", detach = true, limits = {} })
    p:wait()
    p:close()
    p = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    swept()
  end)
end)
