--- Hostile tables and objects in a spec: no process, no descriptor, no other outcome. What is left, after_each would find
-- (spec/support/helper.lua).
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local function bad() error("a metamethod was asked") end

local HOSTILE = {}
for _, name in ipairs { "index", "newindex", "len", "pairs", "ipairs", "call", "tostring", "eq", "lt", "le", "concat", "unm",
  "add", "close", "name" } do
  HOSTILE["__" .. name] = bad
end

--- The same tables all through, each with all metamethods.
local function hostile(value)
  if type(value) ~= "table" then return value end
  local result = {}
  for k, v in pairs(value) do result[hostile(k)] = hostile(v) end
  return setmetatable(result, HOSTILE)
end

--- The value without metatables, so that a message can show it.
local function outcome(spec)
  local ok, r, message = pcall(ns.run, spec)
  if not ok then return (r:gsub("^[^ ]*:%d+: ", "")) end
  return r and { r.ok, r.how, r.code, r.stdout, r.stderr } or message
end

describe("metamethods of a spec", function()
  local SPECS = {
    ["a program"] = { "echo", "hi" },
    ["many words"] = { argv = { "sh", "-c", "echo $A; umask; exit 3" }, env = { A = "1", B = false }, umask = 18, cwd = "/",
      rlimits = { core = 0, nofile = { soft = 64, hard = 64 } }, affinity = { 0 }, caps = { "kill" } },
    ["descriptors"] = { "cat", stdin = { path = "/etc/hostname" }, stdout = "pipe", fds = { [5] = 0 } },
    ["namespaces and mounts"] = { "sh", "-c", "hostname; cat /x", flags = { "user", "mount", "uts" }, hostname = "box",
      root = "/", uid_map = { { 0, core.ids().euid, 1 } }, gid_map = { { 0, core.ids().egid, 1 } },
      mounts = { { type = "tmpfs", target = "/mnt", size = "1m" }, { type = "file", target = "/x", data = "x" } } },
    ["a refusal"] = { "/nope", env = { A = "1" } },
    ["an unknown word"] = { "true", hostnmae = 1 },
    ["a wrong value"] = { "true", env = { A = {} } },
    ["a wrong list"] = { "true", flags = { [{}] = "uts" } },
    ["a wrong field"] = { "true", rlimits = { [{}] = 1 } },
    ["a wrong variable"] = { "true", env = { [{}] = 1 } },
    ["a wrong descriptor"] = { "true", fds = { [{}] = 0 } },
    ["a table as stream"] = { "true", stdin = {} },
    ["a table as word"] = { "true", hostname = {} },
  }
  for title, spec in pairs(SPECS) do
    machine.it("user")("are not asked: " .. title, function()
      local expected, got = outcome(spec), outcome(hostile(spec))
      assert.same(expected, got)
    end)
  end

  it("are not asked by a box, nor is the table changed", function()
    local spec = hostile { "echo", "hi", env = { A = "1" } }
    assert.equal("hi\n", ns.box(spec):run().stdout)
    assert.equal("echo", rawget(spec, 1))
    assert.equal("1\n", ns.box():env(hostile { A = "1" }):run("sh", "-c", "echo $A").stdout)
    local mounts = ns.box():tmpfs("/x", hostile { size = "1m" }):spec().mounts
    assert.same({ { type = "tmpfs", target = "/x", size = "1m" } }, mounts)
  end)

  it("are not asked by the methods of a process", function()
    local p = assert(ns.spawn { "true" })
    for _, name in ipairs { "wait", "kill", "stop", "communicate", "resize" } do
      local ok, message = pcall(p[name], p, hostile {})
      assert.is_false(ok)
      assert.matches("bad argument #1 to '" .. name .. "'", message)
    end
    p:close()
  end)
end)

describe("an object whose getfd", function()
  local WORDS = { "stdin", "stdout", "stderr" }

  --- A spec with this object somewhere, and pipes and files before and after it.
  local function each(object)
    local specs = { { "true", fds = { [3] = 0, [7] = object, [9] = 1 }, stdin = "pipe" } }
    for i, word in ipairs(WORDS) do
      specs[i + 1] = { "true", stdin = "pipe", stdout = "pipe", stderr = { path = "/dev/null" }, fds = { [5] = 0 },
        [word] = object }
    end
    return specs
  end

  it("raises has its own error come through, as it is", function()
    for _, e in ipairs { "text", { "a table" }, 5 } do
      for _, spec in ipairs(each { getfd = function() error(e, 0) end }) do
        for _, f in ipairs { ns.spawn, ns.run, ns.check, ns.explain, ns.box } do
          local ok, got = pcall(f, spec)
          assert.same({ false, true }, { ok, rawequal(e, got) })
        end
      end
    end
  end)

  it("gives no descriptor is a mistake, with the name of the word", function()
    for _, value in ipairs { "x", "0", 0.5, -1, 0 / 0, 2 ^ 31, true, {} } do
      for _, spec in ipairs(each { getfd = function() return value end }) do
        local ok, message = pcall(ns.spawn, spec)
        assert.is_false(ok)
        assert.matches("bad argument #1 to 'spawn' %([%w%[%]]+:getfd%(%): ", message)
      end
    end
  end)

  it("cannot be looked for is no object", function()
    local object = setmetatable({}, { __index = bad })
    local ok, message = pcall(ns.spawn, { "true", stdin = object })
    assert.same({ false, true }, { ok, message:find("(stdin.path: missing)", 1, true) ~= nil })
  end)

  it("starts a program itself is as good as any", function()
    local object = { getfd = function()
      assert(ns.run({ "true" }).ok)
      return 0
    end }
    for _, spec in ipairs(each(object)) do
      local p = assert(ns.spawn(spec))
      assert.is_true((p:wait()))
      p:close()
    end
  end)

  it("changes the spec while it is read gives a process, a mistake or a refusal, and nothing else", function()
    local CHANGES = {
      function(spec) spec.argv, spec.stdout = nil, 12345 end,
      function(spec) spec.argv[1], spec.argv[2] = 5, {} end,
      function(spec) for i = 1, 100 do spec.argv[i] = "x" end end,
      function(spec) spec.env.B, spec.env.A = {}, nil end,
      function(spec) for i = 1, 100 do spec.env["V" .. i] = "x" end end,
      function(spec) for i = 10, 60 do spec.fds[i] = 0 end end,
      function(spec) spec.fds[5] = nil end,
      function(spec) for key in pairs(spec) do spec[key] = nil end end,
      function(spec) setmetatable(spec, HOSTILE) setmetatable(spec.env, HOSTILE) end,
      function(spec) spec.file:close() end,
    }
    for i, change in ipairs(CHANGES) do
      for _, word in ipairs { "stdin", "stdout", "fds" } do
        local spec = { argv = { "true", "x" }, env = { A = "1" }, stdin = "pipe", stdout = "pipe",
          fds = { [5] = 0, [6] = 1 } }
        local file = assert(io.open("/dev/null"))
        local object = { getfd = function()
          if i == #CHANGES then change { file = file } else change(spec) end
          return 0
        end }
        spec.stderr = file
        if word == "fds" then spec.fds[8] = object else spec[word] = object end
        local ok, p, message = pcall(ns.spawn, spec)
        assert.truthy(not ok and type(p) == "string" or p or message)
        if ok and p then p:close() end
        if io.type(file) == "file" then file:close() end
      end
    end
  end)

  if _VERSION ~= "Lua 5.1" or jit then -- luacheck: ignore
    it("yields can be left alone for ever", function()
      local co = coroutine.create(function()
        return ns.spawn { "true", stdin = "pipe", stdout = { getfd = function() return coroutine.yield("waiting") end } }
      end)
      assert.same({ true, "waiting" }, { coroutine.resume(co) })
      local other = coroutine.create(function()
        return ns.spawn { "true", stdout = { getfd = function() return coroutine.yield("waiting") end } }
      end)
      coroutine.resume(other)
      local ok, p = coroutine.resume(other, 1)
      assert.is_true(ok)
      assert.is_true((machine.status(p)))
    end)
  end
end)

describe("finalizers that run during a start", function()
  --- Runs `round` 60 times beside a busy collector that calls `finalizer` again and again; what is left then.
  local function report(finalizer, round)
    return machine.host(([[
      local core, lfs, ns = require "ns.core", require "lfs", require "ns"
      local function dying(f)
        if not newproxy then return setmetatable({}, { __gc = f }) end
        local proxy = newproxy(true)
        getmetatable(proxy).__gc = f
      end
      local count = 0
      local function finalizer() count = count + 1 %s end
      local function round()
        for _ = 1, 20 do dying(finalizer) end
        %s
      end
      local function descriptors()
        local n = 0
        for _ in lfs.dir("/proc/self/fd") do n = n + 1 end
        return n
      end
      ns.run { "true" }
      local before = descriptors()
      local function collect(word, value)
        if _VERSION == "Lua 5.5" then return collectgarbage("param", word, value) end
        return collectgarbage("set" .. word, value)
      end
      collect("pause", 1)
      collect("stepmul", 10000)
      for _ = 1, 60 do pcall(round) end
      collect("pause", 200)
      repeat until pcall(collectgarbage) and pcall(collectgarbage)
      local left = descriptors() - before
      local children = io.open(("/proc/self/task/%%d/children"):format(core.ids().pid)):read("*a")
      print(count >= 300, left, children == "")
    ]]):format(finalizer, round), { timeout = 300 }) -- the collector works all the time
  end

  it("may start programs themselves", function()
    local r = report('if count % 50 == 0 then ns.spawn({ "true", stdout = "pipe" }):close() end', [[
      local p = ns.spawn { "true", stdin = "pipe", stdout = "pipe", env = { A = "1" } }
      assert(p:wait())
      p:close()
    ]])
    assert.equal("true\t0\ttrue\n", r.stdout .. r.stderr)
  end)

  -- Lua 5.2 and LuaJIT do not live through that themselves, with no start in it.
  if _VERSION ~= "Lua 5.2" and not jit then -- luacheck: ignore
    it("may raise errors, which some Luas hand on to whoever allocates", function()
      local r = report('error "here"', [[
        local p = ns.spawn { "true", stdin = "pipe", stdout = "pipe", fds = { [5] = 0 }, env = { A = "1" } }
        p:close()
      ]])
      assert.equal("true\t0\ttrue\n", r.stdout .. r.stderr)
    end)
  end
end)

describe("LuaJIT's compiler", function()
  -- The one of Debian 12 loses keys of a table in compiled loops over it, once errors have ended such loops: a spec without
  -- its argv, or without no_new_privs. The starts above go wrong in one run of two with it.
  it("is told by each file to keep out of it", function()
    for _, name in ipairs(machine.modules()) do
      local path = "lua/" .. name:gsub("%.", "/")
      local text = machine.read(path .. ".lua") or machine.read(path .. "/init.lua")
      assert.matches('\nrequire%("ns%.core"%)%.nojit%(%)\n', text, nil, name)
    end
  end)

  it("keeps out", function()
    local r = machine.host([[
      local seen, jit = {}, rawget(_G, "jit")
      local function note(what, _, f)
        if what == "start" then seen[#seen + 1] = require("jit.util").funcinfo(f).source end
      end
      if jit then jit.attach(note, "trace") end
      local ns = require "ns"
      for i = 1, 200 do ns.explain { "true", flags = "user,mount", env = { A = "b" }, rlimits = { core = i } } end
      for _, source in ipairs(seen) do assert(not source:find("/ns/", 1, true), source) end
      print(jit == nil or jit.status())]])
    assert.equal("true\n", r.stdout:match("^true") and "true\n", r.stderr)
  end)
end)
