--- Signals by number, "TERM", "SIGTERM" or "sigterm".
-- @module ns.words.signals
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants.signal

local signals = {}

local NAMES, LOWER = {}, {}
for name, number in pairs(constants) do NAMES[number], LOWER[name:lower()] = name, true end

--- The name of a number: "TERM" for 15, "34" for one without a name.
function signals.name(number)
  return NAMES[number] or tostring(number)
end

--- The number for a number or name; nil if there is none.
function signals.number(value)
  if type(value) == "string" then return constants[value:upper():gsub("^SIG", "")] end
  if type(value) == "number" and value >= 1 and value <= 64 and value == math.floor(value) then return value end
end

--- Raises the mistake of a signal that there is not; `name` is the function that was to have it.
function signals.unknown(value, name)
  local near = type(value) == "string" and check.nearest(value:upper():gsub("^SIG", ""), LOWER) or ""
  near = near:gsub("'.-'", string.upper)
  check.raise("bad argument #1 to '%s' (unknown signal '%s'%s)", name, check.show(value), near)
end

local FORWARDED = { "TERM", "INT", "HUP" }
local one_of = check.choice("TERM", "INT", "HUP", "QUIT", "USR1", "USR2")

--- What a wait hands on to the program: true or a list of names -> a list of numbers; false -> nothing.
function signals.check_forwarded(value, where)
  if value == false then return nil end
  local names, numbers = value == true and FORWARDED or check.list(one_of)(value, where), {}
  for i, name in ipairs(names) do numbers[i] = signals.number(name) end
  return numbers
end

return signals
