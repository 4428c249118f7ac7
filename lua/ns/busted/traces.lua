--- Where an error stands: at the users' line, not at ours or busted's.
-- @module ns.busted.traces
require("ns.core").nojit()

local traces = {}

local getinfo = debug.getinfo
local HOUSE = getinfo(1, "S").source:match("^(.*[/\\])busted[/\\]") or "=none" -- that of lua/ns

local function is_passed(info)
  return info.what == "C" or info.what == "tail" or info.source:sub(1, #HOUSE) == HOUSE
    or info.source:find("busted[/\\][%w_]+%.lua$") or info.source:find("luassert[/\\].*%.lua$")
end

--- The level of the first frame of users' code, from that of whoever calls this on; nil if there is none: a function that
-- was tail-called has no frame.
local function users_level(level, safe)
  level = level + 1
  while true do
    local info = getinfo(level, "Sf")
    if not info or info.func == safe then return nil end
    if not is_passed(info) then return level - 1 end
    level = level + 1
  end
end

--- The place of an element: its own line, or its file.
local function place_of(busted, element)
  if element.trace then return element.trace end
  local file = busted.getFile(element)
  local name = file and file.name or element.name or "?"
  return { short_src = name, source = "@" .. name, currentline = 0, what = "main" }
end

--- busted's traces are so from now on.
function traces.fix(busted)
  local trace_of = busted.getTrace
  busted.getTrace = function(element, level, message)
    local at = users_level(level or 3, busted.safe)
    local info = trace_of(element, (at or level or 3) + 1, message)
    if at then return info end
    local place = place_of(busted, element)
    for _, field in ipairs { "short_src", "source", "currentline", "what" } do info[field] = place[field] end
    return info
  end
end

return traces
