--- What is mounted on this machine: proc_pid_mountinfo(5).
-- @module ns.start.mountinfo
require("ns.core").nojit()
local core = require "ns.core"

local mountinfo = {}

--- The first mount below a directory in the text of mountinfo.
local function first_below(path, text)
  local top = (core.realpath(path) or path):gsub("/$", "") .. "/"
  for escaped in text:gmatch("%S+ %S+ %S+ %S+ (%S+)[^\n]*\n") do
    local place = escaped:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8)) end)
    if #place > #top and place:sub(1, #top) == top then return place end
  end
end

--- The first mount of the host below one of the directories, and that directory; nil, nil, errno where it cannot be told.
function mountinfo.mount_below(directories)
  local f, _, errno = io.open("/proc/self/mountinfo")
  local text = f and f:read("*a")
  if f then f:close() end
  if not text then return nil, nil, errno or core.constants.errno.EIO end
  for _, path in ipairs(directories) do
    local place = first_below(path, text)
    if place then return place, path end
  end
end

return mountinfo
