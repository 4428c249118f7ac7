--- The options of bubblewrap (bwrap(1)), each a row: how many values it has, and what it says of the box.
--
-- What is gathered: `ops`, the mounts in their order; `flags`, the namespaces; `env`, `caps`, `fds`, and one field a word.
-- `perms`, `size` and `lowers` are for the option that comes next.
-- @module ns.nsbox.bwrap_options
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local values = require "ns.nsbox.values"

local options = {}

local function die(text, ...) return fail.with(1, text, ...) end

--- The number of an open descriptor.
function options.descriptor(text, option)
  local fd = text:find "^%d+$" and tonumber(text)
  if not fd or not core.isopen(fd) then die("Invalid fd: %s for %s", text, option) end
  return fd
end

--- All that can be read from a descriptor, which is used up then.
local function read_all(given, text, option)
  local fd = options.descriptor(text, option)
  given.used[fd] = true
  local data, message = values.with_descriptor(fd, "r", function(f) return f:read "*a" end)
  return data or die("Can't read %s data: %s", option, message)
end

options.read_all = read_all

local function inside(path) return path:sub(1, 1) == "/" and path or "/" .. path end

--- Takes what an option before has said for this one.
local function take(given, name, default)
  local value = given[name]
  given[name] = nil
  return value or default
end

--- Adds a mount, whose place is made where it is missing, as bubblewrap makes it.
local function add(given, op)
  op.target, op.mkdir = inside(op.target), "anywhere"
  given.ops[#given.ops + 1] = op
  return op
end

-- ---- mounts ----

local function bind(fields)
  return function(given, source, target)
    local whole = values.absolute(source, true)
    if not fields.try and not core.access(whole, 0) then
      die("Can't find source path %s: No such file or directory", source)
    end
    local op = add(given, { type = "bind", source = whole, target = target, nofollow = false })
    for name, value in pairs(fields) do op[name] = value end
  end
end

local function bind_fd(ro)
  return function(given, fd, target, option)
    local number = options.descriptor(fd, option)
    given.used[number] = true
    add(given, { type = "bind", source = number, target = target, ro = ro })
  end
end

--- Directories above a place, which nobody else may enter where nobody else may what is in them.
local function add_parents(given, target, mode)
  local bits = 493 -- 0755
  if math.floor(mode / 8) % 8 == 0 then bits = bits - 40 end
  if mode % 8 == 0 then bits = bits - 5 end
  if bits == 493 then return end
  for above in inside(target):gmatch "()/" do
    local path = inside(target):sub(1, above - 1)
    if path ~= "" then add(given, { type = "dir", target = path, mode = bits }) end
  end
end

local function dir(given, target)
  local mode = take(given, "perms", 493)
  add_parents(given, target, mode)
  add(given, { type = "dir", target = target, mode = mode })
end

local function tmpfs(given, target)
  add(given, { type = "tmpfs", target = target, mode = take(given, "perms", 493), size = take(given, "size") })
end

--- A file with the bytes of a descriptor: `over`, a mount of its own over a file that is made empty where it is missing.
local function file(over, ro, mode)
  return function(given, fd, target, option)
    local data, perms = read_all(given, fd, option), take(given, "perms", mode)
    add_parents(given, target, perms)
    if over then add(given, { type = "file", target = target, data = "", mode = 292 }) end -- 0444
    add(given, { type = "file", target = target, data = data, mode = perms, ro = ro })
  end
end

local function chmod(given, mode, path)
  for i = #given.ops, 1, -1 do
    local op = given.ops[i]
    if op.target == inside(path) and op.mode then
      op.mode = options.mode(mode)
      return
    end
  end
  die("--chmod %s: only what an option before has made can be changed", path)
end

--- The number of an octal mode.
function options.mode(text)
  local mode = text:find "^[0-7]+$" and tonumber(text, 8)
  if not mode or mode > 4095 then die("--perms takes an octal argument <= 07777, not %s", text) end
  return mode
end

local MOST_BYTES = 9007199254740992

local function size(given, text)
  local bytes = text:find "^%d+$" and tonumber(text)
  if given.size then die "--size given twice for the same action" end
  if not bytes or bytes < 1 or bytes > MOST_BYTES then die("--size takes a non-zero number of bytes, not '%s'", text) end
  given.size = bytes
end

local function lowers(given, option, least)
  local list = take(given, "lowers", {})
  if #list < least then die("%s requires at least %s --overlay-src", option, least == 1 and "one" or "two") end
  return list
end

local function overlay(given, upper, work, target)
  add(given, { type = "overlay", lower = lowers(given, "--overlay", 1), upper = values.absolute(upper, true),
    work = values.absolute(work, true), target = target })
end

-- ---- the rest ----

local function flag(...)
  local names = { ... }
  return function(given)
    for _, name in ipairs(names) do given.flags[name] = true end
  end
end

local function word(name, value)
  return function(given) given[name] = value end
end

local function number(name)
  return function(given, text)
    given[name] = text:find "^%d+$" and tonumber(text) or die("Invalid %s: %s", name, text)
  end
end

local function capability(take_)
  return function(given, name)
    given.caps[#given.caps + 1] = { name:lower():gsub("^cap_", ""), take_ }
  end
end

local function missing(why)
  return function(_, _, option) die("%s is not to be had: %s", option, why) end
end

local function used(name)
  return function(given, fd, option)
    given[name] = options.descriptor(fd, option)
    given.used[given[name]] = true
  end
end

--- A descriptor that is written to while the program runs: whether it can be is known before.
local function written(name)
  return function(given, text, option)
    used(name)(given, text, option)
    local can, message = values.with_descriptor(given[name], "w", function() return true end)
    if not can then die("Can't write %s data: %s", option, message) end
  end
end

local function nothing() end

options.rows = {
  ["--bind"] = { 2, bind {} }, ["--bind-try"] = { 2, bind { try = true } },
  ["--dev-bind"] = { 2, bind { dev = true } }, ["--dev-bind-try"] = { 2, bind { dev = true, try = true } },
  ["--ro-bind"] = { 2, bind { ro = true } }, ["--ro-bind-try"] = { 2, bind { ro = true, try = true } },
  ["--bind-fd"] = { 2, bind_fd(nil) }, ["--ro-bind-fd"] = { 2, bind_fd(true) },
  ["--remount-ro"] = { 1, function(given, target)
    given.ops[#given.ops + 1] = { type = "remount", target = inside(target), ro = true }
  end },
  ["--proc"] = { 1, function(given, target) add(given, { type = "proc", target = target }) end },
  ["--dev"] = { 1, function(given, target) add(given, { type = "dev", target = target }) end },
  ["--mqueue"] = { 1, function(given, target) add(given, { type = "mqueue", target = target }) end },
  ["--tmpfs"] = { 1, tmpfs }, ["--dir"] = { 1, dir }, ["--file"] = { 2, file(false, false, 438) },
  ["--bind-data"] = { 2, file(true, false, 384) }, ["--ro-bind-data"] = { 2, file(true, true, 384) },
  ["--symlink"] = { 2, function(given, to, target) add(given, { type = "symlink", target = target, to = to }) end },
  ["--overlay-src"] = { 1, function(given, path)
    given.lowers = given.lowers or {}
    table.insert(given.lowers, 1, values.absolute(path, true)) -- the last one lies on top
  end },
  ["--overlay"] = { 3, overlay },
  ["--tmp-overlay"] = { 1, function(given, target)
    add(given, { type = "overlay", lower = lowers(given, "--tmp-overlay", 1), target = target })
  end },
  ["--ro-overlay"] = { 1, function(given, target)
    add(given, { type = "overlay", lower = lowers(given, "--ro-overlay", 2), target = target, ro = true })
  end },
  ["--perms"] = { 1, function(given, text)
    if given.perms then die "--perms given twice for the same action" end
    given.perms = options.mode(text)
  end },
  ["--size"] = { 1, size }, ["--chmod"] = { 2, chmod },

  ["--unshare-all"] = { 0, flag("user", "ipc", "pid", "net", "uts", "cgroup") },
  ["--unshare-user"] = { 0, flag "user" }, ["--unshare-user-try"] = { 0, flag "user" },
  ["--unshare-ipc"] = { 0, flag "ipc" }, ["--unshare-pid"] = { 0, flag "pid" }, ["--unshare-net"] = { 0, flag "net" },
  ["--unshare-uts"] = { 0, flag "uts" }, ["--unshare-cgroup"] = { 0, flag "cgroup" },
  ["--unshare-cgroup-try"] = { 0, flag "cgroup" },
  ["--share-net"] = { 0, function(given) given.flags.net = nil end },
  ["--userns"] = { 1, used "userns" }, ["--pidns"] = { 1, used "pidns" },
  ["--userns2"] = { 1, missing "a second user namespace, after the mounts, is not entered" },
  ["--disable-userns"] = { 0, word("disable_userns", true) },
  ["--assert-userns-disabled"] = { 0, word("assert_disabled", true) },
  ["--uid"] = { 1, number "uid" }, ["--gid"] = { 1, number "gid" },
  ["--hostname"] = { 1, function(given, name) given.hostname = name end },

  ["--chdir"] = { 1, function(given, path)
    if given.cwd then options.warn(given, "Only the last --chdir option will take effect") end
    given.cwd = inside(path)
  end },
  ["--clearenv"] = { 0, function(given) given.env, given.clear_env = {}, true end },
  ["--setenv"] = { 2, function(given, name, value) given.env[name] = value end },
  ["--unsetenv"] = { 1, function(given, name) given.env[name] = false end },
  ["--argv0"] = { 1, function(given, name) given.argv0 = name end },

  ["--lock-file"] = { 1, function(given, path) table.insert(given.locks, inside(path)) end },
  ["--sync-fd"] = { 1, used "sync" }, -- it is open as long as we are
  ["--block-fd"] = { 1, missing "the program begins as soon as its box stands" },
  ["--userns-block-fd"] = { 1, missing "the user namespace is made with its maps" },
  ["--info-fd"] = { 1, written "info" }, ["--json-status-fd"] = { 1, written "status" },
  ["--seccomp"] = { 1, function(given, fd, option)
    if given.bpf then die("%s: there can be one filter", option) end
    given.bpf = read_all(given, fd, option)
  end },
  ["--exec-label"] = { 1, missing "labels of SELinux are not set" },
  ["--file-label"] = { 1, missing "labels of SELinux are not set" },

  ["--new-session"] = { 0, word("session", true) }, ["--die-with-parent"] = { 0, word("die_with_parent", true) },
  ["--as-pid-1"] = { 0, word("as_pid_1", true) },
  ["--cap-add"] = { 1, capability(true) }, ["--cap-drop"] = { 1, capability(false) },
  ["--level-prefix"] = { 0, word("prefix", "<4>") }, ["--not-a-security-boundary"] = { 0, nothing },
}
options.rows["--add-seccomp-fd"] = options.rows["--seccomp"]

--- Says something that is no failure.
function options.warn(given, text)
  io.stderr:write(given.prefix or "", "bwrap: ", text, "\n")
end

-- What --perms and --size may stand before.
local SHAPED = { ["--perms"] = true, ["--size"] = true, ["--dir"] = true, ["--tmpfs"] = true, ["--file"] = true,
  ["--bind-data"] = true, ["--ro-bind-data"] = true }

--- What is said for the next mount is a mistake before any other option.
function options.check_pending(given, option)
  if given.lowers and not option:find "overlay" then
    die "--overlay-src must be followed by another --overlay-src or one of --overlay, --tmp-overlay, or --ro-overlay"
  end
  if (given.perms or given.size) and not SHAPED[option] then
    die("%s must be followed by an option that creates a file or directory", given.perms and "--perms" or "--size")
  end
end

return options
