--- The root directory inside, and the limit of descriptors that it takes to build one.
-- @module ns.words.root
require("ns.core").nojit()
local later = require("ns.words.later").module
local anchors = require "ns.words.anchors"
local check = require "ns.words.check"
local constants = require("ns.core").constants
local layers = later "ns.words.layers"
local lookups = require "ns.words.lookups"
local field = require "ns.words.mount_fields"
local kinds = require "ns.words.mount_kinds"
local mounts = require "ns.words.mounts"

local root, NONE = {}, {}
local ATTR = constants.mount_attr

--- root: "/", "empty", a directory; or a table, for one in layers, a directory as it is, or a tmpfs with a size or mode.
function root.check(value, where)
  if value == "empty" then return value end
  if type(value) == "table" and rawget(value, "tmpfs") ~= nil then return kinds.check_tmpfs(value, where) end
  if type(value) == "table" then return layers.check(value, where, field.idmap) end
  return check.absolute(value, where)
end

--- A root of our own, and all mounts in it. Without the word root they go onto the host's tree, as seen inside.
function root.build(_, spec, add, found)
  for _, m in ipairs(spec.mounts or NONE) do kinds.look_up(m, add, found) end
  add { op = "newroot", options = kinds.tmpfs_options(spec.tmpfs or NONE), flags = ATTR.NOSUID + ATTR.NODEV, word = "root" }
  if spec.layers then return layers.places(found, add) end
  mounts.steps(found.parts or NONE, add, found)
end

--- The top of a root that has its parts from elsewhere cannot be written: what is made there would be in no directory.
function root.pivot(_, spec, add)
  local writable = spec.layers and not spec.read_only or spec.read_only == false and spec.root == "empty"
  local suid = spec.whole and spec.whole.suid
  add { op = "pivot", flags = (writable and 0 or ATTR.RDONLY) + (suid and 0 or ATTR.NOSUID) + ATTR.NODEV, word = "root" }
end

--- The limits of descriptors, where the soft one is lifted to build the root: trees of the host and mounts below mounts are
-- held by descriptors. {soft, hard}; nil where it need not be.
function root.limits(spec, found)
  local count = #(found.parts or NONE) + #(spec.mounts or NONE) + anchors.most(spec.mounts)
  for _, m in ipairs(spec.mounts or NONE) do count = count + lookups.count(m) end
  if count < 32 then return nil end
  local soft, hard = found.nofile()
  return soft ~= hard and 3 * count + 64 >= soft and { soft, hard } or nil
end

local function nofile(soft, hard)
  return { op = "rlimit", which = constants.rlimit.NOFILE, value = soft, limit = hard, data = "nofile", word = "mounts" }
end

--- Before the root is built.
function root.lift_limit(_, spec, add, found)
  local limits = root.limits(spec, found)
  if limits then add(nofile(limits[2], limits[2])) end
end

--- When all that is mounted is in its place.
function root.restore_limit(_, spec, add, found)
  local limits = root.limits(spec, found)
  if limits then add(nofile(limits[1], limits[2])) end
end

--- For a program of a living box, whose init has the hard limit.
function root.lower_limit(_, _, add, found)
  if found.limits then add(nofile(found.limits[1], found.limits[2])) end
end

return root
