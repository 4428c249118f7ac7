--- Random specs that are valid for who asks. `host`: root (boolean), base (the report of a program without any word).
local core = require "ns.core"

local specs = {}

local random = math.random

local function one_of(...)
  return (select(random(select("#", ...)), ...))
end

local function maybe(chance)
  return random() < (chance or 0.5)
end

local KINDS = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }

--- Names of namespaces: a set. An ordinary user needs one for users around all others.
local function namespaces(root)
  local set = {}
  for _, kind in ipairs(KINDS) do
    if maybe() then set[kind] = true end
  end
  if not root and next(set) then set.user = true end
  return set
end

--- {name, chance, needed namespaces, value(set, root, base)}: to have another word tried, add its row here and in
-- predict.lua.
local WORDS = {
  { "hostname", 0.5, "uts", function() return one_of("box", "a", ("h"):rep(64)) end },
  { "domainname", 0.3, "uts", function() return one_of("example", "d.example.org") end },
  { "umask", 0.4, nil, function() return ("0%o"):format(random(0, 511)) end },
  { "argv0", 0.3, nil, function() return one_of("", "-sh", "other name") end },
  { "session", 0.3, nil, function() return true end },
  { "keyring", 0.3, nil, function() return one_of("own", "inherit") end },
  { "no_new_privs", 0.3, nil, function() return maybe() end },
  { "nice", 0.3, nil, function(_, _, base)
    return random(math.max(math.tointeger(base.nice), 0), 19)
  end },
  { "oom_score_adj", 0.3, nil, function() return random(0, 1000) end },
  { "scheduler", 0.3, nil, function() return one_of("other", "batch", "idle") end },
  { "ioprio", 0.3, nil, function() return { class = "best-effort", level = random(0, 7) } end },
  { "affinity", 0.3, nil, function() return { 0 } end },
  { "personality", 0.2, nil, function() return one_of("addr_no_randomize", "addr_compat_layout", "whole_seconds") end },
  { "clear_env", 0.3, nil, function() return true end },
  { "env", 0.5, nil, function() return { A = one_of("", "1", "a b"), HOME = one_of("/", false), ["B-C"] = "x" } end },
  { "time", 0.7, "time", function()
    local back = math.min(random(0, 100) / 4, math.floor(core.clock())) -- no clock can go below 0
    return { monotonic = random(0, 10 ^ 6) / 8, boottime = one_of(nil, -back, random(0, 10 ^ 8)) }
  end },
  { "init", 0.3, "pid", function() return true end },
  { "disable_userns", 0.2, "user", function() return true end },
  { "sysctl", 0.2, "net", function() return { ["net.ipv4.ip_unprivileged_port_start"] = one_of(0, "80", 1024) } end },
  { "network", 0.3, "net", function()
    return one_of("none", { interfaces = { lo = { addresses = "10.1.1.1", mtu = 9000 } } },
      { interfaces = { br0 = { type = "bridge", addresses = "10.2.2.2/24" } }, routes = { { via = "10.2.2.1" } } },
      { interfaces = { a = { peer = "b", addresses = "10.3.3.3/24" }, b = { addresses = "10.3.3.4/24" } } })
  end },
  { "securebits", 0.1, nil, function(set, root)
    return (set.user or root) and { "no_setuid_fixup", "keep_caps" } or nil
  end },
}

-- The least that lets the program run.
local LIMITS = { { "cpu", 100 }, { "fsize", 1 << 20 }, { "data", 1 << 22 }, { "core", 1 }, { "memlock", 0 },
  { "sigpending", 0 }, { "msgqueue", 0 }, { "nofile", 64 } }

--- Limits at or below those of the host, which anybody may set.
local function rlimits(base)
  local result = {}
  for _, limit in ipairs(LIMITS) do
    local name, least = limit[1], limit[2]
    local most = tonumber(base["hard." .. name])
    most = (most < 0 or most > 10 ^ 9) and 10 ^ 9 or most
    if maybe(0.2) and most >= least then
      local hard = random(least, math.tointeger(most))
      result[name] = one_of(hard, { soft = random(least, hard), hard = hard })
    end
  end
  return next(result) and result or nil
end

local CAPS = { "chown", "CAP_KILL", "net_admin", "SYS_ADMIN", "setpcap" }

local function caps()
  local list = {}
  for _, name in ipairs(CAPS) do
    if maybe(0.3) then list[#list + 1] = name end
  end
  return list
end

--- Maps, and ids that are in them.
local function ids(spec, set, root)
  local most = 1
  if set.user then
    local kind = one_of("none", "root", "self", "range", root and "ranges" or "root")
    if kind == "ranges" then
      spec.uid_map = { { 0, 200000, 10 }, { 1000, 300000, 5 } }
      spec.gid_map = { { 5, 400000, 100 } }
      if maybe() then spec.user, spec.group = 1003, 7 end
      return
    end
    if kind ~= "none" then spec.map = kind end
    most = kind == "range" and root and 65536 or 1
  elseif root then
    most = 2 ^ 31
  end
  if most > 1 and maybe() then
    spec.user = random(0, most - 1)
    if maybe() then spec.group = random(0, most - 1) end
    if maybe() then spec.groups = { random(0, most - 1), random(0, most - 1) } end
  end
end

local function flags_of_mount(m)
  for _, flag in ipairs { "ro", "suid", "dev" } do
    if maybe(0.3) then m[flag] = true end
  end
  if maybe(0.3) then m.exec = false end
  return m
end

--- Mounts; where there is a new root, anywhere. What is of a kind that belongs to a namespace needs that one beside "user".
local function mounts(spec, set, host)
  local list = {}
  local function add(chance, m)
    if maybe(chance) then list[#list + 1] = m end
  end
  local new = spec.root ~= nil
  add(0.5, flags_of_mount { type = "tmpfs", target = new and one_of("/tmp", "/a/b") or "/mnt" })
  add(0.5, flags_of_mount { type = "bind", source = "/etc", target = new and one_of("/etc", "/x") or "/srv",
    idmap = false })
  if new and (set.pid or not set.user) then add(0.5, { type = "proc", ro = maybe() }) end
  if new then add(0.5, { type = "dev" }) end
  if new and (set.ipc or not set.user) then add(0.3, { type = "mqueue", target = "/queues" }) end
  add(new and 0.3 or 0, { type = "file", target = "/f", data = "x" })
  add(new and 0.3 or 0, { type = "dir", target = "/d/e", mode = 448 })
  if new then list[#list + 1] = { type = "bind", source = host.report, target = "/report", ro = true } end
  if #list > 0 then spec.mounts = list end
end

local function file_system(spec, set, host)
  if not set.mount then return end
  if maybe() then
    spec.root = "empty"
    if maybe(0.3) then spec.system = true end
  end
  mounts(spec, set, host)
  if not spec.root and set.pid and maybe() then spec.mount_proc = true end
  if not spec.root and maybe(0.3) then spec.cwd = one_of("/", "/etc") end
end

local FILTERS = { "default", { trace = true }, { default = "allow", deny = { "setns" }, errno = "ESRCH" },
  { allow = { "setns" } }, { rules = { { "setns", arg = { { 0, "==", -1 } }, action = "EXDEV" } } } }

--- What confines the program besides: a filter, and landlock where its report can still be written.
local function walls(spec, set, host)
  if maybe(0.3) then spec.seccomp = FILTERS[random(#FILTERS)] end
  if spec.seccomp == FILTERS[2] then
    if set.pid then spec.init = true else spec.seccomp = "default" end
  end
  if host.abi >= 3 and maybe(0.3) then spec.landlock = { write = { one_of("/", { path = "/etc", try = true }) } } end
  if spec.seccomp or spec.landlock then spec.no_new_privs = true end
end

--- A random spec whose program is `host.report`.
function specs.random(host)
  local set, flags, spec = namespaces(host.root), {}, {}
  for name in pairs(set) do flags[#flags + 1] = name end
  for _, row in ipairs(WORDS) do
    if maybe(row[2]) and (not row[3] or set[row[3]]) then spec[row[1]] = row[4](set, host.root, host.base) end
  end
  spec.rlimits = maybe() and rlimits(host.base) or nil
  ids(spec, set, host.root)
  file_system(spec, set, host)
  if (host.root or set.user) and maybe(0.3) then spec.caps = caps() end
  if maybe(0.1) and not spec.session then spec.pty = { rows = 10, cols = 20 } end
  walls(spec, set, host)
  spec.flags, spec.argv = flags, { spec.root and "/report" or host.report, "one", "two words" }
  return spec, set
end

return specs
