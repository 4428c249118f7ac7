--- The table of doc/filters.md, made of the default profile: a line for each row.
local profile = require "ns.words.profile"

local function code(text) return "`" .. text .. "`" end

--- How a refused call is opened by other words.
local function opened(row)
  local ways = {}
  if row.cap then ways[#ways + 1] = code(row.cap) end
  if row.nested then ways[#ways + 1] = "namespaces" end
  return table.concat(ways, ", ")
end

local function line(...) return "| " .. table.concat({ ... }, " | ") .. " |" end

--- The lines, as a text; where `likewise` is said, it is of the line before.
local function make()
  local lines = {}
  for _, row in ipairs(profile.refused) do
    local names = row[2]:gsub("%s+", " "):gsub("[%w_]+", code)
    lines[#lines + 1] = line(names, row[1], row[3], opened(row))
  end
  for _, rule in ipairs(profile.rules) do
    if rule.what then lines[#lines + 1] = line(rule.what, rule.action, rule.why, opened(rule)) end
  end
  return (table.concat(lines, "\n"):gsub(" |  |", " | |"))
end

return make
