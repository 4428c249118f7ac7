--- What is executed, and with which environment; or which function goes on in its place.
-- @module ns.words.program
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"

local program = {}

local HOW = core.constants.step

--- The kernel takes 128 KiB in one argument or variable, its zero included (execve(2)).
program.argument = check.sized(0, 131071)

--- {NAME = "value"}; false takes a variable away.
function program.check_env(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local result = {}
  for name, v in next, value do
    local at = ("%s.%s"):format(where, check.show(name))
    if type(name) ~= "string" then check.fail(where, "{NAME=value} expected, got the key %s", check.show(name)) end
    check.text(name, where)
    if name == "" or name:find("=", 1, true) then check.fail(at, "'%s' cannot be a name", name) end
    if v ~= false then program.argument(name .. "=" .. check.text(v, at), at) end
    result[name] = v
  end
  return result
end

--- The environment of the program: "host" for the host's as it is, or NAME=value strings, first those of the host in their
-- order, then those of the spec.
function program.environment(spec, found)
  if not spec.env and not spec.clear_env then return "host" end
  local list, added, change = {}, {}, spec.env or {}
  for _, entry in ipairs(spec.clear_env and {} or found.environ()) do
    if change[entry:match("^[^=]*")] == nil then list[#list + 1] = entry end
  end
  for name, value in pairs(change) do
    if value then added[#added + 1] = name .. "=" .. value end
  end
  table.sort(added)
  for _, entry in ipairs(added) do list[#list + 1] = entry end
  return list
end

local function search_path(env, found)
  for _, entry in ipairs(env == "host" and found.environ() or env) do
    if entry:sub(1, 5) == "PATH=" then return entry:sub(6) end
  end
  return "/bin:/usr/bin"
end

--- Where a program may be: execvp(3), with the PATH that the program itself will have.
local function candidates(name, env, found)
  if name:find("/", 1, true) then return { name } end
  local list = {}
  for dir in (search_path(env, found) .. ":"):gmatch("([^:]*):") do
    list[#list + 1] = (dir == "" and "." or dir) .. "/" .. name
  end
  return list
end

--- Executes the first of the candidates that can be.
function program.execute(argv, spec, add, found)
  local list, vector = program.environment(spec, found), {}
  for i = 1, #argv do vector[i] = argv[i] end
  vector[1] = spec.argv0 or argv[1]
  add { op = "exec", how = found.trial and HOW.TRIAL or nil, paths = candidates(argv[1], list, found), argv = vector,
    env = list, data = argv[1], word = "argv" }
end

--- Before that: where a bundle waits to be started, if the program is there.
function program.wait(argv, spec, add, found)
  if not found.waits then return end
  local list = program.environment(spec, found)
  add { op = "wait", fd = found.waits, paths = candidates(argv[1], list, found), data = argv[1], word = "argv" }
end

--- A list of strings, the program first.
function program.check_argv(value, where)
  local argv = check.list(program.argument, 1)(value, where)
  if argv[1] == "" then check.fail(where .. "[1]", "empty string") end
  return argv
end

-- ---- a function in the place of a program ----

--- Why a program of a living box cannot be one.
program.OUTSIDE = "is for a start of its own: the init of a living box is no copy of this Lua state"

--- What the function gets: a list; `n` is how many, where some are nil.
function program.check_args(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  return value
end

--- What cannot stand beside a function, and what means nothing without one. In the copy of this process each object of ours
-- has the descriptor that it has here, so no number can be another one's.
function program.check_together(spec)
  if spec.args and not spec.fn then
    check.fail("args", "needs 'fn'; the arguments of a program are in argv, or the array part")
  end
  if not spec.fn then return end
  for _, word in ipairs { "argv", "argv0" } do
    if spec[word] then check.fail(word, "given beside 'fn', which runs in the place of a program") end
  end
  if spec.join then
    check.fail("join", "given beside 'fn': who is in these namespaces could look into a copy of this Lua process")
  end
  for number, want in next, spec.fds or {} do
    if want.fd ~= number and core.isopen(number) then
      check.fail(check.at("fds", number), "with 'fn' a number is needed that is not open in this process, as 100")
    end
  end
end

--- The copy of this Lua state goes on.
function program.call(_, _, add, found)
  add { op = "call", how = found.trial and HOW.TRIAL or nil, word = "fn" }
end

return program
