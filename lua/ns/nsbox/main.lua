--- nsbox, the program for people who only have a shell: each of its commands is a file beside this one.
--
-- A command is a table: `summary`; `options`, rows for `ns.nsbox.parse`; `arguments`; `run`, a function that is given what
-- was parsed, and returns the exit status. The names are docker's.
--
-- The room of the command line: what is typed, as words of boxes.
-- Requires the face.
-- @module ns.nsbox.main
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"
local parse = require "ns.nsbox.parse"

local main = {}

-- In the order in which the help lists them.
local COMMANDS = { "run", "exec", "ps", "logs", "stop", "kill", "wait", "rm", "cp", "check", "pull", "images", "rmi",
  "bundle", "explain", "completion", "bwrap" }

-- The command that a link of its name to nsbox is, and whose messages are as those of the program that it stands for.
local ALONE = "bwrap"

local function base(path) return (path or ""):match "[^/]*$" end

--- The command that is typed, and what it is given.
local function read(arguments)
  if base(arguments[0]) ~= ALONE then return parse.command(COMMANDS, arguments) end
  local words, command = { ALONE }, require("ns.nsbox." .. ALONE)
  for i = 1, #arguments do words[i + 1] = arguments[i] end
  return command, command.parse(words, arguments[0], { arguments[-1] or "lua", arguments[0] })
end

--- Runs the command that is typed: its exit status.
-- @tparam table arguments as `arg`
-- @treturn integer
function main.run(arguments)
  local done, status = pcall(function()
    local command, given = read(arguments)
    return command.run(given)
  end)
  if done then return status or 0 end
  local message, code = fail.read(status)
  local is_alone = base(arguments[0]) == ALONE or arguments[1] == ALONE
  io.stderr:write(is_alone and ALONE or "nsbox", ": ", message, "\n")
  return is_alone and 1 or code -- bubblewrap knows no other status of its own
end

return main
