--- The file system inside: a list of mounts, one after the other. Each has a kind (`ns.words.mount_kinds`).
-- @module ns.words.mounts
require("ns.core").nojit()
local anchors = require "ns.words.anchors"
local check = require "ns.words.check"
local core = require "ns.core"
local field = require "ns.words.mount_fields"
local kinds = require("ns.words.mount_kinds").all
local synonyms = require "ns.words.synonyms"

local mounts = {}

local HOW, RDONLY = core.constants.step, core.constants.mount_attr.RDONLY
local ENOENT = core.constants.errno.ENOENT
local any = function(value) return value end

--- A kind that shows a namespace (`of`) cannot be had in a user namespace without one: the host's belongs to another. Such
-- mounts: a list of {number, mount, the namespace}.
local function needing(spec)
  local list = {}
  for i, m in ipairs(spec.flags.user and spec.mounts or {}) do
    local of = kinds[m.type].of
    if of and not spec.flags[of] then list[#list + 1] = { i, m, of } end
  end
  return list
end

--- Raises the mistake of the first mount that needs a namespace which is not asked for.
function mounts.check_needs(spec)
  local first = needing(spec)[1]
  if first then check.fail(check.at("mounts", first[1]), "'%s' needs '%s' in flags", first[2].type, first[3]) end
end

--- The places of the mounts of a checked spec that cannot be had any more as a namespace is gone.
function mounts.places_lost(spec)
  local places = {}
  for i, row in ipairs(needing(spec)) do places[i] = row[2].target end
  return places
end

--- Is something mounted there, as the spec calls it?
function mounts.has(list, target)
  for _, m in ipairs(list) do
    if m.target == target then return true end
  end
  return false
end

--- The list without what is mounted there.
function mounts.without(list, target)
  local left = {}
  for _, m in ipairs(list) do
    if m.target ~= target then left[#left + 1] = m end
  end
  return left
end

local function check_kind(m, kind, where)
  m.target = m.target or kind.target or type(m.source) == "string" and field.target(m.source, where .. ".target") or nil
  for _, name in ipairs(kind.requires or {}) do
    if m[name] == nil then check.fail(("%s.%s"):format(where, name), "missing") end
  end
  if not m.target then check.fail(where .. ".target", "missing") end
  if kind.together then kind.together(m, where) end
end

--- One mount: a table with its `type` and the fields of that kind.
function mounts.check_one(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local name = rawget(value, "type")
  local kind = type(name) == "string" and kinds[name]
  if name == nil then check.fail(where .. ".type", "missing") end
  if not kind then
    check.fail(where .. ".type", "unknown kind %s%s", type(name) == "string" and "'" .. name .. "'" or type(name),
      type(name) == "string" and check.nearest(name, kinds) or "")
  end
  for key in next, value do
    local use = type(key) == "string" and key ~= "type" and not kind.fields[key] and synonyms.field(key, kind.fields)
    if use then check.fail(where, "unknown field '%s'; use %s", key, use) end
  end
  local m = check.record(field.with(kind.fields, { type = any }))(value, where)
  check_kind(m, kind, where)
  return m
end

local check_all = check.list(mounts.check_one)

--- How many bytes of a plan the strings of a mount may take.
local function size_of(t)
  local size = 256
  for _, value in next, t do
    if type(value) == "string" then size = size + #value + 16 end
    if type(value) == "table" then size = size + size_of(value) end
  end
  return size
end

local PLAN_ROOM = 48 * 2 ^ 20 -- a plan is bounded (src/core/encode.c), and argv and env want to be in it, too

--- Where a mount of a spec goes, one that was checked by itself.
function mounts.place(m)
  return field.place(m.target or kinds[m.type].target or m.source, "target")
end

--- A list of mounts.
function mounts.check(value, where)
  local list = check_all(value, where)
  local size = size_of(list)
  if size > PLAN_ROOM then check.fail(where, "%.0f MiB of paths and data are too much, 48 are the most", size / 2 ^ 20) end
  return list
end

--- Does a mount of the list after the i-th cover a place in that?
local function is_covered(list, i, place_)
  for j = i + 1, #list do
    local above = list[j].target == "/" and "/" or list[j].target .. "/"
    if not anchors.covers_nothing(list[j]) and (place_ .. "/"):sub(1, #above) == above then return true end
  end
end

--- The ptmx of the devpts that the mounts of a box give it; nil if there is none.
function mounts.ptmx(list)
  for i = #(list or {}), 1, -1 do
    local pts = list[i].type == "dev" and list[i].target .. "/pts"
    if pts and not is_covered(list, i, pts) then return pts .. "/ptmx" end
  end
end

--- The tmpfs that are to be read-only when all is in them: not where a later mount says otherwise of that place, and not
-- what is covered by then, as that is out of reach.
local function read_only_in_the_end(list)
  local found, said = {}, {}
  for i = #list, 1, -1 do
    local m = list[i]
    if m.type == "remount" and m.ro ~= nil then said[m.target] = true end
    if m.type == "tmpfs" and m.ro and not said[m.target] and not is_covered(list, i, m.target) then
      table.insert(found, 1, m)
    end
  end
  return found
end

--- Adds steps that say which mount they are for: where one of these may be left out.
local function of_part(m, add)
  return function(step)
    step.part = m.target
    add(step)
  end
end

--- The steps of a mount whose place is to be made in a layer that is kept, too, or anywhere.
local function making(m, add)
  local how = HOW.MKDIR + (m.mkdir == "anywhere" and HOW.ANYWHERE or 0)
  return function(step)
    step.how = (step.how or 0) + how
    add(step)
  end
end

--- The steps of all mounts, in the user's order.
function mounts.steps(list, add, found)
  local known = found.anchors
  for _, m in ipairs(list) do
    local add_one = found.has_optional and of_part(m, add) or add
    if m.mkdir then add_one = making(m, add_one) end
    anchors.before(m, add_one, known)
    kinds[m.type].steps(m, add_one, found)
    anchors.note(m, known)
  end
  for _, m in ipairs(read_only_in_the_end(list)) do
    add { op = "remount", path = m.target, flags = RDONLY, ignore = m.try and ENOENT or nil, word = "mounts",
      part = m.target }
  end
end

return mounts
