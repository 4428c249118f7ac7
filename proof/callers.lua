--- One small suite (suite.lua) in many hosts: each Lua, under tools that look into memory, in containers of other kinds, and
-- with whatever a careless parent leaves behind. Then eight threads with a Lua state each.
local proof = require "proof"
local machine = require "support.machine"
local ns = require "ns"

local LUAS = { "lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit" }
local SHELL = { "sh", "-c" }

local function sh(line)
  return { SHELL[1], SHELL[2], line .. ' exec "$@"', "sh" }
end

local function perl(line)
  return { "perl", "-MPOSIX", "-e", line .. " exec @ARGV" }
end

local BLOCK_ALL = "$s = POSIX::SigSet->new; $s->fillset; sigprocmask(SIG_BLOCK, $s);"
local VALGRIND = { "valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
  "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite", "--suppressions=proof/valgrind.supp" }

-- name, the command that the interpreter is run by. `build`: another build of the module, `preload`: a library for it.
local hosts = {
  { "as it is", {} },
  { "an ordinary user", { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" } },
  { "valgrind", VALGRIND },
  { "ASan and UBSan", {}, build = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined",
    preload = "libasan.so" },
  { "in bwrap", { "bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all" } },
  { "in bwrap, as an ordinary user", { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bwrap", "--bind", "/",
    "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all" } },
  { "in unshare -Ur", { "unshare", "-Ur" } },
  { "in unshare -Urm, as an ordinary user", { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "unshare",
    "-Urm" } },
  { "in a chroot", { "unshare", "-m", "sh", "-c", 'mount --rbind / /mnt && exec chroot /mnt "$@"', "sh" } },
  { "stdio closed", sh "exec <&- >&- 2>&-;" },
  { "umask 0", sh "umask 0;" },
  { "umask 077", sh "umask 077;" },
  { "SIGPIPE and SIGCHLD ignored", perl '$SIG{PIPE} = $SIG{CHLD} = "IGNORE";', needs = "pidfd_info" },
  { "all signals blocked", perl(BLOCK_ALL) },
  { "16 descriptors", { "prlimit", "--nofile=16" } },
}

local function version_of(lua)
  return lua == "luajit" and "5.1" or lua:sub(4)
end

--- Builds the module once more, for each version.
local function build(lua, flags)
  local version, directory = version_of(lua), machine.public() .. "/sanitized"
  local line = "make -s BUILD=build/proof/sanitized LUA_VERSION=%s CFLAGS='%s' && mkdir -p %s && "
    .. "cp -r build/proof/sanitized/%s %s/ && chmod -R a+rX %s"
  local r = assert(ns.run { "sh", "-c", line:format(version, flags, directory, version, directory, directory) })
  assert(r.ok, tostring(r))
  return directory .. "/" .. version .. "/?.so"
end

local function library(name)
  return (assert(ns.run { "gcc", "-print-file-name=" .. name }).stdout:gsub("%s+$", ""))
end

local function environment(lua, host)
  local public = machine.public()
  local env = { LUA_PATH = ("%s/lua/?.lua;%s/lua/?/init.lua;;"):format(public, public),
    LUA_CPATH = host.build and build(lua, host.build) or ("%s/build/%s/?.so;;"):format(public, version_of(lua)) }
  for _, suffix in ipairs { "_5_2", "_5_3", "_5_4" } do
    env["LUA_PATH" .. suffix], env["LUA_CPATH" .. suffix] = env.LUA_PATH, env.LUA_CPATH
  end
  if host.preload then
    env.LD_PRELOAD, env.ASAN_OPTIONS = library(host.preload), "detect_leaks=0:abort_on_error=1"
  end
  return env
end

--- The suite in one host; its line, or why there is none.
local function play(lua, host)
  local said, argv = os.tmpname(), table.move(host[2], 1, #host[2], 1, {})
  os.execute("chmod 666 " .. said)
  for _, word in ipairs { lua, machine.public() .. "/proof/suite.lua", said } do argv[#argv + 1] = word end
  local r = assert(ns.run { argv = argv, env = environment(lua, host), timeout = 120 })
  local line = machine.read(said):gsub("\n$", "")
  os.remove(said)
  proof.check(r.ok and line ~= "", "%s, %s: %s\n%s", host[1], lua, line, tostring(r))
  return line:match("refused by name: [^;]*")
end

--- The Luas that play a host: all in the long form; in the short one the host as it is on each, the others on one.
local function luas_of(i)
  local list = {}
  for _, lua in ipairs(LUAS) do
    if proof.long or i == 1 or lua == "lua5.4" then list[#list + 1] = lua end
  end
  return list
end

local features = ns.features()
local cells = 0
for i, host in ipairs(hosts) do
  if host.needs and not features[host.needs].ok then
    proof.skip("%s: %s", host[1], features[host.needs].reason)
  else
    local refused
    for _, lua in ipairs(luas_of(i)) do
      refused = play(lua, host) or refused
      cells = cells + 1
    end
    if refused then proof.figure(host[1], refused) end
  end
end
proof.figure("cells of host and Lua", "%d", cells)

--- Eight threads of one C host, each with a Lua state and so many spawns.
local function threads(count)
  local binary, tsan = "build/proof/threads", "build/proof/threads-tsan"
  local sources = "proof/threads.c $(ls src/core/*.c src/launcher/*.c | grep -v -e start.c -e child.c)"
  local line = "mkdir -p build/proof && gcc -c -O2 -fPIC -D_GNU_SOURCE src/core/child.c -o build/proof/child.o && "
    .. "gcc -O1 -g -D_GNU_SOURCE %s -DLAUNCHER='\"build/launcher\"' -I/usr/include/lua5.4 %s build/proof/child.o -o %s "
    .. "-llua5.4 -lpthread"
  -- __clone: ThreadSanitizer takes the other name for a fork, and gives up
  for name, flags in pairs { [binary] = "", [tsan] = "-fsanitize=thread -Dclone=__clone" } do
    local built = assert(ns.run { "sh", "-c", line:format(flags, sources, name) })
    assert(built.ok, tostring(built))
    local r = assert(ns.run { name, tostring(name == tsan and count / 10 or count), timeout = 600,
      env = { LUA_PATH = "lua/?.lua;lua/?/init.lua", TSAN_OPTIONS = "halt_on_error=0 exitcode=66" } })
    proof.check(r.ok and r.stdout:find("^8 threads, 0 failures"), "%s: %s%s", name, r.stdout, tostring(r))
    proof.figure(name == tsan and "threads, ThreadSanitizer" or "threads", r.stdout:gsub("\n", ""))
  end
end

threads(proof.size(50, 500))
proof.finish()
