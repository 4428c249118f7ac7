--- What a control group tells of those in it, and its end.
-- @module ns.running.group
require("ns.core").nojit()

local group = {}

local function field(text, name) return tonumber(((text or "") .. "\n"):match("%f[%w_]" .. name .. " (%d+)\n")) end

-- systemd takes an empty one away: what it has said before stands.
local WEAK = { __mode = "k" }
local said, starved = setmetatable({}, WEAK), setmetatable({}, WEAK)

--- What all that is and was in it have used together; what this kernel does not count is missing. `into`: a table that it is
-- added to.
function group.usage(g, into)
  local usage, known, cpu = into or {}, said[g] or {}, g:read "cpu.stat"
  local used, held = field(cpu, "usage_usec"), field(cpu, "throttled_usec")
  known.cpu = used and used / 1e6 or known.cpu
  known.throttled = held and held / 1e6 or known.throttled
  known.memory_peak = tonumber((g:read "memory.peak")) or known.memory_peak
  known.pids_peak = tonumber((g:read "pids.peak")) or known.pids_peak
  known.pids_refused = field(g:read "pids.events", "max") or known.pids_refused
  said[g] = known
  for name, value in next, known do usage[name] = value end
  return usage
end

--- Has the kernel killed one in it, as there was no memory?
function group.oom(g)
  starved[g] = starved[g] or (field(g:read "memory.events", "oom_kill") or 0) > 0 or nil
  return starved[g] or false
end

--- What it tells, { usage, oom }; nil when it is gone.
function group.told(g)
  return not g:isgone() and { usage = group.usage(g), oom = group.oom(g) } or nil
end

--- What it has come to, and its end: what is left in it goes with it.
function group.finish(g)
  local told = group.told(g)
  g:remove()
  return told
end

return group
