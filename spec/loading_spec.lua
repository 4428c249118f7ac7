--- The module loads and works in hosts that have changed what is around it: strict mode, libraries taken away, modules
-- forgotten.
local machine = require "support.machine"

--- What a host does with the module: a start, a refusal, a mistake, and what is looked up only then.
local USES = [[
  local ns = require "ns"
  local p = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
  p.stdin:write("fed")
  p.stdin:close()
  print(p.stdout:read("*a"), p:wait())
  print(ns.run { "echo", "collected", timeout = 5 }.stdout)
  print((select(2, ns.spawn { "/etc" })))
  print(pcall(ns.box, { hostnam = "x" }))
  print(type(ns.explain(ns.sandbox():argv("true"))), ns.features().pidfd.ok)
]]

local SAYS = "^fed\ttrue\texit\t0\ncollected\n\nexec '/etc': .- is a directory\nfalse\t%(command line%):%d+: bad argument "
  .. "#1 to 'box' %(hostnam: unknown word %(did you mean 'hostname'%?%)%)\nstring\ttrue\n$"

--- In front of it: what the host has done.
local HOSTS = {
  ["as it is"] = "",
  ["with a strict mode"] = [[
    setmetatable(_G, {
      __index = function(_, name) error("variable '" .. tostring(name) .. "' is not declared", 2) end,
      __newindex = function(_, name) error("assignment to undeclared variable '" .. tostring(name) .. "'", 2) end,
    })]],
  ["without the debug library"] = "debug, package.loaded.debug = nil, nil",
  ["that has taken away the name of the compiler"] = "jit, package.loaded.jit = nil, nil",
  ["that has forgotten what is loaded, to load it anew"] = [[
    require "ns"
    for name in pairs(package.loaded) do package.loaded[name] = nil end]],
}

describe("in a host", function()
  for host, code in pairs(HOSTS) do
    it(host .. " the module loads and works", function()
      local r = machine.host(code .. "\n" .. USES)
      assert.equal("", r.stderr)
      assert.matches(SAYS, r.stdout)
    end)
  end

  it("with a strict mode each file loads by itself #system", function()
    for _, name in ipairs(machine.modules()) do
      local r = machine.host(HOSTS["with a strict mode"] .. ("\nprint(type(require '%s'))"):format(name))
      assert.equal("table\n", r.stdout, name .. ": " .. r.stderr)
    end
  end)

  it("what finalizers make when the state is closed has its code until the end", function()
    local r = machine.host [[
      local core = require "ns.core"
      local function finalize() for _ = 1, 100 do core.bag() end end
      last = newproxy and newproxy(true) or setmetatable({}, { __gc = finalize })
      if newproxy then getmetatable(last).__gc = finalize end]]
    assert.equal("ns.Result (exit 0)", tostring(r))
  end)

  it("what a script has no use for is not loaded", function()
    local r = machine.host [[
      local ns = require "ns"
      assert(ns.run { "true" })
      for _, name in ipairs { "net", "image", "words.seccomp", "words.network", "words.limits", "container" } do
        print(name, package.loaded["ns." .. name])
      end
      print((select(2, pcall(ns.run, { "true", limits = { pids = "x" } }))))]]
    assert.equal("", r.stderr)
    assert.matches("^net\tnil\nimage\tnil\nwords.seccomp\tnil\nwords.network\tnil\nwords.limits\tnil\ncontainer\tnil\n"
      .. "%(command line%):6: bad argument #1 to 'run' %(limits.pids: ", r.stdout)
  end)

  it("what cannot be loaded as no descriptor is left is refused by its name, and is there later", function()
    local r = machine.host([[
      local ns = require "ns"
      assert(ns.run { "true" })
      local files = {}
      repeat files[#files + 1] = io.open "/dev/null" until not io.open "/dev/null"
      print((select(2, ns.run { "true", seccomp = "default", no_new_privs = true })))
      print(select(2, pcall(ns.net)))
      for _, f in ipairs(files) do f:close() end
      print(ns.run { "true", seccomp = "default", no_new_privs = true }.ok, (pcall(ns.net)))]],
      { under = { "sh", "-c", "ulimit -n 40; exec \"$@\"", "sh" } })
    assert.equal("", r.stderr)
    assert.equal("load ns.words.seccomp: Too many open files (EMFILE)\nload ns.net: Too many open files\ntrue\ttrue\n",
      r.stdout)
  end)

  it("what was not loaded is there where the host has gone to another directory, and has changed package.path", function()
    local r = machine.host([[
      local ns = require "ns"
      require("lfs").chdir "/"
      package.path = "/nowhere/?.lua"
      print(type(ns.net()), package.path)]],
      { spec = { cwd = machine.public(), env = machine.paths "." } })
    assert.equal("", r.stderr)
    assert.equal("table\t/nowhere/?.lua\n", r.stdout)
  end)

  machine.it "sandbox"("what was not loaded is there in another root, too", function()
    local r = machine.host [[
      local ns = require "ns"
      local _, text = assert(ns.sandbox():call(function()
        local found = io.open(package.path:match "[^;?]*" .. "ns/init.lua")
        return tostring(found) .. " " .. type(ns.explain { "true", flags = "net", publish = { [8080] = 80 } })
      end))
      print(text)]]
    assert.equal("", r.stderr)
    assert.equal("nil string\n", r.stdout)
  end)
end)
