-- The figures for people: a table and the targets; and for programs: CSV.
local report = {}

local COLUMNS = "%-32s %-24s %9s %9s %9s %-6s %7s"

-- Three digits are worth reading.
local function short(value)
  if not value then return "-" end
  return (value < 100 and "%.1f" or "%.0f"):format(value)
end

--- Median, best and one-in-a-hundred of all rounds. A contestant without figures has failed on this machine.
function report.table(rows)
  print(COLUMNS:format("case", "contestant", "median", "best", "p99", "unit", "ratio"))
  local last
  for _, r in ipairs(rows) do
    if r.case ~= last then print(("-"):rep(102)) end
    local ratio = r.ratio and ("%.2f"):format(r.ratio) or "-"
    print(COLUMNS:format(r.case ~= last and r.case or "", r.contestant, short(r.median), short(r.best), short(r.p99),
      r.unit, ratio))
    last = r.case
  end
  print("\nratio: to the median of the first in its group; more is better where the unit is a rate")
end

function report.csv(rows, path)
  local f = assert(io.open(path, "w"))
  f:write("case,contestant,median,best,p99,unit,ratio\n")
  for _, r in ipairs(rows) do
    local figures = {}
    for i, key in ipairs { "median", "best", "p99", "ratio" } do figures[i] = r[key] and ("%.3f"):format(r[key]) or "" end
    f:write(('"%s","%s",%s,%s,%s,%s,%s\n'):format(r.case, r.contestant, figures[1], figures[2], figures[3], r.unit,
      figures[4]))
  end
  f:close()
end

local function median(rows, case, contestant)
  for _, r in ipairs(rows) do
    if r.case == case and r.contestant == contestant then return r.median end
  end
end

-- What is compared: the median of `a` over that of `b`, which shall be at most, or at least, the limit. Without `b`, the
-- median itself.
local SEED, HEAP, CAPTURE = "seed's set", "seed's set, by the host's heap", "capture of 256 MiB"
local SANDBOX, LIVING = "full sandbox, rootless", "in a living sandbox"
local MANY, WARM = "in a living sandbox, at once", "memory of a living sandbox"
local TARGETS = {
  { case = "no namespace", a = "box:spawn", b = "floor", most = 1.9 },
  { case = SEED, a = "box:spawn", b = "floor", most = 1.6 },
  { case = SEED, a = "os.execute unshare", b = "box:spawn", least = 5 },
  { case = SEED, a = "os.execute bwrap", b = "box:spawn", least = 10 },
  { case = HEAP, a = "2 GiB", b = "8 MiB", most = 1.3 },
  { case = SANDBOX, a = "box:spawn", b = "floor", most = 1.5 },
  { case = SANDBOX, a = "box:spawn", b = "ns.spawn", most = 0.85 },
  { case = SANDBOX, a = "os.execute bwrap", b = "box:spawn", least = 3 },
  { case = LIVING, a = "container:spawn", b = "floor", most = 1.5 },
  { case = LIVING, a = "os.execute bwrap", b = "container:spawn", least = 25 },
  { case = LIVING, a = "pool:run", b = "floor", most = 2 },
  { case = MANY, a = "container, 8 in flight", least = 5000 },
  { case = WARM, a = "init of 100 programs, PSS", most = 200 },
  { case = CAPTURE, a = "ns.run", b = "io.popen", least = 1.0 },
}

local function verdict(target, ratio)
  if not ratio then return "not measured" end
  local reached = target.most and ratio <= target.most or target.least and ratio >= target.least
  return ("%.2f: %s"):format(ratio, reached and "reached" or "NOT REACHED")
end

--- A target that is missed is news, not a failure.
function report.targets(rows)
  print("\ntargets")
  for _, t in ipairs(TARGETS) do
    local a, b = median(rows, t.case, t.a), t.b and median(rows, t.case, t.b) or not t.b and 1
    local wanted = ("%s %.2f%s"):format(t.most and "<=" or ">=", t.most or t.least, t.b and " x " .. t.b or "")
    print(("%-32s %-52s %s"):format(t.case, t.a .. " " .. wanted, verdict(t, a and b and a / b)))
  end
end

return report
