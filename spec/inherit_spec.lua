--- What a program has from its host, and what is always new: the list at the end of doc/words.md. The host has a habit of
-- its own in each of these, and the program reports.
local machine = require "support.machine"

--- A report of one line for each thing; system calls by number.
local REPORT = [[
  my @fds = map { s/.*\///r } grep { -e } glob "/proc/self/fd/*";
  my ($prctl, $keyctl) = `uname -m` =~ /x86_64/ ? (157, 250) : (167, 219);
  my %status = map { /^(\w+):\s*(.*)/ ? ($1 => $2) : () } do { local @ARGV = "/proc/self/status"; <> };
  sub slurp { local @ARGV = $_[0]; my $s = <>; chomp $s; $s }
  sub get { my $v = syscall($prctl, @_, 0, 0, 0, 0); $v }
  my $sig = pack "i", 0; syscall($prctl, 2, $sig);
  my $child = pack "i", 0; syscall($prctl, 37, $child);
  my @stat = split / /, slurp("/proc/$$/stat") =~ s/.*\) //r;
  my ($nofile) = do { local @ARGV = "/proc/self/limits"; grep { /open files/ } <> };
  my $b = "\0" x 9;
  use Cwd;
  my %said = (
    mask => $status{SigBlk}, ignored => hex($status{SigIgn}) & ~0x80, # perl itself ignores FPE
    fds => "@fds", cwd => getcwd(), umask => sprintf("%03o", umask), nice => $stat[16],
    ioprio => `ionice` =~ s/\n//r, affinity => $status{Cpus_allowed_list}, slack => get(30),
    oom => slurp("/proc/self/oom_score_adj"), personality => slurp("/proc/self/personality"), securebits => get(27),
    inheritable => $status{CapInh}, ambient => $status{CapAmb}, net_raw => get(23, 13),
    no_new_privs => $status{NoNewPrivs}, seccomp => $status{Seccomp}, nofile => (split " ", $nofile)[3],
    key => syscall($keyctl, 11, $ENV{KEY} + 0, $b, 9, 0) > 0 ? "there" : "gone", groups => $status{Groups} =~ s/ $//r,
    session => $stat[3] == ($ENV{SESSION} || 0) ? "host" : "own", pdeathsig => unpack("i", $sig),
    subreaper => unpack("i", $child), thp => get(42), scheduler => $stat[38], secret => $ENV{SECRET} || "gone",
  );
  print map { "$_=$said{$_}\n" } sort keys %said;
]]

--- Changes all of it, then becomes the host.
local CHANGE = [[
  use POSIX;
  my ($prctl, $keyctl, $add) = `uname -m` =~ /x86_64/ ? (157, 250, 248) : (167, 219, 217);
  $SIG{$_} = "IGNORE" for qw(PIPE HUP USR2);
  sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGUSR1));
  $^F = 99; open my $held, "<", "/"; open my $more, "<", "/etc/passwd";
  chdir "/usr"; umask 077; POSIX::nice(5);
  syscall($prctl, 29, 123456, 0, 0, 0);
  { open my $f, ">", "/proc/self/oom_score_adj"; print $f 321 }
  syscall($keyctl, 1, 0, 0, 0, 0);
  my ($t, $n, $v) = ("user", "ns-spec", "secret");
  $ENV{KEY} = syscall($add, $t, $n, $v, length $v, -3);
  $ENV{SECRET} = "yes";
  $ENV{SESSION} = (split / /, do { local @ARGV = "/proc/$$/stat"; <> =~ s/.*\) //r })[3];
  my $one = pack "i", 9; syscall($prctl, 1, 10, 0, 0, 0);
  syscall($prctl, 36, 1, 0, 0, 0);
  syscall($prctl, 41, 1, 0, 0, 0);
  if ($> == 0) { syscall($prctl, 28, 64, 0, 0, 0); syscall($prctl, 24, 13, 0, 0, 0) }
  exec @ARGV;
]]

-- A processor that there is.
local FIRST = machine.sh({}, "grep Cpus_allowed_list /proc/self/status | cut -f2"):match("%d+")

--- The report of a program in the spec, which is written as Lua: {mask = ..., ...}. `more`: a command that changes more.
local function report(spec, options)
  local code = ([[
    local ns = require "ns"
    local r, message = ns.run(ns.box(%s):argv("perl", "-e", %q))
    io.write(r and r.stdout .. r.stderr or message)
  ]]):format(spec, REPORT)
  local under = { "chrt", "-b", "0", "ionice", "-c", "3", "taskset", "-c", FIRST, "setarch", "-R", "prlimit",
    "--nofile=777:888" }
  for _, list in ipairs { options.more or {}, { "perl", "-e", CHANGE } } do
    for _, word in ipairs(list) do under[#under + 1] = word end
  end
  local r = machine.host(code, { under = under, nobody = options.nobody })
  local said = {}
  for name, value in r.stdout:gmatch("([%w_]+)=([^\n]*)\n") do said[name] = value end
  assert(said.mask, r.stdout .. r.stderr)
  return said
end

local NONE = "0000000000000000"
local NICENESS = ("%d"):format(math.min(19, machine.sh({}, "nice") + 5))

--- Reset for every program.
local RESET = { mask = NONE, ignored = "0", fds = "0 1 2", inheritable = NONE, ambient = NONE, key = "gone", pdeathsig = "9",
  subreaper = "0" }

--- Handed down to every program, if no word says otherwise.
local KEPT = { nice = NICENESS, ioprio = "idle", affinity = FIRST, slack = "123456", oom = "321", personality = "00040000",
  nofile = "777", thp = "1", scheduler = "3", seccomp = "0" }

local function compare(said, ...)
  local expected, seen = {}, {}
  for _, part in ipairs { ... } do
    for name, value in pairs(part) do expected[name] = value end
  end
  for name in pairs(expected) do seen[name] = said[name] end
  assert.same(expected, seen)
  for name in pairs(said) do assert(expected[name], name .. " is not in the list") end
end

local ROOT = { "setpriv", "--groups", "4,24", "--inh-caps=+chown,+kill", "--ambient-caps=+chown" }

describe("of what the host has changed #system", function()
  machine.root_it("a program gets what the manual lists", function()
    compare(report("{}", { more = ROOT }), RESET, KEPT, { cwd = "/usr", umask = "077", secret = "yes", groups = "4 24",
      session = "host", securebits = "64", net_raw = "0", no_new_privs = "0" })
  end)

  machine.root_it("a program in a user namespace gets less: its privileges are those of the namespace", function()
    compare(report('{ flags = "user" }', { more = ROOT }), RESET, KEPT, { cwd = "/usr", umask = "077", secret = "yes",
      groups = "", session = "host", securebits = "0", net_raw = "1", no_new_privs = "0" })
  end)

  -- The signal of the host's end is the init's.
  local BOXED = { pdeathsig = "0", cwd = "/", umask = "022", secret = "gone", session = "own", securebits = "0",
    net_raw = "0", no_new_privs = "1", seccomp = "2" }

  machine.root_it("a sandbox gets limits and priorities, and nothing that tells of the host", function()
    compare(report("ns.sandbox():env('KEY', os.getenv('KEY')):spec()", { more = ROOT }), RESET, KEPT, BOXED,
      { groups = "" })
  end)

  machine.it("user")("an ordinary user's programs get the same; groups cannot be dropped there", function()
    local mine = { cwd = "/usr", umask = "077", secret = "yes", groups = "", session = "host", securebits = "0",
      net_raw = "1", no_new_privs = "0" }
    compare(report("{}", { nobody = true }), RESET, KEPT, mine)
    compare(report('{ flags = "user" }', { nobody = true }), RESET, KEPT, mine)
    compare(report("ns.sandbox():env('KEY', os.getenv('KEY')):spec()", { nobody = true }), RESET, KEPT, BOXED,
      { groups = "" })
  end)

  it("no_new_privs and seccomp filters cannot be taken back", function()
    local more = machine.refuse("EXDEV", "mkdirat")
    for i, word in ipairs { "setpriv", "--no-new-privs" } do table.insert(more, i, word) end
    compare(report("{}", { more = more, nobody = true }), RESET, KEPT, { cwd = "/usr", umask = "077", secret = "yes",
      groups = "", session = "host", securebits = "0", net_raw = "1", no_new_privs = "1", seccomp = "2" })
  end)
end)
