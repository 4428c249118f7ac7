--- The eight kinds of namespace: names, aliases, flags.
-- @module ns.words.namespaces
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local clone = core.constants.clone

local namespaces = {}

--- name: ours, and unshare(1)'s; file: its name in /proc/PID/ns; flag: CLONE_...
namespaces.list = {
  { name = "user", file = "user", flag = "NEWUSER" },
  { name = "mount", file = "mnt", flag = "NEWNS" },
  { name = "pid", file = "pid", flag = "NEWPID" },
  { name = "net", file = "net", flag = "NEWNET" },
  { name = "ipc", file = "ipc", flag = "NEWIPC" },
  { name = "uts", file = "uts", flag = "NEWUTS" },
  { name = "cgroup", file = "cgroup", flag = "NEWCGROUP" },
  { name = "time", file = "time", flag = "NEWTIME" },
}

local by_word, flag_of, file_of = { network = "net" }, {}, {}
for _, row in ipairs(namespaces.list) do
  flag_of[row.name], file_of[row.name] = clone[row.flag], row.file
  by_word[row.name] = row.name
  by_word[row.file] = row.name
  by_word[row.flag:lower()] = row.name
  by_word["clone_" .. row.flag:lower()] = row.name
end

--- Our name for one under any of its names; it must not be in the `set`, in which it is from then on.
function namespaces.name(word, where, set)
  local name = by_word[word] or type(word) == "string" and by_word[word:lower()]
  if type(word) ~= "string" then check.fail(where, "name of a namespace expected, got %s", type(word)) end
  if not name then check.fail(where, "unknown namespace '%s'%s", word, check.nearest(word, by_word)) end
  if set[name] then check.fail(where, "'%s' is given twice", name) end
  set[name] = true
  return name
end

local function from_number(set, sum, where)
  local rest = sum
  for _, row in ipairs(namespaces.list) do
    local flag = clone[row.flag]
    if math.floor(sum / flag) % 2 == 1 then
      set[row.name] = true
      rest = rest - flag
    end
  end
  if rest ~= 0 then check.fail(where, "%s is no sum of ns.CLONE_NEW...", tostring(sum)) end
end

--- A list of names, "uts,ipc", or ns.CLONE_NEWUTS + ... -> a set of names.
function namespaces.check(value, where)
  local set = {}
  if type(value) == "number" then
    from_number(set, value, where)
  elseif type(value) == "string" then
    for word in value:gmatch("[^,%s]+") do namespaces.name(word, where, set) end
  else
    local words = check.items(value, where)
    for i = 1, #words do namespaces.name(words[i], check.at(where, i), set) end
  end
  return set
end

--- Its name in /proc/PID/ns, for one of our names.
function namespaces.file(name) return file_of[name] end

--- The flag of clone(2) for one of our names.
function namespaces.flag(name) return flag_of[name] end

--- The flags of clone(2) for a set. A time namespace is not among them: the launcher unshares it, as its offsets must be
-- written before the first process enters it.
function namespaces.clone_flags(set)
  local sum = 0
  for name in next, set do
    if name ~= "time" then sum = sum + flag_of[name] end
  end
  return sum
end

--- The names of a set, in the order of the list.
function namespaces.names(set)
  local names = {}
  for _, row in ipairs(namespaces.list) do
    if set[row.name] then names[#names + 1] = row.name end
  end
  return names
end

--- Are we in a user namespace that somebody has made? The first one has this number on every machine.
function namespaces.is_nested() return core.readlink("/proc/self/ns/user") ~= "user:[4026531837]" end

return namespaces
