--- Places are looked up by openat2(2), or name by name where a filter refuses that: so systemd does it in a service with
-- RestrictSUIDSGID= or DynamicUser=.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"

machine.describe("user", "mount", "openat2")("what stands in for openat2 #system", function()
  it("finds what that finds, and fails as that fails, in trees made by chance", function()
    local directory, remove = machine.directory()
    finally(remove)
    local seed = ("%d"):format(os.time() % 10 ^ 6)
    local r = assert(ns.run { machine.program "resolve", seed, "30", flags = "user,mount,pid", map = "root",
      mounts = { { type = "tmpfs", target = directory } }, cwd = directory, timeout = 60 })
    assert.matches("^%d%d%d+ found\n$", r.stdout, 1, "seed " .. seed .. ": " .. r.stderr)
  end)
end)

-- A tree with links of all kinds, and places, some of which are missing.
local TREE = [[
  cd %s && mkdir -p root/a/b/c root/etc root/usr && echo f >root/f && cd root && ln -s a/b l && ln -s /a/b/../b abs &&
  ln -s ../../../etc up && ln -s loop loop && ln -s nowhere none && ln -s /proc/self/cwd magic && chmod -R a+rX ..]]

local PLACES = { "/l/c", "/abs/c", "/up/new", "/loop", "/none", "/none/x", "/magic", "/f", "/f/x", "/a/l", "/dev/x",
  "/proc/self/mounts", "/tmp/" .. ("d/"):rep(200), "/tmp/" .. ("n"):rep(256) }

local LINE = "cat /f; find /a /l/ /etc/new /up/ /tmp /dev -maxdepth 5 2>&1 | sort; cut -d' ' -f5 /proc/self/mountinfo"

for _, way in ipairs(ways.list) do
  ways.describe(way)("without openat2, a root " .. way.name .. " #system", function()
    it("is what it is with it, or is refused with the same words", function()
      local directory, remove = ways.directory(way)
      finally(remove)
      assert(ns.run { "sh", "-c", TREE:format(directory) }.ok)
      local list = { { type = "tmpfs", target = "/tmp" }, { type = "proc" }, { type = "dev" } }
      local spec = { root = directory .. "/root", system = true, mounts = list }
      for i, place in ipairs(PLACES) do
        local file, other = { type = "file", data = "ours" }, { type = i % 2 == 0 and "tmpfs" or "mask" }
        for _, m in ipairs(way == ways.list[1] and { file, other } or i % 3 == 0 and { file } or {}) do
          m.target, list[4] = place, m
          local wanted = ways.run(way, spec, LINE)
          for _, errno in ipairs { "ENOSYS", i == 1 and "EPERM" or nil } do
            assert.equal(wanted, ways.run(way, spec, LINE, "true", machine.refuse(errno, "openat2")), place)
          end
        end
      end
    end)
  end)
end
