--- What ns.busted adds to busted: to a single tiny file, to many, and what is won where tests take time. The least of some
-- rounds.
local core = require "ns.core"
local ns = require "ns"

local ROUNDS = tonumber(arg and arg[1]) or 5
local TINY = 'describe("d", function() it("t", function() assert.equal(1, 1) end) end)'
local SLOW = 'it("t", function() require("ns").run { "sleep", "0.02" } end)'

local function directory(count, text)
  local path = os.tmpname()
  os.remove(path)
  os.execute("mkdir " .. path)
  for i = 1, count do
    local f = assert(io.open(("%s/f%03d_spec.lua"):format(path, i), "w"))
    f:write(text)
    f:close()
  end
  return path
end

--- Milliseconds of busted in a directory; `settings`: of ns.busted, nil without.
local function time(path, settings)
  local least = math.huge
  for _ = 1, ROUNDS do
    local began = core.clock()
    local r = assert(ns.run { "lua5.4", "/usr/bin/busted", "-o", "TAP", settings and "--helper=ns.busted" or "--defer-print",
      ".", cwd = path, env = { NS_BUSTED = settings, CI = false }, timeout = 120 })
    assert(r.ok, tostring(r))
    least = math.min(least, (core.clock() - began) * 1e3)
  end
  return least
end

-- {what, files, text}
local CASES = {
  { "1 tiny file", 1, TINY },
  { "20 tiny files", 20, TINY },
  { "200 tiny files", 200, TINY },
  { "200 files with a test of 20 ms", 200, SLOW },
}

print(("\n%-32s %8s %8s %8s %18s"):format("busted, ms", "plain", "jobs=1", "jobs=2", "added to a file"))
for _, case in ipairs(CASES) do
  local path = directory(case[2], case[3])
  local plain, one, two = time(path), time(path, "jobs=1"), time(path, "jobs=2")
  os.execute("rm -rf " .. path)
  print(("%-32s %8.1f %8.1f %8.1f %8.1f %8.1f"):format(case[1], plain, one, two, (one - plain) / case[2],
    (two - plain) / case[2]))
end
