--- Containers with a name: they outlive who has started them, and whoever knows the name can use them. Each piece of code is
-- a script of its own, in a process of its own.
local machine = require "support.machine"
local ns = require "ns"

local PRELUDE = [[
local ns, core = require "ns", require "ns.core"
local function show(...)
  local list = { ... }
  for i = 1, select("#", ...) do list[i] = tostring(list[i]) end
  print(table.concat(list, " "))
end
local function out(c, ...)
  local r = assert(c:run(...))
  return ((r.stdout .. r.stderr):gsub("\n$", ""))
end
local function eventually(condition)
  local deadline = core.clock() + 30
  while not condition() do
    assert(core.clock() < deadline, "it did not come true")
    ns.run { "sleep", "0.02" }
  end
end
]]

local marks = 0

--- A number that no other process has as an argument.
local function new_mark()
  marks = marks + 1
  return ("7%d.%d"):format(os.time() % 1000000, marks)
end

--- Who asks: `run(code)` is what a script prints, `directory` where the names are, `mark` what its sleepers have.
local function world(nobody)
  local top, remove = machine.directory()
  local directory = top .. "/run"
  os.execute(("mkdir -m 700 %s"):format(directory))
  if nobody and machine.root then os.execute("chown 65534:65534 " .. directory) end
  local w = { directory = directory, names = directory .. "/ns", mark = new_mark() }
  function w.env()
    local env = machine.paths(machine.public())
    env.XDG_RUNTIME_DIR = directory
    return env
  end
  function w.result(code, options)
    options = options or {}
    options.nobody, options.spec = nobody, options.spec or {}
    options.spec.env = options.spec.env or w.env()
    return machine.host(PRELUDE .. code:gsub("MARK", w.mark), options)
  end
  function w.run(code, options)
    local r = w.result(code, options)
    assert.equal("", r.stderr .. ((r.timed_out or r.signame == "SEGV") and tostring(r) or ""))
    return (r.stdout:gsub("\n$", ""))
  end
  function w.left()
    return machine.sh({}, ("ls -A %s 2>&1 | grep -v 'No such file' || true"):format(w.names))
  end
  finally(function()
    w.result [[for _, name in ipairs(ns.containers()) do
      local c = name:find "^spec" and ns.container(name)
      if c then c:close() end
    end]]
    machine.eventually(function() return machine.processes(w.mark) == 0 end)
    local left = w.left()
    remove()
    assert.equal("", left)
  end)
  return w
end

for _, nobody in ipairs { false, machine.root or nil } do
  local needs = machine.it "sandbox"

  describe("a container with a name" .. (nobody and ", of an ordinary user," or ""), function()
    needs("obeys no program that has the directory of names read-only, and waits for none that locks it", function()
      local w = world(nobody)
      local code = ([[
        local c = assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })
        local inside = ns.sandbox():map "root":ro_bind("DIR"):ro_bind("PUBLIC"):ro_bind("BIN"):clear_env(false)
        inside = inside:argv("BIN/LUA", "-e",
          'local c, why = require "ns".container "spec-web" print(c and c:run("echo", "got it").stdout or why)')
        local r = assert(inside:run())
        show((r.stdout:gsub("got it", "GOT IT") .. r.stderr):match "GOT IT" or "nothing")
        local lock = '$| = 1; open D, "<", "DIR/ns" or die; flock D, 2 or die; print "locked\n"; sleep 60'
        local p = assert(inside:spawn { "perl", "-e", lock, stdout = "pipe" })
        show(p.stdout:read())
        show(table.concat(ns.containers(), ","))
        p:close()
        c:close() ]]):gsub("DIR", w.directory):gsub("PUBLIC", machine.public()):gsub("LUA\"", machine.lua .. '"')
        :gsub("BIN", machine.sh({}, "dirname $(command -v " .. machine.lua .. ")"))
      assert.equal("nothing\nlocked\nspec-web", w.run(code))
    end)

    needs("has nothing of the host's opened by what it tells later hosts, nor words that are none", function()
      local w = world(nobody)
      local code = [[
        local values = require "ns.start.values"
        local encode = values.encode
        function values.encode(kind, list)
          for word, value in pairs { WORDS } do list[1].words[word] = value end
          return encode(kind, list)
        end
        local c, _, errno = ns.sandbox():start { name = "spec-web", "sleep", "MARK" }
        values.encode = encode
        show(c and "started" or errno == core.constants.errno.EAGAIN)]]
      assert.equal("started", w.run((code:gsub("WORDS", 'stdin = { path = "/etc/passwd" }, fds = { [9] = 1 }, tty = true'))))
      assert.equal("0 no", w.run [[
        local c = assert(ns.container "spec-web")
        show((out(c, "sh", "-c", "wc -c; test -e /proc/self/fd/9 || echo no"):gsub("\n", " "))) ]])
      w.run [[ns.container("spec-web"):close()]]
      for _, words in ipairs { "rlimits = 7", "nosuch = true", "env = { 5 }" } do
        assert.equal("true", w.run((code:gsub("WORDS", words))), words)
      end
    end)

    needs("outlives its script, and is entered by another one", function()
      local w = world(nobody)
      assert.equal("spec-web true", w.run [[
        local c = assert(ns.sandbox():env("WORD", "box"):start { name = "spec-web", "sleep", "MARK" })
        out(c, "sh", "-c", "echo left >/tmp/file")
        show(c.name, (c:info().started > 1e9)) ]])
      assert.equal(1, machine.processes(w.mark))
      assert.equal("left\nbox\n1 2", w.run [[
        local c = assert(ns.container "spec-web")
        print(out(c, "sh", "-c", "cat /tmp/file; echo $WORD"))
        local list = c:processes()
        show(#list, list[1].inside) ]])
    end)

    needs("ends by stop and close of any handle, and leaves no name", function()
      local w = world(nobody)
      for _, how in ipairs { "c:stop(5)", "c:close()" } do
        w.run [[assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })]]
        assert.equal("nil 2 0", w.run(([[
          local c = assert(ns.container "spec-web")
          %s
          local again, _, errno = ns.container "spec-web"
          show(again, errno, #ns.containers()) ]]):format(how)))
        assert.equal(0, machine.processes(w.mark))
        assert.equal("", w.left())
      end
    end)

    needs("ends with its program, whose status each handle is told #system", function()
      local w = world(nobody)
      assert.equal("nil exit 7\nnil exit 7\nlast words\n", w.run [[
        local c = assert(ns.sandbox():start { name = "spec-web", "sh", "-c",
          "while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last words; exit 7" })
        local d = assert(ns.container "spec-web")
        out(d, "touch", "/tmp/go")
        show(c:wait())
        show(d:wait())
        print(d:logs()) ]])
      assert.equal("nil exit 3\n0", w.run [[
        local named = require "ns.start.named"
        local keep = named.keep
        function named.keep(handle) -- by when that program has ended
          ns.run { "sleep", "0.3" }
          return keep(handle)
        end
        show(assert(ns.sandbox():start { name = "spec-web", "sh", "-c", "exit 3" }):wait(20))
        show(#ns.containers()) ]])
    end)

    needs("stays without a program, and with `stay` when that has ended #system", function()
      local w = world(nobody)
      w.run [[assert(ns.sandbox():start { name = "spec-none" })
        assert(ns.sandbox():start { name = "spec-stay", stay = true, "echo", "said" })]]
      assert.equal("spec-none spec-stay\nhere\ntrue\nsaid\nnil timeout", w.run [[
        show(ns.containers()[1], ns.containers()[2])
        print(out(ns.container "spec-none", "echo", "here"))
        local c = ns.container "spec-stay"
        eventually(function() return #c:processes() == 0 end)
        show(c:info().stay)
        io.write(c:logs())
        show(c:wait(0.1)) ]])
    end)

    needs("keeps what its program has written, up to 64 KiB, and never makes it wait #system", function()
      local w = world(nobody)
      assert.equal("out\nerr\n", w.run [[
        local c = assert(ns.sandbox():start { name = "spec-web", "sh", "-c", "echo out; echo err >/dev/stderr; sleep MARK" })
        eventually(function() return #c:logs() == 8 end)
        print(c:logs()) ]])
      w.run [[ns.container("spec-web"):close()]]
      assert.equal("65536 100000 true", w.run [[
        local c = assert(ns.sandbox():start { name = "spec-web", "sh", "-c", "seq 100000; sleep MARK" })
        eventually(function() return c:logs():sub(-7) == "100000\n" end)
        local text, from = c:logs(), nil
        local n = tonumber(text:match("\n(%d+)\n")) - 1
        for line in text:gmatch("\n(%d+)%f[\n]") do
          assert(tonumber(line) == n + 1, line)
          n = n + 1
        end
        show(#text, n, c:close()) ]])
    end)

    needs("whose output goes to a file has that as its logs; where nothing is kept it says so #system", function()
      local w = world(nobody)
      assert.equal("text\nnil the output of this container is not kept 61", w.run(([[
        local c = assert(ns.sandbox():start { name = "spec-web", "sh", "-c", "echo text; sleep MARK",
          stdout = { path = "%s/file" }, stderr = "stdout" })
        eventually(function() return c:logs() == "text\n" end)
        io.write(ns.container("spec-web"):logs())
        c:close()
        show(assert(ns.sandbox():start { name = "spec-web" }):logs()) ]]):format(w.directory)))
    end)

    needs("is not disturbed by handles that are collected, and scripts that are killed #system", function()
      local w = world(nobody)
      w.run [[assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })]]
      local r = w.result [[
        local c = assert(ns.container "spec-web")
        c:spawn("sleep", "MARK")
        local p = c:spawn("sleep", "MARK")
        os.execute("kill -9 " .. io.open("/proc/self/stat"):read("*n")) ]]
      assert.equal(9, r.signal)
      machine.eventually(function() return machine.processes(w.mark) == 1 end)
      assert.equal("still\n1", w.run [[
        for i = 1, 20 do ns.container "spec-web" end
        collectgarbage()
        collectgarbage()
        local c, d = ns.container "spec-web", ns.container "spec-web"
        c = nil
        collectgarbage()
        print(out(d, "echo", "still"))
        show(#d:processes()) ]])
    end)

    needs("is refused where one of that name lives, and as any other; nothing is left then #system", function()
      local w = world(nobody)
      assert.matches("^nil name spec%-web: [^;]*%(EADDRINUSE%); a container of this name lives: ns.container 'spec%-web'"
        .. " %d+\nnil exec 'no%-such%-program': [^\n]* 2\nnil [^\n]*No such file[^\n]* 2\nspec%-web$", (w.run [[
        assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })
        show(select(1, ns.sandbox():start { name = "spec-web" }), select(2, ns.sandbox():start { name = "spec-web" }),
          (select(3, ns.sandbox():start { name = "spec-web" })))
        local function try(box, ...)
          local c, message, errno = box:start(...)
          show(c, message, errno)
        end
        try(ns.sandbox(), { name = "spec-two", "no-such-program" })
        try(ns.sandbox():root("/nowhere/at/all"), { name = "spec-two" })
        print(table.concat(ns.containers(), " ")) ]]))
    end)

    needs("takes the place of one that was killed, by one of many who try at once #system", function()
      local w = world(nobody)
      w.run [[
        local c = assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })
        os.execute("kill -9 " .. c.pid)
        show(c:wait(20)) ]]
      assert.equal("spec-web", w.left())
      local list, winners = {}, 0
      for i = 1, 8 do
        list[i] = assert(ns.spawn { machine.lua, "-e", PRELUDE .. ([[
          local c, message = ns.sandbox():start { name = "spec-web", "sleep", "MARK" }
          io.write(c and "won" or message:match("%((E%u+)%)")) ]]):gsub("MARK", w.mark), env = w.env(), cwd = "/",
          stdout = "pipe", user = nobody and 65534 or nil, group = nobody and 65534 or nil, groups = nobody and {} or nil })
      end
      for i = 1, 8 do
        local said = list[i]:communicate().stdout
        if said == "won" then winners = winners + 1 else assert.equal("EADDRINUSE", said) end
      end
      assert.equal(1, winners)
      assert.equal(1, machine.processes(w.mark))
    end)

    needs("that is killed tells each handle so, and is no zombie of anybody #system", function()
      local w = world(nobody)
      assert.equal("nil signal 9\nnil signal 9\nnil", w.run [[
        local c = assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })
        local d = ns.container "spec-web"
        os.execute("kill -9 " .. c.pid)
        show(c:wait(20))
        show(d:wait(20))
        ns.run { "true" } -- a start reaps
        show((io.open("/proc/" .. c.pid .. "/stat"))) ]])
    end)

    needs("leaves nothing where its script is killed while it is being started #system", function()
      local w = world(nobody)
      for i = 1, 6 do
        local p = assert(ns.spawn { machine.lua, "-e", PRELUDE .. ([[
          io.write("here\n")
          io.stdout:flush()
          ns.sandbox():start { name = "spec-web", "sleep", "MARK" }
          io.write("done\n")
          io.stdout:flush()
          ns.run { "sleep", "60" } ]]):gsub("MARK", w.mark), env = w.env(), cwd = "/", stdout = "pipe",
          user = nobody and 65534 or nil, group = nobody and 65534 or nil, groups = nobody and {} or nil })
        p.stdout:read("*l")
        ns.run { "sleep", ("%.3f"):format(i * 0.008) }
        p:kill("KILL")
        local is_done = p.stdout:read("*l") == "done"
        p:close()
        if is_done then
          w.run [[ns.container("spec-web"):close()]]
        else
          assert.equal("0", w.run [[
            local c = ns.container "spec-web"
            eventually(function() return #ns.containers() == 0 or c and c:run("true") end)
            if c then c:close() end -- it stood already
            show(#ns.containers()) ]])
        end
        machine.eventually(function() return machine.processes(w.mark) == 0 end)
      end
    end)

    needs("shows a program inside nothing of the host's #system", function()
      local w = world(nobody)
      assert.equal("/dev/null pipe pipe\nns-init|ns|", w.run [[
        local c = assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })
        print(out(c, "sh", "-c", "set --; for n in /proc/self/fd/*; do f=$(readlink $n) && set -- \"$@\" ${f%%:*}; done; "
          .. "echo $1 $2 $3; [ $# -le 4 ] || echo \"$@\""))
        print(out(c, "sh", "-c", "read name </proc/1/comm; cmd=$(tr -d '\\0' </proc/1/cmdline); "
          .. "{ readlink /proc/1/fd/* /proc/1/exe; cat /proc/1/maps /proc/1/environ; } >/tmp/o 2>/dev/null; "
          .. "echo \"$name|$cmd|$(cat /tmp/o)\"")) ]])
      -- the main program has no more
      assert.equal("/dev/null pipe pipe", w.run [[
        local c = assert(ns.sandbox():start { name = "spec-fds", stay = true, "sh", "-c", "set --; "
          .. "for n in /proc/self/fd/*; do f=$(readlink $n) && set -- \"$@\" ${f%%:*}; done; "
          .. "echo $1 $2 $3; [ $# -le 4 ] || echo \"$@\"" })
        eventually(function() return #c:logs() > 0 end)
        io.write(c:logs()) ]])
    end)

    needs("does not hear a program inside that has its socket in sight #system", function()
      local w = world(nobody)
      w.run(([[assert(ns.sandbox():bind("%s"):start { name = "spec-web", "sleep", "MARK" })]]):format(w.directory))
      local line = ([[
import socket, struct
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("%s/spec-web")
try:
    s.send(struct.pack("<Ii", 5, 0))
    print(s.recv(8))
except ConnectionError: print("b''")]]):format(w.names)
      assert.equal("b''\nhere", w.run(([==[
        print(out(ns.container "spec-web", "/usr/bin/python3", "-c", [=[%s]=]))
        print(out(ns.container "spec-web", "echo", "here"))]==]):format(line)))
    end)

    needs("is refused by name where it was started by another version #system", function()
      local w = world(nobody)
      w.run [[assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })]]
      assert.matches("^nil container spec%-web: [^;]*; it was started by another version of ns %(protocol %x+, this one "
        .. "speaks 1%)", (w.run [[
        core.protocol = 1
        show(ns.container "spec-web") ]]))
    end)

    needs("goes on while others say half a request, nothing, or read nothing #system", function()
      local w = world(nobody)
      assert.equal("here\nhere", w.run [[
        local c = assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })
        local list = {}
        for i = 1, 100 do list[i] = assert(ns.container "spec-web") end
        print(out(c, "echo", "here"))
        print(out(list[100], "echo", "here")) ]])
      local r = ns.run { "/usr/bin/python3", "-c", [[
import socket, struct, sys, os
path, uid = sys.argv[1], int(sys.argv[2])
if uid: os.setgid(uid); os.setuid(uid)
held, directory = [], os.open(os.path.dirname(path), os.O_RDONLY)
def say(s, i):
    if i % 4 == 1: s.send(b"\x01\x00\x00")
    if i % 4 == 2:
        for _ in range(20): s.send(struct.pack("<Ii", 4, 0))
    if i % 4 == 3:
        r, w = os.pipe()
        socket.send_fds(s, [struct.pack("<Ii", i, -1)], [r, w] * 50)
        os.close(r); os.close(w)
for i in range(300):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(path)
    held.append(s)
    if i % 8 < 4: socket.send_fds(s, [struct.pack("<Ii", 4, 0)], [directory])
    try: say(s, i)
    except (BrokenPipeError, ConnectionResetError): assert i % 8 >= 4 # who has not shown the directory is not heard
print("held", flush=True)
sys.stdin.read() ]], w.names .. "/spec-web", nobody and machine.root and "65534" or "0", stdout = "pipe", stdin = "x" }
      assert.equal("held\n", r.stdout, r.stderr)
      assert.equal("here", w.run [[print(out(ns.container "spec-web", "echo", "here"))]])
    end)
  end)
end

describe("the init of a container with a name #system", function()
  local needs = machine.it "sandbox"

  -- Connects, and shows the directory as it says; then: is it answered?
  local ASK = [[
import socket, struct, sys, os
path, how = sys.argv[1:3]
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.connect(path)
    at = {"right": os.path.dirname(path), "other": "/", "path": os.path.dirname(path)}.get(how)
    fds = [os.open(at, os.O_PATH if how == "path" else os.O_RDONLY)] if at else []
    socket.send_fds(s, [struct.pack("<Ii", 4, 0)], fds)
    s.settimeout(20)
    print(len(s.recv(8)))
except OSError as e: print(e.errno) ]]

  needs("hears those who may read the directory of its socket, and no others", function()
    local w = world(false)
    w.run [[assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })]]
    for how, said in pairs { right = "8", other = "0", path = "0", nothing = "0" } do
      local r = assert(ns.run { "/usr/bin/python3", "-c", ASK, w.names .. "/spec-web", how })
      assert.equal(said, r.stdout:match "%d+", how .. r.stderr)
    end
    local python = ns.confined()
    for _, how in ipairs { "right", "path" } do
      local r = assert(python:run("/usr/bin/python3", "-c", ASK, w.names .. "/spec-web", how))
      assert.matches(how == "right" and "^13\n" or "^0\n", r.stdout, 1, false)
    end
  end)

  needs("tells how its program has ended, also to who asks for more meanwhile", function()
    local w = world(false)
    assert.equal("nil exit 5 nil exit 5", w.run [[
      local c = assert(ns.sandbox():start { name = "spec-web", "sh", "-c", "sleep 0.3; exit 5" })
      local other = ns.container "spec-web"
      os.execute("kill -STOP " .. c.pid .. "; sleep 0.6") -- it ends meanwhile
      for _ = 1, 40 do c:kill "CONT" other:kill "CONT" end -- the init has not read all when it ends
      os.execute("kill -CONT " .. c.pid)
      local ok, how, code = c:wait(20)
      show(ok, how, code, other:wait(20))]])
  end)

  needs("ends the group of a program whose host was killed", function()
    local w = world(false)
    w.run [[assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })]]
    w.run [[
      local p = assert(ns.container "spec-web":spawn("sh", "-c", "sleep 303 & sleep 304; true"))
      os.execute "sleep 0.2; kill -9 $PPID" ]]
    assert.equal("true", w.run [[
      local c = ns.container "spec-web"
      for _ = 1, 500 do
        local left = false
        for _, p in ipairs(c:processes()) do left = left or table.concat(p.argv, " "):find "30[34]" end
        if not left then return print(true) end
        os.execute "sleep 0.01"
      end]])
  end)
end)

describe("a container with a name", function()
  local needs = machine.it "sandbox"

  needs("is the caller's mistake where the name is none, or its program would need a script that waits", function()
    local function start(words) return ns.sandbox():start(words) end
    for _, name in ipairs { "", "a/b", ".", "..", ".x", "-x", "a b", ("x"):rep(65), "a\0b", 7 } do
      assert.has_error(function() start { name = name } end)
      assert.has_error(function() ns.container(name) end)
    end
    for word, value in pairs { timeout = 1, pty = true, stdout = "pipe", stdin = "pipe", input = "x" } do
      local ok, message = pcall(start, { name = "spec-mistake", "true", [word] = value })
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'start' %(" .. word .. ": a program that outlives this script has nobody", message)
    end
    assert.has_error(function() start { name = "spec-mistake", stay = 1 } end)
    assert.has_error(function() start { name = "spec-mistake", "true", hostname = "x" } end)
    assert.has_error(function() ns.box { flags = "mount" }:start { name = "spec-mistake" } end)
  end)

  needs("is made in no directory that is another's, open to others, or a link #system", function()
    local w = world(false)
    local function try() return w.run [[
      local c, message, errno = ns.sandbox():start { name = "spec-web" }
      show(c, message:match("^use ([^:]*):"), message:match("%((E%u+)%)"), #ns.containers()) ]]
    end
    for _, row in ipairs { { "mkdir -m 755 DIR/ns", "EPERM" }, { "ln -s DIR/other DIR/ns; mkdir -m 700 DIR/other", "ELOOP" },
      { "touch DIR/ns", "ENOTDIR" }, machine.root and { "mkdir -m 700 DIR/ns; chown 1234 DIR/ns", "EPERM" } or nil } do
      os.execute((row[1]:gsub("DIR", w.directory)))
      local code = try():gsub("ENOTDIR", "ELOOP"):gsub(w.directory, "DIR")
      assert.equal(("nil DIR/ns for the names of containers %s 0"):format((row[2]:gsub("ENOTDIR", "ELOOP"))), code)
      os.execute(("rm -rf %s/ns %s/other"):format(w.directory, w.directory))
    end
  end)

  machine.root_it("whose programs are another user keeps its rights for itself, for later scripts, too", function()
    local w = world(false)
    w.run [[assert(ns.sandbox():user(1000):group(1000):start { name = "spec-web", "sleep", "MARK" })]]
    assert.equal("1000:1000\n7\n0000000000000000", w.run [[
      local c = ns.container "spec-web"
      print(out(c, "sh", "-c", "echo $(id -u):$(id -g)"))
      print(out(c, { "id", "-u", user = 7 }))
      print(out(c, "sh", "-c", "sed -n 's/CapEff:.//p' /proc/self/status")) ]])
  end)

  needs("confines the programs of later scripts as those of the first one #system", function()
    local w = world(false)
    local line = [[print(out(c, "sh", "-c", "grep -E 'Cap|NoNew|Seccomp' /proc/self/status; cat /etc/passwd 2>&1 | wc -l; "
      .. "hostname; chroot / true 2>&1; cat /proc/sys/user/max_user_namespaces; cut -d' ' -f4- /proc/self/mountinfo"))]]
    local first = w.run([[
      local box = ns.sandbox():hostname("box"):caps { "chown", "sys_chroot" }:seccomp { deny = { "chroot" } }
      if ns.features().landlock.ok then box:landlock { read = { "/usr", "/proc", "/dev" }, execute = { "/" } } end
      local c = assert(box:start { name = "spec-web", "sleep", "MARK" })
      ]] .. line)
    assert.matches("Operation not permitted", first)
    assert.equal(first, w.run([[local c = ns.container "spec-web" ]] .. line))
  end)

  needs("has programs with a terminal, a status and signals, as any other #system", function()
    local w = world(false)
    w.run [[assert(ns.sandbox():start { name = "spec-web" })]]
    assert.equal("7 9\r\n\nnil exit 5\nnil timeout\nnil signal 9", w.run [[
      local c = ns.container "spec-web"
      print(c:run { "stty", "size", pty = { rows = 7, cols = 9 } }.stdout)
      show(c:spawn("sh", "-c", "exit 5"):wait())
      local p = c:spawn { "sleep", "MARK" }
      show(p:wait(0.05))
      c:kill("KILL")
      show(p:wait()) ]])
  end)

  machine.it("sandbox", "python")("is there again when those are gone who have had all its descriptors #system", function()
    local w = world(false)
    local starter = [[assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })]]
    assert.is_true(w.result(starter, { under = { "prlimit", "--nofile=40:40" } }).ok)
    local p = assert(ns.spawn { "/usr/bin/python3", "-c", [[
import socket, sys
held = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(60)]
for s in held: s.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read() ]], w.names .. "/spec-web", stdin = "pipe", stdout = "pipe" })
    assert.equal("held", p.stdout:read())
    assert.matches("^nil container spec%-web: [^;]*%(ETIMEDOUT%); its init does not answer", (w.run [[
      show(ns.container "spec-web") ]]))
    p.stdin:close()
    p:wait()
    p:close()
    assert.equal("here", w.run [[print(out(ns.container "spec-web", "echo", "here"))]])
  end)

  machine.root_it("is ended by a host of another pid namespace, which keeps its processor and priority #system", function()
    local w = world(false)
    w.run [[assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })]]
    assert.equal("0 true", w.run([[
      local c = assert(ns.container "spec-web")
      local function mine()
        local priority = io.open "/proc/self/stat":read "*a":match("%) " .. ("%S+ "):rep(15) .. "(%S+)")
        return priority .. io.open "/proc/self/status":read "*a":match "Cpus_allowed:%s*(%S+)"
      end
      local before = mine()
      c.box.handle:kill_inside()
      show(c.pid, mine() == before or mine())
      c:close() ]], { under = { "unshare", "-pf", "--kill-child", "--mount-proc", "nice", "taskset", "-c", "0" } }))
  end)

  needs("is small, and asleep when nothing is asked of it #system", function()
    local w = world(false)
    assert.equal("true true", w.run [[
      local c = assert(ns.sandbox():start { name = "spec-web", "sleep", "MARK" })
      local function read(file, pattern)
        return tonumber(io.open(("/proc/%d/%s"):format(c.pid, file)):read("*a"):match(pattern))
      end
      local held = {}
      for i = 1, 100 do held[i] = ns.container "spec-web" end
      out(c, "true")
      local function switches() return read("status", "\nvoluntary_ctxt_switches:%s*(%d+)") end
      ns.run { "sleep", "0.5" } -- it has told the end of that program, and then it goes to sleep
      local before = switches()
      ns.run { "sleep", "1.5" }
      local woken = switches() - before
      local pss = read("smaps_rollup", "\nPss:%s*(%d+)")
      show(pss < 200 or pss, woken == 0 or woken) ]])
  end)
end)
