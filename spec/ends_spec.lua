--- What an end may cost: time that was given, and nobody else. What cannot be ended is named.
local machine = require "support.machine"
local ns = require "ns"
local core = require "ns.core"

local function state(pid)
  return (machine.read(("/proc/%d/stat"):format(pid)) or ") gone"):match("%) (%a+)")
end

--- Waits for a process that does not end as others do, and says how long that took.
local function timed(f, ...)
  local start = core.clock()
  local results = { f(...) }
  results.seconds = core.clock() - start
  return results
end

describe("where /proc is that of another pid namespace #system", function()
  -- outside, 2 has the child 3; inside, 2 and 3 are both programs of the host
  local OUTSIDE = [[
    pipe R, W;
    if (fork == 0) { if (fork == 0) { syswrite W, "\n"; sleep 30 } wait; exit }
    sysread R, $_, 1;
    exec "unshare", "-p", "-f", @ARGV]]

  local function host(code)
    local under = { "unshare", "-m", "-p", "-f", "--propagation", "private", "--mount-proc", "perl", "-e", OUTSIDE,
      machine.lua, "-e", code }
    if not machine.root then table.insert(under, 2, "-Ur") end
    local r = assert(ns.run { argv = under, env = machine.paths(machine.public()), cwd = "/", timeout = 20 })
    return r.stdout .. r.stderr
  end

  for _, ending in ipairs { "close()", "stop(0)", "stop(0.1)" } do
    machine.it("user", "pid", "mount")("a program's end is nobody else's, by " .. ending, function()
      local seen = host(([[
        local ns = require "ns"
        local a, b = ns.spawn { "sleep", "30" }, ns.spawn { "sleep", "30" }
        print(a.pid, b.pid)
        a:%s
        print(b:wait(0.1))
        b:close()
      ]]):format(ending))
      assert.equal("2\t3\nnil\ttimeout\n", seen)
    end)
  end

  machine.it("user", "pid", "mount")("what the program has in a group of its own is ended all the same", function()
    for _, ending in ipairs { "close()", "stop(0)", "stop(1)" } do
      local seen = host(([[
        local ns = require "ns"
        local line = "trap 'exit' TERM; (sleep 0.5; echo late) & echo up >&2; wait"
        local p = ns.spawn { "sh", "-c", line, session = true, stderr = "pipe" }
        p.stderr:read()
        p:%s
        ns.run { "sleep", "0.7" }
      ]]):format(ending))
      assert.equal("", seen)
    end
  end)

  machine.it("user", "pid", "mount")("the maps of a program are written, and no stranger's", function()
    local seen = host [[
      local r = assert(require("ns").run { "cat", "/proc/self/uid_map", flags = "user", uid_map = { { 5, 0, 1 } } })
      print((r.stdout:gsub("%s+", " ")))
    ]]
    assert.equal(" 5 0 1 \n", seen)
  end)
end)

describe("a program that may not be signalled #system", function()
  local directory, remove

  before_each(function()
    directory, remove = machine.directory()
    os.execute(("cp %s %s/becomes && chmod 4755 %s/becomes"):format(machine.program "becomes", directory, directory))
  end)

  after_each(function() remove() end)

  local function host(code)
    local r = machine.host(([[
      local ns, core = require "ns", require "ns.core"
      local function start(argv)
        argv.stdout = "pipe"
        local p = assert(ns.spawn(argv))
        assert(p.stdout:read() == "changed")
        return p
      end
      local clock = core.clock()
      %s
      print(core.clock() - clock < 2.5)
    ]]):format(code:gsub("PROGRAM", directory .. "/becomes")), { nobody = true })
    return r.stdout .. r.stderr
  end

  --- Ends what the host could not.
  local function end_named(seen)
    local pid = seen:match("process (%d+)[%w, ]* has changed its ids, and may not be killed: Operation not permitted\t1\n")
    assert.truthy(pid, seen)
    assert.equal("becomes", machine.read("/proc/" .. pid .. "/comm"):match("%w+"))
    os.execute("kill -9 " .. pid)
  end

  machine.root_it("is named by close, and by stop, at once", function()
    for _, line in ipairs { "print(p:close())", "print(p:stop(0))", "print(p:stop(0.2))" } do
      local seen = host("local p = start { 'PROGRAM' } " .. line)
      end_named(seen)
      assert.matches("true\n$", seen)
    end
  end)

  machine.root_it("is named where something of ours has started it", function()
    for _, init in ipairs { "", ", init = true" } do
      for _, line in ipairs { "print(p:close())", "print(p:stop(0)) print(p:wait())" } do
        local seen = host(("local p = start { 'sh', '-c', 'PROGRAM & wait'%s } "):format(init) .. line)
        end_named(seen)
        if line:find "wait" then assert.matches("nil\tsignal\t9\n", seen) end
      end
    end
  end)

  machine.root_it("makes a timeout no longer, and the run says so", function()
    local seen = host "print(ns.run { 'PROGRAM', timeout = 1, grace = 0.1 })"
    end_named(seen)
    assert.matches("true\n$", seen)
  end)
end)

describe("a program that does not end, as somebody traces it #system", function()
  --- Traces without a word to the kernel when it ends.
  local TRACE = [[
    my $nr = `uname -m` =~ /x86_64/ ? 101 : 117;
    print syscall($nr, 0x4206, $ARGV[0] + 0, 0, 0) == 0 ? "traced\n" : "refused $!\n"; $| = 1; print ""; sleep 30]]

  local function traced(spec)
    local p = assert(ns.spawn(spec))
    local tracer = assert(ns.spawn { "perl", "-e", "$| = 1;" .. TRACE, ("%d"):format(p.pid), stdout = "pipe" })
    assert.equal("traced", tracer.stdout:read())
    return p, tracer
  end

  machine.root_it("is waited for as long as was given, and a second", function()
    local ENDS = {
      { "stop", 0 }, { "stop", 0.1 }, { "close" }, { "wait" }, { "communicate" },
    }
    for _, row in ipairs(ENDS) do
      local name, argument = row[1], row[2]
      local p, tracer = traced { "sleep", "30", timeout = 1, grace = 0.1, stdout = "pipe" }
      local r = timed(p[name], p, argument)
      local over = (name == "wait" or name == "communicate") and ", whose timeout was over," or ""
      assert.same({ ("process %d%s was killed, and has not ended: Connection timed out"):format(p.pid, over), 110 },
        { r[2], r[3] })
      assert(r.seconds < 2.8, name)
      tracer:close()
      if name == "stop" then assert.same({ nil, "signal", 9 }, { p:wait(5) }) end
      p:close()
      machine.eventually(function()
        ns.run { "true" }
        return state(p.pid) == "gone"
      end)
    end
  end)

  machine.root_it("and was killed by others is waited for as long as was asked", function()
    local p, tracer = traced { "sleep", "30" }
    os.execute(("kill -9 %d"):format(p.pid))
    local r = timed(p.wait, p, 0.3)
    assert.same({ nil, "timeout" }, { r[1], r[2] })
    assert(r.seconds > 0.29 and r.seconds < 1.3)
    tracer:close()
    assert.same({ nil, "signal", 9 }, { p:wait(5) })
    p:close()
  end)
end)

describe("a detached program that was closed", function()
  local function host(code)
    local r = machine.host([[
      local ns = require "ns"
      local function state(pid)
        local f = io.open("/proc/" .. pid .. "/stat")
        local text = f and f:read("*a") or ") gone"
        if f then f:close() end
        return text:match("%) (%a+)")
      end
    ]] .. code)
    return r.stdout .. r.stderr
  end

  it("is reaped after its end by a host that starts nothing more: when the collector comes", function()
    for _, words in ipairs { "", "flags = 'user,pid', init = true" } do
      assert.equal("R\ngone\n", host(([[
        local p = assert(ns.spawn { "cat", detach = true, stdin = "pipe", %s })
        local pid, input = p.pid, p.stdin
        p.stdin = nil
        p:close()
        print((state(pid):gsub("[SD]", "R")))
        input:close()
        for _ = 1, 200 do
          if state(pid) == "Z" then break end
          os.execute "sleep 0.01"
        end
        collectgarbage()
        collectgarbage()
        print(state(pid))
      ]]):format(words)))
    end
  end)

  it("is reaped though the modules were loaded anew meanwhile", function()
    assert.equal("gone\n", host [[
      local p = assert(ns.spawn { "sleep", "0.1", detach = true })
      local pid = p.pid
      p:close()
      p = nil
      for name in pairs(package.loaded) do
        if name:find "^ns" then package.loaded[name] = nil end
      end
      ns = nil
      collectgarbage()
      ns = require "ns"
      ns.run { "sleep", "0.2" }
      for _ = 1, 100 do
        if state(pid) == "gone" then break end
        ns.run { "sleep", "0.01" }
      end
      print(state(pid))
    ]])
  end)

  it("leaves no descriptor behind", function()
    assert.equal("0\n", host [[
      for _ = 1, 20 do ns.spawn({ "true", detach = true }):close() end
      local count
      for _ = 1, 100 do
        os.execute "sleep 0.01"
        collectgarbage()
        count = 0
        for fd in require("lfs").dir "/proc/self/fd" do
          local target = require("lfs").symlinkattributes("/proc/self/fd/" .. fd, "target")
          if target and target:find "pidfd" then count = count + 1 end
        end
        if count == 0 then break end
      end
      print(count)
    ]])
  end)
end)
