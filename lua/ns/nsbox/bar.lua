--- An image, and on a terminal a bar while it is unpacked.
-- @module ns.nsbox.bar
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local ns = require "ns"

local bar = {}

local WIDTH = 30
local STDERR = 2

--- The bar as a line: "alpine: layer 1 of 2 [####......] 40%".
function bar.line(name, bytes, total, layer, layers)
  local part = total > 0 and math.min(bytes / total, 1) or 1
  local full = math.floor(part * WIDTH)
  local what = layers and (" layer %d of %d"):format(layer, layers) or ""
  return ("%s:%s [%s%s] %3d%%"):format(name, what, ("#"):rep(full), ("."):rep(WIDTH - full), math.floor(part * 100))
end

--- The image of that name; it is unpacked under a bar, if stderr is a terminal.
function bar.image(name, options)
  local shown = false
  if core.window(STDERR) then
    options.progress = function(...)
      shown = true
      io.stderr:write("\r", bar.line(name, ...), "\27[K")
      io.stderr:flush()
    end
  end
  local ok, image, message, errno, detail = pcall(ns.image, name, options)
  if shown then io.stderr:write "\r\27[K" end
  if not ok then error(image, 0) end
  return fail.unless(image, message, errno, detail)
end

return bar
