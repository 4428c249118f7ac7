--- What lives in a pid namespace, as the host's /proc tells.
-- @module ns.running.inside
require("ns.core").nojit()
local core = require "ns.core"

local inside = {}

local function read(path)
  local f = io.open(path, "rb")
  local text = f and f:read("*a")
  if f then f:close() end
  return text
end

--- The children of a process: of each of its threads. None, if it has ended meanwhile.
local function children(pid)
  local list = {}
  for _, thread in ipairs(core.entries(("/proc/%d/task"):format(pid)) or {}) do
    for child in (read(("/proc/%d/task/%s/children"):format(pid, thread.name)) or ""):gmatch("%d+") do
      list[#list + 1] = tonumber(child)
    end
  end
  return list
end

local function describe(pid, parent, owner)
  local status, argv = read(("/proc/%d/status"):format(pid)) or "", {}
  for word in (read(("/proc/%d/cmdline"):format(pid)) or ""):gmatch("(%Z*)%z") do argv[#argv + 1] = word end
  argv[1] = argv[1] or status:match("^Name:%s*([^\n]*)")
  local number = tonumber(status:match("\nNSpid:[%s%d]-(%d+)\n"))
  return { pid = pid, inside = number, ppid = parent, argv = argv, process = owner }
end

--- Has the init with this handle no child? Then it is alone: what loses its parent becomes its child. nil where /proc does
-- not tell.
function inside.is_empty(handle)
  local init = not handle:isclosed() and handle:proc_pid()
  return init and #children(init) == 0 or nil
end

--- All below the process with this handle: {pid=, inside=, ppid=, argv=, process=}, in the order of the numbers; or nil,
-- message, errno. `jobs`: by their numbers.
function inside.list(handle, jobs)
  if handle:isclosed() then return {} end
  local first, message, errno = handle:proc_pid()
  if not first then return nil, message, errno end
  local list = {}
  local function add(parent, owner)
    for _, pid in ipairs(children(parent)) do
      local one = owner or jobs[pid]
      list[#list + 1] = describe(pid, parent, one)
      add(pid, one)
    end
  end
  add(first)
  table.sort(list, function(a, b) return a.pid < b.pid end)
  return list
end

return inside
