--- What the host must open for the launcher: trees that are bound from places which the ids inside may not reach, and trees
-- whose ids are mapped (mount_setattr(2), MOUNT_ATTR_IDMAP).
--
-- A launcher in a user namespace that root has made is nobody on the host's file systems. So root opens the trees for it,
-- detached, and no peers of the host's mounts any more: what is mounted in them later is not mounted on the host, nor the
-- other way round. An ordinary user is the same user inside: there the launcher goes by the path.
-- @module ns.start.trees
require("ns.core").nojit()
local core = require "ns.core"
local ids = require "ns.start.ids"
local overlay = require "ns.words.overlay"

local errno_of = core.constants.errno
local ENOENT, EINVAL, EPERM = errno_of.ENOENT, errno_of.EINVAL, errno_of.EPERM
local ENOSYS = errno_of.ENOSYS
local mount = core.constants.mount

local trees = {}

--- What becomes of mounts that were shared with the host: for mount(2) and mount_setattr(2).
function trees.propagation(spec) return spec.propagation == "slave" and mount.SLAVE or mount.PRIVATE end

--- How the ids of a tree are mapped, if they are. Where the ids inside are nobody's on the host, a tree that is given to be
-- written would be out of reach: there its owner is the program, unless the mount says otherwise.
local function idmap_of(m, spec, host)
  if m.idmap ~= nil or spec.map ~= "range" or not ids.is_root(host) or m.ro then return m.idmap or nil end
  if m.part then return spec.root ~= "/" or nil end -- a root directory has many owners; the host's own is not given away
  if m.type == "bind" or not m.upper and #m.lower == 1 then return "owner" end
end

local function wants(m, idmap, spec, host)
  if m.type == "overlay" then return idmap ~= nil end
  return m.type == "bind" and (idmap or type(m.source) == "number" or spec.flags.user and ids.is_root(host))
end

--- What `ns.explain` says of a mount that the host opens: nil where there is nothing to say.
function trees.note(m, spec, host)
  if m.type ~= "bind" and m.type ~= "overlay" then return nil end
  local idmap = idmap_of(m, spec, host)
  if idmap == "owner" then return "what its owner has is the program's" end
  return idmap and "ids mapped" or nil
end

--- The ranges for an idmapped mount: from ids on disk to ids of the host. nil: some of them are not mapped
local function disk_map(idmap, map, owner, program)
  if idmap == true then return map end
  local result = {}
  for i, r in ipairs(idmap == "owner" and { { owner, program, 1 } } or idmap) do
    local id, room = ids.outer(map, r[2])
    if not id or room < r[3] then return nil end
    result[i] = { r[1], id, r[3] }
  end
  return result
end

--- Maps the ids of a tree: true; or nil, step, errno.
local function map_ids(tree, idmap, spec, host, make_user)
  local uid, gid, refused = core.owner(tree)
  if not uid then return nil, { op = "idmap" }, refused end
  local uids = disk_map(idmap, host.uid_map, uid, spec.user and spec.user.id or ids.first(host.uid_map))
  local gids = disk_map(idmap, host.gid_map, gid, spec.group and spec.group.id or ids.first(host.gid_map))
  if not (uids and gids) then return nil, { op = "idmap" }, EINVAL end
  local user, step, errno = make_user(uids, gids)
  if not user then return nil, step, errno end
  local ok, _, why = core.idmap(tree, user)
  return ok, { op = "idmap" }, why
end

local function path_of(source)
  return type(source) == "number" and core.readlink(("/proc/self/fd/%d"):format(source)) or source
end

--- The tree of one mount: its descriptor, false for one that is only tried and missing, nil (or the source, if that is a
-- descriptor) for one that the launcher takes by its path; or nil, step, errno.
local function open_one(m, idmap, spec, host, bag, make_user)
  local from = m.source or m.lower[1]
  local fd, _, errno = bag:tree(from, trees.propagation(spec), m.nofollow)
  if not fd then
    if m.try and errno == ENOENT then return false end
    -- Ordinary users, and a root without CAP_SYS_ADMIN: the launcher has it inside, and gets as far as these ids do.
    if not idmap and (errno == EPERM or errno == ENOSYS) then return type(from) == "number" and from or nil end
    return nil, { op = "open_tree", path = path_of(from), word = "mounts" }, errno
  end
  if not idmap then return fd end
  local ok, step, why = map_ids(fd, idmap, spec, host, make_user)
  if ok then return fd end
  step.path, step.word = step.path or path_of(from), step.word or "mounts"
  return nil, step, why
end

--- Opens what the checked spec wants in the `bag`: {[mount] = descriptor, or false for one that is only tried and missing};
-- or nil, step, errno. `make_user(uid, gid)` gives the path of a user namespace with these maps.
function trees.open(list, spec, host, bag, make_user)
  local opened = {}
  for _, m in ipairs(list) do
    local idmap = (m.type == "bind" or m.type == "overlay") and idmap_of(m, spec, host) or nil
    if wants(m, idmap, spec, host) then
      local fd, step, errno = open_one(m, idmap, spec, host, bag, make_user)
      if errno then return nil, step, errno end
      opened[m] = fd
    end
    if m.type == "overlay" and opened[m] then
      local step, errno = overlay.uncovers(m, host)
      if step then return nil, step, errno end
    end
  end
  return opened
end

return trees
