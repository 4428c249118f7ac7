--- What in /proc belongs to the machine, not to a process: kept from a program that could write it. Rows 21, 32, 36.
local machine = require "support.machine"
local ways = require "support.ways"
local run = ways.run

-- What a program tries: the paths that it could open for writing, or that tell something.
local LINE = [[
  cd %s
  for f in sys/kernel/printk_delay sys/vm/overcommit_ratio sysrq-trigger irq/default_smp_affinity; do
    test -f $f && (: >>$f) 2>&- && echo wrote $f
  done
  for f in kcore keys timer_list; do head -c 1 $f 2>&- | grep -q . && echo read $f; done
  for d in sys irq bus fs; do
    grep -q " /$d %s/$d ro,nosuid,nodev,noexec" /proc/self/mountinfo || echo open $d
  done
  for f in sysrq-trigger acpi scsi mtrr; do
    test -e $f && { grep -q "%s/$f ro" /proc/self/mountinfo || echo open $f; }
  done
  true]]

local function line(place) return (LINE:gsub("%%s", place)) end

local machine_root = machine.root and {
  { "the host's root", ways.root },
  { "root mapped to the host's root", { name = "", user = true, map = "root" } },
} or {}

describe("/proc #system", function()
  for _, row in ipairs(machine_root) do
    local who, way = row[1], row[2]

    it("is guarded from " .. who .. ": read-only or hidden is what belongs to the machine", function()
      assert.equal("", run(way, { system = true, mounts = { { type = "proc" } } }, line("/proc")))
    end)

    it("is guarded from " .. who .. " where the word mount_proc asks for it in a root", function()
      assert.equal("", run(way, { system = true, mount_proc = true }, line("/proc")))
      assert.equal("", run(way, { root = "/", mount_proc = true }, line("/proc")))
      assert.equal("", run(way, { root = "/", mounts = { { type = "proc" } } }, line("/proc")))
    end)

    it("is guarded from " .. who .. " at any other place, too", function()
      local spec = { system = true, mounts = { { type = "proc" }, { type = "tmpfs", target = "/a" },
        { type = "proc", target = "/a/b/proc" } } }
      assert.equal("", run(way, spec, line("/a/b/proc")))
      assert.equal("", run(way, { system = true, mounts = { { type = "proc" } }, mount_proc = "/p" }, line("/p")))
      assert.equal("", run(way, { mounts = { { type = "proc" } } }, line("/proc")))
    end)

    it("is as the kernel makes it for " .. who .. " that asks for that", function()
      local said = run(way, { system = true, mounts = { { type = "proc", protect = false } } }, line("/proc"))
      assert.matches("open sys\nopen irq\nopen bus\nopen fs", said)
      assert.matches("wrote sys/kernel/printk_delay", said)
    end)
  end

  machine.root_it("needs no guard where the ids are nobody's: nothing can be written", function()
    for _, way in ipairs { ways.range, ways.user } do
      local said = run(way, { system = true, mounts = { { type = "proc" } } }, line("/proc"))
      assert.falsy(said:find("wrote", 1, true) or said:find("read", 1, true), said)
      assert.matches("open sys\nopen irq", said)
    end
  end)

  -- the keys of the user that the program is on the host: of one of them it needs but the number
  for _, way in ipairs(ways.list) do
    it("lists no keys " .. way.name .. ", unless that is asked for", function()
      local look = "head -c 9 /proc/keys /proc/key-users | grep -c '[0-9]'"
      for _, mounts in ipairs { "proc", "hidden", "word" } do
        local spec = { system = true, mounts = { { type = "proc", hidepid = mounts == "hidden" and "invisible" or nil } } }
        if mounts == "word" then spec.mounts, spec.mount_proc = nil, true end
        assert.equal("0", run(way, spec, look), mounts)
        spec.root, spec.system = "/", nil
        assert.equal("0", run(way, spec, look), mounts)
      end
      if way == ways.range then return end -- there are none that its ids could see
      local open = { system = true, mounts = { { type = "proc", protect = false } } }
      assert.truthy(tonumber(run(way, open, look)) > 0)
    end)
  end

  -- row 32: made in the namespaces that it shows
  for _, way in ipairs(ways.list) do
    it("shows the host name and the processes of inside " .. way.name, function()
      local spec = { system = true, hostname = "inside", flags = { "uts" }, mounts = { { type = "proc" } } }
      assert.equal("inside\n1 sh", run(way, spec, "cat /proc/sys/kernel/hostname; echo $$ $(cat /proc/1/comm)"))
    end)
  end

  -- row 36: the kernel gives no whole /proc to who sees but a part of one
  it("that is partly covered on the host is refused in a user namespace, with the reason", function()
    local spec = { system = true, mounts = { { type = "proc" } } }
    local said = run(ways.user, spec, "ls /proc", "mount -t tmpfs none /proc/sys")
    assert.matches("^refused: mount proc on /proc: Operation not permitted %(EPERM%); the /proc of this host is partly "
      .. "covered, at /proc/sys; ", said)
  end)

  -- row 21: what has to be written by way of /proc is written by way of the host's, whatever the root has there
  it("of a root that has something else there is not what the launcher writes to", function()
    local way = ways.list[1]
    local directory, remove = ways.directory(way)
    finally(remove)
    local spec = { root = directory, system = true, read_only = false, oom_score_adj = 500, mounts = {
      { type = "tmpfs", target = "/proc" }, { type = "file", target = "/proc/self/oom_score_adj", data = "0 " },
      { type = "proc", target = "/real" } } }
    assert.equal("0 500", run(way, spec, "echo $(cat /proc/self/oom_score_adj /real/self/oom_score_adj)"))
  end)
end)
