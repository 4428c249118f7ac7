-- The files of a suite for busted on the machines of a Slurm cluster, each in a fresh busted of its own with ns.busted;
-- what has failed is printed, and one line for each file.
--
-- usage: [BUSTED="lua5.4 /usr/bin/busted"] lua examples/cluster_specs.lua [-p PARTITION] FILE...
local ns = require "ns"

local options, files = { timeout = 600, retries = 1 }, {}
for i = 1, #arg do files[i] = arg[i] end
if files[1] == "-p" then
  options.partition = table.remove(files, 2)
  table.remove(files, 1)
end

local program = {}
for word in (os.getenv "BUSTED" or "busted"):gmatch "%S+" do program[#program + 1] = word end
for _, word in ipairs { "--helper=ns.busted", "--output=plainTerminal" } do program[#program + 1] = word end

local results, failed = ns.slurm.parallel(files, program, options)
if not results then
  io.stderr:write(failed, "\n")
  os.exit(2)
end

local good = 0
for i, r in ipairs(results) do
  local counts = r.stdout and r.stdout:match "%d+ success[^\n:]*" or tostring(r)
  print(("%s %s on %s: %s"):format(r.ok and "ok" or "FAILED", files[i], r.node or "?", counts))
  if r.ok then good = good + 1 elseif r.stdout then io.write(r.stdout, r.stderr) end
end
for node, items in pairs(failed) do print(("%s has failed under %d of them"):format(node, #items)) end
print(("%d of %d files are good"):format(good, #files))
os.exit(good == #files)
