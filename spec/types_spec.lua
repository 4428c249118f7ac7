--- library/ns.lua, the types for editors, names what is there: all of it and nothing else. The manual names all words.
local box = require "ns.box"
local constants = require("ns.core").constants
local machine = require "support.machine"
local kinds = require("ns.words.mount_kinds").all
local ns = require "ns"
local plan = require "ns.start.plan"
local process = require "ns.running.process"

local LIBRARY = "library/ns.lua"

--- Adds what one line declares. `at` remembers the class that is open, and which local stands for which class.
local function read_line(line, classes, at)
  local class = line:match("^%-%-%-@class ([%w%._]+)")
  if class then
    classes[class], at.class = {}, class
  end
  local field = line:match("^%-%-%-@field ([%w_]+)")
  if field then classes[at.class][field] = true end
  local holder = line:match("^local (%w+) = {}")
  if holder then at[holder] = at.class end
  local owner, name = line:match("^function (%w+)[%.:]([%w_]+)%(")
  if owner then classes[at[owner]][name] = true end
end

local function read_classes(path)
  local classes, at = {}, {}
  for line in machine.read(path):gmatch("[^\n]+") do read_line(line, classes, at) end
  return classes
end

--- The string keys of all the tables, without metamethods and the like.
local function keys(...)
  local set = {}
  for _, t in ipairs { ... } do
    for key in pairs(t) do
      if type(key) == "string" and not key:find("^__") then set[key] = true end
    end
  end
  return set
end

local function missing(from, set)
  local list = {}
  for name in pairs(set) do
    if not from[name] then list[#list + 1] = name end
  end
  table.sort(list)
  return table.concat(list, " ")
end

describe("the types for editors", function()
  local classes = read_classes(LIBRARY)

  local function compare(class, there)
    local said = assert(classes[class], "no class " .. class)
    assert.equal("", missing(said, there), class .. ": without an annotation")
    assert.equal("", missing(there, said), class .. ": annotated, but not there")
  end

  it("name the functions of the module", function() compare("ns", keys(ns)) end)

  it("name the words of a spec", function() compare("ns.Spec", keys(plan.words)) end)

  it("name the methods of a box", function() compare("ns.Box", keys(getmetatable(box.over({})).__index)) end)

  it("name the methods and fields of a process", function()
    local p = assert(ns.spawn { "sleep", "60", pty = true, stdin = "pipe", stdout = "pipe", stderr = "pipe",
      timeout = 0.2 })
    p.published = {} -- of those that have any
    p:wait()
    local fields = {}
    for name in pairs(classes["ns.Process"]) do
      if rawget(p, name) ~= nil then fields[name] = true end
    end
    p:close()
    compare("ns.Process", keys(process.methods, fields))
  end)

  it("name the methods of a container and of a pool", function()
    for class, file in pairs { ["ns.Container"] = "container", ["ns.Pool"] = "pool" } do
      local is_container = class == "ns.Container" or nil
      local methods = { left_out = is_container, main = is_container, published = is_container }
      for name in machine.read(("lua/ns/%s.lua"):format(file)):gmatch("\nfunction %u%l+:(%l[%l_]+)") do
        methods[name] = true
      end
      compare(class, methods)
    end
  end)

  it("name the methods of a network and of its links", function()
    for class, file in pairs { ["ns.Net"] = "net", ["ns.Link"] = "net/link" } do
      local methods = keys(class == "ns.Link" and { name = true } or ns.net.star(1))
      for _, name in ipairs { "families", "sides", "last_index", "fabric" } do methods[name] = nil end
      for name in machine.read(("lua/ns/%s.lua"):format(file)):gmatch("\nfunction %u%l+:(%l+)") do methods[name] = true end
      compare(class, methods)
    end
  end)

  it("name the methods of a terminal", function()
    local p = assert(ns.spawn { "true", pty = true })
    compare("ns.Pty", keys(getmetatable(p.pty).__index))
    p:close()
  end)

  it("name the methods of a connection", function()
    local methods, text = {}, machine.read "lua/ns/running/connection.lua"
    for name in text:gmatch("\nfunction Connection:(%l+)") do methods[name] = true end
    compare("ns.Connection", methods)
  end)

  it("name the methods of a stream", function()
    local p = assert(ns.spawn { "true", pty = true })
    compare("ns.Stream", keys(getmetatable(p:stream "pty").__index))
    p:close()
  end)

  for kind, entry in pairs(kinds) do
    it("name the fields of the mount " .. kind, function()
      compare("ns.Mount." .. kind, keys(entry.fields, { type = kind }))
    end)
  end

  it("name the kinds of mounts", function()
    local named = {}
    for kind in machine.read(LIBRARY):gmatch("\n%-%-%-| ns%.Mount%.(%w+)") do named[kind] = true end
    assert.equal("", missing(named, kinds))
    assert.equal("", missing(kinds, named))
  end)

  it("name the resource limits", function()
    local names = {}
    for name in pairs(constants.rlimit) do names[name:lower()] = true end
    compare("ns.Limits", names)
  end)

  it("name the fields of a result", function()
    local ended = assert(ns.run { "sh", "-c", "echo long", max_output = 1 })
    local killed = assert(ns.run { "sh", "-c", "kill -9 $$", init = true, no_new_privs = true, seccomp = { trace = true } })
    compare("ns.Result", keys(ended, killed, ns.parallel({ { "/etc" } }, {})[1], { changes = ended.changes }))
    compare("ns.Usage", keys(ended.usage))
  end)

  it("name the fields of a detail", function()
    local function detail(spec) return (select(4, ns.spawn(spec))) end
    compare("ns.Detail", keys(detail { "/etc" }, detail { "true", stdout = { path = "/nowhere/file" } },
      detail { "true", rlimits = { nofile = 2 ^ 40 } }))
  end)

  --- What stands between backquotes in the cells of a column: {[name in the first column] = {[name] = true}}.
  local function cells(column, text)
    local found = {}
    for row in text:gmatch("\n(|[^\n]+)") do
      local first, i = nil, 0
      for cell in row:gmatch("|([^|]*)") do
        i = i + 1
        for name in cell:gmatch("`([%w_]+)`") do
          if i == 1 then
            first = found[name] or {}
            found[name] = first
          elseif i == column and first then
            first[name] = true
          end
        end
      end
    end
    return found
  end

  it("stand in doc/words.md, as far as they are words", function()
    assert.equal("", missing(cells(1, machine.read "doc/words.md"), plan.words), "not in the tables of words")
  end)

  it("stand in doc/files.md, as far as they are fields of mounts", function()
    local listed = cells(2, machine.read "doc/files.md")
    for kind, entry in pairs(kinds) do
      assert.equal("", missing(listed[kind] or {}, entry.fields), "not in the table of mounts: " .. kind)
    end
  end)

  it("stand in doc/security.md, as far as the sandbox, or a confined box, sets them", function()
    for title, preset in pairs { ["The sandbox"] = ns.sandbox, ["Without namespaces"] = ns.confined } do
      local section = machine.read("doc/security.md"):match("\n## " .. title .. "\n(.-)\n## ")
      assert.equal("", missing(cells(1, section), preset():spec()))
    end
  end)

  it("stand in doc/errors.md, as far as they are features", function()
    local listed = cells(1, machine.read "doc/errors.md")
    assert.equal("", missing(listed, ns.features()), "not in the table of features")
  end)
end)
