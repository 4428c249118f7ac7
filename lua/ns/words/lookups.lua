--- What the launcher finds on the host's tree before it mounts: while its new root lies over "/", a link that climbs to the
-- top would lead there. It has each source as a descriptor from then on.
-- @module ns.words.lookups
require("ns.core").nojit()

local lookups = {}

local ENOENT = require("ns.core").constants.errno.ENOENT
local NONE = {}

--- The numbers that the launcher's descriptors have, on both sides.
local function numbers_of(host)
  local used = {}
  for number, fd in next, host.ends or NONE do used[number], used[fd] = true, true end
  for _, fd in next, host.trees or NONE do
    if fd then used[fd] = true end
  end
  return used
end

local function free_number(used)
  local n = 3
  while used[n] do n = n + 1 end
  used[n] = true
  return n
end

--- What a mount is made of, as far as the launcher goes there by a path.
local function sources_of(m)
  if m.type == "overlay" then
    local list = { m.upper, m.work }
    for _, lower in ipairs(m.lower) do list[#list + 1] = lower end
    return list
  end
  return m.type == "bind" and type(m.source) == "string" and not m.nofollow and { m.source } or NONE
end

--- How many descriptors that takes.
function lookups.count(m) return #sources_of(m) end

--- Adds the steps that look up what a mount is made of, if the host has not opened it. `host.found` keeps the descriptors.
-- `as_told`: the mount's own step, as its refusal reads. An overlay shows what the mounts below its layers cover: so there
-- must be none. (The kernel sees to that where these mounts come from another user namespace.)
function lookups.add(m, add, host, as_told)
  host.found = host.found or {}
  if host.trees and host.trees[m] ~= nil or host.found[m] then return end
  host.used = host.used or numbers_of(host)
  local found = {}
  for _, path in ipairs(sources_of(m)) do
    found[path] = free_number(host.used)
    add { op = "lookup", path = path, to = found[path], which = m.type == "overlay" and path ~= m.work and not host.uid_map
      and 1 or nil, ignore = m.try and ENOENT or nil, of = as_told, word = "mounts" }
  end
  host.found[m] = found
end

--- The descriptor of what has been looked up; nil if it has not.
function lookups.number(m, path, host)
  local found = host.found and host.found[m]
  return found and found[path]
end

return lookups
