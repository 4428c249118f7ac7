--- What users say of the harness: a row a word, each with its check and its default; those of `ns.surroundings`, too. From
-- the table that `ns.busted.config` wraps, from NS_BUSTED, and from -Xhelper, which counts most: "ns.jobs=4,ns.net=host".
--
-- The room of the harness: busted's files and tests in copies of the Lua state.
-- Requires face, start, running and words.
-- @module ns.busted.settings
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local surroundings = require "ns.surroundings"

local settings = {}

local seconds = check.seconds(0, 1e9)

local function modules(value, where)
  if type(value) == "string" then value = { value } end
  return check.list(check.text)(value, where)
end

local ROWS = {
  { "jobs", check.integer(1, 1000) },
  { "timeout", seconds, 60 },
  { "file_timeout", seconds, 0 },
  { "go_on", check.boolean, true },
  { "preload", modules },
  { "stdin", check.choice("null", "inherit"), "null" },
  { "max_output", check.integer(1, 2 ^ 53), 256 * 2 ^ 20 },
  { "require_all", check.boolean },
}
for _, row in ipairs(surroundings.rows) do ROWS[#ROWS + 1] = row end

local CHECKS = {}
for _, row in ipairs(ROWS) do CHECKS[row[1]] = row[2] end

local BOOLEANS = { ["true"] = true, ["false"] = false, yes = true, no = false }

--- "4", "true", "host" as what they mean.
local function value_of(word, text)
  if word == "preload" then
    local list = {}
    for name in text:gmatch("[^+]+") do list[#list + 1] = name end
    return list
  end
  if BOOLEANS[text] ~= nil then return BOOLEANS[text] end
  return tonumber(text) or text
end

local function add(into, word, value, from)
  local one = CHECKS[word]
  if not one then
    check.raise("%s: unknown word '%s'%s", from, tostring(word), check.nearest(tostring(word), CHECKS))
  end
  local ok, result = pcall(one, value, word)
  if not ok then check.raise("%s: %s", from, check.mistake(result) or tostring(result)) end
  into[word] = result
end

--- The words of a text, as "jobs=4,net=host".
local function add_text(into, text, from)
  for word, value in text:gmatch("([%w_]+)=([^,%s]+)") do add(into, word, value_of(word, value), from) end
end

--- What the table says that `ns.busted.config` wraps: noted until the helper is loaded.
local told = {}
--- Notes it.
function settings.tell(t)
  told = {}
  for word, value in next, t do add(told, word, value, "ns.busted.config") end
end

--- Takes ours out of the helper's arguments, of which its own helper knows nothing.
local function take_arguments(arguments, into)
  for i = #arguments, 1, -1 do
    local left = {}
    for part in tostring(arguments[i]):gmatch("[^,]+") do
      local ours = part:match("^ns%.(.*)$")
      if ours then
        if not ours:find("^[%w_]+=") then check.raise("-Xhelper: 'ns.WORD=VALUE' expected, got 'ns.%s'", ours) end
        add_text(into, ours, "-Xhelper")
      else
        left[#left + 1] = part
      end
    end
    if #left == 0 then table.remove(arguments, i) else arguments[i] = table.concat(left, ",") end
  end
end

--- All words; `arguments`: those of the helper.
function settings.read(arguments)
  local all = {}
  for _, row in ipairs(ROWS) do all[row[1]] = row[3] end
  all.jobs = core.processors()
  local require_all = os.getenv "NS_REQUIRE" == "all" or os.getenv "CI" ~= nil and os.getenv "NS_REQUIRE" == nil
  all.require_all = require_all
  for word, value in next, told do all[word] = value end
  add_text(all, os.getenv "NS_BUSTED" or "", "NS_BUSTED")
  if type(arguments) == "table" then take_arguments(arguments, all) end
  if all.stdin == "inherit" and all.jobs > 1 then
    check.raise "ns.busted: stdin = 'inherit' needs jobs = 1, as only one can read"
  end
  return all
end

return settings
