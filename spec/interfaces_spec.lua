--- network = { ... }: interfaces, routes, settings and names of a box's network, as seen from inside.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"

local needs = machine.it "sandbox"

local function inside(words, line)
  local r = assert(ns.sandbox():network(words):run("sh", "-c", line))
  return ((r.stdout .. r.stderr):gsub("%s*$", ""))
end

--- Lines of iproute2, without its numbers of interfaces.
local function brief(words, line) return (inside(words, line):gsub(" +", " "):gsub("@%S+", ""):gsub(" *\n", "\n")) end

local PAIR = { left = { peer = "right", addresses = { "10.0.0.1/24", "fd00::1/64" }, mtu = 1400 },
  right = { addresses = "10.0.0.2/24", mac = "02:00:00:00:00:07" } }

describe("interfaces of a box #system", function()
  needs("are there with their addresses, before the program runs", function()
    assert.equal("lo 127.0.0.1/8 ::1/128\nleft 10.0.0.1/24 fd00::1/64 fe80::65/64\nright 10.0.0.2/24",
      brief({ interfaces = PAIR }, "ip -br addr | sed 's/ *\\(UNKNOWN\\|UP\\|DOWN\\) */ /; /^right/s/ fe80.*//'"))
  end)

  it("have the names that they were given, or none", function()
    for _, name in ipairs { "v%d", "v%", "a/b", "a:b", "a b", "..", ("x"):rep(16) } do
      assert.error_matches(function() ns.sandbox():network { interfaces = { [name] = { type = "bridge" } } } end,
        "is no name of an interface: 1 to 15 bytes, without spaces, /, : and %", 1, true)
    end
  end)

  needs("have the MTU and the hardware address that they shall have", function()
    assert.equal("1400\n1500\n02:00:00:00:00:07", inside({ interfaces = PAIR },
      "cat /sys/class/net/left/mtu /sys/class/net/right/mtu /sys/class/net/right/address 2>/dev/null || "
      .. "for i in left right; do ip link show $i | sed -n 's/.*mtu \\([0-9]*\\).*/\\1/p'; done; "
      .. "ip link show right | sed -n 's/.*ether \\([^ ]*\\).*/\\1/p'"))
  end)

  needs("take connections at their addresses at once, over IPv4 and IPv6", function()
    local line = [[perl -MIO::Socket::IP -e '
      for my $a ("10.0.0.1", "fd00::1") {
        my $s = IO::Socket::IP->new(LocalHost => $a, LocalPort => 80, Listen => 9) or die "$a: $@";
        print IO::Socket::IP->new(PeerHost => $a, PeerPort => 80) ? "$a\n" : "$a: $@\n" }']]
    local words = { interfaces = PAIR, sysctl = { ["net.ipv4.ip_unprivileged_port_start"] = 0 } }
    for _ = 1, 5 do assert.equal("10.0.0.1\nfd00::1", inside(words, line)) end
  end)

  needs("may be ports of a bridge, or switched off", function()
    local words = { interfaces = { br0 = { type = "bridge", addresses = "10.0.0.1/24" }, a = { peer = "b", bridge = "br0" },
      b = { up = false } } }
    assert.equal("a br0\nb DOWN", inside(words, "ip -o link show master br0 | sed 's/^[0-9]*: \\([a-z]*\\).*/\\1 br0/'; "
      .. "ip -br link show b | awk '{ print \"b\", $2 }'"))
  end)

  needs("may be the loopback, which keeps its own address", function()
    assert.equal("127.0.0.1/8\n10.9.9.9/32\n9000", inside({ interfaces = { lo = { addresses = "10.9.9.9", mtu = 9000 } } },
      "ip -o -4 addr show lo | awk '{ print $4 }'; ip link show lo | sed -n 's/.*mtu \\([0-9]*\\).*/\\1/p'"))
  end)

  needs("of a kind that the kernel lacks are refused by its name, with what most have", function()
    local r, message, _, detail = ns.sandbox():network({ interfaces = { eth0 = { addresses = "10.0.0.1/24" } } })
      :run("ip", "-br", "-4", "addr", "show", "eth0")
    if r then return assert.matches("^eth0 +%S+ +10%.0%.0%.1/24 *\n$", r.stdout) end
    assert.equal("dummy eth0: Operation not supported (EOPNOTSUPP); this kernel has no links of the kind dummy (the module "
      .. "dummy); most have bridge and veth", message)
    assert.same({ "netlink", "network" }, { detail.step, detail.word })
  end)

  for _, way in ipairs(ways.list) do
    it("are there " .. way.name, function()
      local line = "ip -br -4 addr show left"
      local spec = { flags = { "net" }, network = { interfaces = PAIR } }
      assert.matches("^left%S* +%S+ +10%.0%.0%.1/24", ways.run(way, spec, line))
    end)
  end

  needs("stay in a box: a living one has them for all its programs", function()
    local c = assert(ns.sandbox():network({ interfaces = PAIR }):start())
    for _ = 1, 2 do assert.matches("10%.0%.0%.2/24", c:run("ip", "-4", "addr", "show", "right").stdout) end
    c:close()
  end)
end)

describe("a message that is refused #system", function()
  needs("says what it wanted", function()
    for _, row in ipairs {
      { { interfaces = { br0 = { type = "bridge", addresses = { "10.0.0.1/24", "10.0.0.1/24" } } } },
        "address 10.0.0.1/24 on br0: File exists (EEXIST); it is there already" },
      { { interfaces = { br0 = { type = "bridge", addresses = "10.0.0.1/8" } },
        routes = { { to = "10.1.0.0/16", via = "10.0.0.2" }, { to = "10.1.0.0/16", via = "10.0.0.3" } } },
        "route to 10.1.0.0/16 via 10.0.0.3: File exists (EEXIST); it is there already" },
    } do
      local r, message, _, detail = ns.sandbox():network(row[1]):run "true"
      assert.same({ nil, row[2], "netlink", "network" }, { r, message, detail.step, detail.word })
    end
  end)
end)

describe("routes of a box #system", function()
  needs("lead where they are to lead", function()
    local routes = { { via = "10.0.0.254" }, { to = "10.1.0.0/16", via = "10.0.0.9" },
      { to = "10.2.0.0/24", interface = "right" }, { to = "10.3.0.0/16", type = "unreachable" },
      { to = "10.4.0.1", type = "blackhole" }, { to = "fd01::/64", via = "fd00::9" },
      { to = "default", via = "fd00::8", interface = "left" } }
    local words = { interfaces = { left = PAIR.left, right = {} }, routes = routes }
    assert.equal([[
default via 10.0.0.254 dev left
10.1.0.0/16 via 10.0.0.9 dev left
10.2.0.0/24 dev right scope link
unreachable 10.3.0.0/16
blackhole 10.4.0.1
fd01::/64 via fd00::9 dev left
default via fd00::8 dev left]], brief(words, "(ip route; ip -6 route) | grep 'proto static' | "
      .. "sed 's/ proto static//; s/ metric 1024//; s/ pref medium//'"))
  end)
end)

describe("settings of a box's network #system", function()
  needs("are there, those of an interface, too; and before it, what a new one takes over", function()
    local words = { interfaces = PAIR, sysctl = { ["net.ipv4.ip_forward"] = 1, ["net.ipv4.conf.left.rp_filter"] = 2,
      ["net.ipv4.conf.default.arp_ignore"] = 1 } }
    assert.equal("1\n2\n1", inside(words,
      "cd /proc/sys/net/ipv4; cat ip_forward conf/left/rp_filter conf/right/arp_ignore"))
  end)

  needs("give way to those of the word sysctl", function()
    local name = "net.ipv4.ip_unprivileged_port_start"
    local box = ns.sandbox():network({ sysctl = { [name] = 81 } })
    assert.equal("81", (machine.sh(box:spec(), "cat /proc/sys/net/ipv4/ip_unprivileged_port_start")))
    box:sysctl { [name] = 82 }
    assert.equal("82", (machine.sh(box:spec(), "cat /proc/sys/net/ipv4/ip_unprivileged_port_start")))
  end)
end)

describe("names in a box #system", function()
  needs("stand in its /etc/hosts, beside those that it may reach", function()
    local box = ns.sandbox():network({ hosts = { db = "10.0.0.7", web = { "10.0.0.8", "fd00::8" } } })
      :reach { ["cache:1"] = "127.0.0.1:1" }
    assert.equal("127.0.0.1 localhost sandbox\n::1 localhost\n127.0.0.2 cache\n10.0.0.7 db\n10.0.0.8 web\nfd00::8 web\n"
      .. "10.0.0.7        db\n", box:run("sh", "-c", "cat /etc/hosts; getent hosts db").stdout)
  end)

  needs("are asked for where it is said, by /etc/resolv.conf", function()
    assert.equal("nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.example b.example\noptions ndots:2",
      inside({ dns = { "10.0.0.1", "fd00::1", search = { "a.example", "b.example" }, options = { "ndots:2" } } },
        "cat /etc/resolv.conf"))
  end)

  needs("leave a file of one's own as it is, and go where a link of the root leads", function()
    local box = ns.sandbox():network { dns = "10.0.0.1" }
    assert.equal("mine", box:file("/etc/resolv.conf", "mine"):run("cat", "/etc/resolv.conf").stdout)
    local root, remove = machine.directory()
    os.execute(("mkdir %s/etc && ln -s ../run/resolve/conf %s/etc/resolv.conf"):format(root, root))
    local linked = ns.sandbox():ro_bind(root .. "/etc", "/etc"):network { dns = "10.0.0.1" }
    local r = assert(linked:run("cat", "/etc/resolv.conf"))
    remove()
    assert.equal("nameserver 10.0.0.1\n", r.stdout .. r.stderr)
  end)

  needs("are there beside the host's network, too", function()
    assert.matches("^10%.0%.0%.7 +db", inside({ "host", hosts = { db = "10.0.0.7" } }, "getent hosts db"))
  end)
end)

describe("the network of the host #system", function()
  needs("is as it was", function()
    local function look() return machine.sh({}, "ip addr; ip route; ip -6 route; ls /sys/class/net") end
    local before = look()
    inside({ interfaces = PAIR, routes = { { via = "10.0.0.9" } } }, "true")
    assert.equal(before, look())
  end)
end)
