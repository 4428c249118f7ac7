--- The kinds of mounts that are not binds: what they hold, how much, and with which flags.
local machine = require "support.machine"
local ways = require "support.ways"
local run, with, flags = ways.run, ways.with, ways.flags

for _, way in ipairs(ways.list) do
  ways.describe(way)("a mount " .. way.name .. " #system", function()
    it("of a tmpfs has the mode that is said, 0755 and for /tmp 1777 where nothing is", function()
      local spec = with { { type = "tmpfs", target = "/tmp" }, { type = "tmpfs", target = "/a" },
        { type = "tmpfs", target = "/b", mode = 448 + 512 } }
      assert.equal("1777 755 1700", run(way, spec, "echo $(stat -c %a /tmp /a /b)"))
    end)

    it("of a tmpfs holds no more bytes and files than is said", function()
      for _, size in ipairs { 65536, "64k" } do
        local spec = with { { type = "tmpfs", target = "/a", size = size } }
        assert.matches("No space left.*\n65536$",
          run(way, spec, "exec 2>&1; head -c 99999 /usr/bin/perl >/a/f; stat -c %s /a/f"))
      end
      local spec = with { { type = "tmpfs", target = "/a", inodes = 3 } }
      assert.matches("/a/3.*No space left.*\n2$", run(way, spec, "exec 2>&1; touch /a/1 /a/2 /a/3; ls /a | wc -l"))
    end)

    -- an empty file takes no byte of a tmpfs, but of the kernel's memory
    it("of a tmpfs with a size holds no more files than fit, unless it says how many", function()
      local line = "cd /a; perl -e 'for (1..3000) { open F, q(>), $_ or last; $n++ } print $n'"
      for _, row in ipairs { { 63, "1k" }, { 1023, "1m" }, { 3000, "1%" }, { 1999, "1m", 2000 } } do
        local m = { type = "tmpfs", target = "/a", size = row[2], inodes = row[3] }
        assert.equal(tostring(row[1]), run(way, with { { type = "dev" }, m }, line))
      end
    end)

    it("of a dev holds little, and in /dev/shm what is said", function()
      local line = "for d in /dev /dev/shm; do head -c 9999999 /dev/zero 2>/dev/null >$d/f; stat -c %s $d/f; done"
      assert.equal("1048576\n9999999", run(way, with { { type = "dev" } }, line))
      assert.equal("1048576\n65536", run(way, with { { type = "dev", size = "64k" } }, line))
      line = "cd /dev/shm; perl -e 'for (1..3000) { open F, q(>), $_ or last; $n++ } print $n'; stat -c ' %a' ."
      assert.equal("8 1777", run(way, with { { type = "dev", inodes = 9 } }, line))
    end)

    it("of a tmpfs that is read-only holds what later mounts put there, and takes nothing more", function()
      local spec = with { { type = "tmpfs", target = "/a", ro = true }, { type = "file", target = "/a/d/f", data = "x\n" } }
      local said = run(way, spec, "cat /a/d/f; touch /a/n /a/d/n")
      assert.matches("^x\n.*/a/n.*Read%-only.*/a/d/n.*Read%-only", said)
    end)

    it("of proc shows the processes of the namespace", function()
      assert.equal("1", run(way, with {}, "ls -d /proc/[0-9]* | grep -cx /proc/1"))
      local spec = { root = "empty", system = true, mounts = { { type = "proc", target = "/p/q" } } }
      assert.equal("sh", run(way, spec, "cat /p/q/1/comm"))
    end)

    it("of proc hides the machine with subset = 'pid'", function()
      local spec = { root = "empty", system = true, mounts = { { type = "proc", subset = "pid" } } }
      assert.equal("no\nsh", run(way, spec, "test -e /proc/sys && echo yes || echo no; cat /proc/1/comm"))
    end)

    it("of proc hides the processes of others with hidepid", function()
      local spec = { root = "empty", system = true, mounts = { { type = "proc", hidepid = "invisible" } } }
      assert.matches("hidepid=invisible", run(way, spec, "cat /proc/self/mountinfo"))
      if way.nobody then return end -- there is but one id
      local line = "setpriv --reuid=1 --regid=1 --clear-groups --inh-caps=-all test -e /proc/1/comm && echo seen || "
        .. "echo hidden"
      assert.equal("hidden", run(way, spec, line))
      spec.mounts[1].hidepid = "off"
      assert.equal("seen", run(way, spec, line))
    end)

    it("of dev has nodes that work", function()
      local spec = with { { type = "dev" } }
      assert.equal("fd full null ptmx pts random shm stderr stdin stdout tty urandom zero",
        (run(way, spec, "echo $(ls /dev)"):gsub("core ", "")))
      local said = run(way, spec, [[
        cd /dev
        for d in null zero full random urandom tty; do stat -c "%n %t:%T" $d; done
        echo gone >null; wc -c <null
        head -c 5 zero | tr '\0' 0; echo
        head -c 1 zero 2>&1 >full
        head -c 5 random | wc -c; head -c 5 urandom | wc -c
        echo in | cat stdin fd/0; echo out >stdout; echo err 2>stderr >&2
        echo shared >shm/f && cat shm/f; stat -c %a shm
        : <tty]])
      assert.matches("^null 1:3\nzero 1:5\nfull 1:7\nrandom 1:8\nurandom 1:9\ntty 5:0\n0\n00000\n"
        .. "[^\n]*No space left on device\n5\n5\nin\nout\nshared\n1777\n", said)
      assert.matches("\nerr\n", said)
      assert.matches("No such device or address", said) -- no terminal: no tty
    end)

    it("of dev gives terminals of its own", function()
      local line = "script -qec 'tty' /dev/null </dev/null | tr -d '\\r'; ls /dev/pts"
      assert.equal("/dev/pts/0\nptmx", run(way, with { { type = "dev" } }, line))
    end)

    it("of sys is read-only, and shows the network namespace", function()
      local spec = with({ { type = "sys" } }, { flags = { "net" } })
      assert.matches("^lo\n.*Read%-only file system", run(way, spec, "ls /sys/class/net; echo 1 >/sys/kernel/uevent_seqnum"))
      assert.equal("ro,nosuid,nodev,noexec", flags(way, spec, "/sys"))
      spec.mounts[2].ro = false
      assert.equal("rw,nosuid,nodev,noexec", flags(way, spec, "/sys"))
    end)

    it("of mqueue holds message queues", function()
      local spec = with({ { type = "dev" }, { type = "mqueue" } }, { flags = { "ipc" } })
      assert.equal("QSIZE:0", run(way, spec, "touch /dev/mqueue/q; cut -d' ' -f1 /dev/mqueue/q"))
      assert.equal("rw,nosuid,nodev,noexec", flags(way, spec, "/dev/mqueue"))
    end)

    it("of a file has its bytes and its mode, and covers another", function()
      local bytes = {}
      for i = 0, 255 do bytes[i + 1] = string.char(i) end
      local all = table.concat(bytes)
      local spec = with { { type = "file", target = "/n/f", data = all, mode = 256 + 64 },
        { type = "file", target = "/etc/passwd", data = "mine\n" }, { type = "file", target = "/empty", data = "" },
        { type = "file", target = "/big", data = all:rep(256) } }
      local said = run(way, spec,
        "md5sum </n/f; stat -c %a:%s /n/f /etc/passwd /empty /big; cat /etc/passwd; echo >/etc/passwd")
      assert.matches("^e2c865db4162bed963bfaa9ef6ac18f0  %-\n500:256\n644:5\n644:0\n644:65536\nmine\n.*Read%-only", said)
    end)

    it("of a file over another can be written if it says so, and the other is not", function()
      local spec = with { { type = "file", target = "/etc/passwd", data = "mine\n", ro = false, mode = 438 } }
      assert.equal("mine\nmore", run(way, spec, "echo more >>/etc/passwd; cat /etc/passwd"))
      assert.falsy(machine.read("/etc/passwd"):find("more\n", 1, true))
    end)

    it("of a directory and of a link makes them", function()
      local spec = with { { type = "dir", target = "/d/e", mode = "0700" },
        { type = "symlink", target = "/l/m", to = "../d/e" }, { type = "file", target = "/l/m/f", data = "through\n" } }
      assert.equal("755 700\n../d/e\nthrough", run(way, spec, "echo $(stat -c %a /d /d/e); readlink /l/m; cat /d/e/f"))
    end)

    it("of a directory is one that is there; a file there, or anything where a link is to be, is refused", function()
      assert.equal("yes", run(way, with { { type = "dir", target = "/usr/bin" } }, "test -d /usr/bin && echo yes"))
      assert.matches("^refused: mkdir /etc/passwd: Not a directory",
        run(way, with { { type = "dir", target = "/etc/passwd" } }, "true"))
      assert.matches("^refused: link /etc to x: File exists",
        run(way, with { { type = "symlink", target = "/etc", to = "x" } }, "true"))
      assert.matches("^refused: mount tmpfs on /etc/passwd: Not a directory",
        run(way, with { { type = "tmpfs", target = "/etc/passwd" } }, "true"))
    end)

    it("is changed by remount, alone or with all below it", function()
      local below = { { type = "tmpfs", target = "/a" }, { type = "tmpfs", target = "/a/b" },
        { type = "remount", target = "/a", ro = true, exec = false } }
      assert.equal("ro,nosuid,nodev,noexec", flags(way, with(below), "/a"))
      assert.equal("rw,nosuid,nodev", flags(way, with(below), "/a/b"))
      below[3].recursive = true
      assert.equal("ro,nosuid,nodev,noexec", flags(way, with(below), "/a/b"))
      assert.matches("/a/x.*Read%-only.*/a/b/x.*Read%-only", run(way, with(below), "touch /a/x /a/b/x"))
      below[4] = { type = "remount", target = "/a", ro = false, exec = true, suid = true, dev = true }
      assert.equal("rw", flags(way, with(below), "/a"))
    end)

    it("of a tmpfs that is to be read-only is so in the end, whatever comes after it in the same place", function()
      for _, row in ipairs { { "ro,nosuid,nodev", { type = "dir" } }, { "ro,nosuid", { type = "remount", dev = true } },
        { "ro,nosuid,nodev", { type = "propagation", mode = "shared" } },
        { "rw,nosuid,nodev", { type = "remount", ro = false } },
        { "rw,nosuid,nodev,noexec", { type = "tmpfs", exec = false } } } do
        row[2].target = "/a"
        assert.equal(row[1], flags(way, with { { type = "tmpfs", target = "/a", ro = true }, row[2] }, "/a"))
      end
    end)

    it("is hidden by mask: directories and files are empty, and cannot be written", function()
      local spec = with { { type = "mask", target = "/etc" }, { type = "mask", target = "/usr/bin/perl" },
        { type = "mask", target = "/nope" }, { type = "tmpfs", target = "/a" },
        { type = "file", target = "/a/f", data = "secret" }, { type = "mask", target = "/a/f" } }
      local said = run(way, spec, "ls /etc | wc -l; wc -c </usr/bin/perl; wc -c </a/f; test -e /nope || echo none; "
        .. "touch /etc/x; echo >/a/f")
      assert.matches("^0\n0\n0\nnone\n.*/etc/x.*Read%-only.*/a/f.*Read%-only", said)
      assert.equal("ro,nosuid,nodev,noexec", flags(way, spec, "/etc"))
      assert.equal("ro,nosuid,nodev,noexec", flags(way, spec, "/a/f"))
    end)

    it("lies over what the same spec has put there: the last of files, masks and binds is seen", function()
      local file = { type = "file", target = "/etc/hosts", data = "ours\n" }
      local other = { type = "file", target = "/etc/hosts", data = "other\n", ro = false }
      local mask = { type = "mask", target = "/etc/hosts" }
      local bind = { type = "bind", source = "/etc/passwd", target = "/etc/hosts", ro = true }
      local user = run(way, with {}, "head -n 1 /etc/passwd")
      for _, row in ipairs { { "ours", { other, file } }, { "other", { mask, other } }, { "", { file, mask } },
        { "", { mask, mask } }, { user, { file, bind } }, { "ours", { bind, file } }, { user, { mask, other, bind } },
        { "ours", { file, mask, bind, other, file } } } do
        assert.equal(row[1], run(way, with(row[2]), "head -n 1 /etc/hosts"))
      end
    end)

    it("is read-only by readonly, be it a mount or not, with what lies below, and nothing else of it is changed", function()
      local spec = with { { type = "tmpfs", target = "/a", exec = false }, { type = "dir", target = "/a/b" },
        { type = "tmpfs", target = "/a/b/c" }, { type = "readonly", target = "/a/b" },
        { type = "readonly", target = "/nope" },
        { type = "file", target = "/a/f", data = "x\n", ro = false }, { type = "readonly", target = "/a/f" } }
      local said = run(way, spec, "for f in /a/x /a/b/x /a/b/c/x /a/f; do (echo y >$f) 2>&1 | grep -o Read-only || echo $f; "
        .. "done; cat /a/f; ls -d /nope")
      assert.matches("^/a/x\nRead%-only\nRead%-only\nRead%-only\nx\nls: ", said)
      assert.equal("ro,nosuid,nodev,noexec", flags(way, spec, "/a/b"))
      assert.equal("ro,nosuid,nodev", flags(way, spec, "/a/b/c"))
    end)

    it("has the propagation that is said, private where nothing is", function()
      local spec = with { { type = "tmpfs", target = "/a" }, { type = "tmpfs", target = "/a/b" } }
      local line = "grep -E ' /a(/b)? ' /proc/self/mountinfo | grep -oE ' (shared|master|unbindable)[:0-9]*' | tr -d ' 0-9:'"
      local function said(mode, recursive)
        spec.mounts[4] = { type = "propagation", target = "/a", mode = mode, recursive = recursive }
        return (run(way, spec, line .. "; true"):gsub("\n", " "))
      end
      assert.equal("", said("private"))
      assert.equal("shared", said("shared"))
      assert.equal("shared shared", said("shared", true))
      assert.equal("unbindable", said("unbindable"))
    end)

    it("has just the flags that are said, whatever its kind", function()
      for _, row in ipairs { { {}, "rw,nosuid,nodev" }, { { ro = true, suid = true }, "ro,nodev" },
        { { dev = true }, "rw,nosuid" }, { { exec = false }, "rw,nosuid,nodev,noexec" } } do
        for _, kind in ipairs { "tmpfs", ways.can_overlay(way) and "overlay" or nil } do
          local m = { type = kind, target = "/in" }
          if kind == "overlay" then m.lower, m.idmap = "/usr/share", false end -- not every file system can map ids
          for k, v in pairs(row[1]) do m[k] = v end
          if m.ro and m.lower then m.lower = { "/usr/share", "/usr/lib" } end
          assert.equal(row[2], flags(way, with { m }, "/in"), kind)
        end
      end
      local spec = with { { type = "dev" } }
      local places = { [""] = "rw,nosuid,noexec", ["/null"] = "rw,nosuid,noexec", ["/tty"] = "rw,nosuid,noexec",
        ["/shm"] = "rw,nosuid,nodev", ["/pts"] = "rw,nosuid,noexec" }
      for place, expected in pairs(places) do assert.equal(expected, flags(way, spec, "/dev" .. place)) end
      assert.equal("rw,nosuid,nodev,noexec", flags(way, with {}, "/proc"))
      spec = with { { type = "file", target = "/etc/passwd", data = "" } }
      assert.equal("ro,nosuid,nodev", flags(way, spec, "/etc/passwd"))
    end)

    it("goes where the way to it has been covered, and never into what is hidden", function()
      local spec = with { { type = "tmpfs", target = "/a/b" }, { type = "tmpfs", target = "/a" },
        { type = "file", target = "/a/b/f", data = "seen\n" } }
      assert.equal("seen", run(way, spec, "cat /a/b/f"))
      spec = with { { type = "dir", target = "/x/y" }, { type = "symlink", target = "/l", to = "x/y" },
        { type = "tmpfs", target = "/l/t" }, { type = "tmpfs", target = "/x" },
        { type = "file", target = "/l/t/f", data = "" } }
      assert.matches("^refused: ", run(way, spec, "ls -R /x"))
    end)
  end)
end

describe("a mount without a root of its own #system", function()
  local function inside(mounts, line)
    return ways.run(ways.list[#ways.list], { mounts = mounts }, line)
  end

  it("goes onto the host's tree, as it is seen inside", function()
    local said = inside({ { type = "tmpfs", target = "/etc" }, { type = "file", target = "/etc/a/b", data = "here\n" },
      { type = "proc" }, { type = "mask", target = "/usr/bin/perl" }, { type = "mask", target = "/usr/share" } },
      "cat /etc/a/b; wc -c </usr/bin/perl; ls /usr/share | wc -l")
    assert.equal("here\n0\n0", said)
    assert.truthy(machine.read("/etc/passwd"))
  end)

  it("can cover /dev by its own nodes", function()
    assert.equal("null", inside({ { type = "dev" } }, "echo x >/dev/null; cd /dev; ls null sda 2>/dev/null"))
  end)

  it("makes no directory on the host", function()
    assert.matches("^refused: mount tmpfs on /usr/nope: Read%-only file system",
      inside({ { type = "tmpfs", target = "/usr/nope" } }, "true"))
    assert.is_nil(require("lfs").attributes("/usr/nope"))
  end)
end)
