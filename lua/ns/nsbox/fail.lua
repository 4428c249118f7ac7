--- How a command of nsbox fails: with a message for its user, and an exit status as that of docker.
-- @module ns.nsbox.fail
require("ns.core").nojit()

local fail = {}

-- 125: nsbox itself could not; 126: the program cannot be executed; 127: there is no such program.
local NSBOX, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127

local Failure = {}

--- Ends the command: the message, formatted, and the status (125).
function fail.with(status, text, ...)
  error(setmetatable({ status = status, message = text:format(...) }, Failure), 0)
end

--- Ends the command with 125.
function fail.now(text, ...) return fail.with(NSBOX, text, ...) end

--- Ends the command as a start was refused: `nil, message, errno, detail` of ns.
function fail.refused(message, _, detail)
  local status = NSBOX
  if detail and detail.step == "exec" then status = detail.code == "ENOENT" and NOT_FOUND or NOT_EXECUTABLE end
  return fail.with(status, "%s", message)
end

--- The value; or what was refused ends the command.
function fail.unless(value, ...)
  if value then return value, ... end
  return fail.refused(...)
end

--- What an error of a command says, and its status. A mistake in a word of a spec is the user's, who has not written one.
function fail.read(mistake)
  if getmetatable(mistake) == Failure then return mistake.message, mistake.status end
  local text = tostring(mistake):gsub("^[^\n:]+:%d+: ", "") -- nobody at a shell has written that line
  return text:match("^bad argument .-to '[%w_]+' %((.*)%)$") or text, NSBOX
end

--- What a program's end is to a shell: its status, or 128 and the signal.
function fail.status(_, how, code)
  if how == "exit" then return code end
  if how == "signal" then return 128 + code end
  return fail.now("%s", how)
end

return fail
