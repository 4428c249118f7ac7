--- Who a program in an image is: users and groups as the files of the image have them, not those of this machine.
-- @module ns.image.users
require("ns.core").nojit()
local changes = require "ns.running.changes"
local core = require "ns.core"
local ids = require "ns.start.ids"
local survey = require "ns.start.survey"

local users = {}

--- What root in an image may, as in docker's boxes, but for devices and raw sockets.
users.ROOT_CAPS = { "chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "net_bind_service",
  "sys_chroot", "setfcap" }

--- How the ids of an ordinary user are mapped in his boxes: is there but one?
function users.has_one_id()
  local host = survey.host()
  if host.euid == 0 then return false end
  local map = ids.maps({ flags = { user = true }, map = "auto" }, host)
  return #map == 1 and map[1][3] == 1
end

local MOST_ID, LONGEST = 2 ^ 32 - 2, 4095 -- LONGEST: bytes of a path

--- A text as an id; nil if it is none.
local function id(text)
  local number = text and text:find("^%d+$") and tonumber(text)
  return number and number <= MOST_ID and number or nil
end

--- The lines of a file of the image that have fields with colons between them. Those with a NUL have none.
local function records(layers, path)
  local entry, layer = changes.below(layers, path)
  if not entry then return function() end end
  local bag = core.bag()
  local fd = core.layer_file(bag, layer, path)
  local f = fd and bag:file(fd, "r")
  local text = f and f:read(2 ^ 20) or ""
  if f then f:close() end
  bag:close()
  local lines = text:gmatch("[^\n]+")
  return function()
    local line
    repeat line = lines() until not line or not line:find("%z")
    return line
  end
end

--- The record of a user, by name or number: name, uid, gid, home.
local function user_of(layers, wanted)
  for line in records(layers, "etc/passwd") do
    local name, number, group, home = line:match("^([^:]*):[^:]*:(%d+):(%d+):[^:]*:([^:]*)")
    local uid, gid = id(number), id(group)
    local is_whole = uid and gid and #home <= LONGEST
    if is_whole and (name == wanted or number == wanted) then return { name = name, uid = uid, gid = gid, home = home } end
  end
  return id(wanted) and { uid = id(wanted), gid = 0 } or nil
end

--- The number of a group, by name or number; nil if there is none.
function users.group(layers, wanted)
  for line in records(layers, "etc/group") do
    local name, gid = line:match("^([^:]*):[^:]*:(%d+)")
    if name == wanted and id(gid) then return id(gid) end
  end
  return id(wanted)
end

--- The ids of "user:group" in layers, the uppermost first: { uid, gid, home }; nil, if there is none of that name.
function users.find(layers, text)
  local user, group = text:match("^([^:]*):?(.*)$")
  local found = user_of(layers, user)
  if found and group ~= "" then found.gid = users.group(layers, group) end
  return found and found.gid and found or nil
end

return users
