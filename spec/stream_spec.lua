--- Our ends of the pipes, as Lua files: nobody sleeps, dies or is killed for them unasked; and the program's ends block,
-- whatever the host's own loop has made of its descriptors.
local machine = require "support.machine"
local ns = require "ns"

--- A program that does not read, and more for it than its pipe holds: `p`.
local UNREAD = [[
  local ns = require "ns"
  local function unread(spec)
    spec.stdin = "pipe"
    local p = assert(ns.spawn(spec))
    p.stdin:write(("x"):rep(70000))
    return p
  end
]]

describe("what a program does not read holds up", function()
  for name, code in pairs {
    ["no collector"] = [[unread { "sleep", "30" } collectgarbage() collectgarbage()]],
    ["no collector, where the file is kept longer than the process"] =
      [[local f = unread({ "sleep", "30" }).stdin collectgarbage() f = f and nil collectgarbage() collectgarbage()]],
    ["no end of the script"] = [[p = unread { "sleep", "30" }]],
    ["no os.exit"] = [[local p = unread { "sleep", "30" } os.exit(0)]],
    ["no error"] = [[local ok, e = pcall(function() local p = unread { "sleep", "30" } error "out" end)]],
    ["no close"] = [[unread({ "sleep", "30" }):close()]],
    ["no close, though a daemon has the pipe, too"] = [[
      local p = unread { "sh", "-c", "exec 3<&0; setsid sleep 30 <&3 & echo $!; wait", stdout = "pipe" }
      local daemon = p.stdout:read()
      p:kill "KILL"
      p:wait()
      p:close()
      os.execute("kill -9 " .. daemon)]],
    ["no host of a program that goes on without it"] = [[
      local pid = unread({ "sleep", "30", detach = true }).pid
      collectgarbage() collectgarbage()
      os.execute("kill -9 " .. pid)]],
  } do
    it(name, function()
      local r = machine.host(UNREAD .. code, { timeout = 10 })
      assert.is_false(r.timed_out)
      assert.truthy(r.ok, tostring(r))
    end)
  end

  it("nothing of what has room in the pipe: that arrives, and nothing is lost where it is closed", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    machine.host(([[
      local p = assert(require("ns").spawn { "cat", stdin = "pipe", stdout = { path = %q }, detach = true })
      p.stdin:write("a word")
      os.exit(0)]]):format(path))
    machine.eventually(function() return machine.read(path) == "a word" end)
    local p = assert(ns.spawn { "sh", "-c", "sleep 0.2; wc -c", stdin = "pipe", stdout = "pipe" })
    assert.truthy(p.stdin:write(("x"):rep(300000)))
    assert.truthy(p.stdin:close())
    assert.equal("300000\n", p.stdout:read("*a"))
    p:close()
  end)
end)

describe("a program's end", function()
  it("is an error for a host that is asleep in a write to it, and not its death", function()
    local r = machine.host([[
      local p = assert(require("ns").spawn { "sh", "-c", "sleep 0.2; head -c 1", stdin = "pipe", stdout = "null" })
      print(p.stdin:write(("x"):rep(2 ^ 20)))]])
    assert.matches("^nil\tBroken pipe\t32%s", r.stdout) -- Lua 5.5 says how much it wrote
    assert.equal("exit", r.how)
  end)

  it("does not come while one of its files is in use", function()
    local r = machine.host([[
      local ns = require "ns"
      local function only(name, spec)
        spec[name] = spec[name] or "pipe"
        return assert(ns.spawn(spec))[name]
      end
      local n = 0
      for _ in only("stdout", { "seq", "300000" }):lines() do
        n = n + 1
        if n % 10000 == 0 then collectgarbage() end
      end
      print(n)
      for _, spec in ipairs { { "stderr", line = "sleep 0.1; echo late >&2" }, { "pty", line = "sleep 0.1; echo late" } } do
        local file = only(spec[1], { "sh", "-c", spec.line, pty = spec[1] == "pty" })
        collectgarbage()
        collectgarbage()
        print((file:read():gsub("\r", "")))
      end]])
    assert.equal("300000\nlate\nlate\n", r.stdout)
  end)
end)

--- A host whose descriptor does not block, as an event loop leaves it, and what its program has made of it.
local NONBLOCK = [[perl -e 'use Fcntl; $^F = 9; my $n = shift; open(my $f, "+<&=", $n) || open($f, "<&=", $n);
  fcntl($f, F_SETFL, fcntl($f, F_GETFL, 0) | O_NONBLOCK) or die; exec @ARGV or die' ]]

--- Runs a shell line in which $HOST N stands for a host with this code whose descriptor N does not block.
local function shell(line, code, pty)
  local path = os.tmpname()
  machine.file(path, "local ns, core = require 'ns', require 'ns.core'\n" .. code, 644)
  local r = assert(ns.run { "bash", "-c", (line:gsub("$HOST (%d)", function(n)
    return NONBLOCK .. n .. " " .. machine.lua .. " " .. path
  end)), env = machine.paths(machine.public()), cwd = "/", timeout = 20, pty = pty })
  os.remove(path)
  return r.stdout .. (r.stderr or "")
end

describe("a program gets descriptors that block, and the host keeps its own as they are:", function()
  local SEQ = [[
    local r = ns.run { "seq", "300000", %s }
    io.stderr:write(r.stderr, r.code, " ", tostring(core.blocks(%d)), "\n")]]

  it("an inherited stdout", function()
    assert.equal("300000\n0 false\n", shell("{ $HOST 1; } | { sleep 0.5; wc -l; }",
      SEQ:format('stdout = "inherit"', 1)))
  end)

  it("an inherited stdin", function()
    assert.equal("late\n0 false\n", shell("{ sleep 0.5; echo late; } | $HOST 0",
      [[local r = ns.run { "cat", stdin = "inherit" } print(r.stdout .. r.code .. " " .. tostring(core.blocks(0)))]]))
  end)

  it("one that is given by number, and one that is given as a file", function()
    for _, what in ipairs { "1", "io.stdout" } do
      assert.equal("300000\n0 false\n", shell("{ $HOST 1; } | { sleep 0.5; wc -l; }", SEQ:format("stdout = " .. what, 1)))
    end
  end)

  it("one of its further descriptors", function()
    assert.equal("300000\n0 false\n", shell("{ $HOST 5; } 5>&1 | { sleep 0.5; wc -l; }",
      [[local r = ns.run { "sh", "-c", "seq 300000 >&7", fds = { [7] = 5 } }
        io.stderr:write(r.stderr, r.code, " ", tostring(core.blocks(5)), "\n")]]))
  end)

  it("the stdin of another program", function()
    local last = assert(ns.spawn { "sh", "-c", "sleep 0.5; wc -l", stdin = "pipe", stdout = "pipe" })
    local r = assert(ns.run { "seq", "300000", stdout = last.stdin })
    last.stdin:close()
    assert.same({ "", 0, "300000\n" }, { r.stderr, r.code, last.stdout:read("*a") })
    last:close()
  end)

  it("a terminal", function()
    local text = shell("$HOST 0", [[
      local p = assert(ns.spawn { "perl", "-MFcntl", "-e", "print fcntl(STDIN, F_GETFL, 0) & O_NONBLOCK, qq(\n)" })
      p:wait()
      print(core.blocks(0))]], true)
    assert.equal("0\r\nfalse\r\n", text)
  end)

  it("a file where /proc is not there, or is another's", function()
    local code = SEQ:format('stdout = "inherit"', 1):gsub("false", "true")
    for _, cover in ipairs { "mount -t tmpfs none /proc", "mount --bind /proc/1 /proc/self" } do
      local line = ("unshare -m --propagation private sh -c '%s 2>/dev/null; exec \"$@\"' - $HOST 1"):format(cover)
      if machine.root then
        assert.matches("^300000\n0 ", shell("{ " .. line .. "; } | { sleep 0.5; wc -l; }", code))
      end
    end
  end)

  machine.it("socket")("but a socket, which cannot be opened anew, blocks for both", function()
    local r = machine.host([[
      local ns, core, socket = require "ns", require "ns.core", require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      local client = assert(socket.connect("127.0.0.1", (select(2, server:getsockname()))))
      local conn = assert(server:accept())
      local p = assert(ns.spawn { "cat", stdin = conn, stdout = conn, stderr = "pipe", fds = { [5] = client } })
      print(p:wait(0.2))
      print(core.blocks(conn:getfd()), core.blocks(client:getfd()))
      client:send("hello\n")
      client:shutdown("send")
      conn:close()
      print(client:receive("*a"))
      print(p:wait(5))
      print(p.stderr:read("*a"))]])
    assert.equal("", r.stderr)
    assert.equal("nil\ttimeout\ntrue\tfalse\nhello\n\tnil\tnil\ntrue\texit\t0\n\n", r.stdout)
  end)

  machine.it("socket")("and ns.check changes nothing", function()
    local r = machine.host([[
      local ns, core, socket = require "ns", require "ns.core", require "socket"
      local server = assert(socket.bind("127.0.0.1", 0))
      print(ns.check { "cat", stdin = server }, core.blocks(server:getfd()))]])
    assert.equal("true\tfalse\n", r.stdout)
  end)
end)
