--- nsbox rmi: takes images out of the store.
-- @module ns.nsbox.rmi
require("ns.core").nojit()
local each = require "ns.nsbox.each"
local fail = require "ns.nsbox.fail"
local ns = require "ns"
local reference = require "ns.image.reference"

local rmi = { summary = "Takes images out of the store.", arguments = each.ARGUMENTS }

rmi.run = each.of(function(name)
  local full = reference.read(name).name
  for _, image in ipairs(fail.unless(ns.images())) do
    if image.name == full then
      fail.unless(image:remove())
      return name
    end
  end
  return fail.now("there is no image %s in the store", name)
end)

return rmi
