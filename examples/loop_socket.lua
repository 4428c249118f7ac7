--- Three programs at once with LuaSocket's select, which takes processes beside sockets.
local ns = require "ns"
local socket = require "socket"

local waiting, number = {}, {}
for i = 1, 3 do
  local p = assert(ns.spawn { "sh", "-c", ("sleep 0.%d; exit %d"):format(i, i) })
  waiting[i], number[p] = p, i
end
while #waiting > 0 do
  local ready = socket.select(waiting, nil, 5)
  for i = #waiting, 1, -1 do
    local p = waiting[i]
    if ready[p] then
      local _, how, code = p:wait()
      print(("program %d: %s %d"):format(number[p], how, code))
      table.remove(waiting, i)
    end
  end
end
