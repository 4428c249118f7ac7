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

describe("hosts #system", function()
  local FOR_ANYBODY = [[
    local net = require("ns").net.tree(1, 3)
    local r = net:router "r1"
    net:link(r, "s1")
    local far = net:link(r, net:host "far", { mtu = 1400 })
    assert(net:start())
    local function reaches(from, ip)
      local c, message = from:connect(ip .. ":7", 1)
      return c ~= nil or message:find "refused" ~= nil
    end
    local h1, h3, f = net.names.h1, net.names.h3, net.names.far
    io.write(tostring(reaches(h1, h3.ip)), " ", tostring(reaches(h1, f.ip)), " ", tostring(reaches(f, "[" .. h1.ip6 .. "]")))
    net:cut "h1"
    io.write(" ", tostring(reaches(h1, h3.ip)))
    net:heal()
    far:down()
    io.write(" ", tostring(reaches(h1, h3.ip)), " ", tostring(reaches(h1, f.ip)), "\n")
    io.write(h1:run("sh", "-c", "hostname; grep -c . /etc/hosts").stdout)
    net:close()]]

  machine.it("user", "sandbox")("are an ordinary user's, too", function()
    local r = machine.host(FOR_ANYBODY, { nobody = true })
    assert.equal("true true true false true false\nh1\n14\n", r.stdout .. r.stderr)
  end)

  if machine.root then
    it("may be boxes of root's without a user namespace", function()
      local net = ns.net()
      local box = ns.box { flags = { "pid", "net", "mount" } }
      local a, b = net:host("a", box), net:host "b"
      net:link(a, b)
      start(net)
      at.serve(b)
      assert.equal("b", at.ask(a, b.ip))
      assert.equal("b b", at.ask(a, "b b"))
      assert.is_true(a:run("ip", "link", "set", "eth0", "down").ok)
    end)
  end

  needs("have the words that they are given: limits, files, users, settings", function()
    local net = ns.net()
    local a = net:host("a", ns.sandbox { hostname = "other", rlimits = { nofile = 99 },
      sysctl = { ["net.ipv4.tcp_retries2"] = 3 } }:file("/tmp/note", "text"))
    net:link(a, net:host "b")
    start(net)
    assert.equal("other\n99\n3\ntext", a:run("sh", "-c",
      "hostname; ulimit -n; cat /proc/sys/net/ipv4/tcp_retries2 /tmp/note").stdout)
    assert.equal("ns.Host (a 10.0.0.1)", tostring(a))
    assert.equal(a.container.pid, a:info().pid)
  end)

  needs("keep what they run, and nothing of what has ended", function()
    local net = ns.net()
    local a = net:host "a"
    start(net)
    for _ = 1, 20 do assert(a:spawn "true"):wait() end
    assert(a:spawn("sleep", "1000"))
    collectgarbage()
    collectgarbage()
    assert.equal(1, #a.programs)
    assert.same({ "sleep", "1000" }, a:processes()[1].argv)
    net:close()
    assert.same({}, a.programs)
    collectgarbage()
    collectgarbage()
  end)

  needs("of which one has no link have a loopback alone", function()
    local net = ns.net()
    local a = net:host "a"
    start(net)
    assert.is_nil(a.ip)
    assert.same({}, a:addresses())
    assert.equal("lo", a:run("sh", "-c", "ip -o link | sed 's/^[0-9]*: //; s/:.*//'").stdout:gsub("\n", ""))
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

describe("a link #system", function()
  local function pair(words)
    local net = ns.net()
    local a, b = net:host "a", net:host "b"
    local link = net:link(a, b, words)
    start(net)
    at.serve(b)
    return a, b, link, net
  end

  needs("goes down and up while all runs, and its ends keep their addresses", function()
    local a, b, link = pair()
    local before = a:run("sh", "-c", "ip -o addr; ip route; ip -6 route").stdout
    assert.equal(link, link:down())
    assert.equal("ns.Link (a-b, down)", tostring(link))
    assert.equal("silence silence", at.ask(a, b.ip .. " " .. b.ip6, nil, 1))
    assert.equal(link, link:up())
    assert.equal("b b", at.ask(a, b.ip .. " " .. b.ip6))
    assert.equal(before, a:run("sh", "-c", "ip -o addr; ip route; ip -6 route").stdout)
  end)

  needs("has an MTU, which can change", function()
    local a, b, link = pair { mtu = 9000 }
    local line = { "sh", "-c", "ip -o link show eth0 | sed 's/.*mtu //; s/ .*//'" }
    assert.equal("9000\n", a:run(line).stdout)
    assert.truthy(link:set { mtu = 1300 })
    assert.equal("1300\n1300\n", a:run(line).stdout .. b:run(line).stdout)
  end)

  machine.it("sandbox", "tbf")("has a rate, which can change and go, both ways", function()
    local a, b, link = pair { rate = "4mbit" }
    local show = { "tc", "qdisc", "show", "dev", "eth0" }
    assert.matches("tbf .*rate 4Mbit", a:run(show).stdout)
    assert.matches("tbf .*rate 4Mbit", b:run(show).stdout)
    assert.truthy(link:set { rate = 20e9 })
    assert.matches("rate 20Gbit", a:run(show).stdout)
    assert.truthy(link:set { rate = false })
    assert.is_nil(a:run(show).stdout:find "tbf")
    assert.equal("b", at.ask(a, "b"))
  end)

  machine.it("sandbox", "netem")("has a delay, a loss and a rate at once", function()
    local a, b, link = pair { delay = "20ms", loss = 0.001, rate = "8mbit" }
    local show = a:run("tc", "qdisc", "show", "dev", "eth0").stdout
    assert.matches("netem .*delay 20ms.*tbf .*rate 8Mbit", (show:gsub("\n", " ")))
    assert.truthy(at.ping(a, b.ip) >= 40)
    assert.truthy(link:set { delay = "100ms" })
    assert.truthy(at.ping(a, b.ip) >= 200)
    assert.truthy(link:set { delay = false, loss = 100 })
    assert.equal("silence", at.ask(a, b.ip, nil, 2))
    assert.truthy(link:set { loss = false })
    assert.equal("b", at.ask(a, "b"))
  end)

  if machine.can.sandbox and not machine.can.netem then
    it("with a delay is refused where the kernel has no netem, and what it needs is named", function()
      local net = ns.net()
      local link = net:link(net:host "a", net:host "b", { delay = "20ms" })
      local before = own_network()
      local none, message, _, detail = net:start()
      assert.is_nil(none)
      assert.matches("^netem on a%-eth0: .*%(ENOENT%); this kernel has no netem %(.*rate does not$", message)
      assert.same({ "netlink", "net" }, { detail.step, detail.word })
      assert.equal(before, own_network())
      link:set { delay = false, rate = "1gbit" }
      assert(net:start())
      none, message = link:set { loss = 1 }
      assert.is_nil(none)
      assert.matches("this kernel has no netem", message)
      assert.matches("tbf", net.names.a:run("tc", "qdisc", "show", "dev", "eth0").stdout)
      net:close()
    end)
  end
end)

describe("a network that is cut #system", function()
  needs("falls into parts, on one switch, and heals", function()
    local net = ns.net()
    local s, hosts = net:switch "s", {}
    for i, name in ipairs { "a", "b", "c", "d" } do
      hosts[i] = net:host(name)
      net:link(hosts[i], s)
    end
    start(net)
    for _, h in ipairs(hosts) do at.serve(h) end
    local a, b, c, d = hosts[1], hosts[2], hosts[3], hosts[4]
    for mistake, lists in pairs {
      ["bad argument #1 to 'cut' (hosts and routers expected, got none)"] = {},
      ["bad argument #2 to 'cut' (hosts and routers expected, got none)"] = { { a }, {} },
      ["bad argument #2 to 'cut' ([2]: 'b' is in two parts)"] = { { a, b }, { c, "b" } },
      ["bad argument #1 to 'cut' ([2]: 'a' is in two parts)"] = { { a, a } },
    } do
      assert.has_error(function() net:cut((table.unpack or unpack)(lists)) end, mistake) -- luacheck: ignore
    end
    assert.equal(net, net:cut { a, "b" })
    assert.equal("b silence silence", at.ask(a, "b c d", nil, 1))
    assert.equal("silence d", at.ask(c, "a d", nil, 1))
    net:cut({ a }, { d })
    assert.equal("silence silence", at.ask(b, "a c", nil, 1))
    assert.equal("silence silence", at.ask(d, "a c", nil, 1))
    assert.equal(net, net:heal())
    for _, h in ipairs(hosts) do assert.equal("a b c d", at.ask(h, "a b c d")) end
  end)

  needs("keeps together what is on one side, over several switches, routers and links without a switch", function()
    local net = ns.net()
    local s1, s2 = net:switch "s1", net:switch "s2"
    local trunk = net:link(s1, s2)
    local a, b, c, r, d = net:host "a", net:host "b", net:host "c", net:router "r", net:host "d"
    net:link(a, s1)
    net:link(b, s2)
    net:link(c, s2)
    net:link(r, s1)
    net:link(r, d)
    start(net)
    for _, h in ipairs { a, b, c, r, d } do at.serve(h) end
    net:cut { a, b }
    assert.equal("b silence silence", at.ask(a, "b c d", nil, 1))
    assert.equal("r d", at.ask(c, "r d"))
    trunk:down()
    assert.equal("silence", at.ask(a, "b", nil, 1))
    trunk:up()
    assert.equal("b", at.ask(a, "b"))
    net:heal()
    net:cut(d)
    assert.equal("b r silence", at.ask(a, "b r d", nil, 1))
    net:heal()
    assert.equal("b c r d", at.ask(a, "b c r d"))
  end)
end)

describe("a connection #system", function()
  needs("outlives a cut that heals, and a link that was down", function()
    local net = start(ns.net.star(2))
    local h1, h2 = net.nodes[1], net.nodes[2]
    local p = assert(h2:spawn("perl", "-MIO::Socket::INET", "-e", [[
      my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 9); my $c = $s->accept; $c = $s->accept;
      while (<$c>) { print $c $_ } ]]))
    assert(h2:wait_for(80, 10))
    local c = assert(h1:connect(h2.ip .. ":80"))
    for _, words in ipairs { { "cut", "heal", net, "h1" }, { "down", "up", net.links[2] } } do
      assert(words[3][words[1]](words[3], words[4]))
      c:write("sent meanwhile\n")
      assert(words[3][words[2]](words[3]))
      assert.equal("sent meanwhile", c:read "*l")
    end
    c:close()
    p:close()
  end)
end)

describe("a picture of a network", function()
  it("shows what is linked to what, and what a link is like, before it is started and after", function()
    local net = ns.net.tree(1, 2, { rate = "10mbit", delay = 0.0025, loss = 0.5 })
    net:link(net:router "r", "h1")
    local text = net:graph()
    assert.matches('^graph net {', text)
    for _, line in ipairs {
      '"s1" [label="s1\\n10.0.0.0/16", ', '"h1" [', 'label="r\\n10.1.0.2", shape="diamond"', '"s1" -- "h2" [',
      'label="2.5ms 0.5% lost 10mbit"', '"r" -- "h1" [' } do
      assert.truthy(text:find(line, 1, true), line .. text)
    end
    net:close()
  end)

  needs("shows addresses, parts and links that are down #system", function()
    local net = start(ns.net.star(3))
    net:cut "h2"
    net.links[1]:down()
    local text = net:graph "dot"
    assert.truthy(text:find('label="s1\\n10.0.0.0/16"', 1, true))
    assert.matches('"h1" %[fillcolor="(#%x+)", label="h1\\n10.0.0.1"', text)
    assert.not_equal(text:match '"h1" %[fillcolor="(#%x+)"', text:match '"h2" %[fillcolor="(#%x+)"')
    assert.matches('"h1" %-%- "s1" %[color="#c03030", label="\\ndown", style="dashed"%]', text)
  end)

  --- A directory with programs that are shell scripts, by their names.
  local function tools(scripts)
    local directory, remove = machine.directory()
    finally(remove)
    for name, text in pairs(scripts) do
      local f = assert(io.open(directory .. "/" .. name, "w"))
      f:write("#!/bin/sh\n", text, "\n")
      f:close()
      assert(os.execute("chmod 755 " .. directory .. "/" .. name))
    end
    return directory
  end

  --- Runs code where only these directories have programs.
  local function host(code, path)
    local under = { "sh", "-c", ('lua=$(command -v "$1"); shift; PATH=%s exec "$lua" "$@"'):format(path), "sh" }
    local r = machine.host("local ns = require 'ns'\n" .. code, { under = under })
    return ((r.stdout .. r.stderr):gsub("\n+$", ""))
  end

  it("is drawn by graphviz, where that is installed", function()
    local dot = tools { dot = "echo $1; grep -c -- ' -- '" }
    assert.equal("-Tsvg\n2", host("print(ns.net.star(2):graph 'svg')", dot .. ":/usr/bin:/bin"))
    assert.matches("^nil\texec 'dot': No such file or directory %(ENOENT%); graphviz is not installed.*\t2\t",
      host("print(ns.net.star(2):graph 'png')", "/nowhere"))
    local broken = tools { dot = "echo no plugin >&2; exit 1" }
    assert.matches("^nil\texec 'dot': .*; no plugin\t", host("print(ns.net.star(2):graph 'svg')", broken .. ":/usr/bin"))
  end)

  needs("and what goes over a link is captured by tcpdump, where that is installed #system", function()
    local code = [[
      local net = assert(ns.net.star(2):start())
      local file = os.tmpname()
      local p, message = net:capture(net.links[2], file, "tcp port 80")
      if p then
        print(p:wait())
        p:close()
        for line in io.lines(file) do print(line) end
      else
        print(message)
      end
      os.remove(file)
      net:close()]]
    local tcpdump = tools { tcpdump = 'echo listening on it >&2; echo "$@"; ip -br link show $2' }
    assert.matches("^true\texit\t0\n%-i v%d+ .* tcp port 80\nv%d+@if%d+ +UP ",
      host(code, tcpdump .. ":/usr/bin:/bin:/usr/sbin:/sbin"))
    local broken = tools { tcpdump = "echo first >&2; echo no such device >&2; exit 1" }
    assert.matches("^exec 'tcpdump': .*; no such device$", host(code, broken .. ":/usr/bin:/bin"))
    if not ns.run { "sh", "-c", "ls /usr/bin/tcpdump /usr/sbin/tcpdump /sbin/tcpdump" }.stdout:find "tcpdump" then
      assert.equal("exec 'tcpdump': No such file or directory (ENOENT); it is not installed", host(code, "/usr/bin"))
    end
  end)
end)

describe("a link is heard #system", function()
  local function heard(nobody)
    return machine.host([[
      local ns = require "ns"
      local net, file = assert(ns.net.star(2):start()), os.tmpname()
      local p = assert(net:capture(net.links[1], file))
      print((net.names.h1:connect(net.names.h2.ip .. ":80", 5)))
      local most = os.time() + 10
      repeat ns.run { "sleep", "0.05" } until io.open(file):seek "end" > 100 or os.time() > most
      print(p:stop())
      print(assert(io.open(file)):seek "end" > 100)
      os.remove(file)
      print(net:capture(net.links[1], file, "no filter at all"))
      print(io.open(file))
      net:close()]], { nobody = nobody })
  end

  for name, nobody in pairs { ["this user"] = false, ["an ordinary user"] = true } do
    machine.it("sandbox", "tcpdump")("by tcpdump, for " .. name .. "; nothing is left of one that is refused", function()
      local r = heard(nobody)
      assert.matches("^nil\ntrue\texit\t0\ntrue\nnil\texec 'tcpdump': [^\n]*expression[^\n]*\nnil\t[^\n]*No such file",
        r.stdout .. r.stderr)
    end)
  end
end)

describe("what is ready-made", function()
  local function form(net)
    local list = {}
    for i, link in ipairs(net.links) do list[i] = link.name end
    net:close()
    return table.concat(list, " ")
  end

  it("is a star, a line or a tree", function()
    assert.equal("h1-s1 h2-s1 h3-s1", form(ns.net.star(3)))
    assert.equal("h1-s1 h2-s2 s1-s2 h3-s3 s2-s3", form(ns.net.line(3)))
    assert.equal("s2-h1 s2-h2 s1-s2 s3-h3 s3-h4 s1-s3", form(ns.net.tree(2, 2)))
    assert.equal("s1-h1", form(ns.net.tree(1, 1)))
  end)

  it("has numbers that make sense", function()
    assert.has_error(function() ns.net.star(0) end)
    for call, message in pairs {
      ["star(0)"] = "bad argument #1 to 'star' %(n: 0 is out of range",
      ["star()"] = "bad argument #1 to 'star' %(n: integer expected",
      ["tree(2)"] = "bad argument #2 to 'tree' %(fanout: integer expected",
      ["tree(12, 9)"] = "bad argument #2 to 'tree' %(4096 hosts are the most",
      ["line(2, { delay = 'x' })"] = "delay: seconds, or a string as '10ms', expected, got 'x'",
    } do
      local ok, why = pcall(assert((loadstring or load)("require('ns').net." .. call))) -- luacheck: ignore
      assert.is_false(ok)
      assert.matches(message, why)
    end
  end)

  needs("a tree of eight hosts, of which each reaches each #system", function()
    local net = start(ns.net.tree(3, 2))
    local names = {}
    for i, h in ipairs(net.nodes) do
      names[i] = h.name
      at.serve(h)
    end
    names = table.concat(names, " ")
    for _, h in ipairs(net.nodes) do assert.equal(names, at.ask(h, names)) end
  end)
end)

--- The numbers of the namespaces of all its boxes, and of where the switches are.
local function namespaces_of(net)
  local ids = {}
  for _, place in ipairs { net.fabric, (table.unpack or unpack)(net.nodes) } do -- luacheck: ignore
    for _, one in ipairs(assert(ns.namespaces(place.container))) do
      if one.type == "net" then ids[#ids + 1] = one.id end
    end
  end
  return ids
end

--- How many of these there are still: a moment after the end none.
local function left_of(ids)
  local left
  for _ = 1, 100 do
    local known = {}
    left = 0
    for _, one in ipairs(ns.namespaces()) do known[one.id] = true end
    for _, id in ipairs(ids) do left = left + (known[id] and 1 or 0) end
    if left == 0 then break end
    ns.run { "sleep", "0.05" }
  end
  return left
end

describe("of a network #system", function()
  needs("nothing is left, however it ends", function()
    local before = own_network()
    for _ = 1, 3 do
      local net = assert(ns.net.star(12):start())
      assert(net.names.h1:spawn { "sleep", "1000", stdout = "null" }):close()
      local ids = namespaces_of(net)
      assert.equal(13, #ids)
      net:close()
      net:close()
      assert.equal(0, left_of(ids))
      assert.equal(before, own_network())
    end
  end)

  needs("nothing is left when its host is killed", function()
    local code = [[
      local ns = require "ns"
      local net = assert(ns.net.star(4):start())
      net.names.h1:spawn { "sleep", "4711" }
      for _, h in ipairs(net.nodes) do
        for _, one in ipairs(ns.namespaces(h.container)) do if one.type == "net" then io.write(one.id, " ") end end
      end
      print()
      io.stdout:flush()
      ns.run { "sleep", "1000" }]]
    local p = assert(ns.spawn { machine.lua, "-e", code, stdout = "pipe", env = machine.paths(machine.top) })
    local ids = {}
    for id in p.stdout:read "*l":gmatch "%d+" do ids[#ids + 1] = tonumber(id) end
    assert.equal(4, #ids)
    p:kill "KILL"
    p:wait()
    p:close()
    assert.equal(0, left_of(ids))
    assert.equal(0, machine.processes "4711")
  end)

  needs("whose start is refused nothing is left, and it may be tried again", function()
    local net = ns.net()
    local a, b = net:host "a", net:host("b", { rlimits = { nofile = 1024 }, root = "/nowhere" })
    net:link(a, b)
    local none, message, _, detail = net:start()
    assert.is_nil(none)
    assert.matches("/nowhere", message)
    assert.equal("root", detail.word)
    assert.has_error(function() a:run "true" end)
    net:close()
  end)
end)
