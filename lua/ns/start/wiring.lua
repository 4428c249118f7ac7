--- Messages for the net namespaces of living boxes (`ns.words.rtnetlink`), sent from outside while the boxes live.
-- @module ns.start.wiring
require("ns.core").nojit()
local core = require "ns.core"
local errors = require "ns.start.errors"
local rtnetlink = require "ns.words.rtnetlink"

local wiring = {}

local errno_of = core.constants.errno

-- Seconds that an init may take to answer, and a link to let packets through.
local ANSWER, READY = 10, 5

--- A netlink socket of the box's network; or nil, message, errno, detail.
function wiring.open(box, name)
  local socket, _, errno = core.netlink(box.handle, 0, ANSWER)
  if socket then return socket end
  local hint = errno == errno_of.EXDEV and "it is the machine's own, which is left alone" or nil
  return errors.refused({ op = "netlink", from = ("open the network of %s"):format(name), word = "net", hint = hint }, errno)
end

--- The kernel's own words, if it has some.
local function hint_of(m, errno, text)
  if m.kernel and (errno == errno_of.ENOENT or errno == errno_of.EOPNOTSUPP) then return m.kernel end
  return text and "the kernel says: " .. text or nil
end

--- Sends messages in one go: true; or nil, message, errno, detail, of the first that was refused.
function wiring.send(socket, list)
  if #list == 0 then return true end
  local ok, errno, text, number = socket:send(rtnetlink.join(list))
  if ok then return true end
  local m = list[number or 1]
  return errors.refused({ op = "netlink", from = m.what, hint = hint_of(m, errno, text), word = "net" }, errno)
end

--- Asks again and again until the answer is as it should be: true; or nil, message, errno, detail.
local function await(socket, question, is_ready, deadline)
  while true do
    local answer, errno = socket:ask(question.bytes)
    if not answer then return errors.refused({ op = "netlink", from = question.what, word = "net" }, errno) end
    if is_ready(answer) then return true end
    if core.clock() > deadline then
      return errors.refused({ op = "netlink", from = question.what, word = "net" }, errno_of.ETIMEDOUT)
    end
    core.poll(0.0005, -1, "r")
  end
end

--- Waits until packets go through the interfaces and are taken at the addresses, which is a moment after all is set.
function wiring.await(socket, interfaces, own)
  local deadline = core.clock() + READY
  for _, one in ipairs(interfaces) do
    local ok, message, errno, detail = await(socket, rtnetlink.get_link(one), rtnetlink.is_up, deadline)
    if not ok then return nil, message, errno, detail end
  end
  for _, bytes in ipairs(own) do
    local ok, message, errno, detail = await(socket, rtnetlink.get_route(bytes), rtnetlink.is_local, deadline)
    if not ok then return nil, message, errno, detail end
  end
  return true
end

return wiring
