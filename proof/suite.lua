--- What every host must be able to do, whatever Lua it is and wherever it runs; played by callers.lua, on Lua 5.1, too.
-- What the place itself forbids (a chroot has no user namespaces) must be refused by name. Writes one line into the file
-- that is named by its argument.
local core = require "ns.core"
local ns = require "ns"

local failures, refusals, count = {}, {}, 0

local function check(ok, what)
  count = count + 1
  if not ok then failures[#failures + 1] = what end
end

--- The result of a run; or nil where the machine refuses it, with a step, an errno and a name for it.
local function run(spec, what)
  local r, message, errno, detail = ns.run(spec)
  if r then return r end
  local named = detail and detail.step and detail.code == require("ns.start.errors").code(errno)
  check(named and message:find(detail.code, 1, true), what .. ": " .. tostring(message))
  detail = detail or {}
  refusals[#refusals + 1] = ("%s (%s %s)"):format(what, tostring(detail.step), tostring(detail.code))
end

local function descriptors()
  local n = 0
  for fd = 0, 255 do n = n + (core.isopen(fd) and 1 or 0) end
  return n
end

local function inside(spec, line)
  spec.argv = { "sh", "-c", line }
  return spec
end

local root = core.ids().euid == 0
local before = descriptors()

local r = run({ "sh", "-c", "echo out; echo err >&2; exit 3" }, "run")
check(r and r.stdout == "out\n" and r.stderr == "err\n" and r.code == 3, "both outputs and the exit status")

r = run({ "sh", "-c", "kill -9 $$" }, "signal")
check(r and r.signal == 9 and r.signame == "KILL", "the signal")

local megabyte = ("0123456789abcdef"):rep(65536)
r = run({ "cat", stdin = megabyte }, "cat")
check(r and r.stdout == megabyte, "a megabyte there and back")

local p, message, _, detail = ns.spawn { "/nowhere/program" }
check(not p and detail.code == "ENOENT" and message:find("/nowhere/program", 1, true), "the refusal of exec")

check(not pcall(ns.spawn, { "true", hostnam = "x" }), "a mistake raises")

p = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
p.stdin:write("line\n")
p.stdin:flush()
check(p.stdout:read() == "line", "a line through pipes")
p.stdin:close()
check(p:wait() == true, "the end of cat")
p:close()

r = run({ "sh", "-c", "sleep 60 & sleep 60", timeout = 0.2, grace = 0.2 }, "timeout")
check(r and r.timed_out, "the timeout")

r = run(inside({ flags = root and "pid,mount,uts,ipc" or "user,pid,mount,uts,ipc", hostname = "box", mount_proc = true },
  "echo $$ $(hostname)"), "seed's set")
check(not r or r.stdout == "1 box\n", "the seed's set")

r = run(inside(ns.sandbox():spec(), "id -u; touch /usr/x 2>/dev/null || echo no; ls /proc | grep -c '^[0-9]'"), "sandbox")
check(not r or r.stdout:find("^0\nno\n[1-9]\n$"), "the sandbox: " .. tostring(r and r.stdout .. r.stderr))

r = run({ "sh", "-c", "tty >/dev/null && echo typed", pty = true }, "pty")
check(not r or r.stdout:find("typed", 1, true), "the terminal")

r = run({ "sh", "-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status; echo /proc/self/fd/*" }, "signals")
check(r and not r.stdout:find("[1-9a-f]%x*\nSigIgn") and r.stdout:find("SigIgn:%s0+\n"), "no signal blocked or ignored")
check(r and r.stdout:find("/fd/2 /proc/self/fd/3\n$") or r and r.stdout:find("/fd/2\n$"), "descriptors 0 to 2 and no other")

for _ = 1, 50 do ns.spawn({ "true" }):close() end
collectgarbage()
collectgarbage()
check(descriptors() <= before + 1, "descriptors left") -- the launcher's image stays

local lost = {}
for i, what in ipairs(failures) do lost[i] = "FAILED " .. what end
local out = assert(io.open(arg[1], "w"))
out:write(("%d checks, %d failed%s%s\n"):format(count, #failures,
  #refusals > 0 and "; refused by name: " .. table.concat(refusals, ", ") or "",
  #lost > 0 and "; " .. table.concat(lost, "; ") or ""))
out:close()
os.exit(#failures == 0 and 0 or 1, true)
