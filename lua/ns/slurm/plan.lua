--- What is submitted for a list, as data: the words of each item, the script, and the commands. Nothing is started here.
-- @module ns.slurm.plan
require("ns.core").nojit()
local box = require "ns.box"
local check = require "ns.words.check"
local core = require "ns.core"
local host_plan = require "ns.start.plan"
local parallel = require "ns.parallel"
local stdio = require "ns.words.stdio"
local survey = require "ns.start.survey"

local plan = {}

local text = check.sized(1, 4096)

local function seconds(n)
  return ("%d:%02d"):format(math.floor(n / 60), math.ceil(n % 60))
end

--- The options that are one of sbatch's: a check, its name there, and how the value reads.
local OPTIONS = {
  { "partition", text }, { "account", text }, { "qos", text }, { "constraint", text }, { "reservation", text },
  { "nodelist", text }, { "exclude", text }, { "cpus", check.integer(1, 65535), "cpus-per-task" },
  { "memory", text, "mem" }, { "time", check.seconds(1, 1e9), nil, seconds },
}

local NAME = "^[%w_.-]+$"

local function check_name(value, where)
  text(value, where)
  if not value:find(NAME) then check.fail(where, "letters, digits, '_', '-' and '.' expected, got '%s'", value) end
  return value
end

local fields = { jobs = check.integer(1, 1e6), per_task = check.integer(1, 1e6), retries = check.integer(0, 100),
  timeout = check.seconds(1e-6, 1e9), folder = check.absolute, name = check_name, lua = text,
  sbatch = check.list(text, 0) }
for _, row in ipairs(OPTIONS) do fields[row[1]] = row[2] end

local check_options = check.record(fields)

-- ---- the items ----

-- What is of this process, and of no use on another machine.
local HERE = { fn = "a function", args = "a function's arguments", fds = "descriptors", join = "namespaces",
  detach = "a process that outlives its task", forward_signals = "signals of this process" }

--- A value that is plain all through.
local function check_plain(value, where)
  local kind = type(value)
  if kind == "table" and not getmetatable(value) then
    for key, v in next, value do check_plain(v, check.at(where, key)) end
  elseif kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    check.fail(where, "a %s cannot go to another machine", kind == "table" and "thing of this process" or kind)
  end
end

local function check_travels(words)
  for word, value in next, words do
    if HERE[word] then check.fail(word, "%s cannot go to another machine", HERE[word]) end
    check_plain(value, word)
  end
  for _, word in ipairs { "stdin", "stdout", "stderr" } do
    if type(words[word]) == "number" then check.fail(word, "a descriptor cannot go to another machine") end
  end
end

local function check_item(words)
  check_travels(words)
  local _, mistake = host_plan.check(words, survey.host())
  if mistake then check.fail("\1", "%s", mistake) end
end

--- The words of an item, over those of the box.
local function words_of(i, item, words, timeout)
  local ok, merged = pcall(function()
    local merged = stdio.collected(parallel.words_of(item, words))
    merged.timeout = merged.timeout or timeout
    check_item(merged)
    return merged
  end)
  if ok then return merged end
  local mistake = check.mistake(merged)
  if not mistake then error(merged, 0) end
  return check.raise("bad argument #1 to 'parallel' (list[%d]: %s)", i, (mistake:gsub("^\1: ", "")))
end

local function read_words(runner)
  local is_spec = box.is(runner) or type(runner) == "table" and not getmetatable(runner)
  if not is_spec then
    check.raise("bad argument #2 to 'parallel' (a spec or a box expected, got %s: what lives on this machine cannot go to "
      .. "another)", type(runner) == "table" and "an object" or type(runner))
  end
  local ok, words = pcall(host_plan.read, box.is(runner) and runner:spec() or runner)
  if not ok then check.raise("bad argument #2 to 'parallel' (%s)", check.mistake(words) or tostring(words)) end
  return words
end

-- ---- the commands ----

local function quoted(value) return "'" .. value:gsub("'", "'\\''") .. "'" end

--- The interpreter that runs this: a node has one of the same name.
local function interpreter()
  local path = core.readlink "/proc/self/exe" or ""
  return path:match "[^/]*$":find "^lua" and path or "lua" .. _VERSION:match "%d%.%d"
end

--- The script of an array; its argument is the number of the batch. 101 and 102 are what `ns.slurm.judge` knows.
local SCRIPT = [[
#!/bin/sh
# One item of a list of ns.slurm.parallel, on whichever node this is.
folder=%s lua=%s
[ -d "$folder" ] || { echo "there is no $folder here" && exit 101; }
command -v "$lua" >/dev/null || { echo "there is no $lua here" && exit 102; }
exec "$lua" "$folder/task.lua" "$folder" "$1"
]]

local CODE = [[
package.path, package.cpath = %q, %q
require("ns.slurm.task").run(...)
]]

--- The command that submits a batch of `count` tasks, which begin when the job `after` has ended.
function plan.command(self, batch, count, after)
  local argv = { "sbatch", "--parsable", "--no-requeue", "--job-name=" .. self.name, "--ntasks=1",
    ("--output=%s/log/%%A_%%a"):format(self.folder), "--input=/dev/null",
    ("--array=0-%d%s"):format(count - 1, self.options.jobs and "%" .. self.options.jobs or "") }
  if after then argv[#argv + 1] = "--dependency=afterany:" .. after end
  for _, row in ipairs(OPTIONS) do
    local value = self.options[row[1]]
    if value then argv[#argv + 1] = ("--%s=%s"):format(row[3] or row[1], row[4] and row[4](value) or tostring(value)) end
  end
  for _, option in ipairs(self.options.sbatch or {}) do argv[#argv + 1] = option end
  argv[#argv + 1] = self.folder .. "/script"
  argv[#argv + 1] = tostring(batch)
  return argv
end

local function new_name(name) return ("%s-%06x%06x"):format(name or "ns", core.random(2 ^ 24), core.random(2 ^ 24)) end

--- What is to be done for a list.
-- @treturn table name, folder, options, items (the words of each), script and code (of its file task.lua)
-- @raise a mistake in the arguments or in the words of an item
function plan.make(list, runner, options)
  local fine, checked = pcall(check_options, options or {}, "options")
  if not fine then check.raise("bad argument #3 to 'parallel' (%s)", check.mistake(checked) or tostring(checked)) end
  local ok, items = pcall(check.items, list, "list")
  if not ok then check.raise("bad argument #1 to 'parallel' (%s)", check.mistake(items) or tostring(items)) end
  local self, words = { options = checked, items = {}, name = new_name(checked.name) }, read_words(runner)
  for i, item in ipairs(items) do self.items[i] = words_of(i, item, words, checked.timeout) end
  self.folder = ("%s/%s"):format(checked.folder or core.readlink "/proc/self/cwd", self.name)
  self.script = SCRIPT:format(quoted(self.folder), quoted(checked.lua or interpreter()))
  self.code = CODE:format(package.path, package.cpath)
  return self
end

return plan
