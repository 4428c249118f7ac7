--- publish and reach: what leads into a box, and what it may reach, without an interface, by a relay beside the host.
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

local needs = machine.it "sandbox"
local ECONNREFUSED = core.constants.errno.ECONNREFUSED

local opened = {}

--- Closed at the end of the case.
local function later(p, message)
  opened[#opened + 1] = assert(p, message)
  finally(function()
    for i = 1, #opened do table.remove(opened):close() end -- luacheck: ignore i
  end)
  return p
end

local function box()
  return ns.sandbox():bind(machine.program "server", "/server"):bind(machine.program "client", "/client")
end

--- A program of the host's, by which the host's own ports are asked.
local function host() return later(ns.spawn { "sleep", "1000", reachable = true }) end

--- A server of the host's, on a port of 127.0.0.1 that is free; and that port.
local function served(where)
  for _ = 1, 50 do
    local port = math.random(20000, 30000)
    local p = assert(ns.spawn { machine.program "server", ("%s:%d"):format(where or "4", port), reachable = true,
      stderr = "null" })
    if p:wait_for(port, 20) then return later(p), port end
    p:close()
  end
end

--- What a server says to a line; or why there is no answer.
local function ask(p, port, line)
  local c, message = p:connect(port, 10)
  if not c then return message end
  c:write(line, "\n")
  local answer = c:read "*l"
  c:close()
  return answer
end

--- What a program in the box hears from a server that it dials.
local function dial(b, name, port, line)
  return (assert(b:run { "/client", name, tostring(port), line or "hello", timeout = 30 }).stdout:gsub("\n$", ""))
end

local function is_refused(p, port)
  local c, _, errno = p:connect(port)
  if c then c:close() end
  return errno == ECONNREFUSED
end

--- How many descriptors a process has.
local function descriptors(pid)
  local count = 0
  for name in lfs.dir(("/proc/%d/fd"):format(pid)) do count = count + (name:find "%d" and 1 or 0) end
  return count
end

describe("what is published #system", function()
  needs("leads to the server in the box, and what it says comes back to its end", function()
    local h, p = host(), later(box():publish { [0] = 8080 }:spawn("/server", "4:8080"))
    assert.is_true(p:wait_for(8080, 20))
    local port = p.published[8080]
    assert.equal("hello", ask(h, port, "hello"))
    local c, other = assert(h:connect(port)), assert(h:connect(port))
    c:write "one\n"
    other:write "two\n"
    assert.same({ "two", "one" }, { other:read "*l", c:read "*l" })
    c:write "last"
    c:shutdown()
    assert.equal("last", c:read "*a")
    other:write "bye\n"
    assert.equal("", other:read "*a")
    c:close()
    other:close()
  end)

  needs("is one of the addresses that are said, and another port where 0 is said", function()
    local h = host()
    local p = later(box():publish { ["0.0.0.0:0"] = 8080, ["[::1]:0"] = "[::1]:8081", [0] = 8081 }
      :spawn("/server", "4:8080", "6:8081"))
    assert.is_true(p:wait_for(8081, 20))
    assert.equal("a", ask(h, ("127.0.0.3:%d"):format(p.published[8080]), "a"))
    assert.equal("b", ask(h, ("[::1]:%d"):format(p.published["[::1]:8081"]), "b"))
    assert.equal("c", ask(h, ("127.0.0.1:%d"):format(p.published[8081]), "c"))
    assert.is_true(is_refused(h, ("127.0.0.3:%d"):format(p.published[8081])))
    assert.equal(p.published[8080], p.published["0.0.0.0:0"])
  end)

  needs("is told by its key, where two lead to one port", function()
    local h, p = host(), later(box():publish { ["127.0.0.2:0"] = 8080, ["127.0.0.3:0"] = 8080 }:spawn("/server", "4:8080"))
    assert.is_true(p:wait_for(8080, 20))
    for _, address in ipairs { "127.0.0.2", "127.0.0.3" } do
      assert.equal("a", ask(h, ("%s:%d"):format(address, p.published[address .. ":0"]), "a"))
    end
  end)

  needs("may be a port below 1024 of the box, where the program has no rights", function()
    for inside, server in pairs { [80] = "4:80", ["127.0.0.1:80"] = "4:80", ["[::1]:80"] = "6:80" } do
      local h, p = host(), later(box():publish { [0] = inside }:spawn("/server", server))
      assert.is_true(p:wait_for(80, 20), inside)
      assert.equal("hello", ask(h, p.published[inside], "hello"))
    end
  end)

  needs("is that of a container, too, for each server that comes and goes in it", function()
    local h, c = host(), later(box():publish { [0] = 8080 }:start())
    local port = c.published[8080]
    local answer = ask(h, port, "nobody is there") -- the reset may come before the connection was seen
    assert.truthy(answer == nil or answer:find "reset by peer", answer)
    for _, line in ipairs { "one", "two" } do
      local p = assert(c:spawn("/server", "4:8080"))
      assert.is_true(c:wait_for(8080, 20))
      assert.equal(line, ask(h, port, line))
      p:close()
      machine.eventually(function() return is_refused(c, 8080) end) -- a child of it may have its socket still
    end
    c:close()
    assert.is_true(is_refused(h, port))
  end)

  needs("is refused by name where somebody has that port, and nothing is left", function()
    local _, port = served()
    local p, message, errno, detail = box():publish { [port] = 80 }:spawn("/server", "4:80")
    assert.same({ nil, core.constants.errno.EADDRINUSE, "publish", tostring(port) },
      { p, errno, detail.word, detail.part })
    assert.matches("^listen on 127.0.0.1:%d+: Address already in use", message)
    assert.is_nil(box():publish { [port] = 80 }:check("/server"))
    assert.is_nil((box():publish { [port] = 80 }:start()))
  end)

  needs("is anybody's again after a check, a start that fails, and the end of the program", function()
    local listener, port = served()
    listener:close()
    local b = box():publish { [port] = 80 }
    for _ = 1, 2 do
      assert(b:check "/server")
      assert.is_nil((b:spawn "/nowhere"))
      assert.is_nil((b:spawn { "/server", cwd = "/nowhere" }))
    end
    for _ = 1, 20 do
      local p = later(b:spawn("/server", "4:80"))
      p:kill "KILL"
      assert.same({ nil, "signal", 9 }, { p:wait(20) })
    end
  end)

  needs("ends with the program, though nobody waits for that, and what it has said last is still heard", function()
    local h, p = host(), later(box():publish { [0] = 8080 }:spawn("/server", "4:8080"))
    assert.is_true(p:wait_for(8080, 20))
    local port = p.published[8080]
    local c = assert(h:connect(port))
    c:write "end\n"
    assert.equal("end", c:read "*l")
    assert.is_nil(c:read "*l")
    c:close()
    machine.eventually(function() return is_refused(h, port) end)
    assert.same({ nil, "signal", 15 }, { p:wait() })
  end)

  needs("ends with its host, however that ends; and where the program outlives that, it does, too", function()
    local h = host()
    for _, detach in ipairs { "false", "true" } do
      local r = machine.host(([[
        local p = require("ns").sandbox():bind(%q, "/server"):publish { [0] = 8080 }:detach(%s)
          :spawn { "/server", "4:8080", stdout = "null", stderr = "null" }
        assert(p:wait_for(8080, 20))
        print(p.published[8080], p.pid)
        io.stdout:flush()
        os.execute "kill -9 $PPID" ]]):format(machine.program "server", detach))
      local port, pid = r.stdout:match "^(%d+)\t(%d+)\n"
      port = tonumber(port)
      if detach == "true" then
        assert.equal("still", ask(h, port, "still"))
        ns.run { "kill", "-9", pid }
      end
      machine.eventually(function() return is_refused(h, port) end)
    end
  end)

  needs("is that of a container with a name, which outlives its host, and for whom finds it by that", function()
    local h, name = host(), "ports-" .. core.ids().pid
    local r = machine.host(([[
      local c = require("ns").sandbox():bind(%q, "/server"):publish { [0] = 80 }:start { name = %q, "/server", "4:80" }
      assert(c:wait_for(80, 20))
      print(c.published[80]) ]]):format(machine.program "server", name))
    local c = later(ns.container(name), r.stderr)
    assert.equal(r.stdout, c.published[80] .. "\n")
    for _, line in ipairs { "one", "two" } do assert.equal(line, ask(h, c.published[80], line)) end
    assert.equal("three", ask(c, 80, "three"))
    c:stop(0)
    machine.eventually(function() return is_refused(h, c.published[80]) end)
  end)

  needs("is there for an ordinary user", function()
    local r = machine.host(([[
      local ns = require "ns"
      local h = assert(ns.spawn { "sleep", "100", reachable = true })
      local p = assert(ns.sandbox():bind(%q, "/server"):publish { [0] = 80 }:spawn("/server", "4:80"))
      assert(p:wait_for(80, 20))
      local c = assert(h:connect(p.published[80]))
      c:write "hello\n"
      print((c:read "*l"))
      c:close()
      p:close()
      h:close()
    ]]):format(machine.program "server"), { nobody = true })
    assert.equal("hello\n", r.stdout .. r.stderr)
  end)

  it("is refused where it could not be meant", function()
    for value, mistake in pairs {
      [{ [8080] = "x" }] = "publish[8080]: 'ADDRESS:PORT' expected, got 'x'",
      [{ [65536] = 80 }] = "publish[65536]: 65536 is out of range, 0 to 65535",
      [{ ["localhost:80"] = 80 }] = "publish[localhost:80]: 'localhost' is no address of this machine; a name is none",
      [{ [8080] = "/tmp/x" }] = "publish[8080]: a port or 'ADDRESS:PORT' of the box expected, got a path",
      [{ 80, 443 }] = "publish: a list, where { [8080] = 80 } is meant: the host's port, and that of the box",
      [8080] = "publish: table expected, got number",
    } do
      local ok, message = pcall(ns.spawn, { "true", flags = "net", publish = value })
      assert.truthy(not ok and message:find(mistake, 1, true), message)
    end
    assert.has_error(function() ns.spawn { "true", publish = { [8080] = 80 } } end,
      "bad argument #1 to 'spawn' (publish: needs 'net' in flags)")
    assert.has_error(function() ns.sandbox():publish({ [0] = 80 }):pool(2) end,
      "bad argument to 'pool' (publish: the boxes of a pool cannot all have one port)")
  end)
end)

describe("publish and reach", function()
  it("go with the network that they are of", function()
    local words = ns.sandbox():publish({ [0] = 80 }):reach({ "127.0.0.1:80" }):share("net"):spec()
    assert.same({}, { words.publish, words.reach })
  end)
end)

describe("the relay #system", function()
  needs("holds a reader that is slow, in little memory, and no other one", function()
    local h, p = host(), later(box():publish { [0] = 8080 }:spawn("/server", "4:8080"))
    assert.is_true(p:wait_for(8080, 20))
    local port = p.published[8080]
    local slow = later(ns.spawn { machine.program "client", "127.0.0.1", tostring(port), "flood", "48", "1",
      stdout = "pipe" })
    ns.run { "sleep", "0.5" }
    for i = 1, 5 do assert.equal("x" .. i, ask(h, port, "x" .. i)) end
    local kib = tonumber(machine.read(("/proc/%d/status"):format(p.relay:pid())):match "VmRSS:%s*(%d+)")
    assert.truthy(kib < 4096, kib)
    assert.equal("same\n", slow.stdout:read "*a")
  end)

  needs("has connections wait that are too many, and takes them when others end", function()
    local h, p = host(), later(box():publish { [0] = 8080 }:spawn("/server", "4:8080"))
    assert.is_true(p:wait_for(8080, 20))
    local list, port = {}, p.published[8080]
    for i = 1, 270 do list[i] = assert(h:connect(port)) end
    for i = 1, 250 do list[i]:write(i, "\n") end
    for i = 1, 250 do assert.equal(tostring(i), list[i]:read "*l") end
    for i = 1, 100 do list[i]:close() end
    for i = 251, 270 do
      list[i]:write(i, "\n")
      assert.equal(tostring(i), list[i]:read "*l")
    end
    for i = 101, 270 do list[i]:close() end
    machine.eventually(function() return descriptors(p.relay:pid()) < 8 end)
  end)

  needs("has no rights and no more descriptors than it moves bytes between, and no program of the box sees it", function()
    local p = later(box():publish { [0] = 8080 }:reach { "127.0.0.1:9" }:spawn("sleep", "1000"))
    local status = machine.read(("/proc/%d/status"):format(p.relay:pid()))
    assert.equal("0000000000000000", status:match "CapEff:%s*(%x+)")
    assert.equal("0000000000000000", status:match "CapPrm:%s*(%x+)")
    assert.equal("1", status:match "NoNewPrivs:%s*(%d)")
    assert.equal("ns-relay", status:match "Name:%s*(%S+)")
    local sockets, directory = 0, ("/proc/%d/fd/"):format(p.relay:pid())
    for name in lfs.dir(directory) do
      local target = lfs.symlinkattributes(directory .. name, "target") or ""
      sockets = sockets + (target:find "^socket:" and 1 or 0)
    end
    assert.same({ 4, 4 }, { descriptors(p.relay:pid()), sockets })
    assert.is_nil(box():publish({ [0] = 8080 }):run("ps", "-eo", "comm=").stdout:find "relay")
  end)
end)

describe("what may be reached #system", function()
  needs("is dialled by its name or address, and is all that there is", function()
    local _, port = served()
    local _, other = served()
    local b = box():reach { ("127.0.0.1:%d"):format(port), ["db.example:5432"] = ("localhost:%d"):format(port),
      ["192.0.2.7:80"] = ("127.0.0.1:%d"):format(port), ["[2001:db8::7]:80"] = ("127.0.0.1:%d"):format(port) }
    assert.equal("hello", dial(b, "127.0.0.1", port))
    assert.equal("hello", dial(b, "db.example", 5432))
    assert.equal("hello", dial(b, "192.0.2.7", 80))
    assert.equal("hello", dial(b, "2001:db8::7", 80))
    for _, row in ipairs { { "127.0.0.1", other }, { "db.example", port }, { "192.0.2.7", 81 }, { "localhost", 5432 },
      { "127.0.0.3", port } } do
      assert.equal("connect: Connection refused", dial(b, row[1], row[2]))
    end
    assert.matches("^connect: Network is unreachable", dial(b, "192.0.2.8", 80))
    assert.matches("^no name: ", dial(b, "other.example", 5432))
  end)

  needs("and what is published are no way to more: the walls of the sandbox are as they were", function()
    local name = "@ns-ports-" .. core.ids().pid
    local _, port = served()
    later(ns.spawn { machine.program "server", name, "4:0", reachable = true })
    local line = ([[
      perl -e 'use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0);
        print connect($s, pack_sockaddr_un("\0%s")) ? "in" : "$!", "\n";
        print socket(my $n, 16, 3, 12) ? "nfnetlink" : "$!", "\n"; socket(my $r, 16, 3, 0) or die;
        my $up = pack("LSSLLCCSlLL", 32, 16, 5, 1, 0, 0, 0, 0, 1, 0, 1); send($r, $up, 0, pack("SSLL", 16, 0, 0, 0));
        recv($r, my $answer, 4096, 0); $! = -unpack("x16l", $answer); print "$!\n"'
      sh -c "echo 1 >/proc/sys/net/ipv4/ip_forward" 2>&1 | grep -o "Read-only\|denied"
      ls /proc | grep -c "^[0-9]" ]]):format(name:sub(2))
    local spec = box():publish({ [0] = 8080 }):reach { ("127.0.0.1:%d"):format(port) }
    local function look(b) return (assert(b:run("sh", "-c", line)).stdout:gsub("\n%d+\n$", "")) end
    assert.equal(look(box()), look(spec))
    assert.matches("^Connection refused\n[^\n]*not supported\nOperation not permitted\n", look(spec))
  end)

  needs("is tried at each of its addresses, and where none answers the connection is reset", function()
    local p, port = served("6")
    local b = box():reach { ["db:1"] = ("[::1]:%d"):format(port), ["none:1"] = "127.0.0.1:1",
      ["both:1"] = ("localhost:%d"):format(port) }
    assert.equal("hello", dial(b, "db", 1))
    assert.matches("^closed: ", dial(b, "none", 1))
    if machine.read("/etc/hosts"):find "::1%s+[^\n]*localhost" then assert.equal("hello", dial(b, "both", 1)) end
    assert.is_truthy(p)
  end)

  needs("is that of a container and of an ordinary user, too", function()
    local _, port = served()
    local c = later(box():reach { ["db:1"] = ("127.0.0.1:%d"):format(port) }:start())
    for _ = 1, 2 do assert.equal("hello", dial(c, "db", 1)) end
    local r = machine.host(([[
      local b = require("ns").sandbox():bind(%q, "/client")
        :reach { ["db:1"] = "127.0.0.1:%d", ["192.0.2.7:1"] = "127.0.0.1:%d" }
      io.write(b:run("/client", "db", "1", "hello").stdout, b:run("/client", "192.0.2.7", "1", "hello").stdout) ]])
      :format(machine.program "client", port, port), { nobody = true })
    assert.equal("hello\nhello\n", r.stdout .. r.stderr)
  end)

  needs("stands in the /etc/hosts of the box, unless that has one of its own", function()
    local b = box():reach { ["db.example:5432"] = "127.0.0.1:1", ["cache:1"] = "127.0.0.1:1", ["cache:2"] = "127.0.0.1:2" }
    assert.equal("127.0.0.1 localhost sandbox\n::1 localhost\n127.0.0.2 cache\n127.0.0.3 db.example\n",
      b:run("cat", "/etc/hosts").stdout)
    assert.equal("own", b:file("/etc/hosts", "own"):run("cat", "/etc/hosts").stdout)
  end)

  needs("is refused where its name is not known, before there is a process", function()
    local p, message, errno, detail = box():reach { "no-such-name.invalid:1" }:spawn "true"
    assert.is_nil(p)
    assert.matches("^look up no%-such%-name.invalid: .*; %u", message)
    assert.same({ "number", "resolve", "reach", "1" }, { type(errno), detail.step, detail.word, detail.part })
  end)

  it("is said as an address or a name with its port", function()
    for value, mistake in pairs {
      [{ "db" }] = "reach[1]: 'ADDRESS:PORT' expected, got 'db'",
      [{ "db:0" }] = "reach[1]: 0 is out of range, 1 to 65535",
      [{ "d b:80" }] = "reach[1]: 'd b' is neither an address nor a name",
      [{ ["db\n:80"] = "x:1" }] = "is neither an address nor a name",
      [{ "a:1", ["a:1"] = "b:2" }] = "reach[a:1]: 'a:1' is given twice",
      [{ [1] = 80 }] = "reach[1]: 'ADDRESS:PORT' or 'NAME:PORT' expected, got 80",
    } do
      local ok, message = pcall(ns.spawn, { "true", flags = "net,mount", reach = value })
      assert.truthy(not ok and message:find(mistake, 1, true), message)
    end
    assert.has_error(function() ns.spawn { "true", flags = "net", reach = { "db:1" } } end, "bad argument #1 to 'spawn' "
      .. "(reach: a name needs 'mount' in flags, for the /etc/hosts that it stands in; an address does not)")
  end)

  it("needs no files where it is an address", function()
    local _, port = served()
    local spec = { machine.program "client", "127.0.0.1", tostring(port), "hello", flags = machine.flags "net",
      reach = { ("127.0.0.1:%d"):format(port) } }
    assert.equal("hello\n", ns.run(spec).stdout)
    local text = ns.explain(spec)
    assert.matches("\nlisten on 127.0.0.1:%d+ inside for 127.0.0.1:%d+\n", text)
    assert.matches("\nlead 127.0.0.1:%d+ to 127.0.0.1:%d+\n$", text)
  end)
end)
