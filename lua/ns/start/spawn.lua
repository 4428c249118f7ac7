--- From a spec to a running process: check, open, launch, maps, plan, answer. Whatever fails, nothing is left.
-- @module ns.start.spawn
require("ns.core").nojit()
local core = require "ns.core"
local constants = core.constants
local errors = require "ns.start.errors"
local ids = require "ns.start.ids"
local namespaces = require "ns.words.namespaces"
local plan = require "ns.start.plan"
local process = require "ns.running.process"
local pty = require "ns.running.pty"
local root = require "ns.words.root"
local stdio = require "ns.words.stdio"
local trees = require "ns.start.trees"

local spawn = {}

--- What a plan depends on besides the spec: who asks, and functions for what is seldom asked.
function spawn.host()
  local host = core.ids()
  for _, name in ipairs { "environ", "arg_max", "entries", "realpath", "nofile", "access" } do host[name] = core[name] end
  host.nested = namespaces.is_nested
  return host
end

--- Runs newuidmap or newgidmap; the caller is not trusted with more than its /etc/subuid.
local function run_helper(name, pid, map, deadline)
  local argv = { name, ("%d"):format(pid) }
  for _, r in ipairs(map) do
    for i = 1, 3 do argv[#argv + 1] = ("%.0f"):format(r[i]) end
  end
  local spec = { argv = argv, clear_env = true, env = { PATH = "/usr/bin:/bin:/usr/sbin:/sbin" } }
  spec.stdin, spec.stdout, spec.stderr = "null", "null", "pipe"
  spec.timeout, spec.grace = deadline and math.max(1e-6, deadline - core.clock()), 0
  local host = spawn.host()
  local p, message, errno, detail = spawn.start(assert(plan.check(spec, host)), host)
  local why = not p and detail.code == "DIED" and ("(%s)"):format(message:match("^[^;]*")) or nil
  if not p then return nil, { op = name, word = "map", path = why }, errno end
  local r = p:communicate()
  if r and r.ok then return true end
  if r and r.timed_out then return nil, { op = name, word = "map" }, constants.errno.ETIMEDOUT end
  local said = r and (r.stderr:match("[^\n]+") or tostring(r)) or "the status is lost"
  return nil, { op = name, word = "map", path = ("(%s)"):format(said) }, constants.errno.EPERM
end

--- Writes a file of the process in /proc: true; or nil, step, errno
local function write_file(pid, name, data)
  local path = ("/proc/%d/%s"):format(pid, name)
  local ok, _, errno = core.write(path, data)
  return ok, { op = "write", path = path, data = data, word = name }, errno
end

--- Writes the maps, by `writer`: the number in /proc, which may be that of another pid namespace; or nil, step, errno
local function write_maps(uid, gid, setgroups, handle, writer, deadline)
  local pid, _, why = handle:proc_pid()
  local unknown = { op = "write", path = "/proc/PID/uid_map", data = "", word = "uid_map" }
  if not pid then return nil, unknown, why end
  local ok, step, errno = true, nil, nil
  if setgroups then ok, step, errno = write_file(pid, "setgroups", setgroups) end
  for _, map in ipairs { { "gid", gid }, { "uid", uid } } do
    if ok and writer == "newuidmap" then
      ok, step, errno = run_helper(("new%smap"):format(map[1]), pid, map[2], deadline)
    elseif ok then
      ok, step, errno = write_file(pid, map[1] .. "_map", ids.format(map[2]))
    end
  end
  return ok and pid, step, errno
end

--- A user namespace with these maps, in a process that does nothing: the path of it, for as long as `keep.holder` lives.
local function make_user(keep)
  return function(uid, gid)
    local holder, what, errno = core.launch(constants.clone.NEWUSER, {}, true)
    if not holder then return nil, { op = what, namespaces = { user = true } }, errno end
    if keep.holder then keep.holder:close() end
    keep.holder = holder
    local pid, step, why = write_maps(uid, gid, nil, holder, "host")
    if not pid then return nil, step, why end
    return ("/proc/%d/ns/user"):format(pid)
  end
end

--- Where in the plan an op stands, from the end on; nil if it does not.
local function number_of(steps, op)
  for i = #steps, 1, -1 do
    if steps[i].op == op then return i end
  end
end

--- Sends the plan and awaits the answer: true; or nil, message, errno, detail.
local function play(handle, bytes, steps, deadline, init)
  while true do
    local ok, what, errno, more = handle:play(bytes, deadline and math.max(0, deadline - core.clock()) or -1, init)
    if ok then return true end
    if what == "step" then return errors.refused(steps[more], errno, steps) end
    if what == "refused" then return nil, "refused" end
    if what == "boarding" then return errors.refused({ op = "execveat" }, errno) end
    if what == "plan" then return errors.refused({ op = "launch" }, errno) end
    if what == "died" then return errors.died(more, errno, steps) end
    if what == "timeout" then return errors.timeout(steps[more]) end
  end
end

--- Where the launcher cannot be executed, the host is copied: not where an init stays, which would be that copy; nor where a
-- link in a hostile root could lead exec to the program that the host is.
local function may_copy(spec) return not (spec.init or spec.root) end

--- Launches and plays: true; or nil, message, errno, detail. The plan is made while the launcher starts.
local function launch(spec, host, opened, deadline, keep)
  local flags, drop = namespaces.clone_flags(spec.flags), ids.drops_groups(spec, host)
  local handle, pid, errno = core.launch(flags, stdio.kept(opened), may_copy(spec), drop)
  if not handle then return errors.refused({ op = pid, namespaces = spec.flags }, errno) end
  keep.handle, keep.pid = handle, pid
  if spec.flags.user then ids.hold(spec, handle) end
  local writer = spec.flags.user and ids.writer(spec, host) or "launcher"
  if writer ~= "launcher" then
    local uid, gid = ids.maps(spec, host)
    local ok, step, why = write_maps(uid, gid, spec.setgroups, handle, writer, deadline)
    if not ok and why == constants.errno.ETIMEDOUT then return errors.timeout(step) end
    if not ok then return errors.refused(step, why) end
  end
  local steps = plan.lower(spec, host)
  steps.flags = spec.flags -- for hints
  return play(handle, core.encode(steps), steps, deadline, spec.init and number_of(steps, "init") or nil)
end

--- The process that runs, with our ends of the pipes as files.
local function adopt(spec, host, bag, opened, keep, started)
  local fields = { handle = keep.handle, pid = keep.pid, started = started, detached = spec.detach,
    alone = not (spec.flags.pid or spec.init), init = spec.init,
    terminal = keep.terminal, max_output = spec.max_output, input = spec.input,
    grace = spec.grace, forward_signals = spec.forward_signals,
    left_out = root.left_out(host), known_ids = ids.told(spec, host), deadline = spec.timeout and started + spec.timeout }
  for name, fd in next, opened.ours do
    local file, _, errno = bag:file(fd, name == "stdin" and "w" or "r", keep.handle)
    if not file then return errors.refused({ op = "fdopen", word = name }, errno) end
    fields[name] = file
  end
  if opened.pty then
    local terminal, _, errno = pty.new(bag, opened.pty, keep.handle)
    if not terminal then return errors.refused({ op = "fdopen", word = "pty" }, errno) end
    fields.pty = terminal
  end
  local p = process.new(fields)
  if spec.detach then keep.handle:detach() end
  return p
end

--- Everything that the steps depend on and that only the machine can say: maps, parts of the root, opened trees.
local function survey(spec, host, bag, keep)
  if spec.flags.user then host.uid_map, host.gid_map = ids.maps(spec, host) end
  if not (spec.root or spec.mounts) then return {} end
  host.privileged = ids.privileged(spec, host, host.uid_map)
  if spec.root then
    local parts, path, errno = root.parts(spec, host)
    if not parts then return nil, { op = "open", path = path, word = "root" }, errno end
    spec.parts = parts
  end
  local opened = {}
  for _, list in ipairs { spec.parts or {}, spec.mounts or {} } do
    local found, step, errno = trees.open(list, spec, host, bag, make_user(keep))
    if not found then return nil, step, errno end
    for m, fd in pairs(found) do opened[m] = fd end
  end
  return opened
end

--- The program's terminal and pipes belong to the program: /dev/tty and /dev/stdout are opened as files are.
local function give(made, spec, host)
  if #made == 0 then return end
  local uid, gid = ids.program(spec, host)
  if host.euid ~= 0 or not (uid and gid) or uid == 0 and gid == 0 then return end
  for _, fd in ipairs(made) do core.give(fd, uid, gid) end
end

--- Opens what the plan of a checked spec needs: opened; or nil, step, errno.
local function prepare(spec, host, bag, keep)
  local opened, step, errno = stdio.open(bag, spec, host.trial)
  if not opened then return nil, step, errno end
  opened.trees, step, errno = survey(spec, host, bag, keep)
  if not opened.trees then return nil, step, errno end
  give(opened.made, spec, host)
  host.ends, host.trees, host.slave, host.console = opened.ends, opened.trees, opened.slave, opened.console
  return opened
end

local function start(spec, host, bag, keep)
  local started = core.clock()
  local opened, step, errno = prepare(spec, host, bag, keep)
  if not opened then return errors.refused(step, errno) end
  if spec.tty then
    local terminal, foreground = core.terminal(opened.ends[0])
    keep.terminal, host.background = terminal, terminal and not foreground
  end
  local deadline = spec.timeout and started + spec.timeout
  local ok, message, code, detail = launch(spec, host, opened, deadline, keep)
  while message == "refused" do -- this machine does not execute the launcher in that way: the core knows another one
    keep.handle:close()
    keep.handle = nil
    ok, message, code, detail = launch(spec, host, opened, deadline, keep)
  end
  if not ok then return nil, message, code, detail end
  return adopt(spec, host, bag, opened, keep, started)
end

--- Starts a spec that was checked for `host`; nil stands for one whose check was refused, with the step. A process; or nil,
-- message, errno, detail. Errors of any kind, a Ctrl-C among them, leave neither process nor descriptor.
function spawn.start(spec, host)
  if not spec then return errors.caught(host) end
  local bag, keep = core.bag(), {}
  local ok, p, message, errno, detail = pcall(start, spec, host, bag, keep)
  bag:close()
  if keep.holder then keep.holder:close() end
  if not (ok and p) and keep.handle then
    keep.handle:kill_tree()
    keep.handle:close()
    if keep.terminal then core.restore_terminal(keep.terminal) end
  end
  if not ok then return errors.caught(p) end
  return p, message, errno, detail
end

return spawn
