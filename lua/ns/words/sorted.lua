--- What has no order of its own, in one that is the same each time.
-- @module ns.words.sorted
require("ns.core").nojit()

local sorted = {}

--- The keys of a table.
function sorted.keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

return sorted
