--- The word `limits`: what a program and all that it starts may have together, as files of a control group of their own.
-- @module ns.words.limits
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants

local limits = {}

local UNITS = { [""] = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30, t = 2 ^ 40 }
local MOST = 9007199254740992

--- "50%" as { percent = 50 }: of what, only the machine knows. nil for what is none.
local function percent(value, where)
  local number = type(value) == "string" and tonumber(value:match("^(%d+%.?%d*)%%$") or "")
  if not number then return nil end
  if number <= 0 or number > 100 then check.fail(where, "'%s' is out of range, above 0%% and up to 100%%", value) end
  return { percent = number }
end

--- Bytes: a number, "64k", "64m", "2g", "1t", "50%" or "max", which is no limit.
local function size(least)
  return function(value, where)
    if value == "max" then return value end
    if type(value) ~= "string" then return check.integer(least, MOST)(value, where) end
    local digits, unit = value:match("^(%d+)([kKmMgGtT]?)$")
    if digits then return check.integer(least, MOST)(tonumber(digits) * UNITS[unit:lower()], where) end
    local share = percent(value, where)
    if not share then check.fail(where, "bytes, '64k', '64m', '2g', '50%%' or 'max' expected, got '%s'", value) end
    return share
  end
end

--- How many: a number, "50%" or "max".
local function count(value, where)
  if value == "max" then return value end
  if type(value) ~= "string" then return check.integer(1, 4194304)(value, where) end
  local share = percent(value, where)
  if not share then check.fail(where, "a number, '50%%' or 'max' expected, got '%s'", value) end
  return share
end

--- Processors' worth of time: 1.5, "50%" or "max". The kernel counts in hundredths of one.
local function processors(value, where)
  if value == "max" then return value end
  if type(value) == "string" then
    local share = percent(value, where)
    if not share then check.fail(where, "a number, '50%%' or 'max' expected, got '%s'", value) end
    return share
  end
  if type(value) ~= "number" then check.fail(where, "number expected, got %s", type(value)) end
  if not (value >= 0.01 and value <= 8192) then
    check.fail(where, "%s is out of range, 0.01 to 8192 processors", tostring(value))
  end
  return value
end

--- Processors by number: { 0, 2 }, one number, or the kernel's own "0-3,6".
local function cpuset(value, where)
  if type(value) == "string" then
    for part in (value .. ","):gmatch("([^,]*),") do
      local first, last = part:match("^(%d+)%-(%d+)$")
      if not (part:match("^%d+$") or first and tonumber(first) <= tonumber(last)) then
        check.fail(where, "processors expected, as '0-3,6', got '%s'", value)
      end
    end
    return value
  end
  local list = check.list(check.integer(0, 8191), 1)(type(value) == "number" and { value } or value, where)
  for i, n in ipairs(list) do list[i] = ("%d"):format(n) end
  return table.concat(list, ",")
end

local speed = size(1)
local device = check.record { read = speed, write = speed, read_ops = count, write_ops = count }

--- { ["/dev/vda"] = { read = "10m", write = "1m", read_ops = 100, write_ops = 100 } }: of a second. "8:0" is a device, too.
local function io(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local result = {}
  for name, most in next, value do
    local at = ("%s[%s]"):format(where, check.show(name))
    if type(name) ~= "string" or not (name:match("^%d+:%d+$") or name:match("^/dev/[^%z]+$")) then
      check.fail(at, "a disk expected, as '/dev/sda' or '8:0'")
    end
    result[name] = device(most, at)
    for key, n in next, result[name] do
      if type(n) == "table" then check.fail(("%s.%s"):format(at, key), "of a disk there is no share") end
    end
  end
  return result
end

local fields = { memory = size(1), memory_high = size(1), swap = size(0), pids = count, cpu = processors,
  cpu_weight = check.integer(1, 10000), cpuset = cpuset, io = io, parent = check.absolute }

local record = check.record(fields)

--- The limits in their normal form.
function limits.check(value, where)
  local checked = record(value, where)
  for _, name in ipairs { "swap", "io" } do
    local share = checked[name]
    if type(share) == "table" and share.percent then check.fail(("%s.%s"):format(where, name), "no share of it is known") end
  end
  return checked
end

--- Of a container that lives: all but where its group lies.
function limits.check_change(value, where)
  local checked = limits.check(value, where)
  if checked.parent then check.fail(where .. ".parent", "a group cannot be moved") end
  return checked
end

-- ---- files ----

local function text(n) return type(n) == "string" and n or ("%.0f"):format(n) end

--- A limit as a number; `whole`: what a share is a share of.
local function resolve(value, whole)
  if type(value) ~= "table" then return value end
  if whole == math.huge then return "max" end
  return math.max(1, math.floor(whole * value.percent / 100))
end

local PERIOD = 100000 -- microseconds

local function quota(value, capacity)
  if type(value) == "table" then value = math.max(0.01, capacity.cpu * value.percent / 100) end
  if value == "max" then return ("max %d"):format(PERIOD) end
  return ("%.0f %d"):format(value * PERIOD, PERIOD)
end

local IO_KEYS = { { "read", "rbps" }, { "write", "wbps" }, { "read_ops", "riops" }, { "write_ops", "wiops" } }

--- One line for each disk, as the kernel takes one at a time.
local function io_lines(devices, capacity)
  local lines = {}
  for name, most in next, devices do
    local line = { name:find("^/") and capacity.disk(name) or name }
    for _, key in ipairs(IO_KEYS) do
      if most[key[1]] then line[#line + 1] = ("%s=%s"):format(key[2], text(most[key[1]])) end
    end
    lines[#lines + 1] = table.concat(line, " ")
  end
  table.sort(lines)
  return lines
end

--- Word, file, what the kernel calls the controller, and when it is written: "first" before there is a process; "last" by
-- the launcher itself, as the out-of-memory killer ends whoever shares memory with its victim, and until then that is the
-- host; or between the two, as the processor time of the start is not to be counted out.
local ROWS = {
  { "pids", "pids.max", "pids", "first", function(value, c) return text(resolve(value, c.pids)) end },
  { "cpu_weight", "cpu.weight", "cpu", "first", text },
  { "cpuset", "cpuset.cpus", "cpuset", "first", text },
  { "io", "io.max", "io", "first", io_lines },
  { "cpu", "cpu.max", "cpu", "between", quota },
  { "swap", "memory.swap.max", "memory", "last", text },
  { "memory", "memory.max", "memory", "last", function(value, c) return text(resolve(value, c.memory)) end },
  { "memory_high", "memory.high", "memory", "last", function(value, c) return text(resolve(value, c.memory)) end },
}

--- The files to write, in their order: { file, data, word, controller, when, [ignore] }. `capacity`: what the host may use
-- itself, { memory, pids, cpu, disk(path) }; `first`: is the group new? Then it has no swap where it has a limit of memory,
-- and ends as a whole when that is reached.
function limits.files(wanted, capacity, first)
  local files = {}
  local function add(row, data, ignore)
    files[#files + 1] = { file = row[2], data = data, word = "limits." .. row[1], controller = row[3], when = row[4],
      ignore = ignore }
  end
  local is_bounded = first and wanted.memory and wanted.memory ~= "max"
  for _, row in ipairs(ROWS) do
    local value, ignore = wanted[row[1]], nil
    if row[1] == "swap" and value == nil and is_bounded then value, ignore = 0, constants.errno.ENOENT end
    local data = value ~= nil and row[5](value, capacity) or nil
    for _, line in ipairs(type(data) == "table" and data or { data }) do add(row, line, ignore) end
    if row[1] == "memory" and is_bounded then
      add({ "memory", "memory.oom.group", "memory", "last" }, "1", constants.errno.ENOENT)
    end
  end
  return files
end

--- Is a share asked for, or a disk by its name: what only the machine knows?
function limits.asks(wanted)
  for _, name in ipairs { "memory", "memory_high", "pids", "cpu" } do
    if type(wanted[name]) == "table" then return true end
  end
  return wanted.io ~= nil
end

-- ---- steps ----

--- The namespaces that the clone makes: one of cgroups only in the group that it shows as the root.
function limits.flags(spec, found)
  if not (found.group and found.group.by ~= "clone" and spec.flags.cgroup) then return spec.flags end
  local flags = {}
  for name in next, spec.flags do flags[name] = name ~= "cgroup" or nil end
  return flags
end

--- Before there is a process: its group, and what may stand there already. What is written last is opened.
function limits.make(_, spec, add, found)
  add { op = "group", path = found.group.path, detached = found.outlives or spec.detach, word = "limits" }
  for _, file in ipairs(found.group.files) do
    if file.when == "first" then add { op = "limit", path = file.file, data = file.data, word = file.word } end
    if file.when == "last" then add { op = "open_limit", path = file.file, ignore = file.ignore, word = file.word } end
  end
end

--- The process is there, and is in its group, or is moved into it now: it executes the launcher already, so the kernel may
-- take what time it wants.
function limits.place(_, _, add, found)
  if found.group.by ~= "clone" then add { op = "attach", path = found.group.path, word = "limits" } end
  for _, file in ipairs(found.group.files) do
    if file.when == "between" then add { op = "limit", path = file.file, data = file.data, word = file.word } end
  end
end

--- Inside: the limits of memory, through what the host has opened.
function limits.steps(_, spec, add, found)
  local group = found.group
  if group.by ~= "clone" and spec.flags.cgroup then
    add { op = "unshare", flags = constants.clone.NEWCGROUP, word = "limits" }
  end
  for _, file in ipairs(group.files) do
    local fd = group.opened[file.file]
    if file.when == "last" and fd ~= false then
      add { op = "write", fd = fd, from = file.file, data = file.data, word = file.word }
    end
  end
end

return limits
