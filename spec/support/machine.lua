--- What this machine allows, asked once by trying; and small tools for the specs.
local core = require "ns.core"
local ns = require "ns"

local machine = {}

machine.lua = arg and arg[-1] or "lua"
for i = 0, -20, -1 do
  if arg and arg[i] then machine.lua = arg[i] end
end

--- "5.4", and where its lua.h is.
machine.version = _VERSION:match("%d%.%d")
machine.include = "/usr/include/lua" .. machine.version
if not require("lfs").attributes(machine.include) then -- tools/lua55.sh
  machine.include = ("%s/build/lua%s/include"):format(require("lfs").currentdir(), machine.version)
end

machine.root = core.ids().euid == 0

--- The whole of a file, or nil.
function machine.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

--- What makes root an ordinary user, a shell line; where nobody may set groups, he keeps root's.
machine.as_user = "setpriv --reuid=65534 --regid=65534 "
  .. ((machine.read "/proc/self/setgroups" or ""):find "deny" and "--keep-groups" or "--clear-groups")

--- The project's directory, and a copy of what users need that nobody may read too.
machine.top = require("lfs").currentdir()


local public

--- A directory with the module, its specs and its builds that an ordinary user can read, where programs can be executed;
-- removed at the end of all specs.
function machine.public()
  if not public then
    local line = "for d in /tmp /var/tmp /dev/shm; do d=$(mktemp -d $d/lua_XXXXXX) && cp /bin/true $d/ && "
      .. "$d/true 2>/dev/null && echo $d && break; rm -rf $d; done"
    local pipe = io.popen(line)
    public = pipe:read("*l")
    pipe:close()
    line = "rm D/true && chmod 755 D && mkdir D/proof D/build && cp -r bin lua examples spec tools D && "
      .. "cp proof/*.lua D/proof && cp -r build/5.* D/build && chmod -R a+rX D"
    assert(os.execute((line:gsub("D", public))))
  end
  return public
end

--- The program that is built from spec/support/NAME.c, where every user can run it.
function machine.program(name)
  local path = machine.public() .. "/" .. name
  if not require("lfs").attributes(path) then
    local r = ns.run { "gcc", "-O1", "-D_GNU_SOURCE", "-o", path, ("spec/support/%s.c"):format(name) }
    if not (r and r.ok) then error(r and r.stderr or "gcc does not start", 2) end
  end
  return path
end

--- The command that runs another for which these system calls fail: for `under` of machine.host.
function machine.refuse(errno, ...)
  local argv = { machine.program("refuse"), errno, ... }
  argv[#argv + 1] = "--"
  return argv
end

function machine.remove_public()
  if public then os.execute("rm -rf " .. public) end
  public = nil
end

--- The variables by which an interpreter of this version finds the module in `directory`.
function machine.paths(directory)
  local version = machine.version
  local path = ("%s/lua/?.lua;%s/lua/?/init.lua;;"):format(directory, directory)
  local cpath = ("%s/build/%s/?.so;;"):format(directory, version)
  local suffix = version == "5.1" and "" or "_" .. version:gsub("%.", "_")
  return { ["LUA_PATH" .. suffix] = path, ["LUA_CPATH" .. suffix] = cpath, LUA_PATH = path, LUA_CPATH = cpath,
    LUA_INIT = os.getenv("NS_STRICT") and "require 'pl.strict'" }
end

--- Runs a shell line inside `spec` and returns its output without the last newline.
function machine.sh(spec, line)
  local copy = {}
  for k, v in pairs(spec) do copy[k] = v end
  copy.argv = { "sh", "-c", line }
  local r = assert(ns.run(copy))
  if not r.ok then error(("'%s': %s\n%s"):format(line, tostring(r), r.stdout), 2) end
  return (r.stdout:gsub("\n$", ""))
end

--- Runs Lua code in an interpreter of its own, as this user or (`nobody = true`) as an ordinary one; a result as from
-- ns.run. `options.spec` has more words for it, `options.under` a command that it is run by.
function machine.host(code, options)
  options = options or {}
  local argv = {}
  for word in (options.nobody and machine.root and machine.as_user or ""):gmatch("%S+") do argv[#argv + 1] = word end
  for _, word in ipairs(options.under or {}) do argv[#argv + 1] = word end
  for _, word in ipairs { machine.lua, "-e", code } do argv[#argv + 1] = word end
  local spec = { argv = argv, env = machine.paths(machine.public()), cwd = "/", timeout = options.timeout or 60 }
  for k, v in pairs(options.spec or {}) do spec[k] = v end
  return assert(ns.run(spec))
end

--- What a Lua expression comes to for an ordinary user, as a string; in it, sh(spec, line) gives the output of a shell line,
-- or the message of the refusal.
function machine.as_nobody(expression)
  local r = machine.host(([[
    local ns = require "ns"
    local function sh(spec, line)
      local r, message = ns.run(ns.box(spec):argv("sh", "-c", line))
      return r and (r.stdout .. r.stderr):gsub("\n$", "") or message
    end
    io.write(tostring((%s)))]]):format(expression), { nobody = true })
  return r.stdout .. r.stderr
end

local function try(spec, ...)
  spec.argv = { (...) or "true", select(2, ...) }
  local r, message = ns.run(spec)
  return r and r.ok and true or false, message or tostring(r)
end

--- What is tried for what is no namespace.
local TRIES = {
  sandbox = function() return try(ns.sandbox():spec()) end,
  proc = function() return try { flags = "user,pid,mount", mount_proc = true } end,
  -- this interpreter in a sandbox
  lua = function() return try(ns.sandbox():spec(), machine.lua, "-v") end,
  root = function() return try { flags = machine.flags("mount"), root = "empty", system = true } end,
  -- a tree in /tmp that is given to a sandbox: root's kernel must map the ids of its file system
  tree = function()
    local directory, remove = machine.directory()
    local ok, why = try(ns.sandbox():bind(directory):spec())
    remove()
    return ok, why
  end,
  overlay = function()
    return try { flags = "user,mount", root = "empty", system = true, mounts = { { type = "overlay", lower = "/usr/bin",
      target = "/o" } } }
  end,
}

-- What came to landlock with a version of its ABI.
for name, least in pairs { landlock = 3, landlock_tcp = 4, landlock_scope = 6, landlock_unix = 9, landlock_udp = 10 } do
  TRIES[name] = function()
    local abi, why = core.landlock()
    return (abi or 0) >= least, why or ("this kernel has version %d of it"):format(abi)
  end
end

-- Root's own id may be mapped (Linux 5.12: only with CAP_SETFCAP).
TRIES.zero = function() return try { flags = "user", map = "root" } end

-- The queues that links of a network may have.
for kind, words in pairs { tbf = { rate = 1e6 }, netem = { delay = 0.01 } } do
  TRIES[kind] = function()
    local net = ns.net()
    net:link(net:host "a", net:host "b", words)
    local ok, why = net:start()
    net:close()
    return ok ~= nil, why
  end
end

-- A control group of its own, with limits.
TRIES.limits = function() return try { limits = { memory = "100m", pids = 100, cpu = 1 } } end

TRIES.memfd = function() return try {} and core.launcher_way() == "memfd", "memfds cannot be executed here" end

-- What a program leaves behind at its end is found.
TRIES.leftovers = function()
  return try({}, "sh", "-c", "read -r pid rest </proc/self/stat; [ $pid = $$ ]"), "/proc is that of another pid namespace"
end

TRIES.openat2 = function()
  return assert(ns.run { machine.program "resolve" }).ok, "there is none to compare with"
end

TRIES.python = function() return try({}, "/usr/bin/python3", "-V") end
-- The program pasta, with a device that it may open.
TRIES.pasta = function() return try({}, "sh", "-c", "command -v pasta && : <>/dev/net/tun") end
for _, name in ipairs { "skopeo", "luarocks", "ping", "tcpdump", "socat" } do
  TRIES[name] = function() return try({}, "sh", "-c", "PATH=$PATH:/usr/sbin:/sbin command -v " .. name) end
end

-- Libraries that a Lua may be without.
for _, name in ipairs { "cqueues", "luv", "socket" } do
  TRIES[name] = function()
    local r = assert(ns.run { machine.lua, "-e", ("require '%s'"):format(name) })
    return r.ok, "there is none for Lua " .. machine.version
  end
end

--- `can.user`, `can.net`, ..., `can.tree`, and `can.overlay`, one that is thrown away in a user namespace: true, or false
-- and machine.why[name] says why.
machine.why = {}
machine.can = setmetatable({}, { __index = function(can, name)
  local ok, why
  if TRIES[name] then
    ok, why = TRIES[name]()
  else
    ok, why = try { flags = name == "user" and "user" or machine.flags(name) }
  end
  machine.why[name] = why
  rawset(can, name, ok)
  return ok
end })

--- What is missing of `names`, and why.
local function missing(names)
  for _, name in ipairs(names) do
    if not machine.can[name] then return name .. ": " .. machine.why[name] end
  end
end

--- In place of busted's function of this name, for what this machine cannot do: a pending test with the reason.
function machine.without(kind, why)
  local busted = require "busted"
  if kind == "it" then return function(title) busted.pending(("%s [%s]"):format(title, why)) end end
  return function(title)
    busted.describe(title, function() busted.pending(("is not to be had [%s]"):format(why)) end)
  end
end

--- `it`, or a pending one with the reason, when the machine cannot do all of `names`.
function machine.it(...)
  local why = missing { ... }
  return why and machine.without("it", why) or require("busted").it
end

--- The same for `describe`.
function machine.describe(...)
  local why = missing { ... }
  return why and machine.without("describe", why) or require("busted").describe
end

--- Flags for new namespaces: an ordinary user needs one for users around all others.
function machine.flags(...) return machine.root and { ... } or { "user", ... } end

--- Runs only as root: a pending one elsewhere.
function machine.root_it(title, body)
  local busted = require "busted"
  if machine.root then return busted.it(title, body) end
  return busted.pending(title .. " [needs root]")
end

--- A directory that is removed by its `remove` function.
function machine.directory()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir -m 755 " .. path))
  return path, function() os.execute("rm -rf " .. path) end
end

--- How many processes have `word` as one of their arguments.
function machine.processes(word)
  local line = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -cxF -e'%s' || true" -- "-e": not grep itself
  local f = io.popen(line:format(word))
  local count = f:read("*n")
  f:close()
  return count - 0
end

--- Asks `condition` again and again, for up to `seconds` (default 30: a busy machine is slow), until it is true; an error if
-- it never is.
function machine.eventually(condition, seconds)
  local deadline = core.clock() + (seconds or 30)
  while not condition() do
    if core.clock() > deadline then error("it did not come true", 2) end
    ns.run { "sleep", "0.02" }
  end
end

--- How many descriptors we have.
function machine.descriptors()
  local n = 0
  for _ in require("lfs").dir("/proc/self/fd") do n = n + 1 end
  return n
end

--- Waits for a process and closes it, which the collector would do later: its status.
function machine.status(p)
  local ok, how, code = assert(p):wait()
  p:close()
  return ok, how, code
end

--- Writes a file and returns its path.
function machine.file(path, text, mode)
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  if mode then os.execute(("chmod %s %s"):format(mode, path)) end
  return path
end

--- The names of all modules in Lua, in order.
function machine.modules()
  local list, pipe = {}, io.popen("find lua -name '*.lua' | sort")
  for path in pipe:lines() do
    list[#list + 1] = path:match("^lua/(.*)%.lua$"):gsub("/init$", ""):gsub("/", ".")
  end
  pipe:close()
  return list
end

--- Are the mounts shared, as on each machine of systemd?
machine.shared = machine.read("/proc/self/mountinfo"):find(" / / [^\n]* shared:") ~= nil

return machine
