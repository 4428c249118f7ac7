--- What a program sees in each namespace, as root and as an ordinary user.
local machine = require "support.machine"
local namespaces = require "ns.words.namespaces"
local sh = machine.sh

local function inode(file)
  return require("lfs").symlinkattributes("/proc/self/ns/" .. file, "target")
end

--- Prints the namespaces of a program that was started with the flags; runs in an interpreter of its own.
local LIST = [[
  local ns = require "ns"
  local flags = {}
  for flag in ("%s"):gmatch("%%a+") do flags[#flags + 1] = flag end
  local r = assert(ns.run { "sh", "-c", "cd /proc/self/ns; for f in *; do echo $f $(readlink $f); done", flags = flags })
  io.write(r.stdout, r.stderr)
]]

local function differing(flags, nobody)
  local r = machine.host(LIST:format(flags), { nobody = nobody })
  assert(r.ok, tostring(r))
  local differ = {}
  for file, target in r.stdout:gmatch("(%S+) (%S+)") do
    if not file:find("_for_children") and inode(file) ~= target then differ[#differ + 1] = file end
  end
  table.sort(differ)
  return table.concat(differ, " ")
end

describe("a namespace #system", function()
  for _, row in ipairs(namespaces.list) do
    machine.it(row.name)("of kind " .. row.name .. " is new where it is asked for, and no other is", function()
      assert.equal(row.file, differing(row.name))
    end)

    if row.name ~= "user" then
      machine.it("user", row.name)("of kind " .. row.name .. " is an ordinary user's too, in a user namespace", function()
        local both = { row.file, "user" }
        table.sort(both)
        assert.equal(table.concat(both, " "), differing(row.name .. " user", true))
      end)
    end
  end

  it("is new for none of the kinds when no flags are given", function()
    assert.equal("", differing(""))
  end)

  machine.root_it("set of the seed is new as a whole", function()
    assert.equal("ipc mnt pid uts", differing("uts ipc pid mount"))
  end)

  machine.it("user", "net", "time", "cgroup")("set of all eight is new, as root and as an ordinary user", function()
    local all = "user mount pid net ipc uts cgroup time"
    assert.equal("cgroup ipc mnt net pid time user uts", differing(all))
    assert.equal("cgroup ipc mnt net pid time user uts", differing(all, true))
  end)
end)

--- The same effects for root and, with a user namespace around, for an ordinary user.
local function effects(title, with)
  describe("inside, " .. title .. ", #system", function()
    it("the host name and the domain name are the program's own", function()
      local spec = with { flags = { "uts" }, hostname = "box", domainname = "example" }
      assert.equal("box example", sh(spec, "echo $(uname -n) $(cat /proc/sys/kernel/domainname)"))
    end)

    it("System V queues and POSIX queues of the host are not there", function()
      local id = sh({}, "ipcmk -Q"):match("%d+")
      finally(function() os.execute("ipcrm -q " .. id) end)
      assert.truthy(tonumber(sh({}, "ipcs -q | grep -c 0x")) >= 1)
      assert.equal("0", sh(with { flags = { "ipc" } }, "ipcs -q | grep -c 0x || true"))
    end)

    it("the program is process 1 and sees its own processes only", function()
      local spec = with { flags = { "pid", "mount" }, mount_proc = true }
      assert.equal("1 0 1 2", sh(spec, "echo $$ $PPID $(cd /proc; echo [0-9]*)"))
    end)

    it("mounts stay inside", function()
      local spec = with { flags = { "mount" } }
      assert.equal("tmpfs", sh(spec, "mount -t tmpfs mine /mnt && stat -f -c %T /mnt"))
      assert.is_nil(machine.read("/proc/self/mounts"):find("mine /mnt", 1, true))
    end)

    it("the only interface is a loopback", function()
      assert.equal("lo", sh(with { flags = { "net" } }, "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"))
    end)

    it("the cgroup is the root of what is seen", function()
      local seen = sh(with { flags = { "cgroup" } }, "cut -d: -f3 /proc/self/cgroup | sort -u")
      assert.equal("/", seen)
    end)

    it("the clocks are off by what was asked", function()
      local spec = with { flags = { "time" }, time = { monotonic = 86400.5, boottime = 1e6 } }
      local up = tonumber(machine.read("/proc/uptime"):match("^%S+"))
      local inside = tonumber(sh(spec, "cut -d' ' -f1 /proc/uptime"))
      assert.truthy(math.abs(inside - up - 1e6) < 5)
      assert.truthy(sh(spec, "cat /proc/self/timens_offsets"):find("monotonic%s+86400%s+500000000"))
    end)
  end)
end

effects("as root", function(spec) return spec end)

describe("inside, as an ordinary user, #system", function()
  machine.it("user")("the same effects show", function()
    local r = machine.host([[
      local ns = require "ns"
      local r = assert(ns.run { "sh", "-c",
        "uname -n; id -u; echo $$; cd /proc; echo [0-9]*; ls /sys/class/net >/dev/null; "
          .. "mount -t tmpfs mine /mnt && stat -f -c %T /mnt; cut -d: -f3 /proc/self/cgroup | sort -u; "
          .. "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; ipcs -q | grep -c 0x; cut -d. -f1 /proc/uptime",
        flags = "user,mount,pid,net,ipc,uts,cgroup,time", hostname = "box", mount_proc = true,
        time = { boottime = 1e8 } })
      io.write(r.stdout, r.stderr)
    ]], { nobody = true })
    local up = r.stdout:match("(%d+)\n$")
    assert.matches("^box\n0\n1\n1\ntmpfs\n/\nlo\n0\n%d+\n$", r.stdout)
    assert.truthy(tonumber(up) > 1e8)
  end)
end)

describe("the host #system", function()
  machine.root_it("keeps its /proc and its mounts where they are shared with other namespaces", function()
    -- An outer, throw-away mount namespace made shared, as it is on most systems; in it the seed's spec.
    local r = machine.host([[
      local ns = require "ns"
      local function mounts() local n = 0; for _ in io.lines("/proc/self/mountinfo") do n = n + 1 end; return n end
      local before = mounts()
      assert(ns.run { "true", flags = { "uts", "ipc", "pid", "mount" }, hostname = "x", mount_proc = true }.ok)
      assert(ns.run { "mount", "-t", "tmpfs", "mine", "/mnt", flags = { "mount" } }.ok)
      print(mounts() - before, io.open("/proc/self/stat"):read("*n") ~= 1)
    ]], { under = { "unshare", "--mount", "--propagation", "shared" } })
    assert.equal("0\ttrue\n", r.stdout .. r.stderr)
  end)
end)
