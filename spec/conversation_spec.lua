--- The conversation of a host with the init of a living box, where it is cut off, goes wrong, or is one of very many.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local needs = machine.it "sandbox"

local function living(box)
  local c = assert((box or ns.sandbox()):start())
  finally(function() c:close() end)
  return c
end

local function is_well(c)
  local r, message = c:run { "echo", "well", timeout = 60 }
  return r and r.stdout == "well\n", message
end

--- How many descriptors the init has.
local function count_fds(c)
  local n = 0
  for _ in pairs(core.entries(("/proc/%d/fd"):format(c.pid))) do n = n + 1 end
  return n
end

describe("the init of a living box #system", function()
  needs("forgets a program whose plan comes in part, or ends in nothing", function()
    local c = living()
    local before, huge = machine.root and count_fds(c), ("x"):rep(4e6)
    for _, steps in ipairs { {}, { { op = "setsid" } }, { { op = "setsid", data = huge } } } do
      assert(c.box.handle:start_job({ 0, 1, 2 }, core.encode(steps), 0)):close()
    end
    machine.eventually(function() return #c:processes() == 0 end)
    assert.is_true(is_well(c))
    machine.eventually(function() return not before or count_fds(c) == before end) -- it closes when it has told
  end)

  needs("passes over what is no request, and ends with its host in the middle of one", function()
    local c = living()
    for _, bytes in ipairs { "\0\0\0\0\0\0\0\0", ("\255"):rep(8), "\1\0\0\0\0\0\0\0" } do
      assert.equal(#bytes, core.write_now(c.box.handle:socket(), bytes))
      assert.is_true(is_well(c))
    end
    local r = machine.host([[
      local c = assert(require("ns").sandbox():start())
      c:spawn("sleep", "71241")
      local plan = require("ns.core").encode { { op = "setsid", data = ("x"):rep(4000000) } }
      assert(c.box.handle:start_job({ 0, 1, 2 }, plan, 0))
      io.write(c.pid)
      io.stdout:flush()
      os.execute("kill -9 " .. (io.open("/proc/self/stat"):read("*n"))) ]])
    assert.equal(9, r.signal)
    machine.eventually(function() return machine.processes("71241") == 0 and not core.entries("/proc/" .. r.stdout) end)
  end)

  machine.root_it("that has no descriptor left says so, and serves again when there is one", function()
    local c, list = living(), {}
    assert(ns.run({ "prlimit", "--pid", tostring(c.pid), "--nofile=12:12" }).ok)
    local p, message, errno
    repeat
      p, message, errno = c:spawn("sleep", "100")
      list[#list + 1] = p
    until not p or #list > 20
    assert.equal(24, errno)
    assert.matches("^ask the init for a program: Too many open files %(EMFILE%); each program that runs takes", message)
    assert.truthy(#list > 5)
    for _, one in ipairs(list) do one:close() end
    assert.is_true(is_well(c))
  end)

  machine.root_it("that may have no more processes says so, and serves again when it may", function()
    local r = machine.host([[
      local ns = require "ns"
      local c = assert(ns.box():unshare("user", "mount", "pid"):map "self":root "/":proc():start())
      local list = {}
      local p, message, errno
      repeat
        p, message, errno = c:spawn("sleep", "100")
        list[#list + 1] = p
      until not p or #list > 100
      print(#list > 5 and #list < 60, errno, message)
      for _, one in ipairs(list) do one:close() end
      print(c:run("echo", "well").stdout)
      c:close()]], { under = { "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--nproc=40" } })
    assert.matches("^true\t11\task the init for a program: [^\n]*%(EAGAIN%); RLIMIT_NPROC is reached[^\n]*\nwell\n\n$",
      r.stdout .. r.stderr)
  end)

  needs("ends all, whatever multiplies in it", function()
    local c = living(ns.sandbox():rlimits { nproc = 300 })
    local bomb = assert(c:spawn("sh", "-c", "f() { f 71242 | f 71242 & }; f 2>/dev/null; exec sleep 71242"))
    ns.run { "sleep", "0.3" }
    assert.is_true(c:stop(0.2))
    bomb:close()
    machine.eventually(function() return machine.processes("71242") == 0 end)
    assert.equal(0, machine.processes("71242"))
  end)

  needs("has 1,000 conversations at once, and tells in each of them how that program has ended", function()
    local hard = select(2, core.nofile())
    if hard < 4096 then return pending(("RLIMIT_NOFILE is %d"):format(hard)) end
    local r = machine.host([[
      local ns = require "ns"
      local path = os.tmpname()
      os.execute("rm " .. path .. " && mkfifo " .. path)
      local all = assert(io.open(path, "r+"))
      os.remove(path)
      local c, list = assert(ns.sandbox():start()), {}
      for i = 1, 1000 do list[i] = assert(c:spawn { "sh", "-c", "read x; exit " .. i % 200, stdin = all }) end
      assert(#c:processes() >= 1000)
      all:write(("\n"):rep(1000))
      all:close()
      for i = 1, 1000 do
        local _, how, code = list[i]:wait(100)
        assert(how == "exit" and code == i % 200, i .. " " .. tostring(how) .. " " .. tostring(code))
        list[i]:close()
      end
      io.write(c:run("echo", "well").stdout)
      c:close()]], { timeout = 300, under = { "prlimit", ("--nofile=4096:%.0f"):format(hard) } })
    assert.equal("well\n", r.stdout .. r.stderr)
  end)
end)
