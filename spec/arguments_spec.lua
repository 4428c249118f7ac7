--- More arguments than a function takes are a mistake: a second table of words would be dropped, and a time limit with it.
local machine = require "support.machine"
local ns = require "ns"

local unpack = table.unpack or unpack -- luacheck: ignore

--- What library/ns.lua declares: class -> name -> how many arguments. Those that take any number are not in it.
local function declared()
  local classes, holders, class = {}, {}, nil
  local function add(of, name, list)
    classes[of] = classes[of] or {}
    classes[of][name] = not list:find("...", 1, true) and select(2, list:gsub("[%w_]+", "")) or nil
  end
  for line in machine.read("library/ns.lua"):gmatch("[^\n]+") do
    class = line:match("^%-%-%-@class ([%w%._]+)") or class
    local word = line:match("^%-%-%-@field ([%w_]+) fun%(self: ns%.Box, value")
    local holder = line:match("^local (%w+) = {}")
    local owner, name, list = line:match("^function (%w+)[%.:]([%w_]+)%((.-)%)")
    if word then add("ns.Box", word, "value") end
    if holder then holders[holder] = class end
    if owner then add(holders[owner], name, list) end
  end
  return classes
end

--- A mistake of this file's line, with that text.
local function assert_mistake(text, f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok, text)
  assert.matches("arguments_spec%.lua:%d+: " .. text, message)
end

--- Each of the functions is called with one more argument than it takes; `...`: its object, if it is a method.
local function assert_refuses(class, functions, ...)
  local count = 0
  for name, most in pairs(assert(declared()[class], class)) do
    local list, from = { ... }, select("#", ...)
    list[from + most + 1] = false
    local text = ("bad argument #%d to '%s' %%(nothing expected, got boolean"):format(most + 1, name)
    assert_mistake(text, function() return functions[name](unpack(list, 1, from + most + 1)) end)
    count = count + 1
  end
  assert.truthy(count > 2, class)
end

describe("one more argument than it takes is refused by", function()
  it("each function", function() assert_refuses("ns", ns) end)

  it("each method of a box", function()
    local box = ns.box()
    assert_refuses("ns.Box", box, box)
    assert.same({}, box:spec())
  end)

  it("each method of a process", function()
    local p = assert(ns.spawn { "true" })
    finally(function() p:close() end)
    assert_refuses("ns.Process", p, p)
  end)

  machine.it("sandbox")("each method of a container, of a pool, and of a connection", function()
    local c, pool = assert(ns.sandbox():start()), ns.sandbox():pool(1)
    finally(function() c:close() pool:close() end)
    assert_refuses("ns.Container", c, c)
    assert_refuses("ns.Pool", pool, pool)
  end)

  it("each method of a network, of a link, and of changes", function()
    local net, changes = ns.net.star(1), ns.changes("/a", "/b")
    local link = net:link("h1", net:host "h9")
    assert_refuses("ns.Net", net, net)
    assert_refuses("ns.Link", link, link)
    assert_refuses("ns.Changes", changes, changes)
    assert_mistake("bad argument #2 to 'net' %(nothing", function() ns.net({}, 1) end)
    assert_mistake("bad argument #3 to 'star' %(nothing", function() ns.net.star(1, {}, 1) end)
  end)
end)

describe("what would be dropped", function()
  local words, limit = { "true" }, { timeout = 1 }

  it("is a second table of words, by ns and a box", function()
    local more = "bad argument #2 to '%s' %%(nothing expected, got table; all words go into one table%%)"
    for _, name in ipairs { "run", "spawn", "check", "explain" } do
      assert_mistake(more:format(name), function() return ns[name](words, limit) end)
      local box = ns.box()
      assert_mistake(more:format(name), function() return box[name](box, words, limit) end)
    end
    for _, name in ipairs { "box", "sandbox", "confined" } do
      assert_mistake(more:format(name), function() return ns[name](words, limit) end)
    end
    assert_mistake("bad argument #2 to 'spawn'", function() return ns.spawn(ns.box(), "ls") end)
    assert_mistake(more:format "start", function() return ns.sandbox():start(words, limit) end)
    assert_mistake(more:format "bundle", function() return ns.sandbox():bundle("/nowhere", words, limit) end)
  end)

  machine.it("sandbox")("is a second table of words, by a container and a pool", function()
    local c, pool = assert(ns.sandbox():start()), ns.sandbox():pool(1)
    finally(function() c:close() pool:close() end)
    for _, one in ipairs { c, pool } do
      for _, name in ipairs { "run", "spawn" } do
        assert_mistake("bad argument #2 to '" .. name, function() return one[name](one, words, limit) end)
      end
    end
    assert.equal("b\n", c:run("echo", "b").stdout)
  end)

  it("is what follows a list of arguments, a table of variables, or options", function()
    local box = ns.box()
    assert_mistake("bad argument #2 to 'argv'", function() box:argv(words, "-l") end)
    assert_mistake("bad argument #2 to 'env'", function() box:env({ A = "b" }, "c") end)
    for name, at in pairs { bind = 3, ro_bind = 3, overlay = 3, tmpfs = 2, dir = 2 } do
      local options = { try = name ~= "overlay" or nil }
      local arguments = at == 3 and { "/usr", options, "x" } or { options, "x" }
      assert_mistake(("bad argument #%d to '%s' %%(nothing expected"):format(at, name), function()
        return box[name](box, unpack(arguments))
      end)
    end
    assert.same({}, box:spec())
  end)
end)

describe("an argument too many is none", function()
  it("if it is nil, as what a callback gets", function()
    assert.same({ timeout = 1 }, ns.box():timeout(1, nil):clone(nil):spec())
    assert.truthy(ns.run({ "true" }, nil).ok)
  end)

  it("if it is the error of a block that is left, where Lua closes variables", function()
    if not rawget(_G, "_VERSION"):find "5%.[45]" then return end
    local r = machine.host [[
      local ns = require "ns"
      local p
      print(pcall(function()
        local one <close> = assert(ns.spawn { "sleep", "100" })
        p = one
        error("mine", 0)
      end))
      print(p:wait()) ]]
    assert.equal("false\tmine\nnil\tsignal\t9\n", r.stdout .. r.stderr)
  end)
end)
