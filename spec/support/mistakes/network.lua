--- What a caller may get wrong about the network of a box: subject -> rows {title, spec, pattern of the message}. To add a
-- mistake: its row.

--- A spec whose network has these interfaces, and these routes.
local function of(interfaces, routes)
  return { "true", network = { interfaces = interfaces, routes = routes } }
end

--- One whose network has an interface eth0 of these words.
local function eth0(words) return of { eth0 = words } end

local function route(words) return of({ br0 = { type = "bridge", addresses = "10.0.0.1/24" } }, { words }) end

local function net(words) return { "true", flags = "mount", network = words } end

return {
  ["what the network is"] = {
    { "another word", net "bridge", "network: 'none' or 'host' or 'pasta' expected, got 'bridge'" },
    { "another word in a table", net { "bridge" }, "network%.word: 'none' or 'host' or 'pasta' expected" },
    { "two words", net { "none", "host" }, "network: {.*} expected, got the key 2" },
    { "a field that is nearly right", net { interface = {} },
      "network: unknown field 'interface' %(did you mean 'interfaces'" },
    { "the name that the word has with us", net { word = "none" }, "network: unknown field 'word'" },
    { "a number", net(1), "network: 'none' or 'host' or 'pasta' expected, got number" },
    { "interfaces on the host's", net { "host", interfaces = { lo = {} } },
      "network%.interfaces: the network of the host is not for us to change" },
    { "routes on the host's", net { "host", routes = {} }, "network%.routes: the network of the host is not" },
    { "settings of the host's", net { "host", sysctl = {} }, "network%.sysctl: the network of the host is not" },
    { "no network to speak of when it is left out", { "true", flags = "net", publish = { [0] = 80 }, optional = "flags.net",
      network = {} }, "optional%[1%]: without 'flags%.net' there is no 'publish'" },
  },
  ["an interface"] = {
    { "a list", of { "eth0" }, "network%.interfaces: name of an interface expected, got 1" },
    { "a long name", of { ["abcdefghijklmnop"] = {} }, "'abcdefghijklmnop' is no name of an interface: 1 to 15 bytes" },
    { "a name with a slash", of { ["a/b"] = {} }, "'a/b' is no name of an interface" },
    { "a name with a colon", of { ["a:1"] = {} }, "'a:1' is no name of an interface" },
    { "a name with a space", of { ["a b"] = {} }, "'a b' is no name of an interface" },
    { "the name of a directory", of { [".."] = {} }, "'..' is no name of an interface" },
    { "no table", of { eth0 = "10.0.0.1/24" }, "network%.interfaces%[eth0%]: table expected, got string" },
    { "another kind", eth0 { type = "vlan" }, "%[eth0%]%.type: 'dummy' or 'bridge' or 'veth' expected, got 'vlan'" },
    { "no address", eth0 { addresses = "h1" }, "%[eth0%]%.addresses: '10%.0%.0%.1/24' expected, got 'h1'" },
    { "an address without its prefix", eth0 { addresses = { "10.0.0.1/" } }, "addresses%[1%]: '10%.0%.0%.1/24' expected" },
    { "a long prefix", eth0 { addresses = { "10.0.0.1/33" } }, "addresses%[1%]: /33 is too long, /32 is the most" },
    { "a long prefix of IPv6", eth0 { addresses = { "fd00::1/129" } }, "/129 is too long, /128 is the most" },
    { "a small packet", eth0 { mtu = 67 }, "%[eth0%]%.mtu: 67 is out of range, 68 to 65535" },
    { "packets too small for IPv6", eth0 { mtu = 1279, addresses = "fd00::1/64" },
      "%.mtu: 1279 is too little for an address of IPv6, 1280 is the least" },
    { "no hardware address", eth0 { mac = "02:00:00:00:00" }, "%.mac: '02:00:00:00:00:01' expected" },
    { "a hardware address of many", eth0 { mac = "01:00:00:00:00:00" }, "%.mac: '01:.*' means many interfaces" },
    { "half a pair", eth0 { type = "veth" }, "%[eth0%]: a veth needs 'peer', the name of its other end" },
    { "a pair with itself", eth0 { peer = "eth0" }, "%.peer: 'eth0' is this end itself" },
    { "a pair with a bridge", of { eth0 = { peer = "br0" }, br0 = { type = "bridge" } }, "'br0' is no end of this pair" },
    { "a pair with the loopback", eth0 { peer = "lo" }, "%.peer: 'lo' is no end of this pair" },
    { "a pair of three", of { a = { peer = "b" }, c = { peer = "b" } }, "'b' is no end of this pair" },
    { "a bridge with a peer", eth0 { type = "bridge", peer = "x" }, "%.peer: a bridge has none" },
    { "no such bridge", eth0 { bridge = "br0" }, "%[eth0%]%.bridge: there is no bridge 'br0'" },
    { "a bridge that is none", of { a = { bridge = "b" }, b = {} }, "%[a%]%.bridge: there is no bridge 'b'" },
    { "a bridge in a bridge", of { a = { type = "bridge", bridge = "b" }, b = { type = "bridge" } },
      "%[a%]%.bridge: a bridge is no port of another" },
    { "a loopback of another kind", of { lo = { type = "dummy" } }, "%[lo%]: the loopback has no 'type'" },
    { "a loopback that is down", of { lo = { up = false } }, "%[lo%]: the loopback has no 'up'" },
  },
  ["a route"] = {
    { "to nowhere", route { to = "10.1.0.0/16" }, "routes%[1%]: 'via' or 'interface' expected: where does it lead" },
    { "from nowhere", route { interface = "br0" }, "routes%[1%]%.to: missing, as '10%.1%.0%.0/16' or 'default'" },
    { "to an address in a subnet", route { to = "10.1.2.0/16", via = "10.0.0.2" },
      "%.to: '10%.1%.2%.0/16' is an address in the subnet '10%.1%.0%.0/16'" },
    { "to a name", route { to = "db", via = "10.0.0.2" }, "%.to: '10%.1%.0%.0/16' or 'default' expected, got 'db'" },
    { "by a name", route { to = "default", via = "gw" }, "%.via: address of IPv4 or IPv6 expected, got 'gw'" },
    { "by one out of reach", route { to = "default", via = "10.1.0.1" },
      "%.via: '10%.1%.0%.1' is in no subnet of an interface here" },
    { "by one of another family", route { to = "fd00::/64", via = "10.0.0.2" }, "'10%.0%.0%.2' is of another family than" },
    { "over no interface", route { to = "default", interface = "eth1" }, "routes%[1%]%.interface: there is no 'eth1'" },
    { "of a type that leads nowhere", route { to = "default", via = "10.0.0.2", type = "blackhole" },
      "routes%[1%]: a route of the type 'blackhole' leads nowhere" },
    { "of another type", route { to = "default", type = "local" }, "%.type: 'unicast' or 'blackhole' or" },
    { "over an interface that is down", of({ br0 = { type = "bridge", up = false, addresses = "10.0.0.1/24" } },
      { { via = "10.0.0.2" } }), "%.via: '10%.0%.0%.2' is in no subnet of an interface here" },
  },
  ["names of a network"] = {
    { "a list", net { hosts = { "10.0.0.1" } }, "network%.hosts: name of a machine expected, got 1" },
    { "a name of two", net { hosts = { ["a b"] = "10.0.0.1" } }, "network%.hosts: 'a b' is no name of a machine" },
    { "an address that is a name", net { hosts = { a = "b" } },
      "hosts%[a%]%[1%]: address of IPv4 or IPv6 expected, got 'b'" },
    { "no address", net { hosts = { a = {} } }, "hosts%[a%]: empty list" },
    { "a server by its name", net { dns = "dns.example" }, "network%.dns%[1%]: address of IPv4 or IPv6 expected" },
    { "four servers", net { dns = { "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4" } },
      "network%.dns: 4 are too many, 3 are asked at the most" },
    { "another field of it", net { dns = { servers = {} } }, "network%.dns: unknown field 'servers'" },
    { "a domain with a line of its own", net { dns = { search = { "a\nb" } } }, "search%[1%]: 'a\\x0ab' is no name" },
    { "an option with a space", net { dns = { options = { "a b" } } }, "options%[1%]: 'a b' is no option" },
    { "names without files of one's own", { "true", network = { hosts = { a = "10.0.0.1" } } },
      "network%.hosts: needs 'mount' in flags" },
    { "servers without files of one's own", { "true", network = { dns = "10.0.0.1" } },
      "network%.dns: needs 'mount' in flags" },
  },
}
