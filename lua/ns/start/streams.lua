--- How the host opens what the words stdin, stdout, stderr, fds and pty ask for. All of it is in the `bag` of the start
-- (src/core/bag.c), which closes what the process does not take out of it.
-- @module ns.start.streams
require("ns.core").nojit()
local later = require("ns.words.later").module
local core = require "ns.core"
local mounts = require "ns.words.mounts"
local seccomp = later "ns.words.seccomp"
local sources = require "ns.start.sources"
local open, ENOENT = core.constants.open, core.constants.errno.ENOENT

local streams, NONE = {}, {}

local NUMBER = { stdin = 0, stdout = 1, stderr = 2 }

local function open_flags(name, file)
  if name == "stdin" then return open.RDONLY end
  return open.WRONLY + open.CREAT + (file.append and open.APPEND or open.TRUNC)
end

--- A file for output as it is, where it is only tried: nothing is made, and nothing is cut off.
local function try_file(bag, path, rest, top)
  local fd, message, errno = bag:open(rest, open.WRONLY, top)
  if fd or errno ~= ENOENT then return fd, message, errno end
  local ok
  ok, message, errno = core.access(path:match("^.*/") or ".", 3) -- W_OK and X_OK
  if not ok then return nil, message, errno end
  return bag:null()
end

--- Is it /dev/null that stands for what the word wants?
local function is_null(name, want)
  return want.kind == "null" or want.kind == "inherit" and not core.isopen(NUMBER[name])
end

--- Opens one word in the `bag`. Returns the program's end and, for a pipe, ours.
local function open_one(bag, name, want, trial, spec)
  if want.fd then return want.fd end
  if want.path then
    local top, rest = sources.file(want.path, spec, core)
    if trial and name ~= "stdin" then return try_file(bag, want.path, rest, top) end
    return bag:open(rest, open_flags(name, want), top)
  end
  if want.kind == "pipe" then
    local r, w, errno = bag:pipe()
    if not r then return nil, w, errno end
    if name == "stdin" then return r, w end
    return w, r
  end
  if is_null(name, want) then return bag:null() end
  return NUMBER[name]
end

--- A descriptor of the host's as a program expects it: one that blocks. Its O_NONBLOCK is shared with whoever else has it,
-- the host's loop first of all, so a pipe or a terminal is opened anew. What cannot be, a socket, blocks for all from now on
-- if it is a standard stream; in `fds` it is given as it is.
local function blocking(bag, number, fd, trial)
  if core.blocks(fd) ~= false then return fd end
  local other = bag:blocking(fd)
  if not other and number <= 2 and not trial then core.block(fd) end
  return other or fd
end

local STANDARD = { "stdin", "stdout", "stderr" }
local INHERIT = { kind = "inherit" }

--- Opens the program's own terminal into `opened`: nil, or the step that was refused, errno. In a box with a devpts of its
-- own the launcher opens it, as only there it has a name inside: until then some other descriptor keeps its number.
local function open_terminal(bag, spec, around, opened)
  opened.ptmx = mounts.ptmx(around.mounts)
  if opened.ptmx then
    local kept, _, errno = bag:pipe()
    if not kept then return { op = "pipe", word = "pty" }, errno end
    opened.slave = kept
    return nil
  end
  local master, slave, path = bag:pty(spec.pty.rows, spec.pty.cols)
  if not master then return { op = "pty", path = slave, word = "pty" }, path end
  opened.pty, opened.slave, opened.console = master, slave, path
  opened.made[1] = slave
end

--- Opens what the checked spec asks for. Returns {ends = {[0..] = descriptor}, ours = {stdin=, ...}, made = {the program's
-- ends of what is made for it}}, or nil, the step that was refused, errno. `trial`: no file is made. `around`: the spec of
-- the living box that the program runs in.
function streams.open(bag, spec, trial, around)
  local opened, default = { ends = {}, ours = {}, made = {} }, INHERIT
  if spec.pty then
    local step, errno = open_terminal(bag, spec, around or spec, opened)
    if step then return nil, step, errno end
    default = { fd = opened.slave }
  end
  for i = 1, 3 do
    local name = STANDARD[i]
    local want = spec[name] or name == "stdin" and spec.input and not spec.pty and { kind = "pipe" } or default
    if want.kind == "stdout" then
      opened.ends[2] = opened.ends[1]
    else
      local theirs, ours, errno = open_one(bag, name, want, trial, around or spec)
      if not theirs then
        local path = want.path or is_null(name, want) and "/dev/null" or nil
        local below = want.path and sources.file(want.path, around or spec, core)
        return nil, { op = path and "open" or "pipe", path = path, below = below, word = name }, errno
      end
      opened.ends[NUMBER[name]] = ours and theirs or blocking(bag, NUMBER[name], theirs, trial)
      opened.ours[name] = ours
      if ours then opened.made[#opened.made + 1] = theirs end
    end
  end
  for number, want in next, spec.fds or NONE do opened.ends[number] = blocking(bag, number, want.fd, trial) end
  if spec.seccomp and seccomp.traces(spec) then
    local refusals, fd, errno = core.trace(bag)
    if not refusals then return nil, { op = "memfd", word = "seccomp", part = "trace" }, errno end
    opened.refusals, opened.trace = refusals, fd
  end
  return opened
end

--- The names of what `streams.open` would open, in the place of descriptors.
function streams.names(spec)
  local ends, kinds = {}, { null = "/dev/null", pipe = "a pipe" }
  for name, number in pairs(NUMBER) do
    local want = spec[name] or name == "stdin" and spec.input and { kind = "pipe" } or {}
    ends[number] = want.fd or want.path or kinds[want.kind] or spec.pty and "the new terminal" or number
  end
  if spec.stderr and spec.stderr.kind == "stdout" then ends[2] = ends[1] end
  for number, want in pairs(spec.fds or {}) do ends[number] = want.fd end
  local slave = spec.pty and "the new terminal" or nil
  local trace = spec.seccomp and seccomp.traces(spec) and "shared memory" or nil
  return { ends = ends, made = {}, slave = slave, console = slave, ptmx = slave and mounts.ptmx(spec.mounts), trace = trace }
end

--- The host's descriptors that must live on into the launcher: a list, in which one may stand more than once.
function streams.inherited(found)
  local list = { found.slave }
  list[#list + 1] = found.trace
  for _, fd in next, found.ends do list[#list + 1] = fd end
  for _, fd in next, found.trees do
    if fd then list[#list + 1] = fd end
  end
  for _, fd in next, found.group and found.group.opened or NONE do
    if fd then list[#list + 1] = fd end
  end
  for _, fd in next, found.join and found.join.fds or NONE do list[#list + 1] = fd end
  return list
end

return streams
