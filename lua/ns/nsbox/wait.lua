--- nsbox wait: until boxes have ended.
-- @module ns.nsbox.wait
require("ns.core").nojit()
local each = require "ns.nsbox.each"
local fail = require "ns.nsbox.fail"
local records = require "ns.nsbox.records"

local wait = { summary = "Waits until boxes have ended, and prints their exit statuses.", arguments = each.ARGUMENTS }

wait.run = each.of(function(name)
  local container = records.box(name)
  local status = container and fail.status(container:wait())
  return records.noted(name) or status or fail.now("%s: how it has ended is not known", name)
end)

return wait
