--- What a link may be like: how slow, how narrow, how faulty. Delay and faults are queues of the kind netem, see
-- tc-netem(8), a rate is one of tbf, see tc-tbf(8).
-- @module ns.words.shape
require("ns.core").nojit()
local check = require "ns.words.check"
local rtnetlink = require "ns.words.rtnetlink"

local attribute, u8, u16, u32, u64 = rtnetlink.attribute, rtnetlink.u8, rtnetlink.u16, rtnetlink.u32, rtnetlink.u64

local shape = {}

local SECONDS = { s = 1, ms = 1e-3, us = 1e-6 }
local BITS = { bit = 1, kbit = 1e3, mbit = 1e6, gbit = 1e9 }

--- A number with a unit, or without one.
local function quantity(units, example, least, most)
  return function(value, where)
    local n, unit = value, nil
    if type(value) == "string" then
      n, unit = value:match "^(%d+%.?%d*)(%a+)$"
      n = tonumber(n)
    end
    if type(n) ~= "number" or unit and not units[unit] then
      check.fail(where, "%s expected, got %s", example, type(value) == "string" and "'" .. value .. "'" or type(value))
    end
    n = n * (unit and units[unit] or 1)
    if not (n >= least and n <= most) then
      check.fail(where, "%s is out of range, %g to %g", check.show(value), least, most)
    end
    return n
  end
end

local seconds = quantity(SECONDS, "seconds, or a string as '10ms',", 0, 4)
local bits = quantity(BITS, "bits per second, or a string as '10mbit',", 8000, 1e11)

local function percent(value, where)
  if type(value) ~= "number" then check.fail(where, "percentage expected, got %s", type(value)) end
  if not (value >= 0 and value <= 100) then check.fail(where, "%s is out of range, 0 to 100 percent", tostring(value)) end
  return value
end

--- The words of a link that can change while it lives, each with its check.
shape.words = { delay = seconds, jitter = seconds, loss = percent, duplicate = percent, corrupt = percent, reorder = percent,
  rate = bits, mtu = check.integer(1280, 65535) }

--- What is wrong with them together.
function shape.check_together(words, where)
  if (words.jitter or words.reorder) and not words.delay then
    check.fail(("%s.%s"):format(where, words.jitter and "jitter" or "reorder"), "means nothing without a delay")
  end
end

-- ---- netem ----

local NETEM = { REORDER = 3, CORRUPT = 4, LATENCY = 10, JITTER = 11 }
local IN_FLIGHT = 10000 -- packets that a slow link may hold

local function share(percentage) return math.floor((percentage or 0) / 100 * 4294967295 + 0.5) end
local function nanoseconds(s) return u64(math.floor(s * 1e9 + 0.5)) end

local function netem(w)
  local gap = w.reorder and 1 or 0
  return u32(0) .. u32(IN_FLIGHT) .. u32(share(w.loss)) .. u32(gap) .. u32(share(w.duplicate)) .. u32(0)
    .. (w.delay and attribute(NETEM.LATENCY, nanoseconds(w.delay)) or "")
    .. (w.jitter and attribute(NETEM.JITTER, nanoseconds(w.jitter)) or "")
    .. (w.reorder and attribute(NETEM.REORDER, u32(share(w.reorder)) .. u32(0)) or "")
    .. (w.corrupt and attribute(NETEM.CORRUPT, u32(share(w.corrupt)) .. u32(0)) or "")
end

-- ---- tbf ----

local TBF = { PARMS = 1, RATE64 = 4, BURST = 6 }
local MTU, HEADER = 1500, 14
local LINKLAYER_ETHERNET = 1 -- so no table of rates is wanted
local MOST = 2 ^ 32 - 1

--- What may go at once, and what waits: as much as goes in twenty and in a hundred milliseconds, but two and a hundred
-- packets at the least. On a busy machine the timer comes late: what it then lets through at once is not lost.
local function tbf(w)
  local bytes, packet = math.floor(w.rate / 8), (w.mtu or MTU) + HEADER
  local burst = math.min(math.max(math.floor(bytes * 0.02), 2 * packet), MOST)
  local limit = math.min(burst + math.max(math.floor(bytes * 0.1), 100 * packet), MOST)
  local rate = u8(0, LINKLAYER_ETHERNET) .. u16(0) .. u16(0) .. u16(0) .. u32(math.min(bytes, MOST))
  return attribute(TBF.PARMS, rate .. ("\0"):rep(12) .. u32(limit) .. u32(0) .. u32(0)) .. attribute(TBF.BURST, u32(burst))
    .. (bytes > MOST and attribute(TBF.RATE64, u64(bytes)) or "")
end

local NO_NETEM = "this kernel has no netem (CONFIG_NET_SCH_NETEM, the module sch_netem), which delay, jitter, loss, "
  .. "duplicate, corrupt and reorder need; rate does not"
local NO_TBF = "this kernel has no tbf (CONFIG_NET_SCH_TBF, the module sch_tbf), which rate needs"

local FAULTS = { "delay", "loss", "duplicate", "corrupt" }

--- The messages that give an end these words; it must have no queues of ours.
function shape.messages(one, words)
  local list, is_faulty = {}, false
  for _, word in ipairs(FAULTS) do is_faulty = is_faulty or (words[word] or 0) > 0 end
  local function add(kind, options, missing)
    local m = rtnetlink.qdisc(one, kind, options, #list + 1)
    m.kernel = missing
    list[#list + 1] = m
  end
  if is_faulty then add("netem", netem(words), NO_NETEM) end
  if words.rate then add("tbf", tbf(words), NO_TBF) end
  return list
end

--- "10ms" for 0.01; the largest unit of which there is one at the least.
local function with_unit(n, units)
  local best
  for unit, size in pairs(units) do
    if n >= size and (not best or size > units[best]) then best = unit end
  end
  return best and ("%.6g%s"):format(n / units[best], best) or ("%.6g"):format(n)
end

local TEXTS = {
  { "delay", function(n) return with_unit(n, SECONDS) end },
  { "jitter", function(n) return "±" .. with_unit(n, SECONDS) end },
  { "loss", function(n) return ("%g%% lost"):format(n) end },
  { "duplicate", function(n) return ("%g%% twice"):format(n) end },
  { "corrupt", function(n) return ("%g%% corrupt"):format(n) end },
  { "reorder", function(n) return ("%g%% out of order"):format(n) end },
  { "rate", function(n) return with_unit(n, BITS) end },
  { "mtu", function(n) return ("mtu %d"):format(n) end },
}

--- The words in short.
function shape.text(words)
  local parts = {}
  for _, row in ipairs(TEXTS) do
    if words[row[1]] then parts[#parts + 1] = row[2](words[row[1]]) end
  end
  return table.concat(parts, " ")
end

return shape
