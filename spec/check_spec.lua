--- ns.check tells what spawn would do, ns.explain what would be played; none of them runs anything of the caller's.
local machine = require "support.machine"
local ns = require "ns"

local needs_user = machine.it("user")
local directory, remove

--- A spec of a fresh table each time, as functions of a directory; the refused ones with the step that is refused.
local GOOD = {
  ["a program of the path"] = function() return { "true" } end,
  ["a program that will fail"] = function() return { "false" } end,
  ["a script"] = function(d) return { d .. "/script" } end,
  ["all namespaces and an init"] = function()
    return { "true", flags = "user,mount,pid,net,ipc,uts,cgroup,time", init = true, mount_proc = true }
  end,
  ["the sandbox"] = function() return ns.sandbox():argv("true"):spec() end,
  ["a sandbox with a tree"] = function(d) return ns.sandbox():bind(d):argv("true"):spec() end,
  ["a terminal of its own"] = function() return { "true", pty = true } end,
  ["a program that is detached"] = function() return { "true", detach = true } end,
  ["a deadline"] = function() return { "sleep", "100", timeout = 100 } end,
  ["pipes"] = function() return { "cat", stdin = "pipe", stdout = "pipe", stderr = "stdout" } end,
  ["limits"] = function() return { "true", rlimits = { nofile = 64, core = 0 }, nice = 5, umask = 0 } end,
}

local REFUSED = {
  ["a program that is not there"] = { "exec", function() return { "no-such-program" } end },
  ["a directory as program"] = { "exec", function() return { "/etc" } end },
  ["a file that is not executable"] = { "exec", function() return { "/etc/passwd" } end },
  ["a file that is no program"] = { "exec", function(d) return { d .. "/text" } end },
  ["a script without its interpreter"] = { "exec", function(d) return { d .. "/lost" } end },
  ["a program that is not in the box"] = { "exec", function(d) return ns.sandbox():argv(d .. "/script"):spec() end },
  ["a missing directory"] = { "chdir", function(d) return { "true", cwd = d .. "/none" } end },
  ["a missing file for stdin"] = { "open", function(d) return { "true", stdin = { path = d .. "/none" } } end },
  ["a file for stdout in no directory"] = { "open", function(d) return { "true", stdout = { path = d .. "/no/file" } } end },
  ["a directory as stdout"] = { "open", function(d) return { "true", stdout = { path = d } } end },
  ["a missing root"] = { "open", function(d) return { "true", flags = "user,mount", root = d .. "/none" } end },
  ["a descriptor that is no terminal"] = { "foreground", function(d)
    return { "true", tty = true, stdin = { path = d .. "/text" } }
  end },
}

local NEEDS = { ["all namespaces and an init"] = "proc", ["the sandbox"] = "sandbox", ["a sandbox with a tree"] = "tree",
  ["a program that is not in the box"] = "sandbox" }

local function starts(spec)
  local p, message, errno, detail = ns.spawn(spec)
  if not p then return nil, message, errno, detail end
  p:kill("KILL")
  p:wait()
  p:close()
  return true
end

describe("ns.check", function()
  setup(function()
    directory = machine.public() .. "/check" -- where a script may be executed
    remove = function() os.execute("rm -r " .. directory) end
    assert(os.execute("mkdir " .. directory))
    machine.file(directory .. "/script", "#!/bin/sh\ntouch " .. directory .. "/ran\n", "755")
    machine.file(directory .. "/lost", "#!/no/interpreter\n", "755")
    machine.file(directory .. "/text", "text\n", "755")
  end)

  teardown(function() remove() end)

  for title, spec in pairs(GOOD) do
    local needs_all = machine.it(NEEDS[title] or "user")
    needs_all("says true of " .. title .. ", as it starts", function()
      assert.same({ true }, { ns.check(spec(directory)) })
      assert.same({ true }, { starts(spec(directory)) })
    end)
  end

  for title, row in pairs(REFUSED) do
    machine.it(NEEDS[title] or "user")("says of " .. title .. " just what spawn says", function()
      local said = { ns.check(row[2](directory)) }
      assert.equal(row[1], said[4].step)
      assert.same({ starts(row[2](directory)) }, said)
    end)
  end

  needs_user("says of a tree whose ids cannot be mapped just what spawn says", function()
    local box = ns.sandbox():bind("/proc", "/host"):argv("true")
    assert.same({ starts(box) }, { box:check() })
  end)

  machine.root_it("says to an ordinary user just what spawn says", function()
    local r = machine.host([[
      local ns = require "ns"
      for _, spec in ipairs { { "true", flags = "mount" }, { "true", nice = -20 }, { "true", flags = "user" } } do
        local p, message = ns.spawn(spec)
        if p then p:close() end
        local ok, same = ns.check(spec)
        print(ok, same == message, message)
      end
    ]], { nobody = true })
    assert.matches("^nil\ttrue\tclone %(mount%)[^\n]+\nnil\ttrue\tnice %-20[^\n]+\ntrue\ttrue\tnil\n$", r.stdout .. r.stderr)
  end)

  it("raises the caller's mistakes", function()
    local ok, message = pcall(function() ns.check { "true", hostnam = "x" } end)
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'check' %(hostnam: unknown word %(did you mean 'hostname'%?%)%)$", message)
  end)

  needs_user("runs nothing, with an init or without", function()
    local pid, init = { flags = "user,pid" }, { flags = "user,pid", init = true }
    for _, spec in ipairs { {}, pid, init, { pty = true }, { detach = true } } do
      spec.argv = { "touch", directory .. "/touched" }
      assert.is_true(ns.check(spec))
    end
    ns.run { "sleep", "0.1" }
    assert.is_nil(machine.read(directory .. "/touched"))
  end)

  it("makes no file, and empties none", function()
    assert.is_true(ns.check { "true", stdout = { path = directory .. "/new" } })
    assert.is_true(ns.check { "true", stdout = { path = directory .. "/text" } })
    assert.is_nil(machine.read(directory .. "/new"))
    assert.equal("text\n", machine.read(directory .. "/text"))
  end)

  machine.root_it("says of a file that may not be made just what spawn says", function()
    local r = machine.host(([[
      local ns = require "ns"
      local spec = { "true", stdout = { path = %q } }
      local _, message = ns.spawn(spec)
      print(message, select(2, ns.check(spec)) == message)
    ]]):format(directory .. "/new"), { nobody = true })
    assert.equal(("open %s/new: Permission denied (EACCES)\ttrue\n"):format(directory), r.stdout .. r.stderr)
  end)

  machine.it("sandbox")("looks for the program where nothing can be traced", function()
    local ptrace = machine.sh({}, "uname -m") == "x86_64" and "101" or "117"
    local r = machine.host([[
      local ns = require "ns"
      print(ns.check { "true" })
      print((select(2, ns.check { "no-such-program" })))
      print(ns.sandbox():check("true"))
    ]], { under = machine.refuse("EPERM", ptrace) })
    assert.equal("true\nexec 'no-such-program': No such file or directory (ENOENT)\ntrue\n", r.stdout .. r.stderr)
  end)

  it("leaves no process behind, be it detached", function()
    local before = machine.read("/proc/self/task/" .. require("ns.core").ids().pid .. "/children")
    assert.is_true(ns.check { "sleep", "100", detach = true })
    assert.equal(before, machine.read("/proc/self/task/" .. require("ns.core").ids().pid .. "/children"))
  end)
end)

describe("ns.explain", function()
  it("tells the steps in words, one a line, in the order in which they are played", function()
    local text = ns.explain { "sh", "-c", "exit 3", flags = "pid,mount,uts", hostname = "box", mount_proc = true,
      stdin = "null" }
    assert.equal([[
clone (mount, pid, uts)
ask for a signal at the host's end
join a new session keyring
make all mounts private
mount proc on /proc
sethostname 'box'
connect stdin to /dev/null
connect stdout to descriptor 1
connect stderr to descriptor 2
close all other descriptors
umask of the host
drop inheritable capabilities
exec 'sh' ("-c", "exit 3")
]], text)
  end)

  it("tells the attributes of mounts, and what the host does first", function()
    local text = ns.sandbox():bind("/srv"):tmpfs("/var", { size = "1m" }):rlimits { nofile = 9 }:explain("true")
    for _, line in ipairs { "bind /usr on /usr (read-only, nosuid, nodev)", "mount proc on /proc (nosuid, nodev, noexec)",
      "mount tmpfs on /var (nosuid, nodev, mode=0755, size=1m, nr_inodes=1024)", "pivot_root (read-only, nosuid, nodev)",
      "rlimit nofile 9:9", "leave an init behind", "exec 'true'" } do
      assert.truthy(text:find("\n" .. line .. "\n", 1, true), line .. "\n" .. text)
    end
    local map = machine.root and "PID/uid_map %(0 %d+ %d+%)" or "self/uid_map %(0 %d+ 1%)"
    assert.matches("\nwrite /proc/" .. map .. "\n", text)
  end)

  it("is a method of the box, too, and raises mistakes", function()
    local box = ns.box { flags = "uts", hostname = "x" }
    assert.equal(ns.explain { "true", flags = "uts", hostname = "x" }, box:explain("true"))
    assert.has_error(function() box:explain() end)
  end)

  it("gives the error of a root that cannot be read", function()
    local text, message, errno, detail = ns.explain { "true", flags = "user,mount", root = "/no/root" }
    assert.same({ nil, "open /no/root: No such file or directory (ENOENT)", 2, "root" },
      { text, message, errno, detail.word })
  end)

  it("starts nothing and opens nothing but the root", function()
    local trace = os.tmpname()
    finally(function() os.remove(trace) end)
    local code = [[
      local ns = require "ns"
      io.open("/tmp/begin")
      assert(ns.sandbox():bind("/srv"):overlay("/etc"):stdout { path = "/tmp/made" }:pty(true):explain("true"))
      io.open("/tmp/end")
    ]]
    machine.host(code, { under = { "strace", "-f", "-o", trace } })
    local played = machine.read(trace):match('"/tmp/begin".-\n(.-)[^\n]*"/tmp/end"')
    for call in ("clone fork execve socket mount open_tree pipe ioctl /tmp/made O_CREAT"):gmatch("%S+") do
      assert.is_nil(played:find(call, 1, true), call)
    end
    assert.truthy(played:find("openat", 1, true))
  end)
end)
