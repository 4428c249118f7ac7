--- Three programs at once in a luv loop, with what they say and a deadline. In neovim it is the same, with uv = vim.uv.
-- luv polls descriptors. That of a process is readable when it has ended, and when something is due: wait(0) sees to that.
local ns = require "ns"
local uv = require "luv"

local function run(number, line)
  local p = assert(ns.spawn { "sh", "-c", line, stdout = "pipe", timeout = 2, grace = 0 })
  local out, said = p:stream "stdout", {}
  local reader, ender = uv.new_poll(out:getfd()), uv.new_poll(p:getfd())

  local function finish(how, code)
    reader:close()
    ender:close()
    p:close() -- after luv has left its descriptors
    print(("program %d: %s, %s %d"):format(number, table.concat(said):gsub("\n", ""), how, code))
  end

  local function read()
    local bytes = out:read() -- "": nothing is there now; nil: the end
    said[#said + 1] = bytes
    return bytes
  end

  reader:start("r", function()
    if not read() then reader:stop() end
  end)
  ender:start("r", function()
    local _, how, code = p:wait(0)
    if how == "timeout" then return end -- it runs
    while (read() or "") ~= "" do end -- what it has left in the pipe
    finish(how, code)
  end)
end

for i, line in ipairs { "echo one; exit 1", "sleep 0.1; echo two; exit 2", "echo three; exec sleep 60" } do run(i, line) end
uv.run()
