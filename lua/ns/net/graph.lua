--- A network (`ns.net`) as a picture: what is linked to what, in the language of graphviz, and by its dot(1) as an image.
-- @module ns.net.graph
require("ns.core").nojit()
local box = require "ns.box"
local core = require "ns.core"
local errors = require "ns.start.errors"
local shape = require "ns.words.shape"
local sorted = require "ns.words.sorted"

local net_graph = {}

local SECONDS = 30 -- that dot may take

--- A text in quotation marks; "\n" in it begins a line.
local function quoted(text)
  return '"' .. text:gsub('["\\]', "\\%0"):gsub("\n", "\\n") .. '"'
end

local function statement(name, attributes)
  local parts = {}
  for i, key in ipairs(sorted.keys(attributes)) do parts[i] = key .. "=" .. quoted(attributes[key]) end
  return ("  %s [%s];"):format(name, table.concat(parts, ", "))
end

local function label_of(node)
  local lines = { node.name }
  for _, one in ipairs(node:addresses()) do lines[#lines + 1] = one.ipv4 or one.ipv6 end
  return table.concat(lines, "\n")
end

local function subnet_of(switch)
  local subnet = switch.segment and (switch.segment.ipv4 or switch.segment.ipv6) or switch.ipv4 or switch.ipv6
  return subnet and "\n" .. subnet.text or ""
end

--- A rounded box for each host, a diamond for a router, a plain box for a switch; those of one side have one colour.
local COLOURS = { "#dbe9f6", "#f9dcc4", "#d8ead2", "#ead9ee", "#f6efc4", "#e0e0e0" }

local function node_statement(node)
  local colour = COLOURS[node.side % #COLOURS + 1]
  return statement(quoted(node.name), { label = label_of(node), shape = node.forwards and "diamond" or "box",
    style = node.forwards and "filled" or "rounded,filled", fillcolor = colour })
end

local function link_statement(link)
  local is_off = link.is_down or link.is_cut
  local ends = ("%s -- %s"):format(quoted(link.ends[1].at.name), quoted(link.ends[2].at.name))
  return statement(ends, { label = shape.text(link.words) .. (link.is_down and "\ndown" or ""),
    style = is_off and "dashed" or "solid", color = is_off and "#c03030" or "#404040" })
end

--- The text of the picture.
function net_graph.dot(self)
  local lines = { "graph net {", '  graph [layout="dot", bgcolor="white"];',
    '  node [fontname="sans-serif", fontsize="11", color="#404040"];',
    '  edge [fontname="sans-serif", fontsize="9"];' }
  for _, switch in ipairs(self.switches) do
    lines[#lines + 1] = statement(quoted(switch.name), { label = switch.name .. subnet_of(switch), shape = "box" })
  end
  for _, node in ipairs(self.nodes) do lines[#lines + 1] = node_statement(node) end
  for _, link in ipairs(self.links) do lines[#lines + 1] = link_statement(link) end
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n") .. "\n"
end

--- The picture as an image: its bytes; or nil, message, errno, detail.
function net_graph.draw(self, format)
  local words = { "dot", "-T" .. format, input = net_graph.dot(self), timeout = SECONDS }
  local r, message, errno, detail = box.over({}, words, "graph"):run()
  if r and r.ok then return r.stdout end
  if not r and errno == core.constants.errno.ENOENT then
    local hint = "graphviz is not installed; net:graph() gives the text for it"
    return errors.refused({ op = "exec", data = "dot", hint = hint }, errno)
  end
  if not r then return nil, message, errno, detail end
  return errors.refused({ op = "exec", data = "dot", hint = r.stderr:match "[^\n]+" or tostring(r) },
    core.constants.errno.EIO)
end

return net_graph
