--- The ways in: LuaRocks and `make install`, each into an empty tree, from a copy of the project without its build. All
-- paths have a space and an apostrophe, and the environment is that of a packager who has much to say.
local machine = require "support.machine"
local ns = require "ns"

local VERSION = machine.version
local PARTS = "Makefile README.md bin doc ns-scm-1.rockspec .busted src lua spec"

-- What the run around this one has set would lead to this project, and its make would hand its variables down.
local CLEAN = { MAKEFLAGS = false, MAKELEVEL = false, MFLAGS = false, MAKEOVERRIDES = false, LUAROCKS_CONFIG = false }
for _, suffix in ipairs { "", "_5_2", "_5_3", "_5_4", "_5_5" } do
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

--- What an nsbox that is installed says, which is to find its Lua, its module and argparse: the first line of its help.
local function nsbox(command)
  local r = assert(ns.run { "sh", "-c", '"$0" --help || true', command, cwd = "/", env = with {}, timeout = 60 })
  return (r.stdout .. r.stderr):match "^[^\n]*"
end

local nsbox_says = pcall(require, "argparse") and VERSION ~= "5.5" and "Usage: nsbox [--help] <command> ..."
  or "nsbox: nsbox needs argparse, which is not installed: apt-get install lua-argparse, or luarocks install argparse"

--- A text as one word of the shell.
local function q(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local here = machine.sh({}, "pwd")
local include = machine.include
-- that of Debian 12 does not understand lua.h of 5.5
local has_luarocks = VERSION ~= "5.5" and machine.sh({}, "command -v luarocks || true") ~= ""
local rock_it = has_luarocks and it or function(title) pending(title .. " [no luarocks for Lua " .. VERSION .. "]") end

describe("an empty tree #system", function()
  local directory, remove, project, tree, rocks, staging

  setup(function()
    directory, remove = machine.directory()
    project, tree, staging = directory .. "/the project", directory .. "/a user tree", directory .. "/staging"
    rocks = ("luarocks --lua-version=%s --tree=%s "):format(VERSION, q(tree))
    sh(directory, ("mkdir %s %s && cd %s && cp -r %s %s"):format(q(project), q(tree), q(here), PARTS, q(project)))
    local packager = { DESTDIR = staging, BUILD = directory .. "/build of something else" }
    if has_luarocks then sh(project, rocks .. "make --deps-mode=none ns-scm-1.rockspec", packager) end
  end)

  teardown(function() remove() end)

  rock_it("is filled by luarocks", function()
    assert.equal("hello\n", hello(tree))
    assert.matches("scm%-1", sh(directory, rocks .. "list --porcelain ns"))
    assert.equal("", sh(directory, "ls -d staging build* 2>&- || true"))
  end)

  rock_it("has nsbox, by luarocks", function()
    assert.equal(nsbox_says, nsbox(tree .. "/bin/nsbox"))
  end)

  rock_it("is made into a binary rock", function()
    sh(directory, rocks .. "pack ns")
    local listing = sh(directory, "unzip -l ns-scm-1.linux-*.rock")
    assert.matches("lib/ns/core%.so", listing)
    assert.matches("lua/ns/init%.lua", listing)
    assert.matches("doc/words%.md", listing)
  end)

  rock_it("has a rockspec without a fault", function()
    sh(project, ("luarocks --lua-version=%s lint ns-scm-1.rockspec"):format(VERSION))
  end)

  -- A rock that only wraps the busted of this machine: LuaRocks would look for busted on a server.
  rock_it("is tested by luarocks", function()
    local stub, plain = directory .. "/stub", directory .. "/tree" -- LuaRocks itself wants a tree without a space for this
    sh(directory, "mkdir stub && cp /usr/bin/busted stub/busted.lua && ln -s " .. q(tree) .. " tree")
    machine.file(stub .. "/busted-2.1.1-1.rockspec", [[
      rockspec_format, package, version = "3.0", "busted", "2.1.1-1"
      source = { url = "file:///dev/null" }
      build = { type = "builtin", modules = {}, install = { bin = { busted = "busted.lua" } } }
    ]])
    sh(stub, ("luarocks --lua-version=%s --tree=%s make --deps-mode=none busted-2.1.1-1.rockspec"):format(VERSION, plain))
    local config = machine.file(directory .. "/config.lua",
      ("rocks_trees = {{ name = 't', root = '%s' }} rocks_servers = {}"):format(plain))
    -- a spec of its own, so that this one does not call itself
    machine.file(project .. "/spec/tiny_spec.lua", [[
      it("runs", function() assert.equal("tiny\n", require("ns").run({ "echo", "tiny" }).stdout) end)
    ]])
    local said = sh(project, ("luarocks --lua-version=%s test ns-scm-1.rockspec spec/tiny_spec.lua"):format(VERSION),
      { LUAROCKS_CONFIG = config })
    assert.matches("1 passed, 0 failed, 0 skipped", said)
  end)

  it("is filled by make install, and emptied by make uninstall", function()
    local root = directory .. "/a root"
    local variables = ("LUA_VERSION=%s DESTDIR=%s PREFIX=%s"):format(VERSION, q(root), q("/opt/user's lua"))
    if not include:find("^/usr/") then variables = variables .. " LUA_INCDIR=" .. q(include) end
    sh(project, "make install " .. variables)
    assert.equal("hello\n", hello(root .. "/opt/user's lua"))
    local outside = sh(root, "find . -type f ! -path './opt/*/lib/lua/*/ns/*' ! -path './opt/*/share/lua/*/ns/*' | sort")
    assert.equal("./opt/user's lua/bin/nsbox\n./opt/user's lua/bin/nsbox-oci\n", outside)
    local command = root .. "/opt/user's lua/bin/nsbox"
    assert.equal("#!/usr/bin/env lua" .. VERSION, machine.read(command):match "^[^\n]*")
    assert.equal(nsbox_says, nsbox(command))
    local another = ("%s/opt/user's lua/share/lua/%s/ns/of_others.lua"):format(root, VERSION)
    machine.file(another, "")
    sh(project, "make uninstall " .. variables)
    assert.equal(another .. "\n", sh(root, "find " .. q(root) .. " -type f"))
  end)
end)

describe("a packager's build #system", function()
  local directory, remove = machine.directory()
  local source, headers, mark = directory .. "/source", directory .. "/user's headers", directory .. "/mark.h"

  teardown(function() remove() end)

  local function make(variables)
    return ("make -j2 LUA_VERSION=%s BUILD=%s/build %s"):format(VERSION, directory, variables)
  end

  setup(function()
    sh(directory, ("mkdir source && cp -r %s %s && cd %s && cp -r %s %s && chmod -R a-w %s"):format(include, q(headers),
      q(here), PARTS, source, source))
    machine.file(mark, '__attribute__((used)) static const char mark[] = "CPPFLAGS have arrived";')
  end)

  it("takes its flags and its headers, and leaves the source alone", function()
    local before = sh(source, "ls -lR .")
    sh(source, make(("LUA_INCDIR=%s CPPFLAGS='-D_FORTIFY_SOURCE=2 -include %s' LDFLAGS='-Wl,-z,relro,-z,now,-soname,flags' "
      .. "CFLAGS='-O1 -g -flto -fstack-protector-strong -Werror=implicit'"):format(q(headers), mark)))
    local core = directory .. "/build/" .. VERSION .. "/ns/core.so"
    assert.matches("SONAME.-%[flags%]", sh(directory, "readelf -d " .. core))
    sh(directory, "grep -q 'CPPFLAGS have arrived' " .. core)
    local r = ns.run { machine.lua, "-e", "print(require('ns').run({ 'echo', 'hello' }).stdout)", timeout = 60, cwd = source,
      env = with { LUA_PATH = "./lua/?.lua;./lua/?/init.lua", LUA_CPATH = directory .. "/build/" .. VERSION .. "/?.so" } }
    assert.equal("hello\n\n", r.stdout, r.stderr)
    assert.equal(before, sh(source, "ls -lR ."))
  end)

  it("goes without a directory of headers, where the compiler knows one", function()
    sh(source, make("LUA_INCDIR= CC='gcc -isystem " .. include .. "' CFLAGS=-O0 -W src/core/core.c"))
  end)

  it("refuses the headers of another Lua", function()
    local other = VERSION == "5.4" and "5.3" or "5.4"
    local build = make("LUA_INCDIR=/usr/include/lua" .. other .. " CFLAGS=-fsyntax-only -W src/core/core.c")
    local said = sh(source, "! " .. build)
    assert.matches("lua%.h of another Lua than LUA_VERSION says", said)
  end)
end)
