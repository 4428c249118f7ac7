-- The cases of a spawn: the same empty program in the same namespaces, by the floor, by ns, and by what a Lua script
-- had before: unshare(1) and bwrap(1) through a shell. The others are compared with the first contestant of a case.
local core = require "ns.core"
local measure = require "bench.measure"
local namespaces = require "ns.words.namespaces"
local ns = require "ns"

local HOME = os.getenv("BENCH_HOME") or "."
local PROGRAM = HOME .. "/empty"

local cases = {}

local SEED = { "pid", "mount", "uts", "ipc" }
local SEED_USER = { "user", "pid", "mount", "uts", "ipc" }
local ALL = { "user", "pid", "mount", "uts", "ipc", "net", "cgroup", "time" }

-- `nobody`: played by a user without privileges.
cases.list = {
  { name = "no namespace", namespaces = {} },
  { name = "seed's set", namespaces = SEED },
  { name = "all eight", namespaces = ALL },
  { name = "seed's set + user, rootless", namespaces = SEED_USER, nobody = true },
  { name = "all eight, rootless", namespaces = ALL, nobody = true },
  { name = "full sandbox", sandbox = true },
  { name = "full sandbox, rootless", sandbox = true, nobody = true },
  { name = "landlock", alone = "landlock" },
  { name = "default filter", alone = "seccomp" },
  { name = "confined, rootless", alone = "confined", nobody = true },
  { name = "limits", limits = true },
  { name = "a system call, filtered", calls = true, unit = "ns" },
  { name = "in a living sandbox", living = true },
  { name = "in a living sandbox, rootless", living = true, nobody = true },
}

--- One spawn to its end: of a table, or of a box, which keeps its plan.
function cases.spawn(spec)
  return function()
    local p = assert(ns.spawn(spec))
    local ok = p:wait()
    p:close()
    return ok
  end
end

local function add(list, name, action)
  if action then list[#list + 1] = { name = name, run = measure.timed(action) } end
end

-- What is compared of ns: a spec in a table, which is checked each time, and a box.
local function add_ns(list, spec)
  add(list, "ns.spawn", cases.spawn(spec))
  add(list, "box:spawn", cases.spawn(ns.box(spec)))
end

local function spec_of(kinds)
  local spec = { PROGRAM }
  if #kinds > 0 then spec.flags, spec.hostname, spec.mount_proc = kinds, "namespace", true end
  return spec
end

--- One spawn of the seed's set, or of these `kinds`.
function cases.ns(kinds)
  return cases.spawn(spec_of(kinds or SEED))
end

--- The seed's set for another program, as a spec.
function cases.seed(...)
  return { argv = { ... }, flags = SEED, hostname = "namespace", mount_proc = true }
end

-- unshare cannot set a host name, which spares it a step.
local function unshare_command(kinds)
  local words = { "unshare --fork --mount-proc" }
  for _, name in ipairs(kinds) do words[#words + 1] = name == "user" and "--map-root-user" or "--" .. name end
  return table.concat(words, " ") .. " " .. PROGRAM
end

-- bwrap always makes a mount namespace, and knows no time namespace, which spares it one.
local function bwrap_command(kinds)
  local words = { "bwrap" }
  for _, name in ipairs(kinds) do
    if name ~= "mount" and name ~= "time" then words[#words + 1] = "--unshare-" .. name end
  end
  return table.concat(words, " ") .. " --hostname namespace --bind / / --proc /proc " .. PROGRAM
end

local function execute(command)
  return function() return os.execute(command) end
end

local function popen(command)
  return function() return io.popen(command):close() end
end

local function luv()
  local found, uv = pcall(require, "luv")
  if not found then return nil end
  return function()
    local handle, code
    handle = uv.spawn(PROGRAM, {}, function(status)
      code = status
      handle:close()
    end)
    uv.run()
    return code == 0
  end
end

-- ---- what ns plays for a spec, without Lua ----

-- Played by a program that has nothing else to do: by "replay" in the borrowed memory of the floor, by "launch" as the
-- module does it. The maps of root are written from outside, and the trees opened there: a plan alone says all only for an
-- ordinary user, or without a user namespace.
local function played_by(program, spec)
  local path, encode, plan = os.tmpname(), core.encode, nil
  core.encode = function(steps) -- what one spawn sends to its launcher
    plan = encode(steps)
    return plan
  end
  assert(ns.spawn(spec)):wait()
  core.encode = encode
  local f = assert(io.open(path, "wb"))
  f:write(plan:bytes())
  f:close()
  local flags = namespaces.clone_flags(namespaces.check(spec.flags or {}, "flags"))
  return measure.remote { HOME .. "/" .. program, path, ("%d"):format(flags) }
end

-- ---- the full sandbox: all namespaces, a system root, /proc, /dev, /tmp, an init, no capabilities ----

local function sandbox_spec()
  return ns.sandbox():ro_bind(PROGRAM, "/empty"):argv("/empty"):spec()
end

-- The same for bwrap, which has an init, but knows no time namespace.
local function sandbox_command()
  local words = { "bwrap --unshare-all --die-with-parent --new-session --hostname sandbox --cap-drop ALL --clearenv",
    "--ro-bind /usr /usr --ro-bind /etc /etc --proc /proc --dev /dev --tmpfs /tmp --ro-bind", PROGRAM, "/empty" }
  for name, value in pairs(sandbox_spec().env) do
    words[#words + 1] = ("--setenv %s %s"):format(name, value)
  end
  for _, name in ipairs { "bin", "sbin", "lib", "lib64" } do
    words[#words + 1] = ("--symlink usr/%s /%s"):format(name, name)
  end
  return table.concat(words, " ") .. " /empty"
end

local function sandbox_contestants(case)
  local list = {}
  if case.nobody then list[1] = { name = "floor", run = played_by("replay", sandbox_spec()) } end
  add_ns(list, sandbox_spec())
  add(list, "box:spawn, no filter", cases.spawn(ns.box(sandbox_spec()):seccomp(false)))
  local bwrap = sandbox_command()
  add(list, "os.execute bwrap", execute(bwrap))
  add(list, "io.popen bwrap", popen(bwrap))
  return list
end

--- One program to its end in a box that lives.
local function inside(container)
  return function()
    local p = assert(container:spawn("/empty"))
    local ok = p:wait()
    p:close()
    return ok
  end
end

--- The same with what it writes, which is nothing.
local function run_in(runner)
  return function() return assert(runner:run("/empty")).ok end
end

--- One program to its end in a box that a pool has ready: what is done while nobody waits takes no part.
local function from_pool(pool)
  local time = measure.timed(run_in(pool))
  return function()
    while pool:fill() < pool:stats().size do os.execute("sleep 0.001") end
    return time()
  end
end

--- A sandbox that has the program.
function cases.sandbox()
  return ns.sandbox():ro_bind(PROGRAM, "/empty")
end

-- The floor is a program without any namespace: nothing is made for this one, either.
local function living_contestants(case)
  local box = cases.sandbox()
  local list = { { name = "floor", run = measure.remote { HOME .. "/floor", PROGRAM } } }
  local container = assert(box:start())
  add(list, "container:spawn", inside(container))
  add(list, "container:run", run_in(container))
  if not case.nobody then add(list, "container, ids dropped", inside(assert(box:clone():user(1):start()))) end
  list[#list + 1] = { name = "pool:run", run = from_pool(box:pool(4)) }
  add(list, "box:spawn", cases.spawn(ns.box(sandbox_spec())))
  add(list, "os.execute bwrap", execute(sandbox_command()))
  return list
end

-- ---- no namespace, but landlock of four directories, the default filter, or all that a confined box has ----

local ALONE = {
  landlock = function()
    return { PROGRAM, landlock = { read = { "/" }, execute = { "/" }, write = { "/tmp", "/var/tmp" }, tcp_connect = {} } }
  end,
  seccomp = function() return { PROGRAM, no_new_privs = true, seccomp = "default" } end,
  confined = function() return ns.confined():ro_bind(PROGRAM):argv(PROGRAM):spec() end,
}

local function alone_contestants(case)
  local spec = ALONE[case.alone]()
  local list = { { name = "floor", run = measure.remote { HOME .. "/floor", PROGRAM } },
    { name = "floor, all steps", run = played_by("replay", spec) } }
  add_ns(list, spec)
  return list
end

-- ---- no namespace, but a control group of its own; none take part where there is no cgroup v2 ----

local function limits_contestants()
  local known = ns.features().limits
  local list = { { name = "floor", run = measure.remote { HOME .. "/floor", PROGRAM } } }
  if not known.how then return list end
  if known.how == "root" then
    local env = { GROUP = "/sys/fs/cgroup/bench-floor" }
    list[2] = { name = "floor, all steps", run = measure.remote({ HOME .. "/floor", PROGRAM }, { env = env }) }
  end
  add_ns(list, { PROGRAM, limits = { memory = "64m", pids = 20, cpu = 1.5 } })
  return list
end

-- ---- one system call, as it is under a filter ----

local function calls_contestants()
  local function contestant(name, call, seccomp)
    local words = { no_new_privs = true, init = true, seccomp = seccomp }
    return { name = name, run = measure.remote({ HOME .. "/calls", call }, words) }
  end
  return { contestant("no filter", "getppid", nil), contestant("allowed", "getppid", "default"),
    contestant("allowed, trace", "getppid", { trace = true }), contestant("refused", "acct", "default"),
    contestant("refused, trace", "acct", { trace = true }) }
end

--- Who plays the case.
function cases.contestants(case)
  if case.alone then return alone_contestants(case) end
  if case.limits then return limits_contestants() end
  if case.calls then return calls_contestants() end
  if case.living then return living_contestants(case) end
  if case.sandbox then return sandbox_contestants(case) end
  local list = { { name = "floor", run = measure.remote { HOME .. "/floor", PROGRAM, table.unpack(case.namespaces) } } }
  if case.nobody or case.namespaces[1] ~= "user" then
    list[2] = { name = "floor, all steps", run = played_by("replay", spec_of(case.namespaces)) }
    list[3] = { name = "ns without Lua", run = played_by("launch", spec_of(case.namespaces)) }
  end
  add_ns(list, spec_of(case.namespaces))
  if #case.namespaces == 0 then
    add(list, "box:spawn, filtered", cases.spawn(ns.box { PROGRAM, no_new_privs = true, seccomp = "default" }))
    add(list, "luv uv.spawn", luv())
    add(list, "os.execute", execute(PROGRAM))
    add(list, "io.popen", popen(PROGRAM))
    return list
  end
  local unshare, bwrap = unshare_command(case.namespaces), bwrap_command(case.namespaces)
  add(list, "os.execute unshare", execute(unshare))
  add(list, "io.popen unshare", popen(unshare))
  add(list, "os.execute bwrap", execute(bwrap))
  add(list, "io.popen bwrap", popen(bwrap))
  return list
end

return cases
