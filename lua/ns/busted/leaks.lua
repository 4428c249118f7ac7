--- In a copy: what tests have left behind, processes and descriptors, and after which test each was seen first.
-- @module ns.busted.leaks
require("ns.core").nojit()
local core = require "ns.core"

local leaks = {}

local ipairs, next, tonumber = ipairs, next, tonumber
local find, format, gsub, match, sub = string.find, string.format, string.gsub, string.match, string.sub
local concat, sort = table.concat, table.sort
local open = io.open
local clock, entries, readlink = core.clock, core.entries, core.readlink
local is_alone, lowest_free = core.is_alone, core.lowest_free

-- What libraries keep for all times: their own event queues, devices without a state, what ns itself executes.
local KEPT = { "^anon_inode:%[event", "^/dev/null$", "^/dev/u?random$", "^/dev/pts", "^/dev/tty", "^/memfd:ns", "^/proc/" }

local function is_kept(name)
  for _, pattern in ipairs(KEPT) do
    if find(name, pattern) then return true end
  end
end

local function descriptors()
  local list = {}
  for _, entry in ipairs(entries "/proc/self/fd" or {}) do
    local name = readlink("/proc/self/fd/" .. entry.name)
    if name and not is_kept(name) then list[entry.name .. " -> " .. name] = tonumber(entry.name) end
  end
  return list
end

local function read(path)
  local f = open(path, "rb")
  local text = f and f:read("*a")
  if f then f:close() end
  return text
end

local function children(pid, found, own)
  for number in string.gmatch(read(format("/proc/%d/task/%d/children", pid, pid)) or "", "%d+") do
    local child = tonumber(number)
    if child ~= own then found[#found + 1] = child end
    children(child, found, own)
  end
  return found
end

--- All in our pid namespace but its init and us; or, where it is the host's, all below our init.
local function others(self)
  local found = {}
  if not self.has_pid then return children(self.init, found, self.own) end
  for _, entry in ipairs(entries "/proc" or {}) do
    local pid = tonumber(entry.name)
    if pid and pid ~= 1 and pid ~= self.own then found[#found + 1] = pid end
  end
  return found
end

--- Is it one of those that a fixture has started, or below one?
local function is_of_fixture(self, pid)
  while pid and pid > 1 do
    if self.fixtures[pid] then return true end
    pid = tonumber(match(read(format("/proc/%d/stat", pid)) or "", "^%d+ %(.*%) %a (%d+)"))
  end
end

--- The processes that live: {[pid] = its command}.
local function processes(self)
  if self.has_pid and is_alone() then return {} end
  local list = {}
  for _, pid in ipairs(others(self)) do
    local stat = read(format("/proc/%d/stat", pid)) or ""
    local name, state = match(stat, "^%d+ %((.*)%) (%a)")
    local line = gsub(read(format("/proc/%d/cmdline", pid)) or "", "%z+$", "")
    line = gsub(line, "%z", " ")
    if state and state ~= "Z" and state ~= "X" and not is_of_fixture(self, pid) then
      list[pid] = line ~= "" and sub(line, 1, 200) or "[" .. name .. "]"
    end
  end
  return list
end

local Leaks = {}
Leaks.__index = Leaks

--- As it is before the first test. said: the settings; has_pid: is the pid namespace our own? init: below whom all of
-- ours is.
function leaks.begin(said, has_pid, init)
  local self = setmetatable({ has_pid = has_pid, own = core.ids().pid, init = init, seen = {},
    fixtures = {}, said = said }, Leaks)
  self.before = said.descriptors ~= "ignore" and descriptors() or nil
  self.lowest = self.before and lowest_free()
  return self
end

--- Notes what there is now, and was not before that test.
function Leaks:after(test)
  test = test or false
  if self.said.leaks ~= "ignore" then
    for pid in next, processes(self) do
      if self.seen[pid] == nil then self.seen[pid] = test end
    end
  end
  if self.before and lowest_free() ~= self.lowest then
    self.lowest = lowest_free()
    for text in next, descriptors() do
      if not self.before[text] and self.seen[text] == nil then self.seen[text] = test end
    end
  end
end

--- A fixture's process and descriptors are not left, nor what it starts, until it is closed.
function Leaks:keep(pid, test)
  self.fixtures[pid] = true
  self.lowest = nil -- that number may be the same again though others are open
  self:after(test)
end

--- The fixture is closed.
function Leaks:forget(pid) self.fixtures[pid] = nil end

--- What is just ending is not left: it is looked at again for a tenth of a second.
local function processes_left(self)
  local deadline, list = clock() + 0.1, processes(self)
  while next(list) and clock() < deadline do
    core.await(0.005, {}, {})
    list = processes(self)
  end
  return list
end

local function descriptors_left(self)
  local function new()
    local list = {}
    for text, fd in next, descriptors() do
      if not self.before[text] then list[text] = fd end
    end
    return list
  end
  local list = new()
  if not next(list) then return list end
  collectgarbage() -- a file that nobody has any more is not left
  collectgarbage()
  return new()
end

local NEW = {} -- in the place of a test: since the last one

--- Adds to `left` what is left of one kind: for each test that has left something, a sentence.
local function add(left, list, seen, kind, text_of)
  local by_test, tests = {}, {}
  local keys = {}
  for key in next, list do keys[#keys + 1] = key end
  sort(keys, function(a, b) return (tonumber(a) or list[a]) < (tonumber(b) or list[b]) end)
  for _, key in ipairs(keys) do
    local test = seen[key]
    if test == nil then test = NEW end
    if not by_test[test] then
      by_test[test] = {}
      tests[#tests + 1] = test
    end
    local texts = by_test[test]
    texts[#texts + 1] = text_of(key, list[key])
  end
  for _, test in ipairs(tests) do
    local texts = by_test[test]
    local element = test ~= NEW and test or nil
    left[#left + 1] = { kind = kind, element = element, is_new = test == NEW, count = #texts, list = concat(texts, ", ") }
  end
end

--- What is left now: a list of { kind = "processes" or "descriptors", element = the test, count, list }.
function Leaks:left()
  local left = {}
  if self.said.leaks ~= "ignore" then
    add(left, processes_left(self), self.seen, "processes", function(pid, command)
      return format("pid %d `%s`", pid, command)
    end)
  end
  if self.before then
    add(left, descriptors_left(self), self.seen, "descriptors", function(text) return text end)
  end
  return left
end

--- What there is now and was not at the end of the test before: as `left`.
function Leaks:since()
  local list, left = {}, self:left()
  for _, entry in ipairs(left) do
    if entry.is_new then list[#list + 1] = entry end
  end
  return list
end

return leaks
