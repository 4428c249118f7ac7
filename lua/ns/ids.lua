--- The ids of a user namespace: which maps, and who writes them (user_namespaces(7)).
-- @module ns.ids
require("ns.core").nojit()
local check = require "ns.check"
local core = require "ns.core"

local ids = {}

local function range(value, where)
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

--- The lines of a file; none if it is not there. One that cannot be read is a refusal, for `ids.maps` to catch: other ids
-- than those that were asked for would be worse.
local function lines_of(path)
  local list, f, _, errno = {}, io.open(path)
  if not f and errno == core.constants.errno.ENOENT then return list end
  local text
  if f then
    text, _, errno = f:read("*a")
    f:close()
  end
  if not text then error({ op = "open", path = path, word = "map", refused = errno }, 0) end
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

--- The ranges that `file` (/etc/subuid) gives to the user: a list of {start, count}. Lines that give no ids are passed over.
local function subordinate(file, uid, name)
  local ranges = {}
  for _, line in ipairs(lines_of(file)) do
    local owner, start, count = line:match("^([^:]+):(%d+):(%d+)%s*$")
    start, count = tonumber(start), tonumber(count)
    local wanted = owner and (owner == name or owner == ("%.0f"):format(uid))
    if wanted and count > 0 and start + count <= 4294967295 then ranges[#ranges + 1] = { start, count } end
  end
  return ranges
end

local function user_name(uid)
  for _, line in ipairs(lines_of("/etc/passwd")) do
    local name, id = line:match("^([^:]+):[^:]*:(%d+):")
    if id and tonumber(id) == uid then return name end
  end
end

--- The own id as 0, and the subordinate ids from 1 up, as far as the kernel takes them together.
local function automatic(own, file, uid)
  local map, inside = { { 0, own, 1 } }, 1
  for _, r in ipairs(subordinate(file, uid, user_name(uid))) do
    map[#map + 1] = { inside, r[1], r[2] }
    local fits = pcall(ids.check_map, map, "map")
    if fits then inside = inside + r[2] else map[#map] = nil end
  end
  return map
end

--- The ids that this host has itself, as in a container: a list of {first, outside, count}.
local function machine_map(kind)
  local map = {}
  for i, line in ipairs(lines_of("/proc/self/" .. kind .. "_map")) do
    local first, outside, count = line:match("(%d+)%s+(%d+)%s+(%d+)")
    map[i] = { tonumber(first), tonumber(outside), tonumber(count) }
  end
  return map
end

--- 65536 ids that belong to nobody on this host: root's in /etc/subuid, else those from 100000 up; where the host has not so
-- many ids itself, as in a container, the one of nobody.
local function unprivileged(host, kind)
  local own = subordinate(host["sub" .. kind] or "/etc/sub" .. kind, 0, "root")[1]
  if own and own[2] >= 65536 then return { { 0, own[1], 65536 } } end
  for _, r in ipairs(machine_map(kind)) do
    if r[1] <= 100000 and r[1] + r[3] >= 165536 then return { { 0, 100000, 65536 } } end
  end
  return { { 0, 65534, 1 } }
end

--- Is the caller root over more than the one id that it has? Who is root in a user namespace of its own (unshare -Ur) can do
-- no more than an ordinary user.
function ids.is_root(host)
  if host.root == nil then
    local lines = host.euid == 0 and machine_map("uid") or {}
    host.root = host.euid == 0 and not (#lines == 1 and lines[1][3] == 1)
  end
  return host.root
end

local function find_maps(spec, host)
  local word = spec.map or "root"
  local uid, gid
  if word == "root" then
    uid, gid = { { 0, host.euid, 1 } }, { { 0, host.egid, 1 } }
  elseif word == "range" and ids.is_root(host) then
    uid, gid = unprivileged(host, "uid"), unprivileged(host, "gid")
  elseif word == "range" then
    uid, gid = { { 0, host.euid, 1 } }, { { 0, host.egid, 1 } }
  elseif word == "self" then
    uid, gid = { { host.euid, host.euid, 1 } }, { { host.egid, host.egid, 1 } }
  else
    uid = automatic(host.euid, host.subuid or "/etc/subuid", host.euid)
    gid = automatic(host.egid, host.subgid or "/etc/subgid", host.euid)
    if #uid == 1 or #gid == 1 then uid, gid = { uid[1] }, { gid[1] } end
  end
  return { uid = spec.uid_map or uid, gid = spec.gid_map or gid }
end

--- The two maps of a checked spec, which keeps them. `host`: euid, egid.
function ids.maps(spec, host)
  spec.maps = spec.maps or find_maps(spec, host)
  return spec.maps.uid, spec.maps.gid
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

--- Is setgroups(2) allowed inside? Who is root may do it, and in a user namespace only if its maps were written by root.
function ids.may_set_groups(spec, host)
  if not spec.flags.user then return ids.is_root(host) end
  return spec.setgroups ~= "deny" and ids.writer(spec, host) == "host"
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

--- Can the program write what only root may, unless /proc is guarded? It can as the host's root.
function ids.privileged(spec, host, uid_map)
  if host.euid ~= 0 then return false end
  for _, r in ipairs(spec.flags.user and uid_map or { { 0, 0, 1 } }) do
    if r[2] == 0 then return true end
  end
  return false
end

return ids
