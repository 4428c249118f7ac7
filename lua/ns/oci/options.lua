--- What is typed for nsbox-oci, and its log. Options stand before the verb and behind it, as crun's and runc's do.
-- @module ns.oci.options
require("ns.core").nojit()
local json = require "ns.json"

local options = {}

options.HELP = [[
usage: nsbox-oci [OPTIONS] VERB [OPTIONS] ID ...

  create ID         makes a container of a bundle, which waits to be started
  start ID          starts it
  run ID            both, and waits for its end; with --detach it does not
  state ID          what it is at, as JSON
  kill ID [SIGNAL]  sends a signal (TERM); with --all to all in it
  delete ID         removes it; with --force it is ended before
  exec ID PROGRAM   a further program in it; or --process FILE
  ps ID, list       its processes; all containers
  features          what this runtime can do, as JSON

  --root DIR            where the state is kept
  --bundle DIR, -b      the bundle: here, if it is not said
  --pid-file FILE       gets the number of the process
  --console-socket PATH gets the terminal
  --preserve-fds N      descriptors that the program has, from 3 on
  --log FILE            gets warnings and errors; --log-format json
  --detach, -d; --tty, -t; --cwd DIR; --env NAME=VALUE, -e; --user UID[:GID], -u; --process FILE, -p   of exec
  --systemd-cgroup, --cgroup-manager NAME, --rootless VALUE, --no-pivot, --debug  are taken, and say nothing
]]

-- Whether an option has a value; and the letters.
local VALUED, FLAGS, LETTERS = {}, {}, { b = "bundle", d = "detach", e = "env", u = "user", p = "process", t = "tty",
  f = "format", a = "all" }
for name in ([[root bundle pid-file console-socket preserve-fds log log-format cwd env user process format
  cgroup-manager rootless criu cgroup apparmor process-label cap]]):gmatch "%S+" do VALUED[name] = true end
for name in ([[detach tty force all version help systemd-cgroup no-pivot no-new-keyring debug no-subreaper keep
  ignore-paused]]):gmatch "%S+" do FLAGS[name] = true end

local function fail(text, ...) error({ message = text:format(...) }, 0) end

local function set(given, name, value)
  if name == "env" then given.env[#given.env + 1] = value else given[name] = value end
end

--- Reads one option: how many words it took.
local function read_option(given, words, i)
  local name, value = words[i]:match "^%-%-([^=]+)=(.*)$"
  name = name or words[i]:match "^%-%-(.+)$"
  local letter = not name and words[i]:sub(2)
  if letter == "f" and given.verb == "delete" then name = "force" end
  name = name or letter and (LETTERS[letter] or letter == "v" and "version" or letter == "h" and "help")
  if FLAGS[name] and (not value or value == "true" or value == "false") then
    given[name] = value ~= "false"
    return 1
  end
  if not VALUED[name] then fail("unknown option %s", words[i]) end
  if not value and words[i + 1] == nil then fail("%s needs a value", words[i]) end
  set(given, name, value or words[i + 1])
  return value and 1 or 2
end

--- Reads what is typed into `given`. What stands behind the container's name is the program's of exec.
function options.read(words, given)
  local i, is_over = 1, false
  while words[i] do
    local is_programs = given.verb == "exec" and #given.words > 0 and not given.process
    if words[i] == "--" and not is_over then
      is_over, i = true, i + 1
    elseif not is_over and not is_programs and words[i]:find "^%-." then
      i = i + read_option(given, words, i)
    else
      if given.verb then given.words[#given.words + 1] = words[i] else given.verb = words[i] end
      i = i + 1
    end
  end
end

--- Adds a line to the log, if there is one.
function options.log(given, level, message)
  local f = given.log and io.open(given.log, "a")
  if not f then return end
  local time = os.date "!%Y-%m-%dT%H:%M:%SZ"
  if given["log-format"] == "json" then
    local text = json.write { level = level, msg = message, time = time }
    f:write((text:gsub("\n$", ""):gsub("\n *", " ")), "\n")
  else
    f:write(("time=%q level=%s msg=%q\n"):format(time, level, message))
  end
  f:close()
end

return options
