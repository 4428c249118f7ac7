--- A program that may trace its init can take its place (spec/support/impostor.c). What it sends is nothing that the host
-- obeys. Each host is a process of its own, which has no more descriptors in the end than it had.
local machine = require "support.machine"

local needs = machine.it "sandbox"

local PRELUDE = [[
  local ns, core = require "ns", require "ns.core"
  local box = ns.sandbox():caps { "sys_ptrace" }:seccomp(false):ro_bind("IMPOSTOR", "/impostor")
  local function held()
    collectgarbage() collectgarbage()
    local n = 0
    for fd = 0, 255 do if io.open("/proc/self/fdinfo/" .. fd) then n = n + 1 end end
    collectgarbage() collectgarbage()
    return n
  end
  local function with(what, name) -- a living box in whose init's place somebody else is asked
    local c = assert(box:start(name and { name = name, "sleep", "60" }))
    local p = assert(c:spawn { "/impostor", what, "" .. core.protocol, stdout = "pipe" })
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
end)
