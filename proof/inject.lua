--- System calls that fail, brought about from outside, on the release build: what the fault matrix shows is no work of its
-- own test build.
--
-- First strace answers one call with an error: the n-th of a name, in the host or in what it starts, up to the exec of the
-- program. Then a filter refuses one of the newer calls to host and launcher for good, as an older kernel or a container
-- would: ENOSYS, EPERM. Each start must name the step and the errno, or have the same effect, and leave nothing.
--
-- usage: lua5.4 proof/inject.lua short|long [SEED]
local proof = require "proof"

local core = require "ns.core"
local ns = require "ns"
local snapshot = require "support.snapshot"

local seed = arg[2] or arg[1] == "short" and "1" or tostring(os.time()) -- the short form is the same each time
math.randomseed(tonumber(seed))

local MARK = "/mark-of-the-proof"

local MODES = {
  { name = "no namespace", spec = { cwd = "/usr", session = true } },
  { name = "seed", spec = { flags = "uts,ipc,pid,mount", hostname = "namespace", mount_proc = true } },
  { name = "user", spec = { flags = { "user", "mount", "net" } } },
  { name = "init", spec = { flags = { "pid", "mount" }, mount_proc = true, init = true } },
  { name = "sandbox", spec = ns.sandbox():overlay("/etc", { idmap = true }):spec() },
  { name = "pty", spec = { pty = true } },
  { name = "privileges", spec = { user = 1000, group = 1000, caps = { "kill" }, nice = 19, rlimits = { memlock = 0 } } },
}

-- ---- a start under strace ----

local function words(mode)
  local line = "umask; pwd; read -r name </proc/sys/kernel/hostname; echo $name; exit 7"
  local spec = { argv = { "/bin/sh", "-c", line }, timeout = 10, grace = 0.1 }
  for word, value in pairs(mode.spec) do spec[word] = value end
  if not spec.pty then spec.stdin, spec.stdout, spec.stderr = "null", "pipe", "pipe" end
  return spec
end

--- Starts the mode and lets it run to its end: ok, p, message, errno, detail of the start; r of the program. The mark in the
-- log tells where the start ends.
local function start(mode)
  local o, spec, before = {}, words(mode), core.clock()
  o.ok, o.p, o.message, o.errno, o.detail = pcall(ns.spawn, spec)
  core.access(MARK, 0)
  if o.ok and o.p then
    local ok, r = pcall(o.p.communicate, o.p)
    o.r = ok and r or nil
    o.p:close()
  end
  o.p = o.ok and o.p and true or not o.ok and o.p or nil
  o.seconds = core.clock() - before
  return o
end

--- Starts the mode with strace attached to us. The first mark says where that begins.
local function start_under(mode, ...)
  local line = [[strace -f -qq "$@" & p=$!; trap 'kill $p; wait; exit' TERM
    until grep -q 'TracerPid:.*[1-9]' /proc/$0/status || ! kill -0 $p; do sleep 0.01; done; echo; wait]]
  local pid = ("%d"):format(core.ids().pid)
  local strace = assert(ns.spawn { "sh", "-c", line, pid, "-p", pid, stdout = "pipe", stderr = "null", ... })
  strace.stdout:read("l")
  core.access(MARK, 0)
  local o = start(mode)
  strace:stop(5)
  strace:close()
  return o
end

-- ---- the log: which call of which name is made by whom ----

--- {[pid] = {[name] = {before=, during=, after=}}}: how many calls of a name each process has made; of the host, before,
-- during and after the start; of others, up to the exec of the program, and after it.
local function read_log(path)
  local own, processes, phase = core.ids().pid, {}, {}
  for line in io.lines(path) do
    local pid, name = line:match("^(%d+) +([%w_]+)%(")
    if pid then
      phase[pid] = phase[pid] or tonumber(pid) == own and "before" or "during"
      processes[pid] = processes[pid] or {}
      local counts = processes[pid][name] or { before = 0, during = 0, after = 0 }
      processes[pid][name] = counts
      counts[phase[pid]] = counts[phase[pid]] + 1
      local is_mark, is_program = line:find(MARK, 1, true), name == "execve"
      if is_mark or is_program then phase[pid] = phase[pid] == "before" and "during" or "after" end
    end
  end
  return processes
end

--- Calls that cannot fail as they are made here, the one of the marks, the one that ends strace, and fcntl, which a program
-- makes, too, as often as its descriptors happen to want it.
local NEVER = { pidfd_send_signal = true, faccessat2 = true, wait4 = true, waitid = true, exit_group = true,
  rt_sigprocmask = true, rt_sigaction = true, rt_sigreturn = true, restart_syscall = true, umask = true, getpid = true,
  getppid = true, fcntl = true, getuid = true, geteuid = true, getgid = true, getegid = true }

--- Is the n-th call of the name one of the start, in one process or more, and in none what the proof or the program does?
local function is_of_start(processes, name, n)
  local found = false
  for pid, calls in pairs(processes) do
    local c = calls[name] or { before = 0, during = 0, after = 0 }
    local to = c.before + c.during
    if n > c.before and n <= to then
      if name == "close" and tonumber(pid) == core.ids().pid then return false end -- strace would leave it open
      found = true
    elseif n <= to + c.after then
      return false
    end
  end
  return found
end

--- {mode=, name=, n=} for all that can be injected into a mode. Of many calls of a name: the first, the last, two others.
local function points_of(mode)
  local log = os.tmpname()
  start(mode)
  local o = start_under(mode, "-o", log)
  local again = start(mode)
  assert(o.r and again.r and o.r.code == 7 and o.r.stdout == again.r.stdout, mode.name .. ": it does not start twice alike")
  mode.output = o.r.stdout
  local processes, most, points = read_log(log), {}, {}
  os.remove(log)
  for _, calls in pairs(processes) do
    for name, c in pairs(calls) do
      most[name] = math.max(most[name] or 0, not NEVER[name] and c.before + c.during or 0)
    end
  end
  for name, last in pairs(most) do
    local valid = {}
    for n = 1, last do
      if is_of_start(processes, name, n) then valid[#valid + 1] = { mode = mode, name = name, n = n } end
    end
    while #valid > 4 do table.remove(valid, math.random(2, #valid - 1)) end
    for _, point in ipairs(valid) do points[#points + 1] = point end
  end
  return points
end

-- ---- injections ----

local ERRNOS = { "EPERM", "EACCES", "ENOENT", "ENOMEM", "EMFILE", "EINVAL", "EBUSY", "EIO", "ENOSYS" }

--- What is missing on the way is no missing place; what is a link, and readlink(2) denies it, is met as one.
local OTHERWISE = { ENOENT = "ESTALE", EINVAL = "ELOOP" }

--- nil, or what is wrong with a start for which one call was answered with the errno.
local function complaint(o, mode, code)
  if o.seconds > 5 then return ("%.1f seconds"):format(o.seconds) end
  if not o.ok then return not tostring(o.p):find("memory") and "raised: " .. tostring(o.p) or nil end
  if o.p then
    local same = o.r and o.r.stdout == mode.output and o.r.code == 7
    return not same and ("another effect: %s %s"):format(tostring(o.r), o.r and o.r.stdout or "") or nil
  end
  local detail = o.detail or {}
  local is_said = detail.code == code or detail.code == "DIED" or OTHERWISE[code] == detail.code
  if not detail.step or not is_said then return "not named: " .. o.message end
end

local outcomes = { named = 0, ["same effect"] = 0, raised = 0 }

local function inject(point, code)
  local before = snapshot.take()
  local o = start_under(point.mode, "-o", "/dev/null", "-e", "trace=" .. point.name, "-e",
    ("inject=%s:error=%s:when=%d"):format(point.name, code, point.n))
  collectgarbage()
  collectgarbage()
  local what = complaint(o, point.mode, code) or snapshot.changed(before)
  local following = ns.run { "true" }
  if not (following and following.ok) then what = "the next one does not start" end
  local outcome = not o.ok and "raised" or o.p and "same effect" or "named"
  outcomes[outcome] = outcomes[outcome] + 1
  proof.check(not what, "%s: %s #%d: %s: %s", point.mode.name, point.name, point.n, code, tostring(what))
end

local function shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

local function injections()
  local points, names, count = {}, {}, 0
  for _, mode in ipairs(MODES) do
    for _, point in ipairs(points_of(mode)) do points[#points + 1] = point end
  end
  for _, point in ipairs(shuffle(points)) do
    if count == proof.size(40, 400) then break end
    inject(point, ERRNOS[math.random(#ERRNOS)])
    count, names[point.name] = count + 1, true
  end
  local n = 0
  for _ in pairs(names) do n = n + 1 end
  proof.check(count >= proof.size(40, 150), "only %d injections", count)
  proof.figure("injections", "%d of %d system calls (seed %s)", count, n, seed)
  proof.figure("outcomes", "named %d, same effect %d, raised for memory %d", outcomes.named, outcomes["same effect"],
    outcomes.raised)
end

injections()
proof.finish()
