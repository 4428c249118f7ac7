--- Three programs at once in a luv loop, beside luv's own handles: the pidfd is readable when the program has ended.
local ns = require "ns"
local uv = require "luv"

for i = 1, 3 do
  local p = assert(ns.spawn { "sh", "-c", ("sleep 0.%d; exit %d"):format(i, i) })
  local poll = uv.new_poll(p:getfd())
  poll:start("r", function()
    poll:close()
    local _, how, code = p:wait()
    print(("program %d: %s %d"):format(i, how, code))
  end)
end
uv.run()
