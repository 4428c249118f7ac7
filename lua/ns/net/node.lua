--- What a network (`ns.net`) links: hosts and routers, each a living box, and switches.
-- @module ns.net.node
require("ns.core").nojit()
local addresses = require "ns.words.addresses"
local check = require "ns.words.check"

local net_node = {}

local Host = { __name = "ns.Host" }
Host.__index = Host
local Switch = { __name = "ns.Switch" }
Switch.__index = Switch

--- Is it a host, a router or a switch?
function net_node.is(value)
  local class = getmetatable(value)
  return class == Host or class == Switch
end

--- Is it a host or a router?
function net_node.is_host(value)
  return getmetatable(value) == Host
end

--- A host of the network, with the words of its box.
function net_node.new(net, name, words, forwards)
  return setmetatable({ net = net, name = name, words = words, forwards = forwards, interfaces = {}, side = 0 }, Host)
end

--- A switch of the network, with its subnets.
function net_node.switch(net, name, subnets)
  return setmetatable({ net = net, name = name, ipv4 = subnets.ipv4, ipv6 = subnets.ipv6, is_switch = true }, Switch)
end

-- ---- what a host does, as the container that it is ----

for _, method in ipairs { "run", "spawn", "shell", "processes", "kill", "limits", "usage", "info", "getfd", "ids",
  "connect", "wait_for" } do
  -- As the method of `ns.container`.
  Host[method] = function(self, ...)
    if not self.container then
      check.raise("'%s': %s is not there %s", method, self.name, self.net.closed and "any more" or "before net:start()")
    end
    return self.container[method](self.container, ...)
  end
end

--- Its addresses in the order of its links: a list of { link, name, ipv4, ipv6 }, where `name` is that of the interface
-- inside. The first ones are `ip` and `ip6`, too.
-- @treturn table
function Host:addresses()
  local list = {}
  for i, one in ipairs(self.interfaces) do
    list[i] = { link = one.link, name = one.name, ipv4 = one.ipv4 and addresses.text(one.ipv4),
      ipv6 = one.ipv6 and addresses.text(one.ipv6) }
  end
  return list
end

function Host:__tostring()
  return ("ns.Host (%s%s)"):format(self.name, self.ip and " " .. self.ip or "")
end

function Switch:__tostring()
  return ("ns.Switch (%s)"):format(self.name)
end

check.methods(net_node.is_host, Host)

return net_node
