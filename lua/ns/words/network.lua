--- The word `network`: what a program has for a network, in a word.
-- @module ns.words.network
require("ns.core").nojit()
local check = require "ns.words.check"

local network = {}

network.check = check.choice("none", "host", "pasta")

--- With it, whether there is a net namespace is said: a new table, as flags may be a box's.
function network.apply(spec)
  if not spec.network then return end
  local flags = {}
  for name in next, spec.flags do flags[name] = true end
  flags.net = spec.network ~= "host" or nil
  spec.flags = flags
  if spec.join and (not spec.join.names or spec.join.names.net) then
    check.fail("network", "given beside 'join', which has a network of its own to enter")
  end
end

--- To the host's abstract sockets the network leads, too. A sandbox keeps its program from them where this kernel can.
local function keep_from_abstract(spec, abi)
  local rules = spec.landlock or {}
  if not spec.no_new_privs or abi < 6 or rules.scope then return end
  local copy = { scope = { abstract_unix = true } }
  for field, value in next, rules do copy[field] = value end
  spec.landlock = copy
end

--- Raises the mistake of words that go against each other.
function network.check_together(spec, host)
  if spec.network == "pasta" and spec.reach then
    check.fail("reach", "with network = 'pasta' all is reached: one of the two")
  end
  if spec.network == "host" and spec.flags.user then keep_from_abstract(spec, host.landlock and host.landlock() or 0) end
end

--- On the host, when the namespace is there, and before the launcher has its plan: pasta makes an interface in it.
function network.attach(value, _, add)
  if value == "pasta" then add { op = "pasta", word = "network" } end
end

return network
