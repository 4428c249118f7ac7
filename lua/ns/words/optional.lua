--- What of a spec may be left out where the machine refuses it: the word optional. A name is a word, or a part of one:
-- "hostname", "flags.time", "rlimits.nproc", "landlock.scope", "mounts./srv".
--
-- A step that is refused says which word it comes from, and which part of that. If this is one of the names, the start
-- begins anew, without it (`ns.start.optional`): so nothing of it is ever half done.
-- @module ns.words.optional
require("ns.core").nojit()
local check = require "ns.words.check"
local join = require "ns.words.join"
local mounts = require "ns.words.mounts"

local optional, NONE = {}, {}

-- What is run.
local ALWAYS = { argv = true, args = true, fn = true, optional = true }

-- ---- the word ----

local function row_of(rows, word)
  for _, row in ipairs(rows) do
    if row.word == word then return row end
  end
end

local function words_of(rows)
  local words = {}
  for _, row in ipairs(rows) do words[row.word or false] = true end
  words[false] = nil
  return words
end

--- {name=, word=, part=} for a name.
local function check_name(text, where, rows)
  check.text(text, where)
  local word, part = text:match("^([^.]*)%.?(.*)$")
  local row = row_of(rows, word)
  if not row then check.fail(where, "unknown word '%s'%s", word, check.nearest(word, words_of(rows))) end
  if ALWAYS[word] then check.fail(where, "'%s' cannot be left out", word) end
  if part == "" and text ~= word then check.fail(where, "a part of '%s' is missing", word) end
  if part == "" then return { name = word, word = word } end
  if not row.check_part then check.fail(where, "'%s' has no parts", word) end
  part = row.check_part(part, where)
  return { name = word .. "." .. part, word = word, part = part }
end

--- A list of names.
function optional.check(value, where, rows)
  local list, seen = check.items(type(value) == "string" and { value } or value, where), {}
  for i = 1, #list do
    local at = check.at(where, i)
    list[i] = check_name(list[i], at, rows)
    if seen[list[i].name] then check.fail(at, "'%s' is given twice", list[i].name) end
    seen[list[i].name] = true
  end
  return list
end

--- The name in the list that stands for a word, or a part of it: for itself, or for all of the word.
function optional.find(list, word, part)
  for _, one in ipairs(list or NONE) do
    if one.word == word and (not one.part or one.part == part) then return one end
  end
end

-- ---- a spec without it ----

local function without_key(value, key)
  local left = {}
  for k, v in next, value do left[k] = v end
  left[key] = nil
  return next(left) ~= nil and left or nil
end

--- Is it among the words of a spec?
local function has(spec, one, row)
  local value = spec[one.word]
  if value == nil or not one.part then return value ~= nil end
  if row.has_part then return row.has_part(value, one.part) end
  return value[one.part] ~= nil
end

--- Takes away what needs a namespace that is gone; returns the names of it. What only says how the namespace is to be
-- (`describes`) is no loss.
local function take_needing(less, rows)
  local gone = {}
  for _, row in ipairs(rows) do
    for _, need in ipairs(less[row.word or false] and row.needs or NONE) do
      if less[row.word] ~= nil and not less.flags[need] and not (need == "pid" and join.may_have(less.join, need)) then
        less[row.word] = nil
        gone[#gone + 1] = not row.describes and { name = row.word, word = row.word } or nil
      end
    end
  end
  for _, place in ipairs(mounts.places_lost(less)) do
    less.mounts = mounts.without(less.mounts, place)
    gone[#gone + 1] = { name = "mounts." .. place, word = "mounts", part = place }
  end
  return gone
end

--- A checked spec without one of the names, and without what needs that: a new table, and the names of what goes with it; or
-- nil, where the spec does not have it.
function optional.without(spec, one, rows)
  local row, less = row_of(rows, one.word), {}
  if not has(spec, one, row) then return nil end
  for word, value in next, spec do less[word] = value end
  less[one.word] = one.part and (row.without_part or without_key)(spec[one.word], one.part) or nil
  less.flags, less.maps = less.flags or {}, nil
  return less, take_needing(less, rows)
end

--- Nothing goes unasked: what needs one of the names must be one of them, too. `is_whole(spec)`: raises what is wrong with a
-- spec.
function optional.check_together(spec, rows, is_whole)
  for i, one in ipairs(spec.optional or NONE) do
    local less, gone = optional.without(spec, one, rows)
    for _, other in ipairs(gone or NONE) do
      if not optional.find(spec.optional, other.word, other.part) then
        check.fail(check.at("optional", i), "without '%s' there is no '%s': add that, if it may be left out, too",
          one.name, other.name)
      end
    end
    if less then
      less.optional = nil
      local ok, problem = pcall(is_whole, less)
      local mistake = not ok and check.mistake(problem)
      if mistake then check.fail(check.at("optional", i), "without '%s': %s", one.name, mistake) end
    end
  end
end

return optional
