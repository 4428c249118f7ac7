--- What the fault matrix expects of a start that was given a fault.
--
-- A point is a call of a start: process (0: the host), step, the n-th of it; call or name.
local core = require "ns.core"
local errors = require "ns.start.errors"

local errno = core.constants.errno

local rules = { FAIL = 1, HANG = 2, DIE = 3, words = { "fail", "hang", "die" } }

rules.errnos = { "EPERM", "EACCES", "ENOENT", "ENOMEM", "EMFILE", "ENFILE", "ENOSPC", "EINVAL", "EAGAIN", "EINTR", "EBUSY",
  "ELOOP", "ENOTDIR", "EIO", "ENOSYS", "EUSERS", "EROFS", "ETXTBSY" }

-- ---- calls ----

local names = {}
local headers = io.popen("echo '#include <asm/unistd.h>' | gcc -E -dM -")
for line in headers:lines() do
  local name, number = line:match("^#define __NR_([%w_]+) (%d+)")
  if name then names[tonumber(number)] = name end
end
headers:close()

--- The name of the call at a point.
function rules.call(point)
  return point.call < 0 and point.name or names[point.call] or tostring(point.call)
end

--- Calls that cannot fail, as they are made here.
local NEVER = { exit_group = true, getpid = true, umask = true, rt_sigaction = true, rt_sigprocmask = true,
  waitid = true }

--- What a call can say, where that is less than everything; and what it cannot.
local ONLY = { realloc = { ENOMEM = true }, recv = { EINTR = true }, wait4 = { EINTR = true },
  recvmsg = { EINTR = true }, ppoll = { EINTR = true }, pidfd_send_signal = { EPERM = true, ENOSYS = true } }
local NOT = { unlinkat = { ENOENT = true }, readlinkat = { EINVAL = true }, statx = { EROFS = true },
  mount_setattr = { EROFS = true } }

--- The names of the errnos that are plausible at a point: none for a call that cannot fail.
function rules.plausible(point)
  local call, codes = rules.call(point), {}
  for _, code in ipairs(NEVER[call] and {} or rules.errnos) do
    if not (ONLY[call] and not ONLY[call][code] or NOT[call] and NOT[call][code]) then codes[#codes + 1] = code end
  end
  return codes
end

-- ---- what may be otherwise ----

--- By design another effect: the op or the host's call, errno or true for each, why, and the mode if it is but one.
local MEANT = {
  { "keyring", "ENOSYS", "a kernel without keyrings has none to hide" },
  { "host faccessat", true, "what cannot be reached of / is left out, and told", "root" },
  { "host fchown", true, "a terminal or a pipe that cannot be given to the program's user stays the host's" },
  { "host stat", "ENOENT", "who has no file of ranges has his own user and group alone", "newuidmap" },
  { "tree", "ENOSYS", "mount(2) binds read-only without what is mounted below", "root" },
}

for _, code in ipairs { "ENOENT", "ENOTDIR", "EROFS" } do
  MEANT[#MEANT + 1] = { "anchor", code, "what is missing there is told by the step that wants something below it" }
end

local function is_meant(point, step, error, mode)
  local where = step and step.op or point.process == 0 and "host " .. rules.call(point)
  for _, row in ipairs(MEANT) do
    local here = row[1] == where and (row[4] or mode.name) == mode.name
    if here and (row[2] == true or errno[row[2]] == error) then return true end
  end
end

--- Who cannot speak cannot say why, nor a function that is filtered already and cannot say that it is to begin; nor one
-- whose filter is refused though a first process, which has tried it, got it: its init has said by then that all is well.
local function is_mute(point)
  local call = rules.call(point)
  return call == "sendto" or call == "close" and point["function"] == "op_call" or call == "seccomp" and point.nth == 2
end

-- ---- the verdicts: what is wrong, or nil and what has come of it ----

--- The step at a point of the start `o`. An init says meanwhile that its child is at the next step; a filter is installed by
-- the step that runs the program, and told as its own.
local function step_of(point, o)
  local steps = o.lists[point.process]
  if steps and point["function"]:find "^install" then
    for _, step in ipairs(steps) do
      if step.op == "seccomp" then return step end
    end
  end
  local is_init = steps and point["function"] == "op_init" and steps[point.step].op ~= "init"
  return steps and steps[is_init and point.step - 1 or point.step]
end

local function same(o, mode)
  if mode.trial then return o.p == true end
  return o.r and o.r.stdout == mode.output and o.r.code == 7
end

--- The first line in which the effect differs.
local function difference(o, mode)
  if mode.trial or not o.r or o.r.stdout == mode.output then return "another effect" end
  local rest = mode.output:gmatch("[^\n]*")
  for line in o.r.stdout:gmatch("[^\n]*") do
    local expected = rest()
    if line ~= expected then return ("another effect, '%s' in the place of '%s'"):format(line, tostring(expected)) end
  end
  return "another effect, less output"
end

local function starts_with(text, beginning) return text:sub(1, #beginning) == beginning end

--- What is missing is made, and is there, or may not be made; or it is not what the step may ignore that it is missing. What
-- cannot be looked at is not what is looked for.
local function is_said_otherwise(point, o, error)
  local of_missing = { [errno.EEXIST] = true, [errno.ESTALE] = true, [errno.EROFS] = true }
  return error == errno.ENOENT and of_missing[o.errno]
    or rules.call(point) == "statx" and o.errno == errno.ESTALE
end

local HELPER = "^new[ug]idmap$"

--- Does the refusal name the step? A lookup is told as the mount that it is for. before: what a timeout says first.
local function is_told(o, step, before)
  local told = step.of or step
  local text = errors.describe(told)
  return o.detail.step == told.op and starts_with(o.message, before and before .. text or text .. ": ")
end

--- What an init says is told as the step at which its child is by then.
local function is_ahead(point, o)
  local steps = point["function"] == "op_init" and o.lists[point.process] or {}
  for i = point.step, #steps do
    if is_told(o, steps[i]) then return true end
  end
  return false
end

--- The init of a living box cannot make the process of its program: the host is told that the init was asked for one.
local function is_of_job(step, o) return step.op == "serve" and o.detail.step == "job" end

--- A refusal names what was refused and the errno.
local function refusal(point, o, error)
  local detail = o.detail
  if type(detail) ~= "table" or not detail.step or not detail.code then return "no detail" end
  -- root = "/" is what can be reached of it: without that the program may be missing
  local is_left_out = rules.call(point) == "faccessat" and o.errno == errno.ENOENT
  local is_joined = error == errno.ENOENT and o.errno == errno.ESRCH and o.message:find "^open the %l+ namespace " -- ended
  if point.process == 0 then
    return o.errno ~= error and not is_left_out and not is_joined and "another errno" or nil, "named"
  end
  local has_ended = detail.code == "DIED" or detail.code == "ESRCH" -- the program, or the container with it
  if point.step <= 0 or is_mute(point) and has_ended then return nil, "named" end
  local step = step_of(point, o)
  local helper = detail.step:find(HELPER)
  if not step then return "no such step" end
  if helper and (o.errno == error or is_mute(point)) then return nil, "named" end
  if o.errno ~= error and not is_said_otherwise(point, o, error) then return "another errno" end
  local is_named = is_told(o, step) or is_ahead(point, o) or is_of_job(step, o)
  return not is_named and "another step" or nil, "named"
end

local function failed(point, o, mode, error)
  if not o.ok then
    local of_memory = error == errno.ENOMEM or rules.call(point) == "mmap" -- why there is none, Lua does not tell
    if of_memory and o.p:find("memory") then return nil, "raised" end
    return "raised"
  end
  if not o.p then return refusal(point, o, error) end
  local step = point.step > 0 and step_of(point, o)
  if step and step.ignore == error or is_meant(point, step, error, mode) then return nil, "ignored" end
  if same(o, mode) then return nil, "same effect" end
  if is_mute(point) and o.r and o.r.code == 127 then return nil, "mute" end
  return difference(o, mode)
end

--- A child that its init has made hangs, or while it is made: all that the host can see is that the init has come as far as
-- the step after its own; of the init of a function, which has no plan any more, not even that, nor a user of one in his own
-- user namespace, who may not look into it.
local function is_after_init(point, o, mode)
  local steps = o.lists[point.process] or {}
  local may_look = not mode.spec.fn and (mode.group ~= "nobody" or mode.spec.flags)
  for i = 1, math.min(point.step, #steps - 1) do
    local is_blind = not may_look and starts_with(o.message, "timeout before the program ran")
    if steps[i].op == "init" then return is_blind or is_told(o, steps[i + 1], "timeout in: ") end
  end
  return false
end

local function hung(point, o, mode)
  if not o.ok then return "raised" end
  if same(o, mode) then return nil, "same effect" end -- nobody waits for a process that only holds ids
  if o.p then return not (o.r and o.r.timed_out) and "no timeout" or nil, "stopped later" end
  local step = point.step > 0 and step_of(point, o)
  if mode.closed then step = nil end
  if starts_with(o.message, step and "timeout in: " .. errors.describe(step) or "timeout") then return nil, "named" end
  if o.detail.step:find(HELPER) then return nil, "named" end
  return not is_after_init(point, o, mode) and "another step" or nil, "named"
end

--- The init of a living box that had said that it stands: it is asked in vain.
local function is_gone(point, o)
  local step = point.step > 0 and step_of(point, o)
  return step and step.op == "serve" and o.detail.step == "job" and (o.errno == errno.EPIPE or o.errno == errno.ESRCH)
end

local function died(point, o, mode)
  if not o.ok then return "raised" end
  if same(o, mode) then return nil, "same effect" end
  if o.p then return not (o.r and o.r.signal == 9) and "no signal" or nil, "signal told" end
  if is_gone(point, o) then return nil, "named" end
  local says = o.message:find("killed by signal 9", 1, true)
    or o.message:find("the container has ended (exit 137)", 1, true) -- with its program: 128 + 9
  return not says and "not named" or nil, "named"
end

local verdicts = { failed, hung, died }

--- May the case leave an ended process to the init of this machine? The one of a trial is traced by the launcher. And a
-- launcher that joins, and is killed just when it has made the process, cannot tell of it any more: that one ends. And an
-- init without a pid namespace is killed before it has reaped the program that could not be started.
function rules.may_orphan(case)
  local spec = case.mode.spec
  if type(spec) == "table" and spec.init and not spec.flags then return true end
  local call, where = rules.call(case.point), case.point["function"]
  local has_cloned = where == "op_clone" and call ~= "clone" or where == "send_message" and spec and spec.join
  if has_cloned and case.action ~= rules.FAIL then return true end
  return case.mode.trial and (case.action ~= rules.FAIL or rules.call(case.point) == "kill")
end

--- What is wrong with what has come of a case, or nil and what that was.
function rules.judge(case, o)
  if o.seconds > 2 then return ("%.1f seconds"):format(o.seconds) end
  return verdicts[case.action](case.point, o, case.mode, case.errno)
end

--- A case in words, with what was said.
function rules.describe(case, o)
  local point = case.point
  local step = point.step > 0 and step_of(point, o)
  local place = point.process == 0 and "host" or ("process %d, step %d%s"):format(point.process, point.step,
    step and (" (%s)"):format(errors.describe(step)) or "")
  local said = o.p and o.r and ("code %s, signal %s"):format(tostring(o.r.code), tostring(o.r.signal))
    or tostring(o.message or o.p)
  return ("%s: %s: %s #%d %s: %s %s; said: %s"):format(case.mode.name, place, rules.call(point), point.nth,
    point["function"], rules.words[case.action], case.errno and errors.code(case.errno) or "", said)
end

return rules
