--- nsbox images: those of the store.
-- @module ns.nsbox.images
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"
local ns = require "ns"

local images = { summary = "Lists the images of the store.", options = {
  { "-q --quiet", "names alone, as without it" },
} }

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function images.run()
  for _, image in ipairs(fail.unless(ns.images())) do print(image.name) end
  return 0
end

return images
