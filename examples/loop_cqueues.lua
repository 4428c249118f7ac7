--- Three programs at once in a cqueues loop: a process can be polled, and is ready when it has ended.
local cqueues = require "cqueues"
local ns = require "ns"

local loop = cqueues.new()
for i = 1, 3 do
  loop:wrap(function()
    local p = assert(ns.spawn { "sh", "-c", ("sleep 0.%d; exit %d"):format(i, i) })
    cqueues.poll(p)
    local _, how, code = p:wait()
    print(("program %d: %s %d"):format(i, how, code))
  end)
end
assert(loop:loop())
