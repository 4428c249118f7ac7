--- The start of a network (`ns.net`): its boxes, their wiring, and that packets go through; and its end.
-- @module ns.net.start
require("ns.core").nojit()
local addresses = require "ns.words.addresses"
local container = require "ns.container"
local living = require "ns.start.living"
local namespaces = require "ns.words.namespaces"
local net_link = require "ns.net.link"
local rtnetlink = require "ns.words.rtnetlink"
local topology = require "ns.words.topology"
local wiring = require "ns.start.wiring"

local net_start = {}

-- ---- the boxes ----

--- Where the switches are: no program is ever run there, and it has no address.
local function fabric_words(self)
  return { flags = { "user", "pid", "net" }, keyring = "inherit",
    sysctl = self.families.ipv6 and { ["net.ipv6.conf.default.disable_ipv6"] = 1 } or nil }
end

--- The settings of a host's network, under those that are given. Its programs are nobody's on the machine: so they may
-- have any port; and ping, by the group 0 that most of them have.
local function settings_of(node)
  local words, settings = node.words, { ["net.ipv4.ip_unprivileged_port_start"] = 0 }
  if not (words.map == "self" or words.gid_map) then settings["net.ipv4.ping_group_range"] = "0 0" end
  if node.forwards then settings["net.ipv4.ip_forward"] = 1 end
  if node.forwards and node.net.families.ipv6 then settings["net.ipv6.conf.all.forwarding"] = 1 end
  for name, value in next, words.sysctl or {} do settings[name] = value end
  return settings
end

--- The word `network` of a host's box: what it has, and the names of all.
local function network_of(given, names)
  local result, all = { given }, {}
  if type(given) == "table" then
    result = {}
    for field, value in next, given do result[field] = value end
  end
  for name, list in next, names do all[name] = list end
  for name, list in next, result.hosts or {} do all[name] = list end
  result.hosts = all
  return result
end

--- The words of a host's box, in which the others have names.
local function words_of(node, names)
  local words = {}
  for word, value in next, node.words do words[word] = value end
  words.sysctl = settings_of(node)
  local flags = namespaces.check(words.flags or {}, "flags")
  if flags.uts and not words.hostname then words.hostname = node.name end
  if flags.mount then words.network = network_of(words.network, names) end
  return words
end

--- Launches all without waiting for any, and then awaits each: true; or nil, message, errno, detail.
local function start_boxes(self)
  local names = topology.names(self.nodes)
  local function launch(place, words)
    local c, message, errno, detail = container.launch(words, "start", not words.optional)
    place.container = c
    return c, message, errno, detail
  end
  local places = { self.fabric }
  local ok, message, errno, detail = launch(self.fabric, fabric_words(self))
  for _, node in ipairs(ok and self.nodes or {}) do
    places[#places + 1] = node
    ok, message, errno, detail = launch(node, words_of(node, names))
    if not ok then break end
  end
  if not ok then return nil, message, errno, detail end
  for _, place in ipairs(places) do
    ok, message, errno, detail = living.finish(place.container.box)
    if not ok then return nil, message, errno, detail end
    place.socket, message, errno, detail = wiring.open(place.container.box, place.name)
    if not place.socket then return nil, message, errno, detail end
  end
  return true
end

-- ---- the wiring ----

local function wire_switches(self)
  local list = {}
  for _, switch in ipairs(self.switches) do
    local index = self:next_index()
    switch.bridges = nil
    switch.bridge = { index = index, name = ("b%d"):format(index), label = switch.name, up = true }
    list[#list + 1] = rtnetlink.link("bridge", switch.bridge)
  end
  for _, link in ipairs(self.links) do net_link.make(link, list) end
  return wiring.send(self.fabric.socket, list)
end

local function wire_node(node)
  local list = {}
  for _, one in ipairs(node.interfaces) do
    if one.ipv6 then list[#list + 1] = rtnetlink.no_link_local(one) end
    list[#list + 1] = rtnetlink.up(one)
    if one.ipv6 then list[#list + 1] = rtnetlink.address(one, addresses.link_local(one.number), 64) end
    for _, family in ipairs(topology.FAMILIES) do
      if one[family] then list[#list + 1] = rtnetlink.address(one, one[family], one.segment[family].prefix) end
    end
  end
  for _, route in ipairs(node.routes) do list[#list + 1] = rtnetlink.route(route.subnet, route.via, route.from) end
  return wiring.send(node.socket, list)
end

local function await_node(node)
  local own = {}
  for _, one in ipairs(node.interfaces) do own[#own + 1] = one.ipv6 end
  return wiring.await(node.socket, node.interfaces, own)
end

local function await_switches(self)
  local ports = {}
  for _, link in ipairs(self.links) do
    for _, one in ipairs(link.ends) do ports[#ports + 1] = one.port end
  end
  return wiring.await(self.fabric.socket, ports, {})
end

--- The steps of a start, in their order.
local STEPS = {
  start_boxes,
  wire_switches,
  function(self) return net_link.each(self.nodes, wire_node) end,
  function(self) return net_link.each(self.links, net_link.shape) end,
  await_switches,
  function(self) return net_link.each(self.nodes, await_node) end,
}

--- Gives everything its address; what contradicts itself is an error.
function net_start.plan(self)
  topology.plan(self.nodes, self.switches, self.links, self.families)
  for _, node in ipairs(self.nodes) do
    local first = node.interfaces[1] or {}
    node.ip, node.ip6 = first.ipv4 and addresses.text(first.ipv4), first.ipv6 and addresses.text(first.ipv6)
  end
end

--- Starts all of a network: true; or nil, message, errno, detail, and nothing is left.
function net_start.start(self)
  net_start.plan(self)
  for _, step in ipairs(STEPS) do
    local ok, message, errno, detail = step(self)
    if not ok then
      net_start.stop(self)
      return nil, message, errno, detail
    end
  end
  return true
end

-- ---- its end ----

--- Ends all boxes, each of which takes its interfaces along: first all are told, and then each is waited for.
function net_start.stop(self)
  local places = { self.fabric }
  for i, node in ipairs(self.nodes) do places[i + 1] = node end
  for _, place in ipairs(places) do
    if place.socket then place.socket:close() end
    if place.container and not place.container.box.handle:isclosed() then place.container.box.handle:kill(9) end
  end
  for _, place in ipairs(places) do
    if place.container then place.container:close() end
    place.socket, place.container, place.programs = nil, nil, {}
  end
end

return net_start
