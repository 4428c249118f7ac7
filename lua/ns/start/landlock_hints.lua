--- Hints where landlock is refused, or is what keeps a program from being executed.
-- @module ns.start.landlock_hints
require("ns.core").nojit()
local core = require "ns.core"
local host_path = require "ns.start.host_path"
local interpreter = require "ns.start.interpreter"
local proc = require "ns.start.proc"

local LEVELS = 5 -- of interpreters that have interpreters: the kernel follows no more

--- What this kernel lacks, all of it, and how to do without.
local function lacks(step)
  if not step.lacks then return "landlock is not among the security modules that this kernel was started with (lsm=)" end
  local parts, names = {}, {}
  for i, lack in ipairs(step.lacks) do
    parts[i] = ("%s needs Linux %s"):format(lack.part, lack.linux)
    names[i] = ("'landlock.%s'"):format(lack.part)
  end
  return ("this kernel has version %d of landlock, and %s; optional = { %s } does without"):format(step.abi,
    table.concat(parts, ", "), table.concat(names, ", "))
end

-- ---- exec ----

local LETS_READ = { read = true, write = true, execute = true }

--- The rules of a plan that matter for exec: {handles = {EXECUTE=, READ_FILE=}, directories that may be executed, and read}.
local function rules_of(steps)
  local rules = { execute = {}, read = {} }
  for _, step in ipairs(steps) do
    local place = step.op == "landlock_path" and host_path.find(steps, step.path)
    place = place and core.realpath(place)
    if step.op == "landlock" then
      for name, bit in pairs { execute = core.constants.landlock.EXECUTE, read = core.constants.landlock.READ_FILE } do
        rules[name].handled = math.floor(step.flags / bit) % 2 == 1
      end
    elseif place then
      if step.part == "execute" then table.insert(rules.execute, place) end
      if LETS_READ[step.part] then table.insert(rules.read, place) end
    end
  end
  return rules
end

local function is_given(rule, place)
  for _, top in ipairs(rule) do
    if place == top or top == "/" or place:sub(1, #top + 1) == top .. "/" then return true end
  end
  return not rule.handled
end

--- What landlock refuses of a program, of its interpreter, of that one's: a path, and the field that lacks it.
local function refused(steps, rules, path, level)
  local place, head = host_path.find(steps, path)
  local real = place and core.realpath(place)
  if not real then return nil end
  if not is_given(rules.execute, real) then return path, "execute" end
  if not is_given(rules.read, real) then return path, "read" end
  local name = interpreter.of(head or core.head(real) or "", real)
  if name and level < LEVELS then return refused(steps, rules, name, level + 1) end
end

local function outside(step, steps)
  local rules = rules_of(steps)
  for _, path in ipairs(step.paths) do
    local what, field = refused(steps, rules, path, 0)
    if what then
      return ("landlock.%s has neither %s nor a directory above it%s"):format(field, what,
        what ~= path and (", and %s is executed by it"):format(path) or "")
    end
  end
end

local function missing()
  return "{ path = PATH, try = true } stands for one that may be missing"
end

--- Rows for `ns.start.hints`.
return {
  { "landlock", "EOPNOTSUPP", lacks },
  { "landlock", "ENOSYS", function() return "landlock came with Linux 5.13, and may be left out of a kernel" end },
  { "landlock", "EPERM", function() return proc.filter "it" end },
  { "landlock_path", "ENOENT", missing },
  { "landlock_restrict", "EPERM", function() return "it takes no_new_privs, which this spec sets to false" end },
  { "landlock_restrict", "E2BIG", function() return "16 of them are the most, those of the host included" end },
  { "exec", "EACCES", outside },
}
