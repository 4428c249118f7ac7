--- The host's terminal at the service of a program with one of its own: p:interact(). Each test has a host at a terminal.
local at = require "support.terminal"
local machine = require "support.machine"

--- A shell that has run a host with this spec, and a way to see that its terminal is as it was.
local function begin(spec)
  local t = at.open()
  local host = at.host(("print(assert(ns.spawn %s):interact())\n"):format(spec))
  t.type("stty -a >/tmp/ns-$$; " .. host .. "; stty -a | cmp - /tmp/ns-$$ && echo sa''me; rm /tmp/ns-$$\n")
  return t
end

describe("interact", function()
  after_each(at.clear)

  it("carries keys and what is shown, as they are, and gives the status and the terminal back", function()
    local t = begin([[{ "sh", "-c", "stty raw -echo; echo ready; head -c 4 | od -An -c; exit 3", pty = true }]])
    t.expect("ready")
    t.type("\3a\26\n")
    t.expect("003 +a 032 +\\n")
    t.expect("nil\texit\t3\r\n")
    t.expect("same\r\n")
    t.p:close()
  end)

  it("gives the program the size of the window, and its changes", function()
    local t = at.open()
    t.p:resize(31, 97)
    local line = "trap 'stty size' WINCH; stty size; until [ \"$(stty size)\" = '44 111' ]; do :; done; true"
    t.type(at.host(([[print(ns.spawn({ "sh", "-c", %q, pty = true }):interact())]]):format(line) .. "\n") .. "\n")
    t.expect("31 97\r\n")
    t.p:resize(44, 111)
    t.expect("44 111\r\n")
    t.expect("true\texit\t0\r\n")
    t.p:close()
  end)

  it("has a shell with job control in it", function()
    local t = begin([[{ "bash", "--norc", "-i", pty = true }]])
    t.type("PS1=; bind 'set enable-bracketed-paste off'; stty -echo; echo in''side\n")
    t.expect("inside\r\n")
    t.type("sh -c 'echo sta''rted; exec sleep 50'\n")
    t.expect("started")
    t.type("\26")
    t.expect("Stopped")
    t.type("kill -9 %1; while kill -0 %1 2>&-; do sleep 0.1; done; sh -c 'echo ag''ain; exec sleep 50'\n")
    t.expect("again")
    t.type("\3")
    t.type("echo af''ter; exit 7\n")
    t.expect("after\r\n")
    t.expect("nil\texit\t7\r\n")
    t.expect("same\r\n")
    t.p:close()
  end)

  it("ends at the timeout", function()
    local t = begin([[{ "sleep", "60", pty = true, timeout = 0.3, grace = 0 }]])
    t.expect("nil\tsignal\t9\r\n")
    t.expect("same\r\n")
    t.p:close()
  end)

  it("leaves a whole terminal where a signal ends the host", function()
    for _, signal in ipairs { "TERM", "HUP", "INT" } do
      local line = ("trap '' HUP; stty raw -echo; sleep 0.1; kill -%s $PPID; sleep 60"):format(signal)
      local t = begin(("{ 'sh', '-c', %q, pty = true }"):format(line))
      t.expect("same\r\n")
      t.p:close()
    end
  end)

  it("is stopped with the host by a SIGTSTP, and goes on with it", function()
    local line = "stty raw -echo; sleep 0.1; kill -TSTP $PPID; head -c 1; exit 4"
    local t = begin(("{ 'sh', '-c', %q, pty = true }"):format(line))
    t.expect("Stopped")
    t.type("echo cooked $(stty -a | grep -c -- ' icanon'); fg\n")
    t.expect("cooked 1\r\n")
    t.expect("lua")
    t.type("x")
    t.expect("x")
    t.expect("nil\texit\t4\r\n")
    t.p:close()
  end)

  it("shows all that was said, however much, and takes input that is no terminal to its end", function()
    local r = machine.host([[
      local line = "stty -echo -onlcr; echo; read x; seq 30000; echo got $x; cat >/dev/null"
      local p = assert(require("ns").spawn { "sh", "-c", line, pty = true })
      p.pty:read()
      print(p:interact())]], { spec = { stdin = "word\n" } })
    local text = r.stdout:gsub("\r", "")
    assert.matches("\n29999\n30000\ngot word\n.*true\texit\t0\n$", text)
  end)

  it("is refused where the program has no terminal", function()
    local p = assert(require("ns").spawn { "true" })
    assert.same({ nil, "the program has no terminal of its own", 25 }, { p:interact() })
    p:close()
  end)
end)
