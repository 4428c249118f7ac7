--- A running program. Made by `ns.spawn`; dropping or closing it ends the program, unless it is detached.
--
-- Its fields: `pid`, as seen outside; `stdin`, `stdout`, `stderr`, Lua files where the spec says "pipe"; `pty`, where it
-- says so (`ns.running.pty`); `timed_out`, true once the timeout has stopped it; once its end was seen `wall`, the seconds
-- until then; `oom`, with `limits`: has the kernel killed for want of memory?
--
-- The room of what runs: a process, its streams, its end.
-- Requires words.
-- @module ns.running.process
require("ns.core").nojit()
local later = require("ns.words.later").module
local changes = require "ns.running.changes"
local core = require "ns.core"
local check = require "ns.words.check"
local connect = later "ns.running.connect"
local denied = later "ns.running.denied"
local group = require "ns.running.group"
local lifecycle = require "ns.running.lifecycle"
local interact = later "ns.running.interact"
local namespaces = later "ns.running.namespaces"
local raise = check.raise
local result = require "ns.running.result"
local signals = require "ns.words.signals"
local stream = require "ns.running.stream"

local process = {}
local Process = { __name = "ns.Process" }
Process.__index = Process

-- How long run and communicate wait for output after the program's end, where a grandchild keeps a pipe open: seconds.
local LINGER = 0.5

--- Makes a process of its `fields`: the core's handle, pid, stdin, stdout, stderr, deadline, terminal, started; box,
-- the living one that it runs in; container, one that is its own, and closed with it.
function process.new(fields)
  fields.timed_out, fields.oom = false, false
  return setmetatable(fields, Process)
end

--- Is it a process?
function process.is(value)
  return getmetatable(value) == Process
end

local function check_seconds(value, name, position)
  if value ~= nil and (type(value) ~= "number" or not (value >= 0)) then
    raise("bad argument #%d to '%s' (seconds expected, got %s)", position or 1, name,
      type(value) == "number" and tostring(value) or type(value))
  end
end

--- Raises a mistake where an argument is neither nil nor a number from 0 up; `position` (1) is its number.
process.check_seconds = check_seconds

--- Waits for the end of the program, `seconds` at the most (without: for ever). The `timeout` of the spec counts too: when
-- it is over, the program is stopped, as by `stop`, and is waited for as long as was asked. May be called again.
-- @tparam[opt] number seconds
-- @return true or nil, "exit" or "signal", exit status or signal; nil, "timeout" while it runs; nil, message, errno when the
-- status is lost
-- @raise if seconds is no number from 0 up
-- @see waitid(2)
function Process:wait(seconds)
  check_seconds(seconds, "wait")
  return lifecycle.forwarding(self, lifecycle.wait, seconds and core.clock() + seconds)
end

--- Sends a signal (default TERM) to the program.
-- @tparam[opt="TERM"] string|number signal "TERM", "SIGTERM" or 15
-- @return true; or nil, message, errno (ESRCH after its end)
-- @raise if there is no such signal
-- @see signal(7)
-- @see pidfd_send_signal(2)
function Process:kill(signal)
  local number = signals.number(signal or "TERM")
  if not number then signals.unknown(signal, "kill") end
  if self.handle:isclosed() then return nil, core.strerror(core.constants.errno.ESRCH), core.constants.errno.ESRCH end
  local forced = self.init and number == signals.number("KILL")
  local ok, _, errno = self.handle:kill(forced and 0 or number)
  if ok and forced then lifecycle.kill(self) end
  if ok then return true end
  return nil, core.strerror(errno), errno
end

--- Ends the program: SIGTERM, then, after `grace` seconds, SIGKILL for it and all it has started.
-- @tparam[opt] number grace seconds; else the spec's `grace`, else 2
-- @return as wait; or nil, message, errno where something of it lives on: the message has its pid
-- @raise if grace is no number from 0 up
function Process:stop(grace)
  check_seconds(grace, "stop")
  self:terminate(grace)
  local ok, how, code = lifecycle.wait(self)
  local why, errno = lifecycle.failure(self)
  if why then return nil, why, errno end
  return ok, how, code
end

--- Begins to end the program, as `stop`, and does not wait: when `grace` is over, the SIGKILL is sent by whoever waits for
-- it then, or asks for its streams.
-- @tparam[opt] number grace seconds; else the spec's `grace`, else 2
-- @return true
-- @raise if grace is no number from 0 up
function Process:terminate(grace)
  check_seconds(grace, "terminate")
  if not self.status and not self.handle:isclosed() then lifecycle.terminate(self, grace) end
  return true
end

local function is_open(file)
  return file and io.type(file) == "file"
end

local function close_file(file)
  if is_open(file) then file:close() end
end

--- Ends the program if it runs (SIGKILL), reaps it and closes its files. May be called again.
-- @return true; or nil, message, errno where something of it lives on: the message has its pid
function Process:close()
  local why, errno
  lifecycle.forget(self)
  if self.alarm then self.alarm:close() end
  self.alarm = nil
  if not self.handle:isclosed() then
    if not self.status and not self.detached then
      lifecycle.kill(self)
      lifecycle.wait(self)
      why, errno = lifecycle.failure(self)
      if why then self.handle:detach() end -- it is not waited for once more
    end
    self.handle:close()
    if self.terminal then core.restore_terminal(self.terminal) end
    self.terminal = nil
  end
  if is_open(self.stdin) then core.hurry(self.stdin) end -- a grandchild may have it, and not read
  close_file(self.stdin)
  close_file(self.stdout)
  close_file(self.stderr)
  if self.pty then self.pty:close() end
  if self.container then self.container:close() end
  if self.relay and not self.relay:isclosed() then self.relay:close() end
  if self.pasta and not self.detached then self.pasta:close() end
  if self.group and not self.detached then self.group:remove() end
  self.group = nil
  if why then return nil, why, errno end
  return true
end

--- Connects your terminal to the program's own (`pty`) until the program ends: keys go there as they are, what the program
-- shows is shown, and its window has the size of yours. Then your terminal is as it was before.
-- @return as wait; or nil, message, errno (ENOTTY without `pty`)
-- @see termios(3)
function Process:interact()
  if not self.pty then return nil, "the program has no terminal of its own", core.constants.errno.ENOTTY end
  interact.run(self)
  return lifecycle.wait(self)
end

--- Sets the size of the window of the program's own terminal (`pty`).
-- @tparam integer rows 1 to 65535 lines of text
-- @tparam integer cols 1 to 65535 characters
-- @return true; or nil, message, errno (ENOTTY without `pty`, EBADF after `close`)
-- @raise if a number is out of range
-- @see ioctl_tty(2)
function Process:resize(rows, cols)
  for i = 1, 2 do
    local n = ({ rows, cols })[i]
    if type(n) ~= "number" or not (n >= 1 and n <= 65535 and n == math.floor(n)) then
      raise("bad argument #%d to 'resize' (1 to 65535 expected, got %s)", i, check.show(n))
    end
  end
  if not self.pty then return nil, "the program has no terminal of its own", core.constants.errno.ENOTTY end
  return self.pty:resize(rows, cols)
end

--- What the program has used, once it has ended: utime, stime (seconds), maxrss (KiB), minflt, majflt, inblock, oublock,
-- nvcsw, nivcsw; nil while it runs, or where somebody else has reaped it. With an init, the program and all that it has
-- waited for count together; without one, maxrss is never less than what the host itself has had.
--
-- With `limits`, and while it runs, too: what it and all that it has started have used together, however they have ended:
-- memory_peak (bytes), cpu and throttled (seconds: used, and held back by the limit), pids_peak, pids_refused (how often one
-- more process was refused), as far as this kernel counts that.
-- @treturn table
-- @see getrusage(2)
function Process:usage()
  if not self.status then return self.group and group.usage(self.group) or nil end
  if not (self.status[2] == "exit" or self.status[2] == "signal") then return self.grouped end
  local usage = self.handle:usage() or self.grouped and {} or nil
  for name, value in next, self.grouped or {} do usage[name] = value end
  return usage
end

--- Which system calls its filter has refused, to it and to all that it has started, with `seccomp = { trace = true }`: a
-- list of { name, errno, count }, most refused first. While it runs, too. Nil without `trace`.
-- @treturn table
-- @see seccomp_unotify(2)
function Process:denied()
  return self.refusals and denied.list(self.refusals)
end

--- What has changed so far in the layers that it writes to: its root, if that is in layers, and its overlays. Of what is
-- thrown away this can be asked until it is closed.
-- @treturn Changes for a loop, and with its methods; or nil, message, errno (EINVAL: it has no layer)
-- @see ns.changes
function Process:changes()
  return changes.of(self.mounts, self.handle)
end

--- Who it is on the host: uid and gid, with which it started, and uid_map and gid_map, as in a spec, where it has a user
-- namespace. Root's boxes have other ids each time, where `map` is "range".
-- @treturn table
-- @see user_namespaces(7)
function Process:ids()
  return self.known_ids
end

local function fd_of(file)
  return is_open(file) and core.fileno(file) or nil
end

--- What lines() and the like have read further than they have given.
local function read_ahead(file)
  return is_open(file) and core.buffered(file) or ""
end

--- Where communicate feeds to, a descriptor, and what the file for it has not written yet; what it reads from, a file and
-- its descriptor: the terminal, if the program has one of its own, in place of what is no pipe.
local function streams(self)
  local open = self.pty and is_open(self.pty.output)
  local into, pending = open and self.pty.fd or nil, ""
  if is_open(self.stdin) then into, pending = fd_of(self.stdin), core.pending(self.stdin) end
  if self.stdout or not self.pty then return into, pending, self.stdout, fd_of(self.stdout) end
  return into, pending, self.pty.output, open and self.pty.fd or nil
end

--- One step of an exchange, which waits `seconds` at the most: is it over? And was there nothing to be done? It is over
-- when both outputs have ended, or the program has and LINGER is over.
function process.advance(self, x, seconds)
  local what = x.capture:step(seconds, x.pidfd, lifecycle.wake_fd(self))
  if what == "done" then return true end
  if what == "fed" then
    close_file(self.stdin)
  elseif what == "exited" then
    lifecycle.wait(self)
    x.pidfd, x.linger = nil, core.clock() + LINGER
  elseif x.pidfd then
    lifecycle.poll(self)
    if lifecycle.failure(self) then return true end
  elseif lifecycle.remaining(x.linger) == 0 then
    return true
  end
  return false, what == "timeout"
end

--- How long an exchange may wait at once.
function process.patience(self, x)
  return lifecycle.wait_time(self, x.linger or lifecycle.next_deadline(self))
end

local function collect(self, x)
  while not process.advance(self, x, process.patience(self, x)) do end
end

--- What has been read, as the fields of a result.
local function gather(self, capture, ahead, fields)
  for name, before in next, ahead do
    local text, truncated = capture:output(name == "stdout" and 1 or 2)
    if before ~= "" then text = before .. text end -- Lua 5.1 would copy it for "", too
    if self.max_output and #text > self.max_output then text, truncated = text:sub(1, self.max_output), true end
    fields[name], fields.truncated = text, truncated or fields.truncated
  end
end

--- Begins to feed a program and to collect what it says: { capture, pidfd, linger, ahead }.
function process.exchange(self, input)
  local into, pending, out, from = streams(self)
  if input and not into then raise "bad argument #1 to 'communicate' (the program has no open pipe as stdin)" end
  input = input or self.input or ""
  if pending ~= "" then input = pending .. input end
  local ahead = { stdout = out and (from and core.buffered(out) or ""), stderr = self.stderr and read_ahead(self.stderr) }
  local pidfd = not self.status and self.handle:getfd() or nil
  return { capture = core.capture(into, input, from, fd_of(self.stderr), self.max_output), ahead = ahead, pidfd = pidfd,
    linger = not pidfd and core.clock() + LINGER or nil }
end

local function outcome(self, x)
  local ok, how, code = self:wait()
  local fields = { argv = self.argv,
    timed_out = self.timed_out, wall = self.wall, usage = self:usage(), left_out = self.left_out,
    oom = self.oom, denied = self:denied() }
  fields.changed = changes.keep(changes.layers(self.mounts, self.handle), lifecycle.over(self))
  gather(self, x.capture, x.ahead, fields)
  return fields, ok, how, code
end

--- The end of an exchange, as `act(self, x)` gives it: the process is closed.
function process.finish(self, x, act)
  local done, fields, ok, how, code = pcall(lifecycle.forwarding, self, act or outcome, x)
  x.capture:close()
  if not done then error(fields, 0) end
  self:close()
  if not fields then return nil, ok, how end
  if how ~= "exit" and how ~= "signal" then return nil, how, code end
  return result.new(ok, how, code, fields)
end

local function whole(self, x)
  collect(self, x)
  return outcome(self, x)
end

--- Feeds `input` (or what the spec has under that word) to stdin, reads stdout and stderr to their ends, as far as they
-- are pipes, waits and closes. Half a second after the program's end it reads no more, as a child that was left behind may
-- keep a pipe; then `truncated` is true. Where the program has a terminal of its own, `input` is typed there, and what it
-- shows is the stdout: a program that reads to the end wants "\4" as the last key.
-- @tparam[opt] string input
-- @treturn Result the table that `ns.run` returns; or nil, message, errno when the status is lost, or it could not be ended
-- @raise if input is no string, or there is no stdin to feed
function Process:communicate(input)
  if input ~= nil and type(input) ~= "string" then
    raise("bad argument #1 to 'communicate' (string expected, got %s)", type(input))
  end
  return process.finish(self, process.exchange(self, input), whole)
end

--- The result of a process that was just started, which ends with it whatever goes wrong; what else has come in its place is
-- handed on.
function process.collect(p, ...)
  if not p then return p, ... end
  local ok, r, why, code = pcall(p.communicate, p)
  if not ok then
    p:close()
    error(r, 0)
  end
  return r, why, code
end

local function poll(self)
  if not self.status and not self.handle:isclosed() then lifecycle.poll(self) end
end

local STREAMS = { stdin = true, stdout = true, stderr = true, pty = true }

--- One of its streams for an event loop: what to poll, and what can be read or written without waiting
-- (`ns.running.stream`).
-- @tparam string name "stdin", "stdout", "stderr" or "pty"
-- @treturn Stream the same each time; or nil, where the spec has no pipe, or no pty, of that name
-- @raise if there is no such name
function Process:stream(name)
  if not STREAMS[name] then
    raise("bad argument #1 to 'stream' (stdin, stdout, stderr or pty expected, got %s)", check.show(name))
  end
  self.streams = self.streams or {}
  local file = self[name]
  if not file or self.streams[name] then return self.streams[name] end
  local input, output = name == "stdin" and file or nil, name ~= "stdin" and file or nil
  if name == "pty" then input, output = file.input, file.output end
  self.streams[name] = stream.new(self, poll, input, output)
  return self.streams[name]
end

--- The init that makes sockets of its network; or nil, and why there is none.
local function asked(self)
  local handle = self.box and self.box.handle or self.init and self.handle or nil
  if not handle then
    return nil, "the program has no init that could be asked for a socket: start it with reachable = true",
      core.constants.errno.EOPNOTSUPP
  end
  if handle:isclosed() then return nil, "the process is closed", core.constants.errno.ESRCH end
  return handle
end

--- Connects to a server in its network, as if from there: also where it has no interface but its loopback. It needs an init,
-- as in `ns.sandbox()` and by `reachable`; a program of a container has that of its container.
-- @tparam integer|string server a port, of 127.0.0.1 or ::1; "ADDRESS:PORT"; in a container the path of a socket, too, or
-- "@" and the name of an abstract one
-- @tparam[opt] number seconds at the most
-- @treturn Connection or nil, message, errno (ECONNREFUSED where nobody listens)
-- @raise if that is no server, or seconds is no number from 0 up
-- @see network_namespaces(7)
function Process:connect(server, seconds)
  local handle, message, errno = asked(self)
  if not handle then return nil, message, errno end
  return connect.open(handle, server, seconds, self.box ~= nil)
end

--- Waits until a server in its network takes connections: it is connected to again and again.
-- @tparam integer|string server as for `connect`
-- @tparam[opt] number seconds at the most; else as long as the program runs
-- @return true; or nil, "timeout", errno; nil, message, errno (ESRCH when the program has ended)
-- @raise if that is no server, or seconds is no number from 0 up
function Process:wait_for(server, seconds)
  local handle, message, errno = asked(self)
  if not handle then return nil, message, errno end
  return connect.wait(handle, server, seconds, self.box ~= nil, function(pause)
    local _, how, code = self:wait(pause)
    if how == "timeout" then return nil end
    return (how == "exit" or how == "signal") and ("the program has ended (%s %d)"):format(how, code) or how
  end)
end

--- Gives one of its namespaces a name: mounts it on a file, which is made if it is missing, so that it outlives all that is
-- in it. `join` takes that path, and `ip netns` those in /run/netns. To take it away again: umount and rm, as root.
-- @tparam string kind "net", "uts", ... as in `flags`
-- @tparam string path absolute
-- @return true; or nil, message, errno (EPERM without CAP_SYS_ADMIN, ESRCH after its end)
-- @raise if there is no such kind, or the path is none
-- @see namespaces(7)
-- @see ip-netns(8)
function Process:persist(kind, path)
  return namespaces.persist(self.handle, kind, path)
end

--- A descriptor for loops, as LuaSocket's select and luv's new_poll: readable when the program has ended, and when something
-- is due, as in `timeout`. Then `p:wait(0)` sees to it.
-- @treturn integer a descriptor, which stays the process's own; or nil, message, errno
-- @see pidfd_open(2)
-- @see timerfd_create(2)
function Process:getfd()
  if self.handle:isclosed() then return nil, "the process is closed", core.constants.errno.ESRCH end
  local pidfd = self.handle:getfd()
  if not self.alarm then
    local alarm, message, errno = core.alarm(pidfd)
    if not alarm then return nil, message, errno end
    self.alarm = alarm
    lifecycle.set_alarm(self)
  end
  return self.alarm:getfd()
end

--- For LuaSocket's select: is the end known already?
-- @treturn boolean
function Process:dirty()
  return self.status ~= nil
end

--- For cqueues: the descriptor to poll.
-- @treturn integer
function Process:pollfd()
  local fd, message = self:getfd()
  if not fd then raise("%s", message) end
  self.watch = self.watch or core.watch(fd)
  return fd
end

--- For cqueues: what to poll it for.
-- @treturn string "r"
function Process:events() -- luacheck: ignore self
  return "r"
end

--- Seconds until something is due: the end of its `timeout`, or of the grace after that. Then `p:wait(0)` sees to it.
-- cqueues asks for this by itself.
-- @treturn number or nil, if nothing is
function Process:timeout()
  if self.status or self.handle:isclosed() then return nil end
  return lifecycle.wait_time(self, lifecycle.next_deadline(self))
end

function Process:__tostring()
  local state = self.status and ("%s %s"):format(self.status[2], tostring(self.status[3]))
    or self.handle:isclosed() and "closed" or "running"
  return ("ns.Process (pid %d, %s)"):format(self.pid, state)
end

Process.__close = Process.close
check.methods(process.is, Process, { wait = 1, kill = 1, stop = 1, terminate = 1, close = 0, interact = 0, resize = 2,
  usage = 0, denied = 0, changes = 0, ids = 0, communicate = 1, stream = 1, connect = 2, wait_for = 2, persist = 2,
  getfd = 0, dirty = 0, pollfd = 0, events = 0, timeout = 0 })

process.methods = Process

return process
