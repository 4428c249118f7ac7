--- Hints where the system refuses a limit, a priority, an id or a capability: what this host may, and what helps.
-- @module ns.start.limit_hints
require("ns.core").nojit()
local core = require "ns.core"
local ids = require "ns.start.ids"
local proc = require "ns.start.proc"

local function limit_of(name) return (proc.read "/proc/self/limits" or ""):match(name .. "%s+(%d+)") end

local function nofile() return tonumber(limit_of "Max open files") end

--- Do these steps make a user namespace?
local function in_user(steps)
  for _, step in ipairs(steps or {}) do
    if step.word == "uid_map" then return true end
  end
end

-- ---- limits ----

local function above_hard(step)
  local most = proc.sysctl "fs/nr_open"
  if step.data == "nofile" and most and (step.limit < 0 or step.limit > most) then
    return ("the kernel takes no more than %.0f: sysctl fs.nr_open"):format(most)
  end
  return "only CAP_SYS_RESOURCE can raise a hard limit, and not from a user namespace: prlimit(1) shows those of the host"
end

local function too_high(step)
  local limit = nofile()
  if not limit or step.to < limit then return nil end
  return ("RLIMIT_NOFILE of this host is %.0f: take a number below it, or raise it before (ulimit -n)"):format(limit)
end

local function no_more_files()
  local limit = nofile()
  return limit and ("RLIMIT_NOFILE of this host is %.0f: ulimit -n"):format(limit)
end

local function no_more_processes()
  return "the user that the program is to be has as many processes as RLIMIT_NPROC allows"
end

local function too_large()
  local limit = limit_of "Max file size"
  return limit and ("RLIMIT_FSIZE of this host is %s bytes, too few for the launcher: ulimit -f"):format(limit)
end

-- ---- priorities ----

local function only_nice() return "only CAP_SYS_NICE can raise a priority, and not from a user namespace" end

local function no_processor()
  local list = proc.status "Cpus_allowed_list:%s*(%S+)"
  return list and "this host itself may use only the processors " .. list
end

--- A file of /proc that has refused the value.
local function value_refused(step)
  if step.word == "oom_score_adj" then
    return "only CAP_SYS_RESOURCE can lower it, and not from a user namespace"
  elseif step.word == "time" then
    return "a clock cannot be set to before the start of the machine, nor more than 146 years after it"
  end
end

-- ---- ids and capabilities ----

--- An id that is not mapped here, as this host is in a user namespace itself.
local function not_mapped(step, steps)
  local kind = step.op == "setuid" and "uid" or "gid"
  if in_user(steps) or not proc.read(("/proc/self/%s_map"):format(kind)) then return nil end
  return ("this host itself is in a user namespace, which does not have all ids: /proc/self/%s_map"):format(kind)
end

local function lacks(name)
  return function(_, steps)
    if in_user(steps) or ids.has(core.ids(), name) then return nil end
    return ("needs CAP_%s: with 'user' in the flags there are ids of its own"):format(name)
  end
end

--- Of all prctls only this one needs a capability.
local function prctl_refused(step, steps)
  if step.word == "securebits" and not in_user(steps) and not ids.has(core.ids(), "SETPCAP") then
    return "needs CAP_SETPCAP: add 'user' to the flags"
  end
  return proc.filter "it"
end

--- The kernel takes no filter.
local function no_filter() return "this kernel has no filters (CONFIG_SECCOMP_FILTER), or takes no such 'bpf'" end

local function no_caps(step, steps)
  if in_user(steps) then return nil end
  local host, missing = core.ids(), {}
  for name, number in pairs(core.constants.cap) do
    local is_asked = math.floor((step.flags or 0) / 2 ^ number) % 2 == 1
    if is_asked and not ids.has(host, name) then missing[#missing + 1] = name:lower() end
  end
  table.sort(missing)
  if #missing == 0 then return "this host has a securebit against it, as no_cap_ambient_raise: add 'user' to the flags" end
  return ("this host has not %s itself: add 'user' to the flags"):format(table.concat(missing, ", "))
end

--- Rows for `ns.start.hints`.
return {
  { "rlimit", "EPERM", above_hard },
  { "dup", "EBADF", too_high },
  { "any", "EMFILE", no_more_files },
  { "any", "ENFILE", function() return "the whole machine has too many files open: sysctl fs.file-max" end },
  { "exec", "EAGAIN", no_more_processes },
  { "setuid", "EAGAIN", no_more_processes },
  { "nice", "EACCES", only_nice },
  { "nice", "EPERM", only_nice },
  { "scheduler", "EPERM", only_nice },
  { "ioprio", "EPERM", only_nice },
  { "affinity", "EINVAL", no_processor },
  { "write", "EACCES", value_refused },
  { "write", "ERANGE", value_refused },
  { "execveat", "EFBIG", too_large },
  { "setgroups", "EINVAL", not_mapped },
  { "setgid", "EINVAL", not_mapped },
  { "setuid", "EINVAL", not_mapped },
  { "setgroups", "EPERM", lacks "SETGID" },
  { "setgid", "EPERM", lacks "SETGID" },
  { "setuid", "EPERM", lacks "SETUID" },
  { "prctl", "EPERM", prctl_refused },
  { "caps", "EPERM", no_caps },
  { "seccomp", "EACCES", function() return "needs no_new_privs = true, or CAP_SYS_ADMIN; else seccomp = false" end },
  { "seccomp", "EINVAL", no_filter },
  { "seccomp", "ENOSYS", no_filter },
  { "seccomp", "EPERM", function() return proc.filter "it" end },
  { "seccomp", "EBUSY", function() return "something traces us by a filter already, and the kernel has one trace" end },
  { "seccomp", "ENOMEM", function() return "with those that the host has it is too long: 32768 instructions in all" end },
}
