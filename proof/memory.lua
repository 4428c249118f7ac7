--- Memory that runs out: each allocation of Lua, and each of the module's own C code, is refused once, in all that a host
-- does with a program. The state that has seen it must do the same again, and nothing is left behind.
local machine = require "support.machine"
local ns = require "ns"
local proof = require "proof"

local ACTIONS = {
  load = [[
    for name in pairs(package.loaded) do
      if name:find("^ns") then package.loaded[name] = nil end
    end
    ns = require "ns"
    assert(assert(ns.run { "true" }).ok)]],
  spawn = [[
    local p = assert(ns.spawn { "true", stdin = "pipe", stdout = "pipe", stderr = "null", fds = { [5] = 0 },
      env = { A = "1" } })
    assert(p:wait())]],
  namespaces = [[
    assert(ns.spawn { "true", flags = { "user", "pid", "mount" }, mount_proc = true, map = "root" }):wait()]],
  init = [[
    local p = assert(ns.spawn { "true", flags = { "user", "pid", "mount" }, mount_proc = true, init = true })
    assert(p:wait())]],
  detach = [[
    local p = assert(ns.spawn { "true", detach = true })
    repeat until p:wait() ~= nil]],
  wait = [[
    local p = assert(ns.spawn { "sleep", "0.005" })
    p:wait(0)
    p:wait(0.001)
    assert(p:wait() and p:usage() and tostring(p))]],
  read = [[
    local p = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    assert(p.stdin:write("one\n", ("two"):rep(3000), "\n3"))
    assert(p.stdin:close())
    assert(p.stdout:read() == "one")
    for line in p.stdout:lines() do assert(line == ("two"):rep(3000)) break end
    assert(p.stdout:read("*a") == "3")
    assert(p:wait())]],
  close = [[
    local p = assert(ns.spawn { "sleep", "5", stdout = "pipe" })
    p:kill("USR1")
    tostring(p)
    p:close()]],
  stop = [[
    local p = assert(ns.spawn { "sh", "-c", "sleep 5 & echo; sleep 5", stdout = "pipe" })
    p.stdout:read()
    p:stop(0.01)
    p:close()]],
  run = [[
    assert(ns.run({ "cat", stdin = ("x"):rep(1000), max_output = 500, timeout = 20 }).stdout == ("x"):rep(500))]],
  communicate = [[
    local p = assert(ns.spawn { "sh", "-c", "cat; echo err >&2", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    p.stdin:write("sent, ")
    p.stdin:flush()
    p.stdin:write(("by hand, "):rep(9))
    local r = assert(p:communicate(("x"):rep(10000)))
    assert(r.ok and #r.stdout == 10087 and r.stderr == "err\n")]],
  pty = [[
    local p = assert(ns.spawn { "sh", "-c", "read x; stty size; echo $x", pty = { rows = 10, cols = 20 } })
    assert(p:resize(11, 21))
    p.pty:write("typed\n")
    local r = assert(p:communicate())
    assert(r.ok and r.stdout:find("11 21\r\ntyped\r\n"), r.stdout)]],
  sandbox = [[
    assert(assert(ns.sandbox():run("true")).ok)]],
  words = [[
    local box = ns.sandbox():overlay("/usr/lib", "/work", { idmap = true }):file("/etc/motd", "hello"):umask(63)
      :rlimits({ nofile = 64 }):user(0):hostname("web"):cwd("/work")
    assert(assert(box:clone():run("cat", "/etc/motd")).stdout == "hello")]],
  refusal = [[
    local r, message, errno, detail = ns.run { "/nope" }
    assert(not r and message:find("No such file") and errno == 2 and detail.step == "exec")]],
  ["refusal inside"] = [[
    local r, message, _, detail = ns.sandbox():bind("/nope"):run("true")
    assert(not r and message:find("/nope") and detail.word == "mounts")]],
  mistake = [[
    local ok, message = pcall(ns.run, { "true", hostnam = "x" })
    assert(not ok and message:find("did you mean 'hostname'"))]],
  ask = [[
    assert(ns.check { "true", flags = { "user" } })
    assert(#ns.explain(ns.sandbox():argv("true")) > 100)]],
}

-- The long string: Lua 5.4 makes the class of its buffers for the first one, and is broken if memory runs out just then.
local HOST = 'local _, ns = ("x"):rep(100000), %s\nreturn function()\n%s\nend\n'
local build = os.getenv("BUILD") or "build"
local directory, remove = machine.directory()

local function sh(line, ...)
  local r = assert(ns.run { "sh", "-c", line:format(...) })
  assert(r.ok, tostring(r))
end

local function paths(core)
  return { LUA_PATH = "lua/?.lua;lua/?/init.lua", LUA_CPATH = core .. "/?.so", LUA_PATH_5_2 = false, LUA_PATH_5_3 = false,
    LUA_PATH_5_4 = false, ASAN_OPTIONS = "detect_leaks=1", UBSAN_OPTIONS = "halt_on_error=1:print_stacktrace=1" }
end

--- Builds the host for a version of Lua, and the module with `flags` if there are any: the host's path, the module's.
local function make(name, version, flags)
  local host, core = ("%s/alloc-%s"):format(directory, name), ("%s/%s"):format(build, version)
  sh("gcc -g -O1 -rdynamic %s -o %s spec/support/alloc.c -I/usr/include/lua%s -llua%s -lm -ldl", flags or "", host, version,
    version)
  if flags then
    sh("make -s BUILD=%s/%s LUA_VERSION=%s CFLAGS='-g -O1 -fPIC -include proof/heap.h %s'", directory, name, version, flags)
    core = ("%s/%s/%s"):format(directory, name, version)
  end
  return host, core
end

local names = {}
if not machine.root then
  ACTIONS.words = nil
  proof.skip("an idmapped tree: needs root")
end
for name in pairs(ACTIONS) do names[#names + 1] = name end
table.sort(names)

local function try(title, host, core, which, how, stride)
  local total = 0
  proof.lanes(2, names, function(name)
    local every = name == "load" and which == "lua" and stride * 7 or stride -- thousands, and all alike
    local module = name == "load" and "nil" or 'require "ns"'
    local script = machine.file(("%s/%s.lua"):format(directory, name), HOST:format(module, ACTIONS[name]))
    return ns.spawn { host, script, which, how, ("%d"):format(every), env = paths(core), timeout = 900,
      stdin = "null", stdout = "pipe", stderr = "pipe" }
  end, function(name, r)
    local count = r.stdout:match("^(%d+) allocations refused: clean\n$")
    proof.check(count and r.ok and r.stderr == "", "%s, %s, %s: %s %s", title, name, how, r.stdout, tostring(r))
    total = total + (count or 0)
  end)
  proof.figure(title .. ", " .. how, "%d refused", total)
  return total
end

for _, version in ipairs(proof.long and { "5.1", "5.2", "5.3", "5.4" } or { "5.4" }) do
  local host, core = make(version, version)
  local between = version == "5.2" or version == "5.3" -- what differs is tried in 5.1 or in 5.4
  for _, how in ipairs { "on", "once" } do
    local total = try("allocations of Lua " .. version, host, core, "lua", how, proof.size(97, between and 4 or 1))
    local least = proof.size(90, between and 2000 or 9000)
    proof.check(total > least, "only %d allocations of Lua %s were tried", total, version)
  end
end

local host, core = make("heap", "5.4", " ")
for _, how in ipairs { "on", "once" } do
  proof.check(try("allocations of the module", host, core, "heap", how, 1) > 20, "too few allocations of the module")
end

if proof.long then
  -- with leaks found too
  host, core = make("asan", "5.4", "-fsanitize=address,undefined -fno-omit-frame-pointer")
  for _, which in ipairs { "lua", "heap" } do
    for _, how in ipairs { "on", "once" } do try("under ASan and UBSan, " .. which, host, core, which, how, 1) end
  end
end

remove()
proof.finish()
