--- A root that is a table. In layers: directories of the host, or its whole system, and one upper that takes what the
-- program writes. Or one directory as it is.
--
-- The root is an overlay. Its lowest layer is a tmpfs of ours that has the places of mounts, so that none need be made in
-- the upper. The host's own "/" cannot be a lower, as other file systems are mounted below it: there each of its directories
-- is an overlay by itself, whose upper is the directory of that name in the one upper.
-- @module ns.words.layers
require("ns.core").nojit()
local check = require "ns.words.check"
local overlay = require "ns.words.overlay"

local layers = {}

local WHOLE = { ["/"] = true, empty = true }

--- The lower of a root: "/", "empty", one directory, or several, the uppermost first.
local function check_lower(value, where)
  if WHOLE[value] then return { value } end
  local list = overlay.check_lower(value, where)
  for _, path in ipairs(#list > 1 and list or {}) do
    if path == "/" then check.fail(where, "'/' is put together of its directories: it can only be the one lower") end
  end
  return list
end

local function above(path) return path:gsub("/+$", ""):match("^(.*)/[^/]+$") end

local function name_of(path) return path:gsub("/+$", ""):match("[^/]+$") end

local check_whole = check.record { bind = check.absolute, suid = check.boolean }

--- The fields of a root that is a table: in layers, or one directory as it is. `idmap`: as of a mount.
function layers.check(value, where, idmap)
  if rawget(value, "bind") ~= nil then return check_whole(value, where) end
  local fields = { lower = check_lower, upper = check.absolute, work = check.absolute, idmap = idmap,
    userxattr = check.boolean }
  local t = check.record(fields)(value, where)
  if not t.lower then check.fail(where .. ".lower", "missing") end
  if t.work and not t.upper then check.fail(where .. ".upper", "missing: upper and work go together") end
  if not t.upper then return t end
  t.work = t.work or t.upper:gsub("/+$", "") .. ".work"
  for _, field in ipairs { "upper", "work" } do
    local name = name_of(t[field])
    if not name or name == "." or name == ".." then check.fail(where .. "." .. field, "'%s' is no directory", t[field]) end
  end
  if above(t.upper) ~= above(t.work) or name_of(t.upper) == name_of(t.work) then
    check.fail(where .. ".work", "a directory beside that of upper expected, got '%s'", t.work)
  end
  return t
end

--- Is it the host's system, or a part of it?
function layers.is_whole(t) return WHOLE[t.lower[1]] or false end

--- A directory as it is: one mount, in whose top there can be made what is missing, also for one that is read-only then.
local function split_whole(spec, t)
  if spec.system then check.fail("system", "not with root.bind, which would cover it") end
  local ro = spec.read_only ~= false or nil
  local m = { type = "bind", source = t.bind, target = "/", layer = "whole", ro = ro, suid = t.suid }
  spec.root, spec.whole, spec.mounts = "empty", t, layers.after({ m }, spec.mounts)
  if ro then table.insert(spec.mounts, 2, { type = "remount", target = "/", layer = "whole", ro = false }) end
end

--- A new list: with these mounts first.
function layers.after(list, mounts)
  for _, one in ipairs(mounts or {}) do list[#list + 1] = one end
  return list
end

--- What a root in layers is to the other words: spec.root is "/" or "empty", and the overlay the first of the mounts. One
-- that is read-only, without anything above the host's own, is no layer.
function layers.split(spec)
  local t = spec.root
  if type(t) ~= "table" then return end
  if t.bind then return split_whole(spec, t) end
  if t.tmpfs then
    spec.root, spec.tmpfs = "empty", t
    return
  end
  local whole = layers.is_whole(t)
  spec.root = whole and t.lower[1] or "empty"
  if whole and spec.read_only and not t.upper then return end
  spec.layers = t
  local m = { type = "overlay", target = "/", layer = "root", lower = whole and {} or t.lower, upper = t.upper,
    work = t.work, ro = spec.read_only or nil, userxattr = t.userxattr, shown = t.lower[1] }
  spec.mounts = layers.after({ m }, spec.mounts)
end

--- The directory that has upper and work, and their names in it; nil where changes are thrown away.
function layers.base(t)
  if not t.upper then return nil end
  local base = above(t.upper)
  return base == "" and "/" or base, name_of(t.upper), name_of(t.work)
end

--- The steps that make the places in the lowest layer.
function layers.places(found, add)
  for _, one in ipairs(found.places or {}) do
    if one.to then
      add { op = "symlink", path = one.path, data = one.to, word = "root" }
    elseif one.file then
      add { op = "file", path = one.path, data = "", mode = one.mode, flags = 0, word = "root" }
    else
      add { op = "mkdir", path = one.path, mode = one.mode, word = "root" }
    end
  end
end

return layers
