--- The start of a box with a name: until all of it stands, with its program, it is ours to end; then it is nobody's.
-- @module ns.start.outliving
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local errors = require "ns.start.errors"
local host_steps = require "ns.start.host"
local living = require "ns.start.living"
local named = require "ns.start.named"
local plan = require "ns.start.plan"
local relay = require "ns.start.relay"
local spawn = require "ns.start.spawn"

local outliving, ESRCH = {}, core.constants.errno.ESRCH

-- What only somebody who waits for the program could do.
local WAITED_FOR = { "timeout", "pty", "tty", "input", "max_output", "forward_signals" }

local STREAMS = { "stdin", "stdout", "stderr" }

--- The words of the box's own program, as they hold when nobody waits for it: what would need us is a mistake.
local function check_main(main, words)
  for _, word in ipairs(WAITED_FOR) do
    if main[word] then check.fail(word, "a program that outlives this script has nobody who sees to it") end
  end
  for _, word in ipairs(STREAMS) do
    if main[word] == "pipe" then
      check.fail(word, "a program that outlives this script has nobody at the other end of a pipe%s",
        word == "stdin" and "" or "; without the word, logs() has what it writes")
    end
  end
  if main.session == nil and words.session == nil then main.session = true end
  for _, word in ipairs(STREAMS) do
    if main[word] == nil and words[word] ~= "pipe" then main[word] = words[word] end
  end
  main.stdin = main.stdin or "null"
end

--- The file that its output goes into, as an absolute path; nil if it is none.
local function file_of(main)
  local path = type(main.stdout) == "table" and type(main.stdout.path) == "string" and main.stdout.path
  if not path or path:sub(1, 1) == "/" then return path or nil end
  return ("%s/%s"):format(core.readlink "/proc/self/cwd" or "", path)
end

--- Starts the program: true; or nil, message, errno, detail. `into`: where its output goes, where nothing else is said.
local function start_main(start, box, into)
  local main = start.main
  main.stdout, main.stderr = main.stdout or into, main.stderr or into
  local given = box.found.program
  if into and box.found.euid_is_root and given.uid and given.gid then core.give(into, given.uid, given.gid) end
  local checked, mistake = living.check(main, box)
  if not checked then check.raise("bad argument #1 to 'start' (%s)", mistake) end
  for _, word in ipairs(WAITED_FOR) do checked[word] = nil end
  local p, message, errno, detail = living.spawn(checked, nil, box, not start.stay, true)
  if not p then return nil, message, errno, detail end
  p.detached = true
  p.handle:detach()
  return p:close()
end

--- The box as its init knows it, by the name. `ours`: what is to be closed if not all of it comes to be.
local function begin(start, ours)
  local main = start.main
  local fds, into, why = named.prepare(ours.bag, start.name, main and not (main.stdout and main.stderr))
  if not fds then return errors.refused(into, why) end
  ours.named = true
  start.host.keeps = fds
  local first, message, errno, detail = living.start(start.spec, start.host, start.words)
  if not first then return nil, message, errno, detail end
  ours.first, ours.group, ours.new = first.handle, first.group, first.new
  first.name, first.started, first.stay = start.name, os.time(), start.stay
  if main then first.argv, first.file = plan.read(main).argv, file_of(main) end
  into = into and ours.pipe:dup(into)
  local ok, step, refusal = named.publish(first, fds, living.FOUND)
  if not ok then return errors.refused(step, refusal) end
  ours.bag:close() -- so that nobody but the init listens
  local box, text, code, more = named.find(start.name)
  if not box then return nil, text, code, more end
  ours.later = box.handle
  living.adopt(box, first.group)
  ok, text, code, more = spawn.relay(first, box.handle)
  if not ok then return nil, text, code, more end
  ours.relay = first.relay
  if main then ok, text, code, more = start_main(start, box, into) end
  if not ok then return nil, text, code, more end
  ok, step, refusal = named.keep(first.handle)
  if not ok and main and not start.stay and refusal == ESRCH then return box end -- its program has ended by now, and it
  if not ok then return errors.refused(step, refusal) end
  if ours.relay then ours.relay:detach() end
  if first.pasta then first.pasta:close() end -- it was started as one that is detached
  if first.group then first.group:keep() end
  return box
end

--- Starts a box that outlives us: what is known of it; or nil, message, errno, detail. `start`: spec, host and words, as for
-- `living.start`; name; main, the words of its program, or nil; stay.
function outliving.start(start)
  if start.main then
    local fine, mistake = pcall(check_main, start.main, start.words)
    if not fine then check.raise("bad argument #1 to 'start' (%s)", check.mistake(mistake) or error(mistake, 0)) end
  end
  local ours = { bag = core.bag(), pipe = core.bag() }
  local done, box, message, errno, detail = pcall(begin, start, ours)
  ours.bag:close()
  ours.pipe:close()
  if ours.first then ours.first:close() end -- one that is detached goes on
  relay.close(ours.relay)
  if done and box then return box end
  if ours.later then ours.later:close() end
  if ours.group then ours.group:remove() end
  if ours.named then named.forget(start.name) end
  if ours.new then host_steps.unmake(ours.new) end
  if not done then error(box, 0) end
  return nil, message, errno, detail
end

return outliving
