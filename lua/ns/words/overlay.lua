--- Overlays: directories of the host that can be written to, in layers.
-- @module ns.words.overlay
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local lookups = require "ns.words.lookups"

local overlay = {}

local MOST = 500 -- lowers that the kernel takes

--- The word lower: one path, or several.
function overlay.check_lower(value, where)
  if type(value) == "string" then return { check.absolute(value, where) } end
  local list = check.list(check.absolute, 1)(value, where)
  if #list > MOST then check.fail(where, "%d directories are too many, %d are the most", #list, MOST) end
  return list
end

--- What only goes together.
function overlay.check_together(m, where)
  if (m.upper == nil) ~= (m.work == nil) then
    check.fail(where .. (m.upper and ".work" or ".upper"), "missing: upper and work go together")
  end
  if m.idmap and (#m.lower > 1 or m.upper or m.ro) then
    check.fail(where .. ".idmap", "only for one lower with a throw-away upper")
  end
end

--- The options of an overlay, in which each path is as `name` says it. In a user namespace an overlay cannot mark its files
-- by trusted.*: it does it by user.* there.
local function options_of(m, tree, own, name)
  local options = {}
  for i, path in ipairs(tree and {} or m.lower) do options[i] = "lowerdir=" .. name(path) end
  if m.upper then
    options[#options + 1] = "upperdir=" .. name(m.upper)
    options[#options + 1] = "workdir=" .. name(m.work)
  end
  if own then options[#options + 1] = "userxattr" end
  return options
end

local function itself(path) return path end

--- The step for a mount.
function overlay.step(m, host, flags)
  local tree = host.trees and host.trees[m]
  local own = host.uid_map or host.nested and host.nested()
  local function found(path)
    local number = lookups.number(m, path, host)
    return number and ("/proc/self/fd/%d"):format(number) or path
  end
  local function step(name)
    return { op = "overlay", path = m.target, options = options_of(m, tree, own, name), fd = tree or nil, flags = flags,
      value = not m.upper and not m.ro and 1 or nil, which = own and 1 or nil, source = m.lower[1],
      note = host.notes and host.notes[m], word = "mounts" }
  end
  local one = step(found)
  one.of = step(itself)
  return one
end

--- The first mount below a directory in the text of mountinfo.
local function first_below(path, text)
  local top = (core.realpath(path) or path):gsub("/$", "") .. "/"
  for escaped in text:gmatch("%S+ %S+ %S+ %S+ (%S+)[^\n]*\n") do
    local place = escaped:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8)) end)
    if #place > #top and place:sub(1, #top) == top then return place end
  end
end

--- The first mount of the host below one of the directories, and that directory; nil, nil, errno where it cannot be told.
function overlay.mount_below(directories)
  local f, _, errno = io.open("/proc/self/mountinfo")
  local text = f and f:read("*a")
  if f then f:close() end
  if not text then return nil, nil, errno or core.constants.errno.EIO end
  for _, path in ipairs(directories) do
    local place = first_below(path, text)
    if place then return place, path end
  end
end

--- A layer is one mount: an overlay shows what others below it cover. The kernel refuses that only where these mounts come
-- from another user namespace. nil, or step, errno.
function overlay.uncovers(m, host)
  local directories = { m.upper }
  for _, path in ipairs(m.lower) do directories[#directories + 1] = path end
  local place, _, errno = overlay.mount_below(directories)
  if errno then return { op = "open", path = "/proc/self/mountinfo", word = "mounts" }, errno end
  if place then return overlay.step(m, host, 0), core.constants.errno.EINVAL end
end

return overlay
