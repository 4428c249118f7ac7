--- How the words of a box are set: each word is a method. The class is here, its other methods are in `ns.box` and
-- `ns.box_mounts`.
-- @module ns.box_words
require("ns.core").nojit()
local check = require "ns.words.check"
local merge = require "ns.words.merge"
local plan = require "ns.start.plan"

local Box = { __name = "ns.Box" }
Box.__index = Box

local box_words = { class = Box }

--- A copy of a value all through, but for what is an object.
function box_words.copy(value)
  if type(value) ~= "table" or getmetatable(value) or rawget(value, "getfd") or rawget(value, "fileno") then return value end
  local result = {}
  for k, v in next, value do result[k] = box_words.copy(v) end
  return result
end

--- Calls a check and gives what it returns; a mistake is raised at the caller's line, in the words of `text`.
function box_words.checked(text, test, ...)
  local ok, result = pcall(test, ...)
  if ok then return result end
  local mistake = check.mistake(result)
  if not mistake then error(result, 0) end
  check.raise(text, mistake)
end

--- Words that are switches need no value; but one that is nil is missing.
local function check_switch(word, count)
  if count > 0 or not pcall(plan.words[word].check, true, word) then check.fail(word, "value missing") end
  return true
end

--- Sets a word of a box, and returns the box.
function box_words.set(self, word, ...)
  local value = ...
  if value == nil then value = box_words.checked("%s", check_switch, word, select("#", ...)) end
  box_words.checked("%s", plan.words[word].check, value, word)
  merge.make_room(self.words, word, value)
  self.words[word] = box_words.copy(value)
  return self
end

-- A method that there is not, but that other tools have, or that is spelt otherwise.
setmetatable(Box, { __index = function(_, word)
  if type(word) == "string" and word:find("^%a") then box_words.checked("%s", plan.unknown, word, Box) end
end })

for word in pairs(plan.words) do
  Box[word] = function(self, ...) return box_words.set(self, word, ...) end
end

--- A list of arguments. One that is nil, as what os.getenv does not find, is a mistake, at the end, too.
function box_words.arguments(mistake, ...)
  local list = { ... }
  for i = 1, select("#", ...) do
    if list[i] == nil then check.raise(mistake, i) end
  end
  return list
end

--- Keeps the mounts of which that is true.
function box_words.keep_mounts(self, is_kept)
  local left = {}
  for _, m in ipairs(self.words.mounts or {}) do
    if is_kept(m) then left[#left + 1] = m end
  end
  self.words.mounts = self.words.mounts and left
end

return box_words
