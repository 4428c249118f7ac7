--- What the filter of a program has refused (`seccomp = { trace = true }`).
-- @module ns.running.denied
require("ns.core").nojit()
local core = require "ns.core"
local syscalls = require "ns.words.syscalls"

local denied = {}

local CODES = {}
for name, number in pairs(core.constants.errno) do CODES[number] = name end

local function is_before(a, b)
  if a.count ~= b.count then return a.count > b.count end
  if a.name ~= b.name then return a.name < b.name end
  return a.errno < b.errno
end

--- A list of { name, errno, count }, most refused first; `more` in it: how many refusals of yet other calls there were.
function denied.list(refusals)
  local rows, more = refusals:read()
  for i, row in ipairs(rows) do
    rows[i] = { name = syscalls.name(row.audit, row.number) or ("number %.0f"):format(row.number),
      errno = CODES[row.error] or ("errno %.0f"):format(row.error), count = row.count }
  end
  table.sort(rows, is_before)
  if more > 0 then rows.more = more end
  return rows
end

return denied
