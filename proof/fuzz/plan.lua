--- Bytes -> a spec -> check, lower, encode -> the plan's bytes, read again here, and played on the model of a kernel. Some
-- bytes make raw steps for encode alone.
local machine = require "fuzz.host"
local core = require "ns.core"
local errors = require "ns.start.errors"
local known = require "fuzz.known"
local join = require "ns.words.join"
local make_spec = require "fuzz.builder"
local model = require "fuzz.model"
local plan = require "ns.start.plan"
local reader = require "fuzz.reader"
local streams = require "ns.start.streams"
local survey = require "ns.start.survey"

local byte, pick, chance, number, text, junk =
  reader.byte, reader.pick, reader.chance, reader.number, reader.text, reader.junk

-- ---- who asks ----

local SUBIDS = "root:100000:65536\nuser:200000:1000\nuser:300000:5\n"
local UID_MAPS = { "0 0 4294967295", "0 0 4294967295", "0 1000 1", false }
machine.files["/etc/subuid"], machine.files["/etc/subgid"] = SUBIDS, SUBIDS
machine.files["/etc/passwd"] = "user:x:1000:1000::/:/bin/sh\n"

local function make_host()
  local host, form, files = {}, byte(), machine.files
  files["/proc/self/uid_map"] = UID_MAPS[math.floor(form / 16) % 4 + 1]
  files["/proc/self/gid_map"] = files["/proc/self/uid_map"]
  host.euid = form % 2 == 0 and 0 or 1000
  host.egid, host.caps = host.euid, host.euid == 0 and form % 16 ~= 8 and machine.ALL_CAPS or 0
  host.access, host.nofile = core.access, core.nofile
  host.landlock = function()
    if form % 9 == 0 then return nil, "Operation not supported", 95 end
    return form % 9
  end
  host.nested = function() return form % 64 == 34 end
  host.environ = function() return { "PATH=/usr/bin:/bin::", "A=1", "odd" } end
  host.arg_max = function() return form % 8 == 1 and 140000 or 2097152 end
  host.entries = function(directory)
    if directory == "/a" then return nil, "No such file or directory", 2 end
    return { { name = "usr" }, { name = "bin", link = "usr/bin" }, { name = "home" }, { name = "etc" } }
  end
  host.realpath = function(path) if path == "/a/b" then return nil, "Permission denied", 13 end return path end
  host.owner = function(path)
    if path == "/a" then return nil, "Permission denied", 13 end
    return form % 5 == 0 and 0 or 1000, 0, 493
  end
  host.readlink = function(place)
    if place:find("/8/ns/time", 1, true) then return nil end
    return place:find("/ipc", 1, true) and "ipc:[1]" or place
  end
  host.number_of = function(from)
    if from.pid == 9 then return nil, "No such process", 3 end
    return from.pid
  end
  host.maps_of = function(pid)
    return pid == 7 and { uid = { { 0, 5, 9 } }, gid = { { 3, 5, 9 } } } or { uid = {}, gid = {} }
  end
  host.trial = form % 4 == 3 or nil
  return host
end

--- Opens nothing: the next number, or a refusal.
local function make_bag()
  local last, refuses = 10, byte()
  local function open()
    last = last + 1
    if last - 10 == refuses then return nil, "Too many open files", 24 end
    if last - 10 == refuses - 128 then return nil, "No such file or directory", 2 end
    return last
  end
  local function two(third)
    return function()
      local a, why, errno = open()
      if not a then return nil, why, errno end
      return a, open() or last, third
    end
  end
  return { open = open, null = open, pipe = two(), pty = two("/dev/pts/7") }
end

-- ---- what must hold ----

local LAYOUT = "<I4I4I4I4I4I4I4I4I4I4I4i4i4I4i4I4I8I8i8i8"
local FIELD = { "op", "ignore", "path", "source", "type", "data", "size", "paths", "argv", "env", "options", "fd", "to",
  "mode", "which", "how", "flags", "clear", "value", "limit" }
local LISTS = { paths = true, argv = true, env = true, options = true }
local STRINGS = { path = true, source = true, type = true }

local function read_list(bytes, offset)
  local list = {}
  while true do
    local entry = ("<I8"):unpack(bytes, offset + 1)
    if entry == 0 then return list end
    list[#list + 1] = ("z"):unpack(bytes, entry + 1)
    offset = offset + 8
  end
end

local function read_step(bytes, at)
  local values, s = { LAYOUT:unpack(bytes, at + 1) }, {}
  for i, name in ipairs(FIELD) do s[name] = values[i] end
  return s
end

local function same(step, s, bytes)
  for name, value in pairs(step) do
    local got = s[name]
    if LISTS[name] and value ~= "host" then
      local list = read_list(bytes, got)
      assert(#list == #value, name)
      for i = 1, #list do assert(list[i] == value[i], name) end
    elseif STRINGS[name] then
      assert(("z"):unpack(bytes, got + 1) == value, name)
    elseif name == "data" then
      assert(bytes:sub(got + 1, got + s.size) == tostring(value), name)
    elseif name ~= "op" and got and not LISTS[name] then
      assert(got == value or got == value % 4294967296, name)
    end
  end
end

local function encode_and_play(steps, deep)
  local bytes = core.encode(steps):bytes()
  local _, size, first, count, current = ("<I4I4I4I4I4"):unpack(bytes)
  assert(size == #bytes and count == #steps and current == 0)
  if not deep then return end
  for i, step in ipairs(steps) do same(step, read_step(bytes, first + (i - 1) * LAYOUT:packsize()), bytes) end
  local answers = reader.rest()
  assert(model.play(bytes, answers) or answers ~= "", "a plan of ours was refused")
end

-- ---- the two ways ----

local OPS = { "mount", "write", "sethostname", "setgroups", "caps", "fs", "tree", "overlay", "symlink", "exec", "init",
  "setns", "clone", "prctl", "call", "nope" }
local KEYS = { "op", "path", "source", "type", "data", "paths", "argv", "env", "options", "mode", "which", "limit", "ignore",
  "fd", "to", "how", "flags", "clear", "value", "word", "size", "nope" }

local function raw()
  local steps = reader.list(6, function()
    local step = { op = pick(OPS) }
    for _ = 1, byte() % 6 do
      local key = pick(KEYS)
      if chance(12) then
        step[key] = junk()
      elseif LISTS[key] then
        step[key] = chance(8) and "host" or reader.list(3, text)
      elseif STRINGS[key] or key == "data" then
        step[key] = text()
      elseif key ~= "op" then
        step[key] = number()
      end
    end
    return chance(24) and junk() or step
  end)
  local ok, e = pcall(core.encode, steps)
  if not ok then return assert(type(e) == "string") end
  encode_and_play(steps, true)
end

local function lower(spec, host)
  local opened, step = streams.open(make_bag(), spec, host.trial)
  if not opened then return errors.describe(step) end
  local found = survey.find(spec, host, opened)
  if not found then return end
  if spec.flags.mount then
    for _, m in ipairs(spec.mounts or {}) do
      if type(m.source) == "number" or chance(4) then found.trees[m] = chance(8) ~= true and 20 end
    end
  end
  if spec.fn and spec.init then found.launcher = 12 end -- ns.start.copy has it opened
  streams.inherited(found)
  streams.names(spec)
  for _, one in ipairs(plan.host_steps(spec, found)) do assert(errors.describe(one) ~= "") end
  for name, one in pairs(found.join and found.join.kinds or {}) do found.join.fds[name] = one.fd or 30 + #name end
  local steps = plan.lower(spec, found)
  for i = 1, #steps do assert(errors.describe(steps[i]) ~= "") end
  return steps, found.join and join.steps(spec, found)
end

return function(bytes)
  reader.start(bytes)
  local form = byte()
  local is_known = form % 64 == 63
  if form % 8 == 7 and not is_known then return raw() end
  local host = make_host()
  local spec, mistake, refused = plan.check(is_known and known(byte(), byte()) or make_spec(), host)
  if not spec then return assert(refused and refused.refused or mistake:find(": ", 1, true)) end
  local steps, first = machine.try(lower, spec, host)
  if type(first) == "table" then
    for i = 1, #first do assert(errors.describe(first[i]) ~= "") end
    encode_and_play(first, is_known or form % 4 == 0)
  end
  if type(steps) == "table" then encode_and_play(steps, is_known or form % 4 == 0) end
end
