--- Other C libraries, other machines: what can be built is built without a warning, and what can be run here is run.
local core = require "ns.core"
local proof = require "proof"
proof.needs("musl-gcc", "aarch64-linux-gnu-gcc", "riscv64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc", "qemu-aarch64")

local TOP = os.getenv("BUILD") or "build"
local OUT = TOP .. "/builds"
local HEADERS = OUT .. "/headers" -- the kernel's and Lua's, for compilers that look for neither

local run = proof.sh

local function machine_of(path)
  local _, text = run("readelf -h %s", path)
  return text:match("Machine:%s*([^\n]-)%s*\n")
end

--- Builds with make. No word is said.
local function build(title, cc, directory, goal, lua)
  local ok, text = run("make -s CC='%s' CFLAGS='-O2 -Werror' BUILD=%s/%s LUA_VERSION=%s LUA_INCDIR=/usr/include/lua%s %s",
    cc, OUT, directory, lua, lua, goal)
  return proof.check(ok and text == "", "%s: %s", title, text)
end

-- ---- a plan for each machine ----

--- One step. All machines of this byte order have it in the same way: no field of a step lies behind a gap (src/plan.h).
local function plan_of(step) return core.encode({ step }):bytes() end

--- Sends the plan on stdin to a launcher; the numbers of its record, and its end.
local PEER = [[
use Socket; use Fcntl;
my $plan = shift;
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die;
my $pid = fork;
if (!$pid) { close $a; fcntl($b, F_SETFD, 0); exec @ARGV, fileno $b }
close $b;
local $/; open my $f, "<", $plan; syswrite $a, scalar <$f>; shutdown $a, 1;
sysread $a, my $record, 8; waitpid $pid, 0;
print join(" ", unpack("l*", $record), "end", $? >> 8, $? & 127)]]

local function write(path, bytes)
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
end

local function play(launcher, bytes)
  write(OUT .. "/plan", bytes)
  local _, text = run("perl %s/peer.pl %s/plan %s", OUT, OUT, launcher)
  return text
end

-- ---- launchers ----

--- name, compiler, machine as readelf says it, what runs it
local MACHINES = {
  { "x86-64", "gcc", "X86-64", "" },
  { "i386", "gcc -m32 -idirafter /usr/include/x86_64-linux-gnu", "80386", "qemu-i386" },
  { "aarch64", "aarch64-linux-gnu-gcc", "AArch64", "qemu-aarch64" },
  { "riscv64", "riscv64-linux-gnu-gcc", "RISC-V", "qemu-riscv64" },
  { "arm", "arm-linux-gnueabihf-gcc", "ARM", "qemu-arm" },
}

for _, row in ipairs(MACHINES) do
  local name, cc, machine, emulator = table.unpack(row)
  local launcher = ("%s/%s/launcher"):format(OUT, name)
  run("mkdir -p %s && rm -rf %s/%s", OUT, OUT, name)
  if build("the launcher for " .. name, cc, name, launcher, "5.4") then
    local found = machine_of(launcher)
    proof.check(found and found:find(machine, 1, true), "the launcher for %s is for %s", name, found)
    local _, undefined = run("readelf -lW %s | grep -E 'INTERP|DYNAMIC' || true", launcher)
    proof.check(undefined == "", "the launcher for %s needs %s", name, undefined)
    write(OUT .. "/peer.pl", PEER)
    local command = emulator .. " " .. launcher
    local there = play(command, plan_of({ op = "chdir", path = "/" }))
    proof.check(there == "end 127 0", "the launcher for %s, chdir /: %s", name, there)
    local refused = play(command, plan_of({ op = "chdir", path = "/nope" }))
    proof.check(refused == "1 2 end 127 0", "the launcher for %s, chdir /nope: %s", name, refused)
    proof.figure("launcher for " .. name, "%d bytes", assert(io.open(launcher)):seek("end"))
  end
end

-- ---- modules ----

run("mkdir -p %s/lua && cd %s && ln -sfn /usr/include/linux linux && ln -sfn /usr/include/asm-generic asm-generic && "
  .. "d=/usr/include/$(gcc -print-multiarch) && ln -sfn $d/asm asm && ln -sf $d/lua*-deb-multiarch.h . && cd lua && "
  .. "ln -sf $d/lua*-deb-multiarch.h .", HEADERS, HEADERS)

for _, lua in ipairs(proof.size({ "5.4" }, { "5.1", "5.2", "5.3", "5.4" })) do
  local musl, aarch64 = ("%s/musl/%s/ns/core.so"):format(OUT, lua), ("%s/aarch64/%s/ns/core.so"):format(OUT, lua)
  if build("the module with musl for Lua " .. lua, "musl-gcc -idirafter " .. HEADERS, "musl", "all", lua) then
    local _, needs = run("readelf -d %s | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p'", musl)
    proof.check(needs == "libc.so\n", "the module with musl for Lua %s needs %s", lua, needs)
  end
  local cross = "aarch64-linux-gnu-gcc -idirafter " .. HEADERS .. "/lua"
  if build("the module on aarch64 for Lua " .. lua, cross, "aarch64", "all", lua) then
    proof.check(machine_of(aarch64) == "AArch64", "the module on aarch64 for Lua %s is for %s", lua, machine_of(aarch64))
  end
end

-- ---- a start by what was built with musl ----

local NEWUTS = core.constants.clone.NEWUTS
local STEPS = {
  { op = "sethostname", data = "musl-box" },
  { op = "close", fd = 3, to = -1 },
  { op = "exec", paths = { "/bin/sh" }, argv = { "sh", "-c", "hostname; ls /proc/self/fd | wc -l; exit 7" },
    env = { "PATH=/bin:/usr/bin" }, data = "sh" },
}

local function start(title, cc)
  local starter = ("%s/starter-%s"):format(OUT, title)
  local ok, text = run("%s -std=gnu11 -O2 -D_GNU_SOURCE -DLAUNCHER='\"%s/%s/launcher\"' -o %s "
    .. "proof/starter.c src/core/spawn.c src/core/child.c src/core/image.c src/core/io.c "
    .. "$(ls src/launcher/*.c | grep -v start.c)",
    cc, OUT, title, starter)
  if not proof.check(ok and text == "", "the starter with %s: %s", title, text) then return end
  write(OUT .. "/plan", core.encode(STEPS):bytes())
  local _, said = run("unshare -r %s %s/plan %d; echo $?", starter, OUT, NEWUTS)
  proof.check(said == "musl-box\n4\n7\n", "a start with %s: %s", title, said)
  STEPS[3].paths = { "/nope" }
  write(OUT .. "/plan", core.encode(STEPS):bytes())
  _, said = run("unshare -r %s %s/plan %d; echo $?", starter, OUT, NEWUTS)
  proof.check(said == "step 3: error 2\n127\n", "a refused start with %s: %s", title, said)
  STEPS[3].paths = { "/bin/sh" }
end

start("musl", "musl-gcc -static -idirafter " .. HEADERS)
proof.finish()
