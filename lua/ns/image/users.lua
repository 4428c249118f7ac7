--- Who a program in an image is: users and groups as the files of the image have them, not those of this machine.
-- @module ns.image.users
require("ns.core").nojit()
local changes = require "ns.running.changes"
local core = require "ns.core"

local users = {}

--- What root in an image may, as in docker's boxes, but for devices and raw sockets.
users.ROOT_CAPS = { "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service",
  "sys_chroot", "setfcap" }

--- The lines of a file of the image that have fields with colons between them.
local function records(layers, path)
  local entry, layer = changes.below(layers, path)
  if not entry then return function() end end
  local bag = core.bag()
  local fd = core.layer_file(bag, layer, path)
  local f = fd and bag:file(fd, "r")
  local text = f and f:read(2 ^ 20) or ""
  if f then f:close() end
  bag:close()
  return text:gmatch("[^\n]+")
end

--- The record of a user, by name or number: name, uid, gid, home.
local function user_of(layers, wanted)
  for line in records(layers, "etc/passwd") do
    local name, uid, gid, home = line:match("^([^:]*):[^:]*:(%d+):(%d+):[^:]*:([^:]*)")
    if name and (name == wanted or uid == wanted) then return { name = name, uid = uid * 1, gid = gid * 1, home = home } end
  end
  return wanted:find("^%d+$") and { uid = wanted * 1, gid = 0 } or nil
end

--- The number of a group, by name or number; nil if there is none.
function users.group(layers, wanted)
  for line in records(layers, "etc/group") do
    local name, gid = line:match("^([^:]*):[^:]*:(%d+)")
    if name == wanted then return gid * 1 end
  end
  return wanted:find("^%d+$") and wanted * 1 or nil
end

--- The ids of "user:group" in layers, the uppermost first: { uid, gid, home }; nil, if there is none of that name.
function users.find(layers, text)
  local user, group = text:match("^([^:]*):?(.*)$")
  local found = user_of(layers, user)
  if found and group ~= "" then found.gid = users.group(layers, group) end
  return found and found.gid and found or nil
end

return users
