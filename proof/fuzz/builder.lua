--- Bytes -> a spec that is nearly right: it knows the words, the kinds of mounts and their fields.
local core = require "ns.core"
local kinds = require("ns.words.mount_kinds").all
local namespaces = require "ns.words.namespaces"
local plan = require "ns.start.plan"
local reader = require "fuzz.reader"
local sorted = require "ns.words.sorted"

local byte, pick, chance, number, text, path, junk =
  reader.byte, reader.pick, reader.chance, reader.number, reader.text, reader.path, reader.junk

local function boolean() return byte() % 2 == 0 end

local function one_of(...)
  local names = { ... }
  return function() return chance(16) and text() or pick(names) end
end

-- ---- fields of the mounts ----

local function ranges()
  return reader.list(3, function() return { number(), number(), number() } end)
end

local FIELDS = { source = function() return chance(6) and number() or path() end, target = path, to = path, upper = path,
  work = path, lower = function() return boolean() and path() or reader.list(3, path) end,
  size = function() return boolean() and pick { "64k", "1m", "50%", "2g", "0" } or chance(3) and text() or number() end,
  idmap = function() return chance(2) and ranges() or pick { true, false, "owner", "other" } end, inodes = number,
  hidepid = one_of("off", "noaccess", "invisible", "ptraceable"), subset = one_of("pid"), data = text }

local KINDS = sorted.keys(kinds)
local PROPAGATIONS = one_of("private", "slave", "shared", "unbindable")

local NAMES_OF = { [false] = sorted.keys(FIELDS) }
for name, kind in pairs(kinds) do NAMES_OF[name] = sorted.keys(kind.fields) end

local function mount()
  local m = { type = chance(32) and text() or pick(KINDS) }
  for _, field in ipairs(NAMES_OF[m.type] or NAMES_OF[false]) do
    local wanted = kinds[m.type] and (kinds[m.type].requires or {})[1] == field
    if (wanted or boolean()) and not chance(24) then
      local make = FIELDS[field] or boolean
      if field == "mode" then make = m.type == "propagation" and PROPAGATIONS or number end
      m[field] = chance(32) and junk() or make()
    end
  end
  if m.upper and not m.work and not chance(4) then m.work = path() end
  return m
end

-- ---- words ----

local CAPS, RLIMITS = sorted.keys(core.constants.cap), sorted.keys(core.constants.rlimit)

local function cap()
  local name = pick(CAPS)
  return chance(8) and "all" or chance(3) and "CAP_" .. name or chance(3) and name:lower() or chance(16) and text() or name
end

local function limit() return chance(4) and "unlimited" or number() end

local function rlimits()
  local t = {}
  for _ = 1, byte() % 4 do
    local name = chance(16) and text() or pick(RLIMITS):lower()
    t[name] = boolean() and limit() or { soft = limit(), hard = not chance(16) and limit() or nil }
  end
  return t
end

local function id() return chance(8) and pick { "root", "nobody", "no such user" } or number() end

local function stream(...)
  local kind = one_of("inherit", "null", "pipe", ...)
  return function()
    if boolean() then return kind() end
    if chance(2) then return { path = path(), append = chance(3) and boolean() or nil } end
    return pick { 0, 1, 2, 77, io.stdout, io.stdin }
  end
end

local function env()
  local t = {}
  for _ = 1, byte() % 4 do
    t[chance(8) and text() or pick { "PATH", "A", "HOME", "LANG" }] = chance(4) and false or text()
  end
  return t
end

local function fds()
  local t = {}
  for _ = 1, byte() % 4 do t[chance(16) and reader.key() or 3 + byte() % 12] = pick { 0, 1, 2, 4, 5, io.stdout } end
  return t
end

local SECUREBITS = { "noroot", "keep_caps", "no_cap_ambient_raise", "noroot_locked", "nonsense" }
local PERSONAS = { "linux32", "uname26", "addr_no_randomize", "nonsense" }
local seconds = function() return chance(2) and number() or byte() / 16 end

local function landlock()
  local t = {}
  for _ = 1, byte() % 5 do
    local name = pick { "read", "write", "execute", "unix_connect", "tcp_connect", "tcp_bind", "udp_bind", "scope", "x" }
    local item = name:find "_" and number or function() return chance(4) and { path = path(), try = boolean() } or path() end
    t[name] = name == "scope" and pick { "signal", "abstract_unix", "none" } or reader.list(3, item)
  end
  return t
end

local function seccomp()
  if chance(4) then return pick { "default", false, "strict" } end
  local call = function() return chance(8) and number() or pick { "read", "execve", "socket", "mount", "nonsense" } end
  local action = function() return pick { "allow", "kill", "EPERM", "nonsense", 5 } end
  local test = function() return { byte() % 7, pick { "==", "<", "&" }, number(), chance(2) and number() or nil } end
  local rule = function() return { call(), action = action(), arg = boolean() and reader.list(3, test) or nil } end
  return { default = boolean() and action() or nil, allow = reader.list(3, call), deny = reader.list(2, call),
    rules = reader.list(3, rule), bpf = chance(8) and text() or nil, trace = chance(3) and boolean() or nil }
end

-- ---- the network ----

local INTERFACES = { "lo", "eth0", "br0", "a", "b" }
local ADDRESSES = { "10.0.0.1/24", "10.0.0.2", "fd00::1/64", "::1", "127.0.0.2/8", "::ffff:1.2.3.4/96", "1.2.3.4/33" }

local function address() return chance(8) and text() or pick(ADDRESSES) end
local function bare() return (address():gsub("/.*", "")) end

local function interface()
  return { type = chance(2) and pick { "dummy", "bridge", "veth", "vlan" } or nil, addresses = reader.list(3, address),
    mtu = chance(3) and number() or nil, mac = chance(6) and (boolean() and "02:00:00:00:00:01" or text()) or nil,
    peer = chance(3) and pick(INTERFACES) or nil, bridge = chance(3) and pick(INTERFACES) or nil,
    up = chance(4) and boolean() or nil }
end

local function route()
  return { to = boolean() and pick { "default", "10.1.0.0/16", "fd01::/64", "10.0.0.1/8" } or nil,
    via = boolean() and bare() or nil, interface = chance(3) and pick(INTERFACES) or nil,
    type = chance(3) and pick { "blackhole", "prohibit", "local" } or nil }
end

local function sysctl()
  local name = pick { "net.ipv4.ip_forward", "net/core/x", "net.", "kernel.x", "net.ipv4/../x", "net.ipv4.conf.eth0.x" }
  return { [name] = boolean() and number() or text() }
end

local function network()
  if chance(3) then return pick { "none", "host", "pasta", "bridge" } end
  local t = { interfaces = {}, routes = reader.list(3, route), sysctl = chance(3) and sysctl() or nil }
  for _ = 1, byte() % 4 do t.interfaces[chance(16) and text() or pick(INTERFACES)] = interface() end
  if chance(3) then t.hosts = { [chance(4) and text() or "db"] = boolean() and bare() or reader.list(3, bare) } end
  if chance(3) then t.dns = reader.list(4, bare) end
  if t.dns and chance(3) then t.dns.search = reader.list(2, text) end
  if chance(6) then t[1] = pick { "none", "host", "pasta" } end
  return t
end

local ENDPOINTS = {
  "127.0.0.1:80", "db:5432", "[::1]:0", "0.0.0.0:8080", "/run/s", "@name", ":1", "a:b:1", "[fd00::7]:65536" }

local function endpoint() return chance(3) and number() or chance(8) and text() or pick(ENDPOINTS) end

local function ports()
  local t = {}
  for _ = 1, byte() % 4 do
    local key = chance(8) and reader.key() or endpoint()
    if key == key then t[key] = endpoint() end -- NaN is none
  end
  return t
end

local WORDS = {
  network = network, publish = ports, reach = function() return boolean() and ports() or reader.list(3, endpoint) end,
  map = one_of("root", "self", "auto", "range"), uid_map = ranges, gid_map = ranges, setgroups = one_of("allow", "deny"),
  pty = function() return boolean() or { rows = number(), cols = number() } end, keyring = one_of("own", "inherit"),
  propagation = one_of("private", "slave"), oom_score_adj = number,
  root = function() return boolean() and "empty" or path() end,
  time = function() return { monotonic = number(), boottime = chance(2) and seconds() or nil } end,
  mounts = function() return reader.list(6, mount) end, mount_proc = function() return boolean() or path() end,
  sysctl = sysctl,
  hostname = text, domainname = text, input = text, stdin = stream(), stdout = stream(),
  stderr = stream("stdout"), fds = fds,
  rlimits = rlimits, nice = number, umask = number, max_output = number, timeout = seconds, grace = seconds, user = id,
  group = id, groups = function() return reader.list(4, id) end, argv0 = text, cwd = path, env = env,
  ioprio = function() return boolean() and "idle" or { class = pick { "realtime", "best-effort" }, level = number() } end,
  scheduler = function() return boolean() and "batch" or { policy = pick { "fifo", "rr" }, priority = number() } end,
  affinity = function() return boolean() and number() or reader.list(4, number) end,
  personality = function() return boolean() and pick(PERSONAS) or reader.list(3, function() return pick(PERSONAS) end) end,
  securebits = function() return reader.list(3, function() return pick(SECUREBITS) end) end,
  caps = function() return reader.list(4, cap) end,
  landlock = landlock, seccomp = seccomp,
  argv = function() return reader.list(4, text) end, args = function() return reader.list(4, text) end,
  fn = function() return print end,
}
local KINDS_OF_NS = { "net", "uts", "user", "mount", "pid", "CLONE_NEWIPC", "cgroup", "time" }

WORDS.join = function()
  local t = { from = boolean() and pick { 1, 7, 0, "x" } or nil }
  for _ = 1, byte() % 3 do t[#t + 1] = chance(8) and text() or pick(KINDS_OF_NS) end
  for _ = 1, byte() % 3 do t[pick(KINDS_OF_NS)] = chance(3) and pick { 1, 77, io.stdin } or path() end
  return t
end

local NAMES = sorted.keys(plan.words)

local function flags()
  local set, form = {}, byte()
  for i, row in ipairs(namespaces.list) do
    if math.floor(form / 2 ^ (i - 1)) % 2 == 1 then set[#set + 1] = row.name end
  end
  if chance(8) then return table.concat(set, ",") end
  if chance(8) then return namespaces.clone_flags(namespaces.check(set, "flags")) end
  return set
end

return function()
  local spec = { flags = flags(), [1] = "true" }
  if chance(16) then spec[1] = nil end
  for _ = 1, byte() % 24 do
    local word = pick(NAMES)
    if word ~= "flags" and (word ~= "argv" or chance(4)) then
      spec[word] = chance(32) and junk() or (WORDS[word] or boolean)()
      if word == "argv" or word == "fn" then spec[1] = nil end
    end
  end
  if chance(32) then spec[reader.key()] = junk() end
  return spec
end
