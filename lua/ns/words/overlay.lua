--- Overlays: directories of the host that can be written to, in layers.
-- @module ns.words.overlay
require("ns.core").nojit()
local check = require "ns.words.check"
local HOW = require("ns.core").constants.step
local lookups = require "ns.words.lookups"

local overlay = {}

local MOST = 500 -- lowers that the kernel takes

--- The word lower: one path, or several.
function overlay.check_lower(value, where)
  if type(value) == "string" then return { check.absolute(value, where) } end
  local list = check.list(check.absolute, 1)(value, where)
  if #list > MOST then check.fail(where, "%d directories are too many, %d are the most", #list, MOST) end
  return list
end

--- What only goes together.
function overlay.check_together(m, where)
  if (m.upper == nil) ~= (m.work == nil) then
    check.fail(where .. (m.upper and ".work" or ".upper"), "missing: upper and work go together")
  end
  if m.idmap and (#m.lower > 1 or m.upper or m.ro) then
    check.fail(where .. ".idmap", "only for one lower with a throw-away upper")
  end
end

--- The options of an overlay, in which each path is as `name` says it. In a user namespace an overlay cannot mark its files
-- by trusted.*: it does it by user.* there.
local function options_of(m, tree, own, name)
  local options = {}
  for i, path in ipairs(tree and {} or m.lower) do options[i] = "lowerdir=" .. name(path) end
  if m.upper then
    options[#options + 1] = "upperdir=" .. name(m.upper)
    options[#options + 1] = "workdir=" .. name(m.work)
  end
  if own then options[#options + 1] = "userxattr" end
  return options
end

local function itself(path) return path end

--- The step for a mount.
function overlay.step(m, found, flags)
  local tree = found.trees and found.trees[m]
  local own = found.maps or found.nested and found.nested()
  local xattr = own and HOW.USERXATTR or 0
  local function looked_up(path)
    local number = lookups.number(m, path, found)
    return number and ("/proc/self/fd/%d"):format(number) or path
  end
  local function step(name)
    return { op = "overlay", path = m.target, options = options_of(m, tree, own, name), fd = tree or nil, flags = flags,
      how = (m.upper or m.ro) and xattr or xattr + HOW.THROW_AWAY, source = m.lower[1],
      note = found.notes and found.notes[m], word = "mounts" }
  end
  local one = step(looked_up)
  one.of = step(itself)
  one.of.below = found.below and found.below[m]
  return one
end

return overlay
