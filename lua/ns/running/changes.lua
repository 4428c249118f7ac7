--- What has changed in a layer, compared with what lies below it: the walk, and the object that users hold. Programs have
-- written what is looked at: no link in it is followed (`src/core/layer.c`).
-- @module ns.running.changes
require("ns.core").nojit()
local core = require "ns.core"

local changes = {}

-- Bytes of a list, and of the names that are read for it, about: at the most; of one that is made though nobody may ask for
-- it; of one entry beside its path, and of one name.
local MOST, MOST_GONE, ENTRY, NAME = 2 ^ 30, 2 ^ 25, 256, 64

-- For a list after the time of a program is over: seconds.
local LATEST = 0.25

-- Bytes of a path that is looked at, as many as the kernel takes (PATH_MAX): a program can go on downwards for ever.
local LONGEST = 4096

local E2BIG, ENAMETOOLONG = core.constants.errno.E2BIG, core.constants.errno.ENAMETOOLONG

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

--- What a stack of layers, the uppermost first, shows at a path whose directory all of them have a part in: the entry, the
-- layer that it is of, and the stack of those that have a part in it, if it is a directory.
local function descend(stack, path)
  local entry, from, deeper = nil, nil, {}
  for _, layer in ipairs(stack) do
    local one = core.layer_entry(layer, path)
    if one and not entry then entry, from = one, layer end
    if one and one.type ~= "directory" then break end
    if one then deeper[#deeper + 1] = layer end
    if one and one.opaque then break end
  end
  if entry and entry.type == "whiteout" then return nil, nil, {} end
  return entry, from, deeper
end

--- What the lowers show at a path, and which of them; nil if it is not there.
local function below(lowers, path)
  local stack, at, entry, from = lowers, "", nil, nil
  for name in path:gmatch("[^/]+") do
    at = join(at, name)
    entry, from, stack = descend(stack, at)
  end
  return entry, from
end

--- Two sorted lists as one.
local function merge(a, b, is_before)
  local all, i, j = {}, 1, 1
  while a[i] or b[j] do
    if not a[i] or b[j] and is_before(b[j], a[i]) then
      all[#all + 1], j = b[j], j + 1
    else
      all[#all + 1], i = a[i], i + 1
    end
  end
  return all
end

local function is_name_before(a, b) return a < b end

local function is_path_before(a, b) return a.key < b.key end

-- A program can have written very much: there is a budget for all that is read of it. `left`: bytes of names; `room`: bytes
-- of the list; `over`: until when.

local function too_much() error({ message = "more has changed than can be listed", errno = E2BIG }, 0) end

local function check_time(budget)
  if budget.over and core.clock() > budget.over then too_much() end
end

--- The names of a directory, sorted; or nil, message, errno. `added`: its path in the layer, where each of them is a change
-- that has to have room in the list.
local function names_in(budget, top, path, added)
  local most, cost = budget.left, NAME
  if added then most, cost = math.min(most, budget.room), ENTRY + #added + 1 end
  local names, bytes, errno = core.layer_names(top, path, most, cost, budget.over)
  if errno == E2BIG then too_much() end
  if not names then return nil, bytes, errno end
  budget.left = budget.left - bytes
  return names
end

--- The names in a directory that a stack shows, and that are not `here`.
local function names_below(budget, stack, path, here)
  local names, seen = {}, {}
  for _, layer in ipairs(stack) do
    local more = {}
    for _, name in ipairs(names_in(budget, layer, path) or {}) do
      check_time(budget)
      if not here[name] and not seen[name] and descend(stack, join(path, name)) then more[#more + 1] = name end
      seen[name] = true
    end
    names = merge(names, more, is_name_before)
  end
  return names
end

-- A walk has a list of the directories that it is in, and a descriptor of the last: so what lies deep is seldom looked up
-- from the top, and however deep that is, one descriptor is enough.
local Walk = {}
Walk.__index = Walk

--- A mode as it is written; nil for a link, which has none of its own.
local function mode_of(entry) return entry and entry.type ~= "link" and ("%04o"):format(entry.mode) or nil end

--- Adds a change of that kind, if none of this path is there yet; after that of a directory that counts only for what is in
-- it, if it is in such a one. `old`: what was there, if that is "changed".
function Walk:add(path, kind, entry, old)
  local around = self.around
  self.around = nil
  if around then self:add(around.path, "added", around.entry) end
  local place = (self.place == "/" and "" or self.place) .. "/" .. path
  if self.made[place] then return end
  local size = entry.type == "file" and entry.size or 0
  local list, budget = self.list, self.budget
  budget.room = budget.room - #place - ENTRY
  if budget.room < 0 then too_much() end
  list[#list + 1] = { path = place, kind = kind, type = entry.type, size = size, mode = mode_of(entry),
    old_mode = mode_of(old), within = path, layer = self.number }
end

--- A directory, with the one below: have its attributes changed? What was made for a mount may have got other ids.
function Walk:is_changed(entry, old)
  local has_ids = self.has_ids and not entry.foreign
  return entry.mode ~= (entry.made or old.mode) or has_ids and (entry.uid ~= old.uid or entry.gid ~= old.gid)
end

function Walk:must(path, value, message, errno)
  if value then return value end
  local name = path == "" and type(self.upper) == "string" and self.upper or join(self.place, path)
  error({ message = ("%s: %s"):format(name:gsub("^//", "/"), message), errno = errno }, 0)
end

--- Opens a directory of the upper, beneath a descriptor or the upper itself, in the place of the one that was open.
function Walk:open(directory, top, path)
  local fd = self:must(directory.path, core.layer_directory(self.bag, top, path))
  if self.fd then self.bag:close(self.fd) end
  self.fd, self.at = fd, directory
end

--- Goes into a directory of the upper. `stack`: the lowers that have it, if any. opaque: nothing of them shows in it, nor
-- further down.
function Walk:enter(path, stack, opaque)
  local directory = { path = path, here = {}, stack = stack, opaque = opaque, number = 0 }
  self:open(directory, self.fd or self.upper, path:match("[^/]*$"))
  local names, here = self:must(path, names_in(self.budget, self.fd, "", not stack and path)), directory.here
  for _, name in ipairs(names) do here[name] = true end
  if opaque then names = merge(names, names_below(self.budget, stack, path, here), is_name_before) end
  directory.names = names
  self[#self + 1] = directory
end

--- What the upper has in the directory that the walk is in.
function Walk:look(directory, name)
  if self.at ~= directory then self:open(directory, self.upper, directory.path) end
  return core.layer_entry(self.fd, name)
end

--- Ends the walk where a path is longer than any that can be used.
function Walk:check_length(path)
  if #path < LONGEST then return end
  local message = ("%s...: the path is longer than %d bytes"):format(join(self.place, path):sub(1, 64), LONGEST - 1)
  error({ message = (message:gsub("^//", "/")), errno = ENAMETOOLONG }, 0)
end

--- Compares one entry of the upper with what lies below it.
function Walk:entry(directory, name)
  local path, stack, old = join(directory.path, name), nil, nil
  self:check_length(path)
  local entry = directory.here[name] and self:look(directory, name) or nil
  if directory.stack then
    local _
    old, _, stack = descend(directory.stack, path)
  end
  if not entry or entry.type == "whiteout" then
    if old then self:add(path, "removed", old) end
    return
  end
  local merged = old and old.type == "directory" and entry.type == "directory"
  if #self == 1 then self.around = nil end
  if not old and entry.made == entry.mode then
    self.around = { path = path, entry = entry } -- the program has not made it: it is there for what may be in it
  elseif not old then
    self:add(path, "added", entry)
  elseif not merged or self:is_changed(entry, old) then
    self:add(path, "changed", entry, old)
  end
  if entry.type ~= "directory" then return end
  self:enter(path, merged and stack or nil, merged and (entry.opaque or directory.opaque))
end

--- Goes on until there is no directory left that it is in.
function Walk:go()
  self:enter("", self.lower)
  while #self > 0 do
    check_time(self.budget)
    local directory = self[#self]
    directory.number = directory.number + 1
    local name = directory.names[directory.number]
    if name then self:entry(directory, name) else self[#self] = nil end
  end
end

--- All changes of one layer, as a list; or nil, message, errno.
local function walk(budget, layer, number)
  local w = setmetatable({ list = {}, budget = budget, number = number, place = layer.place, upper = layer.upper,
    lower = layer.lower, made = layer.made or {}, has_ids = type(layer.upper) == "string", bag = core.bag() }, Walk)
  local ok, e = pcall(w.go, w)
  w.bag:close()
  if ok then return w.list end
  if type(e) ~= "table" then error(e, 0) end
  return nil, e.message, e.errno
end

--- The changes of all layers: a list of { path, kind, type, size, mode, old_mode, ... }, what is in a directory after it,
-- and before all else; or nil, message, errno. `most`: bytes that it may have, about; `over`: when it is to be there.
local function list_all(layers, most, over)
  most = most or MOST
  local budget, all = { room = most, left = most, over = over }, nil
  for number, layer in ipairs(layers) do
    local list, message, errno = walk(budget, layer, number)
    if not list then return nil, message, errno end
    for _, one in ipairs(#layers > 1 and list or {}) do one.key = one.path:gsub("/", "\0") end
    all = all and merge(all, list, is_path_before) or list
  end
  return all
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

--- Those of a program whose layers are about to go: what is kept can be looked at later, of all else there is the list. A
-- program that makes many files does not keep its host for long, nor fill its memory: `over`, if there is such, is when its
-- time is over, and that of the list a moment later.
function changes.keep(layers, over)
  if not layers then return nil end
  local is_gone = false
  for _, layer in ipairs(layers) do is_gone = is_gone or type(layer.upper) == "number" end
  local latest = over and math.max(over, core.clock()) + LATEST
  return changes.new(layers, is_gone and { list_all(layers, MOST_GONE, latest) } or nil)
end

--- The changes, in the order of their paths: each is { path, kind, type, size, mode, old_mode }. `kind` is "added",
-- "changed" or "removed"; `type` is "file", "directory", "link", "device", "pipe" or "socket"; `size` is that of a file, in
-- bytes; `mode` is a text, as "0755", and `old_mode` what it was of something that has changed; links have none.
-- @treturn table a list; or nil, message, errno
function Changes:list()
  local known = self.known or { list_all(self.layers) }
  local list = known[1]
  if not list then return nil, known[2], known[3] end
  local result = {}
  for i, one in ipairs(list) do
    result[i] = { path = one.path, kind = one.kind, type = one.type, size = one.size, mode = one.mode,
      old_mode = one.old_mode }
  end
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

local ESCAPES = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }

--- A path as text: one with control characters or quotes is quoted, as git does it.
function changes.show(path)
  if not path:find('[%c"\\]') then return path end
  return '"' .. path:gsub('[%c"\\]', function(c) return ESCAPES[c] or ("\\%03o"):format(c:byte()) end) .. '"'
end

--- One line for each change: a letter, A, C or D, and the path.
function Changes:__tostring()
  local lines = {}
  for i, one in ipairs(self:list() or {}) do lines[i] = LETTERS[one.kind] .. " " .. changes.show(one.path) end
  return table.concat(lines, "\n")
end

changes.list_all, changes.below = list_all, below

return changes
