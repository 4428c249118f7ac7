--- nsbox pull: takes images into the store.
-- @module ns.nsbox.pull
require("ns.core").nojit()
local bar = require "ns.nsbox.bar"
local each = require "ns.nsbox.each"

local pull = { summary = "Takes images into the store, anew where they are there.", arguments = each.ARGUMENTS }

pull.run = each.of(function(name) return bar.image(name, { pull = true }).name end)

return pull
