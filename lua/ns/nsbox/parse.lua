--- From what is typed to a command and what it is given, by argparse.
--
-- A row of `options`: { "-e --env", "KEY[=VALUE]", help }, or { "-i --interactive", help } for a flag; `many`: it may be
-- said again, and its value is a list. A row of `arguments`: { name, how many, help }. A command with `rest` takes the words
-- from its first argument on as they are, as docker does: `nsbox run --system ls -l`.
-- @module ns.nsbox.parse
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"

local parse = {}

--- argparse is needed here alone, so it is no dependency of the library.
local function argparse()
  local found, module = pcall(require, "argparse")
  if found then return module end
  return fail.now "nsbox needs argparse, which is not installed: apt-get install lua-argparse, or luarocks install argparse"
end

--- Adds the options and arguments of a command to its parser.
local function describe(parser, command)
  for _, row in ipairs(command.options or {}) do
    if row[3] then
      parser:option(row[1]):argname(row[2]):description(row[3]):count(row.many and "*" or "?")
    else
      parser:flag(row[1]):description(row[2])
    end
  end
  for _, row in ipairs(command.arguments or {}) do parser:argument(row[1]):args(row[2]):description(row[3]) end
end

--- The parser of these commands.
function parse.parser(names)
  local parser = argparse()("nsbox", "Boxes of ns: programs in Linux namespaces.")
  parser:add_help("--help"):command_target("command"):require_command(true):help_description_margin(36)
  for _, name in ipairs(names) do
    local command = require("ns.nsbox." .. name)
    describe(parser:command(name, command.summary):add_help("--help"), command)
  end
  return parser
end

--- {["-e"] = true, ["--rm"] = false}: has the option of this name a value?
local function values(command)
  local takes = { ["--help"] = false }
  for _, row in ipairs(command.options or {}) do
    for name in row[1]:gmatch("%S+") do takes[name] = row[3] ~= nil end
  end
  return takes
end

--- Does the value of this word, "-e", "--env", "--env=A=b" or "-itv", follow as the next one?
local function wants_next(word, takes)
  if word:find("^%-%-") then return not word:find("=", 1, true) and takes[word] end
  for i = 2, #word do
    if takes["-" .. word:sub(i, i)] then return i == #word end
  end
end

--- The words with a "--" before the first that is no option, unless there is one.
local function stop_at_first(command, words)
  local takes, result, i = values(command), { words[1] }, 2
  while words[i] and words[i]:find("^%-.") and words[i] ~= "--" do
    result[#result + 1] = words[i]
    if wants_next(words[i], takes) then
      i = i + 1
      result[#result + 1] = words[i]
    end
    i = i + 1
  end
  if words[i] ~= "--" then result[#result + 1] = "--" end
  for j = i, #words do result[#result + 1] = words[j] end
  return result
end

--- The command that is typed, and what it is given.
function parse.command(names, arguments)
  local words, is_name = {}, {}
  for i = 1, #arguments do words[i] = arguments[i] end
  for _, name in ipairs(names) do is_name[name] = true end
  local command = is_name[words[1]] and require("ns.nsbox." .. words[1])
  if command and command.parse then
    return command, command.parse(words, "nsbox " .. words[1], { arguments[-1] or "lua", arguments[0], words[1] })
  end
  if command and command.rest then words = stop_at_first(command, words) end
  local parser = parse.parser(command and { words[1] } or names)
  local ok, given = parser:pparse(words)
  if not ok then fail.now("%s\nnsbox %s--help tells what there is", given, command and words[1] .. " " or "") end
  given.names = names
  return command or require("ns.nsbox." .. given.command), given
end

return parse
