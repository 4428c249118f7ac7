--- The kinds of mounts, an entry each: `fields`, each with a check, and `steps(m, add, found)`, which adds what the launcher
-- shall do; `target`, where it lies if nothing is said; `of`, the namespace that it shows; `requires`, the fields that it
-- cannot be without; `together(m, where)`, a check of fields that depend on each other. To add a kind: an entry here, and a
-- method in `ns.box_mounts` if it wants a short form.
-- @module ns.words.mount_kinds
require("ns.core").nojit()
local later = require("ns.words.later").module
local anchors = require "ns.words.anchors"
local check = require "ns.words.check"
local core = require "ns.core"
local field = require "ns.words.mount_fields"
local lookups = require "ns.words.lookups"
local mounts = later "ns.words.mounts"
local overlay = later "ns.words.overlay"

local kinds, with = {}, field.with

local ATTR, HOW, MS = core.constants.mount_attr, core.constants.step, core.constants.mount
local RDONLY, NOSUID, NODEV, NOEXEC = ATTR.RDONLY, ATTR.NOSUID, ATTR.NODEV, ATTR.NOEXEC
local ENOENT, EROFS = core.constants.errno.ENOENT, core.constants.errno.EROFS
local FILE_MODE, DIRECTORY_MODE, STICKY_MODE = tonumber("644", 8), tonumber("755", 8), tonumber("1777", 8)

--- The attributes of a mount: without devices and set-user-ID programs, unless it says `dev` or `suid`.
local function attributes(m)
  return (m.ro and RDONLY or 0) + (m.suid and 0 or NOSUID) + (m.dev and 0 or NODEV) + (m.exec == false and NOEXEC or 0)
end

--- The steps that look up what a mount is made of.
function kinds.look_up(m, add, found)
  lookups.steps(m, add, found, m.type == "overlay" and overlay.step(m, found, 0).of
    or { op = "tree", source = m.source, path = m.target, below = found.below and found.below[m], word = "mounts" })
end

--- The tree is the host's own descriptor if it had to open it; else the launcher takes it by its path. At the path of a
-- descriptor somebody may have put something else: then the launcher refuses it.
local function bind(m, add, found)
  local tree = found.trees and found.trees[m]
  if tree == false then return end -- to be tried, and not there
  local step = { op = "tree", path = m.target, flags = attributes(m),
    how = m.part and HOW.ROOT_PART or m.layer and HOW.ROOT_LAYER or 0,
    note = found.notes and found.notes[m], word = "mounts" }
  if type(m.source) == "number" and tree == m.source then
    step.source, step.fd, step.how = core.readlink(("/proc/self/fd/%d"):format(tree)), tree, step.how + HOW.SAME_FILE
  elseif tree then
    step.fd, step.from = tree, type(m.source) == "string" and m.source or nil
  else
    local number = lookups.number(m, m.source, found)
    if number and not found.has_root then kinds.look_up(m, add, found) end
    step.ignore = m.try and ENOENT or nil
    step.source, step.from, step.fd = not number and m.source or nil, number and m.source, number
    step.how = step.how + (number and HOW.LOOKED_UP or m.nofollow and HOW.NO_LINK or 0)
  end
  add(step)
end

local function fs(type, m, options, flags, how)
  return { op = "fs", type = type, path = m.target, options = options, flags = flags, how = how, word = "mounts" }
end

--- What says that a place is missing in a tree of the host's, where nothing is made.
local function not_made(m) return m.try and EROFS or nil end

local BYTES = { [""] = 1, k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30 }
local INODES_LEAST = 64

--- How many files a tmpfs of a size has room for: even an empty one takes about a KiB of the kernel's memory, which the size
-- does not count. nil: the kernel's own limit, by the memory of the machine.
local function inodes_of(m)
  local digits, unit = (m.size or ""):match("^(%d+)(%a?)$")
  return m.inodes or digits and math.max(INODES_LEAST, math.floor(digits * BYTES[unit:lower()] / 2 ^ 10))
end

--- The options of a tmpfs: what a mount, or a root that is one, says of its room and its top.
function kinds.tmpfs_options(m)
  local options = { ("mode=%04o"):format(m.mode or DIRECTORY_MODE) }
  if m.size then options[#options + 1] = "size=" .. m.size end
  if inodes_of(m) then options[#options + 1] = ("nr_inodes=%.0f"):format(inodes_of(m)) end
  return options
end

local function tmpfs(m, add)
  local options = kinds.tmpfs_options { mode = m.mode or m.target:find "/tmp$" and STICKY_MODE or nil, size = m.size,
    inodes = m.inodes }
  -- read-only in the end: see ns.words.mounts
  local step = fs("tmpfs", m, options, attributes(m) - (m.ro and RDONLY or 0), HOW.OURS)
  step.ignore = not_made(m)
  add(step)
end

--- What in /proc belongs to no process, but to the machine, where the program has root's rights to it; and what lists the
-- keys of the user that it is on the host.
local READ_ONLY = { "sys", "irq", "bus", "fs", "sysrq-trigger", "acpi", "scsi", "mtrr" }
local HIDDEN = { "kcore", "timer_list", "sched_debug" }
local KEYS = { "keys", "key-users" }

local function hide(m, names, add)
  for _, name in ipairs(names) do
    add { op = "mask", path = m.target .. "/" .. name, flags = RDONLY, ignore = ENOENT, word = "mounts" }
  end
end

local function proc(m, add, found)
  local options = {}
  if m.hidepid then options[1] = "hidepid=" .. m.hidepid end
  if m.subset then options[#options + 1] = "subset=" .. m.subset end
  add(fs("proc", m, options, (m.ro and RDONLY or 0) + NOSUID + NODEV + NOEXEC))
  if m.subset or m.protect == false then return end
  hide(m, KEYS, add)
  if not found.privileged then return end
  for _, name in ipairs(READ_ONLY) do
    local path = m.target .. "/" .. name
    add { op = "tree", source = path, path = path, flags = RDONLY + NOSUID + NODEV + NOEXEC,
      how = HOW.BENEATH_ROOT, ignore = ENOENT, word = "mounts" }
  end
  hide(m, HIDDEN, add)
end

local TERMINALS = 256 -- of one box: the machine has 4096 for all, of which all boxes together may take 3072

-- {name, the numbers that it has on each Linux}
local DEVICES = { { "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 },
  { "tty", 5, 0 } }
local LINKS = { fd = "/proc/self/fd", stdin = "/proc/self/fd/0", stdout = "/proc/self/fd/1", stderr = "/proc/self/fd/2",
  core = "/proc/kcore", ptmx = "pts/ptmx" }

local function dev(m, add, found)
  local at = m.target .. "/"
  add { op = "hold", path = "/dev", word = "mounts" } -- it may be just what is going to be covered
  add(fs("tmpfs", m, { "mode=0755", "size=1m", "nr_inodes=1024" }, NOSUID + NOEXEC, HOW.OURS))
  for _, device in ipairs(DEVICES) do
    local name, major, minor = device[1], device[2], device[3]
    add { op = "tree", source = name, from = "/dev/" .. name, path = at .. name, flags = NOSUID + NOEXEC,
      value = major * 256 + minor, word = "mounts" }
  end
  for _, name in ipairs { "core", "fd", "ptmx", "stderr", "stdin", "stdout" } do
    add { op = "symlink", path = at .. name, data = LINKS[name], word = "mounts" }
  end
  tmpfs({ target = at .. "shm", mode = STICKY_MODE, size = m.size, inodes = m.inodes }, add)
  add(fs("devpts", { target = at .. "pts" }, { "mode=0620", "ptmxmode=0666", "max=" .. TERMINALS }, NOSUID + NOEXEC))
  if found.console then
    add { op = "tree", source = found.console:match("^/dev/(.+)") or found.console, path = at .. "console",
      flags = NOSUID + NOEXEC, word = "mounts" }
  end
end

local place = { target = field.target, mkdir = field.mkdir }
local any_place = { target = field.place }

--- What is told a mount alone is told its anchors, too; they come last, as they lie in it.
local function each_mount(m, found, tell)
  tell(m.target)
  for _, path in ipairs(m.recursive and {} or anchors.of(m, found.anchors)) do tell(path) end
end

local room = { size = field.size, inodes = check.integer(1, 9007199254740992) }
local flags = { suid = check.boolean, dev = check.boolean, exec = check.boolean, ro = check.boolean }

local bind_fields = { source = field.source, target = field.target, mkdir = field.mkdir, nofollow = check.boolean,
  ro = check.boolean, dev = check.boolean, suid = check.boolean, exec = check.boolean, try = check.boolean,
  idmap = field.idmap }

--- An empty root with a size or mode.
kinds.check_tmpfs = check.record(with(room, { mode = field.mode, tmpfs = function(value, where)
  if value ~= true then check.fail(where, "true expected, got %s", check.show(value)) end
  return true
end }))

kinds.all = {
  bind = { fields = bind_fields, requires = { "source" }, steps = bind },
  tmpfs = { fields = with(with(with(place, flags), room), { mode = field.mode, try = check.boolean }), steps = tmpfs },
  proc = { target = "/proc", of = "pid", steps = proc, fields = with(place, { ro = check.boolean, protect = check.boolean,
    hidepid = check.choice("off", "noaccess", "invisible", "ptraceable"), subset = check.choice("pid") }) },
  dev = { target = "/dev", fields = with(place, room), steps = dev },
  sys = { target = "/sys", of = "net", fields = with(place, { ro = check.boolean }), steps = function(m, add)
    add(fs("sysfs", m, nil, (m.ro == false and 0 or RDONLY) + NOSUID + NODEV + NOEXEC))
  end },
  mqueue = { target = "/dev/mqueue", of = "ipc", fields = place, steps = function(m, add)
    add(fs("mqueue", m, nil, NOSUID + NODEV + NOEXEC))
  end },
  overlay = { requires = { "lower" }, together = overlay.check_together, steps = function(m, add, found)
    if not found.has_root then kinds.look_up(m, add, found) end
    add(overlay.step(m, found, attributes(m)))
    if m.layer == "root" then mounts.steps(found.parts, add, found) end
  end, fields = with(flags, { target = field.overlay_target, mkdir = field.mkdir, lower = overlay.check_lower,
    upper = check.absolute, work = check.absolute, idmap = field.idmap }) },
  file = { requires = { "target", "data" }, fields = with(place, { data = function(value, where)
    if type(value) ~= "string" then check.fail(where, "string expected, got %s", type(value)) end
    return value
  end, mode = field.mode, ro = check.boolean }), steps = function(m, add)
    add { op = "file", path = m.target, data = m.data, mode = m.mode or FILE_MODE, flags = m.ro == false and 0 or RDONLY,
      word = "mounts" }
  end },
  dir = { fields = with(place, { mode = field.mode, try = check.boolean }), steps = function(m, add)
    add { op = "mkdir", path = m.target, mode = m.mode or DIRECTORY_MODE, ignore = not_made(m), word = "mounts" }
  end },
  symlink = { requires = { "target", "to" }, fields = with(place, { to = check.path }), steps = function(m, add)
    add { op = "symlink", path = m.target, data = m.to, word = "mounts" }
  end },
  remount = { fields = with(with(any_place, flags), { recursive = check.boolean }), steps = function(m, add, found)
    local set, clear = 0, 0
    for name, bit in pairs { ro = RDONLY, suid = -NOSUID, dev = -NODEV, exec = -NOEXEC } do
      if m[name] ~= nil and m[name] == (bit > 0) then set = set + math.abs(bit) end
      if m[name] ~= nil and m[name] ~= (bit > 0) then clear = clear + math.abs(bit) end
    end
    each_mount(m, found, function(path)
      add { op = "remount", path = path, flags = set, clear = clear, how = m.recursive and HOW.RECURSIVE or nil,
        word = "mounts" }
    end)
  end },
  mask = { fields = { target = field.target }, steps = function(m, add)
    add { op = "mask", path = m.target, flags = RDONLY + NOSUID + NODEV + NOEXEC, ignore = ENOENT, word = "mounts" }
  end },
  readonly = { fields = { target = field.target }, steps = function(m, add)
    add { op = "tree", source = m.target, path = m.target, flags = RDONLY, how = HOW.BENEATH_ROOT, ignore = ENOENT,
      word = "mounts" }
  end },
  propagation = { requires = { "target", "mode" }, fields = with(any_place, { recursive = check.boolean,
    mode = check.choice("private", "slave", "shared", "unbindable") }), steps = function(m, add, found)
    each_mount(m, found, function(path)
      add { op = "propagation", path = path, flags = MS[m.mode:upper()], how = m.recursive and HOW.RECURSIVE or nil,
        word = "mounts" }
    end)
  end },
}

return kinds
