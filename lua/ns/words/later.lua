--- Modules that few scripts need: they are loaded when one of their functions is called.
-- @module ns.words.later
require("ns.core").nojit()
local later = {}

local waiting, modules = {}, {} -- the names of those that nobody has called yet; what the others are

local function load(name)
  modules[name] = modules[name] or require(name)
  waiting[name] = nil
  return modules[name]
end

local function stub(name, field)
  local real
  return function(...)
    real = real or load(name)[field]
    return real(...)
  end
end

--- Stands for a module: its fields, and the module itself, are functions that load it; others than functions it has none.
-- @tparam string name as of require
-- @treturn table
function later.module(name)
  waiting[name] = not modules[name] or nil
  local class = {}
  function class.__index(proxy, field)
    proxy[field] = stub(name, field)
    return proxy[field]
  end
  function class.__call(_, ...) return load(name)(...) end
  return setmetatable({}, class)
end

--- Loads all that wait. In another root there is no file to load a module from: so this is done before a copy of this Lua
-- state goes there.
function later.load_all()
  while next(waiting) do load((next(waiting))) end
end

return later
