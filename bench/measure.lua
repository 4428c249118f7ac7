-- Taking times: rounds of all contestants by turns, so that a noisy moment of the machine meets all of them.
--
-- A contestant is { name, run }; run() does one round and returns its figure, or nil when it failed.
local clock = require("ns.core").clock
local ns = require "ns"

local measure = {}

-- Rounds that fill caches and the allocator's lists, and do not count.
local WARM_UP = 5

--- A round that takes the time of `action`, in microseconds.
function measure.timed(action)
  return function()
    local start = clock()
    local ok = action()
    return ok and (clock() - start) * 1e6 or nil
  end
end

--- A round that a process of its own plays and measures: it answers each line on its stdin with a figure.
function measure.remote(argv)
  local server = assert(ns.spawn { argv = argv, stdin = "pipe", stdout = "pipe" })
  return function()
    server.stdin:write("\n")
    server.stdin:flush()
    return tonumber(server.stdout:read("l") or "")
  end
end

--- The other half of `remote`.
function measure.serve(run)
  io.stdout:setvbuf("line")
  for _ in io.lines() do print(run() or "") end
end

-- With a fixed order, everybody would always find the caches as the same neighbour leaves them.
local function shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
end

--- Plays the rounds, after some that do not count; returns the figures by name. Who fails once is out.
function measure.by_turns(contestants, rounds, warm_up)
  local figures, order = {}, {}
  for i, c in ipairs(contestants) do figures[c.name], order[i] = {}, c end
  for round = 1 - (warm_up or WARM_UP), rounds do
    shuffle(order)
    for _, c in ipairs(order) do
      local list = figures[c.name]
      local figure = list and c.run()
      if not figure then
        figures[c.name] = nil
      elseif round > 0 then
        list[round] = figure
      end
    end
  end
  return figures
end

function measure.median(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  local middle = #sorted // 2
  return #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
end

return measure
