--- A program that may trace its init can take its place (spec/support/impostor.c). What it sends is nothing that the host
-- obeys. Each host is a process of its own, which has no more descriptors in the end than it had.
local machine = require "support.machine"

local needs = machine.it "sandbox"

local PRELUDE = [[
  local ns, core = require "ns", require "ns.core"
  local box = ns.sandbox():caps { "sys_ptrace" }:seccomp(false):ro_bind("IMPOSTOR", "/impostor")
  local function held()
    local n = 0
    for _ = 1, 2 do collectgarbage() end
    for fd = 0, 255 do
      local f = io.open("/proc/self/fdinfo/" .. fd)
      n = f and f:close() and n + 1 or n
    end
    return n
  end
  local p
  local function with(what, name) -- a living box in whose init's place somebody else is asked
    local c = assert(box:start(name and { name = name, "sleep", "60" }))
    p = assert(c:spawn { "/impostor", what, "" .. core.protocol, stdout = "pipe" })
    assert(p.stdout:read "*l" == "ready")
    return c
  end
]]

--- What a script says at its end, if it comes to that.
local function host(code, ...)
  local directory, remove = machine.directory()
  finally(remove)
  os.execute("chmod 700 " .. directory)
  local env = machine.paths(machine.public())
  env.XDG_RUNTIME_DIR = directory
  local r = machine.host(PRELUDE:gsub("IMPOSTOR", machine.program "impostor") .. code:format(...), { spec = { env = env } })
  return r.signame or r.stdout .. r.stderr
end

describe("whoever has taken the place of an init #system", function()
  needs("cannot make its host end itself, as a job", function()
    for _, what in ipairs { "p", "d" } do
      assert.equal("ask the init for a program: Protocol error (EPROTO)\ttrue\n", host([[
        local c = with %q
        local r, message, errno = c:run { "true", timeout = 1, grace = 0 }
        print(r or message, errno == core.constants.errno.EPROTO)
        c:close() ]], what))
    end
  end)

  needs("cannot make its host end itself, as the init of a box with a name", function()
    for _, what in ipairs { "sp", "sd" } do
      assert.equal("container spec-impostor: Protocol error (EPROTO)\ttrue\n", host([[
        local c = with(%q, "spec-impostor")
        local d, message, errno = ns.container "spec-impostor"
        print(d or message, errno == core.constants.errno.EPROTO)
        if d then d:close() end
        c:close() ]], what))
    end
  end)

  needs("cannot make its host read a log beyond its end", function()
    assert.equal("container spec-impostor: Protocol error (EPROTO)\n", host [[
      local c = with("sim", "spec-impostor")
      local d, message = ns.container "spec-impostor"
      print(d and d:logs() or message)
      c:close() ]])
  end)

  for asked, row in pairs {
    ["for a job"] = { "ii", [[c:run { "true", timeout = 1, grace = 0 }]] },
    ["for a box with a name, with too many"] = { "ssss", [[ns.container "spec-impostor"]] },
    ["for a box with a name, with too few"] = { "s", [[ns.container "spec-impostor"]] },
    ["for a socket"] = { "nn", [[c:connect(80, 1)]] },
  } do
    needs("leaves no descriptors in its host that it sends with an answer " .. asked, function()
      assert.equal("kept\n", host([[
        local c = with(%q, "spec-impostor")
        local function ask() return %s end
        assert(not ask())
        local before = held()
        for _ = 1, 10 do ask() end
        print(held() - before < 3 and "kept" or held() - before)
        c:close() ]], row[1], row[2]))
    end)
  end

  local SERVER = [[use IO::Socket; $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 9)
    or die $@; $| = 1; print "ready\n"; sleep 60]]

  needs("cannot keep its host waiting with a socket that it has a copy of: read, written and closed", function()
    for what, expected in pairs { b = "timeout\ttimeout", T = "timeout\ttimeout" } do
      assert.equal(expected .. "\tsoon\n", host([[
        local c = assert(box:start())
        local server = assert(c:spawn { "perl", "-e", %q, stdout = "pipe" })
        assert(server.stdout:read "*l" == "ready")
        p = assert(c:spawn { "/impostor", %q, stdout = "pipe" })
        assert(p.stdout:read "*l" == "ready")
        local s = assert(c:connect(8080, 10))
        s:settimeout(0.2)
        ns.run { "sleep", "0.1" }
        local _, unread = s:read(1)
        local ok, unwritten
        repeat ok, unwritten = s:write(("x"):rep(2 ^ 20)) until not ok
        local begun = core.clock()
        s:close()
        print(unread, unwritten, core.clock() - begun < 20 and "soon" or "late")
        p:close()
        server:close()
        c:close() ]], SERVER, what))
    end
  end)
end)
