--- Modules that few scripts need: they are loaded when one of their functions is called.
-- @module ns.words.later
require("ns.core").nojit()
local core = require "ns.core"

local later = {}

local errno_of, open = core.constants.errno, io.open
local FULL = { [errno_of.EMFILE] = true, [errno_of.ENFILE] = true }

-- Where the other files of ours were looked for: the host may have gone to another directory since.
local PLACES = package.path:gsub("[^;]+", function(place)
  return place:sub(1, 1) == "/" and place or ("%s/%s"):format(core.readlink "/proc/self/cwd" or "", place)
end)

local waiting, modules = {}, {} -- the names of those that nobody has called yet; what the others are

local Refusal = {}
function Refusal:__tostring() return ("load %s: %s"):format(self.path, core.strerror(self.refused)) end

--- That a module cannot be loaded as no file can be opened is a refusal by the system, as of a step; nil if one can.
local function refusal(name)
  local f, _, errno = open "/dev/null"
  if f then f:close() end
  return FULL[errno] and setmetatable({ refused = errno, op = "load", path = name }, Refusal) or nil
end

local function require_there(name)
  local path = package.path
  package.path = PLACES
  local ok, module = pcall(require, name)
  package.path = path
  return ok, module
end

--- Lua 5.1 and LuaJIT keep a mark, of some type, for each module that has failed, as by a Ctrl-C, and then refuse it.
local function forget_failed()
  for name, value in next, package.loaded do
    if type(value) ~= "table" and name:find "^ns%." then package.loaded[name] = nil end
  end
end

local function load(name)
  local known = modules[name]
  if known then return known end
  forget_failed()
  local ok, module = pcall(require, name)
  local is_missing = not ok and tostring(module):find("' not found", 1, true) -- else it is a Ctrl-C, or the like
  if is_missing then ok, module = require_there(name) end
  if not ok then error(is_missing and refusal(name) or module, 0) end
  modules[name], waiting[name] = module, nil
  return module
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
