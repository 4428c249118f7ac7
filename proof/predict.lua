--- The model: what a program must see under a spec, told from the documentation alone. `host`: root, base (the report of a
-- program without any word), ids (uid and gid outside).
local predict = {}

local ALL_CAPS = 0x1ffffffffff
local CAP = { chown = 0, CAP_KILL = 5, net_admin = 12, SYS_ADMIN = 21, setpcap = 8 }
local PERSONA = { addr_no_randomize = 0x40000, addr_compat_layout = 0x200000, whole_seconds = 0x2000000 }
local FILE = { user = "user", mount = "mnt", pid = "pid", net = "net", ipc = "ipc", uts = "uts", cgroup = "cgroup",
  time = "time" }

--- The id that the program starts with in a map.
local function first(map)
  for _, r in ipairs(map) do
    if r[1] == 0 then return 0 end
  end
  return map[1][1]
end

local function own_id(spec, set, host, what)
  local outside, map = host.ids[what], spec[what .. "_map"]
  if not set.user then return outside end
  if map then return first(map) end
  return spec.map == "self" and outside or 0
end

local function thrice(id)
  return ("%d %d %d"):format(id, id, id)
end

local function ids(want, spec, set, host)
  want.uid = thrice(spec.user or own_id(spec, set, host, "uid"))
  want.gid = thrice(spec.group or own_id(spec, set, host, "gid"))
  local list = spec.groups and table.move(spec.groups, 1, #spec.groups, 1, {}) or {}
  table.sort(list)
  want.groups = table.concat(list, " ")
end

local function hex(mask)
  return ("%016x"):format(mask)
end

local function capabilities(want, spec, set, host)
  local bounding = set.user and ALL_CAPS or tonumber(host.base.CapBnd, 16)
  local root = want.uid == "0 0 0"
  local inherited, permitted = 0, root and bounding or 0
  if spec.caps then
    for _, name in ipairs(spec.caps) do inherited = inherited | 1 << CAP[name] end
    bounding, permitted = inherited, inherited
  end
  -- no_setuid_fixup: an id change takes nothing; exec gives what is ambient or root's all the same
  want.CapInh, want.CapAmb = hex(inherited), hex(inherited)
  want.CapPrm, want.CapEff, want.CapBnd = hex(permitted), hex(permitted), hex(bounding)
end

local function limits(want, spec, host)
  local number = { cpu = 0, fsize = 1, data = 2, core = 4, nofile = 7, memlock = 8, sigpending = 11, msgqueue = 12 }
  for i = 0, 15 do want["rlimit." .. i] = host.base["rlimit." .. i] end
  for name, value in pairs(spec.rlimits or {}) do
    local pair = type(value) == "table" and value or { soft = value, hard = value }
    want["rlimit." .. number[name]] = ("%d %d"):format(pair.soft, pair.hard)
  end
  want.nice = tostring(spec.nice or host.base.nice)
  want.scheduler = ({ other = "0 0", batch = "3 0", idle = "5 0" })[spec.scheduler] or host.base.scheduler
  want.ioprio = spec.ioprio and tostring(2 << 13 | spec.ioprio.level) or host.base.ioprio
  want.affinity = spec.affinity and "0" or host.base.affinity
  want.personality = spec.personality and tostring(PERSONA[spec.personality]) or host.base.personality
  want.oom_score_adj = tostring(spec.oom_score_adj or host.base.oom_score_adj)
end

local function environment(want, spec, host)
  for key, value in pairs(host.base) do
    if key:find("^env%.") and not spec.clear_env then want[key] = value end
  end
  for name, value in pairs(spec.env or {}) do want["env." .. name] = value or nil end
  for i, argument in ipairs(spec.argv) do want["argv." .. i - 1] = argument end
  want["argv.0"] = spec.argv0 or spec.argv[1]
end

local function has(list, name)
  for _, one in ipairs(list or {}) do
    if one == name then return true end
  end
end

local ERRNO = { EPERM = "1", ESRCH = "3", EBADF = "9", EACCES = "13", EXDEV = "18" }

--- setns(-1, 0) as a filter answers it: the default one lets pass what a capability is for.
local function filter(want, spec, host)
  local t = spec.seccomp
  want.Seccomp, want.setns = t and "2" or host.base.Seccomp, host.base.setns
  local is_open = t and not (t.default or t.rules) and has(spec.caps, "SYS_ADMIN")
  if not t or t.allow or is_open then return end
  want.setns = ERRNO[t.errno or t.rules and t.rules[1].action or "EPERM"]
end

--- Files that are opened to be written: one of the host's /proc, which in another root no path leads to; and the terminal.
local function landlock(want, spec, host)
  local all = not spec.landlock or spec.landlock.write[1] == "/"
  want.comm = (all and not (spec.landlock and spec.root)) and host.base.comm or ERRNO.EACCES
  if not all then want.tty = "0" end
end

local function has_dev(spec)
  for _, m in ipairs(spec.mounts or {}) do
    if m.type == "dev" then return true end
  end
  return not spec.root
end

--- Each interface with each of its addresses of IPv4.
local function network(want, spec, set, host)
  want.loopback = set.net and "1" or host.base.loopback
  if set.net then want["address.lo/127.0.0.1"] = "1" end
  for key in pairs(set.net and {} or host.base) do
    if key:find "^address%." then want[key] = "1" end
  end
  for name, one in pairs(type(spec.network) == "table" and spec.network.interfaces or {}) do
    want[("address.%s/%s"):format(name, one.addresses:match "^[^/]+")] = "1"
  end
end

local function process(want, spec, set, host)
  want.hostname = spec.hostname or host.base.hostname
  want.domainname = spec.domainname or host.base.domainname
  want.umask = ("%o"):format(tonumber(spec.umask or host.base.umask, 8))
  want.cwd = spec.cwd or spec.root and "/" or host.base.cwd
  want.pid1 = set.pid and not spec.init and "1" or "0"
  want.leader = (spec.pty or spec.session and not spec.init) and "1" or "0" -- an init leads the session that has no terminal
  want.tty = spec.pty and has_dev(spec) and "1" or "0"
  want.pdeathsig = spec.init and "0" or "9"
  want.NoNewPrivs = spec.no_new_privs and "1" or "0"
  want.securebits = spec.securebits and "4" or "0" -- keep_caps does not outlive exec
  want.dumpable, want.SigBlk, want.SigIgn, want.ShdPnd = "1", hex(0), hex(0), hex(0)
  want.fds = "0 1 2 9"
  network(want, spec, set, host)
  local offsets = set.time and spec.time or {}
  for _, clock in ipairs { "monotonic", "boottime" } do
    local seconds = offsets[clock] or 0
    local whole = math.floor(seconds)
    want["time." .. clock] = ("%d.%09d"):format(whole, math.floor((seconds - whole) * 1e9))
  end
end

--- Where a mount of a list is to be seen, and how: {type, ro, nosuid, nodev, noexec}.
local function mounts(spec)
  local seen = {}
  for _, m in ipairs(spec.mounts or {}) do
    local target = m.target or "/" .. m.type
    local always = m.type ~= "tmpfs" and m.type ~= "bind"
    if m.type ~= "file" and m.type ~= "dir" then
      seen[target] = { type = m.type, ro = m.ro or false, nosuid = always or not m.suid, nodev = m.type ~= "dev" and
        (always or not m.dev), noexec = always or m.exec == false }
    end
  end
  if spec.mount_proc then seen["/proc"] = { type = "proc", ro = false, nosuid = true, nodev = true, noexec = true } end
  if spec.root then seen["/"] = { type = "tmpfs", ro = true, nosuid = true, nodev = true, noexec = false } end
  return seen
end

--- All that the report must say, key by key; and the mounts that must be there.
function predict.all(spec, set, host)
  local want = {}
  ids(want, spec, set, host)
  capabilities(want, spec, set, host)
  limits(want, spec, host)
  environment(want, spec, host)
  process(want, spec, set, host)
  filter(want, spec, host)
  landlock(want, spec, host)
  return want, mounts(spec)
end

local FLAGS = { "ro", "nosuid", "nodev", "noexec" }

local function compare_mounts(differences, want, got)
  for target, m in pairs(want) do
    local line = got["mount." .. target]
    if not line then
      differences[#differences + 1] = "no mount on " .. target
    else
      local type, options = line:match("^(%S+) (.*)$")
      if m.type == "dev" then m.type = "tmpfs" end
      if m.type ~= "bind" and type ~= m.type then differences[#differences + 1] = target .. " is a " .. type end
      for _, flag in ipairs(FLAGS) do
        if ((","..options..","):find("," .. flag .. ",", 1, true) ~= nil) ~= m[flag] then
          differences[#differences + 1] = ("%s on %s: %s"):format(flag, target, options)
        end
      end
    end
  end
end

local function compare_namespaces(differences, spec, set, base, got)
  for kind, file in pairs(FILE) do
    local key = "ns." .. file
    if (got[key] ~= base[key]) ~= (set[kind] or false) then
      differences[#differences + 1] = key .. " " .. tostring(got[key])
    end
  end
  local own_keys = got.keyring ~= base.keyring
  if spec.keyring ~= "inherit" and not own_keys then differences[#differences + 1] = "the host's session keyring" end
  if spec.disable_userns and got.max_userns ~= "0" then differences[#differences + 1] = "max_userns " .. got.max_userns end
end

--- In what a report differs from the prediction: a list of texts, empty where it does not.
function predict.differences(spec, set, host, got)
  local differences = {}
  local want, places = predict.all(spec, set, host)
  for key, value in pairs(want) do
    if got[key] ~= value then
      differences[#differences + 1] = ("%s is '%s', not '%s'"):format(key, tostring(got[key]), value)
    end
  end
  for key in pairs(got) do
    if (key:find "^env%." or key:find "^address%.") and not want[key] then
      differences[#differences + 1] = key .. " is there"
    end
  end
  compare_mounts(differences, places, got)
  compare_namespaces(differences, spec, set, host.base, got)
  return differences
end

return predict
