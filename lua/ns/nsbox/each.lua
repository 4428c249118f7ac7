--- A command that does the same to each box of a list, and goes on where one fails, as docker's do.
-- @module ns.nsbox.each
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"

local each = {}

--- The `run` of a command: `act(name, given)` for each of the names; what it returns, or the name, is printed.
function each.of(act)
  return function(given)
    local worst = 0
    for _, name in ipairs(given.boxes) do
      local done, said = pcall(act, name, given)
      if done then
        print(said or name)
      else
        local message, status = fail.read(said)
        io.stderr:write("nsbox: ", message, "\n")
        worst = status == 125 and 1 or status
      end
      io.stdout:flush()
    end
    return worst
  end
end

each.ARGUMENTS = { { "boxes", "+", "the boxes" } }

return each
