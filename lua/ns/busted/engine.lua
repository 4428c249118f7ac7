--- What we hold on to of busted, whichever version it is: its core, who listens, who executes.
--
-- busted hands its core to no helper before 2.1.2: it is an upvalue of the module's __index. It is touched in two places, by
-- `busted.register` and as `busted.publish`.
-- @module ns.busted.engine
require("ns.core").nojit()
local debug = debug

local engine = {}

local function upvalue(f, name)
  for i = 1, 60 do
    local found, value = debug.getupvalue(f, i)
    if not found then return nil end
    if found == name then return value end
  end
end

--- busted's core; nil where busted does not run.
function engine.core()
  local api = package.loaded.busted
  local class = type(api) == "table" and getmetatable(api)
  local core = class and type(class.__index) == "function" and upvalue(class.__index, "busted")
  return core and core.executors and core or nil
end

--- What is used of it: { busted=, executors=, block=, channels= }. It raises where this is no busted that we know.
function engine.open(busted)
  local mediator = upvalue(busted.publish, "mediator")
  local executors = upvalue(busted.register, "executors")
  if not (mediator and executors) then error("ns.busted does not know this version of busted", 0) end
  return { busted = busted, executors = executors, channels = mediator.channel, block = require "busted.block"(busted) }
end

--- The attributes with which files are executed: in surroundings of their own, or not (--no-auto-insulate).
function engine.file_attributes(core)
  return upvalue(core.executors.file or function() end, "attributes")
end

--- Calls fn(listener) for each, but for those of {"register"}, by which elements are made.
function engine.each_listener(channel, fn, inner)
  for _, listener in ipairs(channel.callbacks) do fn(listener) end
  for name, sub in pairs(channel.channels) do
    if inner or name ~= "register" then engine.each_listener(sub, fn, true) end
  end
end

--- The file in which a listener was written.
function engine.source_of(listener)
  local ok, info = pcall(debug.getinfo, listener.fn, "S")
  return ok and info and info.source or ""
end

--- The root above an element: it is another one each time that all is repeated.
function engine.root_of(context, element)
  while context.parent(element) do element = context.parent(element) end
  return element
end

return engine
