-- Who uses whom among the files of src: a file is read, and understood, after those that it uses.
local machine = require "support.machine"
local ns = require "ns"

local function list(pattern)
  local pipe, names = assert(io.popen("ls " .. pattern)), {}
  for path in pipe:lines() do names[#names + 1] = path end
  pipe:close()
  return names
end

--- The code of a file, without comments and strings.
local function read(path)
  return (machine.read(path):gsub("/%*.-%*/", " "):gsub("//[^\n]*", ""):gsub('#include[^\n]*', ""):gsub('"[^"\n]*"', '""'))
end

--- {[name] = file} of what the headers of a folder declare, and a file of it defines.
local function lent_by(folder)
  local declared, lent = {}, {}
  for _, path in ipairs(list(folder .. "/*.h")) do
    for name in read(path):gmatch("([%a_][%w_]*)[%(%[]") do declared[name] = true end
    for name in read(path):gmatch("\nextern [^;]-([%w_]+)[;%[]") do declared[name] = true end
  end
  for _, path in ipairs(list(folder .. "/*.c")) do
    for head, name in ("\n" .. read(path)):gmatch("\n([%a_][^\n;={}%(]-)([%a_][%w_]*)%b()%s*{") do
      if declared[name] and not head:find("static", 1, true) then lent[name] = path end
    end
    for name in read(path):gmatch("\nconst [^\n;%(]-([%w_]+)[%[%]]* = ") do
      if declared[name] then lent[name] = path end
    end
  end
  return lent
end

--- {[file] = {[used file] = name}} of a folder.
local function uses_of(folder)
  local lent, uses = lent_by(folder), {}
  for _, path in ipairs(list(folder .. "/*.c")) do
    uses[path] = {}
    for name in read(path):gmatch("[%a_][%w_]*") do
      if lent[name] and lent[name] ~= path then uses[path][lent[name]] = name end
    end
  end
  return uses
end

--- A way from a file back to itself, as text; or nil.
local function circle(uses)
  local done = {}
  local function walk(file, way)
    for i, before in ipairs(way) do
      if before == file then return table.concat(way, " -> ", i) .. " -> " .. file end
    end
    if done[file] then return nil end
    way[#way + 1] = file
    for used in pairs(uses[file]) do
      local found = walk(used, way)
      if found then return found end
    end
    way[#way], done[file] = nil, true
  end
  for file in pairs(uses) do
    local found = walk(file, {})
    if found then return found end
  end
end

local function includes(path)
  local seen = {}
  for name in machine.read(path):gmatch('#include "([^"]+)"') do seen[#seen + 1] = name end
  return seen
end

describe("the files of src", function()
  it("see a circle where there is one", function()
    assert.equal("a -> b -> a", circle { a = { b = "f" }, b = { a = "g" } }:gsub("^b %-> a %-> b$", "a -> b -> a"))
    assert.is_nil(circle { a = { b = "f", c = "f" }, b = { c = "f" }, c = {} })
    assert.truthy(uses_of("src/core")["src/core/process.c"]["src/core/launch.c"])
  end)

  for _, folder in ipairs { "src/core", "src/launcher" } do
    it("use each other in no circle: " .. folder, function() assert.is_nil(circle(uses_of(folder))) end)
  end

  it("that are the launcher's know nothing of the host but the plan", function()
    for _, path in ipairs(list "src/launcher/*.[ch]") do
      for _, name in ipairs(includes(path)) do
        assert.is_true(name == "../plan.h" or not name:find("/", 1, true), path .. " includes " .. name)
      end
    end
    assert.same({}, includes "src/plan.h")
  end)

  it("and those of lua/ns call the bits of a step by the same names, each a bit of its own", function()
    local bits, named, all = require("ns.core").constants.step, {}, 0
    for name in read("src/plan.h"):gmatch("STEP_(%u[%u_]*) = ") do
      named[name] = true
      assert.is_true(bits[name] and math.floor(all / bits[name]) % 2 == 0, name)
      all = all + bits[name]
    end
    for name in pairs(bits) do assert.is_true(named[name], name) end
    for _, path in ipairs(list "lua/ns/*.lua lua/ns/*/*.lua") do
      for _, field in ipairs { "how", "flags", "clear", "which" } do
        assert.is_nil(machine.read(path):match("%f[%w]" .. field .. " = [1-9]"), path)
      end
    end
  end)

  it("have lines of at most 120 columns, comments too, which clang-format leaves alone", function()
    for _, path in ipairs(list "src/*.h src/*/*.h src/*/*.c") do
      local number = 0
      for line in (machine.read(path) .. "\n"):gmatch "([^\n]*)\n" do
        number = number + 1
        assert.truthy(#line <= 120, ("%s:%d"):format(path, number))
      end
    end
  end)

  it("that start the process know no Lua", function()
    local LUA_LESS = { child = true, image = true, io = true, spawn = true }
    for name in pairs(LUA_LESS) do
      for _, ending in ipairs { ".c", ".h" } do
        for _, used in ipairs(includes("src/core/" .. name .. ending)) do
          local own = used:match("^(%w+)%.h$")
          assert.is_true(not own or LUA_LESS[own], ("%s%s includes %s"):format(name, ending, used))
        end
      end
    end
  end)
end)

describe("a system call", function()
  -- The child of clone3(2) on our stack would overwrite the frame of a function in between: the host crashed without -O2.
  it("is made where it stands, whatever the compiler is told #system", function()
    local r = assert(ns.run { "gcc", "-O0", "-std=gnu11", "-D_GNU_SOURCE",
      '-DLAUNCHER="x"', "-S", "-o", "-", "src/core/spawn.c" })
    assert.truthy(r.ok, r.stderr)
    assert.matches("clone_into", r.stdout)
    assert.is_nil(r.stdout:find("sys6", 1, true))
  end)
end)
