--- The launcher: small, without a C library, and nothing of the host in it; and what serves where it may not run.
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

describe("the launcher #system", function()
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

  -- vm.memfd_noexec belongs to the pid namespace: here to one of our own, with its own /proc
  local NO_MEMFD = { "unshare", "--pid", "--fork", "--mount-proc", "sh", "-c",
    "echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"", "sh" }

  --- What is printed by `code` where the launcher is executed from a memfd, from a file, and where the host is copied.
  local function each_way(code, expected)
    local ways = { memfd = machine.can.memfd and {} or nil, file = machine.refuse("ENOSYS", "memfd_create"),
      copy = machine.refuse("EPERM", "fchmod") }
    if machine.root and machine.read("/proc/sys/vm/memfd_noexec") then ways.noexec = NO_MEMFD end
    for way, under in pairs(ways) do
      for _, nobody in ipairs { false, true } do
        local r = machine.host("local ns = require 'ns' " .. code, { under = under, nobody = nobody and way ~= "noexec" })
        assert.equal(expected[way] or expected.file, r.stdout .. r.stderr, way)
      end
    end
  end

  it("that a machine does not execute from a memfd is executed from a file, or the host is copied", function()
    local once = "1 box 0\n0\n1\n2\n3\n"
    each_way([[
      for i = 1, 2 do
        local r = assert(ns.run { "sh", "-c", "echo $$ $(hostname) $(id -u); ls /proc/self/fd", hostname = "box",
          flags = { "pid", "mount", "uts", "user" }, mount_proc = true, env = { PATH = "/usr/bin:/bin" } })
        io.write(r.stdout, r.stderr)
      end
      local way = require("ns.core").launcher_way()
      print(way, (select(3, ns.run { "/nope" })))
    ]], { memfd = once:rep(2) .. "memfd\t2\n", file = once:rep(2) .. "file\t2\n", copy = once:rep(2) .. "copy\t2\n" })
  end)

  it("leaves an init that shows nothing of the host, or no init", function()
    each_way([[
      local r, message, _, detail = ns.sandbox():run("sh", "-c", [=[
        tr -d '\0' </proc/1/cmdline; echo; cat /proc/1/comm; cat /proc/1/environ /proc/1/maps 2>&1 | grep -c lua]=])
      print(r and r.stdout:gsub("\n", " ") or detail.code .. " " .. detail.step)
    ]], { memfd = "ns ns-init 0 \n", file = "ns ns-init 0 \n", copy = "EACCES execveat\n" })
  end)

  it("is not copied with the host for a hostile root, whose links might lead to the host's own program", function()
    each_way([[
      local r, message = ns.run { "/bin/true", root = "/", flags = "user,mount" }
      print(r and r.ok or ("%s: %s"):format(message:match "^([^;]*); .-(no directory[^:]*)"))
    ]], { memfd = "true\n", file = "true\n",
      copy = "execute the launcher: Permission denied (EACCES): no directory for temporary files allows it\n" })
  end)

  machine.root_it("is another file for each start, so that nobody keeps one that will be executed", function()
    local r = machine.host([[
      local ns, lfs = require "ns", require "lfs"
      local seen = {}
      for i = 1, 2 do
        local p = assert(ns.spawn { "sleep", "9", flags = "pid", init = true })
        seen[i] = lfs.attributes("/proc/" .. p.pid .. "/exe", "ino")
        print(lfs.attributes("/proc/" .. p.pid .. "/exe", "nlink"))
        p:close()
      end
      print(#seen, seen[1] ~= seen[2] or "the same")
      for name in lfs.dir("/proc/self/fd") do
        local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
        if target and target:find("deleted") then print(target) end
      end
    ]], { under = machine.refuse("ENOSYS", "memfd_create") })
    assert.matches("^0\n0\n2\ttrue\n$", r.stdout .. r.stderr)
  end)

  describe("with a plan", function()
    -- sends the bytes to a launcher; its record, or "", and its end
    local PEER = [[
      use Socket; use Fcntl;
      socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0) or die;
      my $pid = fork;
      if (!$pid) { close $a; fcntl($b, F_SETFD, 0); exec {"build/launcher"} "ns", fileno $b }
      close $b;
      local $/; syswrite $a, scalar <STDIN>; shutdown $a, 1;
      sysread $a, my $record, 8; waitpid $pid, 0;
      print join(" ", unpack("l*", $record // ""), "end", $? >> 8, $? & 127)]]

    local function play(bytes)
      local r = ns.run { "perl", "-e", PEER, stdin = bytes }
      return r.stdout .. r.stderr
    end

    local function plan(options)
      return core.encode({ { op = "fs", type = "none", path = "/nope", options = options } }):bytes()
    end

    --- The bytes with the 32-bit number at an offset changed.
    local function poke(bytes, offset, number)
      local four = ""
      for i = 0, 3 do four = four .. string.char(math.floor(number / 256 ^ i) % 256) end
      return bytes:sub(1, offset) .. four .. bytes:sub(offset + 5)
    end

    it("that is sound plays it", function()
      assert.matches("^1 %d+ end 127 0$", play(plan { "a=b" }))
    end)

    it("whose offsets lead out of it, or that does not end, ends without a step", function()
      local bytes = plan { "a=b" }
      local size, steps = #bytes, 24
      local broken = {
        ["the magic"] = poke(bytes, 0, 1), ["a size below the head's"] = poke(bytes, 4, 8),
        ["steps beyond the end"] = poke(bytes, 8, size), ["steps in the head"] = poke(bytes, 8, 8),
        ["steps off their alignment"] = poke(bytes, 8, 25), ["too many steps"] = poke(bytes, 12, 2 ^ 26),
        ["no zero at the end"] = bytes:sub(1, -2) .. "x", ["an op that is none"] = poke(bytes, steps, 1000),
        ["a path beyond the end"] = poke(bytes, steps + 8, size), ["a path among the steps"] = poke(bytes, steps + 8, 24),
        ["data beyond the end"] = poke(poke(bytes, steps + 20, size - 4), steps + 24, 8),
        ["a list off its alignment"] = poke(bytes, steps + 28, size - 7),
        ["a list without an end"] = poke(bytes, steps + 40, size - 4),
      }
      for what, wrong in pairs(broken) do
        assert.not_equal(bytes, wrong)
        assert.equal("end 127 0", play(wrong), what)
      end
    end)
  end)

  it("mounts with its options where the calls of the new mount API are missing", function()
    local r = machine.host([[
      local r = assert(require("ns").run { "grep", " /tmp ", "/proc/self/mounts", flags = { "user", "mount" },
        mounts = { { type = "tmpfs", target = "/tmp", size = "64k", mode = 448 } } })
      io.write(r.stdout, r.stderr)
    ]], { under = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsopen", "-e", "inject=fsopen:error=ENOSYS" } })
    local last = (r.stdout .. r.stderr):match("([^\n]*)\n$") -- the host may have a mount there, too
    assert.matches("^tmpfs /tmp tmpfs rw,nosuid,nodev,relatime,size=64k,nr_inodes=64,mode=700[, ]", last)
  end)
end)

describe("the descriptor of the launcher", function()
  machine.it("luv", "memfd")("is made anew when the host has closed it and opened another file under its number", function()
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
