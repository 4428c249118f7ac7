--- What has changed in a layer, compared with what lies below it: the walk, and the object that users hold. Programs have
-- written what is looked at: no link in it is followed (`src/core/layer.c`).
-- @module ns.running.changes
require("ns.core").nojit()
local core = require "ns.core"

local changes = {}

--- What has changed in a directory of layers, since that was first mounted. Made by `ns.changes`, and by the method
-- `changes` of what runs; called in a loop it gives the path, the kind, the size and the type of each change, in the
-- order of the paths.
-- @type Changes
local Changes = { __name = "ns.Changes" }
Changes.__index = Changes
changes.class = Changes

--- Is it an object of changes?
function changes.is(value) return getmetatable(value) == Changes end

local function join(path, name) return path == "" and name or path .. "/" .. name end

--- Has a layer a path, and does it hide those below: entry or nil, and is it hidden?
local function look(layer, path)
  local entry = core.layer_entry(layer, path)
  if entry and entry.type == "whiteout" then return nil, true end
  if entry then return entry, true end
  local above = path
  while above ~= "" do
    above = above:match("^(.*)/[^/]*$") or ""
    local one = core.layer_entry(layer, above)
    if one and (one.type ~= "directory" or one.opaque) then return nil, true end
  end
  return nil, false
end

--- What the lowers show at a path, and which of them; nil if it is not there.
local function below(lowers, path)
  for i, layer in ipairs(lowers) do
    local entry, ends = look(layer, path)
    if ends or i == #lowers then return entry, layer end
  end
end

--- The names in a directory of the lowers, as they show it: {[name] = true}.
local function names_below(lowers, path)
  local names, gone = {}, {}
  for _, layer in ipairs(lowers) do
    local here = core.layer_entry(layer, path)
    if here and here.type ~= "directory" then break end
    for _, name in ipairs(here and core.layer_names(layer, path) or {}) do
      local entry = core.layer_entry(layer, join(path, name))
      if entry and entry.type == "whiteout" then
        gone[name] = true
      elseif not gone[name] then
        names[name] = true
      end
    end
    if here and here.opaque then break end
  end
  return names
end

local Walk = {}
Walk.__index = Walk

--- Adds a change of that kind, if none of this path is there yet.
function Walk:add(path, kind, entry)
  local place = (self.place == "/" and "" or self.place) .. "/" .. path
  if self.made[place] then return end
  local size = entry.type == "file" and entry.size or 0
  self.list[#self.list + 1] = { path = place, kind = kind, type = entry.type, size = size,
    within = path, layer = self.number }
end

--- A directory, with the one below: have its attributes changed?
function Walk:is_changed(entry, old)
  return entry.mode ~= old.mode or self.has_ids and (entry.uid ~= old.uid or entry.gid ~= old.gid)
end

--- What lies in a directory of the upper. `shown`: is there one below, that is merged with it?
function Walk:directory(path, shown, opaque)
  local names, message, errno = core.layer_names(self.upper, path)
  if not names then error({ message = ("%s: %s"):format(join(self.place, path), message), errno = errno }, 0) end
  local here = {}
  for _, name in ipairs(names) do here[name] = true end
  for name in pairs(opaque and names_below(self.lower, path) or {}) do
    if not here[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do self:entry(join(path, name), here[name], shown) end
end

--- Compares one entry of the upper with what lies below it.
function Walk:entry(path, is_here, shown)
  local entry = is_here and core.layer_entry(self.upper, path) or nil
  local old = shown and below(self.lower, path) or nil
  if not entry or entry.type == "whiteout" then
    if old then self:add(path, "removed", old) end
    return
  end
  local merged = old and old.type == "directory" and entry.type == "directory"
  if not old then
    self:add(path, "added", entry)
  elseif not merged or self:is_changed(entry, old) then
    self:add(path, "changed", entry)
  end
  if entry.type == "directory" then self:directory(path, merged, merged and entry.opaque) end
end

--- All changes of one layer, added to a list: true; or nil, message, errno.
local function walk(list, layer, number)
  local w = setmetatable({ list = list, number = number, place = layer.place, upper = layer.upper, lower = layer.lower,
    made = layer.made or {}, has_ids = type(layer.upper) == "string" }, Walk)
  local ok, e = pcall(w.directory, w, "", true)
  if ok then return true end
  if type(e) ~= "table" then error(e, 0) end
  return nil, e.message, e.errno
end

--- The changes of all layers: a list of { path, kind, type, size }, or nil, message, errno.
local function list_all(layers)
  local list = {}
  for number, layer in ipairs(layers) do
    local ok, message, errno = walk(list, layer, number)
    if not ok then return nil, message, errno end
  end
  table.sort(list, function(a, b) return a.path < b.path end)
  return list
end

--- The changes of layers, { place=, upper= a directory or a descriptor, lower= a list }. `known`: what list_all has said of
-- some that are gone.
function changes.new(layers, known)
  return setmetatable({ layers = layers, known = known }, Changes)
end

--- The layers of what runs, by its checked mounts, as far as they can be found: nil if it has none. `handle` has what is
-- thrown away.
function changes.layers(mounts, handle)
  local uppers, number, list, made = nil, 0, {}, {}
  for _, m in ipairs(mounts or {}) do
    local upper = m.type == "overlay" and m.upper
    if m.type == "overlay" and not m.upper and not m.ro then
      uppers, number = uppers or handle:uppers(), number + 1
      upper = uppers[number]
    end
    if upper then
      list[#list + 1] = { place = m.target, upper = upper, lower = m.lower[1] and m.lower or { "/" }, made = made }
    end
    made[m.target] = true
  end
  return list[1] and list or nil
end

--- The changes of what runs.
function changes.of(mounts, handle)
  local layers = changes.layers(mounts, handle)
  if layers then return changes.new(layers) end
  return nil, "there is no layer that it writes to", core.constants.errno.EINVAL
end

--- Those of a program whose layers are about to go: what is kept can be looked at later, of all else there is the list.
function changes.keep(layers)
  if not layers then return nil end
  local is_gone = false
  for _, layer in ipairs(layers) do is_gone = is_gone or type(layer.upper) == "number" end
  return changes.new(layers, is_gone and { list_all(layers) } or nil)
end

--- The changes, in the order of their paths: each is { path, kind, type, size }. `kind` is "added", "changed" or "removed";
-- `type` is "file", "directory", "link", "device", "pipe" or "socket"; `size` is that of a file, in bytes.
-- @treturn table a list; or nil, message, errno
function Changes:list()
  local known = self.known or { list_all(self.layers) }
  local list = known[1]
  if not list then return nil, known[2], known[3] end
  local result = {}
  for i, one in ipairs(list) do result[i] = { path = one.path, kind = one.kind, type = one.type, size = one.size } end
  return result
end

--- For a loop: `for path, kind, size, type in r:changes() do`.
function Changes:__call(_, path)
  if path == nil then self.left, self.at = assert(self:list()), 0 end
  self.at = self.at + 1
  local one = self.left[self.at]
  if one then return one.path, one.kind, one.size, one.type end
end

local LETTERS = { added = "A", changed = "C", removed = "D" }

--- One line for each change: a letter, A, C or D, and the path.
function Changes:__tostring()
  local lines = {}
  for i, one in ipairs(self:list() or {}) do lines[i] = ("%s %s"):format(LETTERS[one.kind], one.path) end
  return table.concat(lines, "\n")
end

changes.list_all, changes.below = list_all, below

return changes
