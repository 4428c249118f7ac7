--- Which subnet an interface is in, which address it has, and by which router the others are reached: plain data, from nodes
-- and links.
--
-- A node has a `name` and a list of `interfaces`, and `forwards` if it is a router; a switch has a `name`. A link has two
-- `ends`; each has the `at` that it belongs to, and, if that is a node, it is one of its interfaces. A segment is what is
-- connected by switches: it has one subnet of each family.
-- @module ns.words.topology
require("ns.core").nojit()
local addresses = require "ns.words.addresses"
local check = require "ns.words.check"

local topology = {}

local FAMILIES = { "ipv4", "ipv6" }
topology.FAMILIES = FAMILIES

--- The subnet of segment number n, from 0 on, of `count` in all.
local DEFAULTS = {
  ipv4 = function(n, count)
    if count <= 256 then return ("10.%d.0.0/16"):format(n) end
    return ("10.%d.%d.0/24"):format(math.floor(n / 256), n % 256)
  end,
  ipv6 = function(n) return n == 0 and "fd00::/64" or ("fd00:0:0:%x::/64"):format(n) end,
}
local CHECKS = { ipv4 = addresses.check_subnet(addresses.INET), ipv6 = addresses.check_subnet(addresses.INET6) }
topology.checks = CHECKS

-- ---- segments ----

local function root_of(group)
  while group.into do group = group.into end
  return group
end

--- What says which subnet a segment has: a switch, or a link without one.
local function declared(segment, what)
  for _, family in ipairs(FAMILIES) do
    local subnet = what[family]
    local known = segment[family]
    if subnet and known and known.text ~= subnet.text then
      check.raise("%s is connected to what has the subnet %s, so it cannot have %s", what.name, known.text, subnet.text)
    end
    segment[family] = known or subnet
  end
end

--- The segments, in the order of what they begin with.
local function find_segments(switches, links)
  local group, list = {}, {}
  for _, switch in ipairs(switches) do group[switch] = {} end
  for _, link in ipairs(links) do
    local a, b = group[link.ends[1].at], group[link.ends[2].at]
    if a and b then
      a, b = root_of(a), root_of(b)
      if a ~= b then b.into = a end
    elseif not a and not b then
      group[link] = {}
    end
  end
  local function take(what)
    local segment = root_of(group[what])
    if not segment.interfaces then
      segment.interfaces = {}
      list[#list + 1] = segment
    end
    declared(segment, what)
    return segment
  end
  for _, switch in ipairs(switches) do switch.segment = take(switch) end
  for _, link in ipairs(links) do
    local segment = group[link] and take(link)
    for i, one in ipairs(link.ends) do
      one.segment = not group[one.at] and (segment or root_of(group[link.ends[3 - i].at])) or nil
    end
  end
  return list
end

-- ---- addresses ----

local function find_overlap(subnet, taken)
  for _, other in ipairs(taken) do
    if addresses.overlap(subnet, other) then return other end
  end
end

--- Those that were asked for, of the family.
local function find_declared(segments, family)
  local taken = {}
  for _, segment in ipairs(segments) do
    local subnet = segment[family]
    local other = subnet and find_overlap(subnet, taken)
    if other then check.raise("the subnets %s and %s overlap", other.text, subnet.text) end
    taken[#taken + 1] = subnet
  end
  return taken
end

--- The others get the next ones that nobody has.
local function give_subnets(segments, family)
  local taken, n = find_declared(segments, family), 0
  for _, segment in ipairs(segments) do
    while not segment[family] do
      local subnet = CHECKS[family](DEFAULTS[family](n, #segments), family)
      if not find_overlap(subnet, taken) then segment[family] = subnet end
      n = n + 1
    end
  end
end

--- Number 1, 2, ... of its segment, in the order of the nodes; or what it is to have.
local function give_addresses(nodes)
  for _, node in ipairs(nodes) do
    for _, one in ipairs(node.interfaces) do
      local list = one.segment.interfaces
      list[#list + 1] = one
      one.number = #list
      for _, family in ipairs(FAMILIES) do
        local subnet = one.segment[family]
        one[family] = subnet and addresses.at(subnet, one.number)
        if subnet and not one[family] then check.raise("the subnet %s has no address for %s", subnet.text, one.label) end
      end
    end
  end
end

-- ---- routes ----

--- For a node: by which router each other segment is reached: {[segment] = {via = its interface, from = ours}}, the nearest.
local function ways_of(node)
  local ways, queue = {}, {}
  for _, one in ipairs(node.interfaces) do
    if not ways[one.segment] then
      ways[one.segment] = {}
      queue[#queue + 1] = one.segment
    end
  end
  local own = #queue
  local i = 1
  while queue[i] do
    local segment = queue[i]
    for _, there in ipairs(segment.interfaces) do
      for _, beyond in ipairs(there.at.forwards and there.at ~= node and there.at.interfaces or {}) do
        if not ways[beyond.segment] then
          ways[beyond.segment] = i <= own and { via = there, segment = segment } or ways[segment]
          queue[#queue + 1] = beyond.segment
        end
      end
    end
    i = i + 1
  end
  return ways, queue, own
end

--- Its routes: a list of {subnet, via, one}: to all others by one router, where it has no choice.
local function routes_of(node)
  local ways, order, own = ways_of(node)
  local routes, first = {}, order[own + 1] and ways[order[own + 1]]
  local is_leaf = not node.forwards and #node.interfaces == 1
  local function add(segment, way)
    local from
    for _, one in ipairs(node.interfaces) do
      if one.segment == way.segment then from = from or one end
    end
    for _, family in ipairs(FAMILIES) do
      if way.via[family] and (not segment or segment[family]) then
        routes[#routes + 1] = { subnet = segment and segment[family], via = way.via[family], from = from }
      end
    end
  end
  for i = own + 1, is_leaf and own or #order do add(order[i], ways[order[i]]) end
  if first and not node.forwards then add(nil, first) end
  return routes
end

--- Gives each interface its segment, number, `ipv4` and `ipv6` (bytes), and each node its `routes`. `wanted`: the families.
function topology.plan(nodes, switches, links, wanted)
  local segments = find_segments(switches, links)
  for _, family in ipairs(FAMILIES) do
    if wanted[family] then give_subnets(segments, family) end
    for _, segment in ipairs(segments) do segment[family] = wanted[family] and segment[family] or nil end
  end
  give_addresses(nodes)
  for _, node in ipairs(nodes) do node.routes = routes_of(node) end
  return segments
end

--- The names of the nodes, each with its addresses: {h1 = {"10.0.0.1", "fd00::1"}}.
function topology.names(nodes)
  local names = {}
  for _, node in ipairs(nodes) do
    local list = {}
    for _, one in ipairs(node.interfaces) do
      for _, family in ipairs(FAMILIES) do
        if one[family] then list[#list + 1] = addresses.text(one[family]) end
      end
    end
    if list[1] then names[node.name] = list end
  end
  return names
end

return topology
