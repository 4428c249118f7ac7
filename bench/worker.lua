-- Plays one section of the benchmark in a process of its own, which may belong to another user, and prints the figures
-- of each contestant on a line. usage: worker.lua NAME OF SECTION | host MIB | caller MIB | sleepers
local cases = require "bench.cases"
local growth = require "bench.growth"
local measure = require "bench.measure"

local name, rounds = arg[1], math.tointeger(arg[2])

local function contestants()
  if growth[name] then return growth[name](rounds) end
  for _, case in ipairs(cases.list) do
    if case.name == name then return cases.contestants(case), rounds end
  end
end

if name == "host" or name == "caller" then
  growth[name](rounds)
elseif name == "sleepers" then
  growth.sleepers()
else
  local list, own_rounds, length = contestants()
  local figures = measure.by_turns(list, own_rounds, length)
  for _, c in ipairs(list) do print(c.name .. "\t" .. table.concat(figures[c.name] or {}, " ")) end
end
