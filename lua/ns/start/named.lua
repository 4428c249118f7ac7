--- Boxes with a name: where their sockets are, what a later host is told of a box, and how one outlives its host.
--
-- A box is what its init says: no file tells of it but the socket that the init listens on. A socket that nobody listens on
-- is what a box has left that has ended; whoever comes across it takes it away, one at a time.
-- @module ns.start.named
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local errors = require "ns.start.errors"
local plan = require "ns.start.plan"
local values = require "ns.start.values"

local errno_of = core.constants.errno

local named = {}

-- Seconds until an init that does not answer is given up: somebody has stopped it.
local PATIENCE = 5

--- A name: letters, digits, "_", "-", ".", which does not begin with "-" or ".".
function named.check(value, where)
  check.sized(1, 64)(value, where)
  if not value:find("^[A-Za-z0-9_][A-Za-z0-9_.-]*$") then
    check.fail(where, "letters, digits, '_', '-' and '.' expected, got '%s'", value)
  end
  return value
end

-- ---- the directories ----

--- Where names are looked for. They are made in the first one: the user's own directory of this login session, if there is
-- one; a script without a session (cron) finds that, too. Root's are not in /tmp, which boxes are given more often: whoever
-- may read the directory may ask what it has the names of.
local function directories()
  local uid, list = core.ids().euid, {}
  for _, base in ipairs { os.getenv "XDG_RUNTIME_DIR" or "", ("/run/user/%d"):format(uid) } do
    local directory = base .. "/ns"
    local is_ours = base:sub(1, 1) == "/" and core.owner(base) == uid
    if is_ours and directory ~= list[1] then list[#list + 1] = directory end
  end
  if uid == 0 and core.access("/run", 2) then list[#list + 1] = "/run/ns-user-0" end -- W_OK
  list[#list + 1] = ("/tmp/ns-user-%d"):format(uid)
  return list
end

--- f(fd) of a directory that is opened `how` ("look", "sweep", "make"): what that returns; or nil, message, errno.
local function within(path, how, f)
  local bag = core.bag()
  local fd, message, errno
  repeat fd, message, errno = core.named_directory(bag, path, how) until fd or errno ~= errno_of.EINTR
  if not fd then
    bag:close()
    return nil, message, errno
  end
  local done, result, why, code = pcall(f, fd, bag)
  bag:close()
  if not done then error(result, 0) end
  return result, why, code
end

--- Takes away the socket of that name, or all, where nobody listens any more; the names of the sockets that are left. Where
-- somebody keeps the directory locked, nothing is taken away.
local function sweep(path, name)
  local may_remove = true
  local function look(fd)
    local left = {}
    for _, entry in ipairs(core.entries(path) or {}) do
      local lives, is_socket = true, true
      if not name or entry.name == name then lives, is_socket = core.named_lives(fd, entry.name) end
      if lives and is_socket then left[#left + 1] = entry.name end
      if not lives and may_remove then core.named_unlink(fd, entry.name) end
    end
    if #left == 0 and may_remove then core.named_rmdir(path) end -- not if there is something else
    return left
  end
  local left, message, errno = within(path, "sweep", look)
  if errno ~= errno_of.EBUSY then return left, message, errno end
  may_remove = false
  return within(path, "look", look)
end

--- The names of all that live, in order.
function named.list()
  local known, list = {}, {}
  for _, path in ipairs(directories()) do
    for _, name in ipairs(sweep(path) or {}) do
      if not known[name] then list[#list + 1] = name end
      known[name] = true
    end
  end
  table.sort(list)
  return list
end

--- Takes away what a box of that name has left, if it has ended.
function named.forget(name)
  for _, path in ipairs(directories()) do sweep(path, name) end
end

--- A socket that listens under that name, in the bag, and which directory it is in; or nil, step, errno: EADDRINUSE where
-- there is one.
local function claim(bag, name)
  local list = directories()
  local taken = { op = "name", path = name }
  for i = 2, #list do
    if within(list[i], "look", function(fd) return core.named_lives(fd, name) end) then
      return nil, taken, errno_of.EADDRINUSE
    end
  end
  local entered, directory
  local listener, _, errno = within(list[1], "make", function(fd)
    entered, directory = true, core.named_identity(fd)
    local socket, message, why = core.named_listen(bag, fd, name)
    if socket or why ~= errno_of.EADDRINUSE then return socket, message, why end
    local lives, is_socket = core.named_lives(fd, name)
    if not is_socket then taken.other = ("%s/%s"):format(list[1], name) end
    if lives then return nil, message, why end
    core.named_unlink(fd, name)
    return core.named_listen(bag, fd, name)
  end)
  if listener then return listener, directory end
  return nil, entered and taken or { op = "names", path = list[1] }, errno
end

-- ---- what a later host is told ----

-- What the streams of one program are is not the box's: neither told, nor believed. A program of this user that may trace
-- the init can answer in its place, and these words open what is the host's.
local STREAMS = { stdin = true, stdout = true, stderr = true, fds = true, input = true, argv = true, tty = true, pty = true }

--- What of a value is plain all through: no object, no function. `without`: keys that are left out.
local function plain(value, without)
  local kind = type(value)
  if kind ~= "table" then return (kind == "string" or kind == "number" or kind == "boolean") and value or nil end
  if getmetatable(value) then return nil end
  local result = {}
  for key, v in next, value do
    if type(key) ~= "table" and not (without and without[key]) then result[key] = plain(v) end
  end
  return result
end

--- The bytes of a STATE (src/plan.h). If what is in here changes, PROTOCOL is to be raised there. `names`: what of `found`.
local function encode(box, names)
  local found, spec = {}, plain(box.spec, STREAMS)
  for _, name in ipairs(names) do found[name] = plain(box.found[name]) end
  for word, value in next, box.spec do -- of what confines each program nothing may be left out
    if plan.words[word] and plan.words[word].scope == "within" then spec[word] = value end
  end
  return assert(values.encode("box", { n = 1, {
    name = box.name, started = box.started, argv = plain(box.argv), stay = box.stay, file = box.file,
    words = plain(box.words, STREAMS), spec = spec, limits = plain(box.limits), cwd = box.cwd,
    known_ids = plain(box.known_ids), left_out = plain(box.left_out), published = plain(box.published),
    found = found, group_path = box.group and box.group:path() } }))
end

--- Are what all programs of the box have words of a program, with values that may be given?
local function are_words(words)
  for word, value in next, words do
    local row = plan.words[word]
    local is_of_programs = row and (row.scope == "job" or row.scope == "rights")
    if not row or is_of_programs and row.check and not pcall(row.check, value, word) then return false end
  end
  return true
end

local function is_state(state)
  return type(state) == "table" and type(state.name) == "string" and type(state.words) == "table"
    and type(state.spec) == "table" and type(state.found) == "table" and type(state.known_ids) == "table"
    and type(state.found.program) == "table" and type(state.spec.flags) == "table" and are_words(state.words)
end

-- ---- a conversation ----

local function refused(name, errno, hint) return errors.refused({ op = "container", path = name, hint = hint }, errno) end

local function connect(path, name)
  local protocol, state
  local handle, message, errno = within(path, "look", function(fd)
    local one, what, more
    repeat one, what, more = core.named_connect(fd, name, PATIENCE) until one or more ~= errno_of.EINTR
    if one then protocol, state = what, more end
    return one, what, more
  end)
  if not handle then return nil, message, errno end
  return handle, protocol, state
end

--- A box that lives, by its name, as `ns.start.living` knows one, but for its job words; or nil, message, errno, detail.
function named.find(name)
  local errno = errno_of.ENOENT
  for _, path in ipairs(directories()) do
    local handle, protocol, bytes = connect(path, name)
    if handle and protocol ~= core.protocol then
      handle:close()
      return refused(name, errno_of.ENOPROTOOPT,
        ("it was started by another version of ns (protocol %x, this one speaks %x)"):format(protocol, core.protocol))
    end
    local _, list = values.decode(bytes or "")
    local box = list and list[1]
    if handle and is_state(box) then
      box.words, box.spec = plain(box.words, STREAMS), plain(box.spec, STREAMS)
      box.handle, box.pid = handle, handle:pid()
      return box
    end
    if handle then handle:close() end
    if handle or bytes ~= errno_of.ENOENT and bytes ~= errno_of.ECONNREFUSED then errno = bytes end
  end
  return refused(name, type(errno) == "number" and errno or errno_of.EAGAIN)
end

-- ---- the start of one ----

--- What the init is given besides (BOX_* in src/plan.h), in the bag: a list of descriptors, and the end of a pipe that the
-- program writes into, if its output is kept; or nil, step, errno. The list has `directory`, the one of its socket.
function named.prepare(bag, name, keeps_output)
  local listener, directory, why = claim(bag, name)
  if not listener then return nil, directory, why end
  local state, _, errno = core.memfd(bag, 0)
  if not state then return nil, { op = "memfd" }, errno end
  if not keeps_output then return { listener, state, directory = directory } end
  local output, into, lost = bag:pipe()
  if not output then return nil, { op = "pipe" }, lost end
  local log, _, refusal = core.memfd(bag, core.log_size)
  if not log then return nil, { op = "memfd" }, refusal end
  return { listener, state, output, log, directory = directory }, into
end

--- Tells the init of a box that was launched with these descriptors what later hosts are to know: true; or nil, step, errno.
-- `names`: what holds for programs of what was found for the box.
function named.publish(box, fds, names)
  local ok, _, errno = core.named_write(fds[2], encode(box, names))
  if ok and fds[4] then ok, _, errno = core.named_protect(fds[4]) end
  return ok, { op = "memfd" }, errno
end

--- From now on the box with this handle outlives us: true; or nil, step, errno.
function named.keep(handle)
  local ok, _, errno
  repeat ok, _, errno = handle:keep(PATIENCE) until ok or errno ~= errno_of.EINTR
  if ok then handle:detach() end
  return ok, { op = "serve" }, errno
end

return named
