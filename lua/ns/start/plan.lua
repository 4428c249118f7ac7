--- Words -> steps, in pure Lua: no system call, no process. `check` finds the caller's mistakes, `lower` makes the steps.
-- @module ns.start.plan
require("ns.core").nojit()
local later = require("ns.words.later").module
local anchors = require "ns.words.anchors"
local check = require "ns.words.check"
local synonyms = require "ns.words.synonyms"
local ids = require "ns.start.ids"
local join = require "ns.words.join"
local layers = later "ns.words.layers"
local lookups = require "ns.words.lookups"
local mounts = require "ns.words.mounts"
local network = later "ns.words.network"
local optional = require "ns.words.optional"
local options = require "ns.words.options"
local ports = later "ns.words.ports"
local privileges = require "ns.words.privileges"
local program = require "ns.words.program"
local seccomp = later "ns.words.seccomp"

local plan = {}

plan.words = {}
local with_needs = {} -- the rows that need namespaces

-- The rows that have steps, for each side, and beside them their words, false for none: most are not of a start's words.
local sides = { host = { rows = {}, words = {} }, launcher = { rows = {}, words = {} } }

local function add_row(side, row, steps)
  local number = #side.rows + 1
  side.rows[number] = { flag = row.flag, steps = steps, scope = row.scope }
  side.words[number] = row.word or row.with or false
end

for _, row in ipairs(options) do
  if row.word then plan.words[row.word] = row end
  if row.needs then with_needs[#with_needs + 1] = row end
  if row.host then add_row(sides.host, row, row.host) end
  if row.steps then add_row(sides.launcher, row, row.steps) end
end

local NONE = {}

--- Raises the mistake of a word that there is not; `methods`, of a method.
function plan.unknown(word, methods)
  local use = synonyms.find(word)
  check.fail(word, "unknown %s%s", methods and not use and "method" or "word",
    use and "; use " .. use or check.nearest(word, methods or plan.words))
end

--- A plain copy of the words and of the array part, read without metamethods.
function plan.read(spec)
  if type(spec) ~= "table" then check.fail("spec", check.no_words(spec)) end
  local words, argv = {}, {}
  for key, value in next, spec do
    if type(key) == "number" then
      argv[key] = value
    elseif type(key) ~= "string" then
      check.fail("spec", "unknown key of type %s", type(key))
    elseif not plan.words[key] then
      plan.unknown(key)
    else
      words[key] = value
    end
  end
  if next(argv) ~= nil and words.argv ~= nil then check.fail("argv", "given twice, as argv and as the array part") end
  if next(argv) ~= nil then words.argv = argv end
  return words
end

--- The namespace that a row's word needs, and the spec has not; nil if there is none.
local function lacking(row, spec)
  for j = 1, spec[row.word] and #row.needs or 0 do
    local joined = row.needs[j] == "pid" and join.may_have(spec.join, "pid")
    if not (spec.flags[row.needs[j]] or joined) then return row.needs[j] end
  end
end

--- Raises in the order of the rows, so that of several the same is named each time.
local function check_needs(spec)
  local is_lacking = false
  for word in next, spec do
    local row = plan.words[word]
    if row and row.needs and lacking(row, spec) then is_lacking = true end
  end
  for i = 1, is_lacking and #with_needs or 0 do
    local row = with_needs[i]
    local name = lacking(row, spec)
    if name then check.fail(row.word, "needs '%s' in flags", name) end
  end
  mounts.check_needs(spec)
  if spec.seccomp then seccomp.check_needs(spec) end
end

--- In another root the program is not where its caller is.
function plan.check_places(spec, where)
  local name = spec.argv and spec.argv[1] or "/"
  if spec.cwd and spec.cwd:sub(1, 1) ~= "/" then
    check.fail("cwd", "absolute path expected where there %s, got '%s'", where, spec.cwd)
  elseif not spec.cwd and name:find("/", 1, true) and name:sub(1, 1) ~= "/" then
    check.fail("argv[1]", "relative path '%s' needs 'cwd' where there %s", name, where)
  end
end

--- What only some users may ask for, or only together.
function plan.check_together(spec, host)
  if spec.join then join.check_together(spec, ids.is_root(host)) end
  ids.check_mapped(spec, host)
  privileges.check_bits(spec)
  program.check_together(spec)
  if spec.reachable or spec.publish or spec.reach then ports.check_together(spec) end
  if spec.network or spec.network_files or spec.reach then network.check_together(spec, host) end
  if spec.seccomp then seccomp.check_together(spec) end
  if type(spec.root) == "table" then layers.split(spec) end
  if spec.system and not spec.root then spec.root = "empty" end
  if spec.root then plan.check_places(spec, "is a 'root'") end
  if join.may_have(spec.join, "mount") then plan.check_places(spec, "may be another root, of 'join'") end
  if spec.read_only ~= nil and not spec.root then check.fail("read_only", "needs 'root' or 'system'") end
  if spec.pty and (spec.tty or spec.session == false) then check.fail("pty", "has a session of its own: not with tty") end
  if spec.tty and spec.session then
    check.fail("tty", "a new session has no terminal: 'pty', or session = false for a program that you trust")
  end
  if spec.map and (spec.uid_map or spec.gid_map) then check.fail("map", "given beside uid_map or gid_map") end
  if spec.flags.user and not (spec.uid_map or spec.gid_map) then spec.map = spec.map or "range" end
  if spec.setgroups == "allow" and not ids.is_root(host) then
    check.fail("setgroups", "the kernel lets an ordinary user write a map only after 'deny'")
  end
  if spec.input and spec.stdin and spec.stdin.kind ~= "pipe" then check.fail("input", "needs 'pipe' as stdin") end
  local size = 0
  for i = 1, #(spec.argv or NONE) do size = size + #spec.argv[i] + 9 end
  for name, value in next, spec.env or NONE do size = size + #name + #(value or "") + 10 end
  if size > 131072 and size > host.arg_max() then
    check.fail("argv", "%d bytes with env, the system takes %d", size, host.arg_max())
  end
end

--- The words in their normal form. What `cache` knows of an earlier start is not checked again.
function plan.normal(words, cache)
  local known, checked = cache and cache.checked, { flags = {} }
  for word, value in next, words do
    local row = plan.words[word]
    if known and not row.anew then checked[word] = known[word] else checked[word] = row.check(value, word) end
  end
  if cache and not known then
    cache.checked = {}
    for word, value in next, checked do cache.checked[word] = value end
  end
  return checked
end

local function check_words(spec, host, cache)
  local words = plan.read(spec)
  if words.argv == nil and words.fn == nil and not host.serves and not words.args then check.fail("argv", "missing") end
  local was_checked = cache and cache.checked
  local checked = plan.normal(words, cache)
  if checked.network then network.apply(checked) end
  check_needs(checked)
  if checked.optional and not was_checked then
    optional.check_together(checked, options, function(less)
      check_needs(less)
      plan.check_together(less, host)
    end)
  end
  plan.check_together(checked, host)
  return checked
end

--- The words of `spec` in their normal form: a new table. Mistakes are returned: nil, message; and what the system
-- refused to tell: nil, nil, step. `host` says who asks:
-- euid, egid, caps, and environ() and arg_max() for what is seldom asked. `cache`: of a box whose words have not changed
-- since (`ns.start.cache`).
function plan.check(spec, host, cache)
  local ok, result = pcall(check_words, spec, host, cache)
  if ok then return result end
  if type(result) == "table" and result.refused then return nil, nil, result end
  local mistake = check.mistake(result)
  if not mistake then error(result, 0) end
  return nil, mistake
end

--- Is a row played for this scope in a living box, the box or one program in it?
local function is_of(row, found)
  if row.scope == "both" then return true end
  local of_job = row.scope == "job" or row.scope == "within" or row.scope == "rights" and found.keeps_rights or false
  return of_job == (found.scope == "job")
end

local function steps_of(side, spec, found, by)
  local steps, flags, count, scope = {}, spec.flags, 0, found.scope
  local function add(step)
    step.by = by
    count = count + 1
    steps[count] = step
  end
  local rows, words = side.rows, side.words
  for i = 1, #rows do
    local word = words[i]
    local value = word and spec[word]
    if not word or value ~= nil then
      local row = rows[i]
      local flag = row.flag
      if (not scope or is_of(row, found)) and (not flag or flags[flag]) then row.steps(value, spec, add, found) end
    end
  end
  return steps
end

--- The steps of the host for a checked spec, before the launcher's: `found` as by `ns.start.survey`.
function plan.host_steps(spec, found) return steps_of(sides.host, spec, found, "host") end

--- The steps of the launcher; `found.trees` has what the host's steps have opened.
function plan.lower(spec, found)
  found.numbers, found.anchors = lookups.numbers(spec, found), anchors.new(spec.mounts)
  found.has_optional = spec.optional ~= nil
  return steps_of(sides.launcher, spec, found)
end

return plan
