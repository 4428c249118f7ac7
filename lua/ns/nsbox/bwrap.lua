--- nsbox bwrap: the options of bubblewrap, as words of a box. A link of the name bwrap to nsbox is the same.
-- @module ns.nsbox.bwrap
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local ns = require "ns"
local options = require "ns.nsbox.bwrap_options"
local values = require "ns.nsbox.values"
local watch = require "ns.nsbox.bwrap_watch"

local bwrap = { summary = "Takes the options of bubblewrap: nsbox bwrap --help lists them." }

local function die(text, ...) return fail.with(1, text, ...) end

local VERSION = "bubblewrap 0.12.0 (nsbox)"

-- ---- what is typed ----

local function help(name)
  local list = {}
  for option, row in pairs(options.rows) do list[#list + 1] = ("    %-28s"):format(option .. (" VALUE"):rep(row[1])) end
  table.sort(list)
  print(("usage: %s [OPTIONS...] [--] COMMAND [ARGS...]\n\nThe options are those of bwrap(1):\n\n%s"):format(name,
    table.concat(list, "\n"):gsub(" +\n", "\n")))
end

--- The words in a text, each with a NUL behind it; the last one may lack that.
local function split(text)
  local list = {}
  for word in (text:find "%Z$" and text .. "\0" or text):gmatch "(%Z*)%z" do list[#list + 1] = word end
  return list
end

--- Reads options from a list of words up to the program; those of --args come first. Where the program begins.
local function read(given, words)
  local i = 1
  while words[i] and words[i]:find "^%-" do
    local option = words[i]
    if option == "--" then return i + 1 end
    if option == "--args" then
      read(given, split(options.read_all(given, words[i + 1] or "", option)))
      i = i + 2
    else
      local row = options.rows[option] or die("Unknown option %s", option)
      if not words[i + row[1]] then die("%s takes %d argument%s", option, row[1], row[1] == 1 and "" or "s") end
      options.check_pending(given, option)
      local said = {}
      for j = 1, row[1] do said[j] = words[i + j] end
      said[row[1] + 1] = option
      row[2](given, said[1], said[2], said[3], said[4])
      i = i + row[1] + 1
    end
  end
  if given.lowers then options.check_pending(given, "") end
  return i
end

--- The descriptors that came with us, and are the program's, too: all that no option has used.
local function inherited(used)
  local fds = {}
  for _, entry in ipairs(core.entries "/proc/self/fd" or {}) do
    local fd = tonumber(entry.name)
    local flags = fd and fd > 2 and not used[fd] and values.flags_of(fd)
    if flags and math.floor(flags / 524288) % 2 == 0 then fds[fd] = fd end -- not O_CLOEXEC
  end
  return fds
end

--- What is typed, as ns.nsbox.bwrap_options gathers it; the program in `argv`. `own`: the words by which we were called.
function bwrap.parse(words, name, own)
  local given = { ops = {}, flags = {}, env = {}, caps = {}, used = {}, locks = {}, name = name, own = own }
  local typed = {}
  for i = 2, #words do typed[i - 1] = words[i] end
  given.only = typed[1] == "--help" and "help" or typed[1] == "--version" and "version" or nil
  if given.only then return given end
  local first = read(given, typed)
  given.argv = {}
  for i = first, #typed do given.argv[i - first + 1] = typed[i] end
  if not given.argv[1] then die("usage: %s [OPTIONS...] [--] COMMAND [ARGS...]", name) end
  return given
end

-- ---- the words ----

-- What a mount on "/" makes of the root.
local ROOTS = {
  tmpfs = function(words, op)
    words.root, words.read_only = { tmpfs = true, size = op.size, mode = op.mode }, false
  end,
  overlay = function(words, op)
    words.root = { lower = op.lower, upper = op.upper, work = op.work }
    words.read_only = op.ro
  end,
  bind = function(words, op, list)
    words.root, words.read_only = op.source, op.ro or false
    -- The parts of the host's "/" have devices, those of any other directory have not.
    if op.source == "/" and not op.dev then list[1] = { type = "remount", target = "/", recursive = true, dev = false } end
  end,
}

--- The root: what the last option for "/" says; what came before it is covered by that. A --dir finds it there.
local function root_of(given, words)
  local base, list = { type = "tmpfs", mode = 493 }, {}
  for _, op in ipairs(given.ops) do
    if op.target ~= "/" or op.type == "remount" then
      list[#list + 1] = op
    elseif op.type ~= "dir" and not (op.try and not core.access(op.source, 0)) then
      base, list = op, {}
    end
  end
  local make = ROOTS[base.type] or die("%s on / is not to be had: the root is a bind, a tmpfs or an overlay", base.type)
  local first = {}
  make(words, base, first)
  for _, op in ipairs(list) do first[#first + 1] = op end
  return first
end

local function check_ids(given, host)
  if not given.flags.user and not given.userns then
    if given.uid and given.uid ~= host.euid then die "Specifying --uid requires --unshare-user or --userns" end
    if given.gid and given.gid ~= host.egid then die "Specifying --gid requires --unshare-user or --userns" end
    if given.disable_userns then die "--disable-userns requires --unshare-user" end
  end
  if given.hostname and not given.flags.uts then die "Specifying --hostname requires --unshare-uts" end
end

--- The capabilities: root keeps all but what is dropped, everybody else has none but what is added.
local function caps_of(given, is_root)
  if is_root and #given.caps == 0 and not given.disable_userns then return nil end
  local set, list = {}, {}
  local function put(name, value)
    if name == "all" then
      for each in pairs(values.caps(given.flags.user)) do set[each] = value end
    elseif not core.constants.cap[name:upper()] then
      die("unknown cap: %s", name)
    else
      set[name] = value
    end
  end
  if is_root then put("all", true) end
  for _, row in ipairs(given.caps) do put(row[1], row[2] or nil) end
  if given.disable_userns then set.sys_resource = nil end -- it could allow them again
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

--- The mounts as the kinds of ns have them.
local function mounts_of(given, list, is_root)
  for i, op in ipairs(list) do
    if op.type == "proc" and not (given.flags.pid or given.pidns) then
      list[i] = { type = "bind", source = "/proc", target = op.target, mkdir = "anywhere" }
    elseif op.type == "proc" and not is_root then
      op.protect = false -- so that a further /proc can be mounted inside
    end
  end
  return list
end

local function env_of(given, cwd)
  local env = given.env
  if env.PWD == nil then env.PWD = cwd end
  return env
end

local function fd_path(fd) return fd and ("/proc/self/fd/%d"):format(fd) or nil end

--- The spec of what was typed.
function bwrap.spec(given)
  local host = core.ids()
  local is_root = host.euid == 0
  if not is_root and not given.userns then given.flags.user = true end
  check_ids(given, host)
  local words = { argv = given.argv, argv0 = given.argv0, flags = { "mount" }, no_new_privs = true, keyring = "inherit",
    hostname = given.hostname, session = given.session, clear_env = given.clear_env, optional = {},
    disable_userns = given.disable_userns, caps = caps_of(given, is_root), fds = inherited(given.used) }
  for name in pairs(given.flags) do words.flags[#words.flags + 1] = name end
  if given.flags.cgroup then table.insert(words.optional, "flags.cgroup") end
  if given.flags.user then
    words.uid_map = { { given.uid or host.euid, host.euid, 1 } }
    words.gid_map = { { given.gid or host.egid, host.egid, 1 } }
  end
  if given.userns or given.pidns then words.join = { user = fd_path(given.userns), pid = fd_path(given.pidns) } end
  words.mounts = mounts_of(given, root_of(given, words), is_root)
  words.init = given.flags.pid and not given.as_pid_1 or nil
  words.cwd = given.cwd or core.readlink "/proc/self/cwd"
  if not given.cwd then table.insert(words.optional, "cwd") end
  words.env = env_of(given, words.cwd)
  if given.bpf then words.seccomp = { bpf = given.bpf } end
  words.tty = not given.session and core.window(0) ~= nil or nil
  return words
end

-- ---- the run ----

--- Refused, in bubblewrap's words where its callers look for them.
local function refused(given, message, _, detail)
  local what = detail or {}
  if what.step == "symlink" and what.code == "EEXIST" then
    die("Can't make symlink at %s: existing destination is %s", what.path, core.readlink(what.path) or "no link")
  end
  if what.step == "exec" then die("execvp %s: %s", given.argv[1], message) end
  return die("%s", message)
end

local function assert_disabled(given)
  if given.disable_userns then return end
  if ns.check { "/proc/self/exe", flags = "user" } then die "user namespaces are not disabled" end
end

local function start(given)
  if given.assert_disabled then assert_disabled(given) end
  if given.argv[1] == "/proc/self/exe" then -- bubblewrap itself, to its callers
    table.remove(given.argv, 1)
    for i, word in ipairs(given.own) do table.insert(given.argv, i, word) end
  end
  local p, message, errno, detail = ns.spawn(bwrap.spec(given))
  if not p then return refused(given, message, errno, detail) end
  return p
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function bwrap.run(given)
  if given.only == "help" then return help(given.name) end
  if given.only == "version" then return print(VERSION) end
  return watch.run(given, start)
end

return bwrap
