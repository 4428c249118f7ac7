--- Calls that this machine does not have, or forbids: a filter refuses one of the newer calls to the host and to all that it
-- starts, as an older kernel (ENOSYS) or a strict container (EPERM) would. Each start must look the same from inside, by
-- another way, or name what was refused; either way nothing is left.
local proof = require "proof"

local machine = require "support.machine"

local CALLS = { "clone3", "close_range", "openat2", "open_tree", "move_mount", "mount_setattr", "pidfd_open",
  "pidfd_send_signal", "pidfd_getfd", "memfd_create", "execveat", "keyctl", "fsopen", "fsconfig", "fsmount" }

--- What the host does, for each mode: starts it, tells what has come of it, and what it has left.
local HOST = [[
  local core, lfs, ns = require "ns.core", require "lfs", require "ns"
  local flags = core.ids().euid == 0 and "uts,ipc,pid,mount" or "user,uts,ipc,pid,mount"
  local look = "umask; pwd; echo $$; ls /proc/self/fd /; grep ^Cap /proc/self/status;"
    .. "cat /proc/sys/kernel/hostname; cut -d ' ' -f 5,6 /proc/self/mountinfo | sort; exit 7"
  local modes = {
    plain = ns.box { "sh", "-c", "umask; pwd; ls /proc/self/fd; exit 7", cwd = "/usr", session = true },
    seed = ns.box { "sh", "-c", look, flags = flags, hostname = "namespace", mount_proc = true },
    sandbox = ns.sandbox():argv("sh", "-c", look),
  }
  if WITH_TIMEOUT then
    local line = "sleep 47 & sleep 47"
    modes.timeout = ns.box { "sh", "-c", line, timeout = 0.2, grace = 0.1 }
    modes["timeout in the sandbox"] = ns.sandbox():argv("sh", "-c", line):timeout(0.2):grace(0.1)
  end
  local function read(path)
    local f = io.open(path)
    local text = f and f:read("a") or ""
    if f then f:close() end
    return text
  end
  local function state()
    local fds, sleeping = 0, 0
    for name in lfs.dir("/proc/self/fd") do
      local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target") or "/proc/"
      if not (target:find("memfd:ns", 1, true) or target:find("^/proc/")) then fds = fds + 1 end
    end
    for pid in lfs.dir("/proc") do
      if pid:find("^%d") and read(("/proc/%s/cmdline"):format(pid)):find("^sleep%z47") then sleeping = sleeping + 1 end
    end
    local children = read(("/proc/self/task/%d/children"):format(core.ids().pid))
    return table.concat({ children, #read("/proc/self/mountinfo"), fds, sleeping }, "|")
  end
  for name, box in pairs(modes) do
    local before, clock = state(), core.clock()
    local ok, r, message, errno, detail = pcall(box.run, box)
    local said = not ok and "raised: " .. tostring(r) or r and ("%s %s %s"):format(r.code, r.timed_out, r.stdout)
      or detail and detail.step and detail.code and "named: " .. message or "unnamed: " .. tostring(message)
    if core.clock() - clock > 4 then said = "late: " .. said end
    collectgarbage() collectgarbage()
    local after = state()
    if after ~= before then said = "left: " .. said .. " " .. before .. " then " .. after end
    io.write(("%q"):format(name), "\n", ("%q"):format(said), "\n\0\n")
  end
]]

--- The calls by which programs are ended, too.
local function ends_programs(call)
  return not call or call:find("^pidfd") ~= nil
end

--- {[mode] = what has come of it} in a host for which the command `under` is run first.
local function results(nobody, under, with_timeout)
  local code = ("local WITH_TIMEOUT = %s\n%s"):format(with_timeout, HOST)
  local r = machine.host(code, { nobody = nobody, under = under })
  local found = {}
  for name, said in r.stdout:gmatch('("[^\n]*")\n(.-)\n%z\n') do
    found[load("return " .. name)()] = load("return " .. said)()
  end
  return found, r
end

local figures = { same = 0, named = 0 }

local function try(nobody, errno, call, expected)
  local found, r = results(nobody, machine.refuse(errno, call), ends_programs(call))
  local wanted = ends_programs(call) and 5 or 3
  local count = 0
  for mode, said in pairs(found) do
    count = count + 1
    local before = expected[mode]
    local outcome = said == before and "same" or said:find("^named: ") and "named"
    figures[outcome or "wrong"] = (figures[outcome or "wrong"] or 0) + 1
    proof.check(outcome, "%s refused with %s, %s, %s: %s", call, errno, nobody and "ordinary user" or "root", mode, said)
  end
  proof.check(count == wanted, "%s refused with %s: %d modes of %d: %s", call, errno, count, wanted, r.stderr)
end

local tried = 0
for _, nobody in ipairs(machine.root and { false, true } or { true }) do
  local expected, r = results(nobody, nil, true)
  proof.check(next(expected), "no result: %s", r.stderr)
  for mode, said in pairs(expected) do
    proof.check(said:find("^%d") or said:find("^nil true"), "%s without a refusal: %s", mode, said)
  end
  for _, call in ipairs(CALLS) do
    for _, errno in ipairs { "ENOSYS", "EPERM" } do
      try(nobody, errno, call, expected)
      tried = tried + 1
    end
  end
end
proof.figure("refusals", "%d calls, each as ENOSYS and EPERM, as root and as an ordinary user: %d hosts", #CALLS, tried)
proof.figure("outcomes", "the same effect %d, a named refusal %d", figures.same, figures.named)
proof.finish()
