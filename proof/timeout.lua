--- Programs that do not want to end, at a timeout of a random length: each is over within timeout, grace and two seconds,
-- and nothing of it is left.
--
-- Each mode has a world: a pid namespace with its own /proc, in which nothing else lives.
local machine = require "support.machine"
local modes = require "modes"
local ns = require "ns"
local proof = require "proof"

local ROUNDS, SEED = proof.size(1, 100), os.time()
proof.figure("seed of the timeouts", "%d", SEED)

--- Shell lines. `everywhere`: it ends without a pid namespace, too; `limit`: only where so many processes may be there.
local CASES = {
  { "ignores SIGTERM", everywhere = true, "trap '' TERM; while :; do sleep 9; done" },
  { "ignores it in a tree", everywhere = true,
    "trap '' TERM; sh -c 'sleep 9 & sh -c \"sleep 9; sleep 9\"; sleep 9' & wait" },
  { "has a daemon in a session of its own", everywhere = true, "trap '' TERM; setsid sleep 9 & wait; sleep 9" },
  { "leaves a daemon behind", "(setsid sh -c 'trap \"\" TERM; sleep 9; sleep 9' &); sleep 9" },
  { "has 500 sleepers", everywhere = true, "i=0; while [ $i -lt 500 ]; do sleep 9 & i=$((i + 1)); done; wait" },
  { "stops itself", everywhere = true, "sleep 9 & kill -STOP $$; sleep 9" },
  { "stops its children", everywhere = true, "sleep 9 & kill -STOP $!; trap '' TERM; wait; sleep 9" },
  { "forks as fast as it can", everywhere = true, "trap '' TERM; while :; do sleep 9 & sleep 0.005; done" },
  { "is a fork bomb", limit = 64, "b() { b | b & }; (b) & exec sleep 9" },
}

local WARDEN = [[
  local core, lfs, ns = require "ns.core", require "lfs", require "ns"
  math.randomseed(SEED)
  local spec, case, lines = SPEC, CASE, {}
  local function read(path)
    local f = io.open(path)
    local text = f and f:read("a")
    if f then f:close() end
    return text or ""
  end
  local function left()
    local list, me = {}, ("%d"):format(core.ids().pid)
    for name in lfs.dir("/proc") do
      if name:find("^%d+$") and name ~= me and name ~= "1" then
        list[#list + 1] = name .. " " .. read("/proc/" .. name .. "/cmdline"):gsub("%z", " ")
      end
    end
    return list
  end
  local longest, expired = 0, 0
  for round = 1, ROUNDS do
    spec.argv, spec.grace = { "sh", "-c", case }, 0.1
    spec.timeout = 0.02 + math.random() * 0.4
    local started = core.clock()
    local r, message, _, detail = ns.run(spec)
    local seconds = core.clock() - started - spec.timeout - spec.grace
    longest = math.max(longest, seconds)
    if r and r.timed_out or not r and detail.code == "ETIMEDOUT" then
      expired = expired + 1
    else
      lines[#lines + 1] = tostring(r or message)
    end
    if seconds > 2 then lines[#lines + 1] = ("took %.2f s more"):format(seconds) end
    local deadline, rest = core.clock() + 2, left()
    while #rest > 0 and core.clock() < deadline do
      ns.run { "sleep", "0.01" }
      rest = left()
    end
    if #rest > 0 then lines[#lines + 1] = "left: " .. table.concat(rest, ", ") end
    if #rest > 0 then break end
  end
  print(longest, expired)
  io.write(table.concat(lines, "\n"))
]]

--- The world in which one case is tried in one mode.
local function begin(mode, case)
  local spec = modes.spec(mode)
  if case.limit then spec.rlimits = { nproc = case.limit } end
  local values = { SEED = SEED, ROUNDS = ROUNDS, CASE = ("%q"):format(case[2]), SPEC = modes.text(spec) }
  local world = assert(ns.spawn { "lua5.4", "-e", (WARDEN:gsub("%f[%u]%u%u%u%u+%f[%U]", values)), init = true,
    flags = modes.flags("pid", "mount"), mount_proc = true, env = machine.paths(modes.publish()), cwd = "/", stdout = "pipe",
    stderr = "pipe" })
  return { world = world, title = ("%s, %s"):format(mode, case[1]) }
end

local function finish(one)
  local r = assert(one.world:communicate())
  local longest, expired, said = r.stdout:match("^(%S+)\t(%d+)\n(.*)$")
  if not proof.check(r.ok and longest, "%s: %s %s", one.title, tostring(r), r.stdout) then return end
  proof.check(said == "", "%s: %s", one.title, said)
  proof.check(tonumber(expired) == ROUNDS, "%s: %s of %d ended by the timeout", one.title, expired, ROUNDS)
  return tonumber(longest)
end

for _, mode in ipairs { "no namespace", "pid namespace", "init", "user and pid and mount", "sandbox" } do
  local longest, cases, running = 0, 0, {}
  local function wait_for(count)
    while #running > count do longest = math.max(longest, finish(table.remove(running, 1)) or 0) end
  end
  for _, case in ipairs(CASES) do
    -- a bomb only where it has an id, and so a limit, of its own
    if (case.everywhere or mode ~= "no namespace") and (not case.limit or mode == "sandbox") then
      wait_for(case.limit and 0 or proof.size(3, 5))
      running[#running + 1] = begin(mode, case)
      cases = cases + 1
    end
  end
  wait_for(0)
  proof.figure("timeouts, " .. mode, "%d cases, %d times each; at the most %.2f s after timeout and grace", cases, ROUNDS,
    longest)
end
proof.finish()
