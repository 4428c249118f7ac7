--- The host's terminal, lent to a program and taken back; and that no program types into it. Each test runs a host of
-- its own at a terminal.
local at = require "support.terminal"
local machine = require "support.machine"
local ns = require "ns"

local terminal, host, clear = at.open, at.host, at.clear

describe("with tty, a program at the host's terminal #system", function()
  after_each(clear)

  for name, more in pairs { ["a program"] = "", ["one with an init"] = ", flags = 'user,pid', init = true" } do
    it("gets Ctrl-C, and the host does not: " .. name, function()
      local t = terminal()
      t.type(host(("print(ns.spawn({ 'sh', '-c', 'echo rea\"\"dy; exec sleep 30', tty = true%s }):wait()) print 'alive'\n")
        :format(more)) .. "\n")
      t.expect("ready")
      t.type("\3")
      t.expect("nil\tsignal\t2\r\nalive\r\n")
      t.p:close()
    end)

    it("is stopped by Ctrl-Z with the host, as one job, and goes on with it: " .. name, function()
      local t = terminal()
      t.type(host(("print(ns.spawn({ 'sh', '-c', 'stty -icanon; echo rea\"\"dy; exec cat', tty = true%s }):wait())\n")
        :format(more)) .. "\n")
      t.expect("ready")
      t.type("\26")
      t.expect("Stopped")
      t.type("echo raw $(stty -a | grep -c -- -icanon); jobs\n")
      t.expect("raw 0\r\n")
      t.expect("Stopped")
      t.type("fg\n")
      t.expect("lua")
      t.type("to the cat\n")
      t.expect("to the cat")
      t.type("\3")
      t.expect("nil\tsignal\t2\r\n")
      t.type("echo raw $(stty -a | grep -c -- -icanon)\n")
      t.expect("raw 0\r\n")
      t.p:close()
    end)
  end

  it("that is collected by run is stopped by Ctrl-Z, too", function()
    local t = terminal()
    local line = "echo rea''dy >&0; read line; echo got $line"
    t.type(host(([[print(ns.run({ "sh", "-c", "%s", tty = true, stdin = 0 }).stdout)]]):format(line)) .. "\n")
    t.expect("ready")
    t.type("\26")
    t.expect("Stopped")
    t.type("fg\n")
    t.expect("lua")
    t.type("word\n")
    t.expect("got word\r\n")
    t.p:close()
  end)

  it("leaves it as it was, however it ends", function()
    for _, ending in ipairs { "exit 3", "kill -9 $$", "kill -TERM $$" } do
      local t = terminal()
      local code = ("print(ns.spawn({ 'sh', '-c', 'stty raw -echo; %s', tty = true }):wait()) print 'done'"):format(ending)
      t.type("stty -a >/tmp/ns-$$; " .. host(code) .. "; stty -a | cmp - /tmp/ns-$$ && echo sa''me; rm /tmp/ns-$$\n")
      t.expect("done")
      t.expect("same\r\n")
      t.p:close()
    end
  end)

  it("gives it back where stdin was given as a path or as a file that is closed since", function()
    for _, line in ipairs { "stdin = { path = '/dev/tty' } }", "stdin = f } f:close()" } do
      local t = terminal()
      t.type(host("local f = io.open('/dev/tty') local p = ns.spawn { 'true', tty = true, " .. line
        .. " p:wait() print('en' .. 'ded') print('got ' .. io.read())\n") .. "\n")
      t.expect("ended")
      t.type("it\n")
      t.expect("got it\r\n")
      t.p:close()
    end
  end)

  it("gives it back though it has stopped its output, and has left somebody behind who writes", function()
    local t = terminal()
    local program = "use POSIX; tcflow(0, TCOOFF); fork or exec qw(timeout 9 echo late); sleep 1"
    t.type(host(("print(ns.spawn({ 'perl', '-e', %q, tty = true }):wait(9))"):format(program)) .. "\n")
    t.expect("late\r\ntrue\texit\t0\r\n")
    t.p:close()
  end)

  it("has an init that tells its end also to a host which does not ask how often it was stopped", function()
    local t = terminal()
    local program = [=[my $me = $$; sub pause { select undef, undef, undef, .001 }
      if (!fork) { for (1 .. 500) { kill STOP => $me; pause; kill CONT => $me; pause } exit } wait; exit 7]=]
    t.type(host(("local p = ns.spawn { 'perl', '-e', %q, tty = true, init = true, flags = 'user,pid' } "
      .. "print(p.handle:wait(15)) p:close()"):format(program)) .. "\n")
    t.expect("nil\texit\t7\r\n")
    t.p:close()
  end)

  it("that cannot be started leaves it as it was", function()
    local t = terminal()
    t.type(host("print(ns.spawn { '/nope', tty = true }) print(io.read())\n") .. "\n")
    t.expect("No such file")
    t.type("still mine\n")
    t.expect("still mine\r\n")
    t.p:close()
  end)

  it("stays in the background with a host that is there: the shell keeps its terminal", function()
    for _, ending in ipairs { "wait()", "close()" } do
      local t = terminal()
      t.type(host(("local p = ns.spawn { 'sleep', '0.3', tty = true } p:%s print('en' .. 'ded')\n"):format(ending))
        .. " &\n")
      t.expect("ended")
      t.type("wait; echo still he''re; tty -s && echo with a termi''nal\n")
      t.expect("still here")
      t.expect("with a terminal")
      t.p:close()
    end
  end)

  it("is stopped with a host in the background when it reads, and has the terminal with it after fg", function()
    local t = terminal()
    t.type(host("print(ns.spawn({ 'sh', '-c', 'read x; echo got $x; exec sleep 30', tty = true }):wait()) print 'alive'\n")
      .. " &\n")
    ns.run { "sleep", "0.5" }
    t.type("echo he''re\n")
    t.expect("here")
    t.type("sleep 0.3; jobs\n")
    t.expect("Stopped")
    t.type("fg\n")
    t.expect("lua")
    t.type("a word\n")
    t.expect("got a word")
    t.type("\3")
    t.expect("nil\tsignal\t2\r\nalive\r\n")
    t.p:close()
  end)

  it("has the terminal once a host that runs in the background is brought to the foreground", function()
    local t = terminal()
    t.type(host("print(ns.spawn({ 'sh', '-c', 'echo rea\"\"dy; exec sleep 30', tty = true }):wait()) print 'alive'\n")
      .. " &\n")
    t.expect("ready")
    t.type("fg\n")
    t.expect("lua")
    ns.run { "sleep", "0.5" }
    t.type("\3")
    t.expect("nil\tsignal\t2\r\nalive\r\n")
    t.p:close()
  end)

  it("goes on in the background after a Ctrl-Z and bg, and its end leaves the terminal to the shell", function()
    local t = terminal()
    -- no shell, which does not stop while it starts another program, and whose child has stopped before that
    local program = '$| = 1; print "rea" . "dy"; select undef, undef, undef, .5; print "en" . "ded"'
    t.type(host(("print(ns.spawn({ 'perl', '-e', %q, tty = true }):wait())\n"):format(program)) .. "\n")
    t.expect("ready")
    t.type("\26")
    t.expect("Stopped")
    t.type("bg\n")
    t.expect("ended")
    t.expect("true\texit\t0")
    t.type("echo still he''re\n")
    t.expect("still here")
    t.p:close()
  end)

  it("is none where stdin is no terminal, and the error says so", function()
    local message = select(2, ns.spawn { "true", tty = true, stdin = "null" })
    assert.matches("^take the terminal's foreground: .*stdin is no terminal", message)
  end)
end)

describe("what a program types into a terminal with TIOCSTI (row 51) #system", function()
  -- It says whether it could; what it has typed would be read by the host afterwards.
  local TYPE = [[perl -e 'for my $c (split //, "evil\n") { $done += ioctl(STDIN, 0x5412, $c) ? 1 : 0 }
    print STDERR "typed ", $done + 0, "\n"']]

  local function outcome(start)
    local t = terminal { "sh", "-c", "stty -echo; echo re''ady; exec " .. host(([[
      local p = assert(%s)
      p:wait()
      print "ended"
      print("host read " .. io.read())
    ]]):format(start:gsub("$TYPE", function() return ("%q"):format(TYPE) end))) }
    t.expect("ended")
    t.type("mine\n")
    t.expect("host read ")
    local line = t.p.pty:read()
    t.p:close()
    return line
  end

  after_each(clear)

  machine.it("user")("does not reach the host from a sandbox", function()
    assert.equal("mine\r", outcome("ns.sandbox():spawn('sh', '-c', $TYPE)"))
    assert.equal("mine\r", outcome("ns.sandbox():caps { 'all' }:spawn('sh', '-c', $TYPE)"))
  end)

  it("does not reach the host from a terminal of its own", function()
    assert.equal("mine\r", outcome("ns.spawn { 'sh', '-c', $TYPE, pty = true }"))
    assert.equal("mine\r", outcome("ns.sandbox():pty(true):spawn('sh', '-c', $TYPE)"))
  end)

  machine.it("user")("does not reach the host from a session of its own in a user namespace", function()
    assert.equal("mine\r", outcome("ns.spawn { 'sh', '-c', $TYPE, flags = 'user', session = true }"))
  end)

  it("reaches it where the terminal is lent, if this machine allows that: so the test is known to bite", function()
    if machine.read("/proc/sys/dev/tty/legacy_tiocsti") ~= "1\n" then return pending("dev.tty.legacy_tiocsti is off") end
    assert.equal("evil\r", outcome("ns.spawn { 'sh', '-c', $TYPE }"))
  end)
end)
