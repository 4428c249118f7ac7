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
  use Socket qw(:all); my ($family, $seconds, @names) = @ARGV;
  sub ask {
    my ($error, @all) = getaddrinfo($_[0], 80, { socktype => SOCK_STREAM, family => $family }); @all or return $error;
    socket(my $s, $all[0]{family}, SOCK_STREAM, 0); local $SIG{ALRM} = sub { die "silence\n" }; alarm $seconds;
    my $got = eval { connect($s, $all[0]{addr}) ? <$s> : "connect: $!" }; alarm 0; chomp($got //= $@); return $got; }
  print join(" ", map { ask($_) } @names); ]]

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

--- What a host hears from the servers of these names or addresses, parted by spaces: the name of each, or what is wrong;
-- "silence" after so many seconds.
function net.ask(host, names, family, seconds)
  local words = { "perl", "-e", ASK, tostring(family or 0), tostring(seconds or 5) }
  for name in names:gmatch "%S+" do words[#words + 1] = name end
  local r = assert.truthy(host:run(words))
  return r.ok and r.stdout or r.stderr
end

--- Milliseconds until an address has answered an echo request of ICMP; or what is wrong.
function net.ping(host, address)
  local r = assert.truthy(host:run("perl", "-e", PING, address))
  return tonumber(r.stdout) or r.how == "signal" and "silence" or r.stderr
end

return net
