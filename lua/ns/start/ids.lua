--- The ids of a user namespace: which maps, and who writes them (user_namespaces(7)).
-- @module ns.start.ids
require("ns.core").nojit()
local check = require "ns.words.check"
local cap = require("ns.core").constants.cap
local subids = require "ns.start.subids"

local ids = {}

local function range(value, where)
  if type(value) ~= "table" then check.fail(where, "{inside, outside, count} expected, got %s", type(value)) end
  local triple = check.items(value, where)
  if #triple ~= 3 then check.fail(where, "{inside, outside, count} expected") end
  check.id(triple[1], where .. "[1]")
  check.id(triple[2], where .. "[2]")
  check.integer(1, 4294967295)(triple[3], where .. "[3]")
  for i = 1, 2 do
    if triple[i] + triple[3] > 4294967295 then check.fail(where, "the range goes beyond 4294967294") end
  end
  return triple
end

--- No two ranges may have an id in common, on that side.
local function check_overlaps(map, side, name, where)
  local order = {}
  for i = 1, #map do order[i] = i end
  table.sort(order, function(a, b) return map[a][side] < map[b][side] end)
  for i = 2, #order do
    local a, b = order[i - 1], order[i]
    if map[a][side] + map[a][3] > map[b][side] then
      check.fail(("%s[%d]"):format(where, math.max(a, b)), "overlaps with %s[%d] %s", where, math.min(a, b), name)
    end
  end
end

--- The bytes of a map for /proc/PID/uid_map.
function ids.format(map)
  local lines = {}
  for i, r in ipairs(map) do lines[i] = ("%.0f %.0f %.0f\n"):format(r[1], r[2], r[3]) end
  return table.concat(lines)
end

--- A list of {inside, outside, count}: at most 340, no overlaps, and short enough for one write.
function ids.check_map(value, where)
  local map = check.list(range, 1)(value, where)
  if #map > 340 then check.fail(where, "%d ranges, the kernel takes 340", #map) end
  check_overlaps(map, 1, "inside", where)
  check_overlaps(map, 2, "outside", where)
  local size = #ids.format(map)
  if size > 4095 then check.fail(where, "%d bytes as text, the kernel takes 4095", size) end
  return map
end

--- The own id as 0, and the subordinate ids from 1 up, as far as the kernel takes them together.
local function automatic(host, own, file)
  local map, inside = { { 0, own, 1 } }, 1
  for _, r in ipairs(subids.of(host, file, host.euid, subids.user(host, host.euid))) do
    map[#map + 1] = { inside, r[1], r[2] }
    local fits = pcall(ids.check_map, map, "map")
    if fits then inside = inside + r[2] else map[#map] = nil end
  end
  return map
end

--- Ids that belong to nobody on this host: a free range; where there is none, the one of nobody.
local function unprivileged(host)
  local first = subids.free(host)
  local outside, count = first or 65534, first and subids.COUNT or 1
  return { uid = { { 0, outside, count } }, gid = { { 0, outside, count } }, range = first }
end

--- Has the host this capability?
function ids.has(host, name) return math.floor(host.caps / 2 ^ cap[name]) % 2 == 1 end

--- Is the caller root over more than the one id that it has? Who is root in a user namespace of its own (unshare -Ur), or
-- lacks the capabilities, as in some containers, can do no more than an ordinary user.
function ids.is_root(host)
  if host.root == nil then
    local map = host.euid == 0 and subids.machine(host).uid or {}
    host.root = host.euid == 0 and ids.has(host, "SETUID") and ids.has(host, "SETGID") and not (#map == 1 and map[1][3] == 1)
  end
  return host.root
end

--- The caller's own ids, as these inside.
local function own_ids(uid, gid, host)
  return { uid = { { uid, host.euid, 1 } }, gid = { { gid, host.egid, 1 } } }
end

--- The maps for each value of the word `map`.
local MAPS = {
  root = function(host) return own_ids(0, 0, host) end,
  self = function(host) return own_ids(host.euid, host.egid, host) end,
  range = function(host) return ids.is_root(host) and unprivileged(host) or own_ids(0, 0, host) end,
  auto = function(host)
    local uid, gid = automatic(host, host.euid, "subuid"), automatic(host, host.egid, "subgid")
    return #uid > 1 and #gid > 1 and { uid = uid, gid = gid } or own_ids(0, 0, host)
  end,
}

--- The two maps of a checked spec, which keeps them. `host`: euid, egid.
function ids.maps(spec, host)
  local maps = spec.maps
  if not maps then
    maps = spec.uid_map and spec.gid_map and {} or MAPS[spec.map or "range"](host)
    maps.uid, maps.gid = spec.uid_map or maps.uid, spec.gid_map or maps.gid
    spec.maps = maps
  end
  return maps.uid, maps.gid
end

--- The ranges of a checked spec are those of the process with this handle, until that is closed.
function ids.hold(spec, handle)
  if spec.maps.range then subids.hold(spec.maps.range, handle) end
end

local function own_only(map, own)
  return #map == 1 and map[1][3] == 1 and map[1][2] == own
end

--- Who may write the maps of a spec: "host" (root can write any), "launcher" (anybody can map the own id, from inside),
-- "newuidmap" (the set-uid helpers, for ranges of /etc/subuid).
function ids.writer(spec, host)
  if ids.is_root(host) then return "host" end
  local uid, gid = ids.maps(spec, host)
  return own_only(uid, host.euid) and own_only(gid, host.egid) and "launcher" or "newuidmap"
end

--- Is setgroups(2) allowed inside? Who is root may do it, and in a user namespace only if its maps were written by root, or
-- by newgidmap with further groups.
function ids.may_set_groups(spec, host)
  if not spec.flags.user then return ids.is_root(host) end
  if spec.setgroups == "deny" or subids.machine(host).setgroups == "deny" then return false end
  local writer = ids.writer(spec, host)
  return writer == "host" or writer == "newuidmap" and not own_only(spec.maps.gid, host.egid)
end

--- Must the host's groups be dropped before there is a user namespace, as they cannot be dropped in it? An ordinary user
-- cannot do that, either.
function ids.drops_groups(spec, host)
  return spec.flags.user and not ids.may_set_groups(spec, host) and ids.has(host, "SETGID")
    and subids.machine(host).setgroups ~= "deny"
end

--- The id of the host that `id` inside stands for, and how many follow it in its range; nil where it is not mapped.
function ids.outer(map, id)
  for _, r in ipairs(map) do
    if id >= r[1] and id < r[1] + r[3] then return r[2] + id - r[1], r[1] + r[3] - id end
  end
end

--- The id that the launcher takes: 0 if there is one, else the first that is mapped.
function ids.first(map)
  local least = map[1][1]
  for _, r in ipairs(map) do
    if r[1] == 0 then return 0 end
  end
  return least
end

--- The user and the group of the host that the program will be.
function ids.program(spec, host)
  local uid, gid = spec.user and spec.user.id, spec.group and spec.group.id or spec.user and spec.user.gid
  if not spec.flags.user then return uid or host.euid, gid or host.egid end
  local uids, gids = ids.maps(spec, host)
  return ids.outer(uids, uid or ids.first(uids)), ids.outer(gids, gid or ids.first(gids))
end

--- What `p:ids()` tells.
function ids.told(spec, host)
  local uid, gid = ids.program(spec, host)
  local maps = spec.flags.user and spec.maps or {}
  return { uid = uid, gid = gid, uid_map = maps.uid, gid_map = maps.gid }
end

--- Can the program write what only root may, unless /proc is guarded? It can as the host's root.
function ids.privileged(spec, host, uid_map)
  if host.euid ~= 0 then return false end
  for _, r in ipairs(spec.flags.user and uid_map or { { 0, 0, 1 } }) do
    if r[2] == 0 then return true end
  end
  return false
end

return ids
