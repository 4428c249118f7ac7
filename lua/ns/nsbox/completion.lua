--- nsbox completion: what makes a shell complete the words of nsbox.
-- @module ns.nsbox.completion
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"

local completion = { summary = "Prints what makes a shell complete the words of nsbox.",
  arguments = { { "shell", "?", "bash (default), zsh or fish" } } }

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function completion.run(given)
  local shell = given.shell or "bash"
  local method = ({ bash = "get_bash_complete", zsh = "get_zsh_complete", fish = "get_fish_complete" })[shell]
  if not method then fail.now("completion: bash, zsh or fish expected, not '%s'", shell) end
  io.write(given.parser[method](given.parser))
  return 0
end

return completion
