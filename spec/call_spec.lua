--- A function in the place of a program: what comes back, what it has inside, and that the host keeps what is its own.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local snapshot = require "support.snapshot"

local needs_sandbox, needs_user = machine.it "sandbox", machine.it "user"

--- What a call has returned without its first value, which is true.
local function results(ok, ...)
  if not ok then error((...), 2) end
  return ...
end

local function call(fn, ...) return results(ns.call({}, fn, ...)) end

--- The message and the detail of a call that has not returned.
local function failure(ok, message, errno, detail)
  assert.is_nil(ok)
  return message, detail, errno
end

describe("what a function returns", function()
  it("comes back: nil, booleans, numbers, strings, and tables of them", function()
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    all = table.concat(all)
    local nested = { 1, "two", { three = { [4] = false, [true] = "five", [0.5] = -1 } }, [all] = all }
    assert.equal(0, select("#", call(function() end)))
    assert.same({ n = 5 }, { n = select("#", call(function() return nil, nil, nil, nil, nil end)) })
    local list = { call(function(...) return true, false, nil, 7, -0.25, all, nested, {}, ... end, nil, "last") }
    assert.same({ true, false, nil, 7, -0.25, all, nested, {}, nil, "last" }, list)
  end)

  it("comes back as the number that it was", function()
    local list = { 0, 1, -1, 2 ^ 53, -2 ^ 53, 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, math.huge, -math.huge, 3.0 }
    for _, name in ipairs { "maxinteger", "mininteger" } do list[#list + 1] = rawget(math, name) end
    local back, type_of = call(function() return list end), rawget(math, "type") or type
    for i, n in ipairs(list) do
      assert.equal(n, back[i])
      assert.equal(type_of(n), type_of(back[i]))
    end
    local nan, zero = call(function() return 0 / 0, -1 / math.huge end)
    assert.truthy(nan ~= nan)
    assert.equal(-math.huge, 1 / zero)
  end)

  it("may be longer than a pipe holds", function()
    local long = call(function(n)
      local list = {}
      for i = 1, n do list[i] = { i, tostring(i) } end
      return list, ("x"):rep(3000000)
    end, 20000)
    assert.same({ 20000, "20000" }, long[20000])
  end)

  it("is refused where it is no plain value, and the place is named", function()
    local function why(value) return (failure(ns.call({}, function() return 1, value end))) end
    local circle = { a = {} }
    circle.a.b = circle
    assert.equal("result 2: a function cannot be returned", why(print))
    assert.equal("result 2.list[3]: a userdata cannot be returned", why { list = { 1, 2, io.stdout } })
    assert.equal("result 2.a.b: a table that is in itself cannot be returned", why(circle))
    assert.equal("result 2[table]: a table as a key cannot be returned", (why { [{}] = 1 }:gsub("table: [%w]+", "table")))
    assert.equal('result 2["a b"]: a thread cannot be returned', why { ["a b"] = coroutine.create(function() end) })
    local function nested(depth)
      local t = {}
      for _ = 2, depth do t = { a = t } end
      return t
    end
    local deep = call(function() return nested(1000) end)
    for _ = 2, 1000 do deep = deep.a end
    assert.same({}, deep)
    for _, depth in ipairs { 1001, 200000 } do
      assert.equal("result 1" .. (".a"):rep(19) .. "...: what is deeper than 1000 tables cannot be returned",
        (failure(ns.call({}, nested, depth))))
    end
    local twice = {}
    assert.same({ {}, {} }, call(function() return { twice, twice } end))
  end)

  it("may be bounded", function()
    local message, detail = failure(ns.call({ max_output = 1000 }, function() return ("x"):rep(5000) end))
    assert.equal("the results are more than max_output", message)
    assert.equal("truncated", detail.how)
  end)

  it("is not believed where somebody else has written it", function()
    local values = require "ns.start.values"
    for _, text in ipairs { "", "returned 1;", "returned 1;s99999999999:a.", "returned 1;q.", "x", "returned 1;z",
      "returned 2;z.", "returned 1;{nnan;t}.", "returned 1;i5", "returned 1;s-1:.", "returned 1;{t" } do
      assert.is_nil((values.decode(text)))
    end
  end)
end)

describe("a function that does not return", function()
  it("has raised an error: the line in the child, the traceback, and the value", function()
    local message, detail = failure(ns.call({}, function()
      local function inner() error "boom" end
      inner()
    end))
    assert.matches("call_spec.lua:%d+: boom$", message)
    assert.matches("call_spec.lua:%d+: in %w+ [^\n]*inner", detail.traceback)
    assert.equal("error", detail.how)
    message, detail = failure(ns.call({}, function() error { code = 5 } end))
    assert.same({ code = 5 }, detail.value)
    assert.equal("error with a table in the place of a message", message)
    local nothing = _VERSION == "Lua 5.5" and "<no error object>" or "error with nil in the place of a message"
    assert.equal(nothing, (failure(ns.call({}, function() error() end))))
    local object = setmetatable({ print }, { __tostring = function() return "said" end })
    message, detail = failure(ns.call({}, function() error(object) end))
    assert.same({ "said" }, { message, detail.value })
    message = failure(ns.call({}, function() coroutine.yield(1) end))
    assert.matches("yield", message)
  end)

  it("has left by os.exit, also by one that was kept before", function()
    local exit = os.exit
    for _, one in ipairs { { 3, 3 }, { 0, 0 }, { true, 0 }, { false, 1 } } do
      for _, leave in ipairs { exit, false } do
        local _, detail = failure(ns.call({}, function() (leave or os.exit)(one[1]) end))
        if not (leave and _VERSION == "Lua 5.1" and not rawget(_G, "jit") and type(one[1]) == "boolean") then
          assert.same({ "exit", one[2] }, { detail.how, detail.status })
        end
      end
    end
  end)

  it("was killed by a signal, or has crashed", function()
    local message, detail = failure(ns.call({}, function() os.execute "kill -SEGV $PPID" end))
    assert.equal("killed by signal 11 (SEGV)", message)
    assert.same({ "signal", 11, "SEGV" }, { detail.how, detail.signal, detail.signame })
  end)

  it("was too slow", function()
    local message, detail, errno = failure(ns.call({ timeout = 0.2, grace = 0 }, function() while true do end end))
    assert.matches("^timeout after [%d.]+ s$", message)
    assert.same({ "timeout", core.constants.errno.ETIMEDOUT }, { detail.how, errno })
  end)

  it("was not started: what spawn says", function()
    local function nothing() end
    local a = { ns.call({ cwd = "/no/such" }, nothing) }
    local b = { ns.spawn { "true", cwd = "/no/such" } }
    assert.same(b, a)
    assert.equal("chdir", a[4].step)
  end)
end)

--- Each word with what it has as a program and as a function, in the same surroundings.
local LOOK = [[cat /proc/self/status | grep -E '^(Cap|NoNew|Seccomp:|Groups|Uid|Gid|Umask|Cpus_allowed_list)'
  cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; cut -d' ' -f4- /proc/self/mountinfo; env | sort; umask; pwd
  cat /proc/sys/kernel/hostname /proc/self/limits | sed 's/  */ /g']]

local function look_as_program(box)
  local r = assert(box:run("sh", "-c", LOOK))
  return r.stdout .. r.stderr
end

local function look_as_function(box)
  return results(box:call(function(line)
    local own, pipe = {}, io.popen(line)
    local text = pipe:read "*a"
    pipe:close()
    local status = io.open("/proc/self/status"):read "*a"
    for name, value in status:gmatch("([CS][ai][pg][PEBA]%a+):%s*(%x+)") do own[#own + 1] = name .. value end
    return text, table.concat(own, " ")
  end, LOOK))
end

--- What a program of ours has itself of capabilities, and of signals that are held back.
local function caps_as_program(box)
  local own, r = {}, assert(box:run("cat", "/proc/self/status"))
  for name, value in r.stdout:gmatch("([CS][ai][pg][PEBA]%a+):%s*(%x+)") do own[#own + 1] = name .. value end
  return table.concat(own, " ")
end

local function changes(text) -- numbers that are others in each start
  return (text:gsub("\n%s+%d+ +%d+ +65536", "\nMAP"):gsub("([ug]id)=%d+", "%1=X"):gsub("uuid[^\n]*", ""))
end

describe("a function inside", function()
  local boxes = {
    ["of a plain start"] = ns.box {},
    ["with limits and a directory"] = ns.box { rlimits = { nofile = 100, core = 0 }, cwd = "/usr", umask = "027", nice = 3 },
    ["without an environment"] = ns.box { clear_env = true, env = { A = "b", PATH = os.getenv "PATH" } },
  }
  local in_user = {
    ["in a user namespace"] = ns.box { flags = "user,mount,pid,uts", hostname = "inner", mount_proc = true },
    ["as its own user"] = ns.box { flags = "user", map = "self" },
    ["with one capability"] = ns.box { flags = "user", caps = { "net_bind_service" } },
    ["with an init"] = ns.box { flags = "user,pid,mount", mount_proc = true, init = true },
    ["with an init alone"] = ns.box { init = true },
  }
  local of_root = {
    ["as another user"] = ns.box { user = 65534, group = 65534 },
    ["as another user with a capability"] = ns.box { user = 65534, group = 65534, caps = { "kill" } },
    ["without root's rights"] = ns.box { caps = {} },
    ["of root whom ids do not help"] = ns.box { securebits = { "noroot", "noroot_locked" } },
  }
  local function compare(title, box)
    local text, own = look_as_function(box)
    assert.equal(changes(look_as_program(box)), changes(text), title)
    assert.equal(caps_as_program(box), own, title)
  end

  it("is confined as a program is #system", function()
    for title, box in pairs(boxes) do compare(title, box) end
    for title, box in pairs(machine.root and of_root or {}) do compare(title, box) end
  end)
  needs_user("is confined as a program is, in a user namespace #system", function()
    for title, box in pairs(in_user) do compare(title, box) end
  end)
  needs_sandbox("is confined as a program is, in a sandbox #system", function() compare("sandbox", ns.sandbox()) end)

  needs_sandbox("has an init that is no copy of the host, reaps, and ends all", function()
    local init, left, pid = results(ns.sandbox():call(function()
      os.execute "(sleep 0.05; sleep 60) & sleep 0.01"
      local name = io.open("/proc/1/comm"):read "*l"
      local pages = tonumber(io.open("/proc/1/statm"):read("*a"):match("^%d+ (%d+)"))
      return { name, pages < 64 }, io.open("/proc/self/stat"):read "*n"
    end))
    assert.same({ "ns-init", true }, init)
    assert.equal(2, left)
    assert.is_nil(pid)
  end)

  it("has its own streams, and gets arguments", function()
    local r = ns.run { stdin = "typed\n", args = { 1, nil, "x", n = 4 }, fn = function(...)
      print(select("#", ...), ...)
      io.stderr:write(io.read "*l", "\n")
      io.write "not flushed"
    end }
    assert.same({ "4\t1\tnil\tx\tnil\nnot flushed", "typed\n", 0 }, { r.stdout, r.stderr, r.code })
    r = ns.run { fn = function() error "told" end }
    assert.matches("call_spec.lua:%d+: told\nstack traceback:\n", r.stderr)
    assert.equal(1, r.code)
    assert.equal(7, ns.run { fn = function() os.exit(7) end }.code)
  end)

  it("is a Process like any other", function()
    local p = assert(ns.spawn { stdin = "pipe", stdout = "pipe", fn = function()
      for line in io.lines() do
        print(line:upper())
        io.stdout:flush()
      end
    end })
    p.stdin:write "a line\n"
    p.stdin:flush()
    assert.equal("A LINE", p.stdout:read "*l")
    p.stdin:close()
    assert.same({ true, "exit", 0 }, { machine.status(p) })
    p = assert(ns.spawn { pty = true, fn = function() print(io.read "*l") end })
    p.pty:write "keys\n"
    assert.equal("keys\r", p.pty:read "*l")
    assert.equal("keys\r", p.pty:read "*l")
    machine.status(p)
    p = assert(ns.spawn { fn = function() while true do end end })
    assert.same({ nil, "timeout" }, { p:wait(0.05) })
    assert.same({ nil, "signal", 15 }, { p:stop() })
    p:close()
  end)

  it("has what it needs of this Lua state, and changes nothing of it", function()
    local t = { n = 1 }
    assert.equal(2, call(function()
      t.n = t.n + 1
      return t.n
    end))
    assert.equal(1, t.n)
  end)

  it("may start programs itself", function()
    local how, out = call(function()
      local r = ns.run { "echo", "inner" }
      return r.how, r.stdout
    end)
    assert.same({ "exit", "inner\n" }, { how, out })
  end)

  it("may start programs in namespaces of its own, as other users, too", function()
    for _, flags in ipairs { {}, { flags = "user" }, { flags = "user", map = "root" }, { flags = "user,mount,pid" } } do
      local _, out, message = ns.call(flags, function()
        local r, message = ns.run { "sh", "-c", "id -u; readlink /proc/self/ns/user", flags = "user" }
        return r and r.stdout:match("^0\n(user:.*)\n"), message
      end)
      assert.is_nil(message)
      assert.matches("^user:", out)
    end
  end)

  it("keeps what it has written to files that it has not closed", function()
    local path = os.tmpname()
    call(function() io.open(path, "w"):write "kept" end)
    assert.equal("kept", machine.read(path))
    os.remove(path)
  end)
end)

describe("what is the host's", function()
  it("is not inside: its descriptors lead nowhere", function()
    local path = os.tmpname()
    local f = assert(io.open(machine.file(path, ("secret "):rep(50000))))
    finally(function() f:close() end)
    f:read(1)
    local links, text = call(function()
      local list, pipe = {}, io.popen("for f in /proc/$PPID/fd/*; do readlink $f; done")
      for link in pipe:lines() do list[#list + 1] = link end
      pipe:close()
      return list, #f:read "*a"
    end)
    for _, link in ipairs(links) do assert.is_nil(link:find(path, 1, true)) end
    assert.truthy(text < 100000) -- not more than was read ahead
    os.remove(path)
  end)

  it("is written once", function()
    local path = os.tmpname()
    local r = machine.host(([[
      local ns = require "ns"
      local f = io.open(%q, "w")
      f:write "of the host; "
      io.write "printed; "
      for i = 1, 3 do
        assert(ns.call({}, function() io.write(i, "; ") end))
        ns.call({}, function() io.write(i, "; ") f:write "by the copy" os.exit(0, true) end)
        ns.call({}, function() f = nil collectgarbage() end)
      end
      f:write "the end"
      f:close()]]):format(path))
    assert.equal("printed; 1; 1; 2; 2; 3; 3; ", r.stdout .. r.stderr)
    assert.equal("of the host; the end", machine.read(path))
    os.remove(path)
  end)

  it("does not get into the files that the function opens, whatever is collected", function()
    local path = os.tmpname()
    local r = machine.host(([[
      local ns, path = require "ns", %q
      local files = {}
      for i = 1, 20 do
        files[i] = io.open("/dev/null", "w")
        files[i]:write "of the host"
      end
      print(ns.call({}, function()
        local mine = {}
        for i = 1, 30 do mine[i] = assert(io.open(path .. i, "w")) end
        files = nil
        collectgarbage() collectgarbage()
        for i = 1, 30 do assert(mine[i]:write(i)) assert(mine[i]:close()) end
        local text = ""
        for i = 1, 30 do
          text = text .. io.open(path .. i):read "*a"
          os.remove(path .. i)
        end
        return text
      end))]]):format(path))
    local all = {}
    for i = 1, 30 do all[i] = i end
    assert.equal("true\t" .. table.concat(all) .. "\n", r.stdout .. r.stderr)
    os.remove(path)
  end)

  it("goes on: its programs are not the copy's to end, to wait for, or to signal", function()
    local r = machine.host([[
      local ns = require "ns"
      local p = assert(ns.spawn { "sh", "-c", "sleep 30 & wait", stdout = "pipe", stdin = "pipe" })
      print(ns.call({}, function()
        local state, killed, how = tostring(p):match "%a+%)", p:kill(), select(2, p:wait(0))
        p:close()
        p = nil
        collectgarbage() collectgarbage()
        return state, killed, how
      end))
      print(p:wait(0.1))
      print(p:stop())]])
    local closed = "true\tclosed)\tnil\tattempt to wait for a closed process\n"
    assert.equal(closed .. "nil\ttimeout\nnil\tsignal\t15\n", r.stdout .. r.stderr)
  end)

  it("is as before, after calls of all kinds", function()
    local fns = { function() return 1 end, function() error "x" end, function() os.exit(1) end, function() return print end,
      function() os.execute "kill -9 $PPID" end }
    local specs = { {}, { cwd = "/no/such" }, { init = true } }
    if machine.can.sandbox then specs[4] = ns.sandbox() end
    local function all()
      for _, spec in ipairs(specs) do
        for _, fn in ipairs(fns) do ns.call(spec, fn) end
        ns.check(ns.box(spec):fn(fns[1]))
      end
    end
    all()
    collectgarbage()
    local before = snapshot.take()
    for _ = 1, 2 do all() end
    assert.is_nil(snapshot.changed(before))
  end)

  it("may be large #system", function()
    local r = machine.host([[
      local ns, list = require "ns", {}
      for i = 1, 200 do list[i] = ("x"):rep(2 ^ 20 - i) end
      print(ns.call({ flags = "]] .. (machine.root and "uts" or "user") .. [[" }, function() return #list, #list[9] end))]])
    assert.equal("true\t200\t1048567\n", r.stdout .. r.stderr)
  end)

  it("must be one thread #system", function()
    local directory, remove = machine.directory()
    finally(remove)
    local built = ns.run { "gcc", "-shared", "-fPIC", "-pthread", "-I" .. machine.include, "-o", directory .. "/thread.so",
      "spec/support/thread.c" }
    assert.truthy(built.ok, tostring(built))
    local r = machine.host(([[
      package.cpath = %q .. "/?.so;" .. package.cpath
      require "thread"
      local ns = require "ns"
      local ok, message, errno, detail = ns.call({}, print)
      print(ok, message, detail.step, detail.code)
      print(ns.run { "true" }.ok)]]):format(directory))
    local said = "^nil\tcopy this Lua process: [^\n]+ %(EDEADLK%); it has other threads, [^\n]*\tcopy\tEDEADLK\ntrue\n$"
    assert.matches(said, r.stdout .. r.stderr)
  end)

  it("may be any user's", function()
    assert.equal("5", machine.as_nobody "select(2, ns.call({}, function() return 5 end))")
  end)
  needs_sandbox("may be any user's, in a sandbox", function()
    assert.equal("ns-init", machine.as_nobody [[select(2, ns.sandbox():call(function()
      return io.open("/proc/1/comm"):read "*l" end))]])
  end)
end)

describe("the builder's form", function()
  it("takes the place of the box's program, and another function each time", function()
    local box = ns.box { "echo", "of the box", argv0 = "name" }
    for i = 1, 3 do
      assert.equal(i, results(box:call(function() return i end)))
      assert.equal("of the box\n", box:run().stdout)
    end
    assert.equal("x\n", box:clone():fn(print):run("echo", "x").stdout)
  end)

  it("is tried and explained as programs are", function()
    local spec = { fn = print, hostname = "h", flags = "user,uts" }
    assert.matches("\nsethostname 'h'\n.*\ncall the function in the copy\n$", ns.explain(spec))
    assert.same({ ns.check { "true" } }, { ns.check { fn = error } })
  end)
end)

describe("a mistake", function()
  local function mistake(text, f, ...)
    local ok, e = pcall(f, ...)
    assert.falsy(ok)
    assert.equal(text, (e:gsub("^[^:]*:%d+: ", "")))
  end

  it("is named", function()
    for text, spec in pairs {
      ["argv: given beside 'fn', which runs in the place of a program"] = { "true", fn = print },
      ["argv0: given beside 'fn', which runs in the place of a program"] = { argv0 = "x", fn = print },
      ["fn: function expected, got string"] = { fn = "print" },
      ["join: given beside 'fn': who is in these namespaces could look into a copy of this Lua process"] = { fn = print,
        join = { net = "/proc/self/ns/net" } },
      ["args: table expected, got number"] = { fn = print, args = 5 },
      ["args: needs 'fn'; the arguments of a program are in argv, or the array part"] = { args = { "ls" } },
      ["fds[5]: with 'fn' a number is needed that is not open in this process, as 100"] = { fn = print, fds = { [5] = 1 } },
    } do
      local taken = {}
      while not core.isopen(5) do taken[#taken + 1] = io.open "/dev/null" end
      mistake(("bad argument #1 to 'spawn' (%s)"):format(text), ns.spawn, spec)
      for _, f in ipairs(taken) do f:close() end
    end
    mistake("bad argument #1 to 'call' (spec: table expected, got function)", ns.call, print)
    mistake("bad argument #2 to 'call' (function expected, got nil)", ns.call, {})
    mistake("bad argument #1 to 'call' (fn: comes after the spec)", ns.call, { fn = print }, print)
    mistake("bad argument #1 to 'call' (stdout: nobody has the other end of a 'pipe': ns.spawn { fn = ... })", ns.call,
      { stdout = "pipe" }, print)
    mistake("bad argument #1 to 'call' (pty: a call is awaited, and has no Process: ns.spawn { fn = ... })", ns.call,
      { pty = true }, print)
    mistake("bad argument #1 to 'call' (hostnam: unknown word (did you mean 'hostname'?))", ns.call, { hostnam = "x" },
      print)
  end)

  it("may be a descriptor's number that is free", function()
    local path = os.tmpname()
    local f = io.open(path, "w")
    results(ns.call({ fds = { [100] = f } }, function() io.open("/proc/self/fd/100", "w"):write "through" end))
    f:close()
    assert.equal("through", machine.read(path))
    os.remove(path)
  end)

  needs_sandbox("is one in a living box, whose init is no copy", function()
    local c = assert(ns.sandbox():start())
    finally(function() c:close() end)
    local text = "is for a start of its own: the init of a living box is no copy of this Lua state"
    mistake(("bad argument #1 to 'spawn' (fn: %s)"):format(text), c.spawn, c, { fn = print })
    mistake(("bad argument #1 to 'start' (fn: %s)"):format(text), function() ns.sandbox():fn(print):start() end)
  end)
end)

describe("where nothing of ours can be executed", function()
  local call_there = [[
    local ns = require "ns"
    print(ns.call({}, function() return 5 end))
    print(select(2, ns.call({ init = true }, print)))]]

  it("a function is called, but an init is refused #system", function()
    local r = machine.host(call_there, { under = machine.refuse("EACCES", "execveat", "fchmod") })
    assert.matches("^true\t5\nexecute the launcher: Permission denied %(EACCES%)", r.stdout .. r.stderr)
  end)
end)
