--- From a spec to a running process: check, open, launch, maps, plan, answer. Whatever fails, nothing is left.
--
-- The room of the start: from a spec to a running process, and all that is said when there is none.
-- Requires running and words.
-- @module ns.start.spawn
require("ns.core").nojit()
local load_all = require("ns.words.later").load_all
local later = require("ns.words.later").module
local core = require "ns.core"
local errors = require "ns.start.errors"
local host_steps = require "ns.start.host"
local ids = require "ns.start.ids"
local join = require "ns.words.join"
local cache = require "ns.start.cache"
local copy = require "ns.start.copy"
local optional = require "ns.start.optional"
local pasta = require "ns.start.pasta"
local plan = require "ns.start.plan"
local process = require "ns.running.process"
local relay = require "ns.start.relay"
local pty = later "ns.running.pty"
local streams = require "ns.start.streams"
local survey = require "ns.start.survey"

local spawn = {}

local errno_of = core.constants.errno

--- Runs a program of the system in its own clean environment; nil, or why it has failed, and an errno.
local function run(argv, deadline)
  local spec = { argv = argv, clear_env = true, env = { PATH = "/usr/bin:/bin:/usr/sbin:/sbin" } }
  spec.stdin, spec.stdout, spec.stderr = "null", "null", "pipe"
  spec.timeout, spec.grace = deadline and math.max(1e-6, deadline - core.clock()), 0
  local host = survey.host()
  local p, message, errno, detail = spawn.start(assert(plan.check(spec, host)), host)
  if not p then return detail.code == "DIED" and ("(%s)"):format(message:match("^[^;]*")) or nil, errno end
  local r = p:communicate()
  if r and r.ok then return nil end
  if r and r.timed_out then return nil, errno_of.ETIMEDOUT end
  local said = r and (r.stderr:match("[^\n]+") or tostring(r)) or "the status is lost"
  return ("(%s)"):format(said), errno_of.EPERM
end

--- Starts a program of the system that a box needs beside it.
local function start_beside(spec)
  local host = survey.host()
  return spawn.start(assert(plan.check(spec, host)), host)
end

--- Where in the plan an op stands, from the end on; nil if it does not.
local function number_of(steps, op)
  for i = #steps, 1, -1 do
    if steps[i].op == op then return i end
  end
end

--- Sends the plan and awaits the answer: true; or nil, message, errno, detail.
function spawn.play(handle, bytes, steps, deadline, init)
  while true do
    local ok, what, errno, more = handle:play(bytes, deadline and math.max(0, deadline - core.clock()) or -1, init)
    if ok then return true end
    if what == "step" then return errors.refused(steps[more], errno, steps) end
    if what == "retry" then return nil, "retry" end
    if what == "exec" then return errors.refused({ op = "execveat" }, errno) end
    if what == "plan" then return errors.refused({ op = "launch" }, errno) end
    if what == "job" or what == "clone" then return errors.refused({ op = what, namespaces = {} }, errno) end
    if what == "init" then return errors.refused({ op = "job", by_init = true }, errno) end
    if what == "died" then return errors.died(more, errno, steps) end
    if what == "timeout" then return errors.timeout(steps[more]) end
  end
end

--- Plays the plan of a launcher that joins: the handle is that of the process that it has made from then on. true; or nil,
-- message, errno, detail.
local function join_others(start)
  local steps = join.steps(start.spec, start.found)
  local ok, message, errno, detail = spawn.play(start.handle, core.encode(steps), steps, start.deadline)
  if ok then start.pid = start.handle:pid() end
  return ok, message, errno, detail
end

--- Plays the host's steps from the one with that number on: true; or nil, message, errno, detail.
local function play_host(steps, from, start)
  for i = from, #steps do
    local ok, step, errno = host_steps.play(steps[i], start)
    if not ok and errno == errno_of.ETIMEDOUT then return errors.timeout(step) end
    if not ok then return errors.refused(step, errno) end
    if steps[i].joins then
      local joined, message, code, detail = join_others(start)
      if not joined then return nil, message, code, detail end
    end
    if steps[i].op == "clone" and start.spec.flags.user then ids.reserve(start.spec, start.handle) end
  end
  return true
end

--- Launches and plays: true; or nil, message, errno, detail. The plan is made while the launcher starts.
local function launch(start, steps)
  local spec = start.spec
  local ok, step, errno = copy.prepare(start)
  if not ok then return errors.refused(step, errno) end
  local message, detail
  ok, message, errno, detail = play_host(steps, number_of(steps, "clone"), start)
  if not ok then return nil, message, errno, detail end
  local plan_steps, bytes = cache.encoded(start.cache, spec, start.found)
  plan_steps.flags = spec.flags -- for hints
  plan_steps.elsewhere = start.found.join and start.found.join.kinds.mount ~= nil
  local stays = start.found.waits and "wait" or start.serves and "serve" or spec.init and "init"
  local init = stays and number_of(plan_steps, stays) or nil
  if start.unawaited then
    -- The launcher may be quicker than we are: what it has said already counts. What it has not read yet is in its socket.
    local said, why, code, more = spawn.play(start.handle, bytes, plan_steps, core.clock(), init)
    if said or code ~= errno_of.ETIMEDOUT then return said, why, code, more end
    start.pending = { bytes = bytes, steps = plan_steps, init = init, deadline = start.deadline }
    return true
  end
  return spawn.play(start.handle, bytes, plan_steps, start.deadline, init)
end

--- What is left out, as the caller is told: of the spec, and of its root.
local function left_out(start)
  local list = {}
  for i, entry in ipairs(start.left) do list[i] = entry end
  for _, part in ipairs(start.found.left_out) do
    local why = part.why or ("%s (%s)"):format(core.strerror(part.errno), errors.code(part.errno))
    list[#list + 1] = optional.told(part.path, why, part.errno, nil, part.path)
  end
  return list
end

--- Our end of the program's terminal, as an object: what we have opened, or the launcher.
local function take_terminal(start, opened, kept)
  local master, message, errno = opened.pty, nil, nil
  if not master then master, message, errno = start.bag:opened_pty(start.handle) end
  if not master then return nil, message, errno end
  return pty.new(start.bag, master, kept)
end

--- The process that runs, with our ends of the pipes as files; `more`: fields that only some have.
function spawn.adopt(start, opened, more)
  local spec, bag = start.spec, start.bag
  local fields = { argv = spec.argv, handle = start.handle, started = start.began, terminal = start.terminal,
    max_output = spec.max_output, input = spec.input, grace = spec.grace, forward_signals = spec.forward_signals,
    deadline = start.deadline, group = start.group, refusals = opened.refusals }
  for name, value in next, more do fields[name] = value end
  local kept = { handle = start.handle, group = start.group, box = more.box } -- by each of its files
  for name, fd in next, opened.ours do
    local file, _, errno = bag:file(fd, name == "stdin" and "w" or "r", kept)
    if not file then return errors.refused({ op = "fdopen", word = name }, errno) end
    fields[name] = file
  end
  if spec.pty then
    local terminal, _, errno = take_terminal(start, opened, kept)
    if not terminal then return errors.refused({ op = "fdopen", word = "pty" }, errno) end
    fields.pty = terminal
  end
  return process.new(fields)
end

--- The process of a start of its own; or what a living box is made of, which has no program yet.
local function adopt(start, host, opened)
  local spec = start.spec
  local known_ids = ids.on_host(spec, host, start.found.join and start.found.join.ids)
  local known = { relay = start.relay, pasta = start.pasta, published = start.found.published, pid = start.pid,
    left_out = left_out(start), known_ids = known_ids }
  if start.serves then
    known.handle, known.found, known.spec, known.pending = start.handle, start.found, spec, start.pending
    known.group = start.group
    known.left, known.new = start.left, start.new
    return known
  end
  known.mounts = spec.mounts
  known.detached, known.alone, known.init = spec.detach, not (spec.flags.pid or spec.init), spec.init
  local p, message, errno, detail = spawn.adopt(start, opened, known)
  if p and spec.detach then
    start.handle:detach()
    if start.relay then start.relay:detach() end
    if start.group then start.group:keep() end
  end
  return p, message, errno, detail
end

--- Starts the relay, where the spec has one, for a box whose init is there: true; or nil, message, errno, detail. `box`: it
-- has handle, spec and found, and gets relay.
function spawn.relay(box, asked)
  if not relay.is_wanted(box.spec, box.pasta) then return true end
  local handle, message, errno, detail = relay.start(box, spawn.play, asked)
  box.relay = handle
  return handle and true, message, errno, detail
end

--- The host's steps up to the clone: what the launcher is to have is open then.
local function prepare(start, host)
  local opened, step, errno = { ends = {}, ours = {}, made = {} }, nil, nil
  for i, fd in ipairs(host.keeps or {}) do opened.ends[i - 1] = fd end
  if not start.serves then opened, step, errno = streams.open(start.bag, start.spec, host.trial) end
  if not opened then return errors.refused(step, errno) end
  start.found, step, errno = survey.find(start.spec, host, opened, start.cache)
  if not start.found then return errors.refused(step, errno) end
  local steps = plan.host_steps(start.spec, start.found)
  for i = 1, number_of(steps, "clone") - 1 do
    local ok, shown, why = host_steps.play(steps[i], start)
    if not ok then return errors.refused(shown, why) end
  end
  return opened, steps
end

-- A tree can be put in its place once: a launcher whose init could not be executed has used it up.
local USED_UP = { open_tree = true, idmap = true }

--- Launches again, in the next way that the core knows, where this machine does not execute the launcher in that one.
local function launch_again(start, steps)
  start.handle:close()
  start.handle = nil
  for i = 1, number_of(steps, "clone") - 1 do
    local ok, shown, why = true, nil, nil
    if USED_UP[steps[i].op] then ok, shown, why = host_steps.play(steps[i], start) end
    if not ok then return errors.refused(shown, why) end
  end
  return launch(start, steps)
end

--- Notes the host's terminal, which the program is lent, and who has it; returns `opened`.
function spawn.keep_terminal(start, opened)
  local terminal, foreground, errno = core.terminal(opened.ends[0])
  if errno then return errors.refused({ op = "terminal", word = "tty" }, errno) end
  start.terminal, start.found.background = terminal, terminal and not foreground
  return opened
end

local function begin(start, host)
  local opened, steps, errno, detail = prepare(start, host)
  if not opened then return nil, steps, errno, detail end
  local message
  if start.spec.tty and not start.serves then
    opened, message, errno, detail = spawn.keep_terminal(start, opened)
    if not opened then return nil, message, errno, detail end
  end
  start.opened = opened
  local ok, code, more
  ok, message, code, more = launch(start, steps)
  while message == "retry" do ok, message, code, more = launch_again(start, steps) end
  -- A box with a name gets its own later; one that nobody waits for, when it is awaited.
  if ok and not (host.trial or host.keeps or start.pending) then ok, message, code, more = spawn.relay(start) end
  if not ok then return nil, message, code, more end
  return adopt(start, host, opened)
end

--- Returns what begin(start, host) does. Errors of any kind, a Ctrl-C among them, leave neither process nor descriptor.
function spawn.guarded(begin_, start, host)
  start.bag = core.bag()
  local ok, p, message, errno, detail = pcall(begin_, start, host)
  start.bag:close()
  if start.holder then start.holder:close() end
  if not (ok and p) and start.handle then
    start.handle:kill_all()
    start.handle:close()
    if start.terminal then core.restore_terminal(start.terminal) end
  end
  if not (ok and p) then
    relay.close(start.relay)
    pasta.close(start.pasta)
  end
  if not (ok and p) or host and host.trial then
    relay.forget(start.found)
    if start.new then host_steps.unmake(start.new) end
  end
  if not (ok and p) and start.group then start.group:remove() end
  if not ok then return errors.caught(p) end
  return p, message, errno, detail
end

--- Starts a spec; `left`: what is left out of it.
local function start_once(spec, host, kept, left, began)
  -- Where the launcher cannot be executed, the host is copied: not where an init stays, which would be that copy; nor where
  -- a link in a hostile root could lead exec to the program that the host is; nor where others could look into the copy. A
  -- function runs in a copy that goes on.
  local copies = spec.fn and "go on" or not (spec.init or spec.root or spec.join) and "may" or nil
  local start = { spec = spec, began = began, run = run, start = start_beside,
    outlives = host.keeps ~= nil, cache = kept, serves = host.serves, unawaited = host.unawaited,
    copies = copies, calls = host.calls, twin = host.twin, new = {},
    deadline = spec.timeout and began + spec.timeout, left = left }
  return spawn.guarded(begin, start, host)
end

--- A function may want anything, and where it goes there may be no file to load it from.
local function load_for(spec)
  if spec.fn then load_all() end
end

--- Starts a spec that was checked for `host`; nil stands for one whose check was refused, with the step. A process; or nil,
-- message, errno, detail. `kept`: what a box keeps of its starts.
function spawn.start(spec, host, kept)
  if not spec then return errors.caught(host) end
  local loaded, problem = pcall(load_for, spec)
  if not loaded then return errors.caught(problem) end
  local began = core.clock()
  return optional.start(spec, host, function(less, left)
    return start_once(less, host, cache.without(kept, left), left, began)
  end)
end

return spawn
