--- A terminal of the program's own.
local machine = require "support.machine"
local ns = require "ns"

--- Runs a shell line in `spec` with a terminal, and returns what it shows, without the carriage returns.
local function shown(line, spec)
  local words = { "sh", "-c", line, pty = true, timeout = 10 }
  for word, value in pairs(spec or {}) do words[word] = value end
  local r = assert(ns.run(words))
  assert(not r.timed_out, r.stdout)
  return (r.stdout:gsub("\r", "")), r
end

--- Starts a shell line and waits for its first line, "ready".
local function ready(line, spec)
  local words = { "sh", "-c", line, pty = true, timeout = 10 }
  for word, value in pairs(spec or {}) do words[word] = value end
  local p = assert(ns.spawn(words))
  assert.equal("ready\r", p.pty:read())
  return p
end

local NEW_PID = machine.root and { "pid" } or { "user", "pid" }

describe("a terminal of its own", function()
  it("is the controlling one, in a session that the program leads", function()
    local text = shown("tty; ps -o pid=,sid=,pgid=,tpgid= -p $$; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all </dev/tty")
    local name, pid, sid, pgid, tpgid = text:match("^(/dev/pts/%d+)\n%s*(%d+)%s+(%d+)%s+(%d+)%s+(%d+)\nall\n$")
    assert.truthy(name, text)
    assert.same({ pid, pid, pid }, { sid, pgid, tpgid })
  end)

  it("is there beside other streams, too", function()
    local r = assert(ns.run { "sh", "-c", "read line </dev/tty; echo $line; echo to the terminal >/dev/tty", pty = true,
      stdin = "typed\n", stdout = "pipe", timeout = 10 })
    assert.equal("typed\n", r.stdout)
    assert.equal("no tty\n", shown("tty -s || echo no tty; exec <&- </dev/tty", { stdin = "null" }))
  end)

  it("is none with pty = false", function()
    assert.equal("not a tty\n", ns.run({ "tty", pty = false }).stdout)
  end)

  it("carries what is typed to the program, and what it shows back", function()
    local p = ready("stty -echo; echo ready; read word; echo got $word")
    assert.truthy(p.pty:write("wo", "rd\n"))
    assert.equal("got word\r", p.pty:read())
    assert.same({ true, "exit", 0 }, { p:wait() })
    p:close()
  end)

  it("ends as a file does: all that was shown, then nil", function()
    for _, init in ipairs { false, true } do
      local p = assert(ns.spawn { "sh", "-c", "echo one; printf two; exit 3", pty = true, flags = NEW_PID, init = init })
      assert.equal("one\r", p.pty:read())
      assert.equal("two", p.pty:read("*a"))
      assert.same({ n = 1 }, { n = select("#", p.pty:read()), p.pty:read() })
      assert.same({ nil, "exit", 3 }, { p:wait() })
      p:close()
    end
    local p, lines = assert(ns.spawn { "printf", "one\\ntwo", pty = true }), {}
    for line in p.pty:lines() do lines[#lines + 1] = line end
    assert.same({ "one\r", "two" }, lines)
    p:close()
    assert.equal("closed file", io.type(p.pty.output))
  end)

  -- a job in the foreground that does not hear it leaves the program to be told as the leader of its session
  machine.it("user", "pid", "mount")("tells the program when it hangs up, with an init as without one #system", function()
    for _, words in ipairs { {}, { init = true }, { flags = "user,pid,mount", mount_proc = true, init = true } } do
      local b = ns.box(words):argv("bash", "-i"):pty():env { PS1 = "$ ", HISTFILE = "", HOME = "/" }
      local p = assert(b:spawn())
      p.pty:write("nohup sleep 20 >/dev/null 2>&1\n")
      assert.same({ nil, "timeout" }, { p:wait(1) })
      p.pty:close()
      local _, how = p:wait(5)
      assert.truthy(how == "exit" or how == "signal", how)
      p:close()
    end
  end)

  it("has the size that was asked for, and the program sees it change", function()
    assert.equal("24 80\n", shown("stty size"))
    assert.equal("7 132\n", shown("stty size", { pty = { rows = 7, cols = 132 } }))
    local p = ready("trap 'stty size; exit' WINCH; echo ready; while :; do :; done")
    assert.is_true(p:resize(40, 100))
    assert.equal("40 100\r", p.pty:read())
    p:close()
  end)

  it("has a size that makes sense, or the call is a mistake", function()
    local p = ready("echo ready; sleep 9")
    for _, size in ipairs { { 0, 80 }, { 24, 65536 }, { "24", 80 }, { 24 }, { 24.5, 80 }, { 0 / 0, 80 }, {} } do
      assert.has_error(function() p:resize(size[1], size[2]) end)
    end
    p:close()
    p:close()
    assert.same({ nil, "Bad file descriptor", 9 }, { p:resize(40, 100) })
    local plain = assert(ns.spawn { "true" })
    assert.same({ nil, "the program has no terminal of its own", 25 }, { plain:resize(24, 80) })
    plain:close()
  end)

  it("turns Ctrl-C into a signal for the program, with and without an init #system", function()
    for _, spec in ipairs { {}, { flags = NEW_PID, init = true } } do
      local p = ready("echo ready; exec sleep 20", spec)
      p.pty:write("\3")
      assert.same({ nil, "signal", 2 }, { p:wait(5) })
      p:close()
    end
    local p = ready("trap 'echo caught; exit 4' INT; echo ready; while :; do :; done",
      { flags = NEW_PID, init = true })
    p.pty:write("\3")
    assert.matches("caught\r\n", p.pty:read("*a")) -- the terminal's echo, ^C, comes before it or after
    assert.same({ nil, "exit", 4 }, { p:wait(5) })
    p:close()
  end)

  it("has a shell with job control inside #system", function()
    for _, spec in ipairs { {}, { flags = NEW_PID, init = true } } do
      spec[1], spec[2], spec[3], spec.pty, spec.timeout = "bash", "--norc", "-i", true, 20
      spec.env = { HISTFILE = "" }
      local p = assert(ns.spawn(spec))
      local text = ""
      local function expect(pattern)
        while not text:find(pattern) do text = text .. assert(p.pty:read(1), text) end
        text = ""
      end
      p.pty:write("set +m; set -m; PS1=; echo be''gin; sleep 60\n")
      expect("begin")
      ns.run { "sleep", "0.3" }
      p.pty:write("\26")
      expect("Stopped")
      p.pty:write("jobs; kill -9 %1; while kill -0 %1 2>&-; do sleep 0.1; done; fg; exit 7\n")
      expect("Stopped +sleep 60")
      assert.same({ nil, "exit", 7 }, { p:wait() })
      p:close()
    end
  end)

  it("is hung up and its program killed when it is closed #system", function()
    local mark = "4" .. os.time() % 100000 .. ".5"
    local p = ready(("trap '' HUP; echo ready; sleep %s"):format(mark))
    p:close()
    machine.eventually(function() return machine.processes(mark) == 0 end)
  end)

  it("is filled and fed by communicate: what is shown is the stdout", function()
    local text, r = shown("stty -echo; echo ready; cat; exit 5", { stdin = "one\ntwo\n\4" })
    assert.matches("ready\n.*one\ntwo\n$", text)
    assert.same({ 5, nil }, { r.code, r.stderr })
    local p = ready("stty -echo; echo ready; cat")
    assert.equal("three\r\n", p:communicate("three\n\4").stdout)
  end)

  it("carries 300 kB at once", function()
    local _, r = shown("head -c 300000 /dev/zero")
    assert.equal(300000, #r.stdout)
  end)

  machine.root_it("belongs to the user that the program is, so that it may open it again #system", function()
    assert.equal("again\n", shown("echo again >$(tty)", { user = "nobody" }))
    assert.equal("again\n", shown("echo again >$(tty)", { user = 1000, group = 1000, flags = "user", map = "range" }))
  end)

  describe("in a box with a devpts of its own", function()
    local NAMED = "/dev/pts/0\n34816\nhello\nagain\n24 80\n/dev/pts/1\n"
    local LINE = [[tty; cut -d' ' -f7 /proc/self/stat; test -c /dev/console && echo hello >/dev/console
      echo again >$(tty); stty size <$(tty); script -qc tty /dev/null]]
    local CODE = [[
      local r, message = require("ns").sandbox():pty(true):timeout(40)%s:run("sh", "-c", %q)
      io.write(r and r.stdout:gsub("\r", "") or message)]]

    local function said(words, options)
      local r = machine.host(CODE:format(words, LINE), options)
      return r.stdout .. r.stderr
    end

    -- as others show it, too; 34816 is its device, which sudo(8) looks for in /dev/pts
    machine.it "sandbox"("has a name there, and is its console #system", function()
      assert.equal(NAMED, said "")
      assert.equal(NAMED, said("", { nobody = true }))
    end)

    machine.it "sandbox"("has no more than its part of the machine's terminals #system", function()
      local r = machine.sh(ns.sandbox():spec(), "grep ' - devpts ' /proc/self/mountinfo")
      assert.matches(",max=256$", r)
    end)

    machine.it "sandbox"("has it without the newer calls for mounts, too #system", function()
      assert.equal(NAMED, said("", { under = machine.refuse("ENOSYS", "open_tree", "move_mount", "fsopen", "fsmount",
        "mount_setattr", "openat2") }))
    end)

    machine.root_it("is the user's that the program is, and nobody else's #system", function()
      local line = "stat -c '%u %g %a' /dev/pts/0; " .. LINE
      local code = ([[
        local ns = require "ns"
        local plain = ns.box():unshare("mount", "pid"):root("/"):dev():proc()
        for _, b in ipairs { ns.sandbox():user(1000):group(7), plain:user(1000):group(7) } do
          io.write((assert(b:pty(true):timeout(40):run("sh", "-c", %q)).stdout:gsub("\r", "")))
        end]]):format(line)
      local r = machine.host(code)
      assert.equal(("1000 7 620\n" .. NAMED):rep(2), r.stdout .. r.stderr)
    end)

    machine.it "sandbox"("is one of the host's where something covers that: its name is the console's #system", function()
      local name, device = said(":tmpfs('/dev/pts')"):match("^(%S+)\n(%d+)\nhello\n")
      assert.equal("/dev/console", name)
      assert.truthy(tonumber(device) >= 34816)
    end)

    it("is hung up, resized and interrupted as any other #system", function()
      local function begin(line)
        local p = assert(ns.sandbox():pty(true):timeout(40):spawn("sh", "-c", line))
        assert.equal("ready\r", p.pty:read())
        return p
      end
      if not machine.can.sandbox then return pending(machine.why.sandbox) end
      local p = begin "trap 'stty size; exit' WINCH; echo ready; while :; do :; done"
      assert.is_true(p:resize(40, 100))
      assert.equal("40 100\r", p.pty:read())
      p:close()
      p = begin "echo ready; exec sleep 20"
      p.pty:write("\3")
      assert.same({ nil, "signal", 2 }, { p:wait(5) })
      p:close()
      p = begin "trap 'exit 5' HUP; echo ready; while :; do sleep 0.1; done"
      p.pty:close()
      assert.same({ nil, "exit", 5 }, { p:wait(5) })
      p:close()
    end)

    it("is none of the host's: the host opens none, and the program finds no other #system", function()
      if not machine.can.sandbox then return pending(machine.why.sandbox) end
      local trace = os.tmpname()
      finally(function() os.remove(trace) end)
      machine.host(CODE:format("", "true"), { under = { "strace", "-qq", "-o", trace, "-e", "trace=open,openat,ioctl" } })
      assert.is_nil(machine.read(trace):find("ptmx", 1, true))
    end)
  end)

  -- The kernel says so where the program writes and closes while it looks; strace, in place of a read that has something.
  for road, code in pairs {
    ["run"] = [[io.write(require("ns").run(spec).stdout)]],
    ["communicate"] = [[io.write(assert(require("ns").spawn(spec)):communicate().stdout)]],
    ["the Lua file"] = [[local p = assert(require("ns").spawn(spec)) io.write(p.pty:read("*a")) p:close()]],
    ["its lines"] = [[local p = assert(require("ns").spawn(spec)) for line in p.pty:lines() do print(line) end p:close()]],
    ["the stream"] = [[local p = assert(require("ns").spawn(spec))
      p:wait()
      for bytes in function() return p:stream("pty"):read() end do io.write(bytes) end
      p:close()]],
    ["interact"] = [[local p = assert(require("ns").spawn(spec)) p:interact() p:close()]],
  } do
    it("is read to its end though it says EIO before: " .. road .. " #system", function()
      local r = machine.host("local spec = { 'echo', 'all', pty = true } " .. code, { under = {
        "strace", "-qq", "-o", "/dev/null", "-P", "/dev/ptmx", "-P", "/dev/pts/ptmx", "-e", "trace=read",
        "-e", "inject=read:error=EIO:when=1" } })
      assert.equal("all\n", (r.stdout:gsub("\r", "")))
    end)
  end

  it("is opened through its other end, not by its name (row 20) #system", function()
    local trace = os.tmpname()
    finally(function() os.remove(trace) end)
    machine.host([[require("ns").run { "true", pty = true }]],
      { under = { "strace", "-f", "-qq", "-o", trace, "-e", "trace=open,openat,ioctl" } })
    local calls = machine.read(trace)
    assert.matches("TIOCGPTPEER", calls)
    assert.is_nil(calls:find('"/dev/pts/', 1, true))
  end)
end)
