--- Small programs of networks: a server that says its host's name, who asks it, and a ping. In Perl, as every Debian has it.
local assert = require "luassert"

local net = {}

local SERVER = [[
  use Socket; $| = 1;
  my $v6 = socket(my $s, PF_INET6, SOCK_STREAM, 0) || !socket($s, PF_INET, SOCK_STREAM, 0);
  my $any = $v6 ? Socket::pack_sockaddr_in6(80, "\0" x 16) : pack_sockaddr_in(80, INADDR_ANY);
  bind($s, $any) or die "bind: $!"; listen($s, 99); print "ready\n";
  while (accept(my $c, $s)) { print $c `hostname`; close $c } ]]

local ASK = [[
  use Socket qw(:all); my ($host, $family, $seconds) = @ARGV; alarm $seconds;
  my ($error, @all) = getaddrinfo($host, 80, { socktype => SOCK_STREAM, family => $family });
  @all or die "name: $error\n";
  socket(my $s, $all[0]{family}, SOCK_STREAM, 0); connect($s, $all[0]{addr}) or die "connect: $!\n"; print <$s>; ]]

local PING = [[
  use Socket; use Time::HiRes "time"; socket(my $s, PF_INET, SOCK_DGRAM, 1) or die "socket: $!\n"; alarm 5;
  my $to = pack_sockaddr_in(0, inet_aton($ARGV[0])); my $began = time;
  send($s, pack("C2n3a8", 8, 0, 0, 1, 1, "01234567"), 0, $to) or die "send: $!\n";
  recv($s, my $answer, 100, 0); printf "%.1f\n", (time - $began) * 1000; ]]

net.INET, net.INET6 = 2, 10

local servers = {}

--- Starts a server on port 80 of a host: a process, which takes connections when this returns.
function net.serve(host)
  local p = assert.truthy(host:spawn { "perl", "-e", SERVER, stdout = "pipe" })
  assert.equal("ready", p.stdout:read("*l"))
  table.insert(servers, p)
  return p
end

--- Closes a network, and the handles of its servers.
function net.close(network)
  network:close()
  for _, p in ipairs(servers) do p:close() end
  servers = {}
end

--- What a host hears from the server of that name or address: the name of that host, or what is wrong; "silence" after so
-- many seconds.
function net.ask(host, name, family, seconds)
  local r = assert.truthy(host:run("perl", "-e", ASK, name, tostring(family or 0), tostring(seconds or 5)))
  if r.how == "signal" then return "silence" end
  return ((r.ok and r.stdout or r.stderr):gsub("\n$", ""))
end

--- Milliseconds until an address has answered an echo request of ICMP; or what is wrong.
function net.ping(host, address)
  local r = assert.truthy(host:run("perl", "-e", PING, address))
  return tonumber(r.stdout) or r.how == "signal" and "silence" or r.stderr
end

return net
