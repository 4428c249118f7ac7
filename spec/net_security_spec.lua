--- Networks: what a program in one host cannot do to the others, to the links, and to this machine.
local at = require "support.net"
local machine = require "support.machine"
local ns = require "ns"

local rtnetlink = require "ns.words.rtnetlink"
local wiring = require "ns.start.wiring"

local errors = require("ns.core").constants.errno
local EPERM, EACCES, EXDEV = errors.EPERM, errors.EACCES, errors.EXDEV

local needs = machine.it "sandbox"

local function start(net)
  assert(net:start())
  finally(function() at.close(net) end)
  return net
end

local function sh(host, line)
  local r = assert(host:run("sh", "-c", line))
  return (r.stdout .. r.stderr):gsub("\n$", "")
end

--- Two hosts and a switch, and a third one with all rights over its own network.
local function with_admin()
  local net = ns.net()
  local s = net:switch "s"
  local admin = net:host("admin", { caps = { "net_admin", "net_raw" }, seccomp = false })
  for _, h in ipairs { net:host "a", net:host "b", admin } do net:link(h, s) end
  start(net)
  at.serve(net.names.a)
  return net, admin
end

--- A netlink message as it is, sent by a program in the host: the errno of the answer, 0 for none.
local function play(host, message)
  local r = assert(host:run { "perl", "-e", [[
    socket(my $s, 16, 3, 0) or die $!; read(STDIN, my $m, 9999); send($s, $m, 0) or die $!;
    vec(my $in = "", fileno($s), 1) = 1;
    select($in, undef, undef, 0.2) or print(0), exit; recv($s, my $a, 9999, 0); print -unpack("l", substr($a, 16, 4)); ]],
    input = rtnetlink.join { message } })
  return r.stdout .. r.stderr
end

--- By the number that the kernel gives to where the switches are, as the other end of its link is there.
local TARGET_NETNSID, THERE = 46, 0

local function messages_for_others()
  local list, port = {}, { index = 1000, name = "port" }
  local there = rtnetlink.attribute(TARGET_NETNSID, rtnetlink.u32(THERE))
  for _, m in ipairs { rtnetlink.down(port), rtnetlink.delete(port), rtnetlink.get_link(port),
    rtnetlink.link("bridge", { index = 4000, name = "theirs" }) } do
    list[#list + 1] = { what = m.what, kind = m.kind, flags = m.flags, body = m.body .. there }
  end
  return list
end

describe("a program in a host #system", function()
  needs("has no rights over its network, which is that of its host alone", function()
    local net = start(ns.net.star(2))
    local h1 = net.names.h1
    assert.matches("Operation not permitted", sh(h1, "ip link set eth0 down"))
    assert.matches("Operation not permitted", sh(h1, "ip link add x type veth peer y"))
    assert.matches("Operation not permitted", sh(h1, "ip addr add 10.0.0.9/16 dev eth0"))
    assert.equal("lo eth0", sh(h1, "ip -o link | sed 's/^[0-9]*: //; s/[@:].*//' | tr '\n' ' ' | sed 's/ $//'"))
  end)

  needs("with CAP_NET_ADMIN reaches neither other hosts' links, nor the switch, nor this machine", function()
    local net, admin = with_admin()
    local a, b = net.names.a, net.names.b
    local own = machine.read "/proc/net/dev":gsub(":[^\n]*", "")
    assert.equal("a a", at.ask(admin, "a a"))
    assert.equal("0", play(admin, rtnetlink.up { index = 1, name = "lo" }))
    for _, one in ipairs(messages_for_others()) do
      local errno = tonumber(play(admin, one))
      assert(errno == EPERM or errno == EACCES, one.what .. ": " .. tostring(errno))
    end
    -- the end that it has can be renamed, moved into a namespace below, or deleted: the others do not notice
    sh(admin, "ip link set eth0 down; ip link del eth0; ip link add br0 type bridge; ip link set br0 up")
    assert.equal("a", at.ask(b, "a"))
    assert.equal("a", at.ask(a, "a"))
    assert.equal(own, (machine.read "/proc/net/dev":gsub(":[^\n]*", "")))
  end)

  needs("with CAP_NET_ADMIN hears on its port only what is for it, or for all", function()
    local net, admin = with_admin()
    local a, b = net.names.a, net.names.b
    local LISTEN = [[
      use Socket; $| = 1; socket(my $s, 17, 3, 0x0300) or die "socket: $!\n"; print "ready\n"; my $n = 0;
      vec(my $in = "", fileno($s), 1) = 1;
      while (select(my $got = $in, undef, undef, 1) > 0) { recv($s, my $p, 2000, 0); $n++ if index($p, "secret") >= 0 }
      print $n; ]]
    assert.equal("a", at.ask(b, "a")) -- from here on the switch knows where they are
    local p = assert(admin:spawn { "perl", "-e", LISTEN, stdout = "pipe", stderr = "stdout" })
    assert.equal("ready", p.stdout:read "*l")
    for _ = 1, 3 do
      b:run("perl", "-e", [[use Socket; socket(my $s, PF_INET, SOCK_DGRAM, 0); send($s, "secret", 0,
        pack_sockaddr_in(9, inet_aton($ARGV[0])))]], a.ip)
    end
    assert.equal("0", p.stdout:read "*a")
    p:close()
  end)

  needs("cannot reach where the switches are by any address", function()
    local net = start(ns.net.star(2))
    local h1 = net.names.h1
    local r = assert(ns.run { "sh", "-c", "ip -o addr show scope global; ip -o -6 addr show scope link",
      join = { from = net.fabric.container, "user", "net" } })
    assert.equal("", r.stdout)
    assert.equal("h1 eth0", h1.name .. " " .. h1:addresses()[1].name)
  end)
end)

describe("the machine's own network #system", function()
  needs("is never wired: a box that has it gives no socket for it", function()
    local own = assert(ns.sandbox():share("net"):start())
    local other = assert(ns.sandbox():start())
    finally(function()
      own:close()
      other:close()
    end)
    local socket, message, errno, detail = wiring.open(own.box, "own")
    assert.is_nil(socket)
    assert.equal("open the network of own: Invalid cross-device link (EXDEV); it is the machine's own, which is left alone",
      message)
    assert.same({ EXDEV, "netlink" }, { errno, detail.step })
    socket = assert(wiring.open(other.box, "other"))
    assert.truthy(socket:send(rtnetlink.join { rtnetlink.link("bridge", { index = 1000, name = "x" }) }))
    socket:close()
    assert.has_error(function() ns.net():host("h", ns.sandbox():share("net")) end)
  end)
end)
