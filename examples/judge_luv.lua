--- A judge that waits for nobody: 60 programs of strangers, 8 at a time, each in a box of its own from a pool, in one luv
-- loop that does other things meanwhile. (judge.lua has the compiler and the limits, and needs no library.)
local ns = require "ns"
local uv = require "luv"

local AT_ONCE, COUNT = 8, 60
local PROGRAMS = { { "read n; echo $((n * n))", "OK" }, { "read n; echo $n", "WA" }, { "kill -SEGV $$", "RE" },
  { "sleep 1000", "TLE" } }

local pool = ns.sandbox():rlimits { nproc = 50, fsize = 1000000 }:pool(AT_ONCE)
local counts, running, begun, failed, pause = {}, 0, 0, 0, 0
local fill, begin_some

--- What luv calls: an error is told, and fails the script in the end; and how long the loop has not looked after others.
local function guarded(fn)
  return function(...)
    local since = uv.hrtime()
    local ok, why = pcall(fn, ...)
    pause = math.max(pause, uv.hrtime() - since)
    if ok then return end
    failed = failed + 1
    print(why)
  end
end

local function verdict(p, how, said, answer)
  if p.timed_out then return "TLE" end
  if how == "signal" then return "RE" end
  return said == answer .. "\n" and "OK" or "WA"
end

--- Starts the n-th in a box that is ready.
local function begin(n)
  local program = PROGRAMS[(n - 1) % #PROGRAMS + 1]
  local p = assert(pool:spawn { "sh", "-c", program[1], stdin = "pipe", stdout = "pipe", timeout = 2, grace = 0,
    max_output = 1000 })
  p:stream("stdin"):write(n .. "\n")
  p:stream("stdin"):close()
  local ender = uv.new_poll(p:getfd())
  ender:start("r", guarded(function()
    local _, how = p:wait(0)
    if how == "timeout" then return end
    ender:close()
    local found = verdict(p, how, p:stream("stdout"):read(), ("%d"):format(n * n))
    p:close()
    assert(found == program[2] or found == "WA" and n == 1, found) -- 1 is its own square
    counts[found] = (counts[found] or 0) + 1
    running = running - 1
    begin_some()
  end))
end

--- As many as there are boxes ready and places free.
function begin_some()
  while running < AT_ONCE and begun < COUNT and pool:fill() > 0 do
    begun, running = begun + 1, running + 1
    begin(begun)
  end
  fill()
end

local waiter

--- Hears of the boxes that were launched, when they have something to say. Asked anew each time: a box that has said it, or
-- that a program has taken, says no more.
function fill()
  if waiter then waiter:close() end
  local fd = begun < COUNT and pool:getfd()
  waiter = fd and uv.new_poll(fd)
  if waiter then waiter:start("r", guarded(begin_some)) end
end

begin_some()
uv.run()
pool:close()
print(("OK %d, WA %d, RE %d, TLE %d"):format(counts.OK or 0, counts.WA or 0, counts.RE or 0, counts.TLE or 0))
io.stderr:write(("the longest pause of the loop: %.1f ms\n"):format(pause / 1e6))
os.exit(failed == 0 and 0 or 1)
