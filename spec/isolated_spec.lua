--- In a file of specs: single tests in a world of their own, what they need, fixtures, assertions; with the helper and
-- without. And tests without busted: ns.test.
local core = require "ns.core"
local isolated = require "support.isolated"
local machine = require "support.machine"
local ns = require "ns"

local WAYS = { ["with the helper"] = "--helper=ns.busted", ["without a helper"] = "--defer-print" }

local function run(way, text, options)
  return isolated.run({ ["a_spec.lua"] = "local isolated, ns = require 'ns.busted', require 'ns'\n" .. text }, options, "-o",
    "plainTerminal", WAYS[way], ".")
end

for way in pairs(WAYS) do
  describe("isolated, " .. way .. (way == "with the helper" and "" or " #system"), function()
    local it_can = machine.it("user", "pid", "net", "uts")

    it_can("gives a test a world of its own", function()
      local r = run(way, [[
        state = 0
        describe("a block", function()
          before_each(function() state = state + 1 end)
          isolated.it("changes what is its own", { "uts", hostname = "inner" }, function()
            assert.equal(1, state)
            state = 100
            local f = io.open("/proc/sys/kernel/hostname")
            assert.equal("inner", f:read("*l"))
            f:close()
          end)
          it("finds nothing of it", function() assert.equal(1, state) end)
          isolated.it("sees no other process", { "pid" }, function()
            local pipe = io.popen "ps -A -o args | grep -c busted"
            assert.truthy(pipe:read("*n") <= 4)
            pipe:close()
          end)
          isolated.describe("each of these", { "net" }, function()
            it("has one interface", function()
              local pipe = io.popen "grep -c : /proc/net/dev"
              assert.equal(1, pipe:read("*n"))
              pipe:close()
            end)
          end)
        end)]])
      assert.equal("4 0 0 0", r.summary, r.stdout .. r.stderr)
    end)

    it_can("tells of a test that fails, or dies, and of no other", function()
      local r = run(way, [[
        isolated.it("fails", function() assert.equal(1, 2) end)
        isolated.it("dies", { "pid" }, function() os.execute "kill -SEGV $PPID" end)
        isolated.it("leaves", { "net" }, function() os.exit(0) end)
        isolated.it("is put off", function() pending "later" end)
        it("passes", function() end)]])
      assert.equal("1 1 2 1", r.summary, r.stdout .. r.stderr)
      assert.matches("Failure %-> %./a_spec.lua @ 2\nfails\n", r.stdout)
      assert.matches("Error %-> %./a_spec.lua @ 3\ndies\n%./a_spec.lua:3: killed by signal 11 %(SIGSEGV%) in this test\n",
        r.stdout)
      assert.matches("%./a_spec.lua:4: ended by exit%(0%) in this test", r.stdout)
    end)

    it("calls a function there, and has what it returns or raises", function()
      local r = run(way, [[
        it("calls", function()
          local a, b, c = isolated.call({ timeout = 20 }, function(x) return x, nil, { "y" } end, 1)
          assert.same({ 1, nil, { "y" } }, { a, b, c })
          assert.has_error(function() isolated.call({}, function() error("raised", 0) end) end, "raised")
          assert.error_matches(function() isolated.call({}, function() os.exit(3) end) end, "has left with the status 3")
        end)]])
      assert.equal("1 0 0 0", r.summary, r.stdout .. r.stderr)
    end)

    it("makes pending, with the reason, what the machine has not", function()
      local text = [[
        it("needs what is there", function() isolated.needs { "pidfd" } end)
        it("needs root", function() isolated.needs { "pidfd", "root" } end)
        describe("a block", function()
          isolated.needs "root"
          it("has it all", function() error "never" end)
        end)
        it("knows its features", function() isolated.needs "overlai" end)]]
      local r = run(way, text, { nobody = true })
      assert.equal("1 0 1 2", r.summary, r.stdout .. r.stderr)
      assert.matches("needs root: the user is not root", r.stdout)
      assert.matches("unknown feature 'overlai' %(did you mean 'overlay'%?%)", r.stdout)
      r = run(way, text, { nobody = true, env = { NS_REQUIRE = "all" } })
      assert.matches("needs root: the user is not root %(NS_REQUIRE=all%)", r.stdout)
      assert.is_nil(r.ok)
    end)

    machine.it("sandbox", "python")("has servers and containers that end with the test", function()
      local r = run(way, ([[
        local last
        it("serves", function()
          local s = isolated.server { "python3", "-m", "http.server", "PORT", wait_for = { port = PORT } }
          last = s.process
          assert.nothing_left()
        end)
        it("is not taken for another", function()
          local words = { "python3", "-m", "http.server", "PORT", wait_for = PORT }
          isolated.server(words)
          local ok, message = pcall(isolated.server, words)
          assert.is_false(ok)
          assert.matches("the port PORT is another server's already", message)
          words.flags = "net,user"
          isolated.server(words)
        end)
        it("serves no more", function() assert.truthy(last.handle:isclosed()) end)
        describe("with one for all", function()
          local c
          setup(function() c = isolated.container() end)
          it("runs", function() assert.stdout(c:run("echo", "one"), "^one\n") end)
          it("runs still", function() assert.exits(0, c:run "true") end)
        end)
        it("serves with workers that come later", function()
          isolated.server { "sh", "-c", "echo ready; sleep 0.3; sleep 1005 & sleep 1005", wait_for = { pattern = "ready" } }
          os.execute "sleep 0.6"
          assert.nothing_left()
        end)
        it("waits for a word", function()
          local s = isolated.server { "sh", "-c", "echo it is ready; exec sleep 1004", wait_for = { pattern = "ready" } }
          assert.equal("it is ready\n", s:logs())
        end)
        it("says why there is none", function()
          isolated.server { "sh", "-c", "echo no port >&2; exit 2", wait_for = { file = "/none" } }
        end)
        it("says why it is not started", function()
          isolated.server { "/nosuch", wait_for = 80 }
        end)
        it("says what was wrong in ready", function()
          isolated.server { "sleep", "1004", wait_for = { ready = function() error "not so" end } }
        end)]]):gsub("PORT", tostring(20000 + core.random(10000))), { spec = { timeout = 120 } })
      assert.equal("7 0 3 0", r.summary, r.stdout .. r.stderr)
      assert.matches("a_spec.lua:%d+: the server has ended %(exit 2%)\nno port", r.stdout)
      assert.matches("\n./a_spec.lua:37: exec '/nosuch': No such file", r.stdout, 1, true)
      assert.matches("\n./a_spec.lua:40: not so", r.stdout, 1, true)
    end)

    it("has assertions that show what there was", function()
      local r = run(way, [[
        local function sh(line) return ns.run { "sh", "-c", line, timeout = 20 } end
        it("passes", function()
          assert.exits(3, sh "exit 3")
          assert.is_not.exits(0, sh "exit 3")
          assert.signalled("TERM", sh "kill $$")
          assert.times_out(ns.run { "sleep", "9", timeout = 0.05, grace = 0 })
          assert.stdout(sh "echo out", "^out")
          assert.has_no.stderr(sh "echo out", "out")
          assert.nothing_left()
        end)
        it("fails", function() assert.exits(0, sh "echo some; echo why >&2; exit 3") end)
        it("fails by a signal", function() assert.exits(0, sh "kill -9 $$") end)
        it("did not start", function() assert.exits(0, ns.run { "/none" }) end)
        it("leaves a file", function()
          local f = io.open "/etc/passwd"
          local ok, e = pcall(assert.nothing_left)
          f:close()
          error(e, 0)
        end)]])
      assert.equal("1 3 1 0", r.summary, r.stdout .. r.stderr)
      assert.matches("Expected to exit with 0, but:\n%(ns.Result%) "
        .. "sh %-c 'echo [^\n]*': exit 3\n  stderr:\n  | why\n", r.stdout)
      assert.matches("'kill %-9 $$': killed by signal 9 %(SIGKILL%)", r.stdout)
      assert.matches("assert.exits: a result expected, got nil: exec '/none': No such file", r.stdout)
      assert.matches("Expected nothing to be left, but:\n%d+ %-> /etc/passwd", r.stdout)
    end)

    it("has assertions that take a message", function()
      local r = run(way, [[
        local no, slow = ns.run { "false" }, ns.run { "sleep", "9", timeout = 0.05, grace = 0 }
        it("exits", function() assert.exits(0, no, "said exits") end)
        it("signalled", function() assert.signalled("KILL", no, "said signalled") end)
        it("times out", function() assert.is_not.times_out(slow, "said times out") end)
        it("stdout", function() assert.stdout(no, "x", "said stdout") end)
        it("stderr", function() assert.stderr(no, "x", "said stderr") end)
        it("nothing left", function()
          local f = io.open "/etc/passwd"
          local ok, e = pcall(assert.nothing_left, "said nothing left")
          f:close()
          assert(ok, tostring(e.message or e))
        end)]])
      for _, name in ipairs { "exits", "signalled", "times out", "stdout", "stderr", "nothing left" } do
        assert.matches(("said %s\nExpected "):format(name), r.stdout, 1, true)
      end
    end)

    it_can("says at the users' line what is wrong", function()
      local r = run(way, [[
        it("asks a start that was refused",
          function() assert.exits(0, ns.run { "nosuch" }) end)
        it("needs root",
          function() isolated.needs "root" end)
        it("fails in a call",
          function() isolated.call({ "uts" }, function()
            assert.equal(1, 2, "not equal") end) end)
        it("is put off in a call", function() isolated.call({ "uts" }, function() pending "for now" end) end)
        it("raises a table in a call", function() isolated.call({ "uts" }, function() error { code = 3 } end) end)
        describe("x", function() isolated.it("x", { "uts", hostnam = "x" }, function() end) end)
        describe("y", function() isolated.describe("y", { "uts", timeout = "x" }, function() end) end)
        isolated.it("takes long", { "uts", timeout = 0.5 }, function() while true do end end)]], { nobody = true })
      assert.equal("0 1 5 2", r.summary, r.stdout .. r.stderr)
      assert.matches("a_spec.lua:3: assert.exits: a result expected, got nil: exec 'nosuch'", r.stdout, 1, true)
      assert.matches("Pending -> ./a_spec.lua @ 5\nneeds root\n", r.stdout, 1, true)
      assert.matches("Failure -> ./a_spec.lua @ 6\nfails in a call\n./a_spec.lua:8: not equal\nExpected", r.stdout, 1, true)
      assert.matches("./a_spec.lua:11: bad argument #2 to 'it' (hostnam: unknown word", r.stdout, 1, true)
      assert.matches("./a_spec.lua:12: bad argument #2 to 'describe' (timeout: ", r.stdout, 1, true)
      assert.matches("./a_spec.lua:13: timeout: the test has run for 0.5 s", r.stdout, 1, true)
      assert.is_nil(r.stdout:find "lua/ns/")
    end)

    machine.it("user", "net", "python")("has servers at sockets, and all ports", function()
      local r = run(way, [[
        local CODE = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('%s'); time.sleep(0.2); s.listen(1);"
          .. "s.accept(); print('somebody came', flush=True); time.sleep(1000)"
        it("waits for a path", function()
          local path = os.tmpname()
          os.remove(path)
          local s = isolated.server { "python3", "-c", CODE:format(path), wait_for = path }
          os.remove(path)
          assert.equal("", s:logs())
        end)
        it("waits for one that is bound below its directory", function()
          isolated.server { "python3", "-c", CODE:format "@named":gsub("@", "\\0"), wait_for = "@named" }
        end)
        isolated.it("has port 80", { "net", "pid" }, function()
          isolated.server { "python3", "-c", "import socket, time; s = socket.create_server(('', 80)); time.sleep(99)",
            wait_for = 80 }
        end)]], { nobody = true, spec = { timeout = 120 } })
      assert.equal("3 0 0 0", r.summary, r.stdout .. r.stderr)
    end)
  end)
end

describe("ns.test.run", function()
  local function tap(words)
    local lines = {}
    words.output = { write = function(_, text) lines[#lines + 1] = text end, flush = function() end }
    return ns.test.run(words), table.concat(lines)
  end

  it("says in TAP what files and functions have come to", function()
    local directory, remove = isolated.project {
      ["good.lua"] = "assert(arg[0]:find 'good.lua$') io.open('/tmp/ns_test', 'w'):close()",
      ["bad.lua"] = "error 'it went wrong'", ["leaves.lua"] = "print 'said' os.exit(3)", ["none.lua"] = "no lua" }
    local ok, text = tap { directory .. "/good.lua", directory .. "/bad.lua", directory .. "/leaves.lua",
      directory .. "/none.lua", function() end, dies = function() os.execute "kill -SEGV $PPID" end,
      ["a #1"] = function() assert(not io.open "/tmp/ns_test") end, jobs = 3, timeout = 20 }
    remove()
    assert.is_false(ok)
    assert.matches("^1%.%.7\nok 1 %- [^\n]*/good.lua\nnot ok 2 %- [^\n]*/bad.lua\n# exit 1\n", text)
    assert.matches("\n# [^\n]*bad.lua:1: it went wrong\n# stack traceback", text)
    assert.matches("\nnot ok 3 %- [^\n]*leaves.lua\n# exit 3\n# said\n", text)
    assert.matches("\nok 5 %- test 5\nok 6 %- a \\#1\nnot ok 7 %- dies\n# killed by signal 11", text)
  end)

  it("ends what takes too long, and is good where all is", function()
    local ok, text = tap { function() while true do end end, timeout = 0.2 }
    assert.is_false(ok)
    assert.matches("not ok 1 %- test 1\n# timeout", text)
    ok, text = tap { function() end }
    assert.is_true(ok)
    assert.equal("1..1\nok 1 - test 1\n", text)
    ok, text = tap {}
    assert.is_true(ok)
    assert.equal("1..0\n", text)
  end)

  it("has names that are one line and no directive", function()
    local _, text = tap { ["two\nnot ok 9 - x"] = function() end, ["# skip \\"] = function() end }
    assert.equal("1..2\nok 1 - \\# skip \\\\\nok 2 - two not ok 9 - x\n", text)
  end)

  it("tells what is left, also behind an os.exit", function()
    local function leak() _G.left = io.open "/etc/passwd" end
    local words = { function() os.execute "sleep 1011 &" end, leak, function() leak() os.exit(0) end,
      function() os.execute "sleep 0.01 &" io.open "/etc/passwd" end, timeout = 20 }
    local ok, text = tap(words)
    assert.is_false(ok)
    assert.matches("not ok 1 %- test 1\n# exit 1\n# it has left 1 process: pid %d+ `sleep 1011`\nnot ok 2 [^\n]*\n# exit 1\n"
      .. "# it has left 1 descriptor: %d+ %-> /etc/passwd\nnot ok 3 [^\n]*\n# exit 1\n# it has left 1 d[^\n]*\nok 4", text)
    words.leaks, words.descriptors = "warn", "ignore"
    ok, text = tap(words)
    assert.is_true(ok)
    assert.matches("ok 1 %- test 1\n# it has left 1 process: pid %d+ `sleep 1011`\nok 2 %- test 2\nok 3 ", text)
  end)

  machine.it("user", "net", "uts", "mount")("has the words of the settings", function()
    local ok, text = tap { function() assert(not io.open "/tmp/ns_own") end, net = function()
      local f = io.open "/proc/net/dev"
      local _, n = f:read("*a"):gsub(":", "")
      f:close()
      assert(n == 1, n)
    end, timeout = 20 }
    assert.is_true(ok, text)
    local path = os.tmpname()
    ok, text = tap { function() assert(io.open(path)):close() end, tmp = "host", net = "host" }
    os.remove(path)
    assert.is_true(ok, text)
    ok, text = tap { function() assert(io.open("read_only", "w")) end, tree = "read", tmp = "64k" }
    assert.is_false(ok, text)
    assert.matches("read_only: Read%-only file system", text)
  end)

  it("keeps so much of what a test writes, and no more", function()
    local ok, text = tap { function()
      io.stderr:write(("x"):rep(5000))
      os.exit(1)
    end, max_output = 3000 }
    assert.is_false(ok)
    assert.matches("# " .. ("x"):rep(3000) .. "\n$", text)
  end)

  it("knows mistakes", function()
    assert.error_matches(function() ns.test.run { job = 2 } end, "unknown word 'job' %(did you mean 'jobs'%?%)")
    assert.error_matches(function() ns.test.run { jobs = "x" } end, "to 'run' %(jobs: integer expected, got string%)")
    assert.error_matches(function() ns.test.run { limits = { memroy = 1 } } end, "limits: unknown field 'memroy'")
    assert.error_matches(function() ns.test.run { spec = {}, net = "host" } end, "net: given beside 'spec'")
    assert.error_matches(function() ns.test.run { 1 } end, "the path of a Lua file or a function expected, got number")
    assert.error_matches(function() ns.test.run "x" end, "table expected, got string")
  end)
end)

describe("the example of tests #system", function()
  machine.it("user", "time", "net", "python")("passes, each as it should", function()
    local r = isolated.run({ ["a_spec.lua"] = machine.read "examples/testing_spec.lua" }, { spec = { timeout = 120 } }, "-o",
      "plainTerminal", "--helper=ns.busted", ".")
    assert.equal("4 0 0 0", r.summary, r.stdout .. r.stderr)
  end)
end)
