--- What is said when the system refuses: the step in words, the errno, and a hint where the cause can be found.
-- @module ns.start.errors
require("ns.core").nojit()
local core = require "ns.core"
local hints = require "ns.start.hints"
local namespaces = require "ns.words.namespaces"

local errors = {}

local CODES = {}
for name, number in pairs(core.constants.errno) do CODES[number] = name end

--- "EPERM" for 1.
function errors.code(errno)
  return CODES[errno] or ("errno %d"):format(errno)
end

local function amount(limit) return limit < 0 and "unlimited" or ("%.0f"):format(limit) end

-- What a rule of landlock allows, by its field.
local ALLOWS = { read = "allow to read %s", write = "allow to write %s", execute = "allow to execute %s",
  unix_connect = "allow to connect to %s", tcp_connect = "allow to connect to TCP port %d",
  tcp_bind = "allow to bind TCP port %d", udp_connect = "allow to send to UDP port %d",
  udp_bind = "allow to bind UDP port %d" }

--- How a step reads. Without a row: its op, and the path or the data it is about.
local READS = {
  mount = function(s)
    if not s.type and not s.source then return "make all mounts private" end
    return ("mount %s on %s"):format(s.type or s.source, s.path)
  end,
  write = function(s)
    return s.path and ("write %s"):format(s.path) or ("write %s (%s)"):format(s.from, s.data)
  end,
  sysctl = function(s) return ("write %s"):format(s.path) end,
  group = function(s) return ("make a control group in %s"):format(s.path) end,
  limit = function(s) return s.data and ("write %s"):format(s.path) or ("open %s"):format(s.path) end,
  open_limit = function(s) return ("open %s for the launcher"):format(s.path) end,
  attach = function() return "move the launcher into its control group" end,
  unshare = function(s)
    if s.word == "limits" then return "unshare the cgroup namespace" end
    return s.word == "flags" and "unshare the time namespace" or "unshare"
  end,
  setns = function(s)
    return s.path and ("enter %s"):format(s.path) or ("enter the %s namespace %s"):format(s.type, s.from)
  end,
  pidfd = function(s)
    return s.pid and ("hold process %d"):format(s.pid) or "hold the process whose namespaces are joined"
  end,
  open_ns = function(s)
    return ("open the %s namespace %s"):format(s.namespace, s.path or ("of descriptor %s"):format(tostring(s.fd)))
  end,
  open_proc = function() return "open /proc" end,
  setuid = function(s) return ("setuid %.0f"):format(s.value) end,
  setgid = function(s) return ("setgid %.0f"):format(s.value) end,
  setgroups = function() return "setgroups" end,
  dup = function(s)
    return ("connect %s to %s"):format(s.word, type(s.fd) == "number" and ("descriptor %d"):format(s.fd) or s.fd)
  end,
  exec = function(s) return ("exec '%s'"):format(s.data) end,
  clone = function(s)
    local names = table.concat(namespaces.names((s.of or s).namespaces), ", ")
    return names == "" and "clone" or ("clone (%s)"):format(names)
  end,
  sethostname = function(s) return ("sethostname '%s'"):format(s.data) end,
  setdomainname = function(s) return ("setdomainname '%s'"):format(s.data) end,
  pdeathsig = function() return "ask for a signal at the host's end" end,
  setpgid = function() return "make a process group" end,
  foreground = function() return "take the terminal's foreground" end,
  close = function() return "close all other descriptors" end,
  signalfd = function() return "make the init's descriptor for signals" end,
  fs = function(s) return ("mount %s on %s"):format(s.type, s.path) end,
  tree = function(s) return ("bind %s on %s"):format(s.from or s.source or ("descriptor %d"):format(s.fd), s.path) end,
  overlay = function(s) return ("mount overlay of %s on %s"):format(s.source, s.path) end,
  anchor = function(s) return ("make %s a mount point, so that it stays in its place"):format(s.path) end,
  lookup = function(s)
    return s.source and ("look up %s without links below %s"):format(s.path, s.source) or ("look up %s"):format(s.path)
  end,
  hold = function(s) return ("keep %s of the host open"):format(s.path) end,
  newroot = function() return "make the new root" end,
  pivot = function() return "pivot_root" end,
  rlimit = function(s) return ("rlimit %s %s:%s"):format(s.data, amount(s.value), amount(s.limit)) end,
  nice = function(s) return ("nice %d"):format(s.value) end,
  scheduler = function(s) return ("scheduler %s %d"):format(s.data, s.value) end,
  ioprio = function(s) return ("ioprio %s %d"):format(s.data, s.value) end,
  affinity = function() return "affinity" end,
  prctl = function(s) return s.word == "join" and "protect the launcher from other programs" or s.word end,
  bound = function() return "drop capabilities from the bounding set" end,
  caps = function(s) return s.how and "set capabilities" or "drop inheritable capabilities" end,
  keyring = function() return "join a new session keyring" end,
  seccomp = function() return "filter system calls" end,
  netlink = function(s) return s.from end,
  await_local = function(s) return ("wait until %s is taken"):format(s.from) end,
  trace = function() return "make room for what the filter refuses" end,
  loopback = function() return "bring the loopback up" end,
  controlling = function() return "make the terminal the controlling one" end,
  symlink = function(s) return ("link %s to %s"):format(s.path, s.data) end,
  umask = function(s) return s.value and ("umask %03o"):format(s.value) or "umask of the host" end,
  landlock = function(s) return s.part and "landlock: " .. s.part or "make the rules of landlock" end,
  landlock_path = function(s)
    return (s.part and ALLOWS[s.part] or "allow to move files between directories below %s"):format(s.path)
  end,
  landlock_port = function(s) return ALLOWS[s.part]:format(s.value) end,
  landlock_restrict = function() return "have landlock restrict the program" end,
  init = function() return "leave an init behind" end,
  terminal = function() return "keep the terminal open" end,
  give = function() return "give the program its streams" end,
  serve = function() return "leave an init behind" end,
  connect = function(s) return ("connect to %s"):format((s.data:gsub("^%z", "@"):gsub("%z$", ""))) end,
  publish = function(s) return ("listen on %s"):format(s.path) end,
  resolve = function(s) return ("look up %s"):format(s.path) end,
  listen = function(s) return ("listen on %s inside for %s"):format(s.path, s.from) end,
  route = function(s) return ("lead %s to %s"):format(s.path, s.from) end,
  pasta = function() return "start pasta, for the world outside" end,
  relay = function() return "start the relay" end,
  wait = function(s) return ("exec '%s'"):format(s.data) end,
  job = function() return "ask the init for a program" end,
  names = function(s) return ("use %s for the names of containers"):format(s.path) end,
  memfd = function() return "make a file in memory" end,
  copy = function() return "copy this Lua process" end,
  call = function() return "call the function in the copy" end,
  execveat = function() return "execute the launcher" end,
}

local MOST = 1000 -- bytes of a step, and of a hint

local function escape(byte) return ("\\x%02x"):format(byte:byte()) end

--- A text as it may go to a terminal or a log: an enemy may have chosen the names, the targets of links and the contents of
-- files in it. Control characters are escaped, and it is cut after MOST bytes.
local function readable(text)
  text = text:gsub("[%z\1-\31\127]", escape):gsub("\194([\128-\159])", function(byte) return "\\xc2" .. escape(byte) end)
  return #text <= MOST and text or text:sub(1, MOST) .. "..."
end

--- A step in words: "mount proc on /proc".
function errors.describe(step)
  local read = READS[step.op]
  return readable(read and read(step) or step.path and ("%s %s"):format(step.op, step.path) or step.op)
end

local function detail(step, errno, code, hint, part)
  local path = step.path or step.op == "exec" and step.data or (step.op == "setns" or step.op == "write") and step.from
  return { step = step.op, path = path or nil, word = step.word, part = part or step.part, errno = errno, code = code,
    hint = hint }
end

--- nil, message, errno, detail for a step that the system refused; `steps`: the plan that it is in.
function errors.refused(step, errno, steps)
  local part = step.part
  step = step.of or step
  local code, hint = errors.code(errno), step.hint or hints.find(step, errno, steps)
  hint = hint and readable(hint)
  local message = ("%s: %s (%s)"):format(errors.describe(step), core.strerror(errno), code)
  if hint then message = message .. "; " .. hint end
  return nil, message, errno, detail(step, errno, code, hint, part)
end

--- For an error that was caught. If it is a step that was refused ({refused = errno, op=, ...}, which `ids` raises): nil,
-- message, errno, detail. Any other is raised again.
function errors.caught(problem)
  if type(problem) == "table" and problem.refused then return errors.refused(problem, problem.refused) end
  error(problem, 0)
end

-- Limits beyond which a process may be killed, so also a launcher that they are too low for.
local DEADLY = { as = true, cpu = true, data = true, rttime = true, stack = true }

--- nil, message, errno, detail for a launcher that ended without a record; `steps`: the plan that it was to play.
function errors.died(how, code, steps)
  local hint = "a resource limit, the out-of-memory killer or a seccomp filter of the host may be the cause"
  for _, step in ipairs(steps) do
    local is_deadly = step.op == "rlimit" and DEADLY[step.data] or step.op == "write" and step.from == "memory.max"
    if is_deadly then hint = errors.describe(step) .. " may be the cause, or " .. hint end
  end
  local message = ("%s %d before exec; %s"):format(how == "signal" and "killed by signal" or "exit", code, hint)
  return nil, message, core.constants.errno.ECHILD, detail({ op = "launch" }, nil, "DIED", hint)
end

--- nil, "timeout ...", errno, detail for a start that took too long; `step` may be unknown.
function errors.timeout(step)
  local errno = core.constants.errno.ETIMEDOUT
  local message = step and ("timeout in: %s"):format(errors.describe(step)) or "timeout before the program ran"
  return nil, ("%s (%s)"):format(message, errors.code(errno)), errno, detail(step or { op = "launch" }, errno, "ETIMEDOUT")
end

return errors
