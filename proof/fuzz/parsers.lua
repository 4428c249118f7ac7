--- Bytes -> one of the readers of what users write: maps, /etc/subuid, sizes, limits, names, places. What a reader takes
-- must be what the kernel takes; what it does not take must be a mistake with the name of the field.
local addresses = require "ns.words.addresses"
local endpoint = require "ns.words.endpoint"
local host = require "fuzz.host"
local anchors = require "ns.words.anchors"
local check = require "ns.words.check"
local core = require "ns.core"
local ids = require "ns.start.ids"
local maps = require "ns.words.maps"
local field = require "ns.words.mount_fields"
local mounts = require "ns.words.mounts"
local namespaces = require "ns.words.namespaces"
local plan = require "ns.start.plan"
local privileges = require "ns.words.privileges"
local reader = require "fuzz.reader"
local signals = require "ns.words.signals"
local sorted = require "ns.words.sorted"
local stdio = require "ns.words.stdio"

local byte, number, text = reader.byte, reader.number, reader.text

--- What `f` makes of the value, or nil where it is a mistake.
local function try(f, value)
  local ok, result = pcall(f, value, "field")
  if ok then return result end
  local mistake = check.mistake(result)
  if not mistake then error(result, 0) end
  assert(mistake:find("^field"), mistake)
end

local function is_id(n) return n % 1 == 0 and n >= 0 and n <= 4294967294 end

local function check_map(map)
  assert(#map >= 1 and #map <= 340 and #maps.format(map) <= 4095, "too long")
  for _, r in ipairs(map) do
    assert(is_id(r[1]) and is_id(r[2]) and r[3] % 1 == 0 and r[3] >= 1, "no ids")
    assert(is_id(r[1] + r[3] - 1) and is_id(r[2] + r[3] - 1), "beyond the last id")
  end
  for side = 1, 2 do
    local order = table.move(map, 1, #map, 1, {})
    table.sort(order, function(a, b) return a[side] < b[side] end)
    for i = 2, #order do assert(order[i - 1][side] + order[i - 1][3] <= order[i][side], "overlap") end
  end
  local lines = {}
  for line in maps.format(map):gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  assert(#lines == #map)
  for i, line in ipairs(lines) do
    local a, b, c = line:match("^(%d+) (%d+) (%d+)$")
    assert(tonumber(a) == map[i][1] and tonumber(b) == map[i][2] and tonumber(c) == map[i][3], "the text differs")
  end
end

local function small() return byte() % 16 end

local function id_map()
  local make = byte() % 2 == 0 and number or small
  local map = try(maps.check, reader.list(6, function() return { make(), make(), make() } end))
  if map then check_map(map) end
end

--- A few ranges, very many of them.
local function long_map()
  local list, step = {}, byte() + 1
  local count = byte() == 7 and reader.pick { 100, 339, 340, 341 } or byte() % 16
  for i = 1, count do list[i] = { i * step, i * step * 16777, byte() % 3 == 0 and step or 1 } end
  local map = try(maps.check, list)
  if map then check_map(map) end
end

-- ---- /etc/subuid and its kin, from memory ----

local function line()
  if byte() % 4 == 0 then return reader.text() end
  local owner = reader.pick { "root", "user", "1000", "0", "other" }
  return ("%s:%.0f:%.0f"):format(owner, number(), number())
end

local ID_MAPS = { "0 0 4294967295", "0 100000 65536", "0 5 1\n1 100 200000", "         0       0       9" }

local function subordinate()
  local euid = byte() % 2 * 1000
  local content = byte() % 8 > 0 and table.concat(reader.list(5, line), "\n")
  local files = host.files
  files["/etc/subuid"] = content or byte() % 2 == 0 and reader.rest() or reader.pick { false, nil }
  files["/etc/subgid"] = files["/etc/subuid"]
  files["/etc/passwd"] = reader.pick { "user:x:1000:1000::/:/bin/sh", "", "user:x:1000", "root:x:0:0:root:/root:/bin/bash" }
  files["/proc/self/uid_map"] = reader.pick(ID_MAPS)
  files["/proc/self/gid_map"] = files["/proc/self/uid_map"]
  local spec = { map = reader.pick { "auto", "range" }, flags = { user = true } }
  local uid, gid = host.try(ids.maps, spec, { euid = euid, egid = euid, caps = euid == 0 and host.ALL_CAPS or 0 })
  if not uid then return end
  check_map(uid)
  check_map(gid)
end

-- ---- addresses ----

--- An address that is read is written as it is read again; one that the kernel's own reader takes is taken.
local function address()
  local value = reader.rest():gsub("%z", "")
  local family, bytes = addresses.read(value)
  assert((family ~= nil) == (core.address(value, 0) ~= nil), value)
  if not family then return end
  local again, same = addresses.read(addresses.text(bytes))
  assert(again == family and same == bytes, value)
end

local function subnet()
  local value = reader.rest()
  local one = try(addresses.check_interface, value)
  if one then assert(one.prefix >= 0 and one.prefix <= 8 * #one.bytes, value) end
  local to = try(addresses.check_destination, value)
  if to and to.bytes then assert(addresses.overlap(to, one), value) end
  for _, family in ipairs { addresses.INET, addresses.INET6 } do
    local net = try(addresses.check_subnet(family), value)
    local first = net and addresses.at(net, 1)
    assert(not net or addresses.overlap(net, { bytes = first, prefix = net.prefix }), value)
  end
end

--- Where servers listen: what is taken has addresses, or a path, that the kernel takes.
local function server()
  local place = try(endpoint.server, byte() % 4 == 0 and number() or reader.rest())
  if not place then return end
  assert(place.path and #place.path <= 108 or #place.addresses >= 1, place.text)
  for _, one in ipairs(place.addresses or {}) do assert(#one == 16 or #one == 28, place.text) end
end

-- ---- texts ----

local function size()
  local got = try(field.size, byte() % 4 == 0 and number() or reader.rest())
  if not got then return end
  local digits, unit = got:match("^([1-9]%d*)([kKmMgG%%]?)$") -- the kernel takes 010 for eight
  local most = unit == "%" and 100 or 2 ^ 53 / 1024 ^ (("kmg"):find(unit:lower(), 1, true) or 0)
  assert(tonumber(digits) <= (unit == "" and 2 ^ 53 or most), got)
  assert(field.size(got, "field") == got)
end

local function flags()
  local value = byte() % 4 == 0 and number() or reader.rest()
  local set = try(namespaces.check, value)
  if not set then return end
  local again = namespaces.check(table.concat(namespaces.names(set), ","), "field")
  for name in pairs(set) do assert(again[name], name) end
  local sum = namespaces.clone_flags(set)
  if type(value) == "number" then assert(sum + (set.time and core.constants.clone.NEWTIME or 0) == value) end
end

local function words(list)
  for word in reader.rest():gmatch("[^,]+") do list[#list + 1] = word end
  return list
end

local function caps()
  local mask = try(privileges.check_caps, words {})
  assert(not mask or mask % 1 == 0 and mask >= 0 and mask < 2 ^ 41)
end

local function rlimits()
  local t = {}
  for name, value in reader.rest():gmatch("([^,=]+)=([^,]*)") do
    local soft, hard = value:match("^([^:]*):(.*)$")
    local function amount(s) return tonumber(s) or s end
    t[name] = soft and { soft = amount(soft), hard = amount(hard) } or amount(value)
  end
  local limits, steps = try(privileges.check_rlimits, t), {}
  if not limits then return end
  privileges.rlimits(limits, nil, function(step) steps[#steps + 1] = step end)
  for _, s in ipairs(steps) do
    assert(s.which >= 0 and s.which < 16 and (s.limit == -1 or s.value >= 0 and s.value <= s.limit), "limits")
  end
end

local BITS = { privileges.check_securebits, privileges.check_personality }

local function bits()
  local sum = try(BITS[byte() % 2 + 1], byte() % 2 == 0 and reader.rest() or words {})
  assert(not sum or sum % 1 == 0 and sum >= 0 and sum < 2 ^ 32)
end

local function classes()
  local s = try(privileges.check_scheduler, reader.rest())
  assert(not s or s.policy)
  local p = try(privileges.check_ioprio, reader.rest())
  assert(not p or p.class)
end

local function affinity()
  local cpus = try(privileges.check_affinity, reader.list(8, number))
  if not cpus then return end
  privileges.affinity(cpus, nil, function(step)
    assert(#step.data % 8 == 0 and #step.data <= 1024)
    for _, cpu in ipairs(cpus) do
      assert(math.floor(step.data:byte(math.floor(cpu / 8) + 1) / 2 ^ (cpu % 8)) % 2 == 1, "a processor is missing")
    end
  end)
end

local function signal()
  local n = signals.number(byte() % 2 == 0 and number() or reader.rest())
  assert(n == nil or n >= 1 and n <= 64)
  if n then assert(signals.name(n) ~= "") end
end

local function place()
  local got = try(field.place, reader.rest())
  if not got then return end
  assert(got:sub(1, 1) == "/" and #got < 4096 and not got:find("\0", 1, true))
  assert(not (got .. "/"):find("/%.%.?/") and not got:find("//", 1, true) and (got == "/" or got:sub(-1) ~= "/"), got)
end

--- Each lower is an option by itself, as it was given.
local function lowers()
  local lower = byte() % 2 == 0 and words {} or reader.list(4, reader.path)
  local m = try(mounts.check_one, { type = "overlay", target = "/a", lower = lower })
  if not m then return end
  mounts.steps({ m }, function(step)
    assert(#step.options == #lower)
    for i = 1, #lower do assert(step.options[i] == "lowerdir=" .. lower[i], "another path") end
  end, { numbers = {}, anchors = anchors.new() })
end

local function streams()
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local ok, e = pcall(stdio.check, text(), name)
    assert(ok or check.mistake(e), e)
  end
  assert(not stdio.is_input("null") and stdio.is_input("some text"))
  assert(select(2, pcall(check.raise, "%s", "x")):find("x", 1, true))
  assert(type(check.nearest(text(), plan.words)) == "string")
end

--- Any word with any text or number.
local NAMES = sorted.keys(plan.words)

local function any_word()
  local word = reader.pick(NAMES)
  local ok, e = pcall(plan.words[word].check, reader.junk(), word)
  assert(ok or check.mistake(e), e)
end

local READERS = { id_map, long_map, subordinate, size, flags, caps, rlimits, bits, classes, affinity, signal, place, lowers,
  streams, any_word, address, subnet, server }

return function(bytes)
  reader.start(bytes)
  READERS[byte() % #READERS + 1]()
end
