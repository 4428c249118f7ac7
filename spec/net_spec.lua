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
