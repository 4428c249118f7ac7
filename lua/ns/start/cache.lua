--- What a box keeps of a start for the next one, until one of its words changes: the checked words, the parts of its root,
-- the steps, and their bytes. What the steps depend on besides the words is asked anew, and compared.
-- @module ns.start.cache
require("ns.core").nojit()
local core = require "ns.core"
local maps = require "ns.words.maps"
local plan = require "ns.start.plan"
local root = require "ns.words.root"

local cache = {}

-- What the launcher's steps depend on, by its name in what is found (`ns.start.survey`).
local PLAIN = { "slave", "console", "background", "privileged", "writer", "may_set_groups", "drops_groups", "root", "trial",
  "parts", "launcher", "trace" }

local function same_table(a, b)
  if a == b then return true end
  if not (a and b) then return false end
  for key, value in next, a do
    if b[key] ~= value then return false end
  end
  for key in next, b do
    if a[key] == nil then return false end
  end
  return true
end

--- The maps, as far as the launcher's steps have them: as a text.
local function of_maps(found)
  if not found.maps then return "" end
  local uid, gid = found.maps.uid, found.maps.gid
  if found.writer == "launcher" then return maps.format(uid) .. maps.format(gid) end
  return ("%.0f %.0f"):format(maps.first(uid), maps.first(gid))
end

local function has_overlay(spec)
  for _, m in ipairs(spec.mounts or {}) do
    if m.type == "overlay" then return true end
  end
end

local function id_of(entry) return entry and entry.id end

--- All of it for a start, in a form that can be compared.
local function inputs(spec, found)
  local ids = { user = id_of(spec.user), gid = spec.user and spec.user.gid, group = id_of(spec.group) }
  for i, entry in ipairs(spec.groups or {}) do ids[i] = entry.id end
  local limits = root.limits(spec, found)
  local group = found.group
  return { group = group and group.opened, by = group and group.by,
    found = found, ends = found.ends, trees = found.trees, argv = spec.argv, ids = ids, maps = of_maps(found),
    environ = core.environ_stamp(), abi = found.landlock and found.landlock.abi,
    landlock = found.landlock and found.landlock.text, soft = limits and limits[1], hard = limits and limits[2],
    below = found.below_text, nested = not found.maps and has_overlay(spec) and found.nested() }
end

-- What `inputs` has: values, and tables of them.
local VALUES = { "maps", "environ", "soft", "hard", "nested", "below", "abi", "landlock", "by" }
local TABLES = { "ends", "trees", "argv", "ids", "group" }

local function same_values(a, b, names)
  for i = 1, #names do
    if a[names[i]] ~= b[names[i]] then return false end
  end
  return true
end

local function is_same(a, b)
  if not (same_values(a.found, b.found, PLAIN) and same_values(a, b, VALUES)) then return false end
  for i = 1, #TABLES do
    if not same_table(a[TABLES[i]], b[TABLES[i]]) then return false end
  end
  return true
end

--- The same for a spec of which something is left out.
function cache.without(kept, left)
  if not kept or #left == 0 then return kept end
  local names = {}
  for i, entry in ipairs(left) do names[i] = entry.what end
  local key = table.concat(names, " ")
  kept.less = kept.less or {}
  kept.less[key] = kept.less[key] or {}
  return kept.less[key]
end

--- The launcher's steps and their bytes, made anew if need be. `kept`: what the box keeps; nil for a spec that is no box's.
function cache.encoded(kept, spec, found)
  if not kept then
    local steps = plan.lower(spec, found)
    return steps, core.encode(steps)
  end
  local now = inputs(spec, found)
  if not (kept.bytes and is_same(kept.inputs, now)) then
    kept.steps, kept.inputs = plan.lower(spec, found), now
    kept.bytes = core.encode(kept.steps)
  end
  return kept.steps, kept.bytes
end

return cache
