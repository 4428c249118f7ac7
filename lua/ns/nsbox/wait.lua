--- nsbox wait: until boxes have ended.
-- @module ns.nsbox.wait
require("ns.core").nojit()
local core = require "ns.core"
local each = require "ns.nsbox.each"
local fail = require "ns.nsbox.fail"
local records = require "ns.nsbox.records"

local wait = { summary = "Waits until boxes have ended, and prints their exit statuses.", arguments = each.ARGUMENTS }

-- Seconds that the supervisor of a box is given to note its status, and between two looks.
local NOTES, PAUSE = 5, 0.02

--- The status that the supervisor notes when the box has ended; nil if there is none.
local function noted(name)
  local deadline = core.clock() + NOTES
  while true do
    local record = records.find(name)
    if record and record.status then return record.status end
    if not record or record.deserted or core.clock() > deadline then return nil end
    core.poll(PAUSE)
  end
end

wait.run = each.of(function(name)
  local container = records.box(name)
  local status = container and fail.status(container:wait())
  return noted(name) or status or fail.now("%s: how it has ended is not known", name)
end)

return wait
