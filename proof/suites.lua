--- Suites that strangers wrote, from Debian's sources, unchanged: each test ends with ns.busted as it does without, in the
-- same order, with the busted of this machine and a newer one, as root and as an ordinary user.
local proof = require "proof"
local machine = require "support.machine"
local ns = require "ns"

proof.needs("apt-get", "tar")

-- {package, the pattern of its directory, where its modules are}
local SUITES = {
  { "lua-penlight/stable", "^Penlight", "./lua/?.lua;./lua/?/init.lua" },
  { "lua-argparse/stable", "^argparse", "./src/?.lua" },
  { "lua-busted/stable", "^busted", "./?.lua;./?/init.lua" },
  { "lua-luassert/stable", "^luassert", "./src/?.lua;./src/?/init.lua" },
  { "lua-cliargs/stable", "^lua_cliargs", "./src/?.lua;./src/?/init.lua" },
  { "lua-say/stable", "^say", "./src/?.lua;./src/?/init.lua" },
  { "lua-mediator/stable", "^mediator", "./src/?.lua" },
  { "lua-inspect/stable", "^inspect", "./?.lua" },
}
local LUAS = proof.size({ "5.4" }, { "5.1", "5.4", "jit" })

--- Fetches the sources into a directory, with lists of its own: apt's are left alone, and nothing is installed.
local function fetch(directory)
  local names = {}
  for i, suite in ipairs(SUITES) do names[i] = suite[1] end
  return proof.sh([=[
    cd %s && mkdir -p lists/partial cache/archives/partial
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
      sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\) .*/\2/p' | grep -m 1 '/debian/*$')
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror stable main" >sources
    apt() {
      timeout 120 apt-get -qq -o Dir::Etc::sourcelist=$PWD/sources -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists=$PWD/lists -o Dir::State::status=/dev/null -o Dir::Cache=$PWD/cache \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=0 -o Acquire::http::Timeout=10 "$@"
    }
    apt update && for name in %s; do apt source --download-only --tar-only $name || echo "not fetched: $name"; done
    for archive in *.orig.tar.*; do tar -xf $archive || exit 1; done; rm -rf lists cache; chmod -R a+rwX .]=], directory,
    table.concat(names, " "))
end

--- What has come of each test, in order, as text.
local function run(suite, lua, busted, helper, nobody)
  local list, public = suite.directory .. "/list", machine.public()
  os.remove(list)
  local path = suite.path .. ";" .. busted.modules .. machine.paths(public).LUA_PATH
  local env = { LUA_PATH = path, LUA_CPATH = ("%s/build/%s/?.so;;"):format(public, lua == "jit" and "5.1" or lua),
    SUITES_LIST = list, NS_BUSTED = "jobs=2", CI = false }
  local argv = {}
  for word in (nobody and machine.as_user or ""):gmatch("%S+") do argv[#argv + 1] = word end
  for _, word in ipairs { "lua" .. lua, busted.path, "-o", public .. "/proof/suites_list.lua", helper or "--defer-print",
    "spec" } do argv[#argv + 1] = word end
  local r = assert(ns.run { argv = argv, cwd = suite.directory, env = env, timeout = 300 })
  return machine.read(list) or "", r
end

local function compare(suite, lua, busted, nobody)
  local title = ("%s, Lua %s, %s%s"):format(suite.name, lua, busted.name, nobody and ", an ordinary user" or "")
  local plain = run(suite, lua, busted, nil, nobody)
  local counts = plain:match "counts\t([^\n]+)"
  if not counts then return proof.skip("%s does not run without, either", title) end
  local with, r = run(suite, lua, busted, "--helper=ns.busted", nobody)
  proof.check(plain == with, "%s: %s without, %s with\n%s", title, counts, with:match "counts\t([^\n]+)" or "nothing",
    r.stderr:sub(-500))
  if not nobody then proof.figure(title, "%s", (counts:gsub("\t", " / "))) end
end

local directory, remove = machine.directory()
os.execute("chmod 777 " .. directory)
local ok, said = fetch(directory)
local found = 0
for entry in require("lfs").dir(directory) do
  for _, suite in ipairs(SUITES) do
    if entry:find(suite[2]) and not entry:find "%.tar" then
      suite.name, suite.directory, suite.path, found = entry, directory .. "/" .. entry, suite[3], found + 1
    end
  end
end

--- The busted of this machine, and the one whose source is there.
local function versions()
  local list = { { name = "busted of the machine", path = "/usr/bin/busted", modules = "" } }
  for _, suite in ipairs(SUITES) do
    local at = suite.name and suite.name:find "^busted" and suite.directory
    if at then
      list[2] = { name = suite.name, path = at .. "/bin/busted", modules = ("%s/?.lua;%s/?/init.lua;"):format(at, at) }
    end
  end
  return list
end

local function compare_all(suite, busted)
  for _, lua in ipairs(LUAS) do
    for _, nobody in ipairs(machine.root and { false, true } or { false }) do compare(suite, lua, busted, nobody) end
  end
end

if found == 0 then
  proof.skip("the sources cannot be fetched: %s", ok and "nothing came" or said:match "([^\n]*)\n*$")
else
  for _, suite in ipairs(SUITES) do
    if not suite.name then proof.skip("%s was not fetched", suite[1]) end
    for _, busted in ipairs(suite.name and versions() or {}) do compare_all(suite, busted) end
  end
end
remove()
machine.remove_public()
proof.finish()
