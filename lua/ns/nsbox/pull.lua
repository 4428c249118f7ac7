--- nsbox pull: takes images into the store.
-- @module ns.nsbox.pull
require("ns.core").nojit()
local each = require "ns.nsbox.each"
local fail = require "ns.nsbox.fail"
local ns = require "ns"

local pull = { summary = "Takes images into the store, anew where they are there.", arguments = each.ARGUMENTS }

pull.run = each.of(function(name) return fail.unless(ns.image(name, { pull = true })).name end)

return pull
