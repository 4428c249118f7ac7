--- Test programs without busted: files and functions, each in a copy of the Lua state in namespaces of its own, some at a
-- time, and what they have come to as TAP.
-- @module ns.test
require("ns.core").nojit()
local check = require "ns.words.check"
local parallel = require "ns.parallel"
local surroundings = require "ns.surroundings"

local test = {}

local OPTIONS = { jobs = true, output = true, timeout = true, spec = true }

--- {name, function} of an item: the path of a Lua file, or a function.
local function read_item(key, value)
  if type(value) == "string" and type(key) == "number" then
    local chunk, message = loadfile(value)
    return { value, function()
      rawset(_G, "arg", { [0] = value })
      if not chunk then error(message, 0) end
      return chunk(value)
    end }
  end
  if type(value) == "function" then return { type(key) == "string" and key or ("test %d"):format(key), value } end
  check.raise("bad argument #1 to 'run' (%s: the path of a Lua file or a function expected, got %s)",
    check.at("tests", key), type(value))
end

local function read(words)
  if type(words) ~= "table" then check.raise("bad argument #1 to 'run' (table expected, got %s)", type(words)) end
  local items, names, options = {}, {}, {}
  for i, value in ipairs(words) do items[i] = read_item(i, value) end
  for key, value in next, words do
    if OPTIONS[key] then
      options[key] = value
    elseif type(key) == "string" then
      if type(value) ~= "function" then check.raise("bad argument #1 to 'run' (unknown word '%s'%s)", key,
        check.nearest(key, OPTIONS)) end
      names[#names + 1] = key
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do items[#items + 1] = read_item(name, words[name]) end
  return items, options
end

local function comment(text)
  return text ~= "" and "# " .. text:gsub("\n$", ""):gsub("\n", "\n# ") .. "\n" or ""
end

local function line_of(i, name, r)
  local name_ = name:gsub("#", "\\#")
  if r.ok then return ("ok %d - %s\n"):format(i, name_) end
  local why = r.how == "refused" and r.message or tostring(r):match("%((.-)%)\n") or tostring(r):match("%((.*)%)$")
  return ("not ok %d - %s\n"):format(i, name_) .. comment(why or "") .. comment(r.stdout or "") .. comment(r.stderr or "")
end

--- Runs test programs, and writes TAP. A test is good if it returns, or leaves with the status 0.
-- @tparam table words paths of Lua files, and functions, in the array part or by name; `jobs`; `timeout`, seconds for each
-- (60); `spec`, the words of other surroundings; `output`, a file in the place of io.stdout
-- @return have all been good? And the results, in order
function test.run(words)
  local items, options = read(words)
  local spec = options.spec or surroundings.spec {}
  local output, list = options.output or io.stdout, {}
  for i, item in ipairs(items) do list[i] = { fn = item[2], timeout = options.timeout or 60 } end
  local results = #list > 0 and parallel.run(list, spec, { jobs = options.jobs }) or {}
  local good = true
  output:write(("1..%d\n"):format(#items))
  for i, r in ipairs(results) do
    output:write(line_of(i, items[i][1], r))
    good = good and r.ok == true
  end
  output:flush()
  return good, results
end

return test
