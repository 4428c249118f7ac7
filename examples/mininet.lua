--- The first steps of mininet's walk-through as one script, for an ordinary user, too: hosts on a switch, who reaches whom,
-- a link that goes down, and what goes through a link with a rate.
local ns = require "ns"

local function show(command) print("mininet> " .. command) end

local function has(program) return ns.run({ "sh", "-c", "command -v " .. program }).ok end
local has_ping, has_iperf = has "ping", has "iperf3"

--- Does one reach the other? Where there is no ping: a port on which nobody listens is refused by the other itself.
local function reaches(from, to)
  if has_ping then return assert(from:run("ping", "-c1", "-W1", to.name)).ok end
  local connection, message = from:connect(to.ip .. ":7", 1)
  if connection then connection:close() end
  return connection ~= nil or message:find "refused" ~= nil
end

--- Each asks each.
local function pingall(hosts)
  local sent, received = 0, 0
  for _, from in ipairs(hosts) do
    local answers = {}
    for _, to in ipairs(hosts) do
      local ok = to ~= from and reaches(from, to)
      if to ~= from then answers[#answers + 1] = ok and to.name or "X" end
      sent, received = sent + (to ~= from and 1 or 0), received + (ok and 1 or 0)
    end
    print(("%s -> %s"):format(from.name, table.concat(answers, " ")))
  end
  print(("*** Results: %.0f%% dropped (%d/%d received)"):format(100 * (sent - received) / sent, received, sent))
end

-- A server that takes what comes, and says how long the first client that has said something took for it.
local SINK = [[
  use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
  bind($s, pack_sockaddr_in(5001, INADDR_ANY)) or die "$!\n"; listen($s, 9);
  while (accept(my $c, $s)) {
    sysread($c, my $b, 65536) or next; my $began = `date +%s.%N`; 1 while sysread($c, $b, 65536);
    print `date +%s.%N` - $began; exit } ]]

--- Mbit/s from the one to the other, by iperf3; or from a socket of the one, which is written from here.
local function iperf(client, server)
  if has_iperf then
    -- It has one client at a time, and would take who only tries its port for that one: it says itself when it listens.
    local p = assert(server:spawn { "iperf3", "-s", "--forceflush", stdout = "pipe", stderr = "null" })
    repeat until assert(p.stdout:read()):match "listening"
    local r = assert(client:run("iperf3", "-c", server.name, "-t", "2", "-f", "k"))
    p:close()
    return tonumber(r.stdout:match "([%d.]+) Kbits/sec +receiver") / 1000
  end
  local p = assert(server:spawn { "perl", "-e", SINK, stdout = "pipe" })
  assert(server:wait_for(5001, 10))
  local connection = assert(client:connect(server.ip .. ":5001", 5))
  connection:write(("x"):rep(2 ^ 21))
  connection:close()
  return 8 * 2 ^ 21 / 1e6 / p:communicate().stdout
end

-- ---- sudo mn --topo single,3; but without sudo ----

local net = assert(ns.net.star(3):start())
local h1, h2, h3 = net.nodes[1], net.nodes[2], net.nodes[3]

show "nodes"
for _, host in ipairs(net.nodes) do print(host) end
show "net"
for _, link in ipairs(net.links) do print(link) end
show "h1 ip -br addr show eth0"
io.write(h1:run("ip", "-br", "addr", "show", "eth0").stdout)
show "h1 ping h2"
print(reaches(h1, h2))
show "pingall"
pingall { h1, h2, h3 }
show "link s1 h1 down"
net.links[1]:down()
pingall { h1, h2, h3 }
show "link s1 h1 up"
net.links[1]:up()
pingall { h1, h2, h3 }
show "h1 perl a-server & h2 asks it"
assert(h1:spawn("perl", "-MIO::Socket::INET", "-e", [[
  my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 9); while (my $c = $s->accept) { print $c "hello from h1\n" } ]]))
assert(h1:wait_for(80, 10))
local hello = assert(h2:connect(h1.ip .. ":80"))
print(hello:read "*l")
hello:close()
net:close()

-- ---- sudo mn --link tc,bw=10 ----

local shaped, message = ns.net.star(2, { rate = "10mbit" }):start()
if shaped then
  show "iperf h1 h2"
  h1, h2 = shaped.nodes[1], shaped.nodes[2]
  print(("%.1f Mbit/s"):format(iperf(h1, h2)))
  shaped.links[1]:set { rate = "20mbit" }
  shaped.links[2]:set { rate = "20mbit" }
  print(("%.1f Mbit/s"):format(iperf(h1, h2)))
  shaped:close()
else
  print(message)
end

-- ---- sudo mn --topo tree,2,2 ----

local began = os.time()
local tree = assert(ns.net.tree(2, 2):start())
pingall(tree.nodes)
tree:close()
print(("*** Done within %d seconds"):format(os.time() - began + 1))
