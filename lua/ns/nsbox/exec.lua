--- nsbox exec: a further program in a box with a name.
-- @module ns.nsbox.exec
require("ns.core").nojit()
local behind = require "ns.nsbox.behind"
local fail = require "ns.nsbox.fail"
local play = require "ns.nsbox.play"
local records = require "ns.nsbox.records"
local users = require "ns.image.users"
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
  local words = play.at(given, { cwd = given.workdir, env = { TERM = given.tty and (os.getenv "TERM" or "xterm") or nil } })
  for i, word in ipairs(given.words) do words[i] = word end
  for _, text in ipairs(given.env) do
    local name, value = text:match("^([^=]+)=(.*)$")
    words.env[name or text] = value or os.getenv(text) or false
  end
  return words
end

--- Sets who the program is: by the names of the box's root, or of this machine, if that is its system. Nobody but root has
-- capabilities.
local function set_user(words, text, record)
  local user, group = text:match("^([^:]*):?(.*)$")
  if not (record and record.layers) then
    words.user, words.caps = values.id(user), not (user == "root" or user == "0") and {} or nil
    if group ~= "" then words.group = values.id(group) elseif tonumber(user) then words.group = values.id(user) end
    return
  end
  local found = users.find(record.layers, text) or fail.now("-u %s: there is no such user in %s", text, record.name)
  words.user, words.group, words.caps = found.uid, found.gid, found.uid == 0 and record.caps or {}
  words.env.HOME = words.env.HOME or found.home
end

local function prepare(given)
  local container, record = records.living(given.name)
  local words = words_of(given)
  if given.user then set_user(words, given.user, record) end
  return container, words
end

--- In the copy that stays behind: what the program prints is nobody's.
local function stay_behind(begun, given)
  local container, words = prepare(given)
  words.stdin = given.interactive and "pipe" or words.stdin
  words.stdout, words.stderr = not words.pty and "null" or nil, not words.pty and "null" or nil
  local p = fail.unless(container:spawn(words))
  begun()
  while p.pty and p.pty:read(4096) do end
  p:wait()
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function exec.run(given)
  if not given.detach then return fail.unless(play.whole(prepare(given))) end
  local ok, code, message = behind.start(stay_behind, given)
  return ok and 0 or fail.with(code, "%s", message)
end

return exec
