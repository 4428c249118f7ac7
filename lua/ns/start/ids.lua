--- The ids of a user namespace: which maps, and who writes them (user_namespaces(7)).
-- @module ns.start.ids
require("ns.core").nojit()
local cap = require("ns.core").constants.cap
local check = require "ns.words.check"
local maps = require "ns.words.maps"
local subids = require "ns.start.subids"

local ids = {}

--- The own id as 0, and the subordinate ids from 1 up, as far as the kernel takes them together.
local function automatic(host, own, file)
  local map, inside = { { 0, own, 1 } }, 1
  for _, r in ipairs(subids.of(host, file, host.euid, subids.user(host, host.euid))) do
    map[#map + 1] = { inside, r[1], r[2] }
    local fits = pcall(maps.check, map, "map")
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
  local both = spec.maps
  if not both then
    both = spec.uid_map and spec.gid_map and {} or MAPS[spec.map or "range"](host)
    both.uid, both.gid = spec.uid_map or both.uid, spec.gid_map or both.gid
    spec.maps = both
  end
  return both.uid, both.gid
end

--- The ranges of a checked spec are those of the process with this handle, until that is closed.
function ids.reserve(spec, handle)
  if spec.maps.range then subids.reserve(spec.maps.range, handle) end
end

--- Who may write the maps of a spec: "host" (root can write any), "launcher" (anybody can map the own id, from inside),
-- "newuidmap" (the set-uid helpers, for ranges of /etc/subuid).
function ids.writer(spec, host)
  if ids.is_root(host) then return "host" end
  local uid, gid = ids.maps(spec, host)
  return maps.is_only(uid, host.euid) and maps.is_only(gid, host.egid) and "launcher" or "newuidmap"
end

--- Is setgroups(2) allowed inside? Who is root may do it, and in a user namespace only if its maps were written by root, or
-- by newgidmap with further groups.
function ids.may_set_groups(spec, host)
  if not spec.flags.user then return ids.is_root(host) end
  if spec.setgroups == "deny" or subids.machine(host).setgroups == "deny" then return false end
  local writer = ids.writer(spec, host)
  return writer == "host" or writer == "newuidmap" and not maps.is_only(spec.maps.gid, host.egid)
end

local MORE = "; those that /etc/subuid gives to you are had by map = 'auto'"

--- Are the ids of the words user, group and groups in the maps?
function ids.check_mapped(spec, host)
  if not spec.flags.user then return end
  local uid, gid = ids.maps(spec, host)
  local function mapped(map, entry, where)
    local ranges = {}
    for i, r in ipairs(map) do
      if entry.id >= r[1] and entry.id < r[1] + r[3] then return end
      ranges[i] = r[3] == 1 and ("%.0f"):format(r[1]) or ("%.0f to %.0f"):format(r[1], r[1] + r[3] - 1)
    end
    local may_have_more = not spec.uid_map and spec.map ~= "auto" and not ids.is_root(host)
    check.fail(where, "%.0f is not mapped into the user namespace, which has %s%s", entry.id,
      table.concat(ranges, ", ", 1, math.min(4, #ranges)), may_have_more and MORE or "")
  end
  if spec.user then mapped(uid, spec.user, "user") end
  if spec.group then mapped(gid, spec.group, "group") end
  for i, entry in ipairs(spec.groups or {}) do mapped(gid, entry, check.at("groups", i)) end
  if spec.groups and #spec.groups > 0 and not ids.may_set_groups(spec, host) then
    check.fail("groups", "setgroups is denied in this user namespace")
  end
end

--- Must the host's groups be dropped before there is a user namespace, as they cannot be dropped in it? An ordinary user
-- cannot do that, either.
function ids.drops_groups(spec, host)
  return spec.flags.user and not ids.may_set_groups(spec, host) and ids.has(host, "SETGID")
    and subids.machine(host).setgroups ~= "deny"
end

--- The user and the group of the host that the program will be. `joined`: the maps of a user namespace that it joins; empty,
-- and then nil is returned, where they are not known.
function ids.program(spec, host, joined)
  local uid, gid = spec.user and spec.user.id, spec.group and spec.group.id or spec.user and spec.user.gid
  if not (spec.flags.user or joined) then return uid or host.euid, gid or host.egid end
  local uids, gids
  if joined then uids, gids = joined.uid, joined.gid else uids, gids = ids.maps(spec, host) end
  if not uids then return nil end
  return maps.outer(uids, uid or maps.first(uids)), maps.outer(gids, gid or maps.first(gids))
end

--- What `p:ids()` returns.
function ids.on_host(spec, host, joined)
  local uid, gid = ids.program(spec, host, joined)
  local both = joined or spec.flags.user and spec.maps or {}
  return { uid = uid, gid = gid, uid_map = both.uid, gid_map = both.gid }
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
