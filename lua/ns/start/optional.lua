--- A start that goes on without what the machine refuses, as far as the spec says so (`ns.words.optional`).
--
-- It does not go on from the step that was refused, but begins anew: what had been done until then is gone with the process
-- that did it. A step that hangs, a launcher that is killed, and an errno that says nothing of what the machine allows, as
-- ENOMEM, or that a hostile tree brings about, as ELOOP, end the start as ever.
-- @module ns.start.optional
require("ns.core").nojit()
local core = require "ns.core"
local errors = require "ns.start.errors"
local namespaces = require "ns.words.namespaces"
local plan = require "ns.start.plan"
local rows = require "ns.words.options"
local words = require "ns.words.optional"

local optional, NONE = {}, {}

--- The errnos by which a machine says that it does not have something, or does not allow it.
local REFUSES = {}
for _, name in ipairs { "EPERM", "EACCES", "ENOSYS", "EOPNOTSUPP", "ENODEV", "ENOENT", "ENOTDIR", "ENOSPC", "EUSERS",
  "EROFS", "EDQUOT", "EBUSY", "ERANGE" } do
  REFUSES[core.constants.errno[name]] = true
end

--- Those that say so of these steps; of others they are a mistake of ours.
local EINVAL = core.constants.errno.EINVAL
local REFUSES_BY_EINVAL = { clone = true, unshare = true, affinity = true, overlay = true, fs = true, idmap = true,
  prctl = true, write = true, setuid = true, setgid = true, setgroups = true, personality = true }

local function is_refusal(step, errno)
  return REFUSES[errno] or errno == EINVAL and REFUSES_BY_EINVAL[step] or false
end

--- What is told of something that was left out.
function optional.told(what, message, errno, hint, path)
  return { what = what, why = message, errno = errno, code = errno and errors.code(errno), hint = hint, path = path }
end

-- ---- what a refusal is about ----

local function flag(name) return { name = "flags." .. name, word = "flags", part = name } end

--- What goes, if a word, or this part of it, is refused; nil if it may not. Of the namespaces it is one.
local function name_for(spec, word, part)
  local one = words.find(spec.optional, word, part)
  if one and word == "flags" then return part and flag(part) end
  return one
end

--- Of a step its part of a word, or the word, or else a namespace that the word needs; nil if nothing of it may go.
local function blame(spec, step)
  local row = step.word and plan.words[step.word]
  local one = row and name_for(spec, step.word, step.part)
  for _, need in ipairs(not one and row and row.needs or NONE) do
    one = one or spec.flags[need] and name_for(spec, "flags", need)
  end
  return one
end

--- The names of what may be left out where a step is refused.
function optional.names(spec, step)
  local names, one = {}, blame(spec, step)
  if one then names[1] = one.name end
  for _, row in ipairs(step.op == "clone" and namespaces.list or NONE) do
    local name = spec.flags[row.name] and row.name ~= "time" and name_for(spec, "flags", row.name)
    if name then names[#names + 1] = name.name end
  end
  return names
end

--- Is a namespace to be had, beside those of a set? nil, errno if not.
local function try_flags(set)
  local handle, _, errno = core.launch(namespaces.clone_flags(set), {}, "may")
  if not handle then return nil, errno end
  handle:close()
  return true
end

--- The spec without one of the names and what needs it; all of that is noted in `left`.
local function take(spec, one, left, message, detail)
  local less, gone = words.without(spec, one, rows)
  if not less then return nil end
  left[#left + 1] = optional.told(one.name, message, detail.errno, detail.hint, detail.path)
  for _, other in ipairs(gone) do left[#left + 1] = optional.told(other.name, ("it needs %s"):format(one.name)) end
  return less
end

--- Those that must be there, and those that may be left out, that of users first: an ordinary user needs it for the others.
local function split(spec)
  local set, may = {}, {}
  for _, row in ipairs(namespaces.list) do
    local is_optional = spec.flags[row.name] and words.find(spec.optional, "flags", row.name)
    if is_optional and row.name ~= "time" then may[#may + 1] = row.name else set[row.name] = spec.flags[row.name] end
  end
  return set, may
end

--- The kernel does not say which kind of namespace it refuses. So those that may be left out are tried one after the other,
-- beside those that are wanted. Returns the spec without what is refused; nil where that is not all.
local function without_flags(spec, left)
  local set, may = split(spec)
  local less
  for _, name in ipairs(may) do
    set[name] = true
    local ok, errno = try_flags(set)
    if not ok then
      local _, message, _, detail = errors.refused({ op = "clone", namespaces = set }, errno)
      set[name] = nil
      if not is_refusal("clone", errno) or not try_flags(set) then return nil end
      less = take(less or spec, flag(name), left, message, detail)
    end
  end
  return less
end

--- The spec without what was refused; nil where it cannot do without.
local function leave_out(spec, host, left, message, detail)
  if not is_refusal(detail.step, detail.errno) then return nil end
  local less
  if detail.step == "clone" then
    less = without_flags(spec, left)
  else
    local one = blame(spec, detail)
    less = one and take(spec, one, left, message, detail)
  end
  return less and pcall(plan.check_together, less, host) and less or nil
end

--- The spec without what an earlier start has left out.
local function without_known(spec, host, left)
  for _, entry in ipairs(host.left_out or NONE) do
    local less = words.without(spec, words.check(entry.what, "optional", rows)[1], rows)
    if less then spec, left[#left + 1] = less, entry end
  end
  return spec
end

--- Calls start(spec, left) until nothing is refused any more that may be left out: what that returns. `left`: what has been
-- left out so far. host.left_out: what need not be tried any more.
function optional.start(spec, host, start)
  local left = {}
  if spec.optional then spec = without_known(spec, host, left) end
  while true do
    local p, message, errno, detail = start(spec, left)
    if p or not spec.optional or not detail then return p, message, errno, detail end
    local less = leave_out(spec, host, left, message, detail)
    if not less then return nil, message, errno, detail end
    spec = less
  end
end

return optional
