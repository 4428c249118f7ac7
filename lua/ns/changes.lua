--- What has changed in a layer, as a transaction: to look at, to take over into a directory, or to throw away. The object is
-- in `ns.running.changes`; here is what starts programs for it.
-- @module ns.changes
require("ns.core").nojit()
local box = require "ns.box"
local changes = require "ns.running.changes"
local check = require "ns.words.check"
local core = require "ns.core"
local workshop = require "ns.image.workshop"

local Changes = changes.class

-- A program has written what is compared: bytes of a file, and of all that is said of its lines; and what diff(1) may use.
local LARGEST, LONGEST, DIFF = 2 ^ 24, 2 ^ 26, { as = 2 ^ 30, cpu = 10, core = 0 }

local ENOENT, EINVAL = core.constants.errno.ENOENT, core.constants.errno.EINVAL

local function is_directory(top, path)
  local entry = core.layer_entry(top, path)
  return entry and entry.type == "directory"
end

local function check_lower(lower)
  if type(lower) == "string" then return { check.absolute(lower, "lower") } end
  return check.list(check.absolute, 1)(lower, "lower")
end

--- The changes that a layer has: what `upper` makes of the directories below.
-- @tparam string upper the absolute path of the upper of an overlay or a root; box:upper(D) has it in D .. "/upper"
-- @tparam string|table lower the directory below, or several, the uppermost first
-- @treturn Changes
-- @raise a mistake in the arguments
local function new(upper, lower)
  local ok, result = pcall(function()
    return { upper = check.absolute(upper, "upper"), lower = check_lower(lower) }
  end)
  if not ok then check.raise("bad argument to 'changes' (%s)", check.mistake(result) or tostring(result)) end
  return changes.new({ { place = "/", upper = result.upper, lower = result.lower } })
end

-- ---- diff ----

--- A name as patch(1) reads it: to the end of the line, or a tab, if there is a space in it.
local function label(name)
  local shown = changes.show(name)
  return shown == name and name:find(" ") and name .. "\t" or shown
end

--- How a file is given to diff(1): its descriptor's path, and its name. Nothing: /dev/null.
local function side(bag, top, path, letter, fds, number)
  local fd = top and core.layer_file(bag, top, path)
  if not fd then return "/dev/null", "/dev/null" end
  fds[number] = fd
  return ("/dev/fd/%d"):format(number), label(letter .. "/" .. path)
end

--- Has diff(1) come to no end with what it may use?
local function has_failed(r)
  return r.truncated or r.how == "signal" or r.code > 1 and r.stderr:find("memory", 1, true)
end

--- The difference of one file, as `diff -u` says it, in `room` bytes; false if it is too large for that.
local function diff_file(layer, one, room)
  local old, from = changes.below(layer.lower, one.within)
  if one.size > LARGEST or old and old.size > LARGEST then return false end
  local fds, bag = {}, core.bag()
  local a, a_name = side(bag, one.kind ~= "added" and from, one.within, "a", fds, 3)
  local b, b_name = side(bag, one.kind ~= "removed" and layer.upper, one.within, "b", fds, 4)
  local r, message, errno = box.run { argv = { "diff", "-u", "--label", a_name, "--label", b_name, a, b }, fds = fds,
    env = { LC_ALL = "C" }, rlimits = DIFF, max_output = room }
  bag:close()
  if not r then return nil, message, errno end
  if has_failed(r) then return false end
  if r.how ~= "exit" or r.code > 1 then return nil, (r.stderr:gsub("%s+$", "")), EINVAL end
  return r.stdout
end

--- What is said of its mode: nil, if that is what it was, or is that of a new file which cannot be executed.
local function mode_note(one)
  if one.old_mode and one.mode and one.mode ~= one.old_mode then
    return (" (mode %s, now %s)"):format(one.old_mode, one.mode)
  end
  if one.kind ~= "added" or one.type ~= "file" then return nil end
  return (one.mode:find "^[2-7]" or one.mode:find "^%d%d-[1357]") and (" (mode %s)"):format(one.mode) or nil
end

--- What is said of a change that has no lines to compare, or too many; or beside them, of its mode.
local function say(layer, one, is_large)
  local entry = one.type ~= "file" and one.kind ~= "removed" and core.layer_entry(layer.upper, one.within)
  local link = entry and entry.link and " -> " .. changes.show(entry.link) or ""
  local large = is_large and (" (too large to be compared: %.0f bytes)"):format(one.size) or ""
  return ("%s %s: %s%s%s%s\n"):format(one.kind, one.type, changes.show(one.path), link, mode_note(one) or "", large)
end

--- The changes as a text: files as `diff -u` compares them, of all else one line. Names are quoted as git does it, so that
-- none is taken for a line of its own. A file that is very large, or differs in very much, has one line, too; and so has,
-- before what is compared, one whose mode has changed, or which is new and can be executed.
-- @treturn string the text; or nil, message, errno: there is no diff(1), or the layer cannot be read
function Changes:diff()
  if self.known then return nil, "these layers are gone, and only the list of their changes is left", ENOENT end
  local list, message, errno = changes.list_all(self.layers)
  if not list then return nil, message, errno end
  local parts, room = {}, LONGEST
  for _, one in ipairs(list) do
    local layer, text = self.layers[one.layer], ""
    if one.type == "file" then
      text, message, errno = diff_file(layer, one, room)
      if text == nil then return nil, message, errno end
    end
    local has_lines = text and text ~= ""
    if not has_lines or mode_note(one) then parts[#parts + 1] = say(layer, one, text == false) end
    if has_lines then parts[#parts + 1] = text end
    room = room - #(text or "")
  end
  return table.concat(parts)
end

-- ---- commit, discard ----

--- The one layer that is kept, and of which there is a directory.
local function kept(self, name)
  local layer = self.layers[1]
  if self.known or #self.layers ~= 1 or type(layer.upper) ~= "string" then
    return nil, ("%s is for one layer that is kept in a directory"):format(name), EINVAL
  end
  return layer
end

-- All of the layer, beside the target's files, with their holes; tar leaves out sockets. Whether the first has failed is not
-- seen from the second.
local STAGE = [[mkdir -m 700 "/t/$1" && {
  tar -C /u -S --xattrs --xattrs-exclude='*.overlay.*' --numeric-owner -cf - . ; echo $? >/tmp/status
} | tar -C "/t/$1" --xattrs --xattrs-include='*' --numeric-owner --warning=no-unknown-keyword -xpf - &&
  [ "$(cat /tmp/status)" = 0 ] && cd /u && find . -type s -exec cp -a --parents -t "/t/$1" {} +]]

local function quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function remove(path)
  if not os.remove(path) then os.execute("rm -rf -- " .. quote(path)) end
end

--- Takes what hides something out of a new directory: there is nothing below any more.
local function without_whiteouts(top, path)
  for _, name in ipairs(core.layer_names(top, path) or {}) do
    local at = path .. "/" .. name
    local entry = core.layer_entry(top, at)
    if entry.type == "whiteout" then os.remove(top .. "/" .. at) end
    if entry.type == "directory" then without_whiteouts(top, at) end
  end
end

--- Applies the list: each change is one rename, so that no file is ever half there.
local function apply(list, stage)
  local moved
  for _, one in ipairs(list) do
    local to, from = "/t/" .. one.within, stage .. "/" .. one.within
    local is_within = moved and one.within:sub(1, #moved) == moved
    local is_merged = one.kind == "changed" and one.type == "directory" and is_directory("/t", one.within)
    if is_merged then
      os.execute(("chown --reference=F T && chmod --reference=F T"):gsub("[FT]", { F = quote(from), T = quote(to) }))
    elseif not is_within then
      if one.kind == "removed" or one.type == "directory" or is_directory("/t", one.within) then remove(to) end
      if one.type == "directory" and one.kind ~= "removed" then
        moved = one.within .. "/"
        without_whiteouts(stage, one.within)
      end
      if one.kind ~= "removed" then assert(os.rename(from, to)) end
    end
  end
  return true
end

--- Makes the changes in a directory, most often the one below the layer. All that can fail for want of room is done
-- before the first of them; then each is one rename. The layer stays as it is. No program may use the directory
-- meanwhile.
-- @tparam string target an absolute path
-- @treturn boolean true; or nil, message, errno: then the directory is as it was, unless the message says otherwise
-- @raise if the target is no absolute path
function Changes:commit(target)
  local ok, mistake = pcall(check.absolute, target, "target")
  if not ok then check.raise("bad argument #1 to 'commit' (%s)", check.mistake(mistake)) end
  local layer, message, errno = kept(self, "commit")
  if not layer then return nil, message, errno end
  local list
  list, message, errno = changes.list_all(self.layers)
  if not list then return nil, message, errno end
  local b = workshop.open { ["/t"] = target, ["/u"] = layer.upper }
  local stage = (".ns-%d-%d"):format(core.ids().pid, core.random(2 ^ 30))
  ok, message, errno = workshop.run(b, STAGE, stage)
  if ok then
    ok, message, errno = b:call(apply, list, "/t/" .. stage)
    if not ok then message = "not all of it was done: " .. message end
  end
  workshop.run(b, 'rm -rf -- "/t/$1"', stage)
  if ok then return true end
  return nil, message, errno
end

--- Throws the changes away: the directory of the layer is empty then.
-- @treturn boolean true; or nil, message, errno
function Changes:discard()
  local layer, message, errno = kept(self, "discard")
  if not layer then return nil, message, errno end
  local ok
  ok, message, errno = workshop.run(workshop.open { ["/u"] = layer.upper }, "find /u -mindepth 1 -delete")
  if ok then return true end
  return nil, message, errno
end

check.methods(changes.is, Changes, { list = 0, diff = 0, commit = 1, discard = 0 })

return { new = new }
