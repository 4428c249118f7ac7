--- The world outside for a box, by the program pasta (package passt): it makes an interface in the box's net namespace, and
-- is to the programs there what a router would be, with the rights and the sockets of the user who runs it.
-- @module ns.start.pasta
require("ns.core").nojit()
local core = require "ns.core"

local pasta = {}

local errno_of, open = core.constants.errno, core.constants.open

-- Seconds that it is given to be ready, and between two looks.
local MOST, LOOK = 10, 0.002

-- All that it would show of the host's loopback by itself is turned off, and that it publishes what the box listens on.
local CLOSED = { "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none" }

local MISSING = "the program pasta is needed for network = 'pasta': its package is called passt"

--- The descriptors of the namespaces, by which it enters them: a number could be another process's by then.
local function open_namespaces(step, start)
  local pid, _, errno = start.handle:proc_pid()
  local fds = {}
  local names = { "net", start.spec.flags.user and "user" or nil }
  for i = 1, #names do
    local name = names[i]
    if pid then fds[name], _, errno = start.bag:open(("/proc/%d/ns/%s"):format(pid, name), open.RDONLY) end
    if not fds[name] then return nil, step, errno end
  end
  return fds
end

local function command(fds, is_root)
  local argv = { "pasta", "-f", "-q", "--config-net" }
  for _, word in ipairs(CLOSED) do argv[#argv + 1] = word end
  for _, word in ipairs(is_root and { "--runas", "0" } or {}) do argv[#argv + 1] = word end
  for _, word in ipairs { "--netns", "/proc/self/fd/3" } do argv[#argv + 1] = word end
  for _, word in ipairs(fds.user and { "--userns", "/proc/self/fd/4" } or {}) do argv[#argv + 1] = word end
  for _, word in ipairs { "-P", "/proc/self/fd/1" } do argv[#argv + 1] = word end -- it is written when all is ready
  return argv
end

--- What it has said last, as far as it is of use.
local function complaint(log)
  local file, last = io.open(("/proc/self/fd/%d"):format(log), "rb"), nil
  if not file then return nil end
  for line in file:lines() do
    if line:find "%S" and not line:find("syslog", 1, true) then last = line end
  end
  file:close()
  return last
end

--- Waits until it has written its number: true; or nil, errno.
local function await(p, deadline)
  local stream, said = p:stream "stdout", ""
  while true do
    local bytes = stream:read()
    if not bytes then return nil, errno_of.EPERM end
    said = said .. bytes
    if said:find "%d%s" then return true end
    if core.clock() > deadline then return nil, errno_of.ETIMEDOUT end
    p:wait(LOOK)
  end
end

--- Starts it, and waits until there is a network: true; or nil, the step as it reads, errno.
function pasta.attach(step, start)
  pasta.close(start.pasta)
  start.pasta = nil
  local fds, refused, why = open_namespaces(step, start)
  if not fds then return nil, refused, why end
  local log, _, full = core.memfd(start.bag, 0)
  if not log then return nil, { op = "memfd", word = step.word }, full end
  local p, message, errno = start.start { argv = command(fds, start.found.root), stdin = "null", stdout = "pipe",
    stderr = log, fds = { [3] = fds.net, [4] = fds.user }, detach = start.spec.detach or start.outlives, grace = 0 }
  if not p then
    local hint = errno == errno_of.ENOENT and MISSING or message
    return nil, { op = step.op, word = step.word, hint = hint }, errno
  end
  start.pasta = p
  local ready, refusal = await(p, math.min(start.deadline or math.huge, core.clock() + MOST))
  if ready then return true end
  return nil, { op = step.op, word = step.word, hint = complaint(log) }, refusal
end

--- Ends it.
function pasta.close(p)
  if not p then return end
  p.detached = false
  p:close()
end

return pasta
