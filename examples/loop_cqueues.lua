--- Three programs at once in a cqueues loop, with what they say and a deadline: processes and their streams can be polled.
-- cqueues itself asks for p:timeout(), so that it wakes when something is due, which read() and wait(0) then see to.
local cqueues = require "cqueues"
local ns = require "ns"

local function run(number, line)
  local p = assert(ns.spawn { "sh", "-c", line, stdout = "pipe", timeout = 2, grace = 0 })
  local out, said = p:stream "stdout", {}
  repeat
    cqueues.poll(out)
    local bytes = out:read() -- "": nothing is there now; nil: the end
    said[#said + 1] = bytes
  until not bytes
  local _, how, code
  repeat
    cqueues.poll(p)
    _, how, code = p:wait(0)
  until how ~= "timeout"
  p:close()
  print(("program %d: %s, %s %d"):format(number, table.concat(said):gsub("\n", ""), how, code))
end

local loop = cqueues.new()
for i, line in ipairs { "echo one; exit 1", "sleep 0.1; echo two; exit 2", "echo three; exec sleep 60" } do
  loop:wrap(run, i, line)
end
assert(loop:loop())
