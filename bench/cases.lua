-- The cases of a spawn: the same empty program in the same namespaces, by the floor, by ns, and by what a Lua script
-- had before: unshare(1) and bwrap(1) through a shell. The others are compared with the first contestant of a case.
local measure = require "bench.measure"
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
}

--- One spawn of the seed's set, or of `namespaces`, to its end.
function cases.ns(namespaces)
  local spec = { PROGRAM }
  namespaces = namespaces or SEED
  if #namespaces > 0 then spec.flags, spec.hostname, spec.mount_proc = namespaces, "namespace", true end
  return function()
    local p = assert(ns.spawn(spec))
    local ok = p:wait()
    p:close()
    return ok
  end
end

--- The seed's set for another program, as a spec.
function cases.seed(...)
  return { argv = { ... }, flags = SEED, hostname = "namespace", mount_proc = true }
end

-- unshare cannot set a host name, which spares it a step.
local function unshare_command(namespaces)
  local words = { "unshare --fork --mount-proc" }
  for _, name in ipairs(namespaces) do words[#words + 1] = name == "user" and "--map-root-user" or "--" .. name end
  return table.concat(words, " ") .. " " .. PROGRAM
end

-- bwrap always makes a mount namespace, and knows no time namespace, which spares it one.
local function bwrap_command(namespaces)
  local words = { "bwrap" }
  for _, name in ipairs(namespaces) do
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

local function add(list, name, action)
  if action then list[#list + 1] = { name = name, run = measure.timed(action) } end
end

--- Who plays the case.
function cases.contestants(case)
  local list = { { name = "floor", run = measure.remote { HOME .. "/floor", PROGRAM, table.unpack(case.namespaces) } } }
  add(list, "ns.spawn", cases.ns(case.namespaces))
  if #case.namespaces == 0 then
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
