-- The benchmark: plays the sections one after the other, prints one table, says which targets are reached, writes
-- bench.csv and bench.svg. usage: bench.lua OUTPUT-DIRECTORY ROUNDS [PATTERN OF CASES]; bench/run.sh sees to the rest.
local cases = require "bench.cases"
local chart = require "bench.chart"
local measure = require "bench.measure"
local report = require "bench.report"

local directory, rounds, wanted = arg[1], arg[2], arg[3] or ""
local home = os.getenv("BENCH_HOME")
local root = require("ns.core").ids().euid == 0

local AS_NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups "

-- Each section: its title; the name by which the worker knows it; the unit; whether more of it is better.
local sections = {}
for _, case in ipairs(cases.list) do
  local prefix = case.nobody and root and AS_NOBODY or ""
  if root or case.nobody or case.namespaces and #case.namespaces == 0 then
    sections[#sections + 1] = { title = case.name, name = case.name, unit = case.unit or "µs", prefix = prefix }
  end
end
if root then
  table.insert(sections, { title = "seed's set, by the host's heap", name = "heap", unit = "µs" })
  table.insert(sections, { title = "seed's set, spawns a second", name = "flight", unit = "/s", more = true })
  table.insert(sections, { title = "memory for 1,000 live programs", name = "memory", unit = "KiB" })
  table.insert(sections, { title = "memory of a living sandbox", name = "living_memory", unit = "KiB" })
end
table.insert(sections, { title = "in a living sandbox, at once", name = "living_flight", unit = "/s", more = true })
table.insert(sections, { title = "ns.call, by the host's heap", name = "call", unit = "µs" })
table.insert(sections, { title = "capture of 256 MiB", name = "capture", unit = "MiB/s", more = true })

local function row(section, contestant, figures)
  local r = { case = section.title, contestant = contestant, unit = section.unit }
  if #figures > 0 then
    r.median = measure.median(figures)
    r.p99 = not section.more and #figures >= 100 and measure.p99(figures) or nil
    r.best = (section.more and math.max or math.min)(table.unpack(figures))
  end
  return r
end

-- The rows of a section; the ratio is to the first of them.
local function play(section)
  local command = ("%slua5.4 %s/bench/worker.lua %q %s"):format(section.prefix or "", home, section.name, rounds)
  local rows, worker = {}, assert(io.popen(command))
  for line in worker:lines() do
    local contestant, list = line:match("^(.-)\t(.*)$")
    local figures = {}
    for word in list:gmatch("%S+") do figures[#figures + 1] = tonumber(word) end
    local r = row(section, contestant, figures)
    rows[#rows + 1] = r
    r.ratio = r.median and rows[1].median and r.median / rows[1].median
  end
  worker:close()
  return rows
end

for i = #sections, 1, -1 do
  if not sections[i].title:find(wanted) then table.remove(sections, i) end
end

local rows = {}
for i, section in ipairs(sections) do
  io.stderr:write(("[%d/%d] %s\n"):format(i, #sections, section.title))
  for _, r in ipairs(play(section)) do rows[#rows + 1] = r end
end

report.table(rows)
report.targets(rows)
report.csv(rows, directory .. "/bench.csv")
chart.write(rows, directory .. "/bench.svg")
print(("\nwritten: %s/bench.csv, %s/bench.svg"):format(directory, directory))
