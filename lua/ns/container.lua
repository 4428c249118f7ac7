--- A living box: its namespaces, its mounts and its init stand, and programs are run in it. Made by `box:start()`.
--
-- Each program is confined as the box is, and is a Process like any other. What one leaves behind, in /tmp or as a process
-- in the background, the next one finds: all programs of one box trust each other. The box ends when it is closed or
-- collected, when its host ends, or with the program that it was started with; and everything in it ends with it. One with
-- a name goes on when its handles are collected and its host ends; others find it by that name: `ns.container(name)`.
-- @module ns.container
require("ns.core").nojit()
local changes = require "ns.running.changes"
local check = require "ns.words.check"
local connect = require "ns.running.connect"
local core = require "ns.core"
local errors = require "ns.start.errors"
local group = require "ns.running.group"
local groups = require "ns.start.groups"
local host_steps = require "ns.start.host"
local inside = require "ns.running.inside"
local lifecycle = require "ns.running.lifecycle"
local living = require "ns.start.living"
local named = require "ns.start.named"
local namespaces = require "ns.running.namespaces"
local outliving = require "ns.start.outliving"
local plan = require "ns.start.plan"
local process = require "ns.running.process"
local signals = require "ns.words.signals"
local stdio = require "ns.words.stdio"
local survey = require "ns.start.survey"

local container = {}
local errno_of = core.constants.errno

local Container = { __name = "ns.Container" }
Container.__index = Container

-- Seconds between SIGTERM and the end of all that is inside.
local GRACE = 2

-- Seconds that each way to end an init is given; and the bytes of a log.
local END, LOG = 1, 65536

--- Is it a container?
function container.is(value)
  return getmetatable(value) == Container
end

--- The words of one program for the method `name`: a list of strings, or one table with words and the program in its array
-- part.
function container.read(name, ...)
  local first = ...
  if stdio.class_of(first) == "ns.Box" then
    check.raise "a box stands for itself, and is not run in a container: give a program, or a table of words"
  end
  if type(first) ~= "table" then return { ... } end
  check.no_more(name, 1, ...)
  return first
end

--- Its end in words; nil while it lives. A socket of its init is closed a moment before that has ended.
local function end_of(self)
  if self.box.handle:isclosed() then return "the container is closed" end
  local _, how, code = self:wait(END)
  return (how == "exit" or how == "signal") and ("the container has ended (%s %d)"):format(how, code) or nil
end

local function end_of_closed(self)
  return self.box.handle:isclosed() and end_of(self) or nil
end

-- What an init that is gone is told by; its own refusals have other numbers.
local GONE = { [errno_of.EPIPE] = true, [errno_of.ECONNRESET] = true, [errno_of.ESRCH] = true }

--- nil, message, errno, detail for a start; and, where that was refused as the container has ended, that.
local function explain(self, message, errno, detail)
  local is_lost = detail.step == "job" and not detail.hint and (not errno or GONE[errno]) or detail.code == "DIED"
  local over = is_lost and end_of(self)
  if not over then return nil, message, errno, detail end
  return nil, over, errno_of.ESRCH, { step = "job", code = "ESRCH" }
end

--- Starts a program in the container `self`, for the method `name`. `ends_box`: it ends with that program.
function container.spawn(self, name, words, ends_box)
  local checked, kept = living.check(words, self.box)
  if not checked then check.raise("bad argument #1 to '%s' (%s)", name, kept) end
  if self.box.handle:isclosed() then return explain(self, nil, nil, { step = "job" }) end
  local forwarded = name == "run" and checked.forward_signals -- any other is waited for when its user says so
  local p, message, errno, detail = lifecycle.catching(forwarded, living.spawn, checked, kept, self.box, ends_box)
  if not p then return explain(self, message, errno, detail) end
  self.jobs[p.pid] = p
  return p
end

local function new(box)
  local jobs = setmetatable({}, { __mode = "v" })
  return setmetatable({ box = box, name = box.name, pid = box.pid, left_out = box.left_out, jobs = jobs,
    published = box.published }, Container)
end

--- The spec checked, the host, and the words; or nil, the step that was refused.
local function check_spec(spec, name, unawaited, left_out, kept)
  local host, words = survey.host(), {}
  for word, value in next, spec do words[word] = value end
  host.serves, host.unawaited, host.left_out, words.init, words.argv = true, unawaited, left_out, true, nil
  if spec.fn then check.raise("bad argument #1 to '%s' (fn: %s)", name, plan.words.fn.outside) end
  local checked, mistake, refused = plan.check(words, host, kept)
  if checked and not checked.flags.pid then mistake = "flags: needs 'pid', as a living box is one pid namespace" end
  if mistake then check.raise("bad argument #1 to '%s' (%s)", name, mistake) end
  return checked, refused or host, words
end

--- Launches a box without a program of its own: a Container; or nil, message, errno, detail. `unawaited`: it may still be
-- refused, when it is awaited (`ns.start.living`). `left_out`: what need not be tried (`ns.start.optional`). `kept`: what is
-- kept of launches of the same spec (`ns.start.cache`).
function container.launch(spec, name, unawaited, left_out, kept)
  local checked, host, words = check_spec(spec, name, unawaited, left_out, kept)
  local box, message, errno, detail = living.start(checked, host, words, kept)
  if not box then return nil, message, errno, detail end
  return new(box)
end

local function start_named(spec, main, options)
  local checked, host, words = check_spec(spec, "start")
  if not checked then return errors.caught(host) end
  local box, message, errno, detail = outliving.start { spec = checked, host = host, words = words, main = main,
    name = options.name, stay = options.stay }
  if not box then return nil, message, errno, detail end
  return new(box)
end

local OPTIONS = { name = named.check, stay = check.boolean }

--- What stands in `start`: the words of the program, nil if there is none; and what is said of the container itself.
local function read_start(...)
  if select("#", ...) == 0 then return nil, {} end
  local words, options = {}, {}
  for word, value in next, container.read("start", ...) do
    if OPTIONS[word] then
      local ok, result = pcall(OPTIONS[word], value, word)
      if not ok then check.raise("bad argument #1 to 'start' (%s)", check.mistake(result)) end
      options[word] = result
    else
      words[word] = value
    end
  end
  return next(words) ~= nil and words or nil, options
end

--- Launches a box, with a program or without one: a Container; or nil, message, errno, detail.
function container.start(spec, ...)
  local main, options = read_start(...)
  if options.name then return start_named(spec, main, options) end
  local self, message, errno, detail = container.launch(spec, "start")
  if not self or not main then return self, message, errno, detail end
  local done, p
  done, p, message, errno, detail = pcall(container.spawn, self, "start", main, not options.stay)
  if done and p then
    self.main, self.stays = p, options.stay
    return self
  end
  self:close()
  host_steps.unmake(self.box.new)
  if not done then error(p, 0) end
  return nil, message, errno, detail
end

--- The container of that name that lives, of this user; as `ns.container`.
function container.find(name)
  local ok, mistake = pcall(named.check, name, "name")
  if not ok then check.raise("bad argument #1 to 'container' (%s)", check.mistake(mistake)) end
  local box, message, errno, detail = named.find(name)
  if not box then return nil, message, errno, detail end
  return new(living.adopt(box))
end

--- Starts a program in the container: as `ns.spawn`, with the words that a program of it may differ in. What is not said is
-- as the box has it.
-- @tparam string|table ... a program and its arguments; or one table of words, whose array part is that
-- @treturn Process the running program; or nil, message, errno, detail
-- @raise a mistake in the words, or one that is the box's
function Container:spawn(...)
  return container.spawn(self, "spawn", container.read("spawn", ...))
end

--- Runs a program in the container to its end, and collects what it writes: as `ns.run`.
-- @tparam string|table ... a program and its arguments; or one table of words, whose array part is that
-- @treturn Result what it has come to; or nil, message, errno, detail
-- @raise a mistake in the words, or one that is the box's
function Container:run(...)
  return process.collect(container.spawn(self, "run", stdio.collected(container.read("run", ...))))
end

--- A shell at your terminal, until it ends: `p:interact()` on a program with a pty, and with your TERM, where the box says
-- no other.
-- @tparam[opt="sh"] string ... the shell and its arguments
-- @return as `Process:wait`; or nil, message, errno, detail
function Container:shell(...)
  local words = { ... }
  if #words == 0 then words[1] = "sh" end
  local env = self.box.words.env
  words.pty = true
  if not (env and env.TERM ~= nil) then words.env = { TERM = os.getenv "TERM" } end
  local p, message, errno, detail = container.spawn(self, "shell", words)
  if not p then return nil, message, errno, detail end
  local ok, how, code = p:interact()
  p:close()
  return ok, how, code
end

--- Connects to a server in it: also where it has no interface but its loopback.
-- @tparam integer|string server a port, of 127.0.0.1 or ::1; "ADDRESS:PORT"; the path of a socket; or "@" and the name of an
-- abstract one
-- @tparam[opt] number seconds at the most
-- @treturn Connection or nil, message, errno (ECONNREFUSED where nobody listens)
-- @raise if that is no server, or seconds is no number from 0 up
-- @see network_namespaces(7)
function Container:connect(server, seconds)
  local over = end_of_closed(self)
  if over then return nil, over, errno_of.ESRCH end
  return connect.open(self.box.handle, server, seconds, true)
end

--- Waits until a server in it takes connections: it is connected to again and again.
-- @tparam integer|string server as for `connect`
-- @tparam[opt] number seconds at the most; else as long as the container lives
-- @return true; or nil, "timeout", errno; nil, message, errno (ESRCH when the container has ended)
-- @raise if that is no server, or seconds is no number from 0 up
function Container:wait_for(server, seconds)
  local over = end_of_closed(self)
  if over then return nil, over, errno_of.ESRCH end
  return connect.wait(self.box.handle, server, seconds, true, function(pause)
    self.box.handle:wait(pause)
    return not living.is_alive(self.box) and end_of(self) or nil
  end)
end

--- What its programs have changed so far in its layers, as Process:changes().
-- @treturn Changes for a loop, and with its methods; or nil, message, errno (EINVAL: it has no layer, or was found by its
-- name)
-- @see ns.changes
function Container:changes()
  return changes.of(self.box.spec and self.box.spec.mounts, self.box.handle)
end

--- What lives inside, its init left out: a list of { pid, inside, ppid, argv, process }. `pid` is its number on the host,
-- `inside` in the container; `process` the Process that it belongs to, nil for what a program has left behind.
-- @treturn table in the order of the numbers; or nil, message, errno where /proc does not tell
-- @see pid_namespaces(7)
function Container:processes()
  return inside.list(self.box.handle, self.jobs)
end

--- Changes limits while it lives: those that are named, as the word `limits` says them, but for `parent`.
-- @tparam table wanted
-- @return true; or nil, message, errno, detail: what is named before the one that is refused has been changed
-- @raise a mistake in a limit, or it has been started without `limits`
function Container:limits(wanted)
  return groups.change(self.box, wanted)
end

--- What all that is and was in it have used together, and `oom`: has its memory run out? Nil where it was started without
-- `limits`.
-- @treturn table as the part of `Process:usage` that is of `limits`
function Container:usage()
  local told = self.told or self.box.group and group.told(self.box.group)
  if not told then return nil end
  told.usage.oom = told.oom
  return told.usage
end

--- As `wait`, of its init.
local function wait_for_init(self, seconds)
  local deadline, handle = seconds and core.clock() + seconds, self.box.handle
  if handle:isclosed() then return nil, "attempt to wait for a closed container" end
  while true do
    local left = deadline and math.max(0, deadline - core.clock()) or -1
    local ok, how, code = handle:wait(left)
    if how == "timeout" and left == 0 then return nil, how end
    if how ~= "again" and how ~= "timeout" then return ok, how, code end
  end
end

--- What its init has said; where it has a program, and has ended, the status of that.
local function status_of(self, ok, how, ...)
  if self.main and (how == "exit" or how == "signal") then return self.main:wait(0) end
  return ok, how, ...
end

--- Waits for the end of the container, `seconds` at the most.
-- @tparam[opt] number seconds
-- @return as `Process:wait`, with the status of the program that it was started with
-- @raise if seconds is no number from 0 up
function Container:wait(seconds)
  process.check_seconds(seconds, "wait")
  if self.main and not self.stays then return self.main:wait(seconds) end
  return status_of(self, wait_for_init(self, seconds))
end

--- Sends a signal (default TERM) to all that is inside.
-- @tparam[opt="TERM"] string|number signal "TERM", "SIGTERM" or 15
-- @return true; or nil, message, errno (ESRCH after its end)
-- @raise if there is no such signal
function Container:kill(signal)
  local number = signals.number(signal or "TERM")
  if not number then signals.unknown(signal, "kill") end
  if self.box.handle:isclosed() then return nil, core.strerror(errno_of.ESRCH), errno_of.ESRCH end
  local ok, _, errno = self.box.handle:signal_all(number)
  if ok then return true end
  return nil, core.strerror(errno), errno
end

--- The end of its group, after which it still says what it has told.
local function finish_group(self)
  self.told = self.box.group and group.finish(self.box.group) or self.told
end

--- What its group says while it is there: a service manager may take it away as soon as nobody is in it.
local function ask_group(self)
  if self.box.group and not self.told then group.told(self.box.group) end
end

--- Ends all that is inside: by the init, or, where somebody has stopped that, by a signal.
local function finish(self)
  local handle = self.box.handle
  ask_group(self)
  for _, way in ipairs { "order_end", "kill_all", "kill_inside" } do
    handle[way](handle)
    local _, how = wait_for_init(self, END)
    if how ~= "timeout" then break end
  end
  if not self.name then return end
  finish_group(self)
  named.forget(self.name)
end

--- Ends the container: SIGTERM to all that is inside, then, when nothing is left or `grace` seconds are over, the end. It
-- can still be asked and waited for, until it is closed.
-- @tparam[opt=2] number grace seconds
-- @return as wait; nil, "timeout" where it could not be ended
-- @raise if grace is no number from 0 up
function Container:stop(grace)
  process.check_seconds(grace, "stop")
  local deadline = core.clock() + (grace or GRACE)
  ask_group(self)
  if self:kill("TERM") then
    while core.clock() < deadline and not inside.is_empty(self.box.handle) and living.is_alive(self.box) do
      ask_group(self)
      self.box.handle:wait(0.01)
    end
  end
  if not self.box.handle:isclosed() then finish(self) end
  return self:wait(END)
end

--- Ends everything in the container at once. May be called again.
-- @return true
function Container:close()
  local handle = self.box.handle
  if self.box.group and not self.told then self.told = group.told(self.box.group) end
  if not self.name then
    living.close(self.box)
  elseif not handle:isclosed() then
    finish(self)
    self.kept = handle:log()
    handle:close()
    if self.box.keeper then self.box.keeper:close() end
  end
  if self.main then self.main:close() end
  return true
end

--- What its program has written to its standard output and error: the last 64 KiB that its init has kept, or of the file
-- that the output goes into. Also when it has ended.
-- @treturn string the text; or nil, message, errno (ENODATA where it is not kept)
function Container:logs()
  local handle, file = self.box.handle, self.box.file
  local text = self.kept or not handle:isclosed() and self.name and handle:log()
  if text or not file then
    if text then return text end
    return nil, "the output of this container is not kept", errno_of.ENODATA
  end
  local f, message, errno = io.open(file, "rb")
  if not f then return nil, message, errno end
  f:seek("set", math.max(0, f:seek("end") - LOG))
  text = f:read("*a")
  f:close()
  return text
end

--- What it is: `name`, `pid`, `started` (seconds, as of os.time), `argv` of its program, `stay`, `spec` (the words of the
-- box), `ids` (as `ids()`), `namespaces` (as `ns.namespaces`).
-- @treturn table
function Container:info()
  local box = self.box
  return { name = self.name, pid = self.pid, started = box.started, argv = box.argv, stay = box.stay or false,
    spec = box.words, ids = box.known_ids, namespaces = namespaces.list(self) }
end

--- Gives one of its namespaces a name: mounts it on a file, which is made if it is missing, so that it outlives all that is
-- in it. `join` takes that path, and `ip netns` those in /run/netns. To take it away again: umount and rm, as root.
-- @tparam string kind "net", "uts", ... as in `flags`
-- @tparam string path absolute
-- @return true; or nil, message, errno (EPERM without CAP_SYS_ADMIN, ESRCH after its end)
-- @raise if there is no such kind, or the path is none
-- @see namespaces(7)
-- @see ip-netns(8)
function Container:persist(kind, path)
  return namespaces.persist(self.box.handle, kind, path)
end

--- The pidfd of its init: readable when the container has ended.
-- @treturn integer a descriptor, which stays the container's own; or nil, message, errno once it is closed
function Container:getfd()
  if self.box.handle:isclosed() then return nil, "the container is closed", errno_of.ESRCH end
  return self.box.handle:getfd()
end

--- Who its programs are on the host: as `Process:ids`.
-- @treturn table
function Container:ids()
  return self.box.known_ids
end

function Container:__tostring()
  local state = self.box.handle:isclosed() and "closed" or living.is_alive(self.box) and "running" or "ended"
  return ("ns.Container (%spid %d, %s)"):format(self.name and self.name .. ", " or "", self.pid, state)
end

Container.__close = Container.close
check.methods(container.is, Container, { connect = 2, wait_for = 2, changes = 0, processes = 0, limits = 1, usage = 0,
  wait = 1, kill = 1, stop = 1, close = 0, logs = 0, info = 0, persist = 2, getfd = 0, ids = 0 })

return container
