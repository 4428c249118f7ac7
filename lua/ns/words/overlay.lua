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

-- Which layers there are is said by the spec; what each is called in an option, by `name`: a path, or a descriptor of it.

--- The trees that the host has opened, of a root in layers: each lower, and the directory that has upper and work.
local function of_trees(m, found)
  local options = {}
  for i, tree in ipairs(m.trees.lower) do options[i] = "lowertree=" .. found.trees[tree] end
  if m.trees.base then
    options[#options + 1] = "basetree=" .. found.trees[m.trees.base]
    options[#options + 1] = "upperdir=" .. m.trees.upper
    options[#options + 1] = "workdir=" .. m.trees.work
  end
  return options
end

local function of_paths(m, tree, name)
  local options = {}
  for i, path in ipairs(tree and {} or m.lower) do options[i] = "lowerdir=" .. name(path) end
  if m.upper then
    options[#options + 1] = "upperdir=" .. name(m.upper)
    options[#options + 1] = "workdir=" .. name(m.work)
  end
  return options
end

local LAYERS = { root = HOW.ROOT_LAYER, part = HOW.PART_LAYER }

local function itself(path) return path end

--- The step for a mount. In a user namespace an overlay cannot mark its files by trusted.*: it does it by user.* there.
function overlay.step(m, found, flags)
  local tree = found.trees and found.trees[m]
  local own = found.maps or m.userxattr or found.nested and found.nested()
  local how = (own and HOW.USERXATTR or 0) + (LAYERS[m.layer] or 0)
  local function looked_up(path)
    local number = lookups.number(m, path, found)
    return number and ("/proc/self/fd/%d"):format(number) or path
  end
  local function step(options)
    if own then options[#options + 1] = "userxattr" end
    return { op = "overlay", path = m.target, options = options, fd = tree or nil, flags = flags,
      how = (m.upper or m.ro or m.kept) and how or how + HOW.THROW_AWAY, source = m.shown or m.lower[1],
      note = found.notes and found.notes[m], word = "mounts" }
  end
  local one = step(m.trees and of_trees(m, found) or of_paths(m, tree, looked_up))
  one.of = step(of_paths(m, tree, itself))
  one.of.below = found.below and found.below[m]
  return one
end

return overlay
