--- A host that spawns for a long time stays as it is: descriptors, memory, children; and the kernel gets its namespaces
-- back.
local machine = require "support.machine"
local modes = require "modes"
local ns = require "ns"
local proof = require "proof"

local WARM, MANY = proof.size(30, 1000), proof.size(90, 20000)
local BATCH = 50
local KIB = 256 -- of growth after the warm-up

modes.publish()

--- What is done again and again: the mode, and how it goes.
local PLANS = {}
for _, mode in ipairs(modes) do
  PLANS[#PLANS + 1] = modes.can(mode.name) and { mode = mode.name, nobody = mode.nobody, code = [[
    local p = assert(ns.spawn(spec))
    assert(p:wait())
    p:close()]] } or nil
end
PLANS[#PLANS + 1] = modes.can "sandbox" and { mode = "sandbox", title = "programs of one living box", code = [[
  spec.argv = nil
  box = box or assert(ns.box(spec):start())
  local p = assert(box:spawn "true")
  assert(p:wait())
  p:close()]] } or nil
PLANS[#PLANS + 1] = { mode = "no namespace", title = "run with capture", code = [[
  spec.argv, spec.stdin = { "sh", "-c", "cat; echo err >&2" }, "in"
  local r = assert(ns.run(spec))
  assert(r.stdout == "in" and r.stderr == "err\n")]] }
PLANS[#PLANS + 1] = { mode = "no namespace", title = "timeouts", few = true, code = [[
  spec.argv, spec.timeout, spec.grace = { "sleep", "5" }, 0.002, 0
  local r = ns.run(spec) -- or the start itself takes longer
  assert(not r or r.timed_out)]] }
for _, mode in ipairs { "no namespace", "user and all others", "init", "sandbox", "idmapped", "pty" } do
  PLANS[#PLANS + 1] = modes.can(mode) and { mode = mode, title = "refused, " .. mode, code = [[
    local refused = { { argv = { "/nope" } }, { cwd = "/nope" }, { stdin = { path = "/nope" } },
      { fds = { [9] = 0 }, stdout = "pipe", argv = { "/etc" } } }
    for word, value in pairs(refused[i % #refused + 1]) do spec[word] = value end
    assert(not ns.spawn(spec))]] } or nil
end

local LOOP = [[
  local lfs, ns, modes = require "lfs", require "ns", require "modes"
  local box -- a living one; its init counts as the host does
  local function of_both(count)
    return count "self" + (box and count(("%%d"):format(box.pid)) or 0)
  end
  local function descriptors()
    return of_both(function(pid)
      local n = 0
      for _ in lfs.dir(("/proc/%%s/fd"):format(pid)) do n = n + 1 end
      return n
    end)
  end
  local function memory()
    return of_both(function(pid)
      for line in io.lines(("/proc/%%s/status"):format(pid)) do
        local kib = line:match("RssAnon:%%s*(%%d+)")
        if kib then return kib - 0 end
      end
    end)
  end
  local function children()
    local f = io.open(("/proc/self/task/%%d/children"):format(require("ns.core").ids().pid))
    local text = f:read("a")
    f:close()
    return text
  end
  local function once(i)
    local spec = modes.spec(%q, { argv = { "true" } })
    %s
  end
  local most, least = 0, math.huge
  local function batch(first)
    collectgarbage("stop")
    for i = first, first + %d - 1 do once(i) end
    local now = descriptors()
    for _ = 1, box and 50 or 0 do -- the init closes those of the last program a moment later
      if now == least then break end
      require("ns.core").poll(0.01)
      now = math.min(now, descriptors())
    end
    most, least = math.max(most, now), math.min(least, now)
    assert(children() == (box and ("%%d "):format(box.pid) or ""), "a child is left")
    collectgarbage("restart")
    collectgarbage()
    collectgarbage()
  end
  for i = 1, %d, %d do batch(i) end
  most, least = 0, math.huge
  local before = memory()
  for i = 1, %d, %d do batch(i) end
  print(most - least, memory() - before)
]]

-- newuidmap believes /etc/subuid: in a mount namespace it is one of ours
local directory, remove = machine.directory()
machine.file(directory .. "/sub", "nobody:200000:65536\n", "644")
local AS_NOBODY = { "unshare", "-m", "--propagation", "private", "sh", "-c",
  ("mount --bind %s/sub /etc/subuid && mount --bind %s/sub /etc/subgid && exec setpriv --reuid=65534 "
  .. "--regid=65534 --clear-groups \"$@\""):format(directory, directory), "sh" }

local function begin(plan)
  plan.many = plan.few and MANY // 20 or MANY
  local argv = plan.nobody and table.move(AS_NOBODY, 1, #AS_NOBODY, 1, {}) or {}
  argv[#argv + 1] = machine.lua
  argv[#argv + 1] = "-e"
  argv[#argv + 1] = LOOP:format(plan.mode, plan.code, BATCH, WARM, BATCH, plan.many, BATCH)
  return ns.spawn { argv = argv, env = machine.paths(machine.public()), cwd = "/", timeout = 3000, stdin = "null",
    stdout = "pipe", stderr = "pipe" }
end

proof.lanes(2, PLANS, begin, function(plan, r)
  local title = plan.title or plan.mode
  local more, kib = r.stdout:match("^(%-?%d+)\t(%-?%d+)\n$")
  if proof.check(more, "%s: %s %s", title, r.stdout, tostring(r)) then
    proof.check(more == "0", "%s: %s more descriptors", title, more)
    proof.check(tonumber(kib) < KIB, "%s: %s KiB more memory", title, kib)
    proof.figure("growth, " .. title, "%s KiB after %d spawns", kib, plan.many)
  end
end)

-- ---- the kernel's namespaces: a user namespace that may have only so many of them ----

local LIMIT, ROUNDS = 60, proof.size(40, 1500)

local LIMITED = [[
  local core, ns, modes = require "ns.core", require "ns", require "modes"
  local limit, rounds, waits = %d, %d, 0
  for _, kind in ipairs { "mnt", "pid", "net", "ipc", "uts", "cgroup", "time", "user" } do
    local f = assert(io.open(("/proc/sys/user/max_%%s_namespaces"):format(kind), "w"))
    assert(f:write(limit))
    assert(f:close())
  end
  -- the kernel takes its time to dismantle one: up to 10 seconds
  local function start(spec)
    local deadline = core.clock() + 10
    while true do
      local p, message, errno = ns.spawn(spec)
      if p or errno ~= 28 or core.clock() > deadline then return assert(p, message) end
      waits = waits + 1
      assert(ns.run { "sleep", "0.05" })
    end
  end
  for i = 1, rounds do
    for _, name in ipairs { "seed's set", "user and all others", "init", "sandbox" } do
      local p = start(modes.spec(name, { argv = { "true" } }))
      assert(p:wait())
      p:close()
      p = ns.spawn(modes.spec(name, { argv = { "/nope" } }))
      assert(not p)
    end
  end
  io.write("fine, ", waits)
]]

if machine.root then
  local all = { { 0, 0, 4294967294 } }
  local r = machine.host(LIMITED:format(LIMIT, ROUNDS), { timeout = 3000, spec = { flags = "user,mount,pid,net",
    uid_map = all, gid_map = all, mount_proc = true } })
  proof.check(r.stdout:find("^fine"), "namespaces, of which there may be %d: %s %s", LIMIT, r.stdout, tostring(r))
  proof.figure("namespaces", "%d spawns where %d of a kind may be there at a time; %s waits for the kernel", ROUNDS * 8,
    LIMIT, r.stdout:match("%d+") or "?")
else
  proof.skip("namespaces, counted by their limits: needs root")
end

remove()
proof.finish()
