--- Assertions of luassert's about results (`ns.run`) and processes, and how they are shown when one fails.
-- @module ns.busted.assertions
require("ns.core").nojit()
local harness = require "ns.busted.harness"
local result = require "ns.running.result"
local signals = require "ns.words.signals"
local stdio = require "ns.words.stdio"

local assertions = {}

local SHOWN = 300 -- bytes of each output

-- ---- how they are shown ----

local function shown(name, text)
  if not text or text == "" then return "" end
  local cut = #text > SHOWN and ("(the last %d of %d bytes)"):format(SHOWN, #text) or ""
  text = text:sub(-SHOWN):gsub("%s+$", ""):gsub("\n", "\n  | ")
  return ("\n  %s:%s\n  | %s"):format(name, cut, text)
end

local function how_of(value)
  if value.how == "refused" then return "refused: " .. tostring(value.message) end
  if value.how == "signal" then return ("killed by signal %d (SIG%s)"):format(value.signal, value.signame) end
  return (value.timed_out and "timeout, " or "") .. ("exit %s"):format(tostring(value.code))
end

local function quoted(word) return word:find "^[%w_./=:@,+-]+$" and word or "'" .. word .. "'" end

local function argv_of(value)
  local words = {}
  for i, word in ipairs(value.argv or {}) do words[i] = quoted(word) end
  return #words > 0 and table.concat(words, " ") .. ": " or ""
end

local function is_result(value) return type(value) == "table" and result.is(value) end

--- nil for what is none of ours.
local function format(value)
  if is_result(value) then
    return ("(ns.Result) %s%s%s%s"):format(argv_of(value), how_of(value), shown("stderr", value.stderr),
      shown("stdout", value.stdout))
  end
  if type(value) == "table" and stdio.class_of(value) == "ns.Process" then
    return ("(ns.Process) %spid %d, %s"):format(argv_of(value), value.pid, value.status and "ended" or "runs")
  end
end

-- ---- what they ask ----

--- A result; of a process that was waited for, what it has come to. It raises for what is neither, as a start that was
-- refused: the message comes behind it.
local function checked(name, value, message)
  if is_result(value) then return value end
  if type(value) == "table" and stdio.class_of(value) == "ns.Process" then
    local ok, how, code = value:wait()
    return result.new(ok, how, code, { argv = value.argv })
  end
  error(("assert.%s: a result expected, got %s%s"):format(name, tostring(value),
    value == nil and type(message) == "string" and ": " .. message or ""), 0)
end

local function find(name)
  return function(args)
    local r = checked(name, args[1])
    if type(args[2]) ~= "string" then error(("assert.%s: a pattern expected, got %s"):format(name, type(args[2])), 0) end
    return (r[name] or ""):find(args[2]) ~= nil, { args[2] }, r
  end
end

--- Each: its words; whether it holds, what is expected, and what there is; how many arguments it has, behind which a
-- message of the user's may come.
local ROWS = {
  exits = { "to exit with", function(args)
    local r = checked("exits", args[2], args[3])
    return r.how == "exit" and r.code == args[1], { args[1] }, r
  end, 2 },
  signalled = { "to be killed by", function(args)
    local number, r = signals.number(args[1]), checked("signalled", args[2], args[3])
    if not number then error(("assert.signalled: unknown signal '%s'"):format(tostring(args[1])), 0) end
    return r.how == "signal" and r.signal == number, { "SIG" .. signals.name(number) }, r
  end, 2 },
  times_out = { "to run into its time limit", function(args)
    local r = checked("times_out", args[1], args[2])
    return r.timed_out == true, {}, r
  end, 1 },
  stdout = { "to write to stdout", find "stdout", 2 },
  stderr = { "to write to stderr", find "stderr", 2 },
  nothing_left = { "nothing to be left", function()
    local list = {}
    for _, left in ipairs(harness.watch and harness.watch:since() or {}) do list[#list + 1] = left.list end
    return #list == 0, {}, table.concat(list, ", ")
  end, 0 },
}

local function words_of(list)
  local texts = {}
  for i, value in ipairs(list) do texts[i] = type(value) == "string" and ("'%s'"):format(value) or tostring(value) end
  return #texts > 0 and " " .. table.concat(texts, " ") or ""
end

local function register(assert, say, name, row)
  local key = "assertion.ns_" .. name
  say:set(key .. ".positive", "Expected %s, but:\n%s")
  say:set(key .. ".negative", "Expected not %s, but:\n%s")
  assert:register("assertion", name, function(state, args)
    local holds, expected, found = row[2](args)
    local message = args[row[3] + 1]
    if message ~= nil then state.failure_message = message end
    args[1], args[2] = row[1] .. words_of(expected), found
    args.n = 2
    args.nofmt = { [1] = true, [2] = type(found) == "string" }
    return holds
  end, key .. ".positive", key .. ".negative")
end

--- Adds them to luassert.
function assertions.register(assert, say)
  for name, row in pairs(ROWS) do register(assert, say, name, row) end
  assert:add_formatter(format)
end

return assertions
