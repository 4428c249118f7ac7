--- A host whose mounts are shared, as systemd makes them: what is mounted inside stays inside, and what the host mounts
-- later stays outside, by whatever road a tree has come in.
local machine = require "support.machine"
local ways = require "support.ways"
local unpack = unpack or table.unpack -- luacheck: ignore

local CALLS = { "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr" }

--- The code of a host that plays `roads`, a list of {name, spec}: the program does to the tree at /w whatever it can, and
-- the host mounts something there meanwhile. Says what has become of either.
local CODE = [[
  local ns, tree = require "ns", %q
  local function mountinfo()
    local f = io.open "/proc/self/mountinfo"
    local text = f:read "*a"
    f:close()
    return text
  end
  local LINE = "exec 2>&1; umount /w/data; mount -t tmpfs x /w/b; mount -o remount,bind,noexec /w; umount /w/a; "
    .. "echo ready; read go; ls /w/late"
  local dir = io.open(tree)
  local roads = (function() %s end)()
  for _, road in ipairs(roads) do
    local spec = road[2]
    for key, value in pairs(%s) do spec[key] = value end
    spec.argv, spec.stdin, spec.stdout, spec.timeout = { "sh", "-c", LINE }, "pipe", "pipe", 20
    local before = mountinfo()
    local p, why = ns.spawn(spec)
    if not p then print(road[1], why) else
      repeat local line = p.stdout:read() until line == nil or line == "ready"
      if mountinfo() ~= before then print(road[1], "reaches the host: " .. mountinfo()) end
      os.execute("mount -t tmpfs -o mode=777 late " .. tree .. "/late && touch " .. tree .. "/late/f")
      p.stdin:write "\n"
      p.stdin:flush()
      print(road[1], (p.stdout:read "*a":gsub("\n", " ")))
      p:wait()
      p:close()
      os.execute("umount " .. tree .. "/late")
      if mountinfo() ~= before then print(road[1], "leaves on the host: " .. mountinfo()) end
    end
  end
]]

local ROADS = [[
  local function with(m)
    m.target = m.target or "/w"
    return { system = true, mounts = { m, { type = "tmpfs", target = "/w/a" }, { type = "mask", target = "/w/m" },
      { type = "file", target = "/w/f", data = "" } } }
  end
  local fd = require("ns.core").fileno(dir)
  local roads = { { "path", with { type = "bind", source = tree } },
    { "link", with { type = "bind", source = tree .. "-link" } },
    { "no link", with { type = "bind", source = tree, nofollow = true } },
    { "descriptor", with { type = "bind", source = fd } },
    { "as it is", with { type = "bind", source = tree, idmap = false } } }
  local shared = with { type = "bind", source = tree }
  table.insert(shared.mounts, 2, { type = "propagation", target = "/w", mode = "shared", recursive = true })
  roads[#roads + 1] = { "shared inside", shared }
  os.execute("chmod 700 " .. tree .. "/..") -- root's, and to be written: closed to all others
  roads[#roads + 1] = { "root", { root = tree .. "/..", system = true, read_only = false,
    mounts = { { type = "tmpfs", target = "/w/a" } } } }
  return roads
]]

local READ_ONLY = [[
  return { { "bind", { system = true, mounts = { { type = "bind", source = tree, target = "/w", ro = true } } } },
    { "root", { system = true, root = tree .. "/.." } } }
]]

local OVERLAY = [[
  os.execute("umount " .. tree .. "/data") -- what that covers would be seen
  return { { "overlay", { system = true, mounts = { { type = "overlay", lower = tree, target = "/w" },
    { type = "tmpfs", target = "/w/a" } } } } }
]]

local HOST = [[cd %s && mkdir -p w/a w/b w/late w/data other && touch w/f w/m && ln -sfn w w-link && chmod 777 w/late
  mount --bind other w/data && mount --make-rshared /]]

for _, way in ipairs(machine.root and machine.can.user and { ways.root, ways.range } or {}) do
  describe("on a host with shared mounts, " .. way.name .. " #system", function()
    local directory, remove

    before_each(function() directory, remove = machine.directory() end)
    after_each(function() remove() end)

    --- What the host says, a line for each road; `more`: further words of all specs.
    local function said(roads, more, through)
      local words = ("{ flags = %s, map = %s, caps = { 'all' }%s }"):format(
        way.user and "'user,mount,pid'" or "'mount,pid'", way.map and ("%q"):format(way.map) or "nil", more or "")
      local under = { "unshare", "-m", "--propagation", "private", "sh", "-ec", HOST:format(directory) .. '\nexec "$@"',
        "sh" }
      for _, word in ipairs(through or {}) do under[#under + 1] = word end
      local r = machine.host(CODE:format(directory .. "/w", roads, words), { under = under })
      return r.stdout .. r.stderr
    end

    local NOTHING = "path\t\nlink\t\nno link\t\ndescriptor\t\nas it is\t\nshared inside\t\nroot\t\n"
    local NEITHER = "bind\t\nroot\t\n"

    ways.it(way)("no mount made inside reaches the host, nor a later one of the host the program", function()
      assert.equal(NOTHING, said(ROADS))
    end)

    it("that holds for what is read-only, and below an overlay", function()
      assert.equal(NEITHER, said(READ_ONLY))
      if machine.can.tree and ways.can_overlay(way) then assert.matches("^overlay\t *\n$", said(OVERLAY)) end
    end)

    it("that holds on kernels, and behind filters, without the newer calls", function()
      for _, errno in ipairs { "ENOSYS", "EPERM" } do
        local outcome = said(READ_ONLY, nil, machine.refuse(errno, "mount_setattr"))
        if outcome ~= NEITHER then assert.matches("^bind\t[^\n]*EPERM[^\n]*\nroot\t[^\n]*EPERM[^\n]*\n$", outcome) end
      end
      assert.equal(NEITHER, said(READ_ONLY, nil, machine.refuse("ENOSYS", unpack(CALLS))))
    end)

    ways.it(way)("with propagation 'slave' those of the host appear inside, and none of these on the host", function()
      local expected = NOTHING:gsub("\t\n", "\tf \n")
      assert.equal(expected, said(ROADS, ", propagation = 'slave'"))
    end)

    it("the root '/' lies over nothing of the host", function()
      local code = ([[
        local ns, core = require "ns", require "ns.core"
        local function state()
          local f = io.open "/proc/self/mountinfo"
          local text = f:read "*a"
          f:close()
          return text .. #core.entries "/proc/self" .. " " .. #core.entries "/dev"
        end
        local before = state()
        print(ns.check { "true", root = "/", flags = %s, map = %s, mounts = { { type = "proc" }, { type = "dev" },
          { type = "tmpfs", target = "/tmp" } } })
        local after = state()
        print(before == after or after)
      ]]):format(way.user and "'user,mount,pid'" or "'mount,pid'", way.map and ("%q"):format(way.map) or "nil")
      local under = { "unshare", "-m", "--propagation", "shared" }
      assert.equal("true\ntrue\n", machine.host(code, { under = under }).stdout)
    end)
  end)
end
