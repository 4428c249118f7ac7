--- How busted executes a file, with us: in a copy. While one is played, those after it run already.
-- @module ns.busted.files
require("ns.core").nojit()
local copies = require "ns.busted.copies"
local fixtures = require "ns.busted.fixtures"
local core = require "ns.core"
local harness = require "ns.busted.harness"
local surroundings = require "ns.surroundings"

local files = {}

local INTERRUPT = core.constants.signal.INT
local DEADLOCK = core.constants.errno.EDEADLK
local players = {} -- of files that run, or have, and are not played yet
local spec, left_out
local stopped = false -- by Ctrl-C: busted's own mark is taken back by each error

-- ---- what runs ----

--- What busted does for a file.
local function body_of(file)
  local busted, block = harness.busted, harness.parts.block
  return function()
    busted.wrap(file.run)
    if busted.safe_publish("file", { "file", "start" }, file) then block.execute("file", file) end
    fixtures.close(file)
    busted.safe_publish("file", { "file", "end" }, file)
  end
end

--- One word to the user where this machine does not allow all.
local function tell_missing(list)
  if left_out then return end
  left_out = list
  if #list == 0 then return end
  local text = "not isolated here: " .. surroundings.without(list)
  if harness.said.require_all then return text end
  io.stdout:flush()
  io.stderr:write("ns.busted: ", text, "\n")
end

--- Starts a file, behind a position: its player; or false, why not, errno.
local function start(file, position)
  local play, message, errno = harness.start(file, spec, body_of(file), { position = position,
    file_timeout = harness.said.file_timeout, left_out = left_out,
    inherits = harness.said.stdin == "inherit" })
  if not play then return false, message, errno end
  return play
end

--- This file, and those after it while there is room.
local function fill(list, from)
  for i = from, #list do
    local file = list[i]
    if i > from and #copies.running >= harness.said.jobs then break end
    if file.descriptor == "file" and players[file] == nil then
      local play, message, errno = start(file)
      if not play and i > from then break end -- it is tried again when it is its turn
      players[file] = play or { message = message, errno = errno }
    end
  end
end

-- ---- time ----

local function set_deadlines()
  for _, copy in ipairs(copies.running) do copies.set_deadline(copy) end
end

local function check_interrupt(catch)
  if catch:next() == INTERRUPT then
    stopped = true
    copies.kill_all "interrupted"
  end
end

--- Waits for the end of a file and plays it meanwhile; `more()` keeps others running.
local function follow(play, catch, more)
  while true do
    play:play()
    if play.copy.ended then break end
    if not stopped then more() end
    set_deadlines()
    if not copies.pump(0.2, catch:getfd()) then copies.show_all(play.copy) end
    check_interrupt(catch)
  end
  play:play()
end

--- A file until it is at its end.
local function run(file, play, catch, more)
  local function follow_it(one) follow(one, catch, more) end
  harness.play_out(play, follow_it, function(position)
    return not stopped and not harness.busted.skipAll and start(file, position)
  end)
end

local function fail(file, message, errno)
  local hint = errno == DEADLOCK and "; the helper has started threads, which no copy has: start them in a setup" or ""
  local text = ("%s:0: cannot be isolated: %s%s"):format(file.name, message, hint)
  harness.busted.publish({ "error", "file" }, file, nil, text, { short_src = file.name, source = "@" .. file.name,
    currentline = 0, what = "main", traceback = "" })
end

local function execute(file, catch)
  local context = harness.busted.context
  local list, at = context.children(context.parent(file)), 1
  while list[at] ~= file do at = at + 1 end
  fill(list, at)
  local play = players[file]
  if play and play.copy then
    local missing = tell_missing(play.copy.process and play.copy.process.left_out or {})
    if missing then play:fail(file, nil, nil, missing) end
    run(file, play, catch, function() fill(list, at) end)
  else
    fail(file, play.message, play.errno)
  end
  players[file] = nil
  if stopped then harness.busted.skipAll = true end
end

--- Before the first copy: what it is to have, and as little work for the collector as can be.
local function prepare()
  if spec then return end
  for _, name in ipairs(harness.said.preload or {}) do require(name) end
  spec = surroundings.spec(harness.said)
  copies.keep()
  collectgarbage()
  collectgarbage()
end

--- In the place of busted's executor of files.
function files.execute(file)
  if stopped then return end
  prepare()
  local catch = assert(core.catch { INTERRUPT })
  local ok, e = pcall(execute, file, catch)
  catch:release()
  if not ok then
    copies.kill_all "stopped"
    error(e, 0)
  end
end

return files
