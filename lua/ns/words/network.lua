--- The word `network`: what a program has for a network, in a word; or in a table, which says more of it.
-- @module ns.words.network
require("ns.core").nojit()
local check = require "ns.words.check"
local hosts = require "ns.words.hosts"
local interfaces = require "ns.words.interfaces"
local ports = require "ns.words.ports"
local sysctl = require "ns.words.sysctl"

local network, NONE = {}, {}

local check_word = check.choice("none", "host", "pasta")

local WORD = 1 -- where it stands in a table

local fields = check.record { interfaces = interfaces.check, routes = interfaces.check_routes, sysctl = sysctl.check,
  hosts = hosts.check, dns = hosts.check_dns, word = check_word }

--- What means nothing without a network of one's own.
local OWN = { "interfaces", "routes", "sysctl" }

--- "pasta", or {"pasta", dns=, hosts=, interfaces=, routes=, sysctl=}: a table, in which the word is `word`.
function network.check(value, where)
  if type(value) ~= "table" then return { word = check_word(value, where) } end
  local given = {}
  for key, v in next, value do
    if key == "word" then check.fail(where, "unknown field 'word'") end
    given[key == WORD and "word" or key] = v
  end
  local result = fields(given, where)
  result.word = result.word or "none"
  for _, field in ipairs(OWN) do
    if result[field] and result.word == "host" then
      check.fail(("%s.%s"):format(where, field), "the network of the host is not for us to change")
    end
  end
  interfaces.check_together(result.interfaces or NONE, result.routes or NONE, result.word == "pasta", where)
  return result
end

--- Is it the world outside?
function network.is_outside(spec)
  return spec.network ~= nil and spec.network.word == "pasta"
end

--- Those of an interface are set when it is there, all others before: a new one takes what stands under "default".
local function is_of_interface(name, list)
  for _, one in ipairs(list or NONE) do
    local quoted = one.name:gsub("%p", "%%%0")
    if one.name ~= "lo" and name:find("^net[./]ipv[46][./]%l+[./]" .. quoted .. "[./]") then return true end
  end
end

--- What is in the word `sysctl` counts before what is in this one.
local function add_settings(spec, n)
  local settings = {}
  for name, value in next, n.sysctl or NONE do
    if not is_of_interface(name, n.interfaces) then settings[name] = value end
  end
  for name, value in next, spec.sysctl or NONE do settings[name] = value end
  if next(settings) then spec.sysctl = settings end
end

--- With it, whether there is a net namespace is said: a new table, as flags may be a box's. Where there is none, nothing is
-- left to do in it.
function network.apply(spec)
  local n = spec.network
  if not n then return end
  local flags = {}
  for name in next, spec.flags do flags[name] = true end
  flags.net = n.word ~= "host" or nil
  spec.flags = flags
  add_settings(spec, n)
  if spec.join and (not spec.join.names or spec.join.names.net) then
    check.fail("network", "given beside 'join', which has a network of its own to enter")
  end
  if n.word == "host" then spec.network, spec.network_files, spec.has_host_network = nil, n, true end
end

--- To the host's abstract sockets the network leads, too. A sandbox keeps its program from them where this kernel can.
local function keep_from_abstract(spec, abi)
  local rules = spec.landlock or {}
  if not spec.no_new_privs or abi < 6 or rules.scope then return end
  local copy = { scope = { abstract_unix = true } }
  for field, value in next, rules do copy[field] = value end
  spec.landlock = copy
end

--- The files that it wants: /etc/hosts has the names of `reach`, too.
local function put_files(spec, n)
  for _, field in ipairs { "hosts", "dns" } do
    if n[field] and not spec.flags.mount then
      check.fail("network." .. field, "needs 'mount' in flags, for the file in /etc that it stands in")
    end
  end
  local names = ports.names(spec)
  for _, row in ipairs(n.hosts or NONE) do names[#names + 1] = row end
  hosts.put_names(spec, names)
  hosts.put_dns(spec, n.dns)
end

--- Raises the mistake of words that go against each other; and says what the words bring along.
function network.check_together(spec, host)
  local n = spec.network or spec.network_files or NONE
  if network.is_outside(spec) and spec.reach then
    check.fail("reach", "with network = 'pasta' all is reached: one of the two")
  end
  if spec.has_host_network and spec.flags.user then keep_from_abstract(spec, host.landlock and host.landlock() or 0) end
  put_files(spec, n)
end

--- On the host, when the namespace is there, and before the launcher has its plan: pasta makes an interface in it.
function network.attach(n, _, add)
  if n.word == "pasta" then add { op = "pasta", word = "network" } end
end

--- While the host's /proc is there: interfaces, and their settings.
function network.links(n, _, add, found)
  if n.interfaces then interfaces.links(n.interfaces, add) end
  local settings = {}
  for name, value in next, n.sysctl or NONE do
    if is_of_interface(name, n.interfaces) then settings[name] = value end
  end
  sysctl.steps(settings, nil, add, found)
end

--- When the loopback is up: addresses and routes.
function network.addresses(n, _, add)
  interfaces.addresses(n.interfaces or NONE, n.routes or NONE, add)
end

--- Last of all, as it may take a moment.
function network.await(n, _, add)
  interfaces.await(n.interfaces or NONE, add)
end

return network
