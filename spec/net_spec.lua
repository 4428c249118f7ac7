--- Networks as objects: who reaches whom, by which name and address, and what is left of them.
local at = require "support.net"
local machine = require "support.machine"
local ns = require "ns"

local needs = machine.it "sandbox"

local function start(net)
  assert(net:start())
  finally(function() at.close(net) end)
  return net
end

--- What this machine's own network looks like: no network of ours may change it.
local function own_network()
  local texts = { (machine.read "/proc/net/dev":gsub(":[^\n]*", "")) }
  for _, name in ipairs { "route", "if_inet6", "ipv6_route", "fib_trie" } do
    texts[#texts + 1] = machine.read("/proc/net/" .. name) or "none"
  end
  return table.concat(texts)
end

describe("two hosts and a link #system", function()
  needs("reach each other by address and by name, over IPv4 and IPv6, as soon as the network is started", function()
    local before = own_network()
    local net = ns.net()
    local h1, h2 = net:host "h1", net:host "h2"
    net:link(h1, h2)
    start(net)
    at.serve(h2)
    assert.same({ "10.0.0.1", "10.0.0.2", "fd00::2" }, { h1.ip, h2.ip, h2.ip6 })
    assert.equal("h2", at.ask(h1, h2.ip))
    assert.equal("h2", at.ask(h1, h2.ip6))
    assert.equal("h2", at.ask(h1, "h2", at.INET))
    assert.equal("h2", at.ask(h1, "h2", at.INET6))
    assert.truthy(tonumber(at.ping(h1, h2.ip)) < 1000)
    assert.equal(before, own_network())
    net:close()
    assert.equal(before, own_network())
  end)
end)

describe("switches #system", function()
  needs("hand on between all that is linked to them, also by way of others", function()
    local net = ns.net()
    local s1, s2 = net:switch "s1", net:switch("s2", {})
    local hosts = { net:host "a", net:host "b", net:host "c", net:host "d" }
    net:link(s1, s2)
    for i, h in ipairs(hosts) do net:link(h, i < 3 and s1 or s2) end
    start(net)
    for i, h in ipairs(hosts) do
      assert.equal("10.0.0." .. i, h.ip)
      at.serve(h)
    end
    for _, from in ipairs(hosts) do
      assert.equal("a b c d", at.ask(from, "a b c d", at.INET))
      assert.equal("a b c d", at.ask(from, "a b c d", at.INET6))
    end
  end)

  needs("have the subnets that they are given, and others of their own where nothing is said", function()
    local net = ns.net()
    local s1, s2 = net:switch("s1", { ipv4 = "192.168.7.0/24", ipv6 = "2001:db8:7::/64" }), net:switch "s2"
    local h, r, k = net:host "h", net:router "r", net:host "k"
    net:link(h, s1)
    net:link(r, s1)
    net:link(r, s2)
    local last = net:link(r, k, { ipv4 = "10.0.0.0/30" })
    start(net)
    assert.same({ "192.168.7.1", "2001:db8:7::1" }, { h.ip, h.ip6 })
    local list = r:addresses()
    assert.same({ "192.168.7.2", "10.1.0.1", "10.0.0.1" }, { list[1].ipv4, list[2].ipv4, list[3].ipv4 })
    assert.same({ "2001:db8:7::2", "fd00::1", "fd00:0:0:1::1" }, { list[1].ipv6, list[2].ipv6, list[3].ipv6 })
    assert.equal(last, list[3].link)
    assert.equal("10.0.0.2", k.ip)
  end)

  needs("of two hosts that are linked to none of the same keep them apart", function()
    local net = ns.net()
    local a, b = net:host "a", net:host "b"
    net:link(a, net:switch "s1")
    net:link(b, net:switch "s2")
    start(net)
    at.serve(b)
    assert.equal("connect: Network is unreachable", at.ask(a, b.ip))
    assert.equal("connect: Network is unreachable", at.ask(a, b.ip6))
  end)
end)

describe("routers #system", function()
  needs("hand on from one subnet to the next, over as many as there are, from the first packet on", function()
    local net = ns.net()
    local a, b, r1, r2, r3 = net:host "a", net:host "b", net:router "r1", net:router "r2", net:router "r3"
    net:link(a, r1)
    net:link(r1, r2)
    net:link(r2, r3)
    local s = net:switch "s"
    net:link(r3, s)
    net:link(b, s)
    start(net)
    at.serve(b)
    at.serve(a)
    assert.equal("b", at.ask(a, "b", at.INET6))
    assert.equal("b", at.ask(a, "b", at.INET))
    assert.equal("a", at.ask(b, "a", at.INET6))
    assert.equal("a", at.ask(r3, "a"))
    assert.truthy(tonumber(at.ping(a, b.ip)) < 500)
    local trace = a:run("sh", "-c", "ip route; ip -6 route; ip -o addr").stdout
    assert.matches("default via 10%.%d+%.0%.2 dev eth0", trace)
    assert.matches("default via fd00:[^ ]*2 dev eth0", trace)
  end)

  needs("take the shortest way in a circle of them", function()
    local net = ns.net { ipv6 = false }
    net:switch("s", { ipv6 = "fd01::/64" })
    local r = {}
    for i = 1, 4 do r[i] = net:router("r" .. i) end
    for i = 1, 4 do net:link(r[i], r[i % 4 + 1]) end
    start(net)
    for i = 1, 4 do at.serve(r[i]) end
    for i = 1, 4 do
      assert.equal("r1 r2 r3 r4", at.ask(r[i], "r1 r2 r3 r4"))
    end
    assert.is_nil(r[1].ip6)
  end)

  needs("are what hosts are not: a host with two links hands nothing on", function()
    local net = ns.net()
    local a, b, c = net:host "a", net:host "b", net:host "c"
    net:link(a, b)
    net:link(b, c)
    start(net)
    at.serve(c)
    assert.equal("c", at.ask(b, "c"))
    assert.equal("connect: Network is unreachable", at.ask(a, c.ip))
  end)
end)
