--- The methods of a box that mount: one mount after the other. Each takes a table of further fields (`ns.words.mounts`,
-- doc/files.md) last.
-- @submodule ns.box
require("ns.core").nojit()
local box_words = require "ns.box_words"
local check = require "ns.words.check"
local confined = require "ns.confined"
local field = require "ns.words.mount_fields"
local mounts = require "ns.words.mounts"

local Box = box_words.class
local arguments, checked, copy = box_words.arguments, box_words.checked, box_words.copy

local function add_mount(self, m, options)
  if options ~= nil and type(options) ~= "table" then
    check.raise("%s: table of options expected, got %s", m.type, type(options))
  end
  for key, value in next, options or {} do m[key] = value end
  checked("%s", mounts.check_one, m, m.type)
  if self.confined then
    self.words.landlock = self.words.landlock or {}
    checked("%s", confined.bind, self.words.landlock, m)
    return self
  end
  local list = self.words.mounts or {}
  list[#list + 1] = copy(m)
  self.words.mounts = list
  return self
end

--- A target, the argument with that number, and options; it may be left out before them.
local function placed(name, number, target, options)
  if type(target) ~= "table" then return target, options end
  if options ~= nil then check.raise("bad argument #%d to '%s' (nothing expected after the options)", number + 1, name) end
  return nil, target
end

--- Binds a part of the host's tree, writable: box:bind("/src"), box:bind("/src", "/work", {idmap = true}).
-- @tparam string|integer source an absolute path on the host, or an open descriptor of it
-- @tparam[opt] string target an absolute path inside; else the same path
-- @tparam[opt] table options ro, dev, suid, exec, try, idmap
-- @treturn Box itself
-- @see mount_setattr(2)
function Box:bind(source, target, options)
  target, options = placed("bind", 2, target, options)
  return add_mount(self, { type = "bind", source = source, target = target }, options)
end

--- Binds a part of the host's tree, read-only with all that is mounted below it.
-- @tparam string|integer source an absolute path on the host, or an open descriptor of it
-- @tparam[opt] string target an absolute path inside; else the same path
-- @tparam[opt] table options dev, suid, exec, try, idmap
-- @treturn Box itself
-- @see mount_setattr(2)
function Box:ro_bind(source, target, options)
  target, options = placed("ro_bind", 2, target, options)
  if type(options) == "table" and options.ro == false then
    check.raise "ro_bind.ro: false contradicts it; what is to be writable is for bind"
  end
  return add_mount(self, { type = "bind", source = source, target = target, ro = true }, options)
end

--- A file with the given bytes: box:file("/etc/motd", "hello\n", {mode = "0600"}).
-- @tparam string target an absolute path inside
-- @tparam string data any bytes
-- @tparam[opt] table options mode ("0644"), ro
-- @treturn Box itself
function Box:file(target, data, options)
  return add_mount(self, { type = "file", target = target, data = data }, options)
end

--- A symbolic link: box:symlink("/lib64", "usr/lib64").
-- @tparam string target an absolute path inside: the link
-- @tparam string to what it says
-- @tparam[opt] table options mkdir
-- @treturn Box itself
-- @see symlink(7)
function Box:symlink(target, to, options)
  return add_mount(self, { type = "symlink", target = target, to = to }, options)
end

--- An overlay of a directory, or of several, on `target` (default: the directory itself); what is written is thrown away,
-- unless the options have `upper` and `work`.
-- @tparam string|table lower an absolute path on the host, or a list of them, the uppermost first
-- @tparam[opt] string target an absolute path inside
-- @tparam[opt] table options upper, work, idmap, ro, dev, suid, exec
-- @treturn Box itself
function Box:overlay(lower, target, options)
  target, options = placed("overlay", 2, target, options)
  return add_mount(self, { type = "overlay", lower = lower, target = target or type(lower) == "string" and lower or nil },
    options)
end

--- Puts one writable layer over the whole root of the box: box:upper(), which is thrown away; box:upper("/srv/mine"), which
-- is kept in that directory and found there by the next start. Without a root of its own and `system`, the box gets the
-- host's.
-- @tparam[opt] string directory an absolute path on the host, for two directories, "upper" and "work"; it is made, for its
-- owner alone, if it is missing
-- @treturn Box itself
-- @see ns.changes
function Box:upper(directory)
  if directory ~= nil then checked("%s", check.absolute, directory, "upper") end
  local root = self.words.root or self.words.system and "empty" or "/"
  local layered = type(root) == "table" and copy(root) or { lower = root }
  layered.upper = directory and directory:gsub("/+$", "") .. "/upper" or nil
  layered.work = directory and directory:gsub("/+$", "") .. "/work" or nil
  return box_words.set(self, "root", layered)
end

--- Hides paths under empty files and directories.
-- @tparam string ... absolute paths inside; one that is missing is passed over
-- @treturn Box itself
function Box:mask(...)
  if select("#", ...) == 0 then check.raise "mask: place missing" end
  for _, target in ipairs(arguments("mask[%d]: missing", ...)) do add_mount(self, { type = "mask", target = target }) end
  return self
end

--- Makes what is there read-only, with all below it, as it is seen inside: box:readonly("/proc/sys").
-- @tparam string ... absolute paths inside; one that is missing is passed over
-- @treturn Box itself
function Box:readonly(...)
  if select("#", ...) == 0 then check.raise "readonly: place missing; of a whole root it is the word read_only" end
  for _, target in ipairs(arguments("readonly[%d]: missing", ...)) do
    add_mount(self, { type = "readonly", target = target })
  end
  return self
end

--- Takes away again what the box mounts there: ns.sandbox():unmount("/run").
-- @tparam string ... absolute paths inside
-- @treturn Box itself
function Box:unmount(...)
  if select("#", ...) == 0 then check.raise "unmount: place missing" end
  for _, target in ipairs(arguments("unmount[%d]: missing", ...)) do
    local place, before = checked("%s", field.place, target, "unmount"), #(self.words.mounts or {})
    box_words.keep_mounts(self, function(m) return mounts.place(m) ~= place end)
    if #(self.words.mounts or {}) == before then check.raise("unmount: this box mounts nothing at '%s'", target) end
  end
  return self
end

--- An empty file system in memory: box:tmpfs("/tmp", {size = "64m"}).
-- @function Box:tmpfs
-- @tparam string target an absolute path inside
-- @tparam[opt] table options size (bytes, "64m", "50%"), inodes, mode ("0755"; for .../tmp "1777"), dev, suid, exec, try
-- @treturn Box itself

--- A directory, in a file system of the box's own: box:dir("/work", {mode = "0700"}).
-- @function Box:dir
-- @tparam string target an absolute path inside
-- @tparam[opt] table options mode ("0755"), try
-- @treturn Box itself

--- New attributes for a mount that is there: box:remount("/usr", {ro = true, recursive = true}).
-- @function Box:remount
-- @tparam string target an absolute path inside
-- @tparam table options ro, dev, suid, exec: true or false, or as they are; recursive
-- @treturn Box itself
-- @see mount_setattr(2)

--- A new /proc; needs "pid".
-- @function Box:proc
-- @tparam[opt="/proc"] string target
-- @tparam[opt] table options hidepid, subset, ro, protect
-- @treturn Box itself
-- @see proc(5)

--- A small /dev: null, zero, full, random, urandom, tty, pts, shm, and the links to the standard streams.
-- @function Box:dev
-- @tparam[opt="/dev"] string target
-- @treturn Box itself

--- A new /sys, read-only; needs "net".
-- @function Box:sys
-- @tparam[opt="/sys"] string target
-- @tparam[opt] table options ro: false for one that can be written
-- @treturn Box itself
-- @see sysfs(5)

--- The POSIX message queues of the box; needs "ipc".
-- @function Box:mqueue
-- @tparam[opt="/dev/mqueue"] string target
-- @treturn Box itself
-- @see mq_overview(7)

for _, kind in ipairs { "tmpfs", "dir", "remount", "proc", "dev", "sys", "mqueue" } do
  Box[kind] = function(self, target, options)
    target, options = placed(kind, 1, target, options)
    return add_mount(self, { type = kind, target = target }, options)
  end
end

return Box
