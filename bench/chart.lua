-- The picture of the times: a group of bars for each case, in SVG, on a linear scale, with the machine's name. It is
-- committed as doc/bench.svg and stands in the README: it has what a reader wants to compare, not all that was measured.
local chart = {}

local WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 600, 176, 64, 22, 40, 76

-- Case, and what the picture calls it.
local CASES = {
  { "no namespace", "no namespace" },
  { "seed's set", "pid, mount, uts, ipc; host name and /proc" },
  { "seed's set + user, rootless", "the same and user, as an ordinary user" },
  { "full sandbox, rootless", "ns.sandbox(), as an ordinary user" },
}

-- Contestant, what the picture calls it, and the class of its bar.
local CONTESTANTS = {
  { "floor", "C alone", "floor" },
  { "ns.spawn", "ns.spawn", "ns" },
  { "box:spawn", "a box of ns", "ns" },
  { "luv uv.spawn", "luv", "other" },
  { "os.execute", "os.execute", "other" },
  { "os.execute unshare", "os.execute unshare", "other" },
  { "os.execute bwrap", "os.execute bwrap", "other" },
}

-- The ground is the picture's own, as it is looked at on pages of either colour.
local STYLE = [[
<style>
  .ground { fill: #fbfcfe; stroke: #c9d1da } text { fill: #1c2430 } .quiet { fill: #56616f } .title { font-weight: bold }
  .floor { fill: #98a2ae } .ns { fill: #2470cc } .other { fill: #d9822b }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #171c23; stroke: #3a4450 } text { fill: #e6eaf0 } .quiet { fill: #a3adba }
    .floor { fill: #77828f } .ns { fill: #5b9fee } .other { fill: #d08a3e }
  }
</style>
]]

local function text(out, left, top, attributes, words)
  words = words:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })
  out[#out + 1] = ('<text x="%.0f" y="%.0f" %s>%s</text>'):format(left, top, attributes, words)
end

local function find(rows, case, contestant)
  for _, r in ipairs(rows) do
    if r.case == case and r.contestant == contestant then return r.median end
  end
end

-- What was measured of the cases, in the picture's words: {title=, {label, class, microseconds}, ...}; and the longest time.
local function groups(rows)
  local list, longest = {}, 1
  for _, case in ipairs(CASES) do
    local group = { title = case[2] }
    for _, contestant in ipairs(CONTESTANTS) do
      local value = find(rows, case[1], contestant[1])
      if value then
        group[#group + 1] = { contestant[2], contestant[3], value }
        longest = math.max(longest, value)
      end
    end
    if #group > 0 then list[#list + 1] = group end
  end
  return list, longest
end

local function thousands(value)
  return (("%.0f"):format(value):reverse():gsub("(%d%d%d)(%d)", "%1,%2"):reverse())
end

-- All bars from the top down; the height they need.
local function bars(out, list, longest)
  local y = TOP
  for _, group in ipairs(list) do
    y = y + GAP
    text(out, 16, y - 10, 'class="title"', group.title)
    for _, bar in ipairs(group) do
      local width = math.max(2, bar[3] / longest * (WIDTH - LEFT - RIGHT))
      text(out, LEFT - 8, y + 14, 'text-anchor="end"', bar[1])
      out[#out + 1] = ('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>'):format(bar[2], LEFT, y, width, BAR - 4)
      text(out, LEFT + width + 6, y + 14, "", thousands(bar[3]))
      y = y + BAR
    end
  end
  return y + 16
end

-- "2 processors (AMD EPYC), Linux 6.18, Lua 5.4"
local function machine()
  local count, model = 0, nil
  for line in io.lines("/proc/cpuinfo") do
    if line:find("^processor") then count = count + 1 end
    model = line:match("^model name%s*: (.-)%s*$") or model
  end
  local kernel = io.open("/proc/sys/kernel/osrelease"):read("*l"):match("^%d+%.%d+")
  return ("%d processors%s, Linux %s, %s"):format(count, model and (" (%s)"):format(model) or "", kernel, _VERSION)
end

function chart.write(rows, path)
  local shapes = {}
  text(shapes, 16, 28, 'class="title" font-size="17"', "One program that does nothing, from its start to its end")
  text(shapes, 16, 49, 'class="quiet"', "microseconds, median of rounds played in turns; shorter is better")
  text(shapes, 16, 68, 'class="quiet"', "on " .. machine())
  local height = bars(shapes, groups(rows))
  local f = assert(io.open(path, "w"))
  local head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"'
  f:write(head:format(WIDTH, height, WIDTH, height), ' font-family="sans-serif" font-size="14">\n', STYLE)
  f:write(('<rect class="ground" x=".5" y=".5" width="%d" height="%d" rx="8"/>\n'):format(WIDTH - 1, height - 1))
  f:write(table.concat(shapes, "\n"), "\n</svg>\n")
  f:close()
end

return chart
