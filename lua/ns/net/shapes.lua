--- Networks (`ns.net`) that are often wanted: hosts h1, h2, ... and switches s1, s2, ...; called as those of mininet.
-- @module ns.net.shapes
require("ns.core").nojit()
local check = require "ns.words.check"

local net_shapes = {}

local MOST = 4096 -- hosts

local function checked(method, argument, name, value, most)
  local ok, mistake = pcall(check.integer(1, most or MOST), value, name)
  if not ok then check.raise("bad argument #%d to '%s' (%s)", argument, method, check.mistake(mistake)) end
  return value
end

--- One switch with so many hosts.
function net_shapes.star(net, words, n)
  checked("star", 1, "n", n)
  local s1 = net:switch "s1"
  for i = 1, n do net:link(net:host("h" .. i), s1, words) end
end

--- So many switches in a row, each with a host.
function net_shapes.line(net, words, n)
  checked("line", 1, "n", n)
  local last
  for i = 1, n do
    local switch = net:switch("s" .. i)
    net:link(net:host("h" .. i), switch, words)
    if last then net:link(last, switch, words) end
    last = switch
  end
end

--- A tree of switches, `depth` of them from its root to each host, where each has `fanout` below it.
function net_shapes.tree(net, words, depth, fanout)
  checked("tree", 1, "depth", depth, 12)
  checked("tree", 2, "fanout", fanout)
  if fanout ^ depth > MOST then check.raise("bad argument #2 to 'tree' (%d hosts are the most)", MOST) end
  local switches, hosts = 0, 0
  local function add(level)
    if level == 0 then
      hosts = hosts + 1
      return net:host("h" .. hosts)
    end
    switches = switches + 1
    local switch = net:switch("s" .. switches)
    for _ = 1, fanout do net:link(switch, add(level - 1), words) end
    return switch
  end
  add(depth)
end

return net_shapes
