--- network = "none", "host" or "pasta": what a program has for a network, in a word.
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

local needs = machine.it "sandbox"

local OWN = "readlink /proc/self/ns/net"

local function net_of(spec) return machine.sh(spec, OWN) end

local function host_net() return lfs.symlinkattributes("/proc/self/ns/net", "target") end

describe("network = none #system", function()
  it("is one of its own, with a loopback that is up and nothing else, whatever the flags say", function()
    for _, flags in ipairs { machine.flags(), machine.flags "net" } do
      local spec = { flags = flags, network = "none" }
      assert.not_equal(host_net(), net_of(spec))
      assert.equal("lo:", machine.sh(spec, "sed 1,2d /proc/net/dev | awk '{ print $1 }'"))
    end
  end)
end)

describe("network = host #system", function()
  needs("is the host's, behind all other walls of a sandbox", function()
    local box = ns.sandbox():network "host"
    assert.equal(host_net(), net_of(box:spec()))
    local line = "for n in user mnt pid ipc uts; do readlink /proc/self/ns/$n; done; grep -E 'NoNewPrivs|CapEff|Seccomp:' "
      .. "/proc/self/status; touch /usr/x 2>&1; hostname"
    local function look(b) return (machine.sh(b:spec(), line):gsub("%[%d+%]", "[N]")) end
    assert.equal(look(ns.sandbox()), look(box))
    for name in machine.sh(box:spec(), line):gmatch "%l+:%[%d+%]" do
      for _, kind in ipairs { "user", "mnt", "pid", "ipc", "uts" } do
        assert.not_equal(name, lfs.symlinkattributes("/proc/self/ns/" .. kind, "target"))
      end
    end
  end)

  it("takes the place of net in the flags, as far as nothing else wants that", function()
    assert.equal(host_net(), net_of { flags = machine.flags "net", network = "host" })
    assert.has_error(function() ns.spawn { "true", flags = "net", network = "host", publish = { [0] = 80 } } end,
      "bad argument #1 to 'spawn' (publish: needs 'net' in flags)")
  end)

  machine.it("sandbox", "landlock_scope")("does not lead to the abstract sockets of the host", function()
    local name = "@ns-network-" .. core.ids().pid
    local p = assert(ns.spawn { machine.program "server", name, "4:0" })
    ns.run { "sleep", "0.2" }
    local line = ("perl -e 'use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0); "
      .. "print connect($s, pack_sockaddr_un(\"\\0%s\")) ? \"connected\" : \"$!\"'"):format(name:sub(2))
    local inside, outside = machine.sh(ns.sandbox():network("host"):spec(), line), machine.sh({}, line)
    p:close()
    assert.same({ "connected", "Operation not permitted" }, { outside, inside })
  end)
end)

-- ---- pasta ----

-- A pasta that says how it was started, and is ready when DIRECTORY/ready stands; with DIRECTORY/fail it fails, with
-- DIRECTORY/hang it hangs.
local FAKE = [[
#!/bin/sh
d=%s
echo "$@" >$d/args
readlink /proc/self/fd/3 >$d/net
[ -e $d/fail ] && { echo "Failed to send 12 bytes to syslog" >&2; echo "no interface with a route" >&2; exit 1; }
[ -e $d/hang ] && exec sleep 1000.%d
sleep 0.2
: >$d/ready
while [ "$1" != -P ]; do shift; done
echo $$ >$2
exec sleep 1000.%d
]]

--- A directory with a program pasta, which leaves a sleep with that argument; and what removes it.
local function fake()
  local directory, remove = machine.directory()
  local number = core.ids().pid
  machine.file(directory .. "/pasta", FAKE:format(directory, number, number), "755")
  os.execute("chmod 777 " .. directory)
  return directory, remove, ("1000.%d"):format(number)
end

--- What a host says that has this program pasta.
local function with_pasta(directory, code, nobody)
  local path = directory .. ":" .. os.getenv "PATH"
  local env = machine.paths(machine.public())
  env.PATH = path
  local r = machine.host(("local ns, DIRECTORY = require 'ns', %q\n"):format(directory) .. code,
    { nobody = nobody, spec = { env = env } })
  return r.stdout .. r.stderr, r
end

local RUN = [[
  local box = ns.sandbox():network("pasta"):ro_bind(DIRECTORY, "/d")
  local r, message = box:run("sh", "-c", "ls /d/ready; readlink /proc/self/ns/net")
  io.write(r and r.stdout .. r.stderr or message) ]]

describe("network = pasta #system", function()
  for _, nobody in ipairs { false, true } do
    local who = nobody and ", for an ordinary user" or ""
    needs("is that of the program pasta, which stands before the program runs" .. who, function()
      local directory, remove, sleep = fake()
      local said = with_pasta(directory, RUN, nobody)
      local args, net = machine.read(directory .. "/args"), machine.read(directory .. "/net")
      remove()
      assert.equal("/d/ready\n" .. net, said)
      assert.not_equal(host_net(), (net:gsub("\n", "")))
      for _, closed in ipairs { "--no-map-gw", "-t none", "-u none", "-T none", "-U none" } do
        assert.truthy((" " .. args):find(" " .. closed .. " ", 1, true), closed .. ": " .. args)
      end
      machine.eventually(function() return machine.processes(sleep) == 0 end)
    end)
  end

  needs("ends with the box, though nobody waits for that; and with the host", function()
    local directory, remove, sleep = fake()
    for _, how in ipairs { "io.read()", "p:close()", "os.execute 'kill -9 $PPID'",
      "c = ns.sandbox():network('pasta'):start() c:close()" } do
      local words = how == "io.read()" and "sh', '-c', 'exit 0" or "sleep', '1000"
      local path = directory .. ":" .. os.getenv "PATH"
      local env = machine.paths(machine.public())
      env.PATH = path
      local code = "local ns, c = require 'ns' local p = assert(ns.sandbox():network('pasta'):spawn('%s')) %s"
      local h = assert(ns.spawn { machine.lua, "-e", code:format(words, how), env = env, cwd = "/", stdin = "pipe",
        stderr = "null" })
      machine.eventually(function() return lfs.attributes(directory .. "/ready") ~= nil end)
      machine.eventually(function() return machine.processes(sleep) == 0 end)
      h:close()
      os.remove(directory .. "/ready")
    end
    remove()
  end)

  needs("is refused with what pasta said, and in the time that there is; then nothing is left", function()
    local directory, remove, sleep = fake()
    machine.file(directory .. "/fail", "")
    assert.equal("start pasta, for the world outside: Operation not permitted (EPERM); no interface with a route",
      (with_pasta(directory, RUN)))
    os.remove(directory .. "/fail")
    machine.file(directory .. "/hang", "")
    local said = with_pasta(directory, "io.write((select(2, ns.sandbox():network('pasta'):timeout(0.3):run('true'))))")
    assert.equal("timeout in: start pasta, for the world outside (ETIMEDOUT)", said)
    assert.equal(0, machine.processes(sleep))
    remove()
  end)

  needs("names the package where there is no such program", function()
    local under = { "sh", "-c", 'lua=$(command -v "$1") && shift && PATH=/nowhere exec "$lua" "$@"', "sh" }
    local r = machine.host([[print((select(2, require("ns").sandbox():network("pasta"):run("true"))))]], { under = under })
    assert.equal("start pasta, for the world outside: No such file or directory (ENOENT); the program pasta is needed for "
      .. "network = 'pasta': its package is called passt\n", r.stdout)
  end)

  it("cannot stand beside reach, and is one of three words", function()
    assert.has_error(function() ns.spawn { "true", network = "pasta", reach = { "127.0.0.1:80" } } end,
      "bad argument #1 to 'spawn' (reach: with network = 'pasta' all is reached: one of the two)")
    assert.has_error(function() ns.spawn { "true", network = "bridge" } end,
      "bad argument #1 to 'spawn' (network: 'none' or 'host' or 'pasta' expected, got 'bridge')")
    assert.has_error(function() ns.spawn { "true", network = "none", join = { net = "/proc/self/ns/net" } } end,
      "bad argument #1 to 'spawn' (network: given beside 'join', which has a network of its own to enter)")
  end)

  machine.it("sandbox", "pasta")("shows the world, and nothing of the host's loopback", function()
    local p = assert(ns.spawn { machine.program "server", "4:19788", reachable = true })
    assert.is_true(p:wait_for(19788, 20))
    local box = ns.sandbox():network("pasta"):bind(machine.program "client", "/client")
    local routes = box:run("cat", "/proc/net/route").stdout
    local gateway = routes:match "\n%S+%s+00000000%s+(%x+)"
    local bytes = {}
    for byte in gateway:gmatch "%x%x" do table.insert(bytes, 1, tonumber(byte, 16)) end
    for _, address in ipairs { "127.0.0.1", table.concat(bytes, ".") } do
      assert.not_equal("hello\n", box:run { "/client", address, "19788", "hello", timeout = 5 }.stdout)
    end
    p:close()
  end)
end)
