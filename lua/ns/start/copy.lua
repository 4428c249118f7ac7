--- A function in the place of a program: the host is copied, the copy plays the steps, and goes on in the function.
--
-- In the copy all objects of the host's are still there. Its processes are not: their handles are as closed. Its files are
-- closed, and their numbers taken, so that none of these objects can close, or write to, what the function opens.
--
-- A *twin* is as after fork(2): the descriptors in the list `twin` are open in it, signals do what they did, and the
-- function is called where the host was.
-- @module ns.start.copy
require("ns.core").nojit()
local core = require "ns.core"
local program = require "ns.words.program"
local values = require "ns.start.values"

local copy = {}

local debug, os = debug, os
local EDEADLK = core.constants.errno.EDEADLK
local pack = table.pack or function(...) return { n = select("#", ...), ... } end -- luacheck: ignore
local unpack = table.unpack or unpack -- luacheck: ignore

-- ---- in the host ----

--- The numbers of all descriptors: without a /proc, those that programs usually have.
local function open_numbers()
  local numbers = {}
  for _, entry in ipairs(core.entries "/proc/self/fd" or {}) do numbers[#numbers + 1] = tonumber(entry.name) end
  for fd = 3, #numbers == 0 and 1023 or 0 do
    if core.isopen(fd) then numbers[#numbers + 1] = fd end
  end
  return numbers
end

--- Gives the copy a descriptor under the number that it has here, or another one that nobody wants: returns that.
local function hand_over(start, fd)
  local ends, errno, _ = start.found.ends, nil, nil
  while fd and ends[fd] do fd, _, errno = start.bag:dup(fd) end
  if fd then ends[fd] = fd end
  return fd, errno
end

--- What the init executes, before it is one; at a second try another one.
local function open_launcher(start)
  local found = start.found
  if found.launcher then found.ends[found.launcher] = nil end
  local fd, step, errno = core.launcher()
  if not fd then return nil, { op = step }, errno end
  found.launcher, errno = hand_over(start, fd)
  return found.launcher ~= nil, { op = "dup", word = "init", fd = fd }, errno
end

--- Where the results come from, in the place of the program's output that nobody reads.
local function open_results(start)
  local ours, theirs, errno = start.bag:pipe()
  if not ours then return nil, { op = "pipe", word = "fn" }, errno end
  start.opened.ours.stdout = ours
  start.results, errno = hand_over(start, theirs)
  return start.results ~= nil, { op = "pipe", word = "fn" }, errno
end

--- Before a copy is made: what it is to have open. True; or nil, the step that is refused, errno.
function copy.prepare(start)
  if not start.spec.fn then return true end
  if #(core.entries "/proc/self/task" or {}) > 1 then return nil, { op = "copy", word = "fn" }, EDEADLK end
  local ok, step, errno = true, nil, nil
  for _, fd in ipairs(start.twin or {}) do
    if not start.found.ends[fd] and core.isopen(fd) then start.found.ends[fd] = fd end
  end
  if start.twin then core.copy.note_signals() end
  if start.spec.init then ok, step, errno = open_launcher(start) end
  if ok and start.calls and not start.results then ok, step, errno = open_results(start) end
  start.numbers = ok and open_numbers()
  return ok, step, errno
end

-- ---- in the copy ----

--- What is raised, in words: a string as it is, a number, or what says of itself; of others the type, as their address says
-- nothing.
local function in_words(e)
  local ok, said = pcall(tostring, e)
  local is_text = type(e) == "string" or type(e) == "number" or debug and (debug.getmetatable(e) or {}).__tostring
  if ok and is_text then return said end
  return ("error with %s in the place of a message"):format(e == nil and "nil" or "a " .. type(e))
end

--- A message, and where it was raised: of an error in that coroutine, or here.
local function trace(co, e)
  local text = in_words(e)
  if not (debug and debug.traceback) then return text, text end
  return text, co and debug.traceback(co, text) or debug.traceback(text, 2)
end

--- Calls the function in a coroutine of its own: the host's, in which we are, is not there any more for it to yield to.
local function call(fn, args)
  local results
  local co = coroutine.create(function()
    results = pack(fn(unpack(args, 1, args.n or #args)))
  end)
  local ok, e = coroutine.resume(co)
  if ok and coroutine.status(co) == "dead" then return results end
  if ok then e = "attempt to yield from the function, which has no caller in the copy" end
  return nil, e, trace(co, e)
end

--- Calls it where the host was, whose frames are all there, too.
local function call_here(fn, args)
  local message, traceback
  local results = pack(xpcall(function() return fn(unpack(args, 1, args.n or #args)) end, function(e)
    message, traceback = trace(nil, e)
    return e
  end))
  if results[1] then return pack(unpack(results, 2, results.n)) end
  return nil, results[2], message, traceback
end

local function code_of(status)
  if status == nil or status == true then return 0 end
  return tonumber(status) or 1
end

local function answer(start, results, e, message, traceback)
  local text, why
  if results then
    text, why = values.encode("returned", results)
    if not text then message, traceback, e = why, why, why end
  end
  text = text or values.encode("raised", { n = 3, message, traceback, e })
    or values.encode("raised", { n = 2, message, traceback })
  local file = core.bag():file(start.results, "w")
  file:setvbuf("full", 65536)
  return file:write(text) and file:close() and not why and results ~= nil
end

local function go_on(start)
  local spec = start.spec
  core.copy.begin()
  core.copy.take(start.numbers)
  for _, fd in ipairs(start.twin or {}) do core.copy.cloexec(fd) end
  if start.twin then core.copy.keep_signals() end
  if start.results then core.copy.cloexec(start.results) end
  local environ = program.environment(spec, start.found)
  if environ ~= "host" then core.copy.set_environ(environ) end
  rawset(os, "exit", function(status) core.copy.leave(code_of(status)) end)
  local results, e, message, traceback = (start.twin and call_here or call)(spec.fn, spec.args or {})
  if start.results then return answer(start, results, e, message, traceback) end
  if not results then io.stderr:write(traceback, "\n") end
  return results ~= nil
end

--- In the copy, when its plan is played: calls the function. Never returns.
function copy.go_on(start)
  local ok, good = pcall(go_on, start)
  if not ok then io.stderr:write(tostring(good), "\n") end
  core.copy.leave(ok and good and 0 or 1)
end

return copy
