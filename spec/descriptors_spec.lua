--- What is open inside: the program and the init have what the spec gives them, and nothing else of the host, whatever the
-- kernel and the limits are.
local machine = require "support.machine"
local ns = require "ns"

--- A command that opens the host's root as 200 and as 900, then lowers the limit to what `ulimit` says.
local function with_open(ulimit)
  local line = [[use POSIX; open my $f, "<", "/"; dup2(fileno $f, $_) for 200, 900; exec @ARGV]]
  return { "perl", "-e", line, "sh", "-c", ("ulimit -n %s; exec \"$@\""):format(ulimit), "sh" }
end

--- What the program of each spec (Lua code) has open; `under` runs the host.
local function open_inside(specs, under, nobody)
  local code = ([[
    local ns = require "ns"
    for _, spec in ipairs { %s } do
      local r, message = ns.box(spec):stdout("pipe"):run("sh", "-c", "echo /proc/self/fd/*")
      print(r and r.stdout:gsub("/proc/self/fd/", "") or message)
    end]]):format(specs)
  local r = machine.host(code, { under = under, nobody = nobody })
  return (r.stdout .. r.stderr):gsub("\t%d*\n", "\n"):gsub("\n\n", "\n")
end

local SPECS = [[
  {}, { rlimits = { nofile = 64 } }, { flags = "user,pid,mount", mount_proc = true, rlimits = { nofile = 64 } },
  ns.sandbox(), ns.sandbox():rlimits { nofile = 16 }, ns.sandbox():init(false):rlimits { nofile = 16 },
]]

describe("of the host's descriptors the program has none but its own #system", function()
  local NOTHING = ("0 1 2 3\n"):rep(6) -- the shell itself has 3 for its look into the directory

  --- One command after the other.
  local function all(list)
    local argv = {}
    for _, words in ipairs(list) do
      for _, word in ipairs(words) do argv[#argv + 1] = word end
    end
    return argv
  end

  it("at once", function()
    assert.equal(NOTHING, open_inside(SPECS, with_open(1024)))
  end)

  it("where close_range is not there, or refused, and the limit is lowered", function()
    for _, errno in ipairs { "ENOSYS", "EPERM" } do
      assert.equal(NOTHING, open_inside(SPECS, all { with_open(1024), machine.refuse(errno, "close_range") }))
    end
  end)

  it("where they lie above a limit that was lowered before", function()
    assert.equal(NOTHING, open_inside(SPECS, all { with_open(100), machine.refuse("ENOSYS", "close_range") }))
    assert.equal(NOTHING, open_inside(SPECS, all { with_open(100), machine.refuse("ENOSYS", "close_range") }, true))
  end)

  it("where there is no /proc that could tell them", function()
    local hidden = { "unshare", "-rm", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh" }
    local specs = [[{ flags = "pid,mount", mount_proc = true, rlimits = { nofile = 64 } }]]
    assert.equal("0 1 2 3\n", open_inside(specs, all { with_open(100), machine.refuse("ENOSYS", "close_range"), hidden }))
  end)

  it("where the host has to be copied", function()
    local specs = [[{}, { rlimits = { nofile = 64 } }]]
    for _, second in ipairs { "fchmod", "close_range" } do -- without the first it makes nothing that can be executed
      local under = all { with_open(100), machine.refuse("EPERM", "fchmod", second) }
      assert.equal(("0 1 2 3\n"):rep(2), open_inside(specs, under))
    end
  end)
end)

describe("a limit of descriptors #system", function()
  it("is the program's: an init, and what is looked after before, is not in its way", function()
    for _, n in ipairs { 0, 3, 4, 5, 6 } do
      local codes = {}
      for _, init in ipairs { false, true } do
        local flags = machine.root and { "pid" } or { "user", "pid" }
        local r = assert(ns.run { "/bin/true", flags = flags, init = init, rlimits = { nofile = n } })
        codes[#codes + 1] = r.code
      end
      assert.equal(n < 4 and 127 or 0, codes[1]) -- its own loader cannot open a library
      assert.equal(codes[1], codes[2])
    end
  end)
end)

--- A program with the right to look into process 1 says what is open there, and whether a word, given backwards, is in the
-- memory.
local LOOK = [[
  my $word = reverse $ARGV[0];
  my $init = syscall(434, 1, 0); # pidfd_open
  my %own = map { readlink("/proc/self/fd/$_") => 1 } 0 .. 2;
  my @seen;
  for my $n (0 .. 99) {
    my $fd = syscall(438, $init, $n, 0); # pidfd_getfd
    next if $fd < 0;
    my $link = readlink "/proc/self/fd/$fd";
    push @seen, $link =~ s/\[?\d+\]?//r if !$own{$link};
  }
  open my $maps, "<", "/proc/1/maps" or die "maps: $!";
  open my $mem, "<", "/proc/1/mem" or die "mem: $!";
  for (<$maps>) {
    my ($from, $to) = /^(\w+)-(\w+) rw/ or next;
    seek $mem, hex $from, 0;
    read $mem, my $bytes, hex($to) - hex $from;
    push @seen, "the word" if index($bytes, $word) >= 0;
  }
  my $name = do { local @ARGV = "/proc/1/comm"; <> };
  print join(", ", sort(@seen)), " in $name";
]]

describe("the init, when the program's first instruction comes, #system", function()
  local directory, remove

  setup(function() directory, remove = machine.directory() end)
  teardown(function() remove() end)

  --- What such a program sees of the init, beside what is its own, in a box that has been given trees of the host.
  local function look(spec, nobody)
    machine.file(directory .. "/look", LOOK)
    local code = ([[
      local ns = require "ns"
      local file = io.open(%q)
      local directory = require("ns.core").fileno(file)
      local r, message = ns.box(%s):ro_bind(%q, "/x"):bind(directory, "/w", { ro = true }):caps { "sys_ptrace" }
        :run("perl", "/x/look", %q)
      io.write(r and r.stdout .. r.stderr or message)]]):format(directory, spec, directory, directory:reverse())
    -- strace makes the init wait whenever it closes something, as the launcher it was does once or twice
    local slow = { "strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=close_range", "-e",
      "inject=close_range:delay_enter=300000:when=3+" }
    local r = machine.host(code, { nobody = nobody, under = slow })
    return r.stdout .. r.stderr
  end
  local HELD = "anon_inode:[signalfd], socket: in ns-init\n"

  machine.it("user")("holds what the program has, its socket and its signals", function()
    for _, nobody in ipairs { true, false } do assert.equal(HELD, look("ns.sandbox()", nobody)) end
  end)
end)

describe("a link in a hostile root directory #system", function()
  machine.it("user")("does not lead exec to a descriptor of the host", function()
    local directory, remove = machine.directory()
    os.execute(([[cd %s && mkdir -p root/usr root/proc root/data root/x ro && cp /bin/echo hostprog && chmod 755 hostprog
      for l in bin lib lib64; do ln -s usr/$l root/$l; done
      for n in 3 4 5 6 7 8 9 10 11 12; do ln -s /proc/self/fd/$n/../hostprog root/x/$n; done]]):format(directory))
    local code = ([[
      local ns, core = require "ns", require "ns.core"
      local held = io.open(%q)
      for n = 3, 12 do
        local r, message = ns.run { "/x/" .. n, "it runs", root = %q, flags = "user,pid,mount", map = "root", mounts = {
          { type = "proc" }, { type = "dev" }, { type = "bind", source = "/usr", ro = true },
          { type = "bind", source = core.fileno(held), target = "/data", ro = true } } }
        print(r and r.stdout or message:match("%%(ENO[ENTDIR]+%%)") and "refused" or message)
      end]]):format(directory .. "/ro", directory .. "/root")
    local r = machine.host(code, { nobody = true })
    remove()
    assert.equal(("refused\n"):rep(10), r.stdout .. r.stderr)
  end)
end)
