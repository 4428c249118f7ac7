--- `busted --helper=ns.busted`: each file in a copy of the Lua state; what users see is as without.
local isolated = require "support.isolated"
local machine = require "support.machine"
local unpack = unpack or table.unpack -- luacheck: ignore

local ORDINARY = [[
describe("ordinary", function()
  setup(function() print "set up" end)
  teardown(function() print "torn down" end)
  it("passes #quick", function() io.stderr:write "said\n" assert.equal(1, 1) end)
  it("fails", function() assert.same({ 1, { 2 } }, { 1, { 3 } }) end)
  it("raises", function() error "an error" end)
  it("raises a table", function() error { code = 3 } end)
  pending("is to come")
  it("is put off", function() pending "later" end)
  describe("within", function()
    it("ends", function() finally(function() print "finally" end) error "at last" end)
  end)
  describe("that does not load", function() error "no block" end)
  describe("that is not set up", function() setup(function() error "no setup" end) it("never runs", print) end)
end)
]]
local SECOND = [[
describe("second", function()
  randomize(7)
  for i = 1, 4 do it("has number " .. i .. " #n" .. i, function() io.flush() os.execute("echo " .. i) end) end
end)
]]
local FILES = { ["a_spec.lua"] = ORDINARY, ["b_spec.lua"] = SECOND, ["c_spec.lua"] = "error 'no file'",
  ["d_spec.lua"] = "no lua" }

describe("busted with ns.busted", function()
  for _, arguments in ipairs {
    "-o plainTerminal", "-o utfTerminal -v", "-o TAP --shuffle --seed=7", "-o TAP --no-keep-going",
    "-o TAP #system", "-o gtest #system", "--list #system", "-o TAP --tags=quick,n3 #system",
    "-o TAP --exclude-tags=n2 #system", "-o TAP --filter=number #system", "-o plainTerminal --repeat=2 #system",
    "-o TAP --sort #system", "-o TAP --no-auto-insulate #system", "-o plainTerminal --suppress-pending #system",
    "-o plainTerminal --lazy #system",
  } do
    it("says what busted says with " .. arguments .. " #system", function()
      local list = {}
      for word in arguments:gsub(" #system", ""):gmatch("%S+") do list[#list + 1] = word end
      -- its TAP cannot say an error of a file
      for _, name in ipairs(arguments:find "TAP" and { "a_spec.lua", "b_spec.lua" } or { "." }) do list[#list + 1] = name end
      local plain = isolated.run(FILES, nil, unpack(list))
      table.insert(list, 1, "--helper=ns.busted")
      local r = isolated.run(FILES, { env = { NS_BUSTED = "jobs=3" } }, unpack(list))
      assert.equal(isolated.comparable(plain.stdout), isolated.comparable(r.stdout))
      assert.equal(isolated.comparable(plain.stderr), isolated.comparable(r.stderr))
      assert.equal(plain.code, r.code)
      assert.truthy(#plain.stdout > 100)
    end)
  end

  it("writes a report of JUnit's that has the same tests #system", function()
    local function names(...)
      local list, r = {}, isolated.run(FILES, nil, "-o", "junit", ...)
      for name in r.stdout:gmatch("<testcase[^>]* name='([^']*)'") do list[#list + 1] = name end
      for name in r.stdout:gmatch('<testcase[^>]* name="([^"]*)"') do list[#list + 1] = name end
      return list
    end
    local plain = names(".")
    assert.truthy(#plain > 8)
    assert.same(plain, names("--helper=ns.busted", "."))
  end)
end)

-- Writes that to wherever the copy tells its host what has happened.
local TELL = [[
  for fd = 3, 1100 do
    local f = io.open("/proc/self/fd/" .. fd, "w")
    if f then f:write("%s") f:close() end
  end ]]

--- What goes wrong in a test, and what is said of it.
local NASTY = {
  { "kills all that it can see", [[os.execute "kill -KILL -1"]], "killed by signal 9 %(SIGKILL%) in this test" },
  { "crashes", [[os.execute "kill -SEGV $PPID"]], "killed by signal 11 %(SIGSEGV%) in this test" },
  { "aborts", [[os.execute "kill -ABRT $PPID"]], "killed by signal 6 %(SIGABRT%) in this test" },
  { "leaves with 0", [[os.exit(0)]], "ended by exit%(0%) in this test" },
  { "leaves with 3 and closes the state", [[os.exit(3, true)]], "ended by exit%(3%) in this test" },
  { "says why and leaves", [[io.stderr:write "why it did\n" os.exit(4)]], "on stderr:\n[^+]*why it did" },
  { "says that all is done, and leaves", TELL:format "5\\nZ0;0;" .. "os.exit(0)", "by [^\n]+ in this test" },
  { "tells what is nothing", TELL:format "7\\nnothing", "by [^\n]+ in this test" }, -- exit(0), or a SIGPIPE
  { "loops", [[while true do end]], "timeout: the test has run for 2 s" },
  { "loops and catches errors", [[while true do pcall(function() while true do end end) end]],
    "timeout: the test has run for 2 s, and could not be interrupted in this test" },
  { "sleeps for ever", [[os.execute "exec sleep 1000"]], "could not be interrupted in this test" },
  { "stops itself", [[os.execute "kill -STOP $PPID"]], "could not be interrupted in this test" },
  { "leaves processes", [[os.execute "sleep 1001 & sleep 1002 &"]],
    "the test 'is nasty' has left 2 processes: pid %d+ `sleep 1001`, pid %d+ `sleep 1002`" },
  { "leaves a process in a session of its own", [[os.execute "setsid sleep 1003 & sleep 0.2"]],
    "has left 1 process: pid %d+ `sleep 1003`" },
  { "leaves a descriptor", [[kept = io.open "/etc/passwd"]], "has left 1 descriptor: %d+ %-> /etc/passwd" },
  { "takes libraries away", [[io.write, table.concat, os.exit, pcall = nil local none none()]], "attempt to call" },
  { "closes its output", [[io.stdout:close() io.stderr:close() error "after all"]], "after all" },
  -- more than max_output; or, where the machine is busy, for 2 s
  { "prints without an end", [[while true do io.write(("x"):rep(100), ("\n"):rep(9900)) end]], "has %l+ [mf]or" },
  { "runs out of stack", [[local function f() return 1 + f() end f()]], "." }, -- LuaJIT says nothing of it
  { "raises what cannot be shown", [[error(setmetatable({}, { __tostring = function() return 1 end }))]], "." },
  { "fills /tmp", [[
    local f = io.open("/tmp/full", "w")
    while true do assert(f:write(("x"):rep(100000)) and f:flush(), "it is full") end]], "it is full" },
}

--- What hurts nobody, but would without.
local HARMLESS = {
  { "leaves a file in /tmp", [[
    assert.is_nil(io.open "/tmp/nasty")
    io.open("/tmp/nasty", "w"):close()]] },
  { "leaves a file in /tmp, too", [[
    assert.is_nil(io.open "/tmp/nasty")
    io.open("/tmp/nasty", "w"):close()]] },
  { "changes what is global", [[_G.print, _G.kept, package.loaded.string, os.time = nil, 1, nil, nil]] },
  { "looks for what others have changed", [[assert.truthy(print and os.time) assert.is_nil(kept)]] },
}

local function around(code)
  return ([[
    describe("a file", function()
      it("begins", function() end)
      it("is nasty", function() %s
      end)
      it("goes on", function() assert.equal("xx", ("x"):rep(2)) end)
    end)]]):format(code)
end

local function name_of(row) return row[1]:gsub("%W", "_") .. "_spec.lua" end

--- All of them in one run.
local function run_all()
  local files = {}
  for _, rows in ipairs { NASTY, HARMLESS } do
    for _, row in ipairs(rows) do files[name_of(row)] = around(row[2]) end
  end
  local r = isolated.harness(files, { env = { NS_BUSTED = "jobs=4,timeout=2,max_output=1000000,tmp=1m" } }, ".")
  return r
end

describe("a file with a test that", function()
  local r, said

  lazy_setup(function()
    r = run_all()
    said = {}
    local place
    for line in r.stdout:gmatch("[^\n]*") do
      place = line:match("^%u%l+ %-> %./([%w_.]+) @ %d+$") or place
      if place then said[place] = (said[place] or "") .. line .. "\n" end
    end
  end)

  for _, row in ipairs(NASTY) do
    it(row[1] .. " fails there, and goes on", function()
      local text = said[name_of(row)] or r.stdout
      assert.matches(row[3], text)
      assert.matches("is nasty", text)
      assert.equal(1, select(2, text:gsub("%u%l+ %-> ", "")))
    end)
  end

  for _, row in ipairs(HARMLESS) do
    machine.it("user", "pid", "mount")(row[1] .. " hurts nobody", function() assert.is_nil(said[name_of(row)]) end)
  end

  it("fails once, and all others count", function()
    -- what leaves something has passed before
    local left = 3
    assert.equal(2 * #NASTY + 3 * #HARMLESS + left, tonumber(r.summary:match "^%d+"))
    assert.equal(#NASTY, r.summary:match("^%d+ (%d+)") + r.summary:match("^%d+ %d+ (%d+)"))
    assert.equal(1, r.code)
  end)
end)

describe("where namespaces are refused #system", function()
  local SPEC = [[
    it("writes", function() io.open("/tmp/ns_refused_" .. NAME, "w"):close() os.remove("/tmp/ns_refused_" .. NAME) end)
    it("crashes", function() os.execute "kill -SEGV $PPID" end)
    it("leaves a process", function() os.execute "sleep 1005 &" end)
    it("goes on", function() end)]]
  local files = { ["a_spec.lua"] = "local NAME = 'a'\n" .. SPEC, ["b_spec.lua"] = "local NAME = 'b'\n" .. SPEC }

  local function run(refused, env)
    return isolated.harness(files, { under = machine.refuse(unpack(refused)), env = env }, ".")
  end

  it("processes alone isolate, which is said once, and what is left is found and ended", function()
    local r = run { "EPERM", "clone&0x7e020000" }
    assert.matches("^ns.busted: not isolated here: ", r.stderr)
    assert.equal(1, select(2, r.stderr:gsub("not isolated here", "")))
    local all = "flags.mount, flags.pid, flags.net, flags.ipc, flags.uts: clone: Operation not permitted"
    assert.matches(all, r.stderr, 1, true)
    assert.matches("mounts, mount_proc: it needs flags.mount", r.stderr, 1, true)
    assert.equal("6 0 4 0", r.summary, r.stdout .. r.stderr)
    assert.equal(2, select(2, r.stdout:gsub("has left 1 process: pid %d+ `sleep 1005`", "")))
    assert.equal(0, machine.processes "1005")
  end)

  it("one by one are left out", function()
    local r = run { "ENOSPC", "clone&0x40000000" }
    assert.matches("^ns.busted: not isolated here: flags.net: clone: No space left[^\n]*\n$", r.stderr)
    assert.equal("6 0 4 0", r.summary, r.stdout .. r.stderr)
  end)

  it("that is a failure with NS_REQUIRE=all", function()
    local r = run({ "ENOSPC", "clone&0x40000000" }, { NS_REQUIRE = "all" })
    assert.equal("6 0 5 0", r.summary, r.stdout .. r.stderr)
    assert.matches("not isolated here: flags.net: ", r.stdout)
  end)
end)

describe("a run that is ended from outside #system", function()
  local files = { ["a_spec.lua"] = "it('is long', function() os.execute 'echo began >>began; exec sleep 1006' end)",
    ["b_spec.lua"] = "it('is long, too', function() os.execute 'echo began >>began; exec sleep 1006' end)",
    ["c_spec.lua"] = "it('never begins', function() os.execute 'echo began >>began' end)" }

  --- Runs until two have begun, then sends the signal: its result, and how many have begun.
  local function ended_by(signal, others)
    local directory, remove = isolated.project(others or files)
    local words = isolated.words(directory, { env = { NS_BUSTED = "jobs=2" } }, "-o", "plainTerminal",
      "--helper=ns.busted", ".")
    words.stdin, words.stdout, words.stderr = "null", "pipe", "pipe"
    local p = assert(require("ns").spawn(words))
    machine.eventually(function() return machine.read(directory .. "/began") == "began\nbegan\n" end)
    p:kill(signal)
    local r = assert(p:communicate())
    local began = machine.read(directory .. "/began")
    remove()
    return r, began
  end

  it("by Ctrl-C leaves nothing, and says which test it was", function()
    local r, began = ended_by "INT"
    assert.matches("a_spec.lua:1: interrupted in this test", r.stdout)
    assert.matches("0 successes / 0 failures / 1 error", r.stdout)
    assert.equal(1, r.code)
    assert.equal("began\nbegan\n", began)
    assert.equal(0, machine.processes "1006")
  end)

  it("by Ctrl-C says in which hook it was", function()
    local hook = "%s(function() os.execute 'echo began >>began; exec sleep 1006' end) it('one', print)"
    local r = ended_by("INT", { ["a_spec.lua"] = hook:format "before_each", ["b_spec.lua"] = hook:format "setup" })
    assert.matches("a_spec.lua:1: interrupted in before_each of 'one'", r.stdout)
    assert.equal(0, machine.processes "1006")
  end)

  it("by SIGKILL leaves nothing", function()
    ended_by "KILL"
    machine.eventually(function() return machine.processes "1006" == 0 end)
  end)
end)

describe("settings of ns.busted #system", function()
  local SHOW = { ["a_spec.lua"] = [[
    it("shows", function()
      local f = io.popen [=[echo net $(grep -c : /proc/net/dev); touch made && rm made &&
        echo wrote]=]
      print(f:read "*a")
      f:close()
      print("helped", helped, "arg", table.concat(require("support_of_helper").arguments, " "))
    end)]], ["support_of_helper.lua"] = "return { arguments = {} }",
    ["helper.lua"] = [[
      helped = true
      local list = require("support_of_helper").arguments
      for _, word in ipairs(arg) do list[#list + 1] = word end]] }

  local function with(config, ...)
    local files = { [".busted"] = config }
    for name, text in pairs(SHOW) do files[name] = text end
    return isolated.run(files, nil, "-o", "plainTerminal", ...)
  end

  it("bound what a file may print, and what is shown of that", function()
    for what, code in pairs {
      ["a test"] = 'it("prints", function() %s end)',
      ["a test of its own"] = 'require("ns.busted").it("prints", { "uts" }, function() %s end)',
    } do
      local r = isolated.harness({ ["a_spec.lua"] = code:format 'io.write(("x"):rep(3e7)) io.flush() while true do end' },
        { env = { NS_BUSTED = "max_output=100000" } }, ".")
      assert.matches("prints\n[^\n]*it has printed more than max_output = 100000 bytes", r.stdout, 1, false, what)
      assert.truthy(#r.stdout < 200000, what)
    end
  end)

  it("are those of .busted, and the task's own helper comes after ours", function()
    local r = with([[return require "ns.busted.config" { default = { lpath = "./?.lua", helper = "helper.lua",
      ROOT = { "." }, Xhelper = "one" }, ns = { net = "host", tree = "read", jobs = 1 } }]])
    assert.equal("1 0 0 0", r.summary, r.stdout .. r.stderr)
    assert.matches("helped\ttrue\targ\tone\n", r.stdout)
    assert.is_nil(r.stdout:find "wrote")
    assert.is_nil(r.stdout:find "net 1\n")
  end)

  it("are the helper's arguments, which its own does not see", function()
    local r = with([[return require "ns.busted.config" { _all = { lpath = "./?.lua", helper = "helper.lua" } }]],
      "-Xhelper", "ns.jobs=1,two", "-Xhelper", "ns.tree=private", ".")
    assert.matches("helped\ttrue\targ\ttwo\n", r.stdout)
    assert.matches("net 1\n", r.stdout)
    assert.matches("wrote", r.stdout)
  end)

  it("that are mistakes end the run before it begins", function()
    for setting, message in pairs { ["job=2"] = "unknown word 'job' %(did you mean 'jobs'%?%)", ["net=on"] = "net: ",
      ["jobs=0"] = "jobs: ", ["timeout=x"] = "timeout: " } do
      local r = isolated.harness(SHOW, { env = { NS_BUSTED = setting } }, ".")
      assert.equal(1, r.code)
      assert.matches("NS_BUSTED: " .. message, r.stderr)
    end
  end)

  it("require modules once, before the first file", function()
    local code = "it('has them', function() assert.equal(5, package.loaded.one + package.loaded.two) end)"
    local r = isolated.harness({ ["a_spec.lua"] = code, ["b_spec.lua"] = code, ["one.lua"] = "print 'one' return 2",
      ["two.lua"] = "print 'two' return 3" }, { env = { NS_BUSTED = "preload=one+two" } }, "--lpath=./?.lua", ".")
    assert.equal("2 0 0 0", r.summary, r.stdout .. r.stderr)
    assert.equal(1, select(2, r.stdout:gsub("one\n", "")))
  end)

  local LIMITED = [[return require "ns.busted.config" { default = { ROOT = { "." } },
    ns = { limits = { pids = 12 }, leaks = "ignore" } }]]

  machine.it("limits")("limit each file", function()
    local code = [[
      it("has a few", function() assert.equal(0, (select(-1, os.execute "sleep 0.01 & sleep 0.01 & wait"))) end)
      it("has not many", function()
        local ok, _, code = os.execute "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 0.2 & done 2>/dev/null; wait"
        assert.is_not.equal(0, code or ok)
      end)]]
    local files = { [".busted"] = LIMITED, ["a_spec.lua"] = code, ["b_spec.lua"] = code }
    local r = isolated.run(files, nil, "-o", "plainTerminal")
    assert.equal("4 0 0 0", r.summary, r.stdout .. r.stderr)
  end)

  it("check the limits before the first file", function()
    local r = isolated.run({ [".busted"] = LIMITED:gsub("pids", "pigs"), ["a_spec.lua"] = "" }, nil)
    assert.equal(1, r.code)
    assert.matches("ns.busted.config: limits: unknown field 'pigs' %(did you mean 'pids'%?%)", r.stdout .. r.stderr)
  end)

  it("bound a file", function()
    local r = isolated.harness({ ["a_spec.lua"] = [[
      it("begins", function() end)
      it("takes long", function() os.execute "sleep 1007" end)]] }, { env = { NS_BUSTED = "file_timeout=2" } }, ".")
    assert.matches("timeout: the file has run for 2 s in this test", r.stdout)
  end)
end)

for _, user in ipairs { "root", "an ordinary user" } do
  local it_can = machine.root and machine.it("user", "pid", "mount", "overlay") or machine.it("user")
  it_can("a file of " .. user .. "'s sees what it has outside, and the tree is thrown away where it is private", function()
    local code = [[
      it("writes", function()
        local f = assert(io.open("written", "w"))
        f:close()
        os.execute "id -u; id -G"
      end)]]
    local directory, remove = isolated.project { ["a_spec.lua"] = code }
    os.execute("chmod 777 " .. directory)
    local words = isolated.words(directory, { nobody = user ~= "root", env = { NS_BUSTED = "tree=private" } }, "-o",
      "plainTerminal", "--helper=ns.busted", ".")
    local r = assert(require("ns").run(words))
    local left = machine.read(directory .. "/written")
    remove()
    assert.matches("1 success / 0 failures / 0 errors", r.stdout .. r.stderr)
    assert.matches(machine.root and user == "root" and "^0\n0\n" or "^%d+\n", r.stdout)
    assert.is_nil(left)
  end)
end
