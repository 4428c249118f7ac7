--- Loaded before all specs: after every test nothing is left of it.
local busted = require "busted"
local machine = require "support.machine"
local snapshot = require "support.snapshot"

busted.subscribe({ "suite", "end" }, function()
  machine.remove_public()
  return nil, true
end)

local before, name

busted.subscribe({ "test", "start" }, function(element)
  name = element.name
  return nil, true
end)

busted.before_each(function() before = snapshot.take() end)

busted.after_each(function()
  collectgarbage()
  collectgarbage()
  local changed = snapshot.changed(before)
  if changed then error(("after '%s' %s"):format(name, changed)) end
end)
