--- What the parts of the proof share. A part is a program of its own: it makes its checks, prints its figures and ends
-- with the line "N passed, N failed, N skipped". `make proof` runs the long form of all, `make test` the short one.
--
-- usage: lua5.4 proof/PART.lua short|long
local ns = require "ns"
local snapshot = require "support.snapshot"

local proof = { long = arg[1] == "long" }

local passed, failed, skipped = 0, 0, 0

--- The first in the short form, the second in the long one.
function proof.size(short, long)
  return proof.long and long or short
end

--- Counts one check; a failure is printed, the first twenty of them.
function proof.check(ok, message, ...)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    if failed <= 20 then print("FAILED: " .. message:format(...)) end
  end
  return ok
end

--- Adds what somebody else has counted.
function proof.add(more_passed, more_failed, more_skipped)
  passed, failed, skipped = passed + more_passed, failed + more_failed, skipped + more_skipped
end

--- Counts something that this machine cannot do, with the reason.
function proof.skip(reason, ...)
  skipped = skipped + 1
  print("skipped: " .. reason:format(...))
end

--- Runs a shell line, a format for the arguments: whether it went well, and all that it said.
function proof.sh(line, ...)
  local pipe = assert(io.popen(("{ %s; } 2>&1 </dev/null; echo \"exit $?\""):format(line:format(...))))
  local text, code = pipe:read("a"):match("^(.*)exit (%d+)\n$")
  pipe:close()
  return code == "0", text
end

--- The programs without which the part means nothing: where one is missing, as it may be for an ordinary user, it ends here.
function proof.needs(...)
  for _, program in ipairs { ... } do
    if not os.execute("command -v " .. program .. " >/dev/null") then
      proof.skip("%s is not installed: tools/need.sh long", program)
      proof.finish()
    end
  end
end

--- Begins with each of a list, `lanes` of them at a time: `start(item)` gives a process, `finish(item, result)` has its end.
function proof.lanes(lanes, list, start, finish)
  ns.parallel(list, start, { jobs = lanes, each = function(r, i) finish(list[i], r) end })
end

--- A figure for the report.
function proof.figure(name, value, ...)
  if select("#", ...) > 0 then value = value:format(...) end
  print(("figure: %s: %s"):format(name, value))
end

--- Calls `action`; afterwards the host must be as it was. Returns what the action returns.
function proof.clean(title, action, ...)
  local before = snapshot.take()
  local results = table.pack(pcall(action, ...))
  collectgarbage()
  collectgarbage()
  local changed = snapshot.changed(before)
  proof.check(results[1], "%s: %s", title, tostring(results[2]))
  proof.check(not changed, "%s: %s", title, tostring(changed))
  return table.unpack(results, 2, results.n)
end

--- Prints the closing line and ends the part.
function proof.finish()
  require("support.machine").remove_public()
  print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
  os.exit(failed == 0, true)
end

return proof
