--- Where a server listens, as one says it: a port, "ADDRESS:PORT", "NAME:PORT", a path.
-- @module ns.words.endpoint
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"

local endpoint = {}

endpoint.port = check.integer(1, 65535)

-- Where a server of a machine's own is, if only its port is said: some listen on one of the two alone.
endpoint.LOOPBACK = { "127.0.0.1", "::1" }

local NAME = "^[%w_][%w._-]*$"

--- "HOST:PORT" or "[HOST]:PORT" -> host, port; raises a mistake that says what was expected. `least`: the lowest port.
function endpoint.split(value, where, least)
  if type(value) ~= "string" then check.fail(where, "'ADDRESS:PORT' expected, got %s", check.show(value)) end
  local host, port = value:match "^%[(.*)%]:(%d+)$"
  if not host then host, port = value:match "^([^:]*):(%d+)$" end
  if not host or #host > 253 then check.fail(where, "'ADDRESS:PORT' expected, got '%s'", value) end
  return host, check.integer(least or 1, 65535)(tonumber(port), where)
end

--- Is it an address, and not a name? Its bytes with the port then.
function endpoint.address(host, port)
  return core.address(host, port)
end

--- Could it be the name of a machine?
function endpoint.is_name(host)
  return host:find(NAME) ~= nil
end

-- sun_path, with a 0 at its end
local PATH_MAX = 107

--- Where a server in a box is: {text = in words, addresses = those to be tried, port; or path = of its socket}. A port, an
-- address with a port, the path of a socket, or "@" and the name of an abstract one.
function endpoint.server(value, where)
  if type(value) == "number" then
    local port = endpoint.port(value, where)
    local addresses = {}
    for i, host in ipairs(endpoint.LOOPBACK) do addresses[i] = core.address(host, port) end
    return { text = ("port %d"):format(port), addresses = addresses, port = port }
  end
  local first = type(value) == "string" and value:sub(1, 1)
  if first == "/" or first == "@" and #value > 1 then
    check.sized(1, PATH_MAX)(value, where)
    return { text = value, path = first == "@" and "\0" .. value:sub(2) or value .. "\0" }
  end
  if type(value) ~= "string" then
    check.fail(where, "a port, 'ADDRESS:PORT' or the path of a socket expected, got %s", check.show(value))
  end
  local host, port = endpoint.split(value, where)
  local address = core.address(host, port)
  if not address then check.fail(where, "'%s' is no address; names of the box are not looked up here", host) end
  return { text = value, addresses = { address }, port = port }
end

return endpoint
