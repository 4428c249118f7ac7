--- What the caller gets wrong is an error that names the field, before there is any process.
local machine = require "support.machine"
local ns = require "ns"
local plan = require "ns.start.plan"

local FILES = { "support.mistakes.start", "support.mistakes.rights", "support.mistakes.network" }

local function value_of(row)
  if type(row[2]) == "function" then return row[2]() end
  return row[2]
end

for _, file in ipairs(FILES) do
  for subject, rows in pairs(require(file)) do
    describe(("a mistake in %s:"):format(subject), function()
      for _, row in ipairs(rows) do
        it(row[1], function()
          local ok, message = pcall(ns.spawn, value_of(row))
          assert.is_false(ok)
          assert.matches("^[^\n]*input_spec%.lua:%d+: bad argument #1 to 'spawn' %(", message)
          assert.matches(row[3], message)
        end)
      end
    end)
  end
end

describe("a mistake", function()
  it("is one line, whatever the caller has written", function()
    for _, spec in ipairs { { "true", ["x\ny"] = 1 }, { "true", stdin = "a\27[1mb" } } do
      local _, message = pcall(ns.spawn, spec)
      assert.no.matches("[\n\27]", message)
      assert.matches("\\x", message)
    end
  end)

  it("is short, whatever the caller has written", function()
    for _, spec in ipairs { { "true", map = ("x"):rep(2 ^ 20) }, { "true", [("y"):rep(2 ^ 20)] = 1 } } do
      local _, message = pcall(ns.spawn, spec)
      assert.truthy(#message < 1200, #message)
    end
  end)

  it("of every kind is found before there is any process", function()
    local trace = os.tmpname()
    finally(function() os.remove(trace) end)
    -- the one real start at the end shows that the trace would have seen others
    local r = machine.host(([[
      package.path = "%s/spec/?.lua;" .. package.path
      local ns, count = require "ns", 0
      for _, file in ipairs { "%s" } do
        for _, rows in pairs(require(file)) do
          for _, row in ipairs(rows) do
            local spec = row[2]
            if type(spec) == "function" then spec = spec() end
            assert(not pcall(ns.spawn, spec))
            count = count + 1
          end
        end
      end
      print(count > 200)
      ns.spawn({ "true" }):wait()
    ]]):format(machine.top, table.concat(FILES, '", "')), { under = { "strace", "-f", "-qq", "-o", trace, "-e",
      "trace=clone,clone3,fork,vfork,memfd_create,socketpair,pipe2" } })
    assert.equal("true\n", r.stdout .. r.stderr)
    local calls = {}
    for name, result in machine.read(trace):gmatch("([%a_][%w_]+)(%b()[^\n]*)") do
      -- Linux before 6.3 refuses a flag of memfd_create, which is asked anew without it
      if not result:find("= -1 EINVAL", 1, true) then calls[#calls + 1] = name end
    end
    assert.equal("socketpair memfd_create clone", table.concat(calls, " "))
  end)

  it("of the wrong type is found for every word", function()
    local wrong = coroutine.create(function() end)
    for word in pairs(plan.words) do
      local ok, message = pcall(ns.spawn, { "true", flags = word ~= "flags" and "" or nil, [word] = wrong })
      if word == "argv" then ok, message = pcall(ns.spawn, { argv = wrong }) end
      assert.is_false(ok, word)
      assert.matches(" %(" .. word .. "[%.%[%]%w]*: .- got thread", message)
    end
  end)
end)

describe("what is large, but can be had, works:", function()
  it("an argument of 131,071 bytes", function()
    local r = ns.run { "sh", "-c", "printf %s \"$1\" | wc -c", "sh", ("x"):rep(131071) }
    assert.equal(131071, tonumber(r.stdout))
  end)

  it("a variable of 131,071 bytes, its name and the = among them", function()
    local r = ns.run { "sh", "-c", "printf %s \"$A\" | wc -c", env = { A = ("x"):rep(131069) } }
    assert.equal(131069, tonumber(r.stdout))
  end)

  it("20,000 arguments", function()
    local argv = { "sh", "-c", "echo $#" }
    for i = 4, 20004 do argv[i] = "x" end
    assert.equal("20000\n", ns.run({ argv = argv }).stdout)
  end)

  it("30,000 variables", function()
    local env = {}
    for i = 1, 30000 do env["V" .. i] = "" end
    assert.equal(30000, select(2, ns.run({ "/usr/bin/env", env = env, clear_env = true }).stdout:gsub("V%d+=\n", "")))
  end)
end)

describe("a method without its object is named:", function()
  for what, call in pairs { wait = function(p) p.wait() end, kill = function(p) p.kill("TERM") end,
    run = function() ns.sandbox().run("true") end, hostname = function() ns.box().hostname("x") end } do
    it(what, function()
      local p = assert(ns.spawn { "true" })
      finally(function() p:close() end)
      local ok, message = pcall(call, p)
      assert.is_false(ok)
      assert.matches(("input_spec.lua:%%d+: calling '%s' on bad self %%(ns.%%a+ expected, .-%%): .-colon"):format(what),
        message)
    end)
  end
end)

describe("a method of a process refuses", function()
  local p, handle

  setup(function() handle = assert(ns.spawn { "sleep", "60" }) end)
  before_each(function() p = handle end)
  teardown(function() handle:close() end)

  local NAN = 0 / 0
  local ROWS = {
    { "signal 0", function() p:kill(0) end, "to 'kill' (unknown signal '0')" },
    { "signal 65", function() p:kill(65) end, "to 'kill' (unknown signal '65')" },
    { "a signal with a fraction", function() p:kill(1.5) end, "to 'kill' (unknown signal '1.5')" },
    { "signal NaN", function() p:kill(NAN) end, ("to 'kill' (unknown signal '%s')"):format(tostring(NAN)) },
    { "SIGFOO", function() p:kill("SIGFOO") end, "to 'kill' (unknown signal 'SIGFOO')" },
    { "a signal that is nearly right", function() p:kill("SIGTRM") end,
      "unknown signal 'SIGTRM' (did you mean 'TERM'?)" },
    { "a signal that is a table", function() p:kill({}) end, "to 'kill' (unknown signal 'table')" },
    { "to wait for -1 seconds", function() p:wait(-1) end, "#1 to 'wait' (seconds expected, got -1)" },
    { "to be waited for, -1 seconds", function() ns.wait(p, -1) end, "#2 to 'wait' (seconds expected, got -1)" },
    { "to be waited for, a string", function() ns.wait(p, "1") end, "#2 to 'wait' (seconds expected, got string)" },
    { "to wait for NaN", function() p:wait(NAN) end, "to 'wait' (seconds expected, got " },
    { "to wait for a string", function() p:wait("1") end, "to 'wait' (seconds expected, got string)" },
    { "a grace of -1", function() p:stop(-1) end, "#1 to 'stop' (seconds expected, got -1)" },
    { "input that is a number", function() p:communicate(5) end, "to 'communicate' (string expected, got number)" },
    { "0 rows", function() p:resize(0, 80) end, "#1 to 'resize' (1 to 65535 expected, got 0)" },
    { "65536 columns", function() p:resize(24, 65536) end, "#2 to 'resize' (1 to 65535 expected, got 65536)" },
    { "to be waited for when it is none", function() ns.wait("p") end, "#1 to 'wait' (ns.Process expected, got string)" },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      local ok, message = pcall(row[2])
      assert.is_false(ok)
      assert.truthy(message:find("input_spec.lua:%d+: bad argument "), message)
      assert.truthy(message:find(row[3], 1, true), message)
      assert.equal("timeout", select(2, p:wait(0)))
    end)
  end

  it("no wait for 1e18 seconds, or for ever", function()
    for _, seconds in ipairs { 1e18, math.huge } do
      local q = assert(ns.spawn { "sh", "-c", "sleep 0.05" })
      assert.is_true((q:wait(seconds)))
      q:close()
    end
  end)
end)

describe("a mistake stands at the line of the call", function()
  local p

  setup(function() p = assert(ns.spawn { "true" }) end)
  teardown(function() p:close() end)

  -- one call a line, in this order
  local here = debug.getinfo(1, "l").currentline
  local CALLS = {
    spawn = function() ns.spawn { 1 } end,
    run = function() ns.run { 1 } end,
    check = function() ns.check { 1 } end,
    explain = function() ns.explain { 1 } end,
    box = function() ns.box { 1 } end,
    ["ns.wait"] = function() ns.wait(1) end,
    ["a method of a process"] = function() p:kill(0) end,
    ["a word of a box"] = function() ns.box():umask(-1) end,
    ["a mount of a box"] = function() ns.box():tmpfs("x") end,
    ["a box's start"] = function() ns.box():spawn(1) end,
  }
  local order = { "spawn", "run", "check", "explain", "box", "ns.wait", "a method of a process", "a word of a box",
    "a mount of a box", "a box's start" }

  for i, name in ipairs(order) do
    local line = here + 1 + i
    it("of " .. name, function()
      local ok, message = pcall(CALLS[name])
      assert.is_false(ok)
      assert.matches("^[^\n]*input_spec%.lua:" .. line .. ": ", message)
    end)

    it("of " .. name .. " in a coroutine", function()
      local _, message = coroutine.resume(coroutine.create(CALLS[name]))
      assert.matches("^[^\n]*input_spec%.lua:" .. line .. ": ", message)
    end)
  end

  it("or has no line, where no Lua function has made it", function()
    local _, message = coroutine.resume(coroutine.create(ns.spawn), { 1 })
    assert.equal("bad argument #1 to 'spawn' (argv[1]: string expected, got number)", message)
  end)
end)
