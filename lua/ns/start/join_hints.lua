--- Hints where namespaces of others cannot be opened or entered: whose they are, and what they are.
-- @module ns.start.join_hints
require("ns.core").nojit()
local core = require "ns.core"

local function no_such_kind(step)
  return step.is and ("it is one of kind '%s'"):format(step.is) or "it is no namespace"
end

local function closed(step)
  local pid = step.pid or step.from and (step.path or ""):match("^/proc/(%d+)/")
  local owner = pid and core.owner(("/proc/%s/task"):format(pid))
  if not owner then return nil end
  return ("process %s is user %.0f's, or has rights that this host has not: root with CAP_SYS_PTRACE may look at it")
    :format(pid, owner)
end

--- Whose a namespace is that may not be entered; step.fd is ours, and still open.
local function not_ours(step, steps)
  if step.word ~= "join" then return nil end
  local owner = core.namespace_owner(step.fd)
  if not owner then return "it belongs to a user namespace that is not below that of this host" end
  if step.type == "user" then
    return ("user %.0f has made it: only that user, or root of a user namespace around it, may enter"):format(owner)
  end
  for _, one in ipairs(steps or {}) do
    if one.op == "setns" and one.type == "user" then
      return ("it belongs to another user namespace, of user %.0f, than the one that is joined"):format(owner)
    end
  end
  return ("it belongs to a user namespace of user %.0f: join that one, too ('user'), or be root of one around it")
    :format(owner)
end

local function not_entered(step)
  if step.type == "user" then return "this host is in that user namespace already" end
  if step.type == "pid" then return "only a pid namespace below that of this host can be entered" end
end

local function not_mapped(step)
  if step.word ~= "join" then return nil end
  return ("%.0f is not mapped into that user namespace: say user = N and group = N, with ids that are"):format(step.value)
end

return {
  { "open_ns", "ENOTTY", no_such_kind },
  { "open_ns", "EINVAL", no_such_kind },
  { "open_ns", "EACCES", closed },
  { "pidfd", "EACCES", closed },
  { "setns", "EPERM", not_ours },
  { "setns", "EINVAL", not_entered },
  { "setgid", "EINVAL", not_mapped },
  { "setuid", "EINVAL", not_mapped },
}
