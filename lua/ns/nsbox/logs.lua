--- nsbox logs: what the program of a box has written.
-- @module ns.nsbox.logs
require("ns.core").nojit()
local fail = require "ns.nsbox.fail"
local records = require "ns.nsbox.records"
local values = require "ns.nsbox.values"

local logs = { summary = "Shows what a box has written.", options = {
  { "-f --follow", "goes on until it has ended" },
  { "-n --tail", "LINES", "the last ones alone" },
}, arguments = { { "name", 1, "the box" } } }

-- Seconds between two looks at a log that is followed.
local PAUSE = 0.1

local function last_lines(text, count)
  if not count then return text end
  local starts, body = {}, text:gsub("\n$", "")
  starts[1] = 1
  for place in body:gmatch("\n()") do starts[#starts + 1] = place end
  return count == 0 and "" or text:sub(starts[math.max(1, #starts - count + 1)])
end

--- Shows what is added to the file until the box has ended.
local function follow(f, container)
  while true do
    local over = not container or select(2, container:wait(PAUSE)) ~= "timeout"
    f:seek("cur") -- so that its end is looked for again
    local text = f:read "*a"
    io.stdout:write(text or "")
    io.stdout:flush()
    if over then return end
  end
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function logs.run(given)
  local container, record = records.box(given.name)
  local count = given.tail and given.tail ~= "all" and values.number(given.tail, "-n")
  local f = record and io.open(record.log, "rb")
  local text = f and f:read "*a" or container and not record and fail.unless(container:logs()) or ""
  if record and not f then io.stderr:write("nsbox: ", given.name, " ran in the foreground, which has shown its output\n") end
  io.stdout:write(last_lines(text, count))
  io.stdout:flush()
  if f and given.follow then follow(f, container) end
  if f then f:close() end
  return 0
end

return logs
