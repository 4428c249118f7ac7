--- Many at once: a thousand programs that all live at the same time, waited for in random order; and hosts that run out of
-- descriptors, at each possible moment of a start.
local machine = require "support.machine"
local modes = require "modes"
local proof = require "proof"

modes.publish()
local SEED = os.time()
proof.figure("seed of the crowd", "%d", SEED)

local SHARED = [[
  local lfs, ns, modes = require "lfs", require "ns", require "modes"
  local function descriptors()
    local list = {}
    for name in lfs.dir("/proc/self/fd") do list[#list + 1] = name end
    table.sort(list)
    return table.concat(list, " ")
  end
  local function children()
    local f = assert(io.open(("/proc/self/task/%d/children"):format(require("ns.core").ids().pid)))
    local text = f:read("a")
    f:close()
    return select(2, text:gsub("%d+", ""))
  end
]]

local CROWD = SHARED .. [[
  local many, name = MANY, "NAME"
  math.randomseed(SEED)
  assert(ns.run(modes.spec(name, { argv = { "true" } })).ok)
  local before, crowd = descriptors(), {}
  for i = 1, many do
    local argv = { "sh", "-c", ("read x; exit %d"):format(i % 256) }
    local p = assert(ns.spawn(modes.spec(name, { argv = argv, stdin = "pipe" })))
    crowd[i] = { p = p, code = i % 256 }
  end
  assert(children() == many, "not all are there")
  for i = many, 2, -1 do
    local j = math.random(i)
    crowd[i], crowd[j] = crowd[j], crowd[i]
  end
  for _, c in ipairs(crowd) do c.p.stdin:close() end
  for _, c in ipairs(crowd) do
    local ok, how, code = c.p:wait(60)
    assert(how == "exit" and code == c.code and (ok == true) == (code == 0), tostring(how))
    c.p:close()
  end
  assert(children() == 0, "one is left")
  assert(descriptors() == before, "a descriptor is left")
  io.write "fine"
]]

local function host(title, code, values, limit)
  code = code:gsub("%f[%u]%u+%f[%U]", values)
  local spec = { rlimits = { nofile = limit } }
  local r = machine.host(code, { timeout = 600, spec = spec })
  proof.check(r.stdout:find("fine", 1, true), "%s: %s %s", title, r.stdout, tostring(r))
  return r
end

-- each has a keyring of its own, and an ordinary user may have 200 keys
local many = machine.root and proof.size(120, 1000) or 150
for _, name in ipairs { "user and pid and mount", "sandbox" } do
  host("crowd, " .. name, CROWD, { MANY = many, NAME = name, SEED = SEED }, 4 * many + 100)
end
proof.figure("crowd", "%d programs at once, twice", many)

-- ---- until no descriptor is left ----

--- With 256 descriptors: spawn until it is refused; the refusal names its step, and after a close all goes on.
local FULL = SHARED .. [[
  assert(ns.run(modes.spec("NAME", { argv = { "true" } })).ok)
  local before, crowd = descriptors(), {}
  local function start() return ns.spawn(modes.spec("NAME", { argv = { "cat" }, stdin = "pipe", stdout = "pipe" })) end
  while true do
    local p, message, errno, detail = start()
    if not p then
      assert(errno == 24 and message:find("EMFILE", 1, true), message)
      assert(detail and detail.step, "no detail: " .. message)
      break
    end
    crowd[#crowd + 1] = p
  end
  assert(children() == #crowd, "a child is left")
  table.remove(crowd):close()
  table.remove(crowd):close()
  crowd[#crowd + 1] = assert(start())
  for _, p in ipairs(crowd) do p:close() end
  assert(children() == 0 and descriptors() == before, "something is left")
  io.write("fine ", #crowd)
]]

--- With `free` descriptors free, from none up to what a start needs: each start works, or is refused with EMFILE.
local SHORT = SHARED .. [[
  local free, refused = 0, 0
  repeat
    local files = {}
    while true do
      local f = io.open("/dev/null")
      if not f then break end
      files[#files + 1] = f
    end
    for _ = 1, free do table.remove(files):close() end
    collectgarbage("stop")
    local p, message, errno, detail = ns.spawn(modes.spec("NAME", { argv = { "true" }, STREAMS }))
    local ok, how = true, nil
    if p then
      ok, how = p:wait()
      p:close()
    end
    local left = 0
    while true do
      local f = io.open("/dev/null")
      if not f then break end
      left = left + 1
      files[#files + 1] = f
    end
    for _, f in ipairs(files) do f:close() end
    collectgarbage("restart")
    -- the launcher's own image may have been opened meanwhile, and is kept
    assert(left == free or left == free - 1, ("%d descriptors free, %d afterwards"):format(free, left))
    assert(children() == 0, "a child is left")
    assert(ok or p, "killed: " .. tostring(how))
    if not p then
      assert(errno == 24 and detail and detail.step, ("with %d free: %s"):format(free, tostring(message)))
      refused = refused + 1
    end
    free = free + 1
  until p
  assert(ns.run { "true" }.ok)
  io.write("fine ", refused)
]]

local STREAMS = {
  none = "stdout = 'null'",
  pipes = "stdin = 'pipe', stdout = 'pipe', stderr = 'pipe', fds = { [20] = 0, [21] = 1 }",
  file = "stdout = { path = '/dev/null' }, stderr = 'stdout'",
}

local total = 0
for _, mode in ipairs(modes) do
  if not mode.nobody and modes.can(mode.name) then
    if mode.name ~= "pty" then
      local r = host("256 descriptors, " .. mode.name, FULL, { NAME = mode.name }, 256)
      proof.figure("256 descriptors, " .. mode.name, "%s programs with two pipes each", r.stdout:match("%d+") or "?")
    end
    for title, streams in pairs(mode.name == "pty" and { none = STREAMS.none } or STREAMS) do
      local values = { NAME = mode.name, STREAMS = streams }
      local r = host(("few descriptors, %s, %s"):format(mode.name, title), SHORT, values, 64)
      total = total + (r.stdout:match("%d+") or 0)
    end
  end
end
proof.figure("starts with too few descriptors", "%d refused by name", total)
proof.finish()
