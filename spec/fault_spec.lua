--- System calls that fail where nobody expects it: each is told, with the step and the errno, or made up for. strace answers
-- one call with an error; a filter refuses it for good. The fault matrix (proof/faults.lua) does this to every call.
local machine = require "support.machine"
local ns = require "ns"

-- so long does what is to be ended in time sleep, and no other process
local LONG = ("4711.%d"):format(require("ns.core").ids().pid)

--- What a host says in which one call fails.
local function with_fault(injection, code)
  local call = injection:match("^[%w_]+")
  local strace = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=" .. call, "-e", "inject=" .. injection }
  local r = machine.host("local ns = require 'ns' " .. code, { under = strace })
  return r.stdout .. r.stderr
end

describe("a call that fails in a start #system", function()
  machine.root_it("is named: the init's descriptor for signals", function()
    local said = with_fault("signalfd4:error=EMFILE", [[
      print(ns.run { "true", flags = { "pid" }, init = true })]])
    assert.matches("^nil\tmake the init's descriptor for signals: Too many open files %(EMFILE%)", said)
  end)

  it("is named: the launcher that nothing can be executed from, where an init may be no copy of the host", function()
    local all = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=execve,execveat", "-e",
      "inject=execve,execveat:error=EACCES:when=1" }
    local r = machine.host([[
      print(require("ns").run { "true", flags = "user,pid", init = true })]], { under = all })
    assert.matches("^nil\texecute the launcher: Permission denied %(EACCES%)", r.stdout .. r.stderr)
  end)

  machine.root_it("is named: the plan that cannot be sent", function()
    local said = with_fault("sendto:error=ENOBUFS:when=1", [[
      print(ns.run { "true", flags = { "user" } })]])
    assert.matches("^nil\tlaunch: No buffer space available %(ENOBUFS%)", said)
  end)

  it("is named with its own errno: setsid", function()
    assert.matches("^nil\tsetsid: Permission denied %(EACCES%)", with_fault("setsid:error=EACCES", [[
      print(ns.run { "true", session = true })]]))
  end)

  for title, injection in pairs {
    ["a directory that cannot be read to its end"] = "getdents64:error=EIO:when=2",
    ["a link that cannot be read"] = "readlinkat:error=EIO",
  } do
    machine.it("user", "mount")("is named, and not taken for less than there is: " .. title, function()
      local root, remove = machine.directory()
      finally(remove)
      assert(os.execute(("mkdir %s/usr && ln -s usr %s/link"):format(root, root)))
      local said = with_fault(injection, ('print(ns.run { "true", flags = { "user", "mount" }, root = %q })'):format(root))
      assert.equal(("nil\topen %s: Input/output error (EIO)"):format(root), said:match("^[^\t]*\t[^\t\n]*"))
    end)
  end

  machine.root_it("is named: the owner of a tree whose ids are mapped", function()
    local r = machine.host([[
      require("ns.core").owner = function() return nil, "Cannot allocate memory", 12 end
      print(require("ns").sandbox():overlay("/etc", "/work", { idmap = "owner" }):run("true"))]])
    assert.matches("^nil\tidmap /etc: Cannot allocate memory %(ENOMEM%)", r.stdout .. r.stderr)
  end)

  machine.it("user", "pid")("and has led to copies of the host is tried again for what must be no copy", function()
    local said = with_fault("fchmod:error=EPERM:when=1..5", [[
      print(ns.run({ "true" }).ok)
      local r
      for _ = 1, 6 do r = ns.run { "true", flags = "user,pid", init = true } or r end
      print(r and r.ok)]])
    assert.equal("true\ntrue\n", said)
  end)

  it("for the lack of a descriptor has the launcher copied that one time", function()
    local said = with_fault("memfd_create:error=EMFILE:when=1", [[
      io.stdout:setvbuf("no")
      for _ = 1, 2 do print(ns.run({ "true" }).ok) end
      os.execute("ls -l /proc/$PPID/fd | grep -c memfd:ns")]])
    assert.equal("true\ntrue\n1\n", said)
  end)
end)

describe("an init #system", function()
  machine.root_it("that cannot tell how the program has ended says it by its own end", function()
    assert.equal("3\n", with_fault("sendto:error=ENOMEM:when=2", [[
      print(ns.run({ "sh", "-c", "exit 3", flags = { "pid" }, init = true }).code)]]))
  end)
end)

describe("where pidfds are forbidden #system", function()
  for _, call in ipairs { "pidfd_open", "pidfd_send_signal" } do
    it("a timeout ends the program and what it has started: " .. call, function()
      local r = machine.host(([[
        local r = require("ns").run { "sh", "-c", "sleep %s & sleep %s", timeout = 1, grace = 0.1 }
        print(r.timed_out)]]):format(LONG, LONG), { under = machine.refuse("EPERM", call) })
      assert.equal("true\n", r.stdout .. r.stderr)
      machine.eventually(function() return machine.processes(LONG) == 0 end)
    end)
  end
end)

describe("check #system", function()
  machine.root_it("leaves nothing to a host that is the first process of its container", function()
    local r = machine.host([[
      print(require("ns").check { "true" })
      print(io.open("/proc/1/task/1/children"):read("*a") == "")]],
      { spec = { flags = { "pid", "mount" }, mount_proc = true } })
    assert.equal("true\ntrue\n", r.stdout .. r.stderr)
  end)
end)

describe("the ids of /etc/subuid #system", function()
  machine.root_it("that cannot be read are a refusal, not an error", function()
    local r = machine.host([[print(require("ns").run { "true", flags = { "user" }, map = "range" })]],
      { under = { "unshare", "-m", "sh", "-c", 'mount --bind /etc /etc/subuid 2>/dev/null || mount -t tmpfs none /etc && '
        .. 'mkdir /etc/subuid; exec "$@"', "sh" } })
    assert.matches("^nil\topen /etc/subuid: Is a directory %(EISDIR%)", r.stdout .. r.stderr)
  end)

  machine.root_it("are asked for no longer than the timeout allows, by newuidmap as well", function()
    local directory, remove = machine.directory()
    finally(remove)
    machine.file(directory .. "/sub", "65534:200000:1000\n", "644")
    machine.file(directory .. "/slow", ("#!/bin/sh\nexec sleep %s\n"):format(LONG), "755")
    local mount = "cd %s && mount --bind sub /etc/subuid && mount --bind sub /etc/subgid && "
      .. "mount --bind slow /usr/bin/newuidmap"
      .. ' && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"'
    local r = machine.host([[
      print((select(2, require("ns").run { "true", flags = { "user" }, map = "auto", timeout = 2 })))]],
      { under = { "unshare", "-m", "sh", "-c", mount:format(directory), "sh" } })
    assert.equal("timeout in: newuidmap (ETIMEDOUT)\n", r.stdout .. r.stderr)
    assert.equal(0, machine.processes(LONG))
  end)
end)

describe("the release build", function()
  it("has nothing of the build whose calls can be made to fail", function()
    local version = _VERSION:match("%d%.%d")
    local r = ns.run { "sh", "-c", ("nm build/%s/ns/core.so; strings -a build/%s/ns/core.so build/launcher"):format(version,
      version) }
    assert.matches("ns_spawn", r.stdout)
    for _, trace in ipairs { "fault_", "FAULT_", "src/launcher/", "src/core/" } do
      assert.is_nil(r.stdout:find(trace, 1, true), trace)
    end
  end)
end)
