--- The interfaces of a box's network, and its routes: what stands under `interfaces` and `routes` in the word `network`.
--
-- They lie in the box alone: what is to lead to another box is a link of `ns.net`.
-- @module ns.words.interfaces
require("ns.core").nojit()
local addresses = require "ns.words.addresses"
local check = require "ns.words.check"
local rtnetlink = require "ns.words.rtnetlink"
local sorted = require "ns.words.sorted"

local interfaces = {}

-- The kernel may have interfaces of its own in a new namespace, with numbers of its choice: ours are far from those, and
-- from those of the links of a network (ns.net).
local FIRST_INDEX, LOOPBACK = 100, 1
local IFNAMSIZ = 16

-- ---- checks ----

--- A name that the kernel has for an interface.
local function check_name(name, where)
  if type(name) ~= "string" then check.fail(where, "name of an interface expected, got %s", check.show(name)) end
  if name == "" or #name >= IFNAMSIZ or name:find "[%s/:%%%c]" or name == "." or name == ".." then
    check.fail(where, "'%s' is no name of an interface: 1 to %d bytes, without spaces, /, : and %%", name, IFNAMSIZ - 1)
  end
  return name
end

local function check_mac(value, where)
  local bytes = {}
  for byte in (check.text(value, where) .. ":"):gmatch "(%x%x):" do bytes[#bytes + 1] = string.char(tonumber(byte, 16)) end
  if #bytes ~= 6 or #value ~= 17 then check.fail(where, "'02:00:00:00:00:01' expected, got '%s'", value) end
  if bytes[1]:byte() % 2 == 1 then check.fail(where, "'%s' means many interfaces: its first byte is odd", value) end
  return table.concat(bytes)
end

local function check_addresses(value, where)
  if type(value) == "string" then return { addresses.check_interface(value, where) } end
  return check.list(addresses.check_interface)(value, where)
end

local check_one = check.record { type = check.choice("dummy", "bridge", "veth"), peer = check_name, bridge = check_name,
  addresses = check_addresses, mtu = check.integer(68, 65535), mac = check_mac, up = check.boolean }

local LEAST_IPV6 = 1280

local function check_fields(one, where)
  one.addresses = one.addresses or {}
  for _, address in ipairs(one.addresses) do
    one.has_ipv6 = one.has_ipv6 or address.family == addresses.INET6
  end
  if one.has_ipv6 and one.mtu and one.mtu < LEAST_IPV6 then
    check.fail(where .. ".mtu", "%d is too little for an address of IPv6, %d is the least", one.mtu, LEAST_IPV6)
  end
  if one.name ~= "lo" then return end
  for _, field in ipairs { "type", "peer", "bridge", "mac", "up" } do
    if one[field] ~= nil then check.fail(where, "the loopback has no '%s'", field) end
  end
end

--- The other end of a pair, which may have no words of its own.
local function check_peer(one, by_name, where)
  if not one.peer then check.fail(where, "a veth needs 'peer', the name of its other end") end
  if one.peer == one.name then check.fail(where .. ".peer", "'%s' is this end itself", one.peer) end
  local other = by_name[one.peer] or { name = one.peer, addresses = {} }
  if other.name == "lo" or other.type and other.type ~= "veth" or other.peer and other.peer ~= one.name then
    check.fail(where .. ".peer", "'%s' is no end of this pair", one.peer)
  end
  other.type, other.peer, by_name[one.peer] = "veth", one.name, other
  one.other, other.other = other, one
end

local function check_bridge(one, by_name, where)
  local bridge = by_name[one.bridge]
  if not bridge or bridge.type ~= "bridge" then check.fail(where .. ".bridge", "there is no bridge '%s'", one.bridge) end
  if one.type == "bridge" then check.fail(where .. ".bridge", "a bridge is no port of another") end
  one.master = bridge
end

--- {eth0 = {type=, addresses=, ...}}: a list in the order of their names, each with its number.
function interfaces.check(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local by_name, list = {}, {}
  for name, words in next, value do
    check_name(name, where)
    local one = check_one(words, check.at(where, name))
    one.name, by_name[name] = name, one
    check_fields(one, check.at(where, name))
  end
  for _, name in ipairs(sorted.keys(by_name)) do
    local one = by_name[name]
    if one.peer and not one.type then one.type = "veth" end
    if one.type == "veth" then check_peer(one, by_name, check.at(where, name)) end
    if one.peer and one.type ~= "veth" then check.fail(check.at(where, name) .. ".peer", "a %s has none", one.type) end
  end
  for i, name in ipairs(sorted.keys(by_name)) do
    local one = by_name[name]
    if one.bridge then check_bridge(one, by_name, check.at(where, name)) end
    one.type, one.index = one.type or "dummy", name == "lo" and LOOPBACK or FIRST_INDEX + i
    list[i] = one
  end
  return list
end

local check_route_fields = check.record { to = addresses.check_destination, via = addresses.check_one,
  interface = check_name, type = check.choice("unicast", "blackhole", "unreachable", "prohibit") }

local function check_route(value, where)
  local route = check_route_fields(value, where)
  local leads = route.via or route.interface
  route.type = route.type or "unicast"
  if route.type == "unicast" and not leads then check.fail(where, "'via' or 'interface' expected: where does it lead?") end
  if route.type ~= "unicast" and leads then check.fail(where, "a route of the type '%s' leads nowhere", route.type) end
  if not route.via and not route.to then check.fail(where .. ".to", "missing, as '10.1.0.0/16' or 'default'") end
  if route.to and route.via and route.to.family and route.to.family ~= route.via.family then
    check.fail(where .. ".via", "'%s' is of another family than '%s'", route.via.text, route.to.text)
  end
  return route
end

interfaces.check_routes = check.list(check_route)

--- Is the address in a subnet of an interface that is up?
local function is_reached(via, list)
  for _, one in ipairs(list) do
    for _, address in ipairs(one.up ~= false and one.addresses or {}) do
      if address.family == via.family and addresses.overlap(address, { bytes = via.bytes, prefix = 8 * #via.bytes }) then
        return true
      end
    end
  end
end

--- What is wrong with them together. `open`: there may be others, which are not ours.
function interfaces.check_together(list, routes, open, where)
  local by_name = { lo = { name = "lo", index = LOOPBACK } }
  for _, one in ipairs(list) do by_name[one.name] = one end
  for i, route in ipairs(routes) do
    local at = check.at(where .. ".routes", i)
    route.from = by_name[route.interface]
    if route.interface and not route.from then check.fail(at .. ".interface", "there is no '%s'", route.interface) end
    if route.via and not open and not is_reached(route.via, list) then
      check.fail(at .. ".via", "'%s' is in no subnet of an interface here", route.via.text)
    end
  end
end

-- ---- steps ----

local function adder(add)
  return function(...)
    for _, m in ipairs { ... } do
      add { op = "netlink", data = m.bytes, value = 0, from = m.what, type = m.type, word = "network" }
    end
  end
end

--- They are made, and are in their bridges: before the settings of each can be written.
function interfaces.links(list, add)
  local send = adder(add)
  for _, one in ipairs(list) do
    if one.name == "lo" then
      if one.mtu then send(rtnetlink.mtu(one, one.mtu)) end
    elseif one.type ~= "veth" then
      send(rtnetlink.link(one.type, { index = one.index, name = one.name, mtu = one.mtu, mac = one.mac }))
    elseif one.index < one.other.index then
      local function fields(e) return { index = e.index, name = e.name, mtu = e.mtu, mac = e.mac } end
      send(rtnetlink.veth(fields(one), fields(one.other)))
    end
  end
  for _, one in ipairs(list) do
    if one.master then send(rtnetlink.master(one, one.master)) end
  end
end

local function is_link_local(address) return address.bytes:byte(1) == 254 and math.floor(address.bytes:byte(2) / 64) == 2 end

--- Its addresses; with one of IPv6 also a link-local one, as each interface has it, but at once.
local function address_messages(one, send)
  local has_link_local = not one.has_ipv6 or one.name == "lo"
  for _, address in ipairs(one.addresses) do
    send(rtnetlink.address(one, address.bytes, address.prefix))
    has_link_local = has_link_local or address.family == addresses.INET6 and is_link_local(address)
  end
  if not has_link_local then send(rtnetlink.address(one, addresses.link_local(one.index), 64)) end
end

--- They are switched on and get their addresses, and then the routes. When the loopback is up: with an address before that
-- it would not get 127.0.0.1.
function interfaces.addresses(list, routes, add)
  local send = adder(add)
  for _, one in ipairs(list) do
    if one.name ~= "lo" and one.has_ipv6 then send(rtnetlink.no_link_local(one)) end
    if one.name ~= "lo" and one.up ~= false then send(rtnetlink.up(one)) end
    address_messages(one, send)
  end
  for _, route in ipairs(routes) do
    local to = route.to and route.to.bytes and route.to
    send(rtnetlink.route(to, route.via and route.via.bytes, route.from, route.type, route.to and route.to.family))
  end
end

--- Waits until the addresses of IPv6 are taken.
function interfaces.await(list, add)
  for _, one in ipairs(list) do
    for _, address in ipairs(one.up ~= false and one.addresses or {}) do
      if address.family == addresses.INET6 then add(rtnetlink.await_local(address.bytes, "network")) end
    end
  end
end

return interfaces
