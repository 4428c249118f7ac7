--- For `.busted`: `return require "ns.busted.config" { default = { ... }, ns = { jobs = 4 } }` is that configuration with
-- ns.busted as the helper of all tasks, and a task's own helper after it.
-- @module ns.busted.config
require("ns.core").nojit()
local settings = require "ns.busted.settings"

local config = {}

--- What busted's own loader of helpers would do.
local function load_helper(name)
  if name:match "%.lua$" then return dofile(name) end
  if name:match "%.moon$" then return require("moonscript").dofile(name) end
  return require(name)
end

--- The name of a module that is both.
local function both(helper)
  if not helper or helper == "" or helper == "ns.busted" then return "ns.busted" end
  local name = ("ns.busted (%s)"):format(helper)
  package.preload[name] = function()
    require "ns.busted"
    return load_helper(helper)
  end
  return name
end

--- Changes the table that `.busted` returns, and returns it.
function config.wrap(tasks)
  settings.tell(tasks.ns or {})
  tasks.ns = nil
  tasks._all = tasks._all or {}
  for _, task in pairs(tasks) do
    if type(task) == "table" and task.helper ~= nil then task.helper = both(task.helper) end
  end
  tasks._all.helper = both(tasks._all.helper)
  return tasks
end

return setmetatable(config, { __call = function(_, tasks) return config.wrap(tasks) end })
