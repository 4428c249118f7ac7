--- The relay of a box whose ports are published, or that may reach some: a process beside the host, which holds what listens
-- on both sides and nothing else (src/launcher/relay.c).
-- @module ns.start.relay
require("ns.core").nojit()
local later = require("ns.words.later").module
local core = require "ns.core"
local errors = require "ns.start.errors"
local ports = later "ns.words.ports"
local stdio = require "ns.words.stdio"

local relay = {}

local HOW, prctl = core.constants.step, core.constants.prctl

-- Seconds that it is given to be there, at the most.
local MOST = 10

-- Where the init is asked; those that listen follow.
local BOX = 3

--- Does a box of this spec have one? It also ends the pasta of a box, which would not end with that by itself.
function relay.is_wanted(spec, pasta) return spec.publish ~= nil or spec.reach ~= nil or pasta ~= nil end

-- ---- host steps ----

--- Listens for what is published.
function relay.publish(step, start)
  local found = start.found
  found.kept = found.kept or core.bag()
  found.listeners, found.published = found.listeners or {}, found.published or {}
  local fd, port, errno = core.listen(found.kept, step.row.on)
  if not fd then return nil, step, errno end
  found.listeners[step.number], found.published[step.row.inside] = fd, port
  if step.row.part:find ":0$" then found.published[step.row.part] = port end -- several may lead to one port of the box
  return true
end

--- Looks up where a name leads, which is so for as long as the box lives.
function relay.resolve(step, start)
  local found, row = start.found, step.row
  local list, message, errno = core.resolve(row.to_host, row.to_port)
  if not list then
    return nil, { op = "resolve", path = row.to_host, word = "reach", part = row.part, hint = message }, errno
  end
  found.reach = found.reach or {}
  found.reach[step.number] = list
  return true
end

--- Nobody listens any more by what was found: there is a relay that does, or there will be none.
function relay.forget(found)
  if found and found.kept then found.kept:close() end
end

-- ---- its start ----

--- The descriptors of what listens: the host's, and those that the launcher has made, in the bag.
local function listeners(bag, handle, spec, found)
  local list = {}
  for i in ipairs(spec.publish or {}) do list[#list + 1] = found.listeners[i] end
  for _ in ipairs(spec.reach or {}) do
    local fd, _, errno = core.handed(bag, handle)
    if not fd then return nil, errno end
    list[#list + 1] = fd
  end
  return list
end

--- The steps of its plan, for these descriptors.
function relay.steps(spec, found, fds, outlives, pasta)
  local steps, ends = {}, {}
  local function add(step) steps[#steps + 1] = step end
  for i, fd in ipairs(fds) do ends[BOX + i - 1] = fd end
  if not outlives then add { op = "pdeathsig", value = core.constants.signal.KILL } end
  stdio.steps(ends, add)
  stdio.close_steps(ends, add)
  add { op = "chdir", path = "/" }
  add { op = "prctl", which = prctl.SET_NO_NEW_PRIVS, value = 1, word = "no_new_privs" }
  add { op = "caps", flags = 0, how = HOW.CAPS_ONLY, word = "caps" }
  for _, route in ipairs(ports.routes(spec, found, BOX + 1)) do add(route) end
  add { op = "relay", fd = BOX, to = pasta and BOX + #fds - 1 or -1, how = outlives and HOW.OUTLIVES or nil }
  return steps
end

--- Launches it: true, or nil, message, errno, detail. `into.handle`: its handle, from when there is one.
local function launch(into, fds, steps, play, deadline)
  while true do
    local handle, what, errno = core.launch(0, fds)
    if not handle then return errors.refused({ op = "relay", hint = what }, errno) end
    into.handle = handle
    local ok, message, code, detail = play(handle, core.encode(steps), steps, deadline, #steps)
    if message ~= "retry" then return ok, message, code, detail end
    handle:close()
  end
end

--- The same for a box: `bag` for what is opened.
local function begin(box, play, asked, bag, into)
  local spec, found, pasta = box.spec, box.found, box.pasta
  local fds, why = listeners(bag, box.handle, spec, found)
  if not fds then return errors.refused({ op = "relay" }, why) end
  table.insert(fds, 1, (asked or box.handle):socket())
  if pasta then fds[#fds + 1] = pasta.handle:getfd() end
  return launch(into, fds, relay.steps(spec, found, fds, spec.detach or asked ~= nil, pasta), play,
    math.min(box.deadline or math.huge, core.clock() + MOST))
end

--- Starts it for a box whose init is there, of which handle, spec, found and pasta are known: its handle; or nil, message,
-- errno, detail. `play`: `ns.start.spawn.play`. `asked`: where the init is asked, if that is another handle than the box's.
function relay.start(box, play, asked)
  local bag, into = core.bag(), {}
  local done, ok, message, errno, detail = pcall(begin, box, play, asked, bag, into)
  bag:close()
  relay.forget(box.found)
  if done and ok then return into.handle end
  if into.handle then into.handle:close() end
  if not done then error(ok, 0) end
  return nil, message, errno, detail
end

--- Ends it.
function relay.close(handle)
  if handle and not handle:isclosed() then handle:close() end
end

return relay
