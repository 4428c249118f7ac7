--- What runs commands for somebody else: an assistant, a notebook, a build page. One sandbox over a directory; command after
-- command, with their output as it comes; what takes too long is cancelled; what is left behind is listed, and ended.
-- usage: lua workspace.lua [DIRECTORY]
local ns = require "ns"

local function shell(line)
  local pipe = io.popen(line)
  local said = pipe:read "*a"
  pipe:close()
  return (said:gsub("\n$", ""))
end

local directory = arg[1] or shell "mktemp -d"
local container = assert(ns.sandbox():bind(directory, "/work"):rlimits { nproc = 200, fsize = "100m" }:start())

--- Shows what there is to be read now.
local function show(stream)
  for bytes in stream.read, stream do
    if bytes == "" then return end
    io.write(bytes)
  end
end

--- Runs a line of shell in the workspace: its status as text. `may_go_on`: asked again and again while it runs.
local function command(line, may_go_on)
  print("$ " .. line)
  local p = assert(container:spawn { "sh", "-c", line, cwd = "/work", stdin = "null", stdout = "pipe", stderr = "stdout" })
  local out = p:stream "stdout"
  local _, how, code
  repeat
    _, how, code = p:wait(0.02)
    show(out)
    if how == "timeout" and may_go_on and not may_go_on() then
      p:stop(1)
      print "cancelled"
    end
  until how ~= "timeout"
  p:close()
  if code ~= 0 then print(("%s %s"):format(how, tostring(code))) end
end

--- For `command`: true, so many times.
local function times(n)
  return function()
    n = n - 1
    return n > 0
  end
end

command "echo 'expr 6 \\* 7' >answer.sh; ls"
command "sh answer.sh"
command "for i in 1 2 3; do echo step $i; sleep 0.1; done"
command("echo begin; sleep 1000; echo end", times(20))
command "cat nothing"
command "sleep 1001 >/dev/null 2>&1 & echo started; echo kept >/tmp/note"
command "cat /tmp/note"

for _, left in ipairs(container:processes()) do print("left behind: " .. table.concat(left.argv, " ")) end
container:kill "TERM"
while #container:processes() > 0 do os.execute "sleep 0.02" end
command "ps -A -o comm= | grep -c sleep"
container:close()

print("in the directory: " .. shell(("ls '%s'"):format(directory)))
if not arg[1] then os.execute(("rm -r '%s'"):format(directory)) end
