--- What is said of a network before there is one: names, addresses, words of links; and the messages that they become.
local addresses = require "ns.words.addresses"
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local rtnetlink = require "ns.words.rtnetlink"
local shape = require "ns.words.shape"

describe("an address", function()
  it("is read and written as everybody does", function()
    for given, text in pairs {
      ["10.0.0.1"] = "10.0.0.1", ["255.255.255.255"] = "255.255.255.255", ["::"] = "::", ["::1"] = "::1",
      ["fd00::"] = "fd00::", ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8", ["FD00:0:0:1::5"] = "fd00:0:0:1::5",
      ["1:0:0:2:0:0:0:3"] = "1:0:0:2::3", ["1:0:2:0:3:0:4:0"] = "1:0:2:0:3:0:4:0", ["::ffff:10.1.2.3"] = "::ffff:a01:203",
      ["fe80:0:0:0:0:0:0:1"] = "fe80::1",
    } do
      local family, bytes = addresses.read(given)
      assert.equal(given:find ":" and 10 or 2, family)
      assert.equal(text, addresses.text(bytes))
    end
  end)

  it("is none where it is odd", function()
    for _, text in ipairs { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.x", ":", ":::", "1::2::3", "1.2.3.4::",
      "1::1.2.3.4:5", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", "1:2:3:4:5:6:7::8" } do
      assert.is_nil((addresses.read(text)), text)
    end
  end)

  it("of a subnet is one of its own, as many as there are", function()
    local v4 = addresses.check_subnet(addresses.INET)("192.168.7.128/25", "ipv4")
    assert.equal("192.168.7.129", addresses.text(addresses.at(v4, 1)))
    assert.equal("192.168.7.254", addresses.text(addresses.at(v4, 126)))
    assert.is_nil(addresses.at(v4, 127))
    local v6 = addresses.check_subnet(addresses.INET6)("fd00:0:0:1::/64", "ipv6")
    assert.equal("fd00::1:0:0:1:0", addresses.text(addresses.at(v6, 65536)))
  end)
end)

--- The mistake that a line raises about a network with the hosts a and b and the switch s.
local function mistake(line)
  local code = [[local ns = require "ns" local net = ns.net() local a, b, s = net:host "a", net:host "b", net:switch "s"
    local link = net:link(a, s) local other = ns.net():host "x" ]] .. line
  local ok, message = pcall(assert((loadstring or load)(code, "=line"))) -- luacheck: ignore
  assert.is_false(ok, line)
  return (message:gsub("^line:%d+: ", ""))
end

describe("a mistake", function()
  local ROWS = {
    { "net:host(7)", "bad argument #1 to 'host' (name expected, got number)" },
    { "net:host 'a'", "bad argument #1 to 'host' ('a' is there already)" },
    { "net:switch 'a'", "bad argument #1 to 'switch' ('a' is there already)" },
    { "net:router '1x'",
      "bad argument #1 to 'router' ('1x' is no name: a letter, then letters, digits, '-' and '_', 63 at the most)" },
    { "net:host 'localhost'", "bad argument #1 to 'host' ('localhost' is each host itself)" },
    { "net:host('c', { hostnam = 'x' })", "bad argument #2 to 'host' (hostnam: unknown word (did you mean 'hostname'?))" },
    { "net:host('c', ns.box { flags = 'pid' })", "bad argument #2 to 'host' (flags: needs 'net')" },
    { "net:host('c', ns.sandbox():share 'net')", "bad argument #2 to 'host' (flags: needs 'net')" },
    { "net:switch('t', { ipv4 = '10.0.0.1/24' })",
      "bad argument #2 to 'switch' (ipv4: '10.0.0.1/24' is an address in the subnet '10.0.0.0/24')" },
    { "net:switch('t', { ipv4 = 'fd00::/64' })", "ipv4: subnet of IPv4 expected, as '10.0.0.0/24', got 'fd00::/64'" },
    { "net:switch('t', { ipv6 = 'fd00::/127' })", "ipv6: /127 has no room for two addresses, /126 has" },
    { "net:switch('t', { vlan = 3 })", "unknown field 'vlan'" },
    { "net:link(a, 'q')", "bad argument #2 to 'link' (there is no 'q')" },
    { "net:link(a, a)", "bad argument #2 to 'link' (a cannot be linked to itself)" },
    { "net:link(a, other)", "bad argument #2 to 'link' (host, router or switch of this network expected, got table)" },
    { "local t, u = net:switch 't', net:switch 'u' net:link(s, t) net:link(t, u) net:link(u, s)",
      "bad argument #2 to 'link' (u and s are connected by switches already: a second way would be a loop" },
    { "local t = net:switch 't' net:link(s, t) net:link(t, s)", "(t and s are connected by switches already" },
    { "ns.net.star(2, { dely = 1 })", "bad argument #2 to 'star' (unknown field 'dely' (did you mean 'delay'?))" },
    { "ns.net.tree(1, 2, { ipv4 = '10.0.0.0/8' })", "bad argument #3 to 'tree' (unknown field 'ipv4'" },
    { "net:link(a, b, { delay = '10' })",
      "bad argument #3 to 'link' (delay: seconds, or a string as '10ms', expected, got '10')" },
    { "net:link(a, b, { rate = '10mb' })", "rate: bits per second, or a string as '10mbit', expected, got '10mb'" },
    { "net:link(a, b, { delay = 5 })", "delay: 5 is out of range, 0 to 4" },
    { "net:link(a, b, { loss = '1%' })", "loss: percentage expected, got string" },
    { "net:link(a, b, { loss = 101 })", "loss: 101 is out of range, 0 to 100 percent" },
    { "net:link(a, b, { mtu = 100 })", "mtu: 100 is out of range, 1280 to 65535" },
    { "net:link(a, b, { jitter = 1 })", "jitter: means nothing without a delay" },
    { "net:link(a, s, { ipv4 = '10.0.0.0/24' })", "unknown field 'ipv4'" },
    { "net:link(a)", "bad argument #2 to 'link' (host, router or switch of this network expected, got nil)" },
    { "net:link(a, b, { dely = 1 })", "unknown field 'dely' (did you mean 'delay'?)" },
    { "link:set(7)", "bad argument #1 to 'set' (table expected, got number)" },
    { "link:set { rat = 1 }", "bad argument #1 to 'set' (unknown field 'rat' (did you mean 'rate'?))" },
    { "link:down()", "'down': the network is not started" },
    { "net:cut { a }", "'cut': the network is not started" },
    { "net:capture(link, '/x')", "'capture': the network is not started" },
    { "net:graph 'gif'", "bad argument #1 to 'graph' (format: 'dot' or 'svg' or 'png' or 'pdf' expected, got 'gif')" },
    { "a:run 'true'", "'run': a is not there before net:start()" },
    { "net.host('c')", "calling 'host' on bad self (ns.Net expected, got string): it is called with a colon" },
    { "net:close() net:host 'c'", "'host': the network is closed, and keeps its form" },
    { "net:close() link:set { mtu = 1500 }", "'set': the network is closed" },
    { "net:close() a:run 'true'", "'run': a is not there any more" },
    { "ns.net { ipv5 = true }", "bad argument #1 to 'net' (unknown field 'ipv5'" },
    { "net:link(a, b, { ipv4 = '10.0.0.0/8' }) net:link(a, b, { ipv4 = '10.1.0.0/16' }) net:graph()",
      "the subnets 10.0.0.0/8 and 10.1.0.0/16 overlap" },
    { "local t = net:switch('t', { ipv4 = '10.5.0.0/30' }) for i = 1, 3 do net:link(net:host('h' .. i), t) end net:graph()",
      "the subnet 10.5.0.0/30 has no address for h3-eth0" },
    { "local t, u = net:switch('t', { ipv4 = '10.5.0.0/24' }), net:switch('u', { ipv4 = '10.6.0.0/24' }) net:link(t, u) "
      .. "net:graph()", "u is connected to what has the subnet 10.5.0.0/24, so it cannot have 10.6.0.0/24" },
  }

  for _, row in ipairs(ROWS) do
    it("is raised at the caller's line: " .. row[1], function()
      local said = mistake(row[1])
      assert.truthy(said:find(row[2], 1, true), said)
    end)
  end
end)

describe("the words of a link", function()
  local one = { index = 5, name = "e" }

  local function kinds(words)
    local list = {}
    for i, m in ipairs(shape.messages(one, words)) do list[i] = m.what end
    return table.concat(list, ", ")
  end

  it("become a queue for faults, and one below it for a rate", function()
    assert.equal("", kinds {})
    assert.equal("", kinds { mtu = 1400, loss = 0 })
    assert.equal("netem on e", kinds { delay = 0.01 })
    assert.equal("tbf on e", kinds { rate = 1e6 })
    assert.equal("netem on e, tbf on e", kinds { loss = 3, rate = 1e6 })
  end)

  it("have units, and read in short", function()
    local function check(word, value) return shape.words[word](value, word) end
    assert.equal(0.01, check("delay", "10ms"))
    assert.equal(0.25, check("jitter", 0.25))
    assert.equal(15e5, check("rate", "1.5mbit"))
    assert.equal("10ms ±500us 1% lost 1.5mbit mtu 1400",
      shape.text { delay = 0.01, jitter = 5e-4, loss = 1, rate = 15e5, mtu = 1400 })
  end)
end)

describe("the word sysctl #system", function()
  local needs = machine.it("user", "net")
  local TTL, FLAGS = "net.ipv4.ip_default_ttl", { "user", "net" }

  needs("sets what its network is like, and no other", function()
    local before = machine.read "/proc/sys/net/ipv4/ip_default_ttl"
    for _, name in ipairs { TTL, "net/ipv4/ip_default_ttl" } do
      local r = assert(ns.run { "cat", "/proc/sys/net/ipv4/ip_default_ttl", flags = FLAGS, sysctl = { [name] = 33 } })
      assert.equal("33\n", r.stdout)
    end
    assert.equal("33 32000 33000\n", machine.as_nobody([[sh({ flags = "user,net,pid,mount", mount_proc = true,
      sysctl = { ["net.ipv4.ip_default_ttl"] = "33", ["net.ipv4.ip_local_port_range"] = "32000 33000" } },
      "cd /proc/sys/net/ipv4; echo $(cat ip_default_ttl ip_local_port_range)") .. "\n"]]))
    assert.equal(before, machine.read "/proc/sys/net/ipv4/ip_default_ttl")
  end)

  needs("is told what the kernel has not, or does not take", function()
    local function refused(settings)
      local _, message, _, detail = ns.run { "true", flags = FLAGS, sysctl = settings }
      return message, detail
    end
    local message, detail = refused { ["net.ipv4.nothing"] = 1 }
    assert.equal("write /proc/sys/net/ipv4/nothing: No such file or directory (ENOENT); this kernel has no such "
      .. "setting", message)
    assert.same({ "sysctl", "sysctl", "net.ipv4.nothing" }, { detail.step, detail.word, detail.part })
    assert.matches("^write /proc/sys/net/ipv4/ip_default_ttl: Invalid argument %(EINVAL%)", (refused { [TTL] = 256 }))
  end)

  it("is a mistake for what is no setting of a network", function()
    for settings, text in pairs {
      [{ ["kernel.core_pattern"] = "x" }] = "a setting of the network expected, as 'net.ipv4.ip_forward'",
      [{ ["net.ipv4/../../kernel/x"] = 1 }] = "no name of a setting", [{ ["../x"] = 1 }] = "no name of a setting",
      [{ ["net.ipv4.x"] = true }] = "number or string expected, got boolean",
      [{ ["net.ipv4.x"] = "1\n2" }] = "number or string expected, got an odd one",
      [{ 1 }] = "name of a setting expected, got 1",
    } do
      local ok, message = pcall(ns.run, { "true", flags = FLAGS, sysctl = settings })
      assert.is_false(ok)
      assert.truthy(message:find(text, 1, true), message)
    end
    local _, message = pcall(ns.run, { "true", sysctl = { [TTL] = 1 } })
    assert.matches("sysctl: needs 'net' in flags", message)
  end)
end)

describe("a message", function()
  local function hex(bytes) return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

  it("is what rtnetlink(7) says", function()
    if not core.little_endian then return pending "the bytes below are those of a little-endian machine" end
    local one = { index = 258, name = "eth0" }
    assert.equal("20000000" .. "1000" .. "0100" .. "00000000" .. "00000000" .. "00000000" .. "02010000" .. "01000000"
      .. "01000000", hex(rtnetlink.up(one).bytes))
    local _, bytes = addresses.read "10.0.0.1"
    local m = rtnetlink.address(one, bytes, 24)
    assert.equal("address 10.0.0.1/24 on eth0", m.what)
    assert.equal("28000000" .. "1400" .. "0106" .. "00000000" .. "00000000" .. "02180000" .. "02010000"
      .. "080002000a000001" .. "080001000a000001", hex(m.bytes))
  end)

  it("has its place in a list as its number", function()
    local both = rtnetlink.join { rtnetlink.up { index = 1, name = "lo" }, rtnetlink.down { index = 1, name = "lo" } }
    assert.equal(64, #both)
    assert.same({ 1, 2 }, { rtnetlink.number_at(both, 9, 4), rtnetlink.number_at(both, 41, 4) })
  end)

  machine.it("sandbox")("that the kernel refuses is told with what it wanted, and the kernel's own words #system", function()
    local wiring = require "ns.start.wiring"
    local c = assert(ns.sandbox():start())
    local socket = assert(wiring.open(c.box, "it"))
    finally(function()
      socket:close()
      c:close()
    end)
    local lo, _, bytes = { index = 1, name = "lo" }, addresses.read "127.0.0.1"
    local list = { rtnetlink.up(lo), rtnetlink.address(lo, bytes, 8), rtnetlink.up(lo) }
    local none, message, _, detail = wiring.send(socket, list)
    assert.is_nil(none)
    assert.matches("^address 127%.0%.0%.1/8 on lo: File exists %(EEXIST%)", message)
    assert.equal("netlink", detail.step)
    none, message = wiring.send(socket, { rtnetlink.link("nonsense", { index = 1000, name = "x" }) })
    assert.is_nil(none)
    assert.matches("^nonsense x: .*%(EOPNOTSUPP%); this kernel has no links of the kind nonsense", message)
    none, message = wiring.send(socket, { rtnetlink.mtu({ index = 77, name = "nobody" }, 1500) })
    assert.is_nil(none)
    assert.matches("^mtu 1500 of nobody: No such device %(ENODEV%)", message)
    _, bytes = addresses.read "10.9.9.9"
    none, message = wiring.send(socket, { rtnetlink.route(nil, bytes, lo) })
    assert.is_nil(none)
    assert.matches("^route to all via 10%.9%.9%.9 on lo: .*; the kernel says: Nexthop has invalid gateway$", message)
    assert.is_true(wiring.send(socket, { rtnetlink.up(lo) }))
  end)
end)
