-- A program that reaches one database and nothing else: it dials the name and port that it is used to, and where these lead
-- is said by who starts it.
--
-- usage: lua database.lua [HOST:PORT]        the database; a small one of this script's own if it is not said
local ns = require "ns"

-- What stands for the database: for each line a line.
local SERVER = [[
  use Socket; $| = 1;
  socket(my $s, PF_INET, SOCK_STREAM, 0);
  bind($s, pack_sockaddr_in(0, INADDR_LOOPBACK)) && listen($s, 9) or die "$!";
  print +(unpack_sockaddr_in(getsockname $s))[0], "\n";
  while (accept(my $c, $s)) { my $query = <$c>; print $c "42 rows for $query"; close $c } ]]

-- The program: it knows a name, and would like to know more.
local PROGRAM = [=[
  use Socket qw(:all); $| = 1;
  for (["db.internal", 5432], ["127.0.0.1", $ARGV[0]], ["db.internal", 22], ["example.com", 443], ["192.0.2.1", 80]) {
    my ($error, @all) = getaddrinfo($$_[0], $$_[1], { socktype => SOCK_STREAM });
    if ($error) { print "$$_[0]: no such name\n"; next }
    socket(my $s, $all[0]{family}, SOCK_STREAM, 0);
    unless (connect($s, $all[0]{addr})) { print "$$_[0]:$$_[1]: $!\n"; next }
    send($s, "select *\n", 0);
    print "$$_[0]:$$_[1]: ", scalar <$s>;
  } ]=]

local database, port
if not arg[1] then
  database = assert(ns.spawn { "perl", "-e", SERVER, stdout = "pipe" })
  port = database.stdout:read "*l"
end

local box = ns.sandbox():reach { ["db.internal:5432"] = arg[1] or "127.0.0.1:" .. port }
local r = assert(box:run("perl", "-e", PROGRAM, port or "5432"))
io.write(r.stdout, r.stderr)
if database then database:close() end
