--- Three programs at once with LuaSocket's select, with what they say and a deadline: select takes processes and their
-- streams beside sockets.
local ns = require "ns"
local socket = require "socket"

local running = {}
for i, line in ipairs { "echo one; exit 1", "sleep 0.1; echo two; exit 2", "echo three; exec sleep 60" } do
  local p = assert(ns.spawn { "sh", "-c", line, stdout = "pipe", timeout = 2, grace = 0 })
  running[i] = { number = i, process = p, out = p:stream "stdout", said = {} }
end

--- What can be polled, and how long until something is due.
local function interests()
  local list, patience = {}, nil
  for _, one in ipairs(running) do
    local left = one.process:timeout()
    list[#list + 1] = one.out or one.process -- the end comes after the end of what it says
    patience = left and math.min(left, patience or left) or patience
  end
  return list, patience
end

while #running > 0 do
  local list, patience = interests()
  local ready = socket.select(list, nil, patience)
  for i = #running, 1, -1 do
    local one = running[i]
    if ready[one.out] then
      local bytes = one.out:read() -- "": nothing is there now; nil: the end
      one.said[#one.said + 1] = bytes
      if not bytes then one.out = nil end
    end
    local _, how, code = one.process:wait(0) -- sees to what is due
    if not one.out and how ~= "timeout" then
      one.process:close()
      print(("program %d: %s, %s %d"):format(one.number, table.concat(one.said):gsub("\n", ""), how, code))
      table.remove(running, i)
    end
  end
end
