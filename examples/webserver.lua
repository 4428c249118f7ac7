-- A web server in a sandbox: nobody's user, no rights, no interface; and yet the machine's own clients reach it.
--
-- usage: lua webserver.lua [PORT]        the port of 127.0.0.1; any that is free if it is not said
local ns = require "ns"

local SERVER = [[
  use Socket;
  socket(my $s, PF_INET, SOCK_STREAM, 0);
  bind($s, pack_sockaddr_in(80, INADDR_LOOPBACK)) && listen($s, 9) or die "$!";
  while (accept(my $c, $s)) {
    my $line = <$c>;
    my ($path) = $line =~ m{^GET (\S+) };
    print $c "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nThis is $path, user ", $<, " on ", `hostname`;
    close $c;
  } ]]

local CLIENT = [[
  use Socket; my ($port, $path) = @ARGV;
  socket(my $s, PF_INET, SOCK_STREAM, 0);
  connect($s, pack_sockaddr_in($port, INADDR_LOOPBACK)) or die "connect: $!\n";
  $s->autoflush(1); print $s "GET $path HTTP/1.0\r\n\r\n"; print while <$s>; ]]

local box = ns.sandbox():hostname("web"):publish { [tonumber(arg[1]) or 0] = 80 }
local p = assert(box:spawn("perl", "-e", SERVER))
assert(p:wait_for(80, 10))
print("the server has port 80, in a network of its own")

-- as a program of this machine finds it
io.write(ns.run({ "perl", "-MIO::Handle", "-e", CLIENT, tostring(p.published[80]), "/index.html" }).stdout)

-- as this script does, which needs no port for that
local c = assert(p:connect(80))
c:write "GET /direct HTTP/1.0\r\n\r\n"
print(c:read("*a"):match "\r\n\r\n(.*)\n")
c:close()

if arg[1] then p:wait() end
p:close()
print(ns.run({ "perl", "-MIO::Handle", "-e", CLIENT, tostring(p.published[80]), "/" }).stderr:match "[^\n]*")
