--- ns.parallel: many programs, some at a time.
local machine = require "support.machine"
local ns = require "ns"

local function each(results, field)
  local list = {}
  for i, r in ipairs(results) do list[i] = tostring(r[field]) end
  return table.concat(list, " ")
end

describe("programs in parallel", function()
  local echo = ns.box():argv("sh", "-c", 'sleep "0.$((5 - $0))"; printf %s "$0"; exit "$0"')

  it("have their results in the order of the list, whichever ends first", function()
    local results = ns.parallel({ "1", "2", "3", "4" }, echo, { jobs = 4 })
    assert.equal("1 2 3 4", each(results, "stdout"))
    assert.equal("1 2 3 4", each(results, "code"))
  end)

  it("are told one by one, as soon as each has ended", function()
    local told = {}
    local list = { { "sleep", "1" }, { "/no/such-program" }, { "sh", "-c", "exit 3" } }
    local results = ns.parallel(list, {}, { jobs = 3, each = function(r, i)
      told[#told + 1] = i
      list[i] = r
    end })
    assert.same({ 2, 3, 1 }, told)
    assert.same(list, results)
    assert.equal("exit refused exit", each(results, "how"))
  end)

  it("are so many at a time as was said, and no more", function()
    local directory, remove = machine.directory()
    finally(remove)
    local line = ("touch %s/$$; ls %s | wc -l; sleep 0.1; rm %s/$$"):format(directory, directory, directory)
    for _, jobs in ipairs { 1, 3 } do
      local most = 0
      local list = {}
      for i = 1, 9 do list[i] = { "sh", "-c", line } end
      for _, r in ipairs(ns.parallel(list, {}, { jobs = jobs })) do most = math.max(most, tonumber(r.stdout)) end
      assert.equal(jobs, most)
    end
  end)

  it("are each fed, read to the end and timed, however much the others write", function()
    local results = ns.parallel({
      { "sh", "-c", "head -c 3000000 /dev/zero" }, { "cat", stdin = ("x"):rep(300000) }, { "sleep", "60" },
      { "sh", "-c", "echo error >&2; kill -9 $$" }, { "sleep", "60", timeout = 0.2 },
    }, {}, { jobs = 5, timeout = 2 })
    assert.equal("3000000 300000 0 0 0", ("%d %d %d %d %d"):format(#results[1].stdout, #results[2].stdout,
      #results[3].stdout, #results[4].stdout, #results[5].stdout))
    assert.equal("false false true false true", each(results, "timed_out"))
    assert.equal("error\n", results[4].stderr)
    assert.equal("exit exit signal signal signal", each(results, "how"))
  end)

  it("that could not be started are results, too", function()
    local results = ns.parallel({ { "true" }, { "/no/such-program" }, { "true", cwd = "/nowhere" } }, ns.box())
    assert.equal("exit refused refused", each(results, "how"))
    assert.same({ 2, "exec" }, { results[2].errno, results[2].detail.step })
    assert.matches("^ns.Result %(refused: exec '/no/such%-program'", tostring(results[2]))
    assert.is_nil(results[2].ok)
  end)

  it("may come from a function", function()
    local results = ns.parallel({ 1, 2 }, function(item, i)
      if item == 2 then return nil, "not today", 11 end
      return ns.spawn { "echo", tostring(item + i), stdout = "pipe" }
    end)
    assert.same({ "2\n", "refused", "not today", 11 },
      { results[1].stdout, results[2].how, results[2].message, results[2].errno })
  end)

  it("may have words of their own, over those of the list", function()
    local box = ns.box():env("A", "1"):argv("sh", "-c", "echo $A $B $0")
    local results = ns.parallel({ "x", { env = { B = "2" } }, { "echo", "own" }, { clear_env = true } }, box)
    assert.equal("1 x\n 1 2 sh\n own\n sh\n", each(results, "stdout"))
    assert.equal("a b\n c\n", each(ns.parallel({ "b", { "echo", "c" } }, { "echo", "a" }), "stdout"))
    results = ns.parallel({ 1 }, function() return nil, {} end)
    assert.matches("refused: table", tostring(results[1]))
  end)

  machine.it("sandbox")("run in one container, or in a box of a pool each", function()
    local c, pool = assert(ns.sandbox():start()), ns.sandbox():pool(2)
    local list = {}
    for i = 1, 6 do list[i] = { "sh", "-c", "ls /tmp | wc -l; touch /tmp/$0", tostring(i) } end
    assert.equal("0\n 1\n 2\n 3\n 4\n 5\n", each(ns.parallel(list, c, { jobs = 1 }), "stdout"))
    assert.equal("0\n 0\n 0\n 0\n 0\n 0\n", each(ns.parallel(list, pool, { jobs = 2 }), "stdout"))
    c:close()
    pool:close()
  end)

  it("are all ended by a mistake, and by an error of the function", function()
    local function fails(message, ...)
      local ok, why = pcall(ns.parallel, ...)
      assert.is_false(ok)
      assert.matches(message, why)
    end
    fails("hostnam: unknown word", { { "sleep", "81234" }, { "true", hostnam = "x" } }, {})
    fails("for item 1 the function has returned boolean, no ns.Process", { 1 }, function() return false end)
    fails("broken", { 1, 2 }, function(i)
      if i == 2 then error "broken" end
      return ns.spawn { "sleep", "81234" }
    end)
    fails("list%[2%]: hostnam: unknown word", { { "true" }, { "true", hostnam = "x" } }, {})
    fails("list%[2%]: missing", { { "true" }, nil, { "true" } }, {})
    fails("list%[1%]: spec: unknown key of type boolean", { { "true", [true] = 1 } }, {})
    fails("argument #2 to 'parallel' %(hostnam: unknown word", { { "true" } }, { hostnam = "x" })
    fails("for item 1 the function has returned table, no ns.Process", { 1 }, function() return {} end)
    fails("for item 1 the function has returned nothing, no ns.Process", { 1 }, function() end)
    fails("list expected", nil, {})
    fails("a spec, box, container, pool or function", {}, 5)
    fails("options.each: function expected, got number", {}, {}, { each = 1 })
    fails("heard of it", { "81234", "0" }, ns.box():argv("sleep"), { jobs = 2, each = function() error "heard of it" end })
    fails("options: unknown field 'job'", {}, {}, { job = 1 })
    assert.equal(0, machine.processes("81234"))
  end)
end)
