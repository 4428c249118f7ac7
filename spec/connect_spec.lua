--- The host connects to servers in boxes that have no interface but their loopback.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local needs = machine.it "sandbox"

--- The box with the server of spec/support/server.c, which listens where its arguments say.
local function with_server(box)
  return (box or ns.sandbox()):bind(machine.program "server", "/server")
end

local opened = {}

--- Closed at the end of the case.
local function closed_later(p)
  opened[#opened + 1] = assert(p)
  finally(function()
    for i = 1, #opened do table.remove(opened):close() end -- luacheck: ignore i
  end)
  return p
end

local function serving(...) return closed_later(with_server():spawn("/server", ...)) end

local function living(...) return closed_later(with_server():start(...)) end

--- What the server says to a line.
local function ask(c, line)
  assert(c):write(line, "\n")
  local answer = c:read("*l")
  c:close()
  return answer
end

describe("a connection to a server in a box", function()
  needs("is as one from inside: what is written comes back, until one of the two has said all", function()
    local p = serving "4:8080"
    assert.is_true(p:wait_for(8080, 20))
    local c = assert(p:connect(8080))
    assert.equal(c, c:write("one\n", 2, "\n"))
    assert.same({ "one", "2" }, { c:read "*l", c:read "*l" })
    assert.is_true(c:shutdown())
    assert.is_nil(c:read "*l")
    assert.matches("^ns.Connection %(port 8080%)$", tostring(c))
    assert.is_true(c:close() and c:close())
    assert.matches("port 8080, closed", tostring(c))
    c = assert(p:connect("127.0.0.1:8080"))
    c:write("bye\n")
    local lines = 0
    for _ in c:lines() do lines = lines + 1 end
    assert.equal(0, lines)
    c:close()
  end)

  needs("waits no longer than it was told to for a server that says nothing, or takes nothing", function()
    local p = serving "4:8080"
    assert.is_true(p:wait_for(8080, 20))
    local c = assert(p:connect(8080))
    assert.equal(c, c:settimeout(0.05))
    for _, format in ipairs { "*l", "*a", 3, "*n" } do
      assert.same({ nil, "timeout", core.constants.errno.EAGAIN }, { c:read(format) })
    end
    assert.error_matches(c:lines(), "timeout$")
    assert.equal("timeout", select(2, assert(c:settimeout(0)):read "*l"))
    assert.equal(c, c:settimeout())
    c:write "late\n"
    assert.equal("late", c:read "*l")
    assert.error_matches(function() c:settimeout(-1) end, "bad argument #1 to 'settimeout' %(seconds: ")
    assert.error_matches(function() c:settimeout "x" end, "bad argument #1 to 'settimeout' %(seconds: ")
    c:settimeout(0.05)
    local took, message
    repeat took, message = c:write(("x"):rep(2 ^ 20)) until not took
    assert.equal("timeout", message)
    c:close()
    assert.error_matches(function() c:settimeout(1) end, "attempt to use a closed connection")
  end)

  needs("is not held by a server that says a little all the time, and gets what is there without waiting", function()
    local DRIP = [[use IO::Socket; $s = IO::Socket::INET->new(LocalPort => 8080, Listen => 9);
      while ($c = $s->accept) {
        next if fork; syswrite $c, "now\n"; while (syswrite $c, "x") { select undef, undef, undef, 0.05 } exit }]]
    local p = closed_later(ns.sandbox():spawn("perl", "-e", DRIP))
    assert.is_true(p:wait_for(8080, 20))
    local c = assert(p:connect(8080)):settimeout(20)
    assert.equal("now", c:read "*l")
    assert.equal("timeout", select(2, c:settimeout(0.5):read "*l"))
    local byte
    local deadline = core.clock() + 20
    repeat byte = c:settimeout(0):read(1) until byte == "x" or core.clock() > deadline
    assert.equal("x", byte)
    c:close()
  end)

  needs("is had by a port, whichever of the two loopback addresses the server has, and by an address #system", function()
    local p = serving("4:8080", "6:8081")
    assert.is_true(p:wait_for(8081, 20))
    for _, server in ipairs { 8080, "127.0.0.1:8080", 8081, "[::1]:8081" } do
      assert.equal("hello", ask(p:connect(server), "hello"))
    end
    local refused = { nil, "connect to port 8082: Connection refused", core.constants.errno.ECONNREFUSED }
    assert.same(refused, { p:connect(8082) })
    assert.is_nil(p:connect "127.0.0.1:8081")
    assert.is_nil(p:connect "127.0.0.2:1")
  end)

  needs("is had in a container by the path of a socket, and by the name of an abstract one #system", function()
    local c = living("/server", "4:8080", "/tmp/socket", "@name")
    for _, server in ipairs { 8080, "/tmp/socket", "@name" } do
      assert.is_true(c:wait_for(server, 20))
      assert.equal("hello", ask(c:connect(server), "hello"))
    end
    assert.matches("^connect to /tmp/other: No such file or directory", (select(2, c:connect "/tmp/other")))
    assert.matches("^connect to @other: Connection refused", (select(2, c:connect "@other")))
    assert.matches("^connect to /usr/bin: ", (select(2, c:connect "/usr/bin")))
    assert.equal("x", ask(c.main:connect "/tmp/socket", "x"))
    local sleeper = assert(c:spawn("sleep", "1000"))
    assert.equal("by another program of it", ask(sleeper:connect(8080), "by another program of it"))
    sleeper:close()
  end)

  needs("leads into that box and no other: neither another one nor the host has that port #system", function()
    local one, other = serving "4:8080", living()
    assert.is_true(one:wait_for(8080, 20))
    assert.is_nil(other:connect(8080))
    assert.equal("7", other:run("sh", "-c", "/server 4:80 || echo 7").stdout:match "%d")
  end)

  needs("needs no rights of the host's user, and leaves nothing behind #system", function()
    local r = machine.host(([[
      local ns = require "ns"
      local function fds() return #require("ns.core").entries "/proc/self/fd" end
      local c = ns.sandbox():bind(%q, "/server"):start("/server", "4:8080", "/tmp/s")
      assert(c:wait_for(8080, 20))
      assert(c:wait_for("/tmp/s", 20))
      local before = fds()
      for _ = 1, 20 do
        for _, server in ipairs { 8080, "/tmp/s" } do
          local one = assert(c:connect(server))
          one:write "hello\n"
          assert(one:read "*l" == "hello")
          one:close()
          assert(not c:connect "/tmp/none" and not c:connect(9))
        end
      end
      print(fds() == before, #assert(c:processes()) < 12)
      c:close()
    ]]):format(machine.program "server"), { nobody = true })
    assert.equal("true\ttrue\n", r.stdout .. r.stderr)
  end)

  needs("can be given to another program, as its standard input and output", function()
    local p = serving "4:8080"
    assert.is_true(p:wait_for(8080, 20))
    local c = assert(p:connect(8080))
    local r = assert(ns.run { "sh", "-c", "echo through; read -r line; echo $line >&2", stdin = c, stdout = c })
    c:close()
    assert.equal("through\n", r.stderr)
  end)

  it("is refused with its reason where nobody can be asked for it", function()
    local p = assert(ns.spawn { "sleep", "1000" })
    local c, message, errno = p:connect(80)
    assert.same({ nil, core.constants.errno.EOPNOTSUPP }, { c, errno })
    assert.matches("start it with reachable = true", message)
    p:close()
  end)

  needs("and a wait for one end with the program, and with the container #system", function()
    local p = assert(ns.sandbox():spawn("sh", "-c", "exit 3"))
    assert.same({ nil, "the program has ended (exit 3)", core.constants.errno.ESRCH }, { p:wait_for(80) })
    assert.is_nil(p:connect(80))
    p:close()
    assert.same({ nil, "the process is closed", core.constants.errno.ESRCH }, { p:connect(80) })
    local c = assert(ns.sandbox():start())
    assert.same({ nil, "timeout", core.constants.errno.ETIMEDOUT }, { c:wait_for(80, 0.05) })
    assert.same({ nil, "timeout", core.constants.errno.ETIMEDOUT }, { c:wait_for("/tmp/none", 0) })
    c:stop(0)
    assert.matches("^the container has ended", (select(2, c:wait_for(80))))
    c:close()
    assert.matches("the container is closed", (select(2, c:connect(80))))
  end)

  needs("cannot be asked for in a way that is none", function()
    local p = serving "4:8080"
    for value, mistake in pairs {
      [0] = "server: 0 is out of range, 1 to 65535", [65536] = "out of range", [1.5] = "integer expected",
      nowhere = "'ADDRESS:PORT' expected, got 'nowhere'", ["localhost:80"] = "'localhost' is no address",
      ["127.0.0.1:0"] = "out of range", ["/tmp/x"] = "a path is for a container", ["::1:80"] = "'ADDRESS:PORT' expected",
    } do
      local ok, message = pcall(p.connect, p, value)
      assert.is_false(ok)
      assert.matches("connect_spec.lua:%d+: bad argument #1 to 'connect' %(", message)
      assert.truthy(message:find(mistake, 1, true), message)
    end
    assert.has_error(function() p:connect(8080, "x") end, "bad argument #2 to 'connect' (seconds expected, got x)")
    assert.has_error(function() p:wait_for(8080, -1) end, "bad argument #2 to 'wait_for' (seconds expected, got -1)")
    local c = living()
    local ok, message = pcall(c.connect, c, "/" .. ("x"):rep(107))
    assert.matches("108 bytes are too long, 107 are the most", not ok and message or "")
  end)
end)

describe("a connection's descriptor", function()
  local function connected()
    local p = serving "4:8080"
    assert.is_true(p:wait_for(8080, 20))
    return assert(p:connect(8080))
  end

  needs("can be taken away, but not when something was read already", function()
    local c = connected()
    assert.equal("number", type(c:getfd()))
    assert.is_false(c:dirty())
    c:write("one\ntwo\n")
    assert.equal("one", c:read "*l")
    if c:dirty() then
      assert.has_error(function() c:detach() end, "something was read ahead already: detach comes first")
    end
    c:close()
    assert.has_error(function() c:detach() end, "attempt to use a closed connection")
    assert.has_error(function() c:getfd() end, "attempt to use a closed connection")
    assert.has_error(function() c:read() end, "attempt to use a closed connection")
    assert.has_error(function() c:write("x") end, "attempt to use a closed connection")
  end)

  --- What an event loop makes of it, in a process of its own, as these libraries keep descriptors.
  local function with_library(name, code)
    machine.it("sandbox", name)("is one for " .. name, function()
      local r = machine.host(([[
        local p = require("ns").sandbox():bind(%q, "/server"):spawn("/server", "4:8080")
        assert(p:wait_for(8080, 20))
        local fd = assert(p:connect(8080)):detach()
        %s
        p:close()
      ]]):format(machine.program "server", code))
      assert.equal("hello\n", r.stdout .. r.stderr)
    end)
  end

  with_library("socket", [[
    local s = require("socket").tcp4()
    s:close()
    s:setfd(fd)
    assert(s:connect("127.0.0.1", 8080)) -- which it is: so LuaSocket learns it
    s:settimeout(20)
    assert(s:send "hello\n")
    print((s:receive "*l"))
    s:settimeout(0.05)
    assert(select(2, s:receive "*l") == "timeout")
    s:close() ]])

  with_library("cqueues", [[
    local queue = require("cqueues").new()
    queue:wrap(function()
      local s = require("cqueues.socket").fdopen(fd)
      s:write "hello\n"
      s:flush()
      print((s:read "*l"))
      s:close()
    end)
    assert(queue:loop(20)) ]])

  with_library("luv", [[
    local uv = require "luv"
    local tcp = uv.new_tcp()
    tcp:open(fd)
    tcp:write "hello\n"
    tcp:read_start(function(_, bytes)
      io.write(bytes)
      tcp:close()
    end)
    uv.run() ]])
end)

describe("reachable #system", function()
  it("gives a program the init that its connections need, without any other word", function()
    for _, flags in ipairs { {}, machine.flags("net") } do
      local p = assert(ns.spawn { machine.program "server", "4:39999", reachable = true, flags = flags })
      assert.is_true(p:wait_for(39999, 20))
      assert.equal("hello", ask(p:connect(39999), "hello"))
      p:close()
    end
  end)

  it("cannot stand beside init = false", function()
    assert.has_error(function() ns.spawn { "true", reachable = true, init = false } end,
      "bad argument #1 to 'spawn' (reachable: needs an init, which makes sockets for you: not with init = false)")
  end)
end)
