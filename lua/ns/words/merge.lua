--- Words that are said over others: those of a program over its container's, those of an item over its list's.
-- @module ns.words.merge
require("ns.core").nojit()
local core = require "ns.core"

local merge = {}

-- Words that add to what is there.
merge.added_to = { env = true, rlimits = true, landlock = true }

-- What cannot stand beside a word, or what that word is to clear, and goes where it is set.
local INSTEAD = { map = { "uid_map", "gid_map" }, uid_map = { "map" }, gid_map = { "map" }, clear_env = { "env" } }

--- Takes away what a word is set in the place of. A directory as root stands in that of the host's system, whose /usr, /bin
-- and /etc would cover its own.
function merge.make_room(words, word, value)
  for _, other in ipairs(value ~= false and INSTEAD[word] or {}) do words[other] = nil end
  local lower = word == "root" and type(value) == "table" and (value.lower or value.bind or value.tmpfs and "empty") or value
  if word == "root" and lower ~= "/" and lower ~= "empty" then words.system = nil end
end

--- Another user or group has none of the further groups of the one before. One with a name has a group of its own; for a
-- number the group stays what it is.
local function change_ids(merged, words, given)
  local is_same_user = given.user == nil or given.user == words.user
  if is_same_user and (given.group == nil or given.group == words.group) then return end
  merged.groups = nil
  if given.group ~= nil then return end
  local is_named, was_named = type(given.user) == "string", type(words.user) == "string"
  if is_named then merged.group = nil end
  if not is_named and was_named and words.group == nil then merged.group = select(2, core.user(words.user)) end
end

local function add(before, more)
  local all = {}
  for name, value in next, before do all[name] = value end
  for name, value in next, more do all[name] = value end
  return all
end

--- The words with those that are `given`: a new table.
function merge.over(words, given)
  local merged = add(words, {})
  for word, value in next, given do merge.make_room(merged, word, value) end
  change_ids(merged, words, given)
  for word, value in next, given do
    local adds = merge.added_to[word] and type(merged[word]) == "table" and type(value) == "table"
    merged[word] = adds and add(merged[word], value) or value
  end
  return merged
end

return merge
