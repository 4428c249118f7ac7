--- What the launcher gets is the same on every Lua. So what happens inside does not depend on the Lua: the sentences about
-- that, which have #system in their titles, are run by one of them (tools/test.sh).
local machine = require "support.machine"
local plans = require "support.plans"

--- One value as text, the keys of a table in their order.
local function show(value)
  if type(value) == "number" then return ("%.17g"):format(value) end
  if type(value) ~= "table" then
    return '"' .. tostring(value):gsub("[^ -~]", function(c) return ("\\%03d"):format(c:byte()) end) .. '"'
  end
  local keys, parts = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do parts[i] = show(key) .. "=" .. show(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local HOSTS = { root = {}, ["an ordinary user"] = plans.ordinary }

--- The steps of all specs, for both users, one a line.
local function all_steps()
  local lines = {}
  for name, host in pairs(HOSTS) do
    for i, spec in ipairs(require "support.specs") do
      local done, steps = pcall(plans.steps, spec, host)
      if not done and name == "root" then error(steps, 0) end
      for n, step in ipairs(done and steps or { (steps:gsub("^[^ ]*:%d+: ", "")) }) do
        lines[#lines + 1] = ("%s, spec %d, step %d: %s"):format(name, i, n, show(step))
      end
    end
  end
  table.sort(lines)
  return lines
end

if arg and arg[1] == "print" then return print(table.concat(all_steps(), "\n")) end

local function by_lua54()
  local ns = require "ns"
  local top = machine.top
  local path = ("%s/lua/?.lua;%s/lua/?/init.lua;%s/spec/?.lua;;"):format(top, top, top)
  local env = { LUA_PATH_5_4 = path, LUA_CPATH_5_4 = ("%s/build/5.4/?.so;;"):format(top) }
  local r = assert(ns.run { "lua5.4", "spec/every_lua_spec.lua", "print", env = env })
  assert.equal("", r.stderr)
  return r.stdout
end

describe("the steps of a plan", function()
  it("are the same on every Lua", function()
    local lines, n = all_steps(), 0
    assert.is_true(#lines > 500)
    for line in by_lua54():gmatch("[^\n]+") do
      n = n + 1
      assert.equal(line, lines[n])
    end
    assert.equal(n, #lines)
  end)
end)
