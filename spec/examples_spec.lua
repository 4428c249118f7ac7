--- Each example runs, and says what it should.
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

local LOOP = "program 1: one, exit 1\nprogram 2: two, exit 2\nprogram 3: three, signal 9\n"
local SEED = "^ %- %[ *%d+%] Current namespace, Parent PID : %d+\n"
  .. " %- %[   1%] New namespace, Parent PID : 0\n"
  .. "%$ hostname\nnamespace\n%$ ps %-aef\nUID[^\n]+\nroot +1 +0 [^\n]+/bin/bash\nroot +%d+ +1 [^\n]+ps %-aef\n"
  .. "%$ pstree %-p\nbash%(1%)%-%-%-pstree%(%d+%)\n%$ mount\nproc on /proc type proc [^\n]+\n$"

local BUILD = "^cc +%-c %-o main%.o main%.c\ncc +%-c %-o greet%.o greet%.c\ncc %-o hello main%.o greet%.o\n"
  .. "built hello: %d%d%d%d+ bytes; the sources are untouched\nhello, world\n$"
local VERDICTS = "^ann: OK\nbob: WA %(test 3%)\ncyd: TLE %(test 1%)\ndan: MLE %(test 1%)\neve: RE %(test 1, SEGV%)\n$"
local ROOTFS = "^rootfs, 0, hello\ntools: %d+, the shell is /bin/busybox\nof the host: 0 files\nit stays as it is\n"
  .. "in the directory: bin, etc\n$"
local SHELL = "^# id %-un\nroot\n# pwd\n/root\n# rm [^\n]+\n# mkdir [^\n]+\ntmpfs\n# hostname [^\n]+\nelsewhere\n"
  .. "# ps [^\n]+\n[^\n]+\n +1 ns%-init\n +%d+ sh\n +%d+ ps\nThe shell has ended, and with it all that it has changed%.\n$"

local HOSTILE = {}
for _, line in ipairs {
  { "read a secret of the environment", "no such variable" },
  { "read the keys of the user", "No such file or directory" },
  { "read the host's own files", "No such file or directory" },
  { "leave a back door in the system", "Permission denied" },
  { "replace a program", "Read-only file system" },
  { "make the system writable", "permission denied." },
  { "make a device of the disk", "Operation not permitted" },
  { "get at the kernel", "Permission denied" },
  { "send the loot away", "Network is unreachable" },
  { "kill a process of the host", "No such process" },
  { "see other programs", "only its own are there" },
  { "rename the machine", "you must be root to change the host name" },
  { "get a mount namespace", "Operation not permitted" },
  { "never end", "stopped by the timeout" },
  { "fill the memory", "memory exhausted" },
  { "start a thousand processes", "Cannot fork" },
  { "stay behind as a daemon", "killed by KILL" },
  { "what is left of it", "nothing" },
} do
  HOSTILE[#HOSTILE + 1] = ("%-34s %s\n"):format(line[1], line[2])
end
HOSTILE = "^" .. table.concat(HOSTILE):gsub("%p", "%%%0") .. "$"

local CALLS = "^ok 1 %- a file of the system is replaced %(inside%)\nok 2 %- the disk is full %(No space left on device%)\n"
  .. "ok 3 %- a directory cannot be written %([%w %-]+%)\n"
  .. "not ok 4 %- the list is sorted %(error: [^\n]+call.lua:%d+: the first is 1%)\n"
  .. "not ok 5 %- it does not crash %(signal: killed by signal 11 %(SEGV%)%)\n"
  .. "not ok 6 %- it ends %(timeout: timeout after 0%.%d+ s%)\n$"

local WORKSPACE = "^%$ echo [^\n]+\nanswer%.sh\n%$ sh answer%.sh\n42\n%$ for [^\n]+\nstep 1\nstep 2\nstep 3\n"
  .. "%$ echo begin[^\n]+\nbegin\ncancelled\nsignal 15\n%$ cat nothing\ncat: [^\n]+\nexit 1\n%$ sleep [^\n]+\nstarted\n"
  .. "%$ cat /tmp/note\nkept\nleft behind: [^\n]*sleep 1001[^\n]*\n%$ ps [^\n]+\n0\nexit 1\nin the directory: answer%.sh\n$"

local PINGALL = "h1 %-> h2 h3\nh2 %-> h1 h3\nh3 %-> h1 h2\n%*%*%* Results: 0%% dropped %(6/6 received%)\n"
local MININET = "mininet> nodes\nns%.Host %(h1 10%.0%.0%.1%)\n.-mininet> net\nns%.Link %(h1%-s1%)\n.-"
  .. "mininet> h1 ip [^\n]+\neth0@if%d+ +UP +10%.0%.0%.1/16 [^\n]*\nmininet> h1 ping h2\ntrue\n"
  .. "mininet> pingall\n" .. PINGALL
  .. "mininet> link s1 h1 down\nh1 %-> X X\nh2 %-> X h3\nh3 %-> X h2\n%*%*%* Results: 67%% [^\n]+\n"
  .. "mininet> link s1 h1 up\n" .. PINGALL .. "mininet> h1 perl a%-server & h2 asks it\nhello from h1\n"
  .. ".-h4 %-> h1 h2 h3\n%*%*%* Results: 0%% dropped %(12/12 received%)\n%*%*%* Done within %d+ seconds\n$"

local PARTITION = {}
for _, line in ipairs {
  "--- all together", "a set first written", "c get first",
  "--- {a, b} and {c}", "a set second written", "b get second", "c get no quorum", "c set third no quorum",
  "--- each alone", "a set fourth no quorum",
  "--- healed", "c get second", "c set fifth written", "a get fifth",
} do
  PARTITION[#PARTITION + 1] = line:gsub("%p", "%%%0"):gsub(" ", " +") .. "\n"
end
PARTITION = "^" .. table.concat(PARTITION) .. "$"

local TOUCHED = "^installed\nit has ended with exit 0, and would change:\n  added    /home/user/bin\n"
  .. "  added    /home/user/bin/hello %(11 bytes%)\n  changed  /home/user/config %(12 bytes%)\n"
  .. "  removed  /home/user/lib/old\n  changed  /home/user/profile %(%d+ bytes%)\n$"
local DOCKER_RUN = "^bin\ndev\netc\nproc\nbusybox\nls\nnew\nsh\nI am 0\n"
  .. "the image has 1 layer; in a new box, /bin/new is not there\n$"

local EXPECTED = {
  ["call.lua"] = CALLS,
  ["docker_run.lua"] = DOCKER_RUN,
  ["hostile.lua"] = HOSTILE,
  ["judge.lua"] = VERDICTS,
  ["judge_luv.lua"] = "^OK 15, WA 15, RE 15, TLE 15\n$",
  ["newns.lua"] = SEED,
  ["loop_cqueues.lua"] = "^" .. LOOP .. "$",
  ["loop_luv.lua"] = "^" .. LOOP .. "$",
  ["loop_socket.lua"] = "^" .. LOOP .. "$",
  ["offline_build.lua"] = BUILD,
  ["lxc.lua"] = "^lxc%-example is started, pid %d+\n.-lxc%-example +pid %d+, since [^\n]+, 1 processes\n.*lxc%-example\n +2 "
    .. "sleep 1000\nthe service runs\ncontainer lxc%-example: [^\n]+none of this name lives\n$",
  ["mininet.lua"] = MININET,
  ["partition.lua"] = PARTITION,
  ["root_shell.lua"] = SHELL,
  ["rootfs.lua"] = ROOTFS,
  ["webserver.lua"] = "^the server has port 80, in a network of its own\n"
    .. "HTTP/1.0 200 OK\r\nContent%-Type: text/plain\r\n\r\n"
    .. "This is /index.html, user 0 on web\nThis is /direct, user 0 on web\nconnect: Connection refused\n$",
  ["database.lua"] = "^db.internal:5432: 42 rows for select %*\n127.0.0.1:%d+: Connection refused\n"
    .. "db.internal:22: Connection refused\nexample.com: no such name\n192.0.2.1:80: Network is unreachable\n$",
  ["touched.lua"] = TOUCHED,
  ["workspace.lua"] = WORKSPACE,
}

local SANDBOXED = {}
for name in ("mininet partition webserver database"):gmatch "%l+" do SANDBOXED[name .. ".lua"] = true end

--- What the machine must have for it: a library in a loop.
local function needs(name, tree)
  if SANDBOXED[name] then return "sandbox" end
  if name == "offline_build.lua" or name == "touched.lua" or name == "docker_run.lua" then return "overlay", tree end
  return name:match("^loop_(%w+)") or name:match("_(luv)%.lua$")
end

local function run(name, nobody, ...)
  local words = ""
  for i = 1, select("#", ...) do words = words .. (", %q"):format((select(i, ...))) end
  local env, data, remove = machine.paths(machine.public()), machine.directory() -- for images
  env.XDG_DATA_HOME, env.XDG_RUNTIME_DIR = data, data .. "/run" -- its names are no other spec's
  os.execute(("chmod 1777 %s && mkdir -m 700 %s/run"):format(data, data))
  if nobody and machine.root then os.execute(("chown 65534:65534 %s/run"):format(data)) end
  local r = machine.host(("arg = {[0] = '%s'%s} dofile('%s/examples/%s')"):format(name, words, machine.public(), name),
    { nobody = nobody, timeout = 300, spec = { env = env } })
  remove()
  return r
end

--- What it has said; the programs of a loop end in any order on a busy machine.
local function said(name, r)
  if not name:find("^loop_") then return r.stdout end
  local lines = {}
  for line in r.stdout:gmatch("[^\n]*\n") do lines[#lines + 1] = line end
  table.sort(lines)
  return table.concat(lines)
end

--- Types into a shell line on a terminal: {keys, what must be shown before the next is typed}, one turn after the other.
local function typed(line, turns)
  local env = machine.paths(machine.public())
  env.HOME, env.HISTFILE = "/", "" -- what a user's .bashrc does takes its time, and the history is the user's
  local p = assert(ns.spawn { "timeout", "--foreground", "60", "sh", "-c", line, pty = true, env = env })
  local shown, from = "", 1
  for _, turn in ipairs(turns) do
    p.pty:write(turn[1])
    while not shown:find(turn[2], from) do
      local byte = p.pty:read(1)
      if not byte then error(("no '%s' after '%s' in:\n%s"):format(turn[2], turn[1], shown)) end
      shown = shown .. byte
    end
    from = #shown
  end
  p:close()
end

-- It is in the foreground when it says so; the word as it is typed is another.
local SLEEP = { "sh -c 'echo star''ted; exec sleep 50'\n", "[\r\n]started\r\n" }

--- What an example does is done inside; on each Lua those run that depend on it: the loops, and the first.
local function tag(name)
  return (name == "newns.lua" or name:find("^loop_")) and "" or " #system"
end

describe("the example", function()
  for name in lfs.dir("examples") do
    -- What is run elsewhere: by busted (doc/testing.md), on a cluster (proof/cluster.lua).
    local is_elsewhere = name:find("_spec%.lua$") or name == "cluster_specs.lua"
    if name:find("%.lua$") and not is_elsewhere then
      local expected = assert(EXPECTED[name], "no expectation for " .. name)

      machine.it(needs(name, "tree"))(name .. " runs" .. tag(name), function()
        local r = run(name)
        assert.truthy(r.ok, tostring(r))
        assert.matches(expected, said(name, r))
      end)

      machine.it("user", needs(name))(name .. " runs for an ordinary user" .. tag(name), function()
        assert.matches(expected, said(name, run(name, true)))
      end)

      it(name .. " is a program for this Lua", function()
        assert(loadfile("examples/" .. name))
      end)
    end
  end

  machine.root_it("hostile.lua takes no process of its own for the host's with the same number #system", function()
    local r = machine.host(("dofile('%s/examples/hostile.lua')"):format(machine.public()),
      { under = { "unshare", "--pid", "--fork", "--mount-proc" } })
    assert.matches("\nkill a process of the host +No such process\n", r.stdout)
  end)

  machine.it("tree", "overlay")("root_shell.lua takes directories, and they are as before in the end #system", function()
    for _, nobody in ipairs { false, true } do
      local directory, remove = machine.directory()
      machine.file(directory .. "/precious", "kept\n")
      if machine.root then os.execute("chown -R 65534:65534 " .. directory) end
      local r = run("root_shell.lua", nobody, directory)
      local text = machine.read(directory .. "/precious")
      remove()
      assert.equal("", r.stderr)
      assert.matches("\n# pwd\n" .. directory .. "\n# rm [^\n]+\n# mkdir", r.stdout)
      assert.equal("kept\n", text)
    end
  end)

  it("root_shell.lua -i gives a shell with job control #system", function()
    typed(("%s %s/examples/root_shell.lua -i; echo after $?"):format(machine.lua, machine.public()), {
      { "hostname\n", "[\r\n]throwaway\r\n" },
      { "id -un\n", "[\r\n]root\r\n" },
      SLEEP,
      { "\26", "Stopped +sh %-c" },
      { "kill -9 %1; while kill -0 %1 2>&-; do sleep 0.1; done; echo go''ne\n", "[\r\n]gone\r\n" },
      { "touch /usr/x; touch /y && ls /y\n", "[\r\n]/y\r\n" },
      { "exit 7\n", "after 7\r\n" },
    })
    assert.is_nil(lfs.symlinkattributes("/y"))
    assert.is_nil(lfs.symlinkattributes("/usr/x"))
  end)

  it("rootfs.lua takes a directory and a program #system", function()
    local directory, remove = machine.directory()
    os.execute(("mkdir %s/bin && cp $(command -v busybox) %s/bin/busybox"):format(directory, directory))
    local r = run("rootfs.lua", false, directory, "/bin/busybox", "sh", "-c", "hostname; exit 7")
    remove()
    assert.equal("rootfs\n", r.stdout)
    assert.equal(7, r.code)
  end)

  machine.it("sandbox")("lxc.lua starts, lists, enters, shows and stops a container #system", function()
    local directory, remove = machine.directory()
    os.execute("chmod 700 " .. directory)
    local env = machine.paths(machine.public())
    env.XDG_RUNTIME_DIR = directory
    local function lxc(...)
      local r = ns.run { machine.lua, machine.public() .. "/examples/lxc.lua", env = env, cwd = "/", timeout = 60, ... }
      return (r.stdout .. r.stderr):gsub("%d+:%d+", "TIME"):gsub("%d%d+", "N"), r.code
    end
    local told = { lxc("start", "spec-lxc", "sh", "-c", "echo hello from $(hostname); exec sleep 7123") }
    machine.eventually(function() return (lxc("logs", "spec-lxc")) ~= "" end)
    for _, words in ipairs { { "logs" }, { "run", "sh", "-c", "hostname; exit 7" }, { "stop" }, { "logs" } } do
      local text, code = lxc(words[1], "spec-lxc", (unpack or table.unpack)(words, 2)) -- luacheck: ignore
      told[#told + 1], told[#told + 2] = text, code
    end
    local list, left = lxc "list", machine.sh({}, "ls -A " .. directory)
    remove()
    assert.same({ "spec-lxc is started, pid N\n", 0, "hello from spec-lxc\n", 0, "spec-lxc\n", 7, "", 0,
      "lxc: container spec-lxc: No such file or directory (ENOENT); none of this name lives\n", 1 }, told)
    assert.same({ "", "" }, { list, left })
  end)

  machine.it("tree", "overlay")("offline_build.lua takes a directory and a program #system", function()
    local directory, remove = machine.directory()
    machine.file(directory .. "/Makefile", "name:\n\techo result >name; cut -d: -f1 /proc/net/dev >&2\n")
    local r = run("offline_build.lua", false, directory, "name")
    local made = lfs.attributes(directory .. "/name", "size")
    remove()
    assert.matches("\n +lo\nbuilt name: 7 bytes; the sources are untouched\n$", r.stdout)
    assert.is_nil(made)
  end)

  it("newns.lua -i gives a shell with job control, and the terminal whole afterwards #system", function()
    typed(("%s %s/examples/newns.lua -i; echo after $?; bash --norc"):format(machine.lua, machine.public()), {
      { "hostname\n", "[\r\n]namespace\r\n" },
      SLEEP,
      { "\3", "%^C" },
      { "echo rc $?\n", "[\r\n]rc 130\r\n" },
      SLEEP,
      { "\26", "Stopped +sh %-c" },
      { "kill -9 %1; while kill -0 %1 2>&-; do sleep 0.1; done; echo go''ne\n", "[\r\n]gone\r\n" },
      { "exit 7\n", "after 7\r\n" },
      { "stty -a\n", "[^-]isig icanon" },
    })
  end)
end)
