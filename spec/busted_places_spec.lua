--- `busted --helper=ns.busted`: what hangs, dies or leaks outside the body of a test is told where it was, and of who did
-- it; the rest of the file goes on.
local isolated = require "support.isolated"
local machine = require "support.machine"

local BUSY = "while true do end"
local LOOP = "while true do os.execute 'sleep 0.2' end" -- leaves the processors to the others
local EXIT = "os.exit(3)"
local DEAF = "while true do pcall(function() while true do end end) end"

--- A file whose hooks do what they do, if they are named, with tests before and behind.
local function file_with(hooks)
  return ([[
    it("before", function() end)
    describe("x", function()
      before_each(function() %s end)
      after_each(function() %s end)
      setup(function() %s end)
      teardown(function() %s end)
      lazy_setup(function() %s end)
      lazy_teardown(function() %s end)
      it("one", function() finally(function() %s end) end)
      %s
    end)
    it("behind", function() print "behind" end)]]):format(hooks.before_each or "", hooks.after_each or "", hooks.setup or "",
      hooks.teardown or "", hooks.lazy_setup or "", hooks.lazy_teardown or "", hooks.finally or "", hooks.body or "")
end

local OF_TEST = { before_each = true, after_each = true, finally = true }

--- {file, a pattern of what is said, its line}: each hook, in each way; what ends by itself, and what has to be ended.
local ROWS, ENDS, HANGS = {}, {}, {}
local function row(files, name, hooks, line, ...)
  files[name .. "_spec.lua"] = type(hooks) == "string" and hooks or file_with(hooks)
  ROWS[#ROWS + 1] = { name, line, n = 2 + select("#", ...), ... }
end
local HOOKS = { "before_each", "after_each", "setup", "teardown", "lazy_setup", "lazy_teardown", "finally", "body" }
for i, hook in ipairs(HOOKS) do
  local line = hook == "body" and 2 or i == 7 and 9 or i + 2
  local owner = OF_TEST[hook] and "'one'" or "'x'"
  local where = ("in %s of %s"):format(hook == "body" and "the body" or hook, owner)
  local hangs = ("timeout: the %s has run for 3 s"):format(OF_TEST[hook] and "test" or "block")
  row(HANGS, "loops_in_" .. hook, { [hook] = LOOP }, line, hangs, where)
  row(ENDS, "dies_in_" .. hook, { [hook] = EXIT }, line, "ended by exit(3) " .. where)
end
row(HANGS, "cannot_be_interrupted", { setup = DEAF }, 5,
  "timeout: the block has run for 3 s, and could not be interrupted in setup of 'x'")
row(HANGS, "loops_in_the_file", BUSY, nil, "timeout: the file has run for 3 s", "in the body of the file")
row(ENDS, "dies_in_the_file", EXIT, 0,
  "ended by exit(3) in the body of the file; what comes after it in this file did not run")
row(HANGS, "sleeps_in_the_files_setup", "setup(function() os.execute 'exec sleep 1008' end) it('one', print)", 1,
  "could not be interrupted in setup of the file; what comes after it in this file did not run")

local function run(files, settings)
  local r = isolated.harness(files, { env = { NS_BUSTED = settings }, spec = { timeout = 120 } }, ".")
  local said, place = {}, nil
  for line in r.stdout:gmatch("[^\n]*") do
    place = line:match("^%u%l+ %-> %./([%w_.]+) @ %d+$") or place
    if place then said[place] = (said[place] or "") .. line .. "\n" end
  end
  r.said = said
  return r
end

local function errors_of(r) return tonumber(r.summary:match "^%d+ %d+ (%d+)") end

describe("a file whose code outside a test", function()
  local ended, hung
  lazy_setup(function()
    ended = run(ENDS, "jobs=4")
    hung = run(HANGS, "jobs=12,timeout=3") -- all at once: a busy machine has time to come to where they hang
  end)

  for _, one in ipairs(ROWS) do
    local name = one[1]
    it(name:gsub("_", " ") .. " says so there", function()
      local text = ended.said[name .. "_spec.lua"] or hung.said[name .. "_spec.lua"] or hung.stdout
      for i = 3, one.n do assert.matches(one[i], text, 1, true) end
      if one[2] then assert.matches(("_spec.lua @ %d\n"):format(one[2]), text, 1, true) end
      assert.equal(1, select(2, text:gsub("%u%l+ %-> ", "")))
    end)
  end

  it("goes on behind that", function()
    assert.equal(#ROWS - 3, select(2, (ended.stdout .. hung.stdout):gsub("behind\n", "")))
    assert.equal(#ROWS, errors_of(ended) + errors_of(hung))
  end)
end)

describe("the hooks of a helper", function()
  for hook, message in pairs { setup = "the suite has run for 2 s in setup of the suite",
    before_each = "the test has run for 2 s in before_each of 'one'" } do
    it("have their time, too: " .. hook, function()
      local helper = "require 'ns.busted' require 'busted'.%s(function() while true do os.execute 'sleep 0.01' end end)"
      local r = isolated.run({ ["helper.lua"] = helper:format(hook), ["a_spec.lua"] = "it('one', print)" },
        { env = { NS_BUSTED = "timeout=2" } }, "-o", "plainTerminal", "--helper=helper.lua", ".")
      assert.equal("0 0 1 0", r.summary, r.stdout .. r.stderr)
      assert.matches("helper.lua:1: timeout: " .. message, r.stdout, 1, true)
    end)
  end
end)

describe("what is left", function()
  local TESTS = {
    { "is_of_who_has_it", [[
      describe("x", function()
        local p
        before_each(function() p = io.open "/etc/passwd" end)
        after_each(function() p:close() end)
        it("is innocent", function() end)
      end)
      it("leaks", function() F = io.open "/etc/passwd" end)]], "7: the test 'leaks' has left 1 descriptor: %d+ %-> /etc/p" },
    { "is_a_pidfd", [[
      local ns = require "ns"
      it("begins", function() end)
      it("leaks", function() P = ns.spawn { "true" } P:wait() end)]],
      "3: the test 'leaks' has left 1 descriptor: %d+ %-> anon" },
    { "has_the_number_of_another", [[
      local f
      it("opens", function() f = io.open "/etc/passwd" end)
      it("does so", function() f:close() f = io.open "/etc/group" end)
      after_each(function() assert(f) end)]],
      "3: the test 'does so' has left 1 descriptor: %d+ %-> /etc/group" },
    { "is_garbage_of_one_before", [[
      it("forgets", function() io.open "/etc/passwd" end)
      it("leaks", function() F = io.open "/etc/passwd" end)]], "2: the test 'leaks' has left 1 descriptor" },
    { "is_of_a_setup", [[
      describe("x", function()
        setup(function() F = io.open "/etc/passwd" end)
        it("is innocent", function() end)
      end)]], "2: setup of 'x' has left 1 descriptor" },
    { "is_told_though_one_dies", [[
      local f
      it("leaves a process", function() os.execute "sleep 1009 &" end)
      it("starts what ends", function() os.execute "sleep 0.02 &" end)
      it("opens", function() f = io.open "/etc/passwd" end)
      it("closes", function() f:close() end)
      it("dies", function() os.exit(3) end)
      it("goes on", function() end)]], "2: the test 'leaves a process' has left 1 process: pid %d+ `sleep 1009`\n", 2 },
    { "is_of_an_isolated_test", [[
      local isolated = require "ns.busted"
      isolated.it("leaves it", { "uts" }, function() os.execute "sleep 1009 &" end)]],
      "2: the test 'leaves it' has left 1 process: pid %d+ `sleep 1009`" },
    { "is_of_a_test_in_an_isolated_block", [[
      local isolated = require "ns.busted"
      isolated.describe("x", { "pid" }, function()
        it("begins", function() end)
        it("leaves it", function() F = io.open "/etc/passwd" end)
      end)]], "4: the test 'leaves it' has left 1 descriptor" },
  }
  local r
  lazy_setup(function()
    local files = {}
    for _, one in ipairs(TESTS) do files[one[1] .. "_spec.lua"] = one[2] end
    r = run(files, "jobs=2")
  end)

  for _, one in ipairs(TESTS) do
    machine.it("user", "pid", "uts")(one[1]:gsub("_", " "), function()
      local text = r.said[one[1] .. "_spec.lua"] or r.stdout
      assert.matches("_spec.lua:" .. one[3], text)
      assert.equal(one[4] or 1, select(2, text:gsub("%u%l+ %-> ", "")))
    end)
  end

  it("by a server that a test has while it dies is none of that #system", function()
    local said = run({ ["a_spec.lua"] = [[
      local isolated = require "ns.busted"
      it("dies", function()
        isolated.server { "sh", "-c", "echo ready; exec sleep 1010", wait_for = { pattern = "ready" } }
        os.exit(3)
      end)]] }, "jobs=1")
    assert.equal("0 0 1 0", said.summary, said.stdout)
  end)
end)

describe("a file that goes on after a death #system", function()
  it("tells no error twice, loses none, and no block twice", function()
    local r = isolated.run({ ["a_spec.lua"] = [[
      describe("one", function() setup(function() error "not set up" end) it("never", print) end)
      describe("two", function()
        it("passes", function() end)
        setup(function() print "set up" end)
        describe("inner", function() setup(os.exit) it("never", print) end)
        it("dies", function() os.exit(3) end)
        it("goes on", function() end)
      end)]] }, nil, "-o", "TAP", "--helper=ns.busted", ".")
    assert.equal(2, select(2, ("\n" .. r.stdout):gsub("\nok ", "")), r.stdout)
    assert.equal(3, select(2, r.stdout:gsub("not ok ", "")), r.stdout)
    assert.equal(1, select(2, r.stdout:gsub("# Failure message: [^\n]*not set up", "")), r.stdout)
    assert.equal(3, select(2, r.stdout:gsub("\nset up\n", "\n")), r.stdout)
  end)

  it("does so in an isolated block", function()
    local r = isolated.harness({ ["a_spec.lua"] = [[
      local isolated = require "ns.busted"
      isolated.describe("block", { "uts" }, function()
        it("dies", function() os.exit(3) end)
        it("goes on", function() print "went on" end)
      end)
      it("is behind", function() end)]] }, nil, ".")
    assert.equal("2 0 1 0", r.summary, r.stdout .. r.stderr)
    assert.matches("went on\n", r.stdout)
    assert.matches("a_spec.lua:3: ended by exit%(3%) in this test\n", r.stdout)
  end)

  it("shows the last words of that test, not of one before", function()
    local r = isolated.harness({ ["a_spec.lua"] = [[
      it("says", function() io.stderr:write "said before\n" end)
      it("dies", function() os.exit(3) end)
      it("says and dies", function() io.stderr:write "said last\n" os.exit(4) end)]] }, nil, ".")
    assert.is_nil(r.stdout:find "said before")
    assert.matches("exit%(4%) in this test[^\n]*\nits last words on stderr:\nsaid last\n", r.stdout)
  end)
end)
