--- A host to escape to, in namespaces of its own: what an escape would reach is prepared there, and nothing else is near.
-- `world.command` is what its interpreter is run by, `world.try` runs in that interpreter.
local core = require "ns.core"
local escapes = require "support.escapes"
local ns = require "ns"

local world = {}

-- In the outer namespaces, as their root: pids that no box has, a loopback that is up, and a way out, which pasta wants to
-- see, though nobody is there.
local OUTER = [[
  ip link add way type veth peer name out && ip addr add 192.0.2.1/24 dev way && ip link set way up && ip link set out up &&
  ip route add default via 192.0.2.2
  hostname outer && ip link set lo up && echo 20000 >/proc/sys/kernel/ns_last_pid
  cd "$1" && mkdir bind ro tmp && echo HOSTMARK >marker && touch ro/file && cp "$(command -v id)" first bind/ &&
  chmod 4755 bind/id && chmod 777 tmp && chown "$2" bind && shift 2 && exec "$@"
]]

-- As the host's user: keys, shared memory, listeners, a process with a secret. All of it stays open.
local PREPARE = [[
  require "syscall.ph"; use Socket; $^F = 1000;
  my ($uid, $tree, @command) = @ARGV;
  if ($uid) { $) = "$uid $uid"; $( = $uid; $< = $> = $uid }
  my ($user, $session, $name, $username, $payload) = ("user", "session", "host-key", "host-user-key", "HOSTKEY");
  syscall(&SYS_keyctl, 1, $session);
  $ENV{WORLD_KEY} = syscall(&SYS_add_key, $user, $name, $payload, 7, -3);
  $ENV{WORLD_USERKEY} = syscall(&SYS_add_key, $user, $username, $payload, 7, -4);
  shmget 0x6e737231, 4096, 01666; # IPC_CREAT
  socket my $s, 1, 1, 0; bind $s, pack "Sa*", 1, "\0host-abstract" or die; listen $s, 9;
  socket my $t, 2, 1, 0; bind $t, sockaddr_in(45871, inet_aton("127.0.0.1")) or die; listen $t, 9;
  my ($handle, $id, $marker) = (pack("LL", 120, 0) . "\0" x 120, "\0" x 8, "$tree/marker");
  syscall(&SYS_name_to_handle_at, -100, $marker, $handle, $id, 0) == 0 or die "$marker: $!";
  $ENV{WORLD_HANDLE} = unpack "H*", substr $handle, 0, 8 + unpack "L", $handle;
  $ENV{HOST_SECRET} = "HOST_SECRET";
  defined(my $pid = fork) or die; exec "sleep", "1000" unless $pid;
  ($ENV{WORLD_PID}, $ENV{WORLD_TREE}) = ($pid, $tree);
  exec @command;
]]

--- The command for a host that is `uid`, in a `tree` that has the program `first`; what is bound belongs to `owner`.
function world.command(tree, uid, owner)
  return { "unshare", core.ids().euid == 0 and "-mpiun" or "-Urmpiun", "--propagation", "private", "--fork",
    "--kill-child", "--mount-proc", "sh", "-ec", OUTER, "sh", tree, tostring(owner),
    "perl", "-e", PREPARE, tostring(uid), tree }
end

function world.read(path)
  local f = io.open(path, "rb")
  local text = f and f:read("*a")
  if f then f:close() end
  return text
end

function world.sh(line)
  return assert(ns.run { "sh", "-c", line }).stdout
end

--- Is the host's other process there?
function world.alive()
  return (world.read(("/proc/%s/comm"):format(os.getenv("WORLD_PID"))) or ""):find("sleep", 1, true) ~= nil
end

--- How many processes have the word in their arguments.
function world.processes(word)
  local not_itself = word:gsub("^%a", "[%0]")
  return tonumber((world.sh(("grep -l %s /proc/[0-9]*/cmdline 2>/dev/null | wc -l"):format(not_itself))))
end

--- The owner of a file in the tree, on the disk.
function world.owner(path)
  return (core.owner(os.getenv("WORLD_TREE") .. "/" .. path))
end

function world.eventually(condition)
  for _ = 1, 100 do
    if condition() then return true end
    ns.run { "sleep", "0.02" }
  end
end

-- ---- the boxes ----

world.boxes = {}

--- The safe defaults, with a tree that can be written and one that cannot.
function world.boxes.sandbox(tree)
  return ns.sandbox():bind(tree .. "/bind", "/bind"):ro_bind(tree .. "/ro", "/ro"),
    { BIND = "/bind", RO = "/ro", TMP = "/tmp" }
end

--- Root with all that it has, and a descriptor that was forgotten.
function world.boxes.weak(tree)
  world.forgotten = world.forgotten or assert(io.open("/"))
  local box = ns.box { flags = "mount,pid", mount_proc = true, fds = { [9] = world.forgotten }, keyring = "inherit" }
  return box:ro_bind(tree .. "/ro"), { BIND = tree .. "/bind", RO = tree .. "/ro", TMP = tree .. "/tmp" }
end

-- ---- the attempts ----

local PRELUDE = [[
  require "syscall.ph"; use Errno;
  my %new = (open_tree => 428, fsopen => 430, pidfd_open => 434, pidfd_getfd => 438, mount_setattr => 442);
  sub known { $new{$_[0]} || defined &{"SYS_$_[0]"} }
  sub call { my $name = shift; our @out = @_; syscall $new{$name} || &{"SYS_$name"}(), @out }
  sub nested { call("unshare", 0x10000000 | shift) >= 0 or die "no namespace: $!" }
  our @out; $| = 1;
]]

local function argv_of(row, names)
  local function fill(text) return (text:gsub("{(%u+)}", names)) end
  if row.program then return { fill(row.program) } end
  if row.sh then return { "sh", "-c", fill(row.sh) } end
  return { "perl", "-e", PRELUDE .. fill(row.perl) }
end

local function attempt(row, kind, words)
  local box, names = world.boxes[kind](os.getenv("WORLD_TREE"))
  for name, variable in pairs { TREE = "TREE", HOSTPID = "PID", KEY = "KEY", USERKEY = "USERKEY", HANDLE = "HANDLE" } do
    names[name] = os.getenv("WORLD_" .. variable)
  end
  local spec = box:spec()
  spec.argv, spec.timeout, spec.grace = argv_of(row, names), 20, 0
  for _, more in ipairs { row.spec or {}, words or {} } do
    for word, value in pairs(more) do spec[word] = value end
  end
  for _ = 1, row.repeated or 1 do
    local r, mistake = ns.run(spec)
    if not r and row.may_be_late and mistake:find("has not ended", 1, true) then
      r = { timed_out = true, stdout = "", stderr = "" }
    end
    assert(r, mistake)
    local reached = (r.stdout .. r.stderr):find(row.reached or "REACHED")
    if row.after then reached = row.after(r, world) end
    if reached then return true end
  end
end

-- One of several patterns, with | between them.
local function wanted(id, patterns)
  for pattern in (patterns .. "|"):gmatch("(.-)|") do
    if id:find(pattern) then return true end
  end
end

--- Tries the rows whose id matches in a box of that kind, with other `words`. Prints the ids of those that got out, and the
-- number of attempts.
function world.try(kind, pattern, words)
  local count = 0
  for _, row in ipairs(escapes) do
    if wanted(row.id, pattern) and not (row.strong and kind ~= "sandbox") then
      count = count + 1
      if attempt(row, kind, words) then io.write(row.id, " ") end
      ns.run { "hostname", "outer" }
    end
  end
  print(count)
end

return world
