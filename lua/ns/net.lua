--- Networks as objects: hosts, switches and routers, and the links between them. Made by `ns.net()`.
--
-- A host is a living box with a network of its own; what it is not linked to it cannot reach, and the machine's own network
-- has no part in it. All is set up through sockets of the boxes' own namespaces, so an ordinary user may do it, too.
-- @module ns.net
require("ns.core").nojit()
local box = require "ns.box"
local check = require "ns.words.check"
local core = require "ns.core"
local namespaces = require "ns.words.namespaces"
local net_capture = require "ns.net.capture"
local net_cut = require "ns.net.cut"
local net_graph = require "ns.net.graph"
local net_link = require "ns.net.link"
local net_node = require "ns.net.node"
local net_shapes = require "ns.net.shapes"
local net_start = require "ns.net.start"
local sandbox = require "ns.sandbox"
local shape = require "ns.words.shape"
local topology = require "ns.words.topology"

local Net = { __name = "ns.Net" }
Net.__index = Net

-- The kernel may have interfaces of its own in a new namespace, with numbers of its choice: ours are far from those. Each is
-- there once in the whole network, as both ends of a pair are made at once.
local FIRST_INDEX = 1000

local function is(value)
  return getmetatable(value) == Net
end

local function next_index(self)
  self.last_index = self.last_index + 1
  return self.last_index
end

-- ---- checks ----

--- Calls a check; a mistake is raised as one of that argument of the method.
local function checked(method, argument, test, value)
  local ok, result = pcall(test, value, "words")
  if ok then return result end
  local mistake = check.mistake(result)
  if not mistake then error(result, 0) end
  check.raise("bad argument #%d to '%s' (%s)", argument, method, (mistake:gsub("^words[.:] ?", "")))
end

local function check_unstarted(self, method)
  if self.started or self.closed then
    check.raise("'%s': the network is %s, and keeps its form", method, self.closed and "closed" or "started")
  end
end

local NAME_MOST = 63

--- A name that is one for hosts(5), and nobody's yet.
local function check_name(self, name, method)
  local function mistake(text, ...)
    check.raise("bad argument #1 to '%s' (%s)", method, text:format(...))
  end
  if type(name) ~= "string" then mistake("name expected, got %s", type(name)) end
  if not name:match "^%a[%w_-]*$" or #name > NAME_MOST then
    mistake("'%s' is no name: a letter, then letters, digits, '-' and '_', %d at the most", name, NAME_MOST)
  end
  if name == "localhost" then mistake "'localhost' is each host itself" end
  if self.names[name] then mistake("'%s' is there already", name) end
end

-- ---- what it is made of ----

--- The words of a host's box: given ones over those of a sandbox, which has the host's name; or those of a box.
local function node_words(name, given, method)
  local spec
  if box.is(given) then
    spec = given:spec()
  else
    local words = sandbox.spec()
    words.hostname = name
    spec = box.over(words, given, method, 2):spec()
  end
  spec.argv, spec.fn, spec.args = nil, nil, nil
  local flags = namespaces.check(spec.flags or {}, "flags")
  for _, flag in ipairs { "net", "pid" } do
    if not flags[flag] then check.raise("bad argument #2 to '%s' (flags: needs '%s')", method, flag) end
  end
  return spec
end

local function add_node(self, name, words, method, forwards)
  check_unstarted(self, method)
  check_name(self, name, method)
  local node = net_node.new(self, name, node_words(name, words, method), forwards)
  self.names[name] = node
  table.insert(self.nodes, node)
  return node
end

--- Adds a host: a box that lives as long as the network.
-- @tparam string name by which the others find it, too
-- @tparam[opt] table|Box words over those of `ns.sandbox()`; or a box
-- @treturn Host
-- @raise if it is no name, or is there already; a mistake in the words; the network is started
function Net:host(name, words)
  return add_node(self, name, words, "host")
end

--- Adds a router: a host that hands packets on between all that it is linked to.
-- @tparam string name
-- @tparam[opt] table|Box words as those of a host
-- @treturn Host
-- @raise as for `host`
function Net:router(name, words)
  return add_node(self, name, words, "router", true)
end

--- Adds a switch: all that is linked to it, also by way of other switches, is one subnet.
-- @tparam string name
-- @tparam[opt] table words `ipv4`, `ipv6`: that subnet, as "10.0.0.0/24" and "fd00::/64"
-- @treturn Switch
-- @raise if it is no name, or is there already; a mistake in the words; the network is started
function Net:switch(name, words)
  check_unstarted(self, "switch")
  check_name(self, name, "switch")
  local switch = net_node.switch(self, name, checked("switch", 2, check.record(topology.checks), words or {}))
  self.names[name] = switch
  table.insert(self.switches, switch)
  return switch
end

local function find_end(self, value, argument)
  local found = value
  if type(value) == "string" then found = self.names[value] end
  if type(value) == "string" and found == nil then
    check.raise("bad argument #%d to 'link' (there is no '%s')", argument, value)
  end
  if not net_node.is(found) or found.net ~= self then
    check.raise("bad argument #%d to 'link' (host, router or switch of this network expected, got %s)", argument,
      type(value))
  end
  return found
end

--- The words of a link; one without a switch is a subnet, too.
local function check_link(with_subnet)
  local fields = {}
  for word, test in next, shape.words do fields[word] = test end
  for family, test in next, with_subnet and topology.checks or {} do fields[family] = test end
  return function(words, where)
    local result = check.record(fields)(words, where)
    shape.check_together(result, where)
    return result
  end
end

--- Do links between switches lead from one to the other already? Another one would be a loop, in which packets that are for
-- all go round for ever.
local function are_connected(self, a, b)
  local seen, list = { [a] = true }, { a }
  for _, switch in ipairs(list) do -- which grows
    for _, link in ipairs(self.links) do
      local one, other = link.ends[1].at, link.ends[2].at
      if other == switch then one, other = other, one end
      if one == switch and other.is_switch and not seen[other] then
        seen[other], list[#list + 1] = true, other
      end
    end
  end
  return seen[b]
end

--- Links two of its hosts, routers and switches. A host may have several links.
-- @tparam Host|Switch|string a itself or its name
-- @tparam Host|Switch|string b
-- @tparam[opt] table words `delay`, `jitter`, `loss`, `duplicate`, `corrupt`, `reorder`, `rate`, `mtu`; and, where both
-- are hosts or routers, their subnet: `ipv4`, `ipv6` (doc/networks.md)
-- @treturn Link
-- @raise if they are none of this network's; it would be a loop of switches; a mistake in the words; the network is started
function Net:link(a, b, words)
  check_unstarted(self, "link")
  a, b = find_end(self, a, 1), find_end(self, b, 2)
  if a == b then check.raise("bad argument #2 to 'link' (%s cannot be linked to itself)", a.name) end
  if a.is_switch and b.is_switch and are_connected(self, a, b) then
    check.raise("bad argument #2 to 'link' (%s and %s are connected by switches already: a second way would be a loop, in "
      .. "which packets go round for ever; a router may be in it)", a.name, b.name)
  end
  local link = net_link.new(self, a, b, checked("link", 3, check_link(not (a.is_switch or b.is_switch)), words or {}))
  table.insert(self.links, link)
  return link
end

-- ---- its life ----

--- Starts all its boxes and wires them; when it returns, packets go through.
-- @treturn Net itself; or nil, message, errno, detail, and nothing is left: it may be tried again
-- @raise it is started or closed; two of its subnets contradict each other, or one has too few addresses
function Net:start()
  check_unstarted(self, "start")
  local ok, message, errno, detail = net_start.start(self)
  if not ok then return nil, message, errno, detail end
  self.started = true
  return self
end

--- The hosts and routers of a list, or a single one, by themselves or by their names. taken: those of other lists.
local function check_side(self, list, argument, taken)
  if type(list) ~= "table" or net_node.is(list) then list = { list } end
  local nodes = {}
  if #list == 0 then check.raise("bad argument #%d to 'cut' (hosts and routers expected, got none)", argument) end
  for i, value in ipairs(list) do
    local node = type(value) == "string" and self.names[value] or value
    if not net_node.is_host(node) or node.net ~= self then
      check.raise("bad argument #%d to 'cut' ([%d]: host or router of this network expected, got %s)", argument, i,
        type(value) == "string" and "'" .. value .. "'" or type(value))
    end
    if taken[node] then check.raise("bad argument #%d to 'cut' ([%d]: '%s' is in two parts)", argument, i, node.name) end
    taken[node] = true
    nodes[i] = node
  end
  return nodes
end

local function check_lives(self, method)
  if not self.started or self.closed then
    check.raise("'%s': the network is %s", method, self.closed and "closed" or "not started")
  end
end

--- Cuts hosts and routers off from all others, but not from each other: net:cut{a, b}. With several lists each is a part
-- of its own. Packets between two parts are lost without a word, as in a network that has fallen apart.
-- @tparam table|Host ... lists of hosts and routers, or of their names
-- @treturn Net itself; or nil, message, errno, detail
-- @raise if there is something else among them; the network is not there
function Net:cut(...)
  check_lives(self, "cut")
  local lists, taken = {}, {}
  for i = 1, math.max(1, select("#", ...)) do lists[i] = check_side(self, (select(i, ...)), i, taken) end
  local ok, message, errno, detail = net_cut.cut(self, lists)
  if not ok then return nil, message, errno, detail end
  return self
end

--- Takes all cuts back.
-- @treturn Net itself; or nil, message, errno, detail
-- @raise the network is not there
function Net:heal()
  check_lives(self, "heal")
  local ok, message, errno, detail = net_cut.heal(self)
  if not ok then return nil, message, errno, detail end
  return self
end

--- A picture of it as it is: what is linked to what, with the addresses that it has, or will have.
-- @tparam[opt="dot"] string format "dot", the text for graphviz; or what its dot(1) draws: "svg", "png", "pdf"
-- @treturn string the text or the image; or nil, message, errno, detail: ENOENT where graphviz is not installed
-- @raise there is no such format
-- @see dot(1)
function Net:graph(format)
  local ok, mistake = pcall(check.choice("dot", "svg", "png", "pdf"), format or "dot", "format")
  if not ok then check.raise("bad argument #1 to 'graph' (%s)", check.mistake(mistake)) end
  if not self.started then net_start.plan(self) end
  if format == nil or format == "dot" then return net_graph.dot(self) end
  return net_graph.draw(self, format)
end

--- Writes what goes over a link to a file, for tcpdump and wireshark, until the process that is returned is stopped. What
-- went over it just before may be missing then: tcpdump stops where it is told to.
-- @tparam Link link
-- @tparam string file
-- @tparam[opt] string filter which packets, as "tcp port 80"
-- @treturn Process of tcpdump, which listens; or nil, message, errno, detail: ENOENT where tcpdump is not installed
-- @raise if that is no link of this network, or no name of a file; the network is not there
-- @see pcap-filter(7)
function Net:capture(link, file, filter)
  check_lives(self, "capture")
  if not net_link.is(link) or link.net ~= self then
    check.raise("bad argument #1 to 'capture' (link of this network expected, got %s)", type(link))
  end
  for i, value in ipairs { file or false, filter } do
    local ok, mistake = pcall(check.path, value, i == 1 and "file" or "filter")
    if not ok then check.raise("bad argument #%d to 'capture' (%s)", i + 1, check.mistake(mistake)) end
  end
  return net_capture.start(self, link, file, filter)
end

--- Ends all its boxes at once, and with them all links. May be called again.
-- @return true
function Net:close()
  if self.started and not self.closed then net_start.stop(self) end
  self.closed = true
  return true
end

function Net:__tostring()
  return ("ns.Net (%d hosts, %d switches, %d links%s)"):format(#self.nodes, #self.switches, #self.links,
    self.closed and ", closed" or self.started and "" or ", not started")
end

Net.__close = Net.close
check.methods(is, Net, { host = 2, router = 2, switch = 2, link = 3, start = 0, heal = 0, graph = 1, capture = 3,
  close = 0 })
Net.next_index = next_index

local OPTIONS = { ipv4 = check.boolean, ipv6 = check.boolean }

--- Has this kernel IPv6?
local function has_ipv6()
  return core.access("/proc/sys/net/ipv6", 0) == true
end

local net = {}

--- A new network without anything in it.
-- @tparam[opt] table options `ipv4`, `ipv6`: false for one without
-- @treturn Net
-- @raise a mistake in the options
function net.new(options)
  options = checked("net", 1, check.record(OPTIONS), options or {})
  local families = { ipv4 = options.ipv4 ~= false, ipv6 = options.ipv6 ~= false and has_ipv6() }
  return setmetatable({ names = {}, nodes = {}, switches = {}, links = {}, families = families, sides = 0,
    last_index = FIRST_INDEX, fabric = { name = "the switches" } }, Net)
end

--- What a ready-made one is made of: numbers, and then words for each of its links.
local function ready_made(name, count)
  return function(...)
    local self, words = net.new(), select(count + 1, ...)
    check.no_more(name, count + 1, ...)
    checked(name, count + 1, check_link(false), words or {})
    net_shapes[name](self, words, ...)
    return self
  end
end

--- A network of one switch, s1, and hosts h1, h2, ...
-- @function net.star
-- @tparam integer n how many hosts
-- @tparam[opt] table words of each link
-- @treturn Net not started
-- @raise if n is no number of hosts; a mistake in the words
net.star = ready_made("star", 1)

--- A network of switches s1, s2, ... in a row, each with a host: h1, h2, ...
-- @function net.line
-- @tparam integer n how many
-- @tparam[opt] table words of each link
-- @treturn Net not started
-- @raise if n is no number of hosts; a mistake in the words
net.line = ready_made("line", 1)

--- A tree of switches, with hosts as its leaves.
-- @function net.tree
-- @tparam integer depth how many switches there are from its root to a host
-- @tparam integer fanout how many each has below it
-- @tparam[opt] table words of each link
-- @treturn Net not started
-- @raise if these are no such numbers; a mistake in the words
net.tree = ready_made("tree", 2)

return setmetatable(net, {
  __call = function(_, ...)
    check.no_more("net", 1, ...)
    return net.new((...))
  end,
})
