--- Draws the pictures of doc/networks.md, by net:graph, and graphviz's dot, which must be installed.
-- usage: lua tools/pictures.lua [--text]: the text for graphviz instead
local ns = require "ns"

local pictures = {}

--- {file, what is shown}, in the order of the page.
pictures.rows = {
  { "net_first", function()
    local net = ns.net()
    local h1, h2, s1 = net:host "h1", net:host "h2", net:switch "s1"
    net:link(h1, s1, { delay = "10ms", loss = 1 })
    net:link(h2, s1, { rate = "10mbit" })
    return net
  end },
  { "net_office", function()
    local net = ns.net()
    local office, servers = net:switch "office", net:switch("servers", { ipv4 = "192.168.7.0/24" })
    local gate = net:router "gate"
    for _, name in ipairs { "ann", "bob" } do net:link(net:host(name), office) end
    for _, name in ipairs { "web", "db" } do net:link(net:host(name), servers) end
    net:link(gate, office)
    net:link(gate, servers)
    return net
  end },
  { "net_cut", function()
    local net = ns.net.star(4)
    if not net:start() then return net end
    net:cut { "h1", "h2" }
    net.links[4]:down()
    return net
  end },
  { "net_tree", function() return ns.net.tree(3, 2) end },
}

if arg and arg[0] and arg[0]:find "pictures%.lua$" then
  for _, row in ipairs(pictures.rows) do
    local net = row[2]()
    local text = assert(net:graph(arg[1] == "--text" and "dot" or "svg"))
    net:close()
    if arg[1] == "--text" then
      io.write(text)
    else
      local f = assert(io.open(("doc/%s.svg"):format(row[1]), "w"))
      f:write(text)
      f:close()
    end
  end
end

return pictures
