--- Messages of rtnetlink(7) as plain data: `bytes`, and `what` they want, in words. Each is one for the step `netlink`, or
-- for a socket of the namespace that it is about. An interface is a table: its `index`, which is chosen by us, its `name`
-- there, and `label`, what it is called in words, where that is another.
--
-- All numbers are in the machine's own byte order; Lua 5.1 has no string.pack.
-- @module ns.words.rtnetlink
require("ns.core").nojit()
local addresses = require "ns.words.addresses"
local core = require "ns.core"

local rtnetlink = {}

-- ---- numbers, attributes, messages ----

local function number(size)
  return function(n)
    local bytes = {}
    for i = 1, size do
      bytes[core.little_endian and i or size + 1 - i] = string.char(n % 256)
      n = math.floor(n / 256)
    end
    return table.concat(bytes)
  end
end
local u8, u16, u32, u64 = string.char, number(2), number(4), number(8)
rtnetlink.u8, rtnetlink.u16, rtnetlink.u32, rtnetlink.u64 = u8, u16, u32, u64

--- A number of `size` bytes at that place of a message, from 1 on.
function rtnetlink.number_at(bytes, at, size)
  local n = 0
  for i = 0, size - 1 do
    n = n * 256 + bytes:byte(core.little_endian and at + size - 1 - i or at + i)
  end
  return n
end

local function attribute(kind, value)
  return u16(4 + #value) .. u16(kind) .. value .. ("\0"):rep(-#value % 4)
end
rtnetlink.attribute = attribute

local REQUEST, EXCL, CREATE = 1, 0x200, 0x400
local NEW = REQUEST + EXCL + CREATE

--- A message; its sequence number is 0 until `rtnetlink.join` numbers it.
local function message(what, kind, flags, body)
  return { what = what, kind = kind, flags = flags, body = body,
    bytes = u32(16 + #body) .. u16(kind) .. u16(flags) .. u32(0) .. u32(0) .. body }
end

--- Several messages as one block of bytes: the sequence number of each is its place in the list.
function rtnetlink.join(list)
  local parts = {}
  for i, m in ipairs(list) do
    parts[i] = u32(16 + #m.body) .. u16(m.kind) .. u16(m.flags) .. u32(i) .. u32(0) .. m.body
  end
  return table.concat(parts)
end

-- ---- links ----

local NEWLINK, DELLINK, GETLINK = 16, 17, 18
local UP, NOARP = 1, 0x80
local IFLA = { ADDRESS = 1, IFNAME = 3, MTU = 4, MASTER = 10, OPERSTATE = 16, LINKINFO = 18, AF_SPEC = 26, NET_NS_FD = 28 }
local OPERSTATE_UP = 6
local INFO_KIND, INFO_DATA, VETH_PEER = 1, 2, 1

local function ifinfo(index, flags, change)
  return u8(0, 0) .. u16(0) .. u32(index or 0) .. u32(flags or 0) .. u32(change or 0)
end

--- The attributes of one end: `name`, `mtu`, `mac` (6 bytes), `master` (an interface), `namespace` (a descriptor of the
-- process that sends the message, which must have rights there).
local function end_attributes(one)
  return (one.name and attribute(IFLA.IFNAME, one.name .. "\0") or "")
    .. (one.mtu and attribute(IFLA.MTU, u32(one.mtu)) or "")
    .. (one.mac and attribute(IFLA.ADDRESS, one.mac) or "")
    .. (one.master and attribute(IFLA.MASTER, u32(one.master.index)) or "")
    .. (one.namespace and attribute(IFLA.NET_NS_FD, u32(one.namespace)) or "")
end

local function called(one) return one.label or one.name end

--- What is wrong where the kernel does not know links of that kind.
function rtnetlink.no_links(kind)
  return ("this kernel has no links of the kind %s (the module %s)"):format(kind, kind)
end

local function new_link(what, kind, one, data)
  local info = attribute(INFO_KIND, kind .. "\0") .. (data and attribute(INFO_DATA, data) or "")
  local m = message(what, NEWLINK, NEW, ifinfo(one.index, one.up and UP, one.up and UP) .. end_attributes(one)
    .. attribute(IFLA.LINKINFO, info))
  m.type, m.kernel = kind, rtnetlink.no_links(kind)
  return m
end

--- A new link of that kind without data of its own: bridge, dummy.
function rtnetlink.link(kind, one)
  return new_link(("%s %s"):format(kind, called(one)), kind, one)
end

--- A new pair of ends; the second cannot be up, nor have a master, from the start.
function rtnetlink.veth(one, other)
  return new_link(("veth %s to %s"):format(one.label or one.name, called(other)), "veth", one,
    attribute(VETH_PEER, ifinfo(other.index) .. end_attributes(other)))
end

--- What changes an interface, of which `one` has the `index`, and `label` or `name`.
local function change(what, one, body)
  return message(("%s of %s"):format(what, called(one)), NEWLINK, REQUEST, body)
end

--- An interface is switched on.
function rtnetlink.up(one)
  return message(("%s up"):format(called(one)), NEWLINK, REQUEST, ifinfo(one.index, UP, UP))
end

--- It is switched off.
function rtnetlink.down(one)
  return message(("%s down"):format(called(one)), NEWLINK, REQUEST, ifinfo(one.index, 0, UP))
end

--- Two messages by which it forgets who its neighbours are, and whom it has asked for in vain: who asks in vain for a moment
-- more gets that as an error, though the other is there again.
function rtnetlink.forget_neighbours(one)
  local what = ("%s forgets its neighbours"):format(called(one))
  return message(what, NEWLINK, REQUEST, ifinfo(one.index, NOARP, NOARP)),
    message(what, NEWLINK, REQUEST, ifinfo(one.index, 0, NOARP))
end

--- The longest packet of an interface, in bytes.
function rtnetlink.mtu(one, mtu)
  return change(("mtu %d"):format(mtu), one, ifinfo(one.index) .. attribute(IFLA.MTU, u32(mtu)))
end

--- The bridge that it is a port of.
function rtnetlink.master(one, master)
  return message(("%s to %s"):format(one.label or one.name, called(master)), NEWLINK, REQUEST,
    ifinfo(one.index) .. attribute(IFLA.MASTER, u32(master.index)))
end

-- Of AF_INET6, how the kernel makes itself an address.
local ADDR_GEN_MODE, NO_ADDRESS = 8, 1

--- No link-local address of IPv6 of the kernel's own, which can be used a second later at the earliest. Before it is up.
function rtnetlink.no_link_local(one)
  local mode = attribute(ADDR_GEN_MODE, u8(NO_ADDRESS))
  return change("addrgenmode", one, ifinfo(one.index) .. attribute(IFLA.AF_SPEC, attribute(addresses.INET6, mode)))
end

--- Asks for what is known of it. From Linux 6.9 on the kernel does meanwhile what is left to be done for its carrier.
function rtnetlink.get_link(one)
  return message(("ask for %s"):format(called(one)), GETLINK, REQUEST, ifinfo(one.index))
end

--- An interface goes, and with it the other end of its pair.
function rtnetlink.delete(one)
  return message(("delete %s"):format(called(one)), DELLINK, REQUEST, ifinfo(one.index))
end

--- The value of an attribute in a message, behind a header of `size` bytes; nil if it has none such.
local function find_attribute(bytes, size, kind)
  local at = 17 + size
  while at + 3 <= #bytes do
    local length = rtnetlink.number_at(bytes, at, 2)
    if length < 4 then return nil end
    if rtnetlink.number_at(bytes, at + 2, 2) % 0x4000 == kind then return bytes:sub(at + 4, at + length - 1) end
    at = at + length + -length % 4
  end
end

--- Does the answer to `get_link` say that packets go through?
function rtnetlink.is_up(answer)
  local state = find_attribute(answer, 16, IFLA.OPERSTATE)
  return state ~= nil and state:byte() == OPERSTATE_UP
end

-- ---- addresses and routes ----

local NEWADDR, NEWROUTE, GETROUTE = 20, 24, 26
local IFA_ADDRESS, IFA_LOCAL, IFA_NODAD = 1, 2, 2
local RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
local TABLE_MAIN, STATIC, LOCAL = 254, 4, 2
local ROUTES = { unicast = 1, blackhole = 6, unreachable = 7, prohibit = 8 }
local SCOPE_UNIVERSE, SCOPE_LINK = 0, 253

--- An address of an interface; one of IPv6 is used at once, without asking whether another has it.
function rtnetlink.address(one, bytes, prefix)
  local family = #bytes == 4 and addresses.INET or addresses.INET6
  return message(("address %s/%d on %s"):format(addresses.text(bytes), prefix, called(one)), NEWADDR,
    NEW, u8(family, prefix, family == addresses.INET6 and IFA_NODAD or 0, 0) .. u32(one.index)
    .. attribute(IFA_LOCAL, bytes) .. attribute(IFA_ADDRESS, bytes))
end

--- A route to a subnet, nil for all others: by way of an address, over an interface, or both; or of another type, which
-- leads nowhere. `family`: where nothing else tells it.
function rtnetlink.route(subnet, via, one, type, family)
  family = via and (#via == 4 and addresses.INET or addresses.INET6) or family or addresses.INET
  local scope = (via or not one or family == addresses.INET6) and SCOPE_UNIVERSE or SCOPE_LINK
  local what = ("route to %s%s%s"):format(subnet and subnet.text or "all", via and " via " .. addresses.text(via) or "",
    one and " on " .. called(one) or "")
  return message(what, NEWROUTE, NEW, u8(family, subnet and subnet.prefix or 0, 0, 0, TABLE_MAIN, STATIC, scope,
    ROUTES[type or "unicast"]) .. u32(0) .. (subnet and attribute(RTA_DST, subnet.bytes) or "")
    .. (via and attribute(RTA_GATEWAY, via) or "") .. (one and attribute(RTA_OIF, u32(one.index)) or ""))
end

--- Asks how packets to an address would go.
function rtnetlink.get_route(bytes)
  local v4 = #bytes == 4
  return message(("ask for the route to %s"):format(addresses.text(bytes)), GETROUTE, REQUEST,
    u8(v4 and addresses.INET or addresses.INET6, 8 * #bytes, 0, 0, 0, 0, 0, 0) .. u32(0) .. attribute(RTA_DST, bytes))
end

--- The step, inside, that waits until an address of IPv6 is taken, which the kernel sees to a moment after it has said that
-- it is there: before that, what is sent to it goes nowhere.
function rtnetlink.await_local(bytes, word, part)
  local question = rtnetlink.get_route(bytes)
  return { op = "await_local", data = question.bytes, from = addresses.text(bytes), word = word, part = part }
end

--- Does the answer to `get_route` say that the address is the namespace's own?
function rtnetlink.is_local(answer)
  return answer:byte(16 + 8) == LOCAL
end

-- ---- queues ----

local NEWQDISC, DELQDISC = 36, 37
local TCA_KIND, TCA_OPTIONS = 1, 2
local ROOT = 0xffffffff

local function tcmsg(index, handle, parent)
  return u8(0, 0) .. u16(0) .. u32(index) .. u32(handle) .. u32(parent) .. u32(0)
end

-- The first is the interface's own, the second lies in it.
local HANDLES, PARENTS = { 0x10000, 0x20000 }, { ROOT, 0x10001 }

--- How packets leave an interface: the queue at the root, `place` 1, or the one in that, 2.
function rtnetlink.qdisc(one, kind, options, place)
  return message(("%s on %s"):format(kind, called(one)), NEWQDISC, NEW,
    tcmsg(one.index, HANDLES[place], PARENTS[place]) .. attribute(TCA_KIND, kind .. "\0")
    .. attribute(TCA_OPTIONS, options))
end

--- Takes that away again.
function rtnetlink.no_qdisc(one)
  return message(("delete the qdisc of %s"):format(called(one)), DELQDISC, REQUEST, tcmsg(one.index, 0, ROOT))
end

return rtnetlink
