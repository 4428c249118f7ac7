--- Who hears what. The output handler and the runner are the host's: in a copy they are mute. All others, of helpers and of
-- specs, hear where the tests run, and not once more when the host publishes that again.
-- @module ns.busted.listeners
require("ns.core").nojit()
local engine = require "ns.busted.engine"

local listeners = { replaying = false }

local hosts, known = {}, {} -- sets of listeners: of the host's, and those that have been looked at
local mutes = {} -- those of the host's that hear nothing in a copy: all but the runner's, who counts and may stop

--- Notes those that are there now as the host's.
function listeners.note(channels)
  engine.each_listener(channels, function(listener) hosts[listener] = true end)
end

local function nothing() return nil, true end

--- Of those that have come since: the filters are the host's, too, and the others do not hear what is played again.
function listeners.settle(channels)
  engine.each_listener(channels, function(listener)
    if known[listener] then return end
    known[listener] = true
    local source = engine.source_of(listener)
    if source:find("busted[/\\]modules[/\\]filter_loader") then hosts[listener] = true end
    if hosts[listener] and not source:find("busted[/\\]runner") then mutes[#mutes + 1] = listener end
    if hosts[listener] then return end
    local hear = listener.fn
    listener.fn = function(...)
      if listeners.replaying then return nil, true end
      return hear(...)
    end
  end)
end

local function silence(listener)
  -- What it was is kept: the collector would end here what is the host's, as a file of a report.
  listener.was = { listener.fn, listener.options.predicate, listener.was }
  listener.fn, listener.options.predicate = nothing, nil
end

--- In a copy: the host's hear nothing.
function listeners.mute()
  for _, listener in ipairs(mutes) do silence(listener) end
end

--- The set of those that are there now.
function listeners.all(channels)
  local set = {}
  engine.each_listener(channels, function(listener) set[listener] = true end)
  return set
end

--- Silences all of a set.
function listeners.silence(set)
  for listener in pairs(set) do silence(listener) end
end

return listeners
