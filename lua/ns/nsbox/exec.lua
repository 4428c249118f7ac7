--- nsbox exec: a further program in a box with a name.
-- @module ns.nsbox.exec
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"
local records = require "ns.nsbox.records"
local values = require "ns.nsbox.values"

local exec = { summary = "Runs a program in a box that runs.", rest = true, options = {
  { "-d --detach", "does not wait for it" },
  { "-i --interactive", "your stdin is the program's" },
  { "-t --tty", "a terminal of its own, which is shown at yours" },
  { "-e --env", "KEY[=VALUE]", "a variable", many = true },
  { "-w --workdir", "DIR", "the working directory" },
  { "-u --user", "USER[:GROUP]", "who the program is" },
}, arguments = { { "name", 1, "the box" }, { "words", "+", "the program and its arguments" } } }

local function words_of(given)
  local words = { cwd = given.workdir, env = {}, stdin = given.interactive and "inherit" or "null",
    forward_signals = { "TERM", "INT", "HUP", "QUIT", "USR1", "USR2" } }
  for i, word in ipairs(given.words) do words[i] = word end
  if given.tty then words.pty, words.stdin, words.env.TERM = true, nil, os.getenv "TERM" or "xterm" end
  for _, text in ipairs(given.env) do
    local name, value = text:match("^([^=]+)=(.*)$")
    words.env[name or text] = value or os.getenv(text) or false
  end
  local user, group = (given.user or ""):match("^([^:]*):?(.*)$")
  if user ~= "" then words.user = values.id(user) end
  if group ~= "" then words.group = values.id(group) elseif tonumber(user) then words.group = values.id(user) end
  return words
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function exec.run(given)
  local p = fail.unless(records.living(given.name):spawn(words_of(given)))
  if p.pty then return fail.status(p:interact()) end
  return fail.status(p:wait())
end

return exec
