--- A link of a network (`ns.net`): two ends, and what it is like.
--
-- Where a switch is at one end, that end is a port of it, in the namespace of all switches; and two hosts are linked by a
-- switch of two ports that nobody sees. So there is always a port which is not in a host's hands: by this one the link is
-- cut.
-- @module ns.net_link
require("ns.core").nojit()
local check = require "ns.words.check"
local rtnetlink = require "ns.words.rtnetlink"
local shape = require "ns.words.shape"
local wiring = require "ns.start.wiring"

local net_link = {}

local Link = { __name = "ns.Link" }
Link.__index = Link

net_link.words = shape.words

local function is(value)
  return getmetatable(value) == Link
end

--- One end. `index`: its interface; `port`: of a host's, the other side of that, where the switches are.
local function new_end(net, at)
  local one = { at = at, index = net:next_index() }
  if at.is_switch then
    one.name = ("v%d"):format(one.index)
    one.label = ("a port of %s"):format(at.name)
    return one
  end
  one.name = ("eth%d"):format(#at.interfaces)
  one.label = ("%s-%s"):format(at.name, one.name)
  table.insert(at.interfaces, one)
  return one
end

--- A link of the network between two nodes or switches. `words`: checked, with `ipv4`, `ipv6` where it is a subnet itself.
function net_link.new(net, a, b, words)
  local self = setmetatable({ net = net, ipv4 = words.ipv4, ipv6 = words.ipv6, words = {}, is_cut = false, is_down = false,
    name = ("%s-%s"):format(a.name, b.name) }, Link)
  for word in next, shape.words do self.words[word] = words[word] end
  self.ends = { new_end(net, a), new_end(net, b) }
  for i, one in ipairs(self.ends) do
    one.link, one.other = self, self.ends[3 - i]
  end
  return self
end

-- ---- the messages ----

local function port_of(one, index)
  return { index = index, name = ("v%d"):format(index), label = ("the port of %s"):format(one.label) }
end

--- A host's interface and its port, which is one of `bridge`.
local function plug(one, port, bridge, mtu)
  one.port = port
  return rtnetlink.veth(
    { index = port.index, name = port.name, label = port.label, mtu = mtu, master = bridge, up = true },
    { index = one.index, name = one.name, label = one.label, mtu = mtu, namespace = one.at.socket:namespace() })
end

--- What makes it, in the namespace of the switches.
function net_link.make(self, list)
  local a, b = self.ends[1], self.ends[2]
  a.is_shaped, b.is_shaped = false, false
  local mtu = self.words.mtu
  if a.at.is_switch and b.at.is_switch then
    a.port, b.port = a, b
    list[#list + 1] = rtnetlink.veth({ index = a.index, name = a.name, label = a.label, master = a.at.bridge, up = true,
      mtu = mtu }, { index = b.index, name = b.name, label = b.label, mtu = mtu })
    list[#list + 1] = rtnetlink.master(b, b.at.bridge)
    list[#list + 1] = rtnetlink.up(b)
  elseif a.at.is_switch or b.at.is_switch then
    local host, switch = a.at.is_switch and b or a, a.at.is_switch and a or b
    switch.port = switch
    list[#list + 1] = plug(host, switch, switch.at.bridge, mtu)
  else
    self.bridge = { index = self.net:next_index() }
    self.bridge.name, self.bridge.label, self.bridge.up = "b" .. self.bridge.index, "the link " .. self.name, true
    list[#list + 1] = rtnetlink.link("bridge", self.bridge)
    for _, one in ipairs(self.ends) do
      list[#list + 1] = plug(one, port_of(one, self.net:next_index()), self.bridge, mtu)
    end
  end
end

--- Where messages for an end go.
local function socket_of(one)
  return one.at.is_switch and one.at.net.fabric.socket or one.at.socket
end

--- Gives both ends their queues, those that they have had are taken away before: true; or nil, message, errno, detail.
function net_link.shape(self, words)
  for _, one in ipairs(self.ends) do
    local list = shape.messages(one, words)
    if one.is_shaped then table.insert(list, 1, rtnetlink.no_qdisc(one)) end
    local ok, message, errno, detail = wiring.send(socket_of(one), list)
    if not ok then return nil, message, errno, detail end
    one.is_shaped = #shape.messages(one, words) > 0
  end
  return true
end

--- The ports by which it is up or down: one of each pair of interfaces.
local function ports_of(self)
  if self.bridge then return { self.ends[1].port, self.ends[2].port } end
  return { self.ends[1].port or self.ends[2].port }
end

--- Sets its ports as it is to be: true; or nil, message, errno, detail.
function net_link.apply(self)
  local list, is_up = {}, not (self.is_down or self.is_cut)
  for _, port in ipairs(ports_of(self)) do list[#list + 1] = (is_up and rtnetlink.up or rtnetlink.down)(port) end
  return wiring.send(self.net.fabric.socket, list)
end

-- ---- the methods ----

local function check_lives(self, method)
  if not self.net.started then check.raise("'%s': the network is not there before net:start()", method) end
  if self.net.closed then check.raise("'%s': the network is closed", method) end
end

local function check_words(self, words)
  local result = {}
  for word, value in next, self.words do result[word] = value end
  local given = check.record(shape.words)(words, "words")
  for word, value in next, given do result[word] = value end
  shape.check_together(result, "words")
  return result, given
end

--- Changes what it is like, also while all runs: `delay`, `jitter`, `loss`, `duplicate`, `corrupt`, `reorder`, `rate`,
-- `mtu`. What is not named stays; 0 takes a delay or a loss away, and false a rate.
-- @tparam table words
-- @treturn Link itself; or nil, message, errno, detail: then it has none of them until it is set again
-- @raise a mistake in the words
-- @see tc-netem(8)
function Link:set(words)
  local less = {}
  for word, value in next, type(words) == "table" and words or {} do less[word] = value or nil end
  local ok, result, given = pcall(check_words, self, type(words) == "table" and less or words)
  if not ok then
    local mistake = check.mistake(result)
    if not mistake then error(result, 0) end
    check.raise("bad argument #1 to 'set' (%s)", (mistake:gsub("^words[.:] ?", "")))
  end
  for word, value in next, words do
    if value == false then result[word] = nil end
  end
  self.words = result
  if not self.net.started then return self end
  check_lives(self, "set")
  local done, message, errno, detail = net_link.shape(self, result)
  if done and given.mtu then done, message, errno, detail = net_link.set_mtu(self, given.mtu) end
  if not done then return nil, message, errno, detail end
  return self
end

--- Both ends of each pair.
function net_link.set_mtu(self, mtu)
  for _, one in ipairs(self.ends) do
    local ok, message, errno, detail = wiring.send(socket_of(one), { rtnetlink.mtu(one, mtu) })
    if ok and one.port and one.port ~= one then
      ok, message, errno, detail = wiring.send(self.net.fabric.socket, { rtnetlink.mtu(one.port, mtu) })
    end
    if not ok then return nil, message, errno, detail end
  end
  return true
end

--- Takes it down: as if the cable were pulled out. What its ends have, addresses and routes, stays.
-- @treturn Link itself; or nil, message, errno, detail
-- @raise the network is not there
function Link:down()
  check_lives(self, "down")
  self.is_down = true
  local ok, message, errno, detail = net_link.apply(self)
  if not ok then return nil, message, errno, detail end
  return self
end

--- Takes it up again.
-- @treturn Link itself; or nil, message, errno, detail
-- @raise the network is not there
function Link:up()
  check_lives(self, "up")
  self.is_down = false
  local ok, message, errno, detail = net_link.apply(self)
  if not ok then return nil, message, errno, detail end
  return self
end

function Link:__tostring()
  return ("ns.Link (%s%s)"):format(self.name, self.is_down and ", down" or self.is_cut and ", cut" or "")
end

check.methods(is, Link)
net_link.is = is

return net_link
