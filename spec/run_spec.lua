--- ns.run and communicate: feed, collect, end in time.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local leftovers_it = machine.it("leftovers")
local MIB = 1024 * 1024

describe("run", function()
  it("collects both outputs and the verdict in the words of os.execute", function()
    local r = assert(ns.run { "sh", "-c", "echo out; echo err >&2; exit 3" })
    assert.same({ nil, "exit", 3, "out\n", "err\n", false }, { r.ok, r.how, r.code, r.stdout, r.stderr, r.timed_out })
    assert.equal("ns.Result (exit 3)\nerr", tostring(r))
    assert.is_true(ns.run({ "true" }).ok)
  end)

  it("tells a signal from an exit", function()
    local r = ns.run { "sh", "-c", "kill -SEGV $$" }
    assert.same({ nil, "signal", nil, 11, "SEGV" }, { r.ok, r.how, r.code, r.signal, r.signame })
    assert.equal("ns.Result (killed by signal 11 (SEGV))", tostring(r))
  end)

  it("measures time and usage", function()
    local start = core.clock()
    local r = ns.run { "sh", "-c", "sleep 0.1" }
    assert.truthy(r.wall >= 0.1 and r.wall <= core.clock() - start)
    assert.truthy(r.usage.maxrss > 100 and r.usage.utime >= 0 and r.usage.stime >= 0)
  end)

  it("has nothing on stdin where nothing is said", function()
    assert.equal("", ns.run({ "cat" }).stdout)
  end)

  it("feeds 16 MiB and collects 16 MiB of each output at once", function()
    local input = ("0123456789abcdef"):rep(MIB)
    local r = assert(ns.run { "sh", "-c", "tee /dev/stderr", stdin = input, timeout = 120 })
    assert.truthy(r.stdout == input and r.stderr == input)
  end)

  it("survives a program that does not read what it is fed", function()
    local r = ns.run { "sh", "-c", "echo done", stdin = ("x"):rep(MIB) }
    assert.equal("done\n", r.stdout)
    assert.is_true(r.ok)
  end)

  it("feeds a program that closes its input early and goes on", function()
    local r = ns.run { "sh", "-c", "exec 0<&-; sleep 0.1; echo done", stdin = ("x"):rep(MIB) }
    assert.equal("done\n", r.stdout)
  end)

  it("keeps max_output bytes of each output, and lets the program go on", function()
    local r = ns.run { "sh", "-c", "head -c 300000 /dev/zero; printf abcdef >&2; exit 4", max_output = 5 }
    assert.same({ 5, "abcde", true, 4 }, { #r.stdout, r.stderr, r.truncated, r.code })
    assert.is_nil(ns.run({ "echo", max_output = 1 }).truncated)
  end)

  it("says that an output has not ended, where a child of the program keeps its pipe", function()
    local r = assert(ns.run { "sh", "-c", "sleep 20 & echo $!" })
    ns.run { "kill", (r.stdout:match("%d+")) }
    assert.same({ true, true }, { r.ok, r.truncated })
    local keeps_stdin = "exec 3<&0; sleep 20 <&3 >/dev/null 2>&1 & echo $!"
    r = assert(ns.run { "sh", "-c", keeps_stdin, input = ("x"):rep(3e6) })
    ns.run { "kill", (r.stdout:match("%d+")) }
    assert.same({ true }, { r.ok, r.truncated })
    assert.equal("", ns.run({ "echo", max_output = 0 }).stdout)
  end)

  it("ends soon after the program, though a grandchild keeps the pipe", function()
    local r = ns.run { "sh", "-c", "sleep 60 & echo $!" }
    assert.is_true(r.ok)
    assert.is_true(ns.run({ "kill", (r.stdout:match("%d+")) }).ok) -- it was still there
  end)

  it("gives all that the program itself has written, though a grandchild keeps the pipe", function()
    local r = ns.run { "sh", "-c", "sleep 5 & echo $! >&2; head -c 1000000 /dev/zero" }
    assert.equal(1000000, #r.stdout)
    os.execute("kill " .. r.stderr)
  end)

  it("stops a program that takes longer than its timeout", function()
    local r = ns.run { "sh", "-c", "echo first; sleep 600", timeout = 1 }
    assert.is_true(r.timed_out)
    assert.equal("first\n", r.stdout)
    assert.equal("signal", r.how)
    assert.matches("^ns.Result %(timeout, killed by signal", tostring(r))
  end)

  it("was not well done by a program that was too slow, and then ended well", function()
    local r = ns.run { "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.02; done", timeout = 1, grace = 20 }
    assert.same({ n = 4, nil, true, 0, "timeout" }, { n = 4, r.ok, r.timed_out, r.code, r.ended_by })
  end)

  it("goes on reading what a program says that was told to end", function()
    local line = "trap 'head -c 3000000 /dev/zero; exit 7' TERM; while :; do :; done"
    local r = ns.run { "sh", "-c", line, timeout = 1.5, grace = 20 }
    assert.same({ true, 7, 3000000 }, { r.timed_out, r.code, #r.stdout })
  end)

  it("frees the output that the host had no memory for", function()
    local r = machine.host([[
      local ns, failed = require "ns", 0
      print(pcall(ns.run, { "sh", "-c", "head -c 60000000 /dev/zero" }))
      for _ = 1, 20 do
        if not pcall(ns.run, { "head", "-c", "5000000", "/dev/zero" }) then failed = failed + 1 end
      end
      print(failed)]], { under = { "prlimit", "--as=90000000" } })
    assert.equal("false\tnot enough memory\n0\n", r.stdout .. r.stderr)
  end)

  it("stops a program that never stops writing, at its timeout", function()
    for _, stream in ipairs { "stdout", "stderr" } do
      local r = ns.run { "sh", "-c", stream == "stdout" and "exec yes" or "exec yes >&2", timeout = 0.5, max_output = 4 }
      assert.same({ true, "y\ny\n", true }, { r.timed_out, r[stream], r.truncated })
    end
  end)

  leftovers_it("ends what is left of the tree at the timeout, where the program itself listens to SIGTERM", function()
    local mark = "8" .. tostring(os.time() % 100000) .. ".125"
    local r = ns.run { "sh", "-c", ("sleep %s & sleep %s"):format(mark, mark), timeout = 0.2 }
    assert.same({ true, "TERM" }, { r.timed_out, r.signame })
    machine.eventually(function() return machine.processes(mark) == 0 end)
  end)

  leftovers_it("ends the whole tree at the timeout, where nobody listens to SIGTERM", function()
    local mark = "7" .. tostring(os.time() % 100000) .. ".125"
    local line = ("trap '' TERM; sleep %s & (trap '' TERM; sleep %s & wait) & wait; sleep 9"):format(mark, mark)
    for _, flags in ipairs { {}, machine.can.pid and machine.flags("pid") or {} } do
      local r = ns.run { "sh", "-c", line, flags = flags, timeout = 1, grace = 0.1 }
      assert.same({ true, "KILL" }, { r.timed_out, r.signame })
      machine.eventually(function() return machine.processes(mark) == 0 end)
    end
  end)

  it("is not misled by a string that names a kind", function()
    assert.equal("", ns.run({ "cat", stdin = "null" }).stdout)
    assert.equal("nullx", ns.run({ "cat", stdin = "nullx" }).stdout)
  end)
end)

describe("communicate", function()
  it("gives what lines() has read ahead, too", function()
    local p = assert(ns.spawn { "seq", "3", stdout = "pipe" })
    assert.equal("1", p.stdout:read())
    assert.equal("2\n3\n", p:communicate().stdout)
  end)

  it("does not wait for a grandchild that keeps the pipe, though the program has been waited for before", function()
    local p = assert(ns.spawn { "sh", "-c", "sleep 60 & echo $!", stdout = "pipe" })
    p:wait()
    local r = p:communicate()
    assert.is_true(ns.run({ "kill", (r.stdout:match("%d+")) }).ok) -- it was still there
  end)

  it("keeps to the timeout and to max_output with what was written and read by hand, too", function()
    local p = assert(ns.spawn { "sleep", "600", stdin = "pipe", stdout = "pipe", timeout = 0.3, grace = 0 })
    p.stdin:write(("x"):rep(65536 + 100))
    local r = p:communicate()
    assert.is_true(r.timed_out)
    p = assert(ns.spawn { "sh", "-c", "echo 123456; echo 7890", stdout = "pipe", max_output = 5 })
    p.stdout:read(2)
    r = p:communicate()
    assert.same({ "3456\n", true }, { r.stdout, r.truncated })
  end)

  it("has nothing to feed where there is no pipe", function()
    local p = assert(ns.spawn { "cat", stdin = "null", stdout = "pipe" })
    local ok, message = pcall(p.communicate, p, "abc")
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'communicate' %(the program has no open pipe as stdin%)", message)
    assert.equal("", p:communicate().stdout)
  end)

  it("comes after what was written by hand", function()
    local p = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    p.stdin:write("by hand, ")
    assert.equal("by hand, by input", p:communicate("by input").stdout)
  end)

  it("waits where there are no pipes at all", function()
    local r = assert(ns.spawn { "sh", "-c", "exit 5" }):communicate()
    assert.same({ 5, nil, nil }, { r.code, r.stdout, r.stderr })
  end)
end)

describe("a signal to the host", function()
  local STORM = [[
    local ns = require "ns"
    io.stdout:setvbuf("no")
    print("ready")
    %s
  ]]

  --- Runs a host, interrupts it after a moment as Ctrl-C does, and says how long it took to end, and what it printed.
  local function interrupted(code)
    local p = assert(ns.spawn { machine.lua, "-e", STORM:format(code), env = machine.paths(machine.public()), cwd = "/",
      stdout = "pipe", stderr = "pipe" })
    p.stdout:read()
    ns.run { "sleep", "0.2" }
    p:kill("INT")
    local r = p:communicate()
    return r
  end

  for name, code in pairs {
    wait = [[ns.spawn({ "sleep", "100" }):wait()]],
    ["wait with a time"] = [[ns.spawn({ "sleep", "100" }):wait(100)]],
    run = [[ns.run { "sleep", "100" }]],
    ["run of a program that never stops writing"] = [[ns.run { "yes", max_output = 10 }]],
    communicate = [[ns.spawn({ "sleep", "100", stdout = "pipe" }):communicate()]],
    stop = [[
      local p = ns.spawn { "sh", "-c", "trap '' TERM; echo; sleep 100", stdout = "pipe" }
      p.stdout:read()
      p:stop(100)
    ]],
  } do
    it("ends " .. name .. " as an error, and the program with it", function()
      local r = interrupted(code)
      assert.matches("interrupted!", r.stderr)
      assert.truthy(r.wall < 60) -- of a hundred
    end)
  end

  it("does not disturb anything when its handler returns", function()
    local storm = machine.public() .. "/storm.so" -- where files may be executed
    assert.truthy(ns.run({ "gcc", "-shared", "-fPIC", "-o", storm, "spec/support/storm.c" }).ok)
    local r = machine.host([[
      local ns = require "ns"
      for i = 1, 60 do
        local r = assert(ns.run { "sh", "-c", "cat; echo " .. i, stdin = "x" })
        assert(r.stdout == "x" .. i .. "\n")
        assert(ns.spawn({ "sleep", "0.003" }):wait())
      end
      local p = assert(ns.spawn { "sh", "-c", "sleep 0.02; test $(wc -c) = 1000000", stdin = "pipe" })
      assert(p.stdin:write(("x"):rep(1000000)))
      assert(p.stdin:close())
      assert(p:wait())
      print "fine"
    ]], { under = { "env", "LD_PRELOAD=" .. storm } })
    assert.equal("fine\nstorm: many, 0 elsewhere\n", r.stdout .. r.stderr)
  end)
end)
