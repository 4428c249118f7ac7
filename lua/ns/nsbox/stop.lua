--- nsbox stop: asks boxes to end, and ends them.
-- @module ns.nsbox.stop
require("ns.core").nojit()
local each = require "ns.nsbox.each"
local records = require "ns.nsbox.records"
local values = require "ns.nsbox.values"

local stop = { summary = "Ends boxes: SIGTERM, and after a while the end.", options = {
  { "-t --time", "SECONDS", "how long it may take them (10)" },
}, arguments = each.ARGUMENTS }

-- Seconds, as docker has it.
local GRACE = 10

stop.run = each.of(function(name, given)
  local container = records.box(name)
  if container then
    container:stop(given.time and values.number(given.time, "-t") or GRACE)
    container:close()
  end
end)

return stop
