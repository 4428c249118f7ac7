--- nsbox ps: the boxes with a name.
-- @module ns.nsbox.ps
require("ns.core").nojit()
local ns = require "ns"
local records = require "ns.nsbox.records"

local ps = { summary = "Lists the boxes with a name.", options = {
  { "-a --all", "those that have ended, too" },
  { "-q --quiet", "names alone" },
} }

local UNITS = { { 86400, "days" }, { 3600, "hours" }, { 60, "minutes" } }

local function age(seconds)
  for _, unit in ipairs(UNITS) do
    if seconds >= 2 * unit[1] then return ("%d %s ago"):format(seconds / unit[1], unit[2]) end
  end
  return ("%d seconds ago"):format(math.max(0, seconds))
end

--- NAME, PID, CREATED, STATUS, COMMAND of one; nil if it is not to be listed.
local function row(name, all)
  local container, record = records.box(name)
  if not container and not all then return nil end
  local info = container and container:info()
  local command = record and record.command or info and table.concat(info.argv or {}, " ") or ""
  local created = record and record.created or info.started
  local status = container and "running" or record.status and ("exited (%d)"):format(record.status) or "exited"
  return { name, container and ("%d"):format(container.pid) or "-", age(os.time() - created), status, command }
end

--- Prints rows in columns.
local function show(rows)
  local widths = {}
  for _, cells in ipairs(rows) do
    for i, cell in ipairs(cells) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  for _, cells in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(cells) do line[i] = i < #cells and cell .. (" "):rep(widths[i] - #cell) or cell end
    print(table.concat(line, "   "))
  end
end

--- The names of all boxes, those that live and those that have left a record.
local function names()
  local known, list = {}, {}
  for _, source in ipairs { ns.containers(), records.list() } do
    for _, name in ipairs(source) do
      if not known[name] then list[#list + 1] = name end
      known[name] = true
    end
  end
  table.sort(list)
  return list
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function ps.run(given)
  local rows = given.quiet and {} or { { "NAME", "PID", "CREATED", "STATUS", "COMMAND" } }
  for _, name in ipairs(names()) do
    local found, cells = pcall(row, name, given.all) -- one that has gone meanwhile is not there
    if found and cells then rows[#rows + 1] = given.quiet and { name } or cells end
  end
  show(rows)
  return 0
end

return ps
