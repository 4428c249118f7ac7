--- Which ids of this machine are somebody's, as its files say (subuid(5), passwd(5)), and which are free.
-- @module ns.start.subids
require("ns.core").nojit()
local core = require "ns.core"
local errno_of = core.constants.errno

local subids = {}

--- How many ids a range has: as many as programs expect.
subids.COUNT = 65536

local COUNT = subids.COUNT
local MOST = 2 ^ 26 -- bytes that are read of a file
local END = 4294967296 -- of all ids
local TRIES = 16

-- Where a range is looked for, in this order. The first has no ids that are given without a line in our files: below it
-- are those of directories of users (up to 2000200000, sssd-ad(5)) and of systemd's and incus' containers; above it
-- systemd's foreign ones, then FreeIPA's subordinate ones, and those that stand for nobody.
local AREAS = { { 2000224256, 2147352576 }, { COUNT, END - COUNT } }

--- Opens what can be read without waiting for somebody, or doing something: no FIFO, no device.
local function open(path)
  local regular, why, errno = core.isfile(path)
  if regular then return io.open(path) end
  if regular == nil then return nil, why, errno end
  return nil, nil, core.access(path .. "/.", 0) and errno_of.EISDIR or errno_of.EINVAL
end

--- The bytes of a file; "" if it is not there. One that cannot be read is a refusal, for `ids.maps` to catch: other ids
-- than those that were asked for would be worse.
local function read(path)
  local text
  local f, _, errno = open(path)
  if not f and errno == errno_of.ENOENT then return "" end
  if f then
    local size = f:seek("end") or 0
    f:seek("set")
    if size <= MOST then text, _, errno = f:read("*a") else errno = errno_of.EFBIG end
    f:close()
  end
  return text or error({ op = "open", path = path, word = "map", refused = errno }, 0)
end

--- A file of the host's, which specs may have elsewhere.
local function path_of(host, name) return host[name] or "/etc/" .. name end

--- Digits as an integer; too many of them as the end of all ids, so that no sum of two is ever wrong.
local function number(digits) return math.floor(math.min(tonumber(digits), END)) end

--- The ranges that a file ("subuid") gives to a user: a list of {first, count}. Lines that the kernel would not take, or
-- newuidmap would read in another way, are passed over.
function subids.of(host, file, uid, name)
  local ranges, own = {}, ("%.0f"):format(uid)
  for line in read(path_of(host, file)):gmatch("[^\n]+") do
    local owner, first, count = line:match("^([^:]+):([1-9]%d*):([1-9]%d*)%s*$")
    if owner and (owner == name or owner == own) then
      first, count = number(first), number(count)
      if first + count < END then ranges[#ranges + 1] = { first, count } end
    end
  end
  return ranges
end

--- The name of a user in the file of users, or nil.
function subids.user(host, uid)
  for line in read(path_of(host, "passwd")):gmatch("[^\n]+") do
    local name, id = line:match("^([^:]+):[^:]*:(%d+):")
    if id and tonumber(id) == uid then return name end
  end
end

local function read_map(pid, kind)
  local map = {}
  for line in read(("/proc/%s/%s_map"):format(pid, kind)):gmatch("[^\n]+") do
    local first, outside, count = line:match("(%d+)%s+(%d+)%s+(%d+)")
    map[#map + 1] = { number(first), number(outside), number(count) }
  end
  return map
end

local machine = {} -- what the last namespace that was asked for has: it is written once

--- The ids that this host has itself, as in a container: {uid=, gid=}, each a list of {first, outside, count}; and whether
-- it may drop groups: setgroups, "allow" or "deny".
function subids.machine(host)
  if host.machine then return host.machine end
  local name = core.readlink "/proc/self/ns/user"
  if not name or machine.name ~= name or #machine.gid == 0 or #machine.uid == 0 then
    machine = { name = name, uid = read_map("self", "uid"), gid = read_map("self", "gid"),
      setgroups = read("/proc/self/setgroups"):match("%a+") }
  end
  host.machine = machine
  return machine
end

--- The maps of another process' user namespace, as seen from ours: {uid=, gid=}.
function subids.maps_of(pid) return { uid = read_map(pid, "uid"), gid = read_map(pid, "gid") } end

local function add(list, first, count)
  first, count = number(first), number(count)
  if first < END and count > 0 then list[#list + 1] = { first, first + count } end
end

local function add_range(list, line)
  local first, count = line:match("^[^#:][^:]*:%s*(%d+):%s*(%d+)%s*$")
  if first then add(list, first, count) end
end

local function add_ids(list, line)
  local id, gid = line:match("^[^#:][^:]*:[^:]*:(%d+):?(%d*)")
  if id then add(list, id, 1) end
  if gid and gid ~= "" then add(list, gid, 1) end
end

local FILES = { { "subuid", add_range }, { "subgid", add_range }, { "passwd", add_ids }, { "group", add_ids } }

--- What this host itself does not have is not free, either.
local function add_missing(list, map)
  local at = 0
  table.sort(map, function(a, b) return a[1] < b[1] end)
  for _, r in ipairs(map) do
    list[#list + 1] = { at, r[1] }
    at = r[1] + r[3]
  end
  list[#list + 1] = { at, END }
end

--- All ids that are somebody's: a list of {first, end}, in rising order.
local function taken(host)
  local list = {}
  for _, row in ipairs(FILES) do
    for line in read(path_of(host, row[1])):gmatch("[^\n]+") do row[2](list, line) end
  end
  add_missing(list, subids.machine(host).uid)
  add_missing(list, subids.machine(host).gid)
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

--- What is free in an area: a list of {first, ranges}, and how many ranges these are together.
local function gaps(list, area)
  local found, total, at = {}, 0, area[1]
  local function gap(last)
    local first = math.ceil(at / COUNT) * COUNT
    if first + COUNT > last then first = at end
    local ranges = math.floor((last - first) / COUNT)
    if ranges > 0 then found[#found + 1], total = { first, ranges }, total + ranges end
  end
  for _, r in ipairs(list) do
    if r[1] >= area[2] then break end
    gap(r[1])
    at = math.max(at, r[2])
  end
  gap(area[2])
  return found, total
end

local known = {} -- what was free when the files were as their stamp says

local function survey(host)
  local paths = {}
  for i, row in ipairs(FILES) do paths[i] = path_of(host, row[1]) end
  local stamp, ours = core.stamp(paths), subids.machine(host)
  if known.stamp == stamp and known.machine == ours then return known.gaps, known.total end
  local list, found, total = taken(host), nil, 0
  for _, area in ipairs(AREAS) do
    if total == 0 then found, total = gaps(list, area) end
  end
  known = { stamp = stamp, machine = ours, gaps = found, total = total }
  return found, total
end

local function pick(found, total)
  local nth = core.random(total)
  for _, gap in ipairs(found) do
    if nth < gap[2] then return gap[1] + nth * COUNT end
    nth = nth - gap[2]
  end
end

local reserved = setmetatable({}, { __mode = "v" }) -- by the first id of a range: the handle of the process that has it

--- The first id of a free range, one of them at random: none that a process of ours has, if it can be helped. nil: there is
-- none.
function subids.free(host)
  local found, total = survey(host)
  if total == 0 then return nil end
  local first
  for _ = 1, TRIES do
    first = pick(found, total)
    if not reserved[first] or reserved[first]:isclosed() then break end
  end
  return first
end

--- No other process gets the range until the handle of this one is closed.
function subids.reserve(first, handle) reserved[first] = handle end

return subids
