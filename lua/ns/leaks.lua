--- In a copy: what tests have left behind, processes and descriptors, and after which test, or which code of a block, each
-- was seen first. Who that was is { text = "the test 'sells'", element =, is_test = }.
-- @module ns.leaks
require("ns.core").nojit()
local core = require "ns.core"

local leaks = {}

local ipairs, next, tonumber = ipairs, next, tonumber
local find, format, gsub, match, sub = string.find, string.format, string.gsub, string.match, string.sub
local concat, insert, sort = table.concat, table.insert, table.sort
local open = io.open
local clock, entries, readlink = core.clock, core.entries, core.readlink
local is_alone, open_files = core.is_alone, core.open_files

-- What libraries keep for all times: their own event queues, devices without a state, what ns itself executes.
local KEPT = { "^anon_inode:%[event", "^/dev/null$", "^/dev/u?random$", "^/dev/pts", "^/dev/tty", "^/memfd:ns", "^/proc/" }

local function is_kept(name)
  for _, pattern in ipairs(KEPT) do
    if find(name, pattern) then return true end
  end
end

local function add_descriptors(self, found)
  for _, entry in ipairs(entries "/proc/self/fd" or {}) do
    local name = readlink("/proc/self/fd/" .. entry.name)
    local text = name and not is_kept(name) and entry.name .. " -> " .. name
    if text and not self.before[text] then
      found[text] = { kind = "descriptors", order = tonumber(entry.name), text = text }
    end
  end
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

local function add_processes(self, found)
  if self.has_pid and is_alone() then return end
  for _, pid in ipairs(others(self)) do
    local stat = read(format("/proc/%d/stat", pid)) or ""
    local name, state = match(stat, "^%d+ %((.*)%) (%a)")
    local line = gsub(read(format("/proc/%d/cmdline", pid)) or "", "%z+$", "")
    line = gsub(line, "%z", " ")
    if state and state ~= "Z" and state ~= "X" and not is_of_fixture(self, pid) then
      local text = format("pid %d `%s`", pid, line ~= "" and sub(line, 1, 200) or "[" .. name .. "]")
      found[pid] = { kind = "processes", order = pid, text = text }
    end
  end
end

local Leaks = {}
Leaks.__index = Leaks

--- As it is before the first test. said: the settings; above: below whom all of ours is, the init where the pid namespace
-- is our own.
function leaks.begin(said, above)
  local own = core.ids().pid
  local self = setmetatable({ has_pid = above == 1, own = own, init = above, seen = {}, before = {}, fixtures = {},
    said = said, sees = readlink "/proc/self" == format("%d", own) }, Leaks)
  local now = {}
  if said.descriptors ~= "ignore" then add_descriptors(self, now) end
  self.before, self.files = now, open_files()
  return self
end

--- What there is now and was not before the first test: {[pid or text] = { kind, order, text }}. `known`: as this was
-- before; its descriptors are read again only where other files are open.
local function look(self, known)
  local found = {}
  if self.said.leaks ~= "ignore" and self.sees then add_processes(self, found) end
  if self.said.descriptors == "ignore" then return found end
  local files = open_files()
  if files ~= self.files then
    add_descriptors(self, found)
    self.files = files
  else
    for key, one in next, known do
      if one.kind == "descriptors" then found[key] = one end
    end
  end
  return found
end

local function has_new(found, known, kind)
  for key, one in next, found do
    if one.kind == kind and not known[key] then return true end
  end
end

--- The same, but for what is just ending, which has a tenth of a second, and for files that nobody holds any more. `known`:
-- what needs no such look.
local function settled(self, known)
  local found = look(self, self.seen)
  if has_new(found, known, "descriptors") then
    collectgarbage()
    collectgarbage()
    self.files = nil
    found = look(self, self.seen)
  end
  local deadline = clock() + 0.1
  while has_new(found, known, "processes") and clock() < deadline do
    core.await(0.005, {}, {})
    found = look(self, found)
  end
  return found
end

--- Notes what there is now: what was not seen before is of `who`. Is it another list than before?
function Leaks:after(who)
  local found, changed = who.is_test and settled(self, self.seen) or look(self, self.seen), false
  for key in next, self.seen do
    if not found[key] then self.seen[key], changed = nil, true end
  end
  for key, one in next, found do
    if not self.seen[key] then
      one.who = who
      self.seen[key], changed = one, true
    end
  end
  return changed
end

--- A fixture's process and descriptors are not left, nor what it starts, until it is closed.
function Leaks:keep(pid, who)
  self.fixtures[pid] = true
  self.files = nil
  self:after(who)
end

--- The fixture is closed.
function Leaks:forget(pid) self.fixtures[pid] = nil end

--- Adds what is left of one kind to the list: for each that has left something, an entry.
local function add(list, kind, found)
  local by_who, ones = {}, {}
  for _, one in next, found do
    if one.kind == kind then insert(ones, one) end
  end
  sort(ones, function(a, b) return a.order < b.order end)
  for _, one in ipairs(ones) do
    local who = one.who or false
    if not by_who[who] then
      by_who[who] = {}
      insert(list, { kind = kind, who = who and who.text, element = who and who.element, texts = by_who[who] })
    end
    insert(by_who[who], one.text)
  end
end

local function listed(found)
  local list = {}
  add(list, "processes", found)
  add(list, "descriptors", found)
  for _, entry in ipairs(list) do
    entry.count, entry.list = #entry.texts, concat(entry.texts, ", ")
    entry.texts = nil
  end
  return list
end

--- What is left now: a list of { kind = "processes" or "descriptors", who, element, count, list }. `who` is false for what
-- nobody is known to have left.
function Leaks:left()
  local found = settled(self, {})
  for key, one in next, found do one.who = self.seen[key] and self.seen[key].who end
  return listed(found)
end

--- As `left`, of what tests have left as far as it was seen: what blocks have, their teardown may end.
function Leaks:of_tests()
  local found = {}
  for key, one in next, self.seen do
    if one.who.is_test then found[key] = one end
  end
  return listed(found)
end

--- As `left`, what there is now and was not when the test began.
function Leaks:since()
  local found = settled(self, self.seen)
  for key in next, self.seen do found[key] = nil end
  return listed(found)
end

return leaks
