--- The words `publish` and `reach`: which ports of a box lead in, and which of the world it may reach. Each is a list of
-- places, between which a relay moves bytes (src/launcher/relay.c).
-- @module ns.words.ports
require("ns.core").nojit()
local addresses = require "ns.words.addresses"
local check = require "ns.words.check"
local core = require "ns.core"
local endpoint = require "ns.words.endpoint"
local rtnetlink = require "ns.words.rtnetlink"
local INSIDE = require("ns.core").constants.step.INSIDE

local ports = {}

-- As many as the host takes from a launcher, and how many connections may wait in each (listen(2)).
local MOST, WAITING = 64, 1024

local LOOPBACK = { index = 1, name = "lo" }

local function sorted(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local keys = {}
  for key in next, value do keys[#keys + 1] = key end
  if #keys > MOST then check.fail(where, "%d are too many, %d are the most", #keys, MOST) end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and type(a) ~= "table" and type(a) ~= "boolean" then return a < b end
    return type(a) < type(b)
  end)
  return keys
end

--- Where the host listens: a port of 127.0.0.1, or "ADDRESS:PORT"; port 0 is any that is free.
local function check_listener(key, where)
  local host, port = "127.0.0.1", key
  if type(key) == "number" then check.integer(0, 65535)(key, where) else host, port = endpoint.split(key, where, 0) end
  local address = core.address(host, port)
  if not address then check.fail(where, "'%s' is no address of this machine; a name is none", host) end
  return address, ("%s:%d"):format(host:find(":", 1, true) and "[" .. host .. "]" or host, port)
end

--- {[8080] = 80, ["0.0.0.0:8081"] = 81}: a list of { on, text, to, key }.
function ports.check_publish(value, where)
  local list, keys = {}, sorted(value, where)
  if value[1] ~= nil then
    check.fail(where, "a list, where { [8080] = 80 } is meant: the host's port, and that of the box")
  end
  for i, key in ipairs(keys) do
    local at = check.at(where, key)
    local on, text = check_listener(key, at)
    local to = endpoint.server(value[key], at)
    if to.path then check.fail(at, "a port or 'ADDRESS:PORT' of the box expected, got a path") end
    list[i] = { on = on, text = text, to = to, inside = value[key], part = tostring(key) }
  end
  return list
end

--- One that may be reached: what is dialled inside, and where that leads.
local function check_target(dialled, target, where)
  local row = { text = dialled, target = target }
  row.host, row.port = endpoint.split(dialled, where)
  row.to_host, row.to_port = endpoint.split(target, where)
  for _, host in ipairs { row.host, row.to_host } do
    if not core.address(host, 0) and not endpoint.is_name(host) then
      check.fail(where, "'%s' is neither an address nor a name", host)
    end
  end
  return row
end

--- { "127.0.0.1:5432", "db.example:443", ["cache:6379"] = "127.0.0.1:7000" }: a list of { text, target, host, port, to_host,
-- to_port }, in which what is dialled stands before where it leads.
function ports.check_reach(value, where)
  local list, seen = {}, {}
  for i, key in ipairs(sorted(value, where)) do
    local at, target = check.at(where, key), value[key]
    local is_item = type(key) == "number"
    if type(target) ~= "string" or not is_item and type(key) ~= "string" then
      check.fail(at, "'ADDRESS:PORT' or 'NAME:PORT' expected, got %s", check.show(is_item and target or key))
    end
    list[i] = check_target(is_item and target or key, target, at)
    if seen[list[i].text] then check.fail(at, "'%s' is given twice", list[i].text) end
    seen[list[i].text] = true
    list[i].part = tostring(key)
  end
  return list
end

-- ---- what stands for a name inside ----

--- The address that each host of `reach` has inside: its own, or one of the loopback for a name; {[host] = address}.
local function inside_addresses(list)
  local known, taken, n = { localhost = "127.0.0.1" }, {}, 1
  for _, row in ipairs(list) do
    if core.address(row.host, 0) then known[row.host], taken[row.host] = row.host, true end
  end
  for _, row in ipairs(list) do
    while not known[row.host] do
      n = n + 1
      local address = ("127.0.%d.%d"):format(math.floor(n / 256), n % 256)
      if not taken[address] then known[row.host] = address end
    end
  end
  return known
end

--- The names of what a checked spec reaches, sorted by address: a list of { address, name }.
function ports.names(spec)
  local list = {}
  for host, address in next, inside_addresses(spec.reach or {}) do
    if host ~= address and host ~= "localhost" then list[#list + 1] = { address, host } end
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list
end

local PRIVILEGED, SETTING = 1024, "net.ipv4.ip_unprivileged_port_start"

--- May the program have the ports that are published? In a network of its own they harm nobody.
local function allow_ports(spec)
  for _, row in ipairs(spec.publish) do
    if row.to.port < PRIVILEGED and not (spec.sysctl and spec.sysctl[SETTING]) then
      local settings = { [SETTING] = "0" }
      for name, value in next, spec.sysctl or {} do settings[name] = value end
      spec.sysctl = settings
    end
  end
end

--- What the words bring along: an init, /etc/hosts, low ports.
function ports.check_together(spec)
  for _, word in ipairs { "reachable", "publish", "reach" } do
    if spec[word] and spec.init == false then
      check.fail(word, "needs an init, which makes sockets for you: not with init = false")
    end
    spec.init = spec.init or spec[word] and true or nil
  end
  if spec.publish then allow_ports(spec) end
  if #ports.names(spec) > 0 and not spec.flags.mount then
    check.fail("reach", "a name needs 'mount' in flags, for the /etc/hosts that it stands in; an address does not")
  end
end

-- ---- steps ----

--- On the host: what is published is listened for.
function ports.publish(list, _, add)
  for i, row in ipairs(list) do
    add { op = "publish", row = row, number = i, path = row.text, word = "publish", part = row.part }
  end
end

--- On the host: names are looked up.
function ports.resolve(list, _, add)
  for i, row in ipairs(list) do
    add { op = "resolve", row = row, number = i, path = row.to_host, word = "reach", part = row.part }
  end
end

--- Is it an address of the loopback anyway?
local function is_loopback(family, bytes)
  if family == addresses.INET then return bytes:byte() == 127 end
  return addresses.text(bytes) == "::1"
end

--- An address becomes one of the box's own.
local function take(family, bytes, part, add)
  local message = rtnetlink.address(LOOPBACK, bytes, 8 * #bytes)
  add { op = "netlink", data = message.bytes, value = 0, from = message.what, word = "reach", part = part }
  if family == addresses.INET6 then add(rtnetlink.await_local(bytes, "reach", part)) end
end

--- In the box: for each that may be reached a socket that listens there. Other addresses become its own before.
function ports.listen(list, _, add)
  local known, own = inside_addresses(list), {}
  for _, row in ipairs(list) do
    local address = known[row.host]
    local family, bytes = addresses.read(address)
    if not is_loopback(family, bytes) and not own[address] then
      take(family, bytes, row.part, add)
      own[address] = true
    end
    add { op = "listen", data = core.address(address, row.port), value = WAITING, path = ("%s:%d"):format(address, row.port),
      from = row.text, word = "reach", part = row.part }
  end
end

local SIZE = 28 -- of an address in a route

local function padded(list)
  local parts = {}
  for i, address in ipairs(list) do parts[i] = address .. ("\0"):rep(SIZE - #address) end
  return table.concat(parts)
end

--- The routes of the relay, for descriptors from `first` on: steps.
function ports.routes(spec, found, first)
  local list = {}
  local function add(row, how, to, text, word)
    list[#list + 1] = { op = "route", fd = first + #list, data = padded(to), how = how, path = row.text, from = text,
      word = word, part = row.part }
  end
  for _, row in ipairs(spec.publish or {}) do add(row, INSIDE, row.to.addresses, row.to.text .. " of the box", "publish") end
  for i, row in ipairs(spec.reach or {}) do
    add(row, nil, found.reach and found.reach[i] or { "" }, row.target, "reach")
  end
  return list
end

return ports
