-- What happens when things grow: the host's heap, the output to capture, the number of programs at once.
local cases = require "bench.cases"
local measure = require "bench.measure"
local ns = require "ns"

local growth = {}

local HOME = os.getenv("BENCH_HOME") or "."
local MIB = 2 ^ 20
local STREAM = 256 -- MiB of output

--- A host that holds so many MiB of strings, and spawns when it is asked to.
function growth.host(mib)
  local held, chunk = {}, 64 * 1024
  for i = 1, mib * MIB // chunk do held[i] = ("x"):rep(chunk) end
  measure.serve(measure.timed(cases.ns()))
  return held
end

function growth.heap(rounds)
  local list = {}
  for _, size in ipairs { { "8 MiB", 8 }, { "512 MiB", 512 }, { "2 GiB", 2048 } } do
    local argv = { "lua5.4", HOME .. "/bench/worker.lua", "host", tostring(size[2]) }
    list[#list + 1] = { name = size[1], run = measure.remote(argv) }
  end
  return list, rounds
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
local function flight(limit, total)
  local spec = cases.seed(HOME .. "/empty")
  local microseconds = measure.timed(function()
    local running = {}
    for i = 1, total + limit do
      local oldest = running[i - limit]
      if oldest then
        oldest:wait()
        oldest:close()
        running[i - limit] = nil
      end
      if i <= total then running[i] = assert(ns.spawn(spec)) end
    end
    return true
  end)
  return function() return total / microseconds() * 1e6 end
end

function growth.flight()
  local list = {}
  for i, limit in ipairs { 1, 8, 64 } do list[i] = { name = limit .. " in flight", run = flight(limit, 256) } end
  return list, 5, 1
end

local function resident()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmRSS:%s*(%d+)")
    if kib then return tonumber(kib) end
  end
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
