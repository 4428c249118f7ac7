--- A program of ours that starts programs itself, and other roots that are none: who may map what (user_namespaces(7)).
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

--- For a Lua program in a box: `ns` is the module, say(spec or box) tells the user, its groups and its map.
local CODE = [[
  local ns = require "ns"
  local function say(spec)
    local r, message = ns.run(ns.box(spec):argv("sh", "-c", "echo $(id -u) $(id -G) $(cat /proc/self/uid_map)"))
    io.write(r and r.stdout .. r.stderr or message .. "\n")
  end
]]

local function inside(box, code)
  box:disable_userns(false):ro_bind(machine.public())
  for name, value in pairs(machine.paths(machine.public())) do box:env(name, value) end
  local r = assert(box:run(machine.lua, "-e", CODE .. code))
  return r.stdout .. r.stderr
end

local HINT = "write /proc/self/uid_map: Operation not permitted (EPERM); user 0 can be mapped only with CAP_SETFCAP: "
  .. "start this as another user, or give the container the capability (docker: --cap-add SETFCAP)\n"

machine.describe("lua")("a sandbox in a sandbox #system", function()
  local own = core.ids().euid

  machine.it("user")("is refused to its user 0, which has no capabilities, with the reason", function()
    assert.equal(HINT .. HINT, inside(ns.sandbox(), "say { flags = 'user' } say(ns.sandbox())"))
  end)

  machine.root_it("is there for another user in root's", function()
    local box = ns.sandbox():user(1000):group(1000):proc("/proc", { protect = false }) -- a whole /proc, for a sandbox inside
    assert.equal("0 0 0 1000 1\n0 0 0 1000 1\n1000 1000 1000 1000 1\n",
      inside(box, "say { flags = 'user' } say(ns.sandbox()) say { flags = 'user', map = 'self' }"))
  end)

  machine.it("user")("is there for an ordinary user's with map = 'self'", function()
    local said = machine.host(([[
      local ns, machine = require "ns", %q
      local box = ns.sandbox():map("self"):proc("/proc", { protect = false }):disable_userns(false):ro_bind(machine)
      for _, name in ipairs { "LUA_PATH", "LUA_CPATH" } do box:env(name, os.getenv(name)) end
      io.write(box:run(%q, "-e", %q).stdout)]]):format(machine.public(), machine.lua, CODE .. "say(ns.sandbox())"),
      { nobody = true })
    local id = machine.root and 65534 or own
    assert.matches(("^0 0[ %%d]* 0 %d 1\n$"):format(id), said.stdout .. said.stderr)
  end)

  machine.root_it("has an id that is nobody's where its user 0 may set ids, and not its own", function()
    assert.equal("0 0 0 65534 1\n0 0 0 65534 1\n" .. HINT:gsub("self", "PID"):gsub("or give.*", "or with map = 'range'\n"),
      (inside(ns.sandbox():caps { "setuid", "setgid" }:proc("/proc", { protect = false }),
        "say { flags = 'user' } say(ns.sandbox()) say { flags = 'user', map = 'root' }"):gsub("/proc/%d+/", "/proc/PID/")))
  end)
end)

describe("a root #system", function()
  --- What such a host says, with the options of machine.host.
  local function host(options, code)
    local r = machine.host(CODE .. code, options)
    return ((r.stdout .. r.stderr):gsub("/proc/%d+/", "/proc/PID/"))
  end

  local function without(...)
    return { under = { "setpriv", "--bounding-set=-" .. table.concat({ ... }, ",-"), "--" } }
  end

  machine.root_it("without CAP_SETFCAP has boxes with ids that nobody has, and cannot be mapped itself", function()
    local said = host(without "setfcap", "say { flags = 'user' } say { flags = 'user', map = 'root' }")
    assert.matches("^0 0 0 2%d+ 65536\nwrite /proc/PID/uid_map: [^;]+; user 0 can be mapped only with CAP_SETFCAP: "
      .. "start this as another user, or with map = 'range'\n$", said)
  end)

  machine.root_it("without CAP_SETUID or CAP_SETGID goes the way of an ordinary user", function()
    for _, name in ipairs { "setuid", "setgid" } do
      assert.matches("^0 0[ %d]* 0 0 1\n0 0[ %d]* 0 0 1\n$", host(without(name), "say { flags = 'user' } say(ns.sandbox())"))
    end
    assert.equal(HINT, host(without("setuid", "setfcap"), "say { flags = 'user' }"))
  end)

  --- A host in a user namespace with the first ids of the machine.
  local function with_ids(count, setgroups)
    local map = { { 0, 0, count } }
    return { spec = { flags = "user", uid_map = map, gid_map = map, setgroups = setgroups } }
  end

  machine.root_it("whose groups may not be changed has boxes all the same", function()
    local said = host(with_ids(131072, "deny"),
      "say { flags = 'user' } say(ns.sandbox()) say { flags = 'user', setgroups = 'deny' }")
    assert.equal(("0 0 0 65536 65536\n"):rep(3), said)
  end)

  machine.root_it("that has not an id itself is told so", function()
    local said = host(with_ids(1000),
      "say { flags = 'user' } say { flags = 'user', uid_map = { { 0, 5, 1 } }, gid_map = { { 0, 5, 1 } } }")
    assert.equal("write /proc/PID/gid_map: Operation not permitted (EPERM); this host itself does not have all ids from "
      .. "65534 on, as in a container: see /proc/self/gid_map\n0 0 0 5 1\n", said)
  end)
end)
