--- A link of a network (`ns.net`): two ends, and what it is like.
--
-- Where a switch is at one end, that end is a port of it, in the namespace of all switches; and two hosts are linked by a
-- switch of two ports that nobody sees. So there is always a port which is not in a host's hands: by this one the link is
-- taken down.
-- @module ns.net.link
require("ns.core").nojit()
local check = require "ns.words.check"
local rtnetlink = require "ns.words.rtnetlink"
local shape = require "ns.words.shape"
local wiring = require "ns.start.wiring"

local net_link = {}

local Link = { __name = "ns.Link" }
Link.__index = Link

local function is(value)
  return getmetatable(value) == Link
end

--- Calls a function for each item, until one gives nil: true; or nil, message, errno, detail.
local function each(list, f)
  for _, item in ipairs(list) do
    local ok, message, errno, detail = f(item)
    if not ok then return nil, message, errno, detail end
  end
  return true
end
net_link.each = each

-- ---- its ends ----

--- An interface where the switches are.
local function new_port(net, label, mtu)
  local index = net:next_index()
  return { index = index, name = ("v%d"):format(index), label = label, mtu = mtu }
end

local function new_end(net, at)
  if at.is_switch then
    local port = new_port(net, ("a port of %s"):format(at.name))
    port.at, port.port = at, port
    return port
  end
  local one = { at = at, index = net:next_index(), name = ("eth%d"):format(#at.interfaces) }
  one.label = ("%s-%s"):format(at.name, one.name)
  table.insert(at.interfaces, one)
  return one
end

--- A link of the network between two nodes or switches. `words`: checked, with `ipv4`, `ipv6` where it is a subnet itself.
function net_link.new(net, a, b, words)
  local self = setmetatable({ net = net, ipv4 = words.ipv4, ipv6 = words.ipv6, words = {}, name = a.name .. "-" .. b.name },
    Link)
  for word in next, shape.words do self.words[word] = words[word] end
  self.ends = { new_end(net, a), new_end(net, b) }
  for _, one in ipairs(self.ends) do one.link = self end
  return self
end

--- Is it between two switches?
function net_link.is_trunk(self)
  return self.ends[1].at.is_switch and self.ends[2].at.is_switch
end

--- The pairs of ends that it consists of: its own; between switches one more for each side of a network that is cut.
local function strands_of(self)
  local list = { self.ends }
  for _, strand in pairs(self.strands or {}) do list[#list + 1] = strand end
  return list
end

local function all_ends(self)
  local list = {}
  for _, strand in ipairs(strands_of(self)) do
    for _, one in ipairs(strand) do list[#list + 1] = one end
  end
  return list
end

--- Where messages for an end go.
local function socket_of(self, one)
  return one.at.is_switch and self.net.fabric.socket or one.at.socket
end

-- ---- how it is made ----

--- A host's interface and its port, which is one of `bridge`.
local function plug(one, port, bridge, mtu)
  one.port = port
  port.mtu, port.master, port.up = mtu, bridge, true
  return rtnetlink.veth(port, { index = one.index, name = one.name, label = one.label, mtu = mtu,
    namespace = one.at.socket:namespace() })
end

--- What connects the bridges of two switches.
local function make_trunk(strand, bridges, mtu, list)
  local a, b = strand[1], strand[2]
  a.mtu, b.mtu, a.master, a.up = mtu, mtu, bridges[1], true
  list[#list + 1] = rtnetlink.veth(a, { index = b.index, name = b.name, label = b.label, mtu = mtu })
  list[#list + 1] = rtnetlink.master(b, bridges[2])
  list[#list + 1] = rtnetlink.up(b)
end

--- Adds the messages that make it, for where the switches are.
function net_link.make(self, list)
  local net, a, b = self.net, self.ends[1], self.ends[2]
  local mtu = self.words.mtu
  a.is_shaped, b.is_shaped, self.strands, self.is_down, self.is_cut = false, false, nil, false, false
  if net_link.is_trunk(self) then return make_trunk(self.ends, { a.at.bridge, b.at.bridge }, mtu, list) end
  local switch = a.at.is_switch and a or b.at.is_switch and b
  local bridge = switch and switch.at.bridge
  if not switch then
    local index = net:next_index()
    bridge = { index = index, name = ("b%d"):format(index), label = "the link " .. self.name, up = true }
    list[#list + 1] = rtnetlink.link("bridge", bridge)
  end
  for _, one in ipairs(self.ends) do
    if not one.at.is_switch then
      local port = switch or new_port(net, "the port of " .. one.label)
      list[#list + 1] = plug(one, port, bridge, mtu)
    end
  end
end

--- Between switches, one more pair of ends, for a side: true; or nil, message, errno, detail.
function net_link.add_strand(self, side, bridges)
  self.strands = self.strands or {}
  if self.strands[side] then return true end
  local strand, list = {}, {}
  for i, one in ipairs(self.ends) do
    strand[i] = new_port(self.net, one.label)
    strand[i].at = one.at
  end
  make_trunk(strand, bridges, self.words.mtu, list)
  local ok, message, errno, detail = wiring.send(self.net.fabric.socket, list)
  if not ok then return nil, message, errno, detail end
  self.strands[side] = strand
  ok, message, errno, detail = net_link.shape(self)
  if not ok then return nil, message, errno, detail end
  return net_link.apply(self)
end

--- Gives all ends their queues, those that they have had are taken away before: true; or nil, message, errno, detail.
function net_link.shape(self)
  return each(all_ends(self), function(one)
    local list = shape.messages(one, self.words)
    local is_shaped = #list > 0
    if one.is_shaped then table.insert(list, 1, rtnetlink.no_qdisc(one)) end
    local ok, message, errno, detail = wiring.send(socket_of(self, one), list)
    one.is_shaped = is_shaped and (ok or one.is_shaped)
    return ok, message, errno, detail
  end)
end

--- All hosts of a network begin anew to look for each other: true; or nil, message, errno, detail.
function net_link.refresh(net)
  return each(net.nodes, function(node)
    local list = {}
    for _, one in ipairs(node.interfaces) do
      list[#list + 1], list[#list + 2] = rtnetlink.forget_neighbours(one)
    end
    return wiring.send(node.socket, list)
  end)
end

--- Takes its ports up or down, as it is to be: true; or nil, message, errno, detail.
function net_link.apply(self)
  local list, change = {}, (self.is_down or self.is_cut) and rtnetlink.down or rtnetlink.up
  for _, strand in ipairs(strands_of(self)) do
    for _, one in ipairs(strand) do
      if not one.at.is_switch then list[#list + 1] = change(one.port) end
    end
    if net_link.is_trunk(self) then list[#list + 1] = change(strand[1]) end
  end
  local ok, message, errno, detail = wiring.send(self.net.fabric.socket, list)
  if not ok or change == rtnetlink.down then return ok, message, errno, detail end
  ok, message, errno, detail = each(all_ends(self), function(one)
    return wiring.await(socket_of(self, one), { one }, {})
  end)
  if not ok then return nil, message, errno, detail end
  return net_link.refresh(self.net)
end

local function set_mtu(self, mtu)
  return each(all_ends(self), function(one)
    local ok, message, errno, detail = wiring.send(socket_of(self, one), { rtnetlink.mtu(one, mtu) })
    if not ok or one.at.is_switch then return ok, message, errno, detail end
    return wiring.send(self.net.fabric.socket, { rtnetlink.mtu(one.port, mtu) })
  end)
end

-- ---- the methods ----

local function check_lives(self, method)
  if not self.net.started or self.net.closed then
    check.raise("'%s': the network is %s", method, self.net.closed and "closed" or "not started")
  end
end

--- What it is like with these words over those that it has; and how they change it.
local function merged(self, words)
  if type(words) ~= "table" then check.fail("words", "table expected, got %s", type(words)) end
  local given, result = {}, {}
  for word, value in next, words do
    if not shape.words[word] then given = words break end -- which the check says then
    given[word] = value or nil
  end
  given = check.record(shape.words)(given, "words")
  for word in next, shape.words do
    if words[word] ~= false then result[word] = given[word] or self.words[word] end
  end
  shape.check_together(result, "words")
  return result, given
end

--- Changes what it is like, also while all runs: `delay`, `jitter`, `loss`, `duplicate`, `corrupt`, `reorder`, `rate`,
-- `mtu`. What is not named stays, and false takes it away.
-- @tparam table words
-- @treturn Link itself; or nil, message, errno, detail
-- @raise a mistake in the words; the network is closed
-- @see tc-netem(8)
function Link:set(words)
  if self.net.closed then check_lives(self, "set") end
  local ok, result, given = pcall(merged, self, words)
  if not ok then
    local mistake = check.mistake(result)
    if not mistake then error(result, 0) end
    check.raise("bad argument #1 to 'set' (%s)", (mistake:gsub("^words[.:] ?", "")))
  end
  local before = self.words
  self.words = result
  if not self.net.started then return self end
  local done, message, errno, detail = net_link.shape(self)
  if done and given.mtu then done, message, errno, detail = set_mtu(self, given.mtu) end
  if done then return self end
  self.words = before
  net_link.shape(self)
  return nil, message, errno, detail
end

local function switch(self, method, is_down)
  check_lives(self, method)
  self.is_down = is_down
  local ok, message, errno, detail = net_link.apply(self)
  if not ok then return nil, message, errno, detail end
  return self
end

--- Takes it down: as if the cable were pulled out. What its ends have, addresses and routes, stays.
-- @treturn Link itself; or nil, message, errno, detail
-- @raise the network is not there
function Link:down()
  return switch(self, "down", true)
end

--- Takes it up again.
-- @treturn Link itself; or nil, message, errno, detail
-- @raise the network is not there
function Link:up()
  return switch(self, "up", false)
end

function Link:__tostring()
  return ("ns.Link (%s%s)"):format(self.name, self.is_down and ", down" or self.is_cut and ", cut" or "")
end

check.methods(is, Link, { set = 1, down = 0, up = 0 })
net_link.is = is

return net_link
