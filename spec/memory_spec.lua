--- A host that runs out of memory at the n-th allocation, for each 19th n (the proof, in its long form, takes all), is
-- left without a child and without a descriptor.
local machine = require "support.machine"
local ns = require "ns"

local SCRIPTS = {
  spawn = [[
    local ns = require "ns"
    return function()
      local p = ns.spawn { "true", stdin = "pipe", stdout = "pipe", stderr = "null", fds = { [5] = 0 }, env = { A = "1" } }
      p:wait()
    end]],
  ["spawn in namespaces"] = [[
    local ns = require "ns"
    return function()
      assert(ns.spawn { "true", flags = { "user", "pid", "mount" }, mount_proc = true, map = "root" }):wait()
    end]],
  run = [[
    local ns = require "ns"
    return function() ns.run { "cat", stdin = ("x"):rep(1000), max_output = 500 } end]],
  communicate = [[
    local ns = require "ns"
    return function()
      local p = ns.spawn { "cat", stdin = "pipe", stdout = "pipe" }
      p.stdin:write("a")
      p.stdin:flush()
      p.stdin:write(("b"):rep(99))
      local r = p:communicate("c")
      assert(r.stdout == "a" .. ("b"):rep(99) .. "c", r.stdout)
    end]],
  refusal = [[
    local ns = require "ns"
    return function() ns.run { "/nope" } end]],
  close = [[
    local ns = require "ns"
    return function()
      local p = ns.spawn { "sleep", "5", stdout = "pipe" }
      p:kill("USR1")
      tostring(p)
      p:close()
    end]],
}

--- In longer steps: it is thousands, as every function that is loaded is one.
local LOADING = [[
  local ns = ("x"):rep(100000) -- Lua 5.4 makes the class of its buffers, and is itself broken if memory runs out just then
  return function()
    for name in pairs(package.loaded) do
      if name:find("^ns") then package.loaded[name] = nil end
    end
    ns = require "ns"
    assert(assert(ns.run { "true" }).ok)
  end]]

-- LuaJIT has an allocator of its own, and its module is that of Lua 5.1, where this is tried
if rawget(_G, "jit") then return end

local version = machine.version

describe("memory that runs out leaves nothing behind in", function()
  local directory, remove

  setup(function()
    directory, remove = machine.directory()
    local cc = ("gcc -o %s/host spec/support/alloc.c -I%s -Lbuild/lua%s/lib -Wl,-E,--whole-archive -llua%s "
      .. "-Wl,--no-whole-archive -lm -ldl"):format(directory, machine.include, version, version)
    assert.truthy(ns.run({ "sh", "-c", cc }).ok)
  end)

  teardown(function() remove() end)

  local function try(name, script, stride)
    it(name, function()
      local file = machine.file(directory .. "/script.lua", script)
      local argv = { directory .. "/host", file, "lua", "on", stride }
      local r = ns.run { argv = argv, env = machine.paths(machine.public()), timeout = 900 }
      assert.matches("^%d%d+ allocations refused: clean\n$", r.stdout .. r.stderr)
    end)
  end

  for name, script in pairs(SCRIPTS) do try(name, script, "19") end
  try("loading the module", LOADING, version == "5.4" and "307" or "1511") -- the files are the same on each Lua
end)
