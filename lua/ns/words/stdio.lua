--- The program's descriptors: what the words stdin, stdout, stderr and fds may be, and the steps that put them in place.
-- Everything else is closed.
-- @module ns.words.stdio
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local open = core.constants.open

local stdio = {}

local OUTPUT = { stdout = true, stderr = true }
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

--- The name of its class: "ns.Process" for a process.
function stdio.class_of(value)
  local class = getmetatable(value)
  return type(class) == "table" and rawget(class, "__name") or nil
end

--- Ours has getfd, too: a process's tells only of its end, and a stream has one direction.
local function check_ours(value, where)
  local other = where == "stdin" and "stdout" or OUTPUT[where] and "stdin"
  if stdio.class_of(value) == "ns.Process" then
    check.fail(where, "a process; did you mean %s?", other and "its " .. other or "a stream of it")
  elseif stdio.class_of(value) == "ns.Stream" and other and not value[other == "stdin" and "input" or "output"] then
    check.fail(where, "a stream of the other direction; did you mean %s?", other)
  end
end

--- The descriptor of a number, a Lua file, or an object with getfd or fileno; nil if it is none of these.
function stdio.number_of(value, where)
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
  local fd = stdio.number_of(value, where)
  if fd then return { fd = fd, owner = value } end
  if type(value) == "table" then return check_file(value, where, name) end
  check.fail(where, "'inherit', 'null', 'pipe', a file, a descriptor or {path=...} expected, got %s", type(value))
end

--- The words with which outputs are collected, and a string as stdin is fed: a copy.
function stdio.collected(spec)
  local words = {}
  for key, value in next, spec do words[key] = value end
  stdio.feed(words)
  if words.pty then return words end
  words.stdin = words.stdin or words.input and "pipe" or "null"
  words.stdout = words.stdout or "pipe"
  words.stderr = words.stderr or "pipe"
  return words
end

--- {[number inside] = file or descriptor} -> {[number] = {fd=...}}.
function stdio.check_fds(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local fds = {}
  for key, v in next, value do
    local at = check.at(where, key)
    check.integer(3, 1048575)(key, at)
    local fd = stdio.number_of(v, at) or check.fail(at, "a file or a descriptor expected, got %s", type(v))
    fds[key] = { fd = fd, owner = v }
  end
  return fds
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

local WORDS = { [0] = "stdin", "stdout", "stderr" }

local function word_of(number)
  return WORDS[number] or check.at("fds", number)
end

--- The lowest number from 3 on that is not in the set `used`, of which it is one from now on.
function stdio.free_number(used)
  local n = 3
  while used[n] do n = n + 1 end
  used[n] = true
  return n
end

--- The numbers of `ends` on both sides, as a set.
function stdio.numbers_of(ends)
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
      used = used or stdio.numbers_of(ends)
      moved[fd] = stdio.free_number(used)
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
