--- nsbox check: what works on this machine, and why the rest does not.
-- @module ns.nsbox.check
require("ns.core").nojit()
local core = require "ns.core"
local ns = require "ns"

local check = { summary = "Tells what works on this machine, and why the rest does not.", options = {
  { "--color", "always|never|auto", "in colours: on a terminal, unless NO_COLOR is set" },
} }

local GREEN, RED, PLAIN = "\27[32m", "\27[31m", "\27[0m"

local function in_colours(given)
  if given.color == "always" then return true end
  return given.color ~= "never" and not os.getenv "NO_COLOR" and core.window(1) ~= nil
end

--- What a box of `nsbox run` is asked for most: a name, and the box.
local function tries()
  return {
    { "nsbox run --system", ns.sandbox() },
    { "nsbox run --memory", ns.sandbox():limits { memory = "64m" } },
    { "nsbox run --network host", ns.sandbox():share "net" },
    { "nsbox bwrap --unshare-user", ns.box():unshare("user", "mount") },
  }
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function check.run(given)
  local colours = in_colours(given)
  local function show(name, ok, reason)
    local mark = ok and "yes" or "no "
    if colours then mark = (ok and GREEN or RED) .. mark .. PLAIN end
    print((("%s  %-28s %s"):format(mark, name, reason or ""):gsub("%s+$", "")))
  end
  local features, names, failed = ns.features(), {}, 0
  for i, row in ipairs(tries()) do
    local ok, message = row[2]:check "true"
    show(row[1], ok, message)
    if i == 1 and not ok then failed = 1 end
  end
  for name in pairs(features) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do show(name, features[name].ok, features[name].reason) end
  return failed
end

return check
