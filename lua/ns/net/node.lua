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
  return setmetatable({ net = net, name = name, words = words, forwards = forwards, interfaces = {}, programs = {},
    side = 0 }, Host)
end

--- A switch of the network, with its subnets.
function net_node.switch(net, name, subnets)
  return setmetatable({ net = net, name = name, ipv4 = subnets.ipv4, ipv6 = subnets.ipv6, is_switch = true }, Switch)
end

-- ---- what a host does, as the container that it is ----

local function check_there(self, method)
  if self.container then return end
  check.raise("'%s': %s is not there %s", method, self.name, self.net.closed and "any more" or "before net:start()")
end

for _, method in ipairs { "run", "shell", "processes", "kill", "limits", "usage", "info", "getfd", "ids",
  "connect", "wait_for" } do
  -- As the method of `ns.container`.
  Host[method] = function(self, ...)
    check_there(self, method)
    return self.container[method](self.container, ...)
  end
end

--- Of the programs that the host has kept, those that have not ended.
local function still_running(programs)
  local list = {}
  for _, p in ipairs(programs) do
    if not p.handle:isclosed() and select(2, p:wait(0)) == "timeout" then list[#list + 1] = p end
  end
  return list
end

--- Starts a program as the method of `ns.container`. A host keeps what it runs: the program goes on, though nobody keeps its
-- Process.
function Host:spawn(...)
  check_there(self, "spawn")
  local p, message, errno, detail = self.container:spawn(...)
  if not p then return nil, message, errno, detail end
  self.programs = still_running(self.programs)
  table.insert(self.programs, p)
  return p
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
