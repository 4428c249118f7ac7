--- What the host must open for the launcher: trees that are bound from places which the ids inside may not reach, and trees
-- whose ids are mapped (mount_setattr(2), MOUNT_ATTR_IDMAP).
--
-- A launcher in a user namespace that root has made is nobody on the host's file systems. So root opens the trees for it,
-- detached and with their attributes. An ordinary user is the same user inside: there the launcher goes by the path.
-- @module ns.trees
local core = require "ns.core"
local mounts = require "ns.mounts"

local trees = {}

local function wants(m, spec, host)
  if m.type == "overlay" then return m.idmap and true or false end
  if m.type ~= "bind" then return false end
  return m.idmap and true or type(m.source) == "number" or (host.euid == 0 and spec.flags.user or false)
end

--- The ranges for an idmapped mount: from ids on disk to ids of the host.
local function disk_map(m, map)
  if m.idmap == true then return map end
  local result = {}
  for i, r in ipairs(m.idmap) do
    for _, outer in ipairs(map) do
      if r[2] >= outer[1] and r[2] + r[3] <= outer[1] + outer[3] then
        result[i] = { r[1], outer[2] + r[2] - outer[1], r[3] }
      end
    end
    if not result[i] then return nil end
  end
  return result
end

--- Opens what the checked spec wants in the `bag`: {[mount] = descriptor, or false for one that is only tried and missing};
-- or nil, step, errno. `make_user(uid, gid)` gives the path of a user namespace with these maps.
function trees.open(list, spec, host, bag, make_user)
  local opened = {}
  for _, m in ipairs(list) do
    if wants(m, spec, host) then
      local user
      if m.idmap then
        local uid, gid = disk_map(m, host.uid_map), disk_map(m, host.gid_map)
        if not (uid and gid) then return nil, { op = "idmap", path = m.target, word = "mounts" }, core.constants.errno.EINVAL end
        local step, errno
        user, step, errno = make_user(uid, gid)
        if not user then return nil, step, errno end
      end
      local from = m.source or m.lower[1]
      local fd, what, errno = bag:tree(from, mounts.flags_of(m), user)
      if not fd and not (m.try and errno == core.constants.errno.ENOENT) then
        return nil, { op = what == "idmap" and "idmap" or "open_tree", path = from, word = "mounts" }, errno
      end
      opened[m] = fd or false
    end
  end
  return opened
end

return trees
