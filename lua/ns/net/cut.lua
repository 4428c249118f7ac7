--- Networks (`ns.net`) that fall into parts. Each host and router is on a side, at first all on side 0. A switch belongs to
-- all sides: it has a bridge for each, and a host is plugged into that of its own.
-- @module ns.net.cut
require("ns.core").nojit()
local net_link = require "ns.net.link"
local rtnetlink = require "ns.words.rtnetlink"
local wiring = require "ns.start.wiring"

local net_cut = {}

--- The bridge of a switch for a side, which is made at its first use; or nil, message, errno, detail.
local function bridge_of(self, switch, side)
  if side == 0 then return switch.bridge end
  switch.bridges = switch.bridges or {}
  if switch.bridges[side] then return switch.bridges[side] end
  local index = self:next_index()
  local bridge = { index = index, name = ("b%d"):format(index), label = switch.name, up = true }
  local ok, message, errno, detail = wiring.send(self.fabric.socket, { rtnetlink.link("bridge", bridge) })
  if not ok then return nil, message, errno, detail end
  switch.bridges[side] = bridge
  return bridge
end

--- Switches that are linked to each other are so on that side, too.
local function join_switches(self, side)
  return net_link.each(self.links, function(link)
    if not net_link.is_trunk(link) then return true end
    local bridges = {}
    for i, one in ipairs(link.ends) do
      local bridge, message, errno, detail = bridge_of(self, one.at, side)
      if not bridge then return nil, message, errno, detail end
      bridges[i] = bridge
    end
    return net_link.add_strand(link, side, bridges)
  end)
end

--- Plugs a host into the switch on its side; of two hosts on different sides the link is cut.
local function place(self, link)
  local a, b = link.ends[1], link.ends[2]
  if net_link.is_trunk(link) then return true end
  if not (a.at.is_switch or b.at.is_switch) then
    local is_cut = a.at.side ~= b.at.side
    if is_cut == link.is_cut then return true end
    link.is_cut = is_cut
    return net_link.apply(link)
  end
  local host, port = a.at.is_switch and b or a, a.at.is_switch and a or b
  local bridge, message, errno, detail = bridge_of(self, port.at, host.at.side)
  if not bridge then return nil, message, errno, detail end
  if port.master == bridge then return true end
  local ok
  ok, message, errno, detail = wiring.send(self.fabric.socket, { rtnetlink.master(port, bridge) })
  if ok then port.master = bridge end
  return ok, message, errno, detail
end

--- Puts each on the side that it has: true; or nil, message, errno, detail.
local function apply(self, sides)
  for side = 1, sides do
    local ok, message, errno, detail = join_switches(self, side)
    if not ok then return nil, message, errno, detail end
  end
  return net_link.each(self.links, function(link) return place(self, link) end)
end

--- Each list of nodes is a side of its own from now on.
function net_cut.cut(self, lists)
  for _, list in ipairs(lists) do
    self.sides = self.sides + 1
    for _, node in ipairs(list) do node.side = self.sides end
  end
  return apply(self, self.sides)
end

--- All are on one side again.
function net_cut.heal(self)
  for _, node in ipairs(self.nodes) do node.side = 0 end
  self.sides = 0
  local ok, message, errno, detail = apply(self, 0)
  if not ok then return nil, message, errno, detail end
  return net_link.refresh(self)
end

return net_cut
