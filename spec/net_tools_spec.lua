--- The programs that people use in a network, in the hosts of one: ping, tcpdump, socat.
local at = require "support.net"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

--- An `it` for a sandbox, and these.
local function needs(...) return machine.it("sandbox", ...) end

--- What a program in a host has said, or why it did not run.
local function said(host, ...)
  local r = assert(host:run(...))
  return r.stdout .. r.stderr
end

local function lost(from, to, option)
  return said(from, "ping", option or "-4", "-c1", "-W5", to.name):match "([%d.]+)%% packet loss"
end

describe("ping #system", function()
  needs "ping"("goes from each host to each by its name, over IPv4 and IPv6, also by way of a router", function()
    local net = ns.net.tree(2, 2)
    net:link(net:router "gate", "s1")
    net:link("gate", net:host "far")
    assert(net:start())
    for _, from in ipairs(net.nodes) do
      for _, to in ipairs(net.nodes) do
        for _, option in ipairs { "-4", "-6" } do
          assert.equal("0", lost(from, to, option), ("%s to %s, %s"):format(from.name, to.name, option))
        end
      end
    end
    at.close(net)
  end)

  needs "ping"("gets no answer over a link that is down, or between two parts", function()
    local net = assert(ns.net.star(3):start())
    local h1, h2, h3 = net.nodes[1], net.nodes[2], net.nodes[3]
    assert(net.links[1]:down())
    assert.equal("100", said(h1, "ping", "-c1", "-W1", h2.ip):match "(%d+)%% packet loss")
    assert(net.links[1]:up())
    assert(net:cut { h1, h2 })
    assert.equal("0", lost(h1, h2))
    assert.equal("100", said(h1, "ping", "-c1", "-W1", h3.ip):match "(%d+)%% packet loss")
    assert(net:heal())
    assert.equal("0", lost(h1, h3))
    at.close(net)
  end)

  needs("ping", "netem")("takes as long as the links on its way", function()
    local net = assert(ns.net.star(2, { delay = "20ms" }):start())
    lost(net.nodes[1], net.nodes[2])
    local took = tonumber(said(net.nodes[1], "ping", "-c1", "h2"):match "time=([%d.]+)")
    at.close(net)
    assert.truthy(took >= 80, took)
  end)
end)

describe("tcpdump #system", function()
  needs("tcpdump", "ping")("writes what goes over a link, and nothing else", function()
    local net = assert(ns.net.star(3):start())
    local file = os.tmpname()
    local p = assert(net:capture(net.links[2], file, "icmp"))
    lost(net.nodes[1], net.nodes[2])
    lost(net.nodes[1], net.nodes[3])
    machine.eventually(function() return lfs.attributes(file, "size") >= 24 + 2 * (16 + 98) end) -- a header, two packets
    assert(p:stop())
    p:close()
    at.close(net)
    local r = assert(ns.run { "tcpdump", "-n", "-t", "-r", file })
    os.remove(file)
    local kinds = {}
    for from, to, kind in r.stdout:gmatch "IP ([%d.]+) > ([%d.]+): ICMP echo (%l+)" do
      kinds[#kinds + 1] = ("%s %s %s"):format(from, to, kind)
    end
    assert.same({ "10.0.0.1 10.0.0.2 request", "10.0.0.2 10.0.0.1 reply" }, kinds)
  end)
end)

describe("socat #system", function()
  needs "socat"("connects two hosts", function()
    local net = assert(ns.net.star(2):start())
    local h1, h2 = net.nodes[1], net.nodes[2]
    local server = assert(h2:spawn("socat", "TCP-LISTEN:80,fork", "SYSTEM:hostname"))
    assert(h2:wait_for(80, 20))
    assert.equal("h2\n", said(h1, "socat", "-u", "TCP:h2:80", "STDOUT"))
    server:close()
    at.close(net)
  end)
end)
