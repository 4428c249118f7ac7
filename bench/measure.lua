-- Taking times: all contestants by turns, so that a noisy moment of the machine meets all of them. A turn is some rounds in
-- a row; the first of them finds the caches as the neighbour has left them, and does not count.
--
-- A contestant is { name, run }; run() does one round and returns its figure, or nil when it failed.
local clock = require("ns.core").clock
local ns = require "ns"

local measure = {}

--- A round that takes the time of `action`, in microseconds.
function measure.timed(action)
  return function()
    local start = clock()
    local ok = action()
    return ok and (clock() - start) * 1e6 or nil
  end
end

--- A round that a process of its own plays and measures: it answers each line on its stdin with a figure. `words`: more of
-- its spec.
function measure.remote(argv, words)
  local server = assert(ns.spawn(ns.box(words or {}):argv(table.unpack(argv)):stdin("pipe"):stdout("pipe")))
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

--- One turn: `count` figures are added to the list; nil when a round failed.
local function turn(c, list, count)
  if count > 1 then c.run() end
  for _ = 1, count do
    local figure = c.run()
    if not figure then return nil end
    list[#list + 1] = figure
  end
  return list
end

--- Plays the rounds in turns of `length` (default 10); returns the figures by name.
-- Who fails once is out.
function measure.by_turns(contestants, rounds, length)
  local figures, order = {}, {}
  length = math.min(length or 10, rounds)
  for i, c in ipairs(contestants) do figures[c.name], order[i] = turn(c, {}, length) and {}, c end
  for _ = 1, rounds, length do
    shuffle(order)
    for _, c in ipairs(order) do
      local list = figures[c.name]
      figures[c.name] = list and turn(c, list, length)
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

--- What one in a hundred exceeds.
function measure.p99(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return sorted[math.ceil(#sorted * 0.99)]
end

return measure
