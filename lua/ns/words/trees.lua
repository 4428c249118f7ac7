--- What the host must open for the launcher: trees that are bound from places which the ids inside may not reach, and trees
-- whose ids are mapped (mount_setattr(2), MOUNT_ATTR_IDMAP).
--
-- A launcher in a user namespace that root has made is nobody on the host's file systems. So root opens the trees for it,
-- detached, and no peers of the host's mounts any more: what is mounted in them later is not mounted on the host, nor the
-- other way round. An ordinary user is the same user inside: there the launcher goes by the path.
-- @module ns.words.trees
require("ns.core").nojit()
local later = require("ns.words.later").module
local layers = later "ns.words.layers"
local mount = require("ns.core").constants.mount

local trees = {}

--- What becomes of mounts that were shared with the host: for mount(2) and mount_setattr(2).
function trees.propagation(spec) return spec.propagation == "slave" and mount.SLAVE or mount.PRIVATE end

--- How the ids of a tree are mapped, if they are. Where the ids inside are nobody's on the host, a tree that is given to be
-- written would be out of reach: there its owner is the program, unless the mount says otherwise.
local function idmap_of(m, spec, found)
  if m.type ~= "bind" and m.type ~= "overlay" then return nil end
  if m.layer == "whole" then return found.parts_idmap end
  if m.layer then return found.layers_idmap end
  if m.idmap ~= nil or spec.map ~= "range" or not found.root or m.ro then return m.idmap or nil end
  if m.part then return found.parts_idmap end -- nil for "/": the host's own is not given away
  if m.type == "bind" or not m.upper and #m.lower == 1 then return "owner" end
end

local function has_other_ids(spec, found) return spec.flags.user or found.join and found.join.kinds.user end

local function wants(m, idmap, spec, found)
  if m.type == "overlay" then return idmap ~= nil end
  return m.type == "bind" and (idmap or type(m.source) == "number" or has_other_ids(spec, found) and found.root)
end

local function map_ids(path, m, idmap, owner, add)
  add { op = "idmap", path = path, mount = m, idmap = idmap, owner = owner, word = "mounts", part = m.target }
end

--- Opens each directory of a root in layers, with its ids mapped: found.trees has them by what stands for each in m.trees.
local function open_layers(m, idmap, spec, add, found)
  local base, upper, work = layers.base(spec.layers)
  m.trees, found.trees[m] = { lower = {}, upper = upper, work = work }, false
  local function open(path, by, owner)
    local tree = { type = m.type, target = m.target, lower = { path }, shown = m.shown, is_base = by ~= idmap }
    add { op = "open_tree", path = path, mount = tree, propagation = trees.propagation(spec), word = "mounts",
      part = m.target, below = found.below and found.below[m] and found.below[m][path] }
    map_ids(path, tree, by, owner, add)
    return tree
  end
  for i, path in ipairs(m.lower) do m.trees.lower[i] = open(path, idmap) end
  if base then m.trees.base = open(base, found.base_idmap, found.base_owner) end
end

--- The directories of an upper that is kept, where they are missing: for the program's ids, if the host gives it no others.
local function make_upper(m, spec, add, found)
  local t, owner = spec.layers, found.upper_owner or {}
  for _, row in ipairs { { layers.base(t), 448 }, { t.upper, 0 }, { t.work, 448 } } do
    add { op = "mkdir", path = row[1], mode = row[2], uid = owner.uid, gid = owner.gid, word = "root", part = m.target }
  end
end

--- The host's steps that open a mount's tree. What cannot be opened without mapped ids, the launcher is left to open by its
-- path: an ordinary user's, who gets as far inside, and that of a root without CAP_SYS_ADMIN.
local function open_one(m, spec, add, found)
  local idmap = idmap_of(m, spec, found)
  if m.layer == "root" and m.upper then make_upper(m, spec, add, found) end
  if m.layer == "root" then return idmap and open_layers(m, idmap, spec, add, found) end
  if not wants(m, idmap, spec, found) then return end
  local source = m.source or m.lower[1]
  add { op = "open_tree", path = source, mount = m, propagation = trees.propagation(spec), nofollow = m.nofollow,
    below = found.below and found.below[m] and found.below[m][source], may_fail = not idmap, word = "mounts",
    part = m.target }
  local owner = (m.layer == "whole" or m.part and not m.layer) and found.parts_owner or nil
  if idmap then map_ids(source, m, idmap, owner, add) end
end

--- The parts of the root, by the host.
function trees.open_parts(_, spec, add, found)
  for _, m in ipairs(found.parts) do open_one(m, spec, add, found) end
end

--- The sources of the mounts, by the host.
function trees.open(list, spec, add, found)
  for _, m in ipairs(list) do open_one(m, spec, add, found) end
end

--- The program's terminal and pipes belong to the program: /dev/tty and /dev/stdout are opened as files are.
function trees.give_streams(_, _, add, found)
  local uid, gid = found.program.uid, found.program.gid
  if #found.made == 0 or not found.euid_is_root or not (uid and gid) or uid == 0 and gid == 0 then return end
  add { op = "give", fds = found.made, uid = uid, gid = gid }
end

return trees
