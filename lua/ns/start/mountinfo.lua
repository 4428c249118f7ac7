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

--- The first mount in a text that lies below a directory and is taken: its place and its type.
local function below(path, text, take)
  local top = (core.realpath(path) or path):gsub("/$", "") .. "/"
  for escaped, kind in text:gmatch("%S+ %S+ %S+ %S+ (%S+)[^\n]- %- (%S+)[^\n]*\n") do
    local place = escaped:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8)) end)
    if #place > #top and place:sub(1, #top) == top and take(place, kind) then return place, kind end
  end
end

local function any() return true end

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

--- The type of what is mounted on "/"; nil where it cannot be told.
function mountinfo.root_type()
  return (mountinfo.read() or ""):match("%S+ %S+ %S+ %S+ / [^\n]- %- (%S+)")
end

return mountinfo
