--- Maps of a user namespace, as data: lists of {inside, outside, count} (user_namespaces(7)).
-- @module ns.words.maps
require("ns.core").nojit()
local check = require "ns.words.check"

local maps = {}

local function range(value, where)
  if type(value) ~= "table" then check.fail(where, "{inside, outside, count} expected, got %s", type(value)) end
  local triple = check.items(value, where)
  if #triple ~= 3 then check.fail(where, "{inside, outside, count} expected") end
  check.id(triple[1], where .. "[1]")
  check.id(triple[2], where .. "[2]")
  check.integer(1, 4294967295)(triple[3], where .. "[3]")
  for i = 1, 2 do
    if triple[i] + triple[3] > 4294967295 then check.fail(where, "the range goes beyond 4294967294") end
  end
  return triple
end

--- No two ranges may have an id in common, on that side.
local function check_overlaps(map, side, name, where)
  local order = {}
  for i = 1, #map do order[i] = i end
  table.sort(order, function(a, b) return map[a][side] < map[b][side] end)
  for i = 2, #order do
    local a, b = order[i - 1], order[i]
    if map[a][side] + map[a][3] > map[b][side] then
      check.fail(("%s[%d]"):format(where, math.max(a, b)), "overlaps with %s[%d] %s", where, math.min(a, b), name)
    end
  end
end

--- The bytes of a map for /proc/PID/uid_map.
function maps.format(map)
  local lines = {}
  for i, r in ipairs(map) do lines[i] = ("%.0f %.0f %.0f\n"):format(r[1], r[2], r[3]) end
  return table.concat(lines)
end

--- A list of {inside, outside, count}: at most 340, no overlaps, and short enough for one write.
function maps.check(value, where)
  local map = check.list(range, 1)(value, where)
  if #map > 340 then check.fail(where, "%d ranges, the kernel takes 340", #map) end
  check_overlaps(map, 1, "inside", where)
  check_overlaps(map, 2, "outside", where)
  local size = #maps.format(map)
  if size > 4095 then check.fail(where, "%d bytes as text, the kernel takes 4095", size) end
  return map
end

--- The id of the host that `id` inside stands for, and how many follow it in its range; nil where it is not mapped.
function maps.outer(map, id)
  for _, r in ipairs(map) do
    if id >= r[1] and id < r[1] + r[3] then return r[2] + id - r[1], r[1] + r[3] - id end
  end
end

--- The id that the launcher takes: 0 if there is one, else the first that is mapped.
function maps.first(map)
  local least = map[1][1]
  for _, r in ipairs(map) do
    if r[1] == 0 then return 0 end
  end
  return least
end

--- Does the map have the id `own` and no other?
function maps.is_only(map, own)
  return #map == 1 and map[1][3] == 1 and map[1][2] == own
end

return maps
