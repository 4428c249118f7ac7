--- Addresses and subnets of IPv4 and IPv6, as bytes.
-- @module ns.words.addresses
require("ns.core").nojit()
local check = require "ns.words.check"

local addresses = {}

-- As the kernel numbers them.
addresses.INET, addresses.INET6 = 2, 10

local function read_v4(text)
  local bytes = {}
  for part in (text .. "."):gmatch "([^.]*)%." do
    local n = part:match "^%d%d?%d?$" and tonumber(part)
    if not n or n > 255 or #part > 1 and part:sub(1, 1) == "0" then return nil end
    bytes[#bytes + 1] = string.char(n)
  end
  return #bytes == 4 and table.concat(bytes) or nil
end

--- The 16-bit groups of one side of "::"; the last one of all may be an address of IPv4.
local function read_groups(text, is_last)
  local groups = {}
  if text == "" then return groups end
  for part, at in (text .. ":"):gmatch "([^:]*):()" do
    local v4 = is_last and at > #text + 1 and part:find(".", 1, true) and read_v4(part)
    if v4 then
      groups[#groups + 1], groups[#groups + 2] = v4:sub(1, 2), v4:sub(3, 4)
    elseif part:match "^%x%x?%x?%x?$" then
      local n = tonumber(part, 16)
      groups[#groups + 1] = string.char(math.floor(n / 256), n % 256)
    else
      return nil
    end
  end
  return groups
end

local function read_v6(text)
  local head, tail = text:match "^(.-)::(.*)$"
  local first, last = read_groups(head or text, not head), read_groups(tail or "", true)
  if not first or not last then return nil end
  local missing = 8 - #first - #last
  if head and missing < 1 or not head and missing ~= 0 then return nil end
  return table.concat(first) .. ("\0\0"):rep(missing) .. table.concat(last)
end

--- The family of an address, and its bytes; nil for what is none.
function addresses.read(text)
  if text:find(":", 1, true) then
    local bytes = read_v6(text)
    return bytes and addresses.INET6, bytes
  end
  local bytes = read_v4(text)
  return bytes and addresses.INET, bytes
end

--- The longest run of zeros among the groups that is worth a "::": its first and its last.
local function longest_zeros(groups)
  local from, to
  local i = 1
  while i <= 8 do
    local j = i
    while j <= 8 and groups[j] == 0 do j = j + 1 end
    if j - i > 1 and (not from or j - i > to - from + 1) then from, to = i, j - 1 end
    i = math.max(j, i + 1)
  end
  return from, to
end

--- The text of an address, as RFC 5952 has it.
function addresses.text(bytes)
  if #bytes == 4 then return ("%d.%d.%d.%d"):format(bytes:byte(1, 4)) end
  local groups, parts = {}, {}
  for i = 1, 8 do
    local high, low = bytes:byte(2 * i - 1, 2 * i)
    groups[i] = high * 256 + low
    parts[i] = ("%x"):format(groups[i])
  end
  local from, to = longest_zeros(groups)
  if not from then return table.concat(parts, ":") end
  return table.concat(parts, ":", 1, from - 1) .. "::" .. table.concat(parts, ":", to + 1)
end

--- The first address of a subnet: its bytes after the prefix are 0.
local function masked(bytes, prefix)
  local result = {}
  for i = 1, #bytes do
    local kept = math.max(0, math.min(8, prefix - 8 * (i - 1)))
    local unit = 2 ^ (8 - kept)
    local byte = bytes:byte(i)
    result[i] = string.char(byte - byte % unit)
  end
  return table.concat(result)
end

--- "10.0.0.1": its `family`, `bytes`, `text`.
function addresses.check_one(value, where)
  local family, bytes = addresses.read(check.text(value, where))
  if not family then check.fail(where, "address of IPv4 or IPv6 expected, got '%s'", value) end
  return { family = family, bytes = bytes, text = value }
end

--- "10.0.0.1/24": its `family`, `bytes`, `prefix`, `text`. Without a prefix it is one for itself.
local function check_with_prefix(value, where, example)
  local text, digits = check.text(value, where):match "^([^/]*)/?(%d*)$"
  local family, bytes = addresses.read(text or "")
  if not family or digits == "" and value:find "/" then check.fail(where, "'%s' expected, got '%s'", example, value) end
  local prefix = tonumber(digits) or 8 * #bytes
  if prefix > 8 * #bytes then check.fail(where, "/%d is too long, /%d is the most", prefix, 8 * #bytes) end
  return { family = family, bytes = bytes, prefix = prefix, text = value }
end

--- An address that an interface may have, with its prefix.
function addresses.check_interface(value, where)
  return check_with_prefix(value, where, "10.0.0.1/24")
end

--- Where a route leads: "10.1.0.0/16", "10.1.0.1", or "default", which has no bytes.
function addresses.check_destination(value, where)
  if value == "default" then return { text = value } end
  local subnet = check_with_prefix(value, where, "10.1.0.0/16' or 'default")
  local first = masked(subnet.bytes, subnet.prefix)
  if first ~= subnet.bytes then
    check.fail(where, "'%s' is an address in the subnet '%s/%d'", value, addresses.text(first), subnet.prefix)
  end
  return subnet
end

--- "10.0.0.0/24": its `family`, `bytes`, `prefix`, and `text`. `family`: the one that is expected.
function addresses.check_subnet(family)
  local name, bits = family == addresses.INET and "IPv4" or "IPv6", family == addresses.INET and 32 or 128
  return function(value, where)
    local address, prefix = check.text(value, where):match "^([%x.:]+)/(%d%d?%d?)$"
    local found, bytes = addresses.read(address or "")
    prefix = tonumber(prefix)
    if found ~= family then check.fail(where, "subnet of %s expected, as '%s', got '%s'", name,
      family == addresses.INET and "10.0.0.0/24" or "fd00::/64", value) end
    if prefix > bits - 2 then check.fail(where, "/%d has no room for two addresses, /%d has", prefix, bits - 2) end
    if masked(bytes, prefix) ~= bytes then
      check.fail(where, "'%s' is an address in the subnet '%s/%d'", value, addresses.text(masked(bytes, prefix)), prefix)
    end
    return { family = family, bytes = bytes, prefix = prefix, text = value }
  end
end

--- Have two subnets of a family an address in common?
function addresses.overlap(a, b)
  local prefix = math.min(a.prefix, b.prefix)
  return masked(a.bytes, prefix) == masked(b.bytes, prefix)
end

--- fe80::N: one that the kernel makes itself would be asked for on the link first.
function addresses.link_local(n)
  return "\254\128" .. ("\0"):rep(11) .. string.char(math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
end

--- The bytes of address number `n` of a subnet; nil where that is not one for a host.
function addresses.at(subnet, n)
  local size, bytes = #subnet.bytes, {}
  local last = 2 ^ (8 * size - subnet.prefix) - (size == 4 and 2 or 1) -- of IPv4 the last one means all
  if n < 1 or n > last then return nil end
  for i = size, 1, -1 do
    bytes[i] = string.char(subnet.bytes:byte(i) + n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(bytes)
end

return addresses
