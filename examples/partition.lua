--- Three nodes of a replicated store, a network that falls apart, and one that heals: who can write, and who reads what?
--
-- A value is written when two of the three nodes have it, and read when two have answered: so the part with two nodes goes
-- on, the other one refuses, and nobody ever reads what is old. The nodes are real programs, which know nothing of this.
local ns = require "ns"

--- A node: who asks it on port 80 says "get", "set VALUE", or, as one of the others does, "own" or "take VERSION VALUE".
local NODE = [[
  use IO::Socket::INET; use Fcntl ":flock"; $SIG{CHLD} = "IGNORE"; my @others = @ARGV;
  sub stored { open(my $f, "+>>", "/tmp/store"); flock($f, LOCK_EX); seek($f, 0, 0);
    chomp(my $line = <$f> // "0 nothing");
    my ($version, $new) = @_; ($line) = ("$version $new"), truncate($f, 0), print $f "$line\n"
      if defined $version && $version > (split / /, $line)[0]; return $line; }
  sub ask { my ($host, $line) = @_; my $s = IO::Socket::INET->new(PeerAddr => "$host:80", Timeout => 0.5) or return;
    local $SIG{ALRM} = sub { die }; alarm 1; my $got = eval { print $s "$line\n"; <$s> }; alarm 0; chomp $got if $got; $got }
  sub ask_all { my ($line) = @_; grep { defined } map { ask($_, $line) } @others }
  sub newest { my @all = (stored(), ask_all("own")); return @all < 2 ? () : (sort { $b <=> $a } @all)[0] }
  sub answer { my ($line) = @_;
    return stored() if $line eq "own";
    return stored($1, $2) if $line =~ /^take (\d+) (.*)/;
    return "what?" unless $line =~ /^(get$|set .)/;
    no warnings "numeric"; my $last = newest() or return "no quorum";
    return $last =~ s/^\d+ //r if $line eq "get";
    my ($version, $value) = ($last + 1, $line =~ /^set (.*)/);
    return 1 + ask_all("take $version $value") < 2 ? "no quorum" : (stored($version, $value), "written")[1]; }
  my $server = IO::Socket::INET->new(LocalPort => 80, Listen => 99, ReuseAddr => 1) or die "$!";
  while (my $client = $server->accept) {
    next if fork; chomp(my $line = <$client> // ""); print $client answer($line), "\n"; exit } ]]

local net = ns.net()
local switch = net:switch "switch"
local a, b, c = net:host "a", net:host "b", net:host "c"
for _, host in ipairs { a, b, c } do net:link(host, switch) end
assert(net:start())

for _, host in ipairs { a, b, c } do
  local words = { "perl", "-e", NODE }
  for _, other in ipairs { a, b, c } do
    if other ~= host then table.insert(words, other.name) end
  end
  assert(host:spawn(words))
  assert(host:wait_for(80, 10))
end

--- What a node answers; it is asked from here, through a socket of its own network.
local function ask(host, line)
  local connection = assert(host:connect(80, 5))
  connection:write(line, "\n")
  local answer = connection:read "*l"
  connection:close()
  print(("%-10s %-22s %s"):format(host.name, line, answer))
end

print "--- all together"
ask(a, "set first")
ask(c, "get")

print "--- {a, b} and {c}"
net:cut { a, b }
ask(a, "set second")
ask(b, "get")
ask(c, "get")
ask(c, "set third")

print "--- each alone"
net:cut({ a }, { b })
ask(a, "set fourth")

print "--- healed"
net:heal()
ask(c, "get")
ask(c, "set fifth")
ask(a, "get")

net:close()
