--- The file system inside: one entry per kind of mount. A kind has its `fields`, each with a check, and
-- `steps(m, add, found)`, which adds what the launcher shall do. To add a kind: an entry here, a method in `ns.box` if it
-- wants a short form.
-- @module ns.words.mounts
require("ns.core").nojit()
local later = require("ns.words.later").module
local anchors = require "ns.words.anchors"
local check = require "ns.words.check"
local synonyms = require "ns.words.synonyms"
local core = require "ns.core"
local lookups = require "ns.words.lookups"
local overlay = later "ns.words.overlay"

local mounts = {}

local ATTR, HOW, MS = core.constants.mount_attr, core.constants.step, core.constants.mount
local RDONLY, NOSUID, NODEV, NOEXEC = ATTR.RDONLY, ATTR.NOSUID, ATTR.NODEV, ATTR.NOEXEC
local ENOENT, EROFS = core.constants.errno.ENOENT, core.constants.errno.EROFS

--- The attributes of a mount: without devices and set-user-ID programs, unless it says `dev` or `suid`.
local function attributes(m)
  return (m.ro and RDONLY or 0) + (m.suid and 0 or NOSUID) + (m.dev and 0 or NODEV) + (m.exec == false and NOEXEC or 0)
end

--- A place inside: absolute, without "..". In its shortest form, so that "is beneath" can be told from the text.
function mounts.check_place(value, where)
  check.absolute(value, where)
  local parts = {}
  for part in value:gmatch("[^/]+") do
    if part == ".." then check.fail(where, "'..' in '%s'", value) end
    if part ~= "." then parts[#parts + 1] = part end
  end
  return "/" .. table.concat(parts, "/")
end

--- A place for something new: not the root itself, which would be the lowest of the mounts on it.
local function check_target(value, where)
  value = mounts.check_place(value, where)
  if value == "/" then check.fail(where, "'/' is what the word root makes: root = DIRECTORY, or \"empty\"") end
  return value
end

--- A root in layers is made by the word root.
local function check_overlay_target(value, where)
  if mounts.check_place(value, where) ~= "/" then return mounts.check_place(value, where) end
  check.fail(where, "'/' is what the word root makes: root = { lower = DIRECTORY }")
end

local function source(value, where)
  if type(value) == "string" then return check.absolute(value, where) end
  if type(value) ~= "number" then check.fail(where, "path or descriptor (a number) expected, got %s", type(value)) end
  check.integer(0, 2147483647)(value, where)
  if not core.isopen(value) then check.fail(where, "descriptor %d is not open", value) end
  return value
end

local MOST = { [""] = 2 ^ 53, k = 2 ^ 43, m = 2 ^ 33, g = 2 ^ 23, ["%"] = 100 }

--- Bytes: a number, or "64k", "64m", "2g", "50%". Not 0, which is no limit to the kernel, and nothing that it would wrap.
function mounts.check_size(value, where)
  if type(value) == "number" then return ("%.0f"):format(check.integer(1, MOST[""])(value, where)) end
  local digits, unit = check.text(value, where):match("^(%d+)([kKmMgG%%]?)$")
  if not digits or digits:find("^0%d") then -- the kernel takes "010" for eight
    check.fail(where, "bytes, '64k', '64m', '2g' or '50%%' expected, got '%s'", value)
  end
  local number = tonumber(digits)
  if number < 1 or number > MOST[unit:lower()] then check.fail(where, "'%s' is out of range", value) end
  return value
end

local mode = check.mode "7777"
local FILE_MODE, DIRECTORY_MODE, STICKY_MODE = tonumber("644", 8), tonumber("755", 8), tonumber("1777", 8)
local any = function(value) return value end

local function idmap(value, where)
  if type(value) == "boolean" or value == "owner" then return value end
  if type(value) == "string" then check.fail(where, "true, false, 'owner' or ranges expected, got '%s'", value) end
  return check.list(function(range, at)
    range = check.items(range, at)
    if #range ~= 3 then check.fail(at, "{on disk, inside, count} expected") end
    for i = 1, 3 do check.id(range[i], check.at(at, i)) end
    return range
  end, 1)(value, where)
end

mounts.check_idmap = idmap

--- Where a place that is missing is made: true, also in a layer that is kept; "anywhere", in a tree of the host's, too.
local function mkdir(value, where)
  if value == "anywhere" then return value end
  if type(value) ~= "boolean" then check.fail(where, "boolean or 'anywhere' expected, got %s", check.show(value)) end
  return value
end

local bind_fields = { source = source, target = check_target, mkdir = mkdir, nofollow = check.boolean,
  ro = check.boolean, dev = check.boolean, suid = check.boolean, exec = check.boolean, try = check.boolean, idmap = idmap }

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
    if number and not found.has_root then mounts.look_up(m, add, found) end
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
function mounts.tmpfs_options(m)
  local options = { ("mode=%04o"):format(m.mode or DIRECTORY_MODE) }
  if m.size then options[#options + 1] = "size=" .. m.size end
  if inodes_of(m) then options[#options + 1] = ("nr_inodes=%.0f"):format(inodes_of(m)) end
  return options
end

local function tmpfs(m, add)
  local options = mounts.tmpfs_options { mode = m.mode or m.target:find "/tmp$" and STICKY_MODE or nil, size = m.size,
    inodes = m.inodes }
  -- read-only in the end: see mounts.steps
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

local place = { target = check_target, mkdir = mkdir }
local any_place = { target = mounts.check_place }

local function with(fields, more)
  local result = {}
  for k, v in pairs(fields) do result[k] = v end
  for k, v in pairs(more) do result[k] = v end
  return result
end

--- What is told a mount alone is told its anchors, too; they come last, as they lie in it.
local function each_mount(m, found, tell)
  tell(m.target)
  for _, path in ipairs(m.recursive and {} or anchors.of(m, found.anchors)) do tell(path) end
end

local room = { size = mounts.check_size, inodes = check.integer(1, 9007199254740992) }
local flags = { suid = check.boolean, dev = check.boolean, exec = check.boolean, ro = check.boolean }

--- An empty root with a size or mode.
mounts.check_tmpfs = check.record(with(room, { mode = mode, tmpfs = function(value, where)
  if value ~= true then check.fail(where, "true expected, got %s", check.show(value)) end
  return true
end }))

mounts.kinds = {
  bind = { fields = bind_fields, requires = { "source" }, steps = bind },
  tmpfs = { fields = with(with(with(place, flags), room), { mode = mode, try = check.boolean }), steps = tmpfs },
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
    if not found.has_root then mounts.look_up(m, add, found) end
    add(overlay.step(m, found, attributes(m)))
    if m.layer == "root" then mounts.steps(found.parts, add, found) end
  end, fields = with(flags, { target = check_overlay_target, mkdir = mkdir, lower = overlay.check_lower,
    upper = check.absolute, work = check.absolute, idmap = idmap }) },
  file = { requires = { "target", "data" }, fields = with(place, { data = function(value, where)
    if type(value) ~= "string" then check.fail(where, "string expected, got %s", type(value)) end
    return value
  end, mode = mode, ro = check.boolean }), steps = function(m, add)
    add { op = "file", path = m.target, data = m.data, mode = m.mode or FILE_MODE, flags = m.ro == false and 0 or RDONLY,
      word = "mounts" }
  end },
  dir = { fields = with(place, { mode = mode, try = check.boolean }), steps = function(m, add)
    add { op = "mkdir", path = m.target, mode = m.mode or DIRECTORY_MODE, ignore = not_made(m), word = "mounts" }
  end },
  symlink = { requires = { "target", "to" }, fields = with(place, { to = check.path }), steps = function(m, add)
    add { op = "symlink", path = m.target, data = m.to, word = "mounts" }
  end },
  remount = { fields = with(with(any_place, flags), { recursive = check.boolean }), steps = function(m, add, found)
    local set, clear = 0, 0
    for field, bit in pairs { ro = RDONLY, suid = -NOSUID, dev = -NODEV, exec = -NOEXEC } do
      if m[field] ~= nil and m[field] == (bit > 0) then set = set + math.abs(bit) end
      if m[field] ~= nil and m[field] ~= (bit > 0) then clear = clear + math.abs(bit) end
    end
    each_mount(m, found, function(path)
      add { op = "remount", path = path, flags = set, clear = clear, how = m.recursive and HOW.RECURSIVE or nil,
        word = "mounts" }
    end)
  end },
  mask = { fields = { target = check_target }, steps = function(m, add)
    add { op = "mask", path = m.target, flags = RDONLY + NOSUID + NODEV + NOEXEC, ignore = ENOENT, word = "mounts" }
  end },
  readonly = { fields = { target = check_target }, steps = function(m, add)
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

--- A kind that shows a namespace (`of`) cannot be had in a user namespace without one: the host's belongs to another. Such
-- mounts: a list of {number, mount, the namespace}.
local function needing(spec)
  local list = {}
  for i, m in ipairs(spec.flags.user and spec.mounts or {}) do
    local of = mounts.kinds[m.type].of
    if of and not spec.flags[of] then list[#list + 1] = { i, m, of } end
  end
  return list
end

--- Raises the mistake of the first mount that needs a namespace which is not asked for.
function mounts.check_needs(spec)
  local first = needing(spec)[1]
  if first then check.fail(check.at("mounts", first[1]), "'%s' needs '%s' in flags", first[2].type, first[3]) end
end

--- The places of the mounts of a checked spec that cannot be had any more as a namespace is gone.
function mounts.places_lost(spec)
  local places = {}
  for i, row in ipairs(needing(spec)) do places[i] = row[2].target end
  return places
end

--- Is something mounted there, as the spec calls it?
function mounts.has(list, target)
  for _, m in ipairs(list) do
    if m.target == target then return true end
  end
  return false
end

--- The list without what is mounted there.
function mounts.without(list, target)
  local left = {}
  for _, m in ipairs(list) do
    if m.target ~= target then left[#left + 1] = m end
  end
  return left
end

local function check_kind(m, kind, where)
  m.target = m.target or kind.target or type(m.source) == "string" and check_target(m.source, where .. ".target") or nil
  for _, field in ipairs(kind.requires or {}) do
    if m[field] == nil then check.fail(("%s.%s"):format(where, field), "missing") end
  end
  if not m.target then check.fail(where .. ".target", "missing") end
  if kind.together then kind.together(m, where) end
end

--- One mount: a table with its `type` and the fields of that kind.
function mounts.check_one(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local name = rawget(value, "type")
  local kind = type(name) == "string" and mounts.kinds[name]
  if name == nil then check.fail(where .. ".type", "missing") end
  if not kind then
    check.fail(where .. ".type", "unknown kind %s%s", type(name) == "string" and "'" .. name .. "'" or type(name),
      type(name) == "string" and check.nearest(name, mounts.kinds) or "")
  end
  for key in next, value do
    local use = type(key) == "string" and key ~= "type" and not kind.fields[key] and synonyms.field(key, kind.fields)
    if use then check.fail(where, "unknown field '%s'; use %s", key, use) end
  end
  local m = check.record(with(kind.fields, { type = any }))(value, where)
  check_kind(m, kind, where)
  return m
end

local check_all = check.list(mounts.check_one)

--- How many bytes of a plan the strings of a mount may take.
local function size_of(t)
  local size = 256
  for _, value in next, t do
    if type(value) == "string" then size = size + #value + 16 end
    if type(value) == "table" then size = size + size_of(value) end
  end
  return size
end

local PLAN_ROOM = 48 * 2 ^ 20 -- a plan is bounded (src/core/encode.c), and argv and env want to be in it, too

--- The steps that look up what a mount is made of.
function mounts.look_up(m, add, found)
  lookups.steps(m, add, found, m.type == "overlay" and overlay.step(m, found, 0).of
    or { op = "tree", source = m.source, path = m.target, below = found.below and found.below[m], word = "mounts" })
end

--- Where a mount of a spec goes, one that was checked by itself.
function mounts.place(m)
  return mounts.check_place(m.target or mounts.kinds[m.type].target or m.source, "target")
end

--- A list of mounts.
function mounts.check(value, where)
  local list = check_all(value, where)
  local size = size_of(list)
  if size > PLAN_ROOM then check.fail(where, "%.0f MiB of paths and data are too much, 48 are the most", size / 2 ^ 20) end
  return list
end

--- Does a mount of the list after the i-th cover a place in that?
local function is_covered(list, i, place_)
  for j = i + 1, #list do
    local above = list[j].target == "/" and "/" or list[j].target .. "/"
    if not anchors.covers_nothing(list[j]) and (place_ .. "/"):sub(1, #above) == above then return true end
  end
end

--- The ptmx of the devpts that the mounts of a box give it; nil if there is none.
function mounts.ptmx(list)
  for i = #(list or {}), 1, -1 do
    local pts = list[i].type == "dev" and list[i].target .. "/pts"
    if pts and not is_covered(list, i, pts) then return pts .. "/ptmx" end
  end
end

--- The tmpfs that are to be read-only when all is in them: not where a later mount says otherwise of that place, and not
-- what is covered by then, as that is out of reach.
local function read_only_in_the_end(list)
  local found, said = {}, {}
  for i = #list, 1, -1 do
    local m = list[i]
    if m.type == "remount" and m.ro ~= nil then said[m.target] = true end
    if m.type == "tmpfs" and m.ro and not said[m.target] and not is_covered(list, i, m.target) then
      table.insert(found, 1, m)
    end
  end
  return found
end

--- Adds steps that say which mount they are for: where one of these may be left out.
local function of_part(m, add)
  return function(step)
    step.part = m.target
    add(step)
  end
end

--- The steps of a mount whose place is to be made in a layer that is kept, too, or anywhere.
local function making(m, add)
  local how = HOW.MKDIR + (m.mkdir == "anywhere" and HOW.ANYWHERE or 0)
  return function(step)
    step.how = (step.how or 0) + how
    add(step)
  end
end

--- The steps of all mounts, in the user's order.
function mounts.steps(list, add, found)
  local known = found.anchors
  for _, m in ipairs(list) do
    local add_one = found.has_optional and of_part(m, add) or add
    if m.mkdir then add_one = making(m, add_one) end
    anchors.before(m, add_one, known)
    mounts.kinds[m.type].steps(m, add_one, found)
    anchors.note(m, known)
  end
  for _, m in ipairs(read_only_in_the_end(list)) do
    add { op = "remount", path = m.target, flags = RDONLY, ignore = m.try and ENOENT or nil, word = "mounts",
      part = m.target }
  end
end

return mounts
