--- nsbox kill: a signal for all that is in a box.
-- @module ns.nsbox.kill
require("ns.core").nojit()
local each = require "ns.nsbox.each"
local fail = require "ns.nsbox.fail"
local records = require "ns.nsbox.records"

local kill = { summary = "Sends a signal to all that is in boxes.", options = {
  { "-s --signal", "SIGNAL", "its name or number (KILL)" },
}, arguments = each.ARGUMENTS }

kill.run = each.of(function(name, given)
  local signal = given.signal or "KILL"
  fail.unless(records.living(name):kill(tonumber(signal) or signal))
end)

return kill
