--- What is mounted on this machine: proc_pid_mountinfo(5).
-- @module ns.start.mountinfo
require("ns.core").nojit()
local core = require "ns.core"

local mountinfo = {}

--- All of it, or nil and an errno. Specs put others in its place.
function mountinfo.read()
  local f, _, errno = io.open("/proc/self/mountinfo")
  local text = f and f:read("*a")
  if f then f:close() end
  return text, errno or core.constants.errno.EIO
end

local function unescape(text)
  return (text:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8)) end))
end

--- The first mount in a text that lies below a directory and is taken: its place and its type.
local function below(path, text, take)
  local top = (core.realpath(path) or path):gsub("/$", "") .. "/"
  for escaped, kind in text:gmatch("%S+ %S+ %S+ %S+ (%S+)[^\n]- %- (%S+)[^\n]*\n") do
    local place = unescape(escaped)
    if #place > #top and place:sub(1, #top) == top and take(place, kind) then return place, kind end
  end
end

local function any() return true end

--- Is what is mounted there read-only?
function mountinfo.is_read_only(place)
  local line, is = "%S+ %S+ %S+ %S+ (%S+) (%S+)[^\n]- %- %S+ %S+ (%S+)", false
  for escaped, options, super in (mountinfo.read() or ""):gmatch(line) do -- the last one is what is seen
    if unescape(escaped) == place then is = (",%s,%s,"):format(options, super):find(",ro,", 1, true) ~= nil end
  end
  return is
end

--- All mounts of the host: a list of {place, type}; nil, errno where it cannot be told.
function mountinfo.list()
  local text, errno = mountinfo.read()
  if not text then return nil, errno end
  local list = {}
  for escaped, kind in text:gmatch("%S+ %S+ %S+ %S+ (%S+)[^\n]- %- (%S+)[^\n]*\n") do
    list[#list + 1] = { unescape(escaped), kind }
  end
  return list
end

--- The first mount of the host below one of the directories, and that directory; nil, nil, errno where it cannot be told.
function mountinfo.mount_below(directories)
  local text, errno = mountinfo.read()
  if not text then return nil, nil, errno end
  for _, path in ipairs(directories) do
    local place = below(path, text, any)
    if place then return place, path end
  end
end

--- The place and the type of the first mount below a directory whose type is not in the set; nil if there is none.
function mountinfo.other_below(path, types)
  return below(path, mountinfo.read() or "", function(_, kind) return not types[kind] end)
end

--- The type of the file system that a path lies in; nil where it cannot be told.
function mountinfo.type_of(path)
  local real, longest, found = (core.realpath(path) or path):gsub("/$", "") .. "/", 0, nil
  for escaped, kind in (mountinfo.read() or ""):gmatch("%S+ %S+ %S+ %S+ (%S+)[^\n]- %- (%S+)[^\n]*\n") do
    local place = unescape(escaped):gsub("/$", "") .. "/"
    if #place >= longest and real:sub(1, #place) == place then longest, found = #place, kind end
  end
  return found
end

--- The type of what is mounted on "/"; nil where it cannot be told.
function mountinfo.root_type()
  return (mountinfo.read() or ""):match("%S+ %S+ %S+ %S+ / [^\n]- %- (%S+)")
end

-- The directories of a /proc that are for mounts: what lies there covers nothing.
local FOR_MOUNTS = { ["/sys/fs/binfmt_misc"] = true, ["/fs/nfsd"] = true, ["/openprom"] = true }

--- All whole /procs in a text: {[id] = {place=, is_read_only=, is_hidden=, covers = places of what lies on it}}.
local function whole_procs(text)
  local list = {}
  for id, place, options in text:gmatch("(%d+) %d+ %S+ / (%S+) (%S+)[^\n]- %- proc [^\n]*\n") do
    local is_read_only = (options .. ","):find "^ro," ~= nil
    list[id] = { place = unescape(place), is_read_only = is_read_only, is_hidden = false, covers = {} }
  end
  for above, escaped in text:gmatch("%d+ (%d+) %S+ %S+ (%S+)[^\n]*\n") do
    local one, place = list[above], unescape(escaped)
    if one and not FOR_MOUNTS[place:sub(#one.place + 1)] then table.insert(one.covers, place) end
    if one and place == one.place then one.is_hidden = true end
  end
  return list
end

--- Does the host see more of a than of b?
local function is_better(a, b)
  if a.is_hidden ~= b.is_hidden then return b.is_hidden end
  if #a.covers ~= #b.covers then return #a.covers < #b.covers end
  return b.is_read_only and not a.is_read_only
end

--- The /proc of which the host sees most: where it is covered, and whether it is read-only; nil if there is none.
function mountinfo.proc()
  local best
  for _, one in pairs(whole_procs(mountinfo.read() or "")) do
    if not best or is_better(one, best) then best = one end
  end
  if best then return best.covers, best.is_read_only end
end

return mountinfo
