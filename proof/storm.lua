--- Hosts that are killed at a random moment while they spawn: two seconds later nothing of them is alive, mounted or on
-- disk.
--
-- Each mode has a world: a pid namespace with its own /proc, in which nothing else lives. There a warden starts one host
-- after the other, and kills each up to 30 ms after it has begun to spawn.
local machine = require "support.machine"
local modes = require "modes"
local ns = require "ns"
local proof = require "proof"

local ROUNDS, SEED = proof.size(25, 1000), os.time()
proof.figure("seed of the storm", "%d", SEED)

local public = modes.publish()
local directory, remove = machine.directory()
machine.file(directory .. "/subids", "nobody:200000:65536\n", "644")
assert(os.execute(("mkdir -p %s/root/data && echo x > %s/root/data/file"):format(directory, directory)))

--- Spawns until it is killed: programs that stay, that end, that are closed at once.
local HOST = [[
  local ns, modes = require "ns", require "modes"
  local spec, all = modes.spec(%q, %s), {}
  local function spawn() return ns.spawn(spec) end
  if %s then
    local box
    function spawn()
      box = #all %% 20 > 0 and box or assert(ns.box(spec):start())
      return box:spawn(spec.argv)
    end
  end
  io.write "x"
  io.stdout:flush()
  for i = 1, 1e9 do
    spec.argv = { "sleep", i %% 3 == 0 and "0" or "300" }
    all[i] = assert(spawn())
    if i %% 3 == 0 then all[i]:wait(0.002) end
    if i %% 3 == 1 then all[i]:close() end
  end
]]

--- Says how many hosts have been killed while they lived, and who is left.
local WARDEN = [[
  local lfs, ns = require "lfs", require "ns"
  local killed, left = 0, {}
  math.randomseed(SEED)
  local function read(path)
    local f = io.open(path)
    local text = f and f:read("a")
    if f then f:close() end
    return text or ""
  end
  local mounts = read("/proc/self/mountinfo")
  for round = 1, ROUNDS do
    local host = assert(ns.spawn { argv = { WHO "lua5.4", "-e", HOST }, stdout = "pipe",
      stderr = { path = "ERRORS", append = true } })
    assert(host.stdout:read(1), read("ERRORS"))
    local _, how = host:wait(math.random() * 0.03)
    if how == "timeout" then killed = killed + 1 end
    host:kill("KILL")
    host:wait()
    host:close()
  end
  ns.run { "sleep", "2" }
  local me = ("%d"):format(require("ns.core").ids().pid)
  for name in lfs.dir("/proc") do
    if name:find("^%d+$") and name ~= me and name ~= "1" then
      left[#left + 1] = ("%s %s %s"):format(name, read("/proc/" .. name .. "/cmdline"):gsub("%z", " "),
        read("/proc/" .. name .. "/stat"):match("%b() %a %d+") or "?")
    end
  end
  if read("/proc/self/mountinfo") ~= mounts then left[#left + 1] = "a mount" end
  io.write(killed, "\n", table.concat(left, "\n"))
]]

local function quote(text) return ("%q"):format(text) end

--- The world of one mode, which is at work when this returns.
local function begin(mode, words)
  local who = mode.nobody and '"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",' or ""
  local errors = ("%s/errors-%s%s"):format(directory, mode.living and "living" or "", (mode.name:gsub("%W", "")))
  local host = HOST:format(mode.name, words, tostring(mode.living))
  local values = { SEED = SEED, ROUNDS = ROUNDS, WHO = who, ERRORS = errors, HOST = quote(host) }
  machine.file(errors, "", "666")
  local world = assert(ns.spawn { "lua5.4", "-e", (WARDEN:gsub("%f[%u]%u%u%u+%f[%U]", values)), init = true,
    flags = modes.flags("pid", "mount"), mount_proc = true, env = machine.paths(public), cwd = "/", stdout = "pipe",
    stderr = "pipe", mounts = mode.nobody and { { type = "bind", source = directory .. "/subids", target = "/etc/subuid" },
      { type = "bind", source = directory .. "/subids", target = "/etc/subgid" } } or nil })
  return world, errors
end

local function files() return ns.run({ "find", directory .. "/root", "-printf", "%p %m %u %s %T@\n" }).stdout end

local worlds, before = {}, files()
for _, name in ipairs { "no namespace", "pid namespace", "init", "sandbox", "idmapped", "newuidmap", "living sandbox" } do
  local living = name:find "^living " ~= nil
  local mode = { name = name:gsub("^living ", ""), nobody = name == "newuidmap", living = living }
  if modes.can(mode.name) then
    local words = name == "sandbox" and ("{ root = %q }"):format(directory .. "/root") or "{}"
    local world, errors = begin(mode, words)
    worlds[#worlds + 1] = { name = name, world = world, errors = errors }
  end
end
for _, w in ipairs(worlds) do
  local r = assert(w.world:communicate())
  local killed, left = r.stdout:match("^(%d+)\n(.*)$")
  local said = machine.read(w.errors)
  if proof.check(r.ok and killed and said == "", "%s: %s %s %s", w.name, tostring(r), r.stdout, said) then
    proof.check(tonumber(killed) > ROUNDS * 0.9, "%s: only %s of %d hosts lived to be killed", w.name, killed, ROUNDS)
    proof.check(left == "", "%s: left behind: %s", w.name, left)
    proof.figure("storm, " .. w.name, "%s hosts killed, %s left", killed, left == "" and "nothing" or "something")
  end
end
proof.check(files() == before, "the files of a root directory have changed: %s", files())

remove()
proof.finish()
