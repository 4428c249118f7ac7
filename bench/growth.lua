-- What happens when things grow: the host's heap, the output to capture, the number of programs at once.
local cases = require "bench.cases"
local measure = require "bench.measure"
local ns = require "ns"

local growth = {}

local HOME = os.getenv("BENCH_HOME") or "."
local MIB = 2 ^ 20
local STREAM = 256 -- MiB of output

--- A host that holds so many MiB of strings, and does this when it is asked to.
local function with_heap(mib, action)
  local held, chunk = {}, 64 * 1024
  for i = 1, mib * MIB // chunk do held[i] = ("x"):rep(chunk) end
  measure.serve(measure.timed(action))
  return held
end

function growth.host(mib) return with_heap(mib, cases.ns()) end

function growth.caller(mib)
  return with_heap(mib, function() return assert(ns.call({}, function() return true end)) end)
end

local function hosts(kind, sizes)
  local list = {}
  for _, size in ipairs(sizes) do
    local argv = { "lua5.4", HOME .. "/bench/worker.lua", kind, tostring(size[2]) }
    list[#list + 1] = { name = size[1], run = measure.remote(argv) }
  end
  return list
end

function growth.heap(rounds)
  return hosts("host", { { "8 MiB", 8 }, { "512 MiB", 512 }, { "2 GiB", 2048 } }), rounds
end

--- A function that does nothing, in a copy of this process, beside a program that does nothing.
function growth.call(rounds)
  local list = hosts("caller", { { "8 MiB", 8 }, { "512 MiB", 512 } })
  table.insert(list, 1, { name = "ns.spawn", run = measure.timed(cases.spawn { HOME .. "/empty" }) })
  return list, math.min(rounds, 100)
end

-- MiB a second, of a read that returns the whole output.
local function rate(read)
  local microseconds = measure.timed(function() return #read() == STREAM * MIB end)
  return function()
    collectgarbage()
    local time = microseconds()
    return time and STREAM / time * 1e6
  end
end

function growth.capture()
  local size = STREAM .. "M"
  return {
    { name = "io.popen", run = rate(function()
      local f <close> = assert(io.popen("head -c " .. size .. " /dev/zero"))
      return f:read("a")
    end) },
    { name = "ns.run", run = rate(function() return assert(ns.run { "head", "-c", size, "/dev/zero" }).stdout end) },
  }, 5, 2
end

-- Spawns a second, of a round in which always so many programs are on their way.
local function flight(limit, total, start)
  local microseconds = measure.timed(function()
    local running = {}
    for i = 1, total + limit do
      local oldest = running[i - limit]
      if oldest then
        oldest:wait()
        oldest:close()
        running[i - limit] = nil
      end
      if i <= total then running[i] = assert(start()) end
    end
    return true
  end)
  return function() return total / microseconds() * 1e6 end
end

function growth.flight()
  local list, spec = {}, cases.seed(HOME .. "/empty")
  for i, limit in ipairs { 1, 8, 64 } do
    list[i] = { name = limit .. " in flight", run = flight(limit, 256, function() return ns.spawn(spec) end) }
  end
  return list, 5, 1
end

--- A thousand programs in one sandbox, beside as many that C starts without any.
function growth.living_flight()
  local container = assert(cases.sandbox():start())
  local function start() return container:spawn("/empty") end
  local list = {}
  for _, limit in ipairs { 8, 1 } do
    local floor = { HOME .. "/flight", HOME .. "/empty", "1000", tostring(limit) }
    list[#list + 1] = { name = ("floor, %d in flight"):format(limit), run = measure.remote(floor) }
    list[#list + 1] = { name = ("container, %d in flight"):format(limit), run = flight(limit, 1000, start) }
  end
  return list, 5, 1
end

local function kib_in(path, name)
  for line in io.lines(path) do
    local kib = line:match("^" .. name .. ":%s*(%d+)")
    if kib then return tonumber(kib) end
  end
end

local function resident() return kib_in("/proc/self/status", "VmRSS") end

local function pss_of(container) return kib_in(("/proc/%d/smaps_rollup"):format(container.pid), "Pss") end

--- What the machine has less by each of so many sandboxes that wait.
local function kernel_memory(count)
  local list, before = {}, kib_in("/proc/meminfo", "MemAvailable")
  for i = 1, count do list[i] = assert(cases.sandbox():start()) end
  local kib = (before - kib_in("/proc/meminfo", "MemAvailable")) / count
  for _, container in ipairs(list) do container:close() end
  return kib
end

--- An ordinary user would run into his 200 session keyrings (doc/living.md).
function growth.living_memory()
  local container, held = assert(cases.sandbox():start()), {}
  local idle = pss_of(container)
  for i = 1, 100 do held[i] = assert(container:spawn("sleep", "1000")) end
  assert(container:run("/empty"))
  local busy = pss_of(container)
  for _, p in ipairs(held) do p:close() end
  return {
    { name = "init, PSS", run = function() return idle end },
    { name = "init of 100 programs, PSS", run = function() return busy end },
    { name = "all in all, of 500", run = function() return kernel_memory(500) end },
  }, 1, 1
end

-- As many as the limits of this machine allow, a thousand at the most.
local function sleepers()
  local list = {}
  for i = 1, 1000 do
    list[i] = ns.spawn(cases.seed("sleep", "1000"))
    if not list[i] then break end
  end
  return list
end

--- Prints the KiB that this process grows by for a thousand programs that live.
function growth.sleepers()
  collectgarbage()
  local before = resident()
  local list = sleepers()
  collectgarbage()
  print((resident() - before) * 1000 / #list)
  for _, p in ipairs(list) do p:close() end
end

--- Each time in a new process: one that has had them before would find the memory that it kept.
function growth.memory()
  local function run()
    local f <close> = assert(io.popen(("lua5.4 %s/bench/worker.lua sleepers"):format(HOME)))
    return f:read("n")
  end
  return { { name = "ns.Process", run = run } }, 1, 1
end

return growth
