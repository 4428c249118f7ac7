--- Loaded before all specs: after every test nothing is left of it, nor is anything left to the collector.
local busted = require "busted"
local machine = require "support.machine"
local snapshot = require "support.snapshot"

busted.subscribe({ "suite", "end" }, function()
  machine.remove_public()
  return nil, true
end)

-- LuaJIT of Debian 12 loses half of a pointer in some compiled loops over pairs() (LuaJIT issue 829), as those of luassert:
-- one run of seventy crashed. What is about its compiler has processes of its own (hostile_spec.lua).
local jit = rawget(_G, "jit")
if jit then
  jit.off()
  jit.flush()
end

-- a host in which globals must be declared
if os.getenv("NS_STRICT") then require "pl.strict" end

local before, name

busted.subscribe({ "test", "start" }, function(element)
  name = element.name
  return nil, true
end)

busted.before_each(function() before = snapshot.take() end)

busted.after_each(function()
  local changed = snapshot.changed(before)
  if not changed then return end
  collectgarbage() -- or what a test has left would be missed by the next one
  collectgarbage()
  error(("after '%s' %s"):format(name, changed))
end)
