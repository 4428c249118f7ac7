--- The program's descriptors: what the words stdin, stdout, stderr and fds may be, how the host opens them, and the steps
-- that put them in place. Everything else is closed.
-- @module ns.words.stdio
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local process = require "ns.running.process"
local stream = require "ns.running.stream"
local open, ENOENT = core.constants.open, core.constants.errno.ENOENT

local stdio, NONE = {}, {}

local OUTPUT = { stdout = true, stderr = true }
local NUMBER = { stdin = 0, stdout = 1, stderr = 2 }
local descriptor = check.integer(0, 2147483647)

local function method(value, name)
  local ok, found = pcall(function() return value[name] end)
  return ok and type(found) == "function" and found or nil
end

--- The descriptor of a Lua file: what was written comes before what the program writes, and the program reads on where Lua
-- has stopped.
local function number_of_file(file, where)
  local fd = io.type(file) == "file" and core.fileno(file)
  if not fd then check.fail(where, "the file is closed, or has no descriptor") end
  local ahead = not OUTPUT[where] and core.ahead(file) or 0
  if ahead > 0 and not file:seek() then
    check.fail(where, "Lua has read %d bytes ahead, and this file cannot go back", ahead)
  end
  file:flush()
  return fd
end

--- Ours has getfd, too: a process's tells only of its end, and a stream has one direction.
local function check_ours(value, where)
  local other = where == "stdin" and "stdout" or OUTPUT[where] and "stdin"
  if process.is(value) then
    check.fail(where, "a process; did you mean %s?", other and "its " .. other or "a stream of it")
  elseif stream.is(value) and other and not value[other == "stdin" and "input" or "output"] then
    check.fail(where, "a stream of the other direction; did you mean %s?", other)
  end
end

--- The descriptor of a number, a Lua file, or an object with getfd or fileno; nil if it is none of these.
local function number_of(value, where)
  local fd
  if type(value) == "number" then
    fd = descriptor(value, where)
  elseif io.type(value) then
    fd = number_of_file(value, where)
  else
    local get = method(value, "getfd") or method(value, "fileno")
    if not get then return nil end
    check_ours(value, where)
    fd = descriptor(get(value), where .. ":getfd()")
  end
  if not core.isopen(fd) then check.fail(where, "descriptor %d is not open", fd) end
  return fd
end

local file_fields = { path = check.path, append = check.boolean }

local function check_file(value, where, name)
  local file = check.record(file_fields)(value, where)
  if not file.path then check.fail(where .. ".path", "missing") end
  if file.append ~= nil and name == "stdin" then check.fail(where .. ".append", "only for output") end
  return file
end

local KINDS = {
  stdin = { inherit = true, null = true, pipe = true },
  stdout = { inherit = true, null = true, pipe = true },
  stderr = { inherit = true, null = true, pipe = true, stdout = true },
}

--- Is this what run takes as stdin: no word for a kind, but what is to be fed?
function stdio.is_input(value)
  return type(value) == "string" and not KINDS.stdin[value]
end

--- The same words, in which a string as stdin that is to be fed has become input.
function stdio.feed(words)
  if stdio.is_input(words.stdin) and not words.input then words.input, words.stdin = words.stdin, nil end
  return words
end

--- What is to be fed to stdin: any bytes.
function stdio.check_input(value, where)
  if type(value) ~= "string" then check.fail(where, "string expected, got %s", type(value)) end
  return value
end

--- One of the three words -> {kind=...}, {fd=...} or {path=...}. The checked spec keeps what the descriptor belongs to: a
-- collector that comes during the start would close it, and another get its number.
function stdio.check(value, where)
  local name = where:match("%a+$")
  if type(value) == "string" then
    if not KINDS[name][value] then
      local near = check.nearest(value, KINDS[name])
      check.fail(where, "unknown kind '%s'%s", value, near ~= "" and near or "; a file is { path = '...' }")
    end
    return { kind = value }
  end
  local fd = number_of(value, where)
  if fd then return { fd = fd, owner = value } end
  if type(value) == "table" then return check_file(value, where, name) end
  check.fail(where, "'inherit', 'null', 'pipe', a file, a descriptor or {path=...} expected, got %s", type(value))
end

--- {[number inside] = file or descriptor} -> {[number] = {fd=...}}.
function stdio.check_fds(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local fds = {}
  for key, v in next, value do
    local at = check.at(where, key)
    check.integer(3, 1048575)(key, at)
    local fd = number_of(v, at) or check.fail(at, "a file or a descriptor expected, got %s", type(v))
    fds[key] = { fd = fd, owner = v }
  end
  return fds
end

local function open_flags(name, file)
  if name == "stdin" then return open.RDONLY end
  return open.WRONLY + open.CREAT + (file.append and open.APPEND or open.TRUNC)
end

--- A file for output as it is, where it is only tried: nothing is made, and nothing is cut off.
local function try_file(bag, path)
  local fd, message, errno = bag:open(path, open.WRONLY)
  if fd or errno ~= ENOENT then return fd, message, errno end
  local ok
  ok, message, errno = core.access(path:match("^.*/") or ".", 3) -- W_OK and X_OK
  if not ok then return nil, message, errno end
  return bag:open("/dev/null", open.RDWR)
end

--- Opens one word in the `bag`. Returns the program's end and, for a pipe, ours.
local function open_one(bag, name, want, trial)
  if want.fd then return want.fd end
  if want.path and trial and name ~= "stdin" then return try_file(bag, want.path) end
  if want.path then return bag:open(want.path, open_flags(name, want)) end
  if want.kind == "pipe" then
    local r, w, errno = bag:pipe()
    if not r then return nil, w, errno end
    if name == "stdin" then return r, w end
    return w, r
  end
  if want.kind == "inherit" and core.isopen(NUMBER[name]) then return NUMBER[name] end
  return bag:open("/dev/null", open.RDWR)
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

--- Opens what the checked spec asks for. Returns {ends = {[0..] = descriptor}, ours = {stdin=, ...}, made = {the program's
-- ends of what is made for it}}, or nil, the step that was refused, errno. `trial`: no file is made.
function stdio.open(bag, spec, trial)
  local opened, default = { ends = {}, ours = {}, made = {} }, INHERIT
  if spec.pty then
    local master, slave, path = bag:pty(spec.pty.rows, spec.pty.cols)
    if not master then return nil, { op = "pty", path = slave, word = "pty" }, path end
    opened.pty, opened.slave, opened.console, default = master, slave, path, { fd = slave }
    opened.made[1] = slave
  end
  for i = 1, 3 do
    local name = STANDARD[i]
    local want = spec[name] or name == "stdin" and spec.input and not spec.pty and { kind = "pipe" } or default
    if want.kind == "stdout" then
      opened.ends[2] = opened.ends[1]
    else
      local theirs, ours, errno = open_one(bag, name, want, trial)
      if not theirs then
        return nil, { op = want.path and "open" or "pipe", path = want.path, word = name }, errno
      end
      opened.ends[NUMBER[name]] = ours and theirs or blocking(bag, NUMBER[name], theirs, trial)
      opened.ours[name] = ours
      if ours then opened.made[#opened.made + 1] = theirs end
    end
  end
  for number, want in next, spec.fds or NONE do opened.ends[number] = blocking(bag, number, want.fd, trial) end
  return opened
end

--- The names of what `stdio.open` would open, in the place of descriptors.
function stdio.names(spec)
  local ends, kinds = {}, { null = "/dev/null", pipe = "a pipe" }
  for name, number in pairs(NUMBER) do
    local want = spec[name] or name == "stdin" and spec.input and { kind = "pipe" } or {}
    ends[number] = want.fd or want.path or kinds[want.kind] or spec.pty and "the new terminal" or number
  end
  if spec.stderr and spec.stderr.kind == "stdout" then ends[2] = ends[1] end
  for number, want in pairs(spec.fds or {}) do ends[number] = want.fd end
  return ends
end

local function sorted_keys(t)
  local keys, sorted = {}, true
  for key in next, t do
    local n = #keys
    sorted = sorted and (n == 0 or keys[n] < key)
    keys[n + 1] = key
  end
  if not sorted then table.sort(keys) end
  return keys
end

--- The host's descriptors that must live on into the launcher: a list, in which one may stand more than once.
function stdio.kept(opened)
  local list = { opened.slave }
  for _, fd in next, opened.ends do list[#list + 1] = fd end
  for _, fd in next, opened.trees do
    if fd then list[#list + 1] = fd end
  end
  return list
end

local WORDS = { [0] = "stdin", "stdout", "stderr" }

local function word_of(number)
  return WORDS[number] or check.at("fds", number)
end

--- Where descriptors that are in the way wait: numbers that nobody uses, the lowest there are.
local function free_number(used)
  local n = 3
  while used[n] do n = n + 1 end
  used[n] = true
  return n
end

--- The numbers on both sides, as a set.
local function numbers_of(ends)
  local used = {}
  for number, fd in next, ends do used[number], used[fd] = true, true end
  return used
end

--- Steps for `ends`, {[number inside] = the host's number}: first those whose number another one wants move out of the
-- way, then each moves into its place.
function stdio.steps(ends, add)
  local numbers, moved = sorted_keys(ends), {}
  local used
  for i = 1, #numbers do
    local number = numbers[i]
    local fd = ends[number]
    if fd ~= number and ends[fd] and not moved[fd] then
      used = used or numbers_of(ends)
      moved[fd] = free_number(used)
      add { op = "dup", fd = fd, to = moved[fd], flags = open.CLOEXEC, word = word_of(number) }
    end
  end
  for i = 1, #numbers do
    local number = numbers[i]
    local fd = ends[number]
    add { op = "dup", fd = fd ~= number and moved[fd] or fd, to = number, word = word_of(number) }
  end
end

--- Steps that close every other descriptor.
function stdio.close_steps(ends, add)
  local first, numbers = 0, sorted_keys(ends)
  for i = 1, #numbers do
    local number = numbers[i]
    if number > first then add { op = "close", fd = first, to = number - 1 } end
    first = number + 1
  end
  add { op = "close", fd = first, to = -1 }
end

return stdio
