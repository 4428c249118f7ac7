--- What is said when the system refuses: the step in words, the errno, and a hint where the cause can be found.
-- @module ns.error
local core = require "ns.core"
local hints = require "ns.hints"
local namespaces = require "ns.namespaces"

local errors = {}

local CODES = {}
for name, number in pairs(core.constants.errno) do CODES[number] = name end

--- "EPERM" for 1.
function errors.code(errno)
  return CODES[errno] or ("errno %d"):format(errno)
end

--- How a step reads. Without a row: its op, and the path or the data it is about.
local READS = {
  mount = function(s)
    if not s.type and not s.source then return "make all mounts private" end
    return ("mount %s on %s"):format(s.type or s.source, s.path)
  end,
  write = function(s) return ("write %s"):format(s.path) end,
  unshare = function(s) return s.word == "flags" and "unshare the time namespace" or "unshare" end,
  setuid = function(s) return ("setuid %.0f"):format(s.value) end,
  setgid = function(s) return ("setgid %.0f"):format(s.value) end,
  setgroups = function() return "setgroups" end,
  dup = function(s) return ("connect %s to descriptor %d"):format(s.word, s.fd) end,
  exec = function(s) return ("exec '%s'"):format(s.data) end,
  clone = function(s)
    local names = table.concat(namespaces.names(s.namespaces), ", ")
    return names == "" and "clone" or ("clone (%s)"):format(names)
  end,
  sethostname = function(s) return ("sethostname '%s'"):format(s.data) end,
  setdomainname = function(s) return ("setdomainname '%s'"):format(s.data) end,
  pdeathsig = function() return "ask for a signal at the host's end" end,
  foreground = function() return "take the terminal's foreground" end,
  cloexec = function() return "close all other descriptors" end,
  dropcaps = function() return "drop inheritable capabilities" end,
  execveat = function() return "execute the launcher" end,
}

--- A step in words: "mount proc on /proc".
function errors.describe(step)
  local read = READS[step.op]
  if read then return read(step) end
  return step.path and ("%s %s"):format(step.op, step.path) or step.op
end

local function detail(step, errno, code, hint)
  return { step = step.op, path = step.path, word = step.word, errno = errno, code = code, hint = hint }
end

--- nil, message, errno, detail for a step that the system refused.
function errors.refused(step, errno)
  local code, hint = errors.code(errno), hints.find(step, errno)
  local message = ("%s: %s (%s)"):format(errors.describe(step), core.strerror(errno), code)
  if hint then message = message .. "; " .. hint end
  return nil, message, errno, detail(step, errno, code, hint)
end

--- nil, message, errno, detail for a launcher that ended without a word.
function errors.died(how, code)
  local hint = "a resource limit, the out-of-memory killer or a seccomp filter of the host may be the cause"
  local message = ("%s %d before exec; %s"):format(how == "signal" and "killed by signal" or "exit", code, hint)
  return nil, message, core.constants.errno.ECHILD, detail({ op = "launch" }, nil, "DIED", hint)
end

--- nil, "timeout ...", errno, detail for a start that took too long; `step` may be unknown.
function errors.timeout(step)
  local errno = core.constants.errno.ETIMEDOUT
  local message = "timeout before the program ran"
  if step then message = ("timeout in: %s"):format(errors.describe(step)) end
  return nil, message, errno, detail(step or { op = "launch" }, errno, "ETIMEDOUT")
end

return errors
