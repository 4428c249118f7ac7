--- The launcher: small, without a C library, and nothing of the host in it; and what serves where it may not run.
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

describe("the launcher", function()
  it("is smaller than 64 KiB", function()
    assert.truthy(lfs.attributes("build/launcher", "size") < 65536)
  end)

  it("needs nothing from anywhere: no undefined symbol, no interpreter, no library", function()
    assert.is_true(ns.run({ "sh", "-c", [[
      gcc -std=gnu11 -Os -ffreestanding -fno-stack-protector -fno-pic -nostdlib -c -o /tmp/ns-$$.o -r src/launcher/*.c &&
      nm -u /tmp/ns-$$.o; n=$(nm -u /tmp/ns-$$.o | wc -l); rm -f /tmp/ns-$$.o; [ $n = 0 ] ]] }).ok)
    assert.equal("", ns.run({ "sh", "-c", "readelf -lW build/launcher | grep -E 'INTERP|DYNAMIC' || true" }).stdout)
  end)

  it("calls no function of a C library where it is part of the module", function()
    local r = ns.run { "sh", "-c", [[
      gcc -O2 -fPIC -r -nostdlib -o /tmp/ns-$$.o $(ls src/launcher/*.c | grep -v start.c) && nm -u /tmp/ns-$$.o
      rm -f /tmp/ns-$$.o]] }
    assert.equal("", r.stderr)
    for symbol in r.stdout:gmatch("U (%S+)") do
      assert.truthy(symbol == "_GLOBAL_OFFSET_TABLE_" or symbol:find("^__stack_chk"), symbol)
    end
  end)

  machine.root_it("that a machine does not execute is replaced by a copy of the host, with the same outcome", function()
    -- vm.memfd_noexec belongs to the pid namespace: here to one of our own, with its own /proc
    local r = machine.host([[
      local f = io.open("/proc/sys/vm/memfd_noexec", "w")
      if not f then print "not here" os.exit() end
      f:write("2")
      f:close()
      local ns = require "ns"
      for i = 1, 2 do
        local r = assert(ns.run { "sh", "-c", "echo $$ $(hostname) $(id -u); ls /proc/self/fd", hostname = "box",
          flags = { "pid", "mount", "uts", "user" }, mount_proc = true, env = { PATH = "/usr/bin:/bin" } })
        io.write(r.stdout, r.stderr)
      end
      print(ns.run { "/nope" })
    ]], { spec = { flags = { "pid", "mount" }, mount_proc = true } })
    if r.stdout == "not here\n" then return pending("this kernel has no vm.memfd_noexec") end
    local once = "1 box 0\n0\n1\n2\n3\n"
    assert.matches("^" .. once .. once .. "nil\texec '/nope': No such file", r.stdout .. r.stderr)
  end)

  it("is made anew when the host has closed its descriptor and opened another file under its number", function()
    local r = machine.host([[
      local ns, uv = require "ns", require "luv"
      assert(ns.run { "true" }.ok)
      for fd = 3, 30 do
        if (uv.fs_readlink("/proc/self/fd/" .. fd) or ""):find("memfd:ns", 1, true) then
          uv.fs_close(fd)
          local new
          repeat new = uv.fs_open("/bin/echo", "r", 0) until new >= fd
          print(new == fd)
        end
      end
      print(ns.run({ "true" }).ok)
    ]])
    assert.equal("true\ntrue\n", r.stdout .. r.stderr)
  end)
end)
