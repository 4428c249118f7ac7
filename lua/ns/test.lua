--- Test programs without busted: files and functions, each in a copy of the Lua state in namespaces of its own, some at a
-- time, and what they have come to as TAP.
-- @module ns.test
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local leaks = require "ns.leaks"
local parallel = require "ns.parallel"
local surroundings = require "ns.surroundings"

local test = {}

-- A test may have replaced what the libraries have.
local leave, stderr = os.exit, io.stderr

local function any(value) return value end

--- {word, check, default}.
local ROWS = { { "jobs", check.integer(1, 10000) }, { "timeout", check.seconds(1e-6, 1e9), 60 }, { "output", any },
  { "spec", any }, { "max_output", check.integer(1, 2 ^ 53), 256 * 2 ^ 20 } }
for _, row in ipairs(surroundings.rows) do ROWS[#ROWS + 1] = row end

local CHECKS = {}
for _, row in ipairs(ROWS) do CHECKS[row[1]] = row[2] end

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

local function read_option(said, word, value)
  if not CHECKS[word] then
    check.raise("bad argument #1 to 'run' (unknown word '%s'%s)", word, check.nearest(word, CHECKS))
  end
  local ok, result = pcall(CHECKS[word], value, word)
  if not ok then check.raise("bad argument #1 to 'run' (%s)", check.mistake(result) or tostring(result)) end
  said[word] = result
end

--- The tests; what is said, with what is where nothing is.
local function read(words)
  if type(words) ~= "table" then check.raise("bad argument #1 to 'run' (table expected, got %s)", type(words)) end
  local items, names, said = {}, {}, {}
  for i, value in ipairs(words) do items[i] = read_item(i, value) end
  for key, value in next, words do
    if type(key) == "string" and type(value) == "function" then
      names[#names + 1] = key -- a test, whatever it is called
    elseif type(key) == "string" then
      read_option(said, key, value)
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do items[#items + 1] = read_item(name, words[name]) end
  for _, row in ipairs(surroundings.rows) do
    if said.spec and said[row[1]] ~= nil then check.raise("bad argument #1 to 'run' (%s: given beside 'spec')", row[1]) end
  end
  for _, row in ipairs(ROWS) do
    if said[row[1]] == nil then said[row[1]] = row[3] end
  end
  return items, said
end

-- ---- in the copy ----

local COUNTED = { processes = { "process", "processes" }, descriptors = { "descriptor", "descriptors" } }
local SETTING = { processes = "leaks", descriptors = "descriptors" }

--- Says what is left; is that an error?
local function tell_left(watch, said)
  local bad = false
  for _, left in ipairs(watch:left()) do
    local names = COUNTED[left.kind]
    stderr:write(("it has left %d %s: %s\n"):format(left.count, names[left.count == 1 and 1 or 2], left.list))
    bad = bad or said[SETTING[left.kind]] == "error"
  end
  return bad
end

--- The function, after which, and after an os.exit of which, what is left is looked for.
local function watched(fn, said)
  return function()
    local watch = leaks.begin(said, core.ids().ppid)
    os.exit = function(code, close) -- luacheck: ignore
      local good = code == nil or code == true or code == 0
      if tell_left(watch, said) and good then code = 1 end
      leave(code, close)
    end
    fn()
    if tell_left(watch, said) then leave(1) end
  end
end

-- ---- TAP ----

local function comment(text)
  return text ~= "" and "# " .. text:gsub("\n$", ""):gsub("\n", "\n# ") .. "\n" or ""
end

--- A name is one line, and what is behind a # would be a directive.
local function described(name) return (name:gsub("%c+", " "):gsub("[\\#]", "\\%0")) end

local function line_of(i, name, r)
  if r.ok then return ("ok %d - %s\n"):format(i, described(name)) .. comment(r.stderr or "") end
  local why = r.how == "refused" and r.message or tostring(r):match("%((.-)%)\n") or tostring(r):match("%((.*)%)$")
  return ("not ok %d - %s\n"):format(i, described(name)) .. comment(why or "") .. comment(r.stdout or "")
    .. comment(r.stderr or "")
end

--- One word where this machine does not allow all.
local function missing(results)
  local list = results[1] and results[1].left_out or {}
  return #list > 0 and comment("not isolated here: " .. surroundings.without(list)) or ""
end

--- Runs test programs, and writes TAP. A test is good if it returns, or leaves with the status 0, and leaves nothing behind.
-- @tparam table words paths of Lua files, and functions, in the array part or by name; `jobs`; `timeout`, seconds for each
-- (60); `max_output`, the bytes that are kept of each output (256 MiB); `net`, `tmp`, `ipc`, `pid`, `hostname`, `tree`,
-- `leaks`, `descriptors`, `limits`, as the settings of ns.busted; in their place `spec`, the words of other surroundings;
-- `output`, a file in the place of io.stdout
-- @return have all been good? And the results, in order
function test.run(words)
  local items, said = read(words)
  local spec = said.spec or surroundings.spec(said)
  local output, list = said.output or io.stdout, {}
  for i, item in ipairs(items) do
    list[i] = { fn = said.spec and item[2] or watched(item[2], said), timeout = said.timeout,
      max_output = said.max_output }
  end
  local results = #list > 0 and parallel.run(list, spec, { jobs = said.jobs }) or {}
  local good = true
  output:write(("1..%d\n"):format(#items), missing(results))
  for i, r in ipairs(results) do
    output:write(line_of(i, items[i][1], r))
    good = good and r.ok == true
  end
  output:flush()
  return good, results
end

return test
