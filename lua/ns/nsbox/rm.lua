--- nsbox rm: what is left of boxes that have ended.
-- @module ns.nsbox.rm
require("ns.core").nojit()
local each = require "ns.nsbox.each"
local fail = require "ns.nsbox.fail"
local records = require "ns.nsbox.records"

local rm = { summary = "Takes away what is left of boxes.", options = {
  { "-f --force", "ends those that run" },
}, arguments = each.ARGUMENTS }

rm.run = each.of(function(name, given)
  local container, record = records.box(name)
  if container and not given.force then fail.now("%s runs: nsbox stop %s, or rm -f", name, name) end
  if container then container:close() end
  if not record then return end
  records.noted(name) -- else its supervisor would write to what is taken away, or to the next of that name
  fail.unless(records.remove(name))
end)

return rm
