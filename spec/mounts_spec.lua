--- Binds, from paths and descriptors: what the program finds there, and what it cannot write.
local machine = require "support.machine"
local ways = require "support.ways"
local run, with = ways.run, ways.with

for _, way in ipairs(ways.list) do
  ways.describe(way)("a bind " .. way.name .. " #system", function()
    local tree_it = ways.it(way)
    local directory, remove

    before_each(function()
      directory, remove = ways.directory(way)
      machine.file(directory .. "/f", "of the host\n")
      os.execute(("mkdir %s/sub"):format(directory))
    end)

    after_each(function() remove() end)

    tree_it("shows the host's files, and writes to them", function()
      local spec = with { { type = "bind", source = directory, target = "/in/here" } }
      assert.equal("of the host", run(way, spec, "cat /in/here/f; echo more >/in/here/new"))
      assert.equal("more\n", machine.read(directory .. "/new"))
    end)

    tree_it("leaves to a file of the program's the owner that the directory has", function()
      local spec = with { { type = "bind", source = directory, target = "/in" } }
      run(way, spec, "touch /in/new")
      local owner = way.nobody and machine.root and "65534\n" or nil
      local r = require("ns").run { "sh", "-c", ("stat -c %%u %s/new"):format(directory) }
      assert.equal(owner or r.stdout, r.stdout)
      if not way.nobody then assert.equal("0\n", r.stdout) end
    end)

    -- rows 27, 29: read-only is what cannot be written, not what says so
    it("that is read-only cannot be written, nor can any mount below it", function()
      local spec = with { { type = "bind", source = directory, target = "/in", ro = true } }
      local said = run(way, spec,
        "cat /in/f /in/sub/deep/x; for f in /in/f /in/n /in/sub/n /in/sub/deep/n; do echo >$f; done",
        ("mount -t tmpfs -o mode=777 a %s/sub && mkdir %s/sub/deep && mount -t tmpfs -o mode=777 b %s/sub/deep && "
          .. "echo deep >%s/sub/deep/x"):format(directory, directory, directory, directory))
      assert.matches("^of the host\ndeep\n", said)
      local _, refused = said:gsub("Read%-only file system", "")
      assert.equal(4, refused, said)
    end)

    tree_it("that is writable brings what is mounted below it", function()
      local spec = with { { type = "bind", source = directory, target = "/in" } }
      local setup = ("cd %s && mkdir inner && echo inner >inner/x && mount --bind inner sub"):format(directory)
      assert.equal("inner", run(way, spec, "cat /in/sub/x", setup))
    end)

    tree_it("of a file covers one file", function()
      local spec = with { { type = "bind", source = directory .. "/f", target = "/etc/hostname" },
        { type = "bind", source = directory .. "/f", target = "/new/name", ro = true } }
      assert.equal("of the host\nof the host", run(way, spec, "cat /etc/hostname /new/name"))
    end)

    tree_it("goes to the same place where no target is said", function()
      assert.equal("of the host", run(way, with { { type = "bind", source = directory } }, "cat " .. directory .. "/f"))
    end)

    tree_it("of what is missing is refused by name, and left out where it is only tried", function()
      local missing = { type = "bind", source = directory .. "/nope", target = "/in" }
      assert.matches("^refused: [^\n]*" .. directory .. "/nope[^\n]*No such file or directory %(ENOENT%); its source "
        .. directory .. "/nope is not there$", run(way, with { missing }, "true"))
      missing.try = true
      assert.equal("no", run(way, with { missing }, "test -e /in && echo yes || echo no"))
    end)

    tree_it("that is tried is not left out for the sake of its target", function()
      local spec = with { { type = "bind", source = directory, target = "/usr/nope", try = true } }
      assert.matches("^refused: bind .- on /usr/nope: Read%-only file system %(EROFS%); /usr/nope is not there, "
        .. "and is not made", run(way, spec, "true"))
    end)

    tree_it("comes from a descriptor, whatever its number", function()
      for _, fd in ipairs { 9, 0 } do
        local spec = with({ { type = "bind", source = fd, target = "/in" } }, { stdin = "null" })
        assert.equal("of the host", run(way, spec, "cat /in/f", ("exec %d<%s"):format(fd, directory)))
      end
    end)

    tree_it("from a descriptor is that of its file, not of what has its name by now", function()
      local spec = with { { type = "bind", source = 9, target = "/in" } }
      local setup = ("cd %s && mkdir a && echo right >a/x && chmod 755 a && exec 9<a && mv a b && mkdir -m 755 a")
        :format(directory)
      assert.equal("right", run(way, spec, "cat /in/x", setup))
      if way.nobody then -- who goes by the name
        setup = ("cd %s && exec 9<b && mount -t tmpfs -o mode=755 c b"):format(directory)
        assert.matches("^refused: [^\n]*Stale file handle %(ESTALE%)", run(way, spec, "cat /in/x", setup))
      end
    end)

    it("of '/' shows the host's root, not the new one", function()
      local spec = with { { type = "bind", source = "/", target = "/host", ro = true } }
      assert.equal("of the host\nno", run(way, spec,
        ("cat /host%s/f; test -e /host/host && echo yes || echo no"):format(directory)))
    end)

    -- row 24
    tree_it("follows links in its source, unless it says nofollow", function()
      os.execute(("ln -s %s %s/link && ln -s f %s/last"):format(directory, directory, directory))
      for _, source in ipairs { directory .. "/link/f", directory .. "/last" } do
        local m = { type = "bind", source = source, target = "/in" }
        assert.equal("of the host", run(way, with { m }, "cat /in"))
        m.nofollow = true
        assert.matches("^refused: [^\n]*Too many levels of symbolic links %(ELOOP%)", run(way, with { m }, "cat /in"))
      end
      local plain = { type = "bind", source = directory .. "/f", target = "/in", nofollow = true }
      assert.equal("of the host", run(way, with { plain }, "cat /in"))
    end)

    tree_it("covers what earlier mounts have put there, and is covered by later ones", function()
      local file = { type = "file", target = "/in/f", data = "of the spec\n" }
      local bind = { type = "bind", source = directory, target = "/in" }
      assert.equal("of the host", run(way, with { { type = "tmpfs", target = "/in" }, file, bind }, "cat /in/f"))
      assert.equal("of the spec", run(way, with { bind, file }, "cat /in/f"))
      assert.equal("of the host\n", machine.read(directory .. "/f"))
    end)

    it("takes a place with blanks, backslashes and line ends", function()
      local name = "/odd \\ \n\t\\040 name"
      os.execute(("mkdir '%s%s' && echo odd >'%s%s/x'"):format(directory, name, directory, name))
      local spec = with { { type = "bind", source = directory .. name, target = "/in" .. name, ro = true } }
      local said = run(way, spec, ("cat '/in%s/x'; echo >'/in%s/x'"):format(name, name))
      assert.matches("^odd\n.*Read%-only file system", said)
    end)

    tree_it("has just the flags that are said", function()
      local rows = {
        { {}, "rw,nosuid,nodev" }, { { ro = true }, "ro,nosuid,nodev" }, { { suid = true }, "rw,nodev" },
        { { dev = true }, "rw,nosuid" }, { { exec = false }, "rw,nosuid,nodev,noexec" },
        { { suid = true, dev = true, exec = true }, "rw" },
        { { ro = true, suid = true, dev = true, exec = false }, "ro,noexec" },
      }
      for _, row in ipairs(rows) do
        local m = { type = "bind", source = directory, target = "/in" }
        for k, v in pairs(row[1]) do m[k] = v end
        assert.equal(row[2], ways.flags(way, with { m }, "/in"))
      end
    end)

    -- row 31: a mount keeps what it has, and where the kernel has locked that, to take it away is refused
    it("keeps the flags that the host's mount has", function()
      local setup = ("mount -t tmpfs -o nosuid,nodev,noexec,mode=755 a %s/sub"):format(directory)
      local m = { type = "bind", source = directory .. "/sub", target = "/in", ro = true, suid = true, dev = true }
      assert.equal("ro,nosuid,nodev,noexec", ways.flags(way, with { m }, "/in", setup))
    end)

    it("keeps devices and set-user-ID programs from working, unless it says so", function()
      if way.nobody then return end -- an ordinary user cannot make any
      os.execute(("mknod %s/null c 1 3 && chmod 666 %s/null"):format(directory, directory))
      local m = { type = "bind", source = directory, target = "/in", idmap = false }
      assert.matches("Permission denied", run(way, with { m }, "cat /in/null && echo read"))
      m.dev = true
      assert.equal("read", run(way, with { m }, "cat /in/null && echo read"))
    end)
  end)
end
