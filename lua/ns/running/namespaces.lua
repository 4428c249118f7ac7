--- The namespaces of this machine, as far as /proc tells, and names that keep them.
-- @module ns.running.namespaces
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local kinds = require "ns.words.namespaces"
local stdio = require "ns.words.stdio"

local errno_of = core.constants.errno

local namespaces = {}

local function refused(errno) return nil, core.strerror(errno), errno end

-- ---- what there is ----

--- The names by which some are mounted: {["net:[4026532008]"] = path}.
local function names()
  local found, f = {}, io.open("/proc/self/mountinfo")
  local text = f and f:read("*a") or ""
  if f then f:close() end
  for root, place in text:gmatch("%S+ %S+ %S+ (%S+) (%S+)[^\n]* %- nsfs [^\n]*\n") do
    found[root] = place:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8)) end)
  end
  return found
end

--- Adds the one that is called `link`, if it is not known yet; returns it.
local function add(known, row, link, place)
  local one = known[link]
  if not one then
    local owner = core.namespace_owner(place)
    one = { type = row.name, id = tonumber(link:match("%d+")), pids = {}, owner = owner and math.floor(owner) }
    known[link] = one
    known[#known + 1] = one
  end
  return one
end

--- All that processes are in, by their names and in a list.
local function of_processes()
  local known = {}
  for _, entry in ipairs(core.entries("/proc") or {}) do
    local pid = tonumber(entry.name:match("^%d+$"))
    for _, row in ipairs(pid and kinds.list or {}) do
      local place = ("/proc/%d/ns/%s"):format(pid, row.file)
      local link = core.readlink(place)
      if link then table.insert(add(known, row, link, place).pids, pid) end
    end
  end
  return known
end

local ORDER = {}
for i, row in ipairs(kinds.list) do ORDER[row.name] = i end

local function sort(list)
  table.sort(list, function(a, b)
    if a.type ~= b.type then return ORDER[a.type] < ORDER[b.type] end
    return a.id < b.id
  end)
  for _, one in ipairs(list) do table.sort(one.pids) end
  return list
end

--- The number in /proc of a process number, a Process or a Container; or nil, message, errno.
local function number_of(value)
  local class = stdio.class_of(value)
  local handle = class == "ns.Process" and value.handle or class == "ns.Container" and value.box.handle
  if handle then
    if handle:isclosed() then return refused(errno_of.ESRCH) end
    return handle:proc_pid()
  end
  local ok = pcall(check.integer(1, 4194304), value, "pid")
  if not ok then
    check.raise("bad argument #1 to 'namespaces' (number of a process, Process or Container expected, got %s)",
      type(value) == "number" and tostring(value) or type(value))
  end
  return value
end

--- Those of one process, which may have come after /proc was read.
local function of_one(known, pid)
  local list = {}
  for _, row in ipairs(kinds.list) do
    local place = ("/proc/%d/ns/%s"):format(pid, row.file)
    local link = core.readlink(place)
    if link then list[#list + 1] = add(known, row, link, place) end
  end
  if #list > 0 then return list end
  local _, _, errno = core.access(("/proc/%d/ns/user"):format(pid), 0)
  return refused(errno == errno_of.ENOENT and errno_of.ESRCH or errno or errno_of.EACCES)
end

--- The namespaces of this machine, or of one process.
function namespaces.list(value)
  local pid, message, errno
  if value ~= nil then
    pid, message, errno = number_of(value)
    if not pid then return nil, message, errno end
  end
  local known, mounted = of_processes(), names()
  for link, path in next, mounted do
    for _, row in ipairs(kinds.list) do
      if link:match("^(%l+):%[") == row.file then add(known, row, link, path).path = path end
    end
  end
  if pid then return of_one(known, pid) end
  for key in next, known do
    if type(key) == "string" then known[key] = nil end
  end
  return sort(known)
end

-- ---- a name ----

local function open_one(bag, handle, file)
  local pid, _, errno = handle:proc_pid()
  if not pid then return nil, errno end
  local fd, _, why = bag:open(("/proc/%d/ns/%s"):format(pid, file), core.constants.open.RDONLY)
  if core.has_ended(handle:getfd()) or why == errno_of.ENOENT then return nil, errno_of.ESRCH end
  return fd, why
end

--- Mounts the namespace of this kind of the process with the handle on a file: true; or nil, message, errno.
function namespaces.persist(handle, kind, path)
  local ok, name = pcall(kinds.name, kind, "kind", {})
  if not ok then check.raise("bad argument #1 to 'persist' (%s)", check.mistake(name)) end
  local fine, mistake = pcall(check.absolute, path, "path")
  if not fine then check.raise("bad argument #2 to 'persist' (%s)", check.mistake(mistake)) end
  if handle:isclosed() then return refused(errno_of.ESRCH) end
  local bag = core.bag()
  local fd, errno = open_one(bag, handle, kinds.file(name))
  local done, message, why
  if fd then done, message, why = core.bind(("/proc/self/fd/%d"):format(fd), path) end
  bag:close()
  if not fd then return refused(errno) end
  if done then return true end
  return nil, message, why
end

return namespaces
