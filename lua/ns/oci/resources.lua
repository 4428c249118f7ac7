--- The resources of a configuration, as the word limits.
-- @module ns.oci.resources
require("ns.core").nojit()
local check = require "ns.words.check"

local resources = {}

local MOST = 2 ^ 53

--- A number of bytes or things; nil for none, which is 0, -1 or the largest of 64 bits.
local function amount(value) return value and value > 0 and value < MOST and value or nil end

--- Fields that no word has.
local function others(object, where, known, job, leave)
  local names = {}
  for name, value in pairs(object) do
    local asks = value ~= false and value ~= 0 and not (type(value) == "table" and next(value) == nil)
    if not known[name] and asks then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do leave(job, ("%s.%s"):format(where, name), "there is no such limit", false) end
end

local function memory(value, where, limits, job, leave)
  limits.memory = amount(value.limit)
  local both = amount(value.swap)
  if both and limits.memory then limits.swap = math.max(0, both - limits.memory) end
  if value.swap == -1 then limits.swap = "max" end
  others(value, where, { limit = true, swap = true, checkBeforeUpdate = true }, job, leave)
end

local PERIOD = 100000

local function cpu(value, where, limits, job, leave)
  local quota, shares = amount(value.quota), amount(value.shares)
  if quota then limits.cpu = quota / (amount(value.period) or PERIOD) end
  if shares then limits.cpu_weight = math.floor(1 + (math.max(2, shares) - 2) * 9999 / 262142) end
  if value.cpus and value.cpus ~= "" then limits.cpuset = value.cpus end
  others(value, where, { quota = true, period = true, shares = true, cpus = true }, job, leave)
end

local function pids(value, _, limits) limits.pids = amount(value.limit) end

local KEYS = { throttleReadBpsDevice = "read", throttleWriteBpsDevice = "write", throttleReadIOPSDevice = "read_ops",
  throttleWriteIOPSDevice = "write_ops" }

local function block_io(value, where, limits, job, leave)
  for name, key in pairs(KEYS) do
    for _, one in ipairs(value[name] or {}) do
      local disk = ("%d:%d"):format(one.major, one.minor)
      limits.io = limits.io or {}
      limits.io[disk] = limits.io[disk] or {}
      limits.io[disk][key] = amount(one.rate)
    end
  end
  others(value, where, KEYS, job, leave)
end

--- No device works in a box but those of its /dev, and those that are given: a rule that denies says nothing more.
local function devices(value, where, _, job, leave)
  for i, one in ipairs(value) do
    if one.allow and not job.config_devices then
      leave(job, check.at(where, i), "what is allowed are the devices in /dev", false)
    end
  end
end

local READERS = { memory = memory, cpu = cpu, pids = pids, blockIO = block_io, devices = devices }

--- Reads them into job.words.limits.
function resources.read(value, where, job, leave)
  local limits = {}
  for name, reader in pairs(READERS) do
    local one = value[name]
    if one then reader(one, ("%s.%s"):format(where, name), limits, job, leave) end
  end
  others(value, where, READERS, job, leave)
  if next(limits) then job.words.limits = limits end
end

return resources
