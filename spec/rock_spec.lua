--- The ways in: LuaRocks and `make install`, each into an empty tree, from a copy of the project without its build.
local machine = require "support.machine"
local ns = require "ns"

local VERSION = _VERSION:match("%d%.%d")
local PARTS = "Makefile ns-scm-1.rockspec .busted src lua spec"

-- What the run around this one has set would lead to this project, and its make would hand its variables down.
local CLEAN = { MAKEFLAGS = false, MAKELEVEL = false, MFLAGS = false, MAKEOVERRIDES = false, LUAROCKS_CONFIG = false }
for _, suffix in ipairs { "", "_5_2", "_5_3", "_5_4" } do
  CLEAN["LUA_PATH" .. suffix], CLEAN["LUA_CPATH" .. suffix] = false, false
end

local function with(variables)
  local env = {}
  for name, value in pairs(CLEAN) do env[name] = value end
  for name, value in pairs(variables) do env[name] = value end
  return env
end

--- Runs a shell line in `directory`; returns what it said.
local function sh(directory, line, variables)
  local env = with(variables or {})
  env.HOME = directory
  local r = assert(ns.run { "sh", "-c", line .. " 2>&1", cwd = directory, env = env, timeout = 300 })
  if not r.ok then error(("'%s' in %s: %s\n%s"):format(line, directory, tostring(r), r.stdout), 2) end
  return r.stdout
end

--- Uses the module that lies below `prefix` in a fresh interpreter, which knows no other place.
local function hello(prefix)
  local share, lib = ("%s/share/lua/%s"):format(prefix, VERSION), ("%s/lib/lua/%s"):format(prefix, VERSION)
  local code = 'io.write(require("ns").run({ "echo", "hello" }).stdout)'
  local paths = { LUA_PATH = ("%s/?.lua;%s/?/init.lua"):format(share, share), LUA_CPATH = lib .. "/?.so" }
  local r = assert(ns.run { machine.lua, "-e", code, cwd = "/", env = with(paths), timeout = 60 })
  assert.equal("", r.stderr)
  return r.stdout
end

local here = machine.sh({}, "pwd")
local has_luarocks = machine.sh({}, "command -v luarocks || true") ~= ""
local rock_it = has_luarocks and it or function(title) pending(title .. " [no luarocks]") end

describe("an empty tree", function()
  local directory, remove, project, tree, rocks

  setup(function()
    directory, remove = machine.directory()
    project, tree = directory .. "/project", directory .. "/tree"
    rocks = ("luarocks --lua-version=%s --tree=%s "):format(VERSION, tree)
    sh(directory, ("mkdir project tree && cd '%s' && cp -r %s %s"):format(here, PARTS, project))
    if has_luarocks then sh(project, rocks .. "make --deps-mode=none ns-scm-1.rockspec") end
  end)

  teardown(function() remove() end)

  rock_it("is filled by luarocks", function()
    assert.equal("hello\n", hello(tree))
    assert.matches("scm%-1", sh(directory, rocks .. "list --porcelain ns"))
  end)

  rock_it("is made into a binary rock", function()
    sh(directory, rocks .. "pack ns")
    local listing = sh(directory, "unzip -l ns-scm-1.linux-*.rock")
    assert.matches("lib/ns/core%.so", listing)
    assert.matches("lua/ns/init%.lua", listing)
  end)

  rock_it("has a rockspec without a fault", function()
    sh(project, ("luarocks --lua-version=%s lint ns-scm-1.rockspec"):format(VERSION))
  end)

  -- A rock that only wraps the busted of this machine: LuaRocks would look for busted on a server.
  rock_it("is tested by luarocks", function()
    local stub = directory .. "/stub"
    sh(directory, "mkdir stub && cp /usr/bin/busted stub/busted.lua")
    machine.file(stub .. "/busted-2.1.1-1.rockspec", [[
      rockspec_format, package, version = "3.0", "busted", "2.1.1-1"
      source = { url = "file:///dev/null" }
      build = { type = "builtin", modules = {}, install = { bin = { busted = "busted.lua" } } }
    ]])
    sh(stub, rocks .. "make --deps-mode=none busted-2.1.1-1.rockspec")
    local config = machine.file(directory .. "/config.lua",
      ("rocks_trees = {{ name = 't', root = '%s' }} rocks_servers = {}"):format(tree))
    -- a spec of its own, so that this one does not call itself
    machine.file(project .. "/spec/tiny_spec.lua", [[
      it("runs", function() assert.equal("tiny\n", require("ns").run({ "echo", "tiny" }).stdout) end)
    ]])
    local said = sh(project, ("luarocks --lua-version=%s test ns-scm-1.rockspec spec/tiny_spec.lua"):format(VERSION),
      { LUAROCKS_CONFIG = config })
    assert.matches("1 passed, 0 failed, 0 skipped", said)
  end)

  it("is filled by make install", function()
    local root = directory .. "/root"
    sh(project, ("make install LUA_VERSION=%s DESTDIR=%s PREFIX=/usr"):format(VERSION, root))
    assert.equal("hello\n", hello(root .. "/usr"))
    local outside = sh(root, "find . -type f ! -path './usr/lib/lua/*/ns/*' ! -path './usr/share/lua/*/ns/*'")
    assert.equal("", outside)
  end)
end)
