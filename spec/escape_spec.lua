--- What a program may try to get out of its box. The attempts, and how it is seen that one has worked, are rows of
-- `support.escapes`; the host that they are after is made for them in namespaces of its own (`support.world`).
local machine = require "support.machine"
local world = require "support.world"

--- The ids of the attempts that got out of the box, and how many there were. `words`: a change to the spec, as Lua.
local function try(kind, pattern, user, words)
  local tree, remove = machine.directory()
  finally(remove)
  require("ns").run { "cp", machine.program("first"), tree .. "/first" }
  local code = ('package.path = "%s/spec/?.lua;" .. package.path; require("support.world").try("%s", "%s", %s)')
    :format(machine.public(), kind, pattern, words or "nil")
  -- with a terminal, for attempts to type into it
  local r = machine.host(code, { under = world.command(tree, user.uid, user.owner), timeout = 120,
    spec = { pty = true, stdout = "pipe", stderr = "pipe" } })
  local reached, count = r.stdout:match("^(.-) ?(%d+)\n$")
  assert(count, r.stdout .. r.stderr)
  return reached, tonumber(count)
end

-- Where the specs run as an ordinary user, that one is the outer namespaces' only id.
local ROOT, NOBODY = { uid = 0, owner = machine.root and 1234 or 0 }, { uid = 65534, owner = 65534 }

describe("the sandbox #system", function()
  for name, user in pairs { root = ROOT, ["an ordinary user"] = NOBODY } do
    local it = user == ROOT and machine.it("user", "tree") or machine.root_it

    it("of " .. name .. " holds against the 34 known ways out", function()
      local reached, count = try("sandbox", "^A", user)
      assert.equal("", reached)
      assert.equal(34, count)
    end)

    it("of " .. name .. " holds against ways that fit this implementation", function()
      local reached, count = try("sandbox", "^B", user)
      assert.equal("", reached)
      assert.equal(28, count)
    end)
  end

  -- What is open is open in one place alone.
  for _, row in ipairs {
    { "with a network in which nobody is", "{ network = { interfaces = { br0 = { type = 'bridge', "
      .. "addresses = '192.0.2.9/24' } }, routes = { { via = '192.0.2.2' } } } }" },
    { "that may reach two ports", "{ reach = { '127.0.0.1:9', ['db.example:80'] = '127.0.0.1:10' } }" },
    { "of which a port is published", "{ publish = { [0] = 80 } }" },
    { "with the world outside", "{ network = 'pasta' }", "pasta" },
  } do
    machine.it("user", "tree", row[3])(row[1] .. " holds against the known ways out, and those of a network", function()
      local reached, count = try("sandbox", "^A|^C", ROOT, row[2])
      assert.same({ "", 40 }, { reached, count })
    end)
  end

  -- what each of its defaults holds against
  for _, row in ipairs {
    { 'flags = "user,mount,pid,ipc,uts,cgroup,time"', "A14 A15" },
    { 'flags = "user,mount,pid,net,uts,cgroup,time"', "A16" },
    { 'keyring = "inherit", seccomp = false', "A13" },
    { "session = false, seccomp = false", "A17 B21" },
    { "no_new_privs = false, seccomp = false", "A22" },
    { "seccomp = false", "" },
    { 'caps = { "all" }', "A23 A30 A31" },
  } do
    local it = machine.root_it
    if row[2]:find("A17") and machine.read("/proc/sys/dev/tty/legacy_tiocsti") == "0\n" then
      it = function(title) pending(title .. " [nobody can type into terminals: dev.tty.legacy_tiocsti is 0]") end
    end
    it("that is told " .. row[1] .. " is left by " .. row[2], function()
      assert.equal(row[2], (try("sandbox", "A1[34567]|A2[23]|A3[01]|B21", NOBODY, "{ " .. row[1] .. " }")))
    end)
  end
end)

describe("a weak box #system", function()
  machine.root_it("is left by more than a dozen of these ways, so they would be seen to work", function()
    local reached = try("weak", "", ROOT)
    print("a weak box is left by " .. reached)
    assert.truthy(select(2, reached:gsub("A", "")) >= 12, reached)
    assert.truthy(select(2, reached:gsub("B", "")) >= 4, reached)
  end)
end)
