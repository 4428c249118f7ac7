--- Copies of this Lua state that run a body each, and what they say and print meanwhile: started, heard, ended. Knows
-- nothing of busted.
-- @module ns.busted.copies
require("ns.core").nojit()
local core = require "ns.core"
local frames = require "ns.busted.frames"
local plan = require "ns.start.plan"
local raise = require("ns.words.check").raise
local signals = require "ns.words.signals"
local spawn = require "ns.start.spawn"
local survey = require "ns.start.survey"

local copies = {}

-- A test may have replaced what the libraries have.
local ipairs, next, tonumber = ipairs, next, tonumber
local format, max, min, sub = string.format, math.max, math.min, string.sub
local insert, remove = table.insert, table.remove
local stdout, stderr = io.stdout, io.stderr
local clock, readlink = core.clock, core.readlink

copies.running = {}

local kept, own

--- Notes the descriptors that copies have, as they are open now; in a copy, without the three by which it tells.
function copies.keep()
  kept = {}
  for _, entry in ipairs(core.entries "/proc/self/fd" or {}) do
    local fd = tonumber(entry.name)
    local name = fd > 2 and readlink("/proc/self/fd/" .. entry.name)
    if own and fd >= own and fd < own + 3 then name = nil end
    if name and not name:find("^/memfd:ns") and not name:find("^/proc/") then kept[#kept + 1] = fd end
  end
end

--- Three numbers in a row that programs seldom have.
local function numbers()
  local first = min(900, core.descriptor_limit() - 4)
  while core.isopen(first) or core.isopen(first + 1) or core.isopen(first + 2) do first = first - 3 end
  return first
end

--- In the copy: those beside it are the host's.
local function enter(copy, first, body)
  own = first
  for _, other in ipairs(copies.running) do other.tape:forget() end
  copies.running = {}
  copy.tape:enter(first + 1, first + 2, first)
  body(copy.tape)
  core.copy.leave(0)
end

-- What the copy that is being made is to do: its words are checked once, so the function in them is always this one.
local coming
local function dispatch() enter(coming.copy, coming.first, coming.body) end

local function words_of(spec, copy, first, inherits)
  local words = {}
  for word, value in next, spec do words[word] = value end
  local out, err, writer = copy.tape:ends()
  words.stdin, words.stdout, words.stderr = inherits and "inherit" or "null", out, err
  words.fds = { [first] = writer, [first + 1] = out, [first + 2] = err }
  words.fn = dispatch
  return words
end

local caches = setmetatable({}, { __mode = "k" }) -- what is known of a spec from earlier starts

--- Starts a copy that calls body(tape) in what `spec` says, and ends. `options`: left_out, of the spec
-- (`ns.start.optional`); inherits: has it our stdin? timeout, file_timeout: seconds, 0 is none; max_output: the bytes that
-- are shown of what it prints, each way. A copy; or nil, message, errno, detail.
function copies.start(spec, body, options)
  local tape, message, errno = core.tape()
  if not tape then return nil, message, errno, {} end
  local copy = { tape = tape, bytes = "", frames = {}, printed = { out = 0, err = 0 }, born = clock(),
    timeout = options.timeout or 0, file_timeout = options.file_timeout or 0, max_output = options.max_output or math.huge }
  coming = { copy = copy, first = numbers(), body = body }
  local words = words_of(spec, copy, coming.first, options.inherits)
  caches[spec] = caches[spec] or {}
  local host = survey.host()
  host.twin, host.left_out = kept, options.left_out
  local checked, mistake, refused = plan.check(words, host, caches[spec])
  if mistake then raise("%s", mistake) end
  local detail
  copy.process, message, errno, detail = spawn.start(checked, checked and host or refused, caches[spec])
  if not copy.process then
    tape:close()
    return nil, message, errno, detail
  end
  tape:sent()
  insert(copies.running, copy)
  return copy
end

-- ---- what it says ----

local function hear(copy)
  while true do
    local bytes = copy.tape:hear()
    if not bytes then break end
    if bytes == "" then
      copy.silent = true
      break
    end
    local list
    list, copy.bytes = frames.split(copy.bytes .. bytes)
    for _, frame in ipairs(list) do
      insert(copy.frames, frame)
      if frame.kind == "N" then copy.since = clock() end
      if frame.kind == "M" then copy.since = nil end
    end
  end
end

--- The next frame; nil if there is none yet.
function copies.next(copy)
  return remove(copy.frames, 1)
end

-- ---- what it prints ----

local FILES = { out = stdout, err = stderr }

local function text_of(copy, name, from, to)
  if copy.texts then return sub(copy.texts[name], from + 1, to) end
  return copy.tape:read(name, from, to)
end

local function show(copy, name, to)
  local from = copy.printed[name]
  to = min(to, copy.max_output)
  if to <= from then return end
  local text = text_of(copy, name, from, to)
  if name == "err" then
    stdout:flush()
    copy.last_words = sub((copy.last_words or "") .. text, -2000)
  end
  FILES[name]:write(text)
  FILES[name]:flush()
  copy.printed[name] = to
end

--- Prints what it has printed, up to these sizes.
function copies.show(copy, out, err)
  show(copy, "out", out)
  show(copy, "err", err)
end

local function sizes(copy)
  if copy.texts then return #copy.texts.out, #copy.texts.err end
  return copy.tape:sizes()
end

--- The same, all of it. Whoever opens /dev/stdout anew cuts the file off: then what is there is new.
function copies.show_all(copy)
  local out, err = sizes(copy)
  if out < copy.printed.out then copy.printed.out = 0 end
  if err < copy.printed.err then copy.printed.err = 0 end
  copies.show(copy, out, err)
end

--- Has it printed more than it may?
local function prints_more(copy)
  local out, err = sizes(copy)
  return out > copy.max_output or err > copy.max_output
end

-- ---- its end ----

local function forget(copy)
  for i, other in ipairs(copies.running) do
    if other == copy then return remove(copies.running, i) end
  end
end

--- Closes all that is open for it: what it has printed is kept as text, as others may wait long for their turn. No more
-- than may be shown: before a busy machine has noticed that it prints without an end, that can be anything.
local function finish(copy, how, code)
  hear(copy)
  copy.how, copy.code = how, code
  local out, err = copy.tape:sizes()
  copy.texts = { out = copy.tape:read("out", 0, min(out, copy.max_output)),
    err = copy.tape:read("err", 0, min(err, copy.max_output)) }
  copy.process:close()
  copy.tape:close()
  copy.process, copy.ended = nil, true
  forget(copy)
end

--- Ends it; `why`: what is told in the place of its status.
function copies.kill(copy, why)
  if copy.ended then return end
  copy.why = why
  copy.process:close()
  finish(copy)
end

--- How it has died, in words; `subject`: of what, where one has had its time.
function copies.death(copy, subject)
  if copy.why then return (copy.why:gsub("^timeout: it ", "timeout: the " .. (subject or "file") .. " ")) end
  if copy.how == "signal" then return format("killed by signal %d (SIG%s)", copy.code, signals.name(copy.code)) end
  return format("ended by exit(%s)", copy.code == nil and "?" or format("%d", copy.code))
end

local function check_end(copy)
  local _, how, code = copy.process:wait(0)
  if how ~= "timeout" then finish(copy, how, code) end
end

--- The seconds until one of them has had its time.
local function left(seconds)
  local now = clock()
  for _, copy in ipairs(copies.running) do
    if copy.deadline then seconds = max(0, min(seconds, copy.deadline - now)) end
  end
  return seconds
end

--- Sets when it is ended: the seconds of the code that it is at, and one to end by itself; and of all of it.
function copies.set_deadline(copy)
  copy.deadline, copy.deadline_why = nil, nil
  if copy.file_timeout > 0 then
    copy.deadline, copy.deadline_why = copy.born + copy.file_timeout,
      format("timeout: the file has run for %g s", copy.file_timeout)
  end
  local at = copy.timeout > 0 and copy.since and copy.since + copy.timeout + 1
  if at and not (copy.deadline and copy.deadline < at) then
    copy.deadline, copy.deadline_why = at, format("timeout: it has run for %g s, and could not be interrupted", copy.timeout)
  end
end

--- Waits for a word or an end of a copy, or for `extra`, for `seconds` at the most; hears all. Was there anything?
function copies.pump(seconds, extra)
  local fds, heard = { extra }, false
  for _, copy in ipairs(copies.running) do
    if not copy.silent then insert(fds, copy.tape:getfd()) end
    insert(fds, copy.process.handle:getfd())
  end
  core.await(left(seconds), fds, {})
  for i = #copies.running, 1, -1 do
    local copy = copies.running[i]
    local before = #copy.frames
    hear(copy)
    check_end(copy)
    heard = heard or copy.ended or #copy.frames > before
    if not copy.ended and copy.deadline and clock() > copy.deadline then copies.kill(copy, copy.deadline_why) end
    if not copy.ended and prints_more(copy) then
      copies.kill(copy, format("it has printed more than max_output = %.0f bytes", copy.max_output))
    end
  end
  return heard
end

--- Ends all that run.
function copies.kill_all(why)
  while copies.running[1] do copies.kill(copies.running[1], why) end
end

return copies
