--- nsbox, the program: each sentence types a command, and looks at what comes out and at the exit status.
local machine = require "support.machine"
local nsbox = require "support.nsbox"
local ns = require "ns"

local WHO = { ["an ordinary user"] = true, [machine.root and "root" or "an ordinary user"] = not machine.root }

local describe_it = nsbox.works and machine.describe("sandbox") or machine.without("describe", nsbox.why)

for who, nobody in pairs(WHO) do
  describe_it("nsbox run, for " .. who .. (nobody and " #system" or ""), function()
    local user

    setup(function() user = nsbox.user(nobody) end)
    teardown(function() user.leave() end)

    it("runs a program in this machine's system, which is read-only, and shows nothing of its users", function()
      assert.equal("sandbox\n0\nread-only",
        user.out("run", "--system", "sh", "-c", "hostname; id -u; ls -A /home; touch /usr/x 2>&- || echo read-only"))
    end)

    it("has the exit status of the program, or 128 and its signal", function()
      assert.equal(7, user.run("run", "--system", "sh", "-c", "exit 7").code)
      assert.equal(128 + 9, user.run("run", "--system", "sh", "-c", "kill -9 $$").code)
    end)

    it("says 127 where there is no such program, 126 where it is none, and 125 where nsbox itself fails", function()
      for words, code in pairs { ["no-such-program"] = 127, ["/etc"] = 126, ["--no-such-option"] = 125,
        ["--user no-such-user true"] = 125, ["--hostname= true"] = 125, ["-w /no/such true"] = 125 } do
        local argv = {}
        for word in words:gmatch("%S+") do argv[#argv + 1] = word end
        local r = user.run("run", "--system", (table.unpack or unpack)(argv)) -- luacheck: ignore
        assert.equal(code, r.code, words .. ": " .. tostring(r))
        assert.equal("", r.stdout)
        assert.matches("^nsbox: .", r.stderr)
        assert.not_matches("%.lua:%d", r.stderr)
      end
    end)

    it("leaves the words behind the program to the program", function()
      assert.equal("-e --rm -- x", user.out("run", "--system", "-e", "A=1", "echo", "-e --rm", "--", "x"))
      assert.equal("-n", user.out("run", "--system", "--", "printf", "%s", "-n"))
    end)

    it("takes flags in one word, and values with = or without", function()
      local words = { "run", "-eA=1", "--env=B=2", "--env", "C=3", "--system", "sh", "-c", "echo $A $B $C" }
      assert.equal("1 2 3", user.out((table.unpack or unpack)(words))) -- luacheck: ignore
    end)

    it("has variables, a host name, a directory, and nothing of the caller's environment", function()
      machine.file(user.home .. "/file", "# not one\nF=of the file\n")
      local spec = user.spec("run", "--system", "-h", "web", "-w", "/usr", "-e", "MINE", "-e", "GONE", "--env-file",
        user.home .. "/file", "sh", "-c", 'echo "$(hostname) $PWD $MINE ${GONE-none} $F ${OTHER-none}"')
      spec.env.MINE, spec.env.OTHER, spec.env.GONE = "mine", "other", false
      assert.equal("web /usr mine none of the file none\n", assert(ns.run(spec)).stdout)
    end)

    it("takes a file of variables as docker does, and names what is none", function()
      local file = user.home .. "/file"
      machine.file(file, "\239\187\191A=1\r\n  B=2\r\n\r\n# no\nC=a b\r\n")
      assert.equal("1,2,a b,", user.out("run", "--system", "--env-file", file, "sh", "-c", 'echo "$A,$B,$C,"'))
      for text, message in pairs { ["C D=3"] = "'C D' is no name of a variable", ["=x"] = "'' is no name of a variable" } do
        machine.file(file, text .. "\n")
        local r = user.run("run", "--system", "--env-file", file, "true")
        assert.same({ 125, "nsbox: --env-file " .. file .. ": " .. message .. "\n" }, { r.code, r.stderr })
      end
      assert.equal("nsbox: -e =x: KEY=VALUE expected\n", user.run("run", "-e", "=x", "--system", "true").stderr)
    end)

    it("reads stdin with -i alone", function()
      for flag, expected in pairs { ["-i"] = "typed", ["--rm"] = "" } do
        local spec = user.spec("run", flag, "--system", "cat")
        spec.stdin = "typed"
        assert.equal(expected, assert(ns.run(spec)).stdout)
      end
    end)

    it("has tmpfs, limits of each process, a umask and a time limit", function()
      assert.equal("0:1777 12 0027", user.out("run", "--system", "--tmpfs", "/srv/x:size=64k,mode=1777", "--ulimit",
        "nofile=12", "--umask", "027", "sh", "-c", "echo $(stat -c %u:%a /srv/x) $(ulimit -n) $(umask)"))
      assert.equal(128 + 15, user.run("run", "--timeout", "2", "--system", "sleep", "100").code)
    end)

    it("has no network, or the host's", function()
      local mine = machine.sh({}, "readlink /proc/self/ns/net")
      assert.not_equal(mine, user.out("run", "--system", "readlink", "/proc/self/ns/net"))
      assert.equal(mine, user.out("run", "--net", "host", "--system", "readlink", "/proc/self/ns/net"))
      assert.equal(mine, user.out("run", "--network", "host", "--system", "readlink", "/proc/self/ns/net"))
    end)

    it("publishes nothing where the network is the host's, and says so", function()
      local r = user.run("run", "--network", "host", "-p", "18080:80", "--system", "true")
      assert.same({ 0, "nsbox: -p: with --network host the program's ports are this machine's, and none is published\n" },
        { r.code, r.stderr })
    end)

    it("has the world outside by the program pasta, and says what that says", function()
      local directory, remove = machine.directory()
      machine.file(directory .. "/pasta", "#!/bin/sh\necho no interface with a route >&2\nexit 1\n", "755")
      os.execute("chmod 755 " .. directory)
      local spec = user.spec("run", "--network", "pasta", "-p", "0:80", "--system", "true")
      spec.env.PATH = directory .. ":" .. os.getenv "PATH"
      local r = assert(ns.run(spec))
      remove()
      assert.equal(125, r.code)
      assert.matches("no interface with a route", r.stderr)
    end)

    it("names what it has not", function()
      for words, said in pairs { ["--network bridge"] = "bridge", ["-v data:/data"] = "%./data",
        ["--security-opt label=x"] = "label=x", ["-p 1:1/udp"] = "TCP", ["--tmpfs /x:colour=red"] = "colour=red" } do
        local option, value = words:match("^(%S+) (.*)$")
        local r = user.run("run", "--system", option, value, "true")
        assert.equal(125, r.code)
        assert.matches(said, r.stderr)
      end
    end)

    it("has no capabilities but those that are added", function()
      local function caps(...)
        local words = { "run", "--system", ... }
        for _, word in ipairs { "grep", "CapEff", "/proc/self/status" } do words[#words + 1] = word end
        return user.out((table.unpack or unpack)(words)):match("%x+$") -- luacheck: ignore
      end
      assert.equal("0000000000000000", caps())
      assert.equal("0000000000000400", caps("--cap-add", "NET_BIND_SERVICE"))
      assert.equal("0000000000000401", caps("--cap-drop", "ALL", "--cap-add", "CAP_CHOWN", "--cap-add", "net_bind_service"))
    end)

    it("adds capabilities before it drops some, whatever is typed first, and knows their names", function()
      local function caps(...)
        local words = { "run", "--system", ... }
        for _, word in ipairs { "sh", "-c", "grep CapEff /proc/self/status" } do words[#words + 1] = word end
        return user.out((table.unpack or unpack)(words)):match("%x+$") -- luacheck: ignore
      end
      local all = caps("--cap-add", "ALL")
      local less = ("%s%x%s"):format(all:sub(1, -7), tonumber(all:sub(-6, -6), 16) - 2, all:sub(-5)) -- bit 21
      assert.equal(less, caps("--cap-add", "ALL", "--cap-drop", "SYS_ADMIN"))
      assert.equal(less, caps("--cap-drop", "cap_sys_admin", "--cap-add", "all"))
      assert.equal("0000000000000000", caps("--cap-drop", "CHOWN", "--cap-add", "CHOWN"))
      for _, option in ipairs { "--cap-add", "--cap-drop" } do
        local r = user.run("run", "--system", option, "SYS_ADMN", "echo", "ran")
        assert.same({ 125, "" }, { r.code, r.stdout })
        assert.matches(option .. ": unknown capability 'SYS_ADMN'", r.stderr, 1, true)
      end
    end)

    it("says what is wrong without a place in a program that its user has not written", function()
      for _, words in ipairs { { "-m", "banana" }, { "-v", "/usr:rel" }, { "-w", "rel" }, { "--name", "a b" } } do
        local r = user.run("run", "--system", words[1], words[2], "true")
        assert.equal(125, r.code)
        assert.not_matches("nsbox:%d+:", r.stderr)
        assert.matches("^nsbox: [^\n]*" .. words[2]:match "[%w ]+$", r.stderr)
      end
    end)

    it("hands signals to the program, and ends with its status", function()
      local p = user.spawn({ stdout = "pipe" }, "run", "--system", "sh", "-c",
        "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done")
      assert.equal("ready", p.stdout:read "*l")
      p:kill "TERM"
      assert.equal("got it", p.stdout:read "*l")
      local _, how, code = machine.status(p)
      assert.same({ "exit", 5 }, { how, code })
    end)

    it("ends its program when it is killed itself", function()
      local p = user.spawn({ stdout = "pipe" }, "run", "--system", "sh", "-c", "echo ready; exec sleep 4321.5")
      assert.equal("ready", p.stdout:read "*l")
      p:kill "KILL"
      machine.status(p)
      machine.eventually(function() return machine.processes "4321.5" == 0 end)
    end)

    it("has a terminal of its own with -t, in the size of the caller's", function()
      local p = user.spawn({ pty = { rows = 33, cols = 77 } }, "run", "-it", "--system", "sh", "-c",
        "tty; stty size; read line; echo got $line; exit 3")
      assert.matches("^/dev/pts/%d", p.pty:read "*l")
      assert.matches("^33 77", p.pty:read "*l")
      p.pty:write "hello\n"
      local text = ""
      for line in p.pty:lines() do text = text .. line end
      assert.matches("got hello", text)
      local _, how, code = machine.status(p)
      assert.same({ "exit", 3 }, { how, code })
    end)

    it("explains what it would do, and does nothing", function()
      local text = user.out("explain", "--system", "-h", "web", "true")
      assert.matches("web", text)
      assert.matches("exec", text)
    end)
  end)

  describe_it("boxes of nsbox with a name, for " .. who .. " #system", function()
    local user

    before_each(function() user = nsbox.user(nobody) end)
    after_each(function() user.leave() end)

    it("run in the background, are listed, entered, read and waited for", function()
      assert.equal("web", user.out("run", "-d", "--name", "web", "--system", "sh", "-c",
        "echo out; echo err >&2; touch /tmp/made; until [ -e /tmp/end ]; do sleep 0.05; done; exit 4"))
      machine.eventually(function() return user.out("logs", "web") == "out\nerr" end)
      assert.matches("\nweb +%d+ +%d+ seconds ago +running +sh %-c", user.out "ps")
      assert.equal("/tmp/made", user.out("exec", "web", "ls", "/tmp/made"))
      assert.equal(9, user.run("exec", "web", "sh", "-c", "exit 9").code)
      assert.equal(127, user.run("exec", "web", "no-such-program").code)
      assert.equal("", user.out("exec", "-d", "web", "sh", "-c", "echo not shown; touch /tmp/begun; exec sleep 4321"))
      machine.eventually(function() return user.run("exec", "web", "ls", "/tmp/begun").ok end)
      assert.matches("\nsleep 4321\n", user.out("exec", "web", "ps", "-eo", "args") .. "\n")
      assert.equal(127, user.run("exec", "-d", "web", "no-such-program").code)
      local waits = user.spawn({ stdout = "pipe" }, "wait", "web")
      user.out("exec", "web", "touch", "/tmp/end")
      assert.equal("4", waits.stdout:read "*l")
      machine.status(waits)
    end)

    it("leave their output and their status, until they are removed", function()
      user.out("run", "-d", "--name", "web", "--system", "sh", "-c", "echo out; exit 4")
      assert.equal("4", user.out("wait", "web"))
      assert.equal("4", user.out("wait", "web"))
      assert.not_matches("web", user.out "ps")
      assert.matches("web +%- +.- +exited %(4%) +sh %-c", user.out("ps", "-a"))
      assert.equal("out", user.out("logs", "web"))
      assert.matches("web is in use", user.run("run", "-d", "--name", "web", "--system", "true").stderr)
      assert.equal("web", user.out("rm", "web"))
      assert.equal("", user.out("ps", "-aq"))
    end)

    --- One who sees to a box that has just ended, and takes its time to note how.
    local function late()
      local spec = user.spec()
      spec.argv[#spec.argv] = "-e" -- in the place of nsbox
      spec.argv[#spec.argv + 1] = [[
        local core, place = require "ns.core", ".local/state/nsbox/late"
        local function write(name, text)
          local f = assert(io.open(place .. "/" .. name, "w"))
          f:write(text)
          f:close()
        end
        os.execute("mkdir -p " .. place)
        write("info", "1\ntrue\n")
        local bag = core.bag()
        assert(bag:lock(place .. "/lock", true))
        print "ready"
        io.stdout:flush()
        core.poll(0.5)
        write("status", "4\n")]]
      spec.stdout = "pipe"
      local supervisor = assert(ns.spawn(spec))
      assert.equal("ready", supervisor.stdout:read "*l")
      return supervisor
    end

    it("are waited for until whoever sees to them has noted how they have ended", function()
      local supervisor = late()
      assert.equal("4", user.out("wait", "late"))
      machine.status(supervisor)
      user.out("rm", "late")
    end)

    it("are not removed until whoever sees to them has noted how they have ended", function()
      local supervisor = late()
      assert.equal("late", user.out("rm", "late"))
      assert.truthy(machine.status(supervisor))
      assert.equal("", user.out("ps", "-aq"))
    end)

    it("leave nothing with --rm, in the background and in the foreground", function()
      user.out("run", "-d", "--rm", "--name", "web", "--system", "true")
      machine.eventually(function() return user.out("ps", "-aq") == "" end)
      assert.equal(3, user.run("run", "--rm", "--name", "web", "--system", "sh", "-c", "exit 3").code)
      assert.equal("", user.out("ps", "-aq"))
    end)

    it("get a name where none is said, which is printed", function()
      local name = user.out("run", "-d", "--system", "sleep", "1000")
      assert.matches("^%x+$", name)
      assert.equal(name, user.out("ps", "-q"))
    end)

    it("say in the background what could not start, with docker's status, and leave nothing", function()
      local r = user.run("run", "-d", "--name", "web", "--system", "no-such-program")
      assert.equal(127, r.code)
      assert.matches("no%-such%-program", r.stderr)
      assert.equal("", user.out("ps", "-aq"))
    end)

    it("are stopped by SIGTERM, and by force when they do not listen", function()
      user.out("run", "-d", "--name", "mild", "--system", "sh", "-c", "trap 'exit 6' TERM; while :; do sleep 0.05; done")
      user.out("run", "-d", "--name", "deaf", "--system", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
      assert.equal("mild\ndeaf", user.out("stop", "-t", "0.5", "mild", "deaf"))
      assert.equal("6", user.out("wait", "mild"))
      assert.equal("137", user.out("wait", "deaf"))
    end)

    it("get signals by kill, and are ended by rm -f", function()
      user.out("run", "-d", "--name", "web", "--system", "sh", "-c",
        "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done")
      machine.eventually(function() return user.out("logs", "web") == "ready" end)
      user.out("kill", "-s", "USR1", "web")
      machine.eventually(function() return user.out("logs", "-n", "1", "web") == "usr1" end)
      local r = user.run("rm", "web")
      assert.equal(1, r.code)
      assert.matches("web runs", r.stderr)
      user.out("rm", "-f", "web")
      assert.equal("", user.out("ps", "-aq"))
    end)

    it("leave nothing to rm -f that they have yet to note, and nothing half done to rm", function()
      for _, program in ipairs { "true", "sleep", "true", "sleep", "true", "sleep", "true", "sleep", "true", "sleep" } do
        user.out("run", "-d", "--name", "web", "--system", program, "1000")
        user.out("rm", "-f", "web")
        assert.equal("", machine.sh({ cwd = user.home }, "ls -A .local/state/nsbox"))
      end
    end)

    it("leave nothing half done that is in the way of a name", function()
      user.out("run", "--rm", "--name", "half", "--system", "true")
      machine.sh({ cwd = user.home .. "/.local/state/nsbox" }, "mkdir half && echo 3 >half/status && chmod -R a+rwX half")
      assert.matches("half +%- +.- +exited %(3%)", user.out("ps", "-a"))
      assert.matches("half is in use", user.run("run", "-d", "--name", "half", "--system", "true").stderr)
      assert.equal("half", user.out("rm", "half"))
      assert.equal("", user.out("ps", "-aq"))
    end)

    it("have a name that is one, or are not begun", function()
      for _, name in ipairs { "../../q", "a b", ".", "-x", ("x"):rep(65) } do
        for _, mode in ipairs { "-d", "-i" } do
          local r = user.run("run", mode, "--name=" .. name, "--system", "echo", "ran")
          assert.same({ 125, "" }, { r.code, r.stdout }, name)
          assert.matches("^nsbox: name: ", r.stderr)
        end
      end
      assert.equal("", machine.sh({ cwd = user.home }, "find . ! -name . ! -name .local ! -name state"))
    end)

    it("have one user for all programs, and say how they had more", function()
      user.out("run", "-d", "--name", "web", "--system", "sleep", "1000")
      local r = user.run("exec", "-u", "nobody", "web", "echo", "ran")
      assert.same({ 125, "" }, { r.code, r.stdout })
      assert.matches("its init has given up its rights, which it keeps where root", r.stderr)
    end)

    it("say that what they have shown in the foreground is not kept", function()
      assert.equal("shown", user.out("run", "--name", "web", "--system", "echo", "shown"))
      assert.matches("web ran in the foreground", user.run("logs", "web").stderr)
    end)

    it("live on when somebody in another pid namespace asks for them", function()
      user.out("run", "-d", "--name", "web", "--system", "sleep", "1000")
      local function elsewhere(...)
        local spec, argv = user.spec(...), {}
        for _, word in ipairs(spec.argv) do
          if word == machine.lua then
            local own = machine.root and not nobody and "" or "--user --map-current-user"
            for w in ("unshare --pid --fork --mount-proc " .. own):gmatch "%S+" do argv[#argv + 1] = w end
          end
          argv[#argv + 1] = word
        end
        spec.argv = argv
        return assert(ns.run(spec))
      end
      local r = elsewhere("ps", "-q")
      assert.equal("web\n", r.stdout, r.stderr)
      assert.equal("hi\n", elsewhere("exec", "web", "echo", "hi").stdout)
      assert.equal("web", user.out("ps", "-q"))
    end)

    it("are followed by logs -f until their end", function()
      user.out("run", "-d", "--name", "web", "--system", "sh", "-c", "echo one; sleep 0.3; echo two")
      assert.equal("one\ntwo", user.out("logs", "-f", "web"))
    end)

    it("in the foreground are found by others, and end with nsbox, even where that is killed", function()
      local p = user.spawn({ stdout = "pipe" }, "run", "--name", "web", "--system", "sh", "-c", "echo ready; sleep 4321.7")
      assert.equal("ready", p.stdout:read "*l")
      assert.equal("inside", user.out("exec", "web", "echo", "inside"))
      p:kill "KILL"
      machine.status(p)
      assert.equal("", user.out("ps", "-q"))
      assert.equal(0, machine.processes "4321.7")
      assert.matches("exited +sh", user.out("ps", "-a"))
    end)

    local limits_it = nobody and machine.root and machine.without("it", "no manager of systemd for a user without a session")
      or machine.it("sandbox", "limits")
    limits_it("have limits as long as they live, which hold for what is entered, too", function()
      user.out("run", "-d", "--name", "web", "-m", "50m", "--pids-limit", "9", "--cpus", "0.5", "--system", "sleep", "1000")
      local many = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done 2>&1; echo made all"
      assert.matches("[Ff]ork", user.run("exec", "web", "sh", "-c", many).stdout)
      user.out("kill", "web")
      assert.equal(128 + 9, user.run("run", "--name", "big", "--rm", "-m", "30m", "--system", "sh", "-c",
        "head -c 100m /dev/zero | tail | wc -c; kill -9 $$").code)
    end)

    it("have a terminal in the background, too", function()
      user.out("run", "-dit", "--name", "web", "--system", "sh", "-c", "tty; printf unended; sleep 1000")
      machine.eventually(function() return user.out("logs", "web"):find "^/dev/pts/.*unended$" end)
    end)

    it("go on for the others of a list where there is none of a name", function()
      user.out("run", "-d", "--name", "web", "--system", "sleep", "1000")
      local r = user.run("stop", "-t", "0", "none", "web")
      assert.equal(1, r.code)
      assert.equal("web\n", r.stdout)
      assert.matches("no box of the name none", r.stderr)
    end)

    it("that a script has started are listed and entered as well", function()
      local code = 'assert(require("ns").sandbox():start { name = "lua", "sleep", "1000" })'
      machine.host(code, { nobody = nobody, spec = { env = user.spec().env } })
      assert.matches("\nlua +%d+ +.-running +sleep 1000", user.out "ps")
      assert.equal("hi", user.out("exec", "lua", "echo", "hi"))
      user.out("rm", "-f", "lua")
    end)
  end)
end

describe_it("nsbox", function()
  local user

  before_each(function() user = nsbox.user(false) end)
  after_each(function() user.leave() end)

  it("tells what there is, and how each command is used", function()
    local help = user.out "--help"
    for _, name in ipairs { "run", "exec", "ps", "logs", "stop", "kill", "wait", "rm", "check", "explain", "completion" } do
      assert.matches("\n +" .. name .. " ", help)
      assert.matches("^Usage: nsbox " .. name, user.out(name, "--help"))
    end
  end)

  it("says what works here, with reasons, and in colours where it is asked to", function()
    local plain = user.out "check"
    assert.matches("yes  nsbox run %-%-system", plain)
    assert.matches("\nyes  user\n", plain)
    assert.not_matches("\27", plain)
    assert.matches("\27%[32myes\27%[0m  nsbox run", user.out("check", "--color", "always"))
  end)

  it("has a completion that bash takes", function()
    local script = machine.file(user.home .. "/complete", user.out "completion" .. "\n")
    user.out("run", "-d", "--name", "web", "--system", "sleep", "1000")
    local spec = user.spec()
    local code = ([[. %s; nsbox() { %s "$@"; }; COMP_WORDS=(%%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
      eval "$(complete -p nsbox | sed 's/.*-F \([^ ]*\).*/\1/') nsbox ${COMP_WORDS[-1]:-''} ${COMP_WORDS[-2]}"
      echo "${COMPREPLY[@]}"]]):format(script, table.concat(spec.argv, " "))
    for typed, expected in pairs { ["nsbox run --host"] = "--hostname", ["nsbox stop ''"] = "web", ["nsbox exec w"] = "web",
      ["nsbox run --network p"] = "pasta", ["nsbox cp w"] = "web:", ["nsbox bwrap --ro-bind-d"] = "--ro-bind-data" } do
      spec.argv = { "bash", "-c", code:format(typed) }
      local r = assert(ns.run(spec))
      assert.equal(expected .. "\n", r.stdout, typed .. tostring(r))
    end
  end)

  it("without argparse names the package", function()
    local spec = user.spec("run", "--system", "true")
    table.insert(spec.argv, #spec.argv - 3, "-e")
    table.insert(spec.argv, #spec.argv - 3, "package.preload.argparse = function() error 'none' end")
    local r = assert(ns.run(spec))
    assert.equal(125, r.code, tostring(r))
    assert.matches("apt%-get install lua%-argparse", r.stderr)
  end)
end)

-- ---- what of the host is put into it ----

local volumes_it = nsbox.works and machine.it("sandbox", "tree") or machine.without("it", nsbox.why)

describe("nsbox run -v #system", function()
  for who, nobody in pairs(WHO) do
    volumes_it("gives a directory, from where the caller is, that can be written or not, to " .. who, function()
      local user = nsbox.user(nobody)
      finally(function() user.leave() end)
      user.out("run", "--system", "-v", ".:/src", "-w", "/src", "sh", "-c", "echo made >file")
      assert.equal("made\n", machine.read(user.home .. "/file"))
      assert.equal("made\nread-only", user.out("run", "--system", "-v", "./file:/srv/there:ro", "sh", "-c",
        "cat /srv/there; echo x 2>&- >/srv/there || echo read-only"))
      assert.equal("made", user.out("run", "--system", "--mount",
        ("type=bind,source=%s/file,target=/x/file,readonly"):format(user.home), "cat", "/x/file"))
      if machine.root and not nobody then
        assert.equal("made", user.out("run", "--system", "-v", ".:/x:ro,idmap", "cat", "/x/file"))
      end
      local r = user.run("run", "--system", "-v", "./none:/x", "true")
      assert.equal(125, r.code)
      assert.matches("none", r.stderr)
    end)
  end
end)

local rootfs_it = nsbox.works and machine.it("sandbox", "tree", "root") or machine.without("it", nsbox.why)

describe("nsbox run --rootfs #system", function()
  --- A directory with a system of one program.
  local function rootfs(user)
    machine.sh({}, ("cd %s && mkdir -p r/bin r/proc r/dev r/tmp r/etc && cp /bin/busybox r/bin/sh"):format(user.home))
    machine.file(user.home .. "/r/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n")
    machine.file(user.home .. "/r/etc/group", "staff:x:50:\n")
    return user.home .. "/r"
  end

  for who, nobody in pairs(WHO) do
    rootfs_it("runs a program in a directory, which it changes, for " .. who, function()
      local user = nsbox.user(nobody)
      finally(function() user.leave() end)
      local root = rootfs(user)
      if nobody and machine.root then os.execute("chown -R 65534:65534 " .. root) end
      assert.equal("/root", user.out("run", "--rootfs", "r", "/bin/sh", "-c", "echo $HOME; echo new >/etc/new"))
      assert.equal("new\n", machine.read(root .. "/etc/new"))
      assert.equal(1, user.run("run", "--rootfs", root, "--read-only", "/bin/sh", "-c", "echo >/etc/other 2>&-").code)
    end)
  end

  --- Prints who the program is.
  local WHO_AM_I = [[while read a b c; do case $a in Uid:|Gid:|CapEff:|Groups:) echo -n "$b $c:";; esac
    done </proc/self/status; echo $HOME]]

  local ids_it = machine.root and rootfs_it or machine.without("it", "it takes ids")
  ids_it("runs as a user whom the directory knows, who has no capabilities unless he is root", function()
    local user = nsbox.user(false)
    finally(function() user.leave() end)
    local root = rootfs(user)
    local none = ("0"):rep(16)
    local function who(...)
      local words = { "run", ... }
      for _, word in ipairs { "--rootfs", root, "/bin/sh", "-c", WHO_AM_I } do words[#words + 1] = word end
      local uid, gid, groups, caps, home = user.out((table.unpack or unpack)(words)):gsub("%s+", " ") -- luacheck: ignore
        :match "^(%d+)[^:]*:(%d+)[^:]*:([^:]*):(%x+) :(.*)$"
      return { uid, gid, (groups:gsub("^ +", "")):gsub(" +$", ""), home }, caps
    end
    local function is(expected, had, ...)
      local ids, caps = who(...)
      assert.same(expected, ids)
      assert.equal(had, caps)
    end
    local mine = select(2, who())
    assert.not_equal(none, mine)
    is({ "33", "34", "", "/srv" }, none, "-u", "web")
    is({ "33", "50", "", "/srv" }, none, "-u", "web:staff")
    is({ "0", "0", "", "/root" }, mine, "-u", "root")
    is({ "7", "0", "", "/" }, none, "-u", "7")
    is({ "0", "0", "50", "/root" }, mine, "--group-add", "staff")
    is({ "33", "34", "", "/srv" }, "0000000000000400", "-u", "web", "--cap-add", "net_bind_service")
    for option, said in pairs { ["-u"] = "there is no user 'nogroup' in it", ["--group-add"] = "no such group" } do
      local r = user.run("run", option, "nogroup", "--rootfs", root, "/bin/sh", "-c", "echo ran")
      assert.same({ 125, "" }, { r.code, r.stdout })
      assert.matches(said, r.stderr)
    end
    user.out("run", "-d", "--name", "web", "-u", "web", "--cap-drop", "kill", "--rootfs", root, "/bin/sh", "-c",
      "while :; do read x </dev/ptmx; done")
    local function inside(...)
      local words = { "exec", ... }
      for _, word in ipairs { "web", "/bin/sh", "-c", WHO_AM_I } do words[#words + 1] = word end
      return (user.out((table.unpack or unpack)(words)):gsub("%s+", " ")) -- luacheck: ignore
    end
    assert.matches("^33 .*:34 .*:" .. none .. " :/srv$", inside())
    assert.matches("^33 .*:50 .*:" .. none .. " :/srv$", inside("-u", "web:staff"))
    local without_kill = ("%s%x%s"):format(mine:sub(1, -3), tonumber(mine:sub(-2, -2), 16) - 2, mine:sub(-1))
    assert.matches("^0 .*:0 .*:" .. without_kill .. " :/root$", inside("-u", "root"))
    assert.matches("no such user", user.run("exec", "-u", "nobody", "web", "/bin/sh").stderr)
  end)

  local layer_it = machine.can.overlay and rootfs_it or machine.without("it", machine.why.overlay)
  layer_it("throws away what is written with :O", function()
    local user = nsbox.user(false)
    finally(function() user.leave() end)
    local root = rootfs(user)
    local code = "echo new >/etc/new; read x </etc/new; echo $x"
    assert.equal("new", user.out("run", "--rootfs", root .. ":O", "/bin/sh", "-c", code))
    assert.is_nil(machine.read(root .. "/etc/new"))
  end)
end)
