-- The times as a bar chart, in SVG: a group of bars for each case, on a logarithmic scale, as the floor and bwrap are
-- more than an order of magnitude apart.
local chart = {}

local LEFT, WIDTH, BAR, GAP, TOP, RIGHT = 170, 560, 16, 34, 62, 90
local LOW, HIGH = 30, 20000 -- microseconds, the two ends of the scale
local DECADES = { 100, 1000, 10000 }

local COLOURS = {
  { "^floor", "#8a8f98" }, { "^ns", "#1f6fd1" }, { "luv", "#3a9a5c" }, { "unshare", "#e0912f" }, { "bwrap", "#b8433f" },
  { "^os%.execute", "#8a6bbe" }, { "^io%.popen", "#8a6bbe" }, { "iB$", "#1f6fd1" },
}

local function colour(contestant)
  for _, row in ipairs(COLOURS) do
    if contestant:find(row[1]) then return row[2] end
  end
end

local function x(value)
  return LEFT + WIDTH * math.log(math.max(LOW, math.min(value, HIGH)) / LOW) / math.log(HIGH / LOW)
end

local function text(out, left, top, style, words)
  words = words:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" })
  out[#out + 1] = ('<text x="%.1f" y="%.1f" %s>%s</text>'):format(left, top, style, words)
end

local function bar(out, top, r)
  local shape = '<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>'
  out[#out + 1] = shape:format(LEFT, top, math.max(x(r.median) - LEFT, 1), BAR - 3, colour(r.contestant))
  text(out, LEFT - 6, top + 10.5, 'text-anchor="end"', r.contestant)
  local ratio = r.ratio and ("  (%.2f)"):format(r.ratio) or ""
  text(out, x(r.median) + 5, top + 10.5, 'fill="#333"', ("%.0f%s"):format(r.median, ratio))
end

-- All groups, from the top down; the height they need.
local function bars(out, rows)
  local y, last = TOP, nil
  for _, r in ipairs(rows) do
    if r.unit == "µs" and r.median then
      if r.case ~= last then
        y = y + GAP
        text(out, LEFT, y - 6, 'font-weight="bold"', r.case)
      end
      bar(out, y, r)
      y, last = y + BAR, r.case
    end
  end
  return y
end

local function axis(out, bottom)
  for _, value in ipairs(DECADES) do
    local line = '<line x1="%.1f" x2="%.1f" y1="%d" y2="%.1f" stroke="#ddd"/>'
    out[#out + 1] = line:format(x(value), x(value), TOP + 6, bottom)
    text(out, x(value), TOP, 'text-anchor="middle" fill="#666"', ("%g ms"):format(value / 1000))
  end
end

function chart.write(rows, path)
  local shapes, grid = {}, {}
  local height, width = bars(shapes, rows) + 16, LEFT + WIDTH + RIGHT
  axis(grid, height - 10)
  text(grid, 12, 24, 'font-size="16" font-weight="bold"', "One spawn to its end, in microseconds")
  text(grid, 12, 42, 'fill="#666"', "median of interleaved rounds, logarithmic; in brackets the ratio to the first bar")
  local f = assert(io.open(path, "w"))
  local head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"'
  f:write(head:format(width, height, width, height), ' font-family="sans-serif" font-size="12">\n')
  f:write('<rect width="100%" height="100%" fill="white"/>\n')
  f:write(table.concat(grid, "\n"), "\n", table.concat(shapes, "\n"), "\n</svg>\n")
  f:close()
end

return chart
