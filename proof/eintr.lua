--- A host that is interrupted each millisecond: every wait of every mode comes to its end all the same.
local machine = require "support.machine"
local modes = require "modes"
local ns = require "ns"
local proof = require "proof"

modes.publish()
local directory, remove = machine.directory()
local storm = directory .. "/storm.so"
assert(ns.run { "gcc", "-shared", "-fPIC", "-o", storm, "spec/support/storm.c" }.ok)

local CODE = [[
  local ns, modes = require "ns", require "modes"
  local name, times = %q, %d
  local fed = ("0123456789abcdef"):rep(5000)
  for i = 1, times do
    local spec = modes.spec(name)
    spec.argv = { "sh", "-c", spec.pty and "read x; exit 3" or "cat; exit 3" }
    local p, r
    if i %% 2 == 0 then
      spec.stdin, spec.stdout, spec.input = "pipe", "pipe", fed
      if spec.pty then spec.stdin, spec.stdout, spec.input = nil, nil, nil end
      p = assert(ns.spawn(spec))
      if p.pty then p.pty:write("x\n") end
      r = assert(p:communicate())
      assert(r.code == 3 and (spec.pty or r.stdout == fed))
    else
      spec.argv = { "sleep", "0.003" }
      p = assert(ns.spawn(spec))
      p:wait(0.001)
      assert(p:wait())
      p:close()
      spec.timeout, spec.grace, spec.argv = 0.02, 0.01, { "sleep", "5" }
      if i %% 16 == 1 then -- on a busy machine the start itself may take longer
        local q, message = ns.spawn(spec)
        assert(q and q:communicate().timed_out or not q and message:find("timeout", 1, true), message)
      end
    end
    spec.argv = { "/nope" }
    if i %% 8 == 0 then assert(select(3, ns.spawn(spec)) == 2) end
  end
  io.write "fine\n"
]]

--- Runs the code of one mode in a host in the storm.
local function try(name, times, options)
  options.under[#options.under + 1] = "env"
  options.under[#options.under + 1] = "LD_PRELOAD=" .. storm
  options.timeout = 600
  local r = machine.host(CODE:format(name, times), options)
  local said = r.stdout .. r.stderr
  proof.check(said == "fine\nstorm: many, 0 elsewhere\n", "interrupted, in mode %s: %s %s", name, said, tostring(r))
end

local times, total = proof.size(25, 250), 0
for _, mode in ipairs(modes) do
  if not mode.nobody and modes.can(mode.name) then
    try(mode.name, times, { under = {} })
    total = total + times
  end
end

-- newuidmap believes /etc/subuid: in a mount namespace it is one of ours
machine.file(directory .. "/sub", "nobody:200000:65536\n", "644")
local own = ("mount --bind %s/sub /etc/subuid && mount --bind %s/sub /etc/subgid && exec setpriv --reuid=65534 "
  .. "--regid=65534 --clear-groups \"$@\""):format(directory, directory)
if modes.can "newuidmap" then
  try("newuidmap", times, { under = { "unshare", "-m", "--propagation", "private", "sh", "-c", own, "sh" } })
  total = total + times
end
proof.figure("spawns interrupted each millisecond", "%d", total)

remove()
proof.finish()
