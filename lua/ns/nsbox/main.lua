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
local COMMANDS = { "run", "exec", "ps", "logs", "stop", "kill", "wait", "rm", "check", "explain", "completion" }

--- Runs the command that is typed: its exit status.
-- @tparam table arguments as `arg`
-- @treturn integer
function main.run(arguments)
  local done, status = pcall(function()
    local command, given = parse.command(COMMANDS, arguments)
    return command.run(given)
  end)
  if done then return status or 0 end
  local message, code = fail.read(status)
  io.stderr:write("nsbox: ", message, "\n")
  return code
end

return main
