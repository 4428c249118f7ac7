--- The seed: a shell in new uts, ipc, pid and mount namespaces, with a host name and a /proc of its own.
-- usage: lua newns.lua [-i]     -i: an interactive bash instead of the tour
local ns = require "ns"

local TOUR = [[
printf ' - [%4d] New namespace, Parent PID : %d\n' $$ $PPID
echo '$ hostname';   hostname
echo '$ ps -aef';    ps -aef
echo '$ pstree -p';  pstree -p
echo '$ mount';      mount -t proc | tail -n 1
]]

local interactive = arg and arg[1] == "-i"
local stat = assert(io.open("/proc/self/stat")):read("*a")
local pid, parent = stat:match("^(%d+) %(.*%) %a (%d+)")
print((" - [%4d] Current namespace, Parent PID : %d"):format(pid, parent))

-- An ordinary user needs a user namespace around the others.
local root = ns.run({ "id", "-u" }).stdout == "0\n"
local flags = { "uts", "ipc", "pid", "mount" }
if not root then flags[#flags + 1] = "user" end

local p = assert(ns.spawn {
  argv = { "/bin/bash" },
  flags = flags,
  hostname = "namespace",
  mount_proc = true,
  stdin = interactive and "inherit" or "pipe",
  tty = interactive,
})
if not interactive then
  p.stdin:write(TOUR)
  p.stdin:close()
end
local _, how, code = ns.wait(p)
os.exit(how == "exit" and code or 128 + code)
