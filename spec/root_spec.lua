--- A root of the program's own: what is in it, what cannot be written, and that nothing of it is left on the host.
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"
local run = ways.run
local unpack = unpack or table.unpack -- luacheck: ignore

--- All names below a directory, with what a spawn might change of them.
local function listing(directory)
  return ns.run({ "find", directory, "-printf", "%p %y %m %U:%G %s %l %T@\n" }).stdout
end

--- The same, and what is never to change of the host.
local function snapshot(directory)
  return listing(directory) .. ns.run({ "stat", "-c", "%n %a %u:%g %h", "/dev/null", "/dev/tty", "/", "/etc", "/usr",
    "/proc/self/fd/0" }).stdout:gsub("/proc/self/fd/0 [^\n]*", "")
end

--- A root directory as people have them: with the host's /usr for programs.
local function make_root(way)
  local directory, remove = ways.directory(way)
  local owner = way.nobody and machine.root and "chown -R 65534:65534 " .. directory or "true"
  assert(ns.run({ "sh", "-c", ([[
    cd %s && mkdir usr etc srv tmp proc dev empty && chmod 755 . * && chmod 1777 tmp && echo of the root >srv/f &&
    ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64 && ln -s /nowhere dangling && ln -s loop loop && %s]])
    :format(directory, owner) }).ok)
  return directory, remove
end

local function rooted(directory, more)
  local spec = { root = directory, mounts = { { type = "bind", source = "/usr", ro = true },
    { type = "proc" }, { type = "dev" }, { type = "tmpfs", target = "/tmp" } } }
  for k, v in pairs(more or {}) do spec[k] = v end
  return spec
end

for _, way in ipairs(ways.list) do
  ways.describe(way)("a root " .. way.name .. " #system", function()
    it("of a directory shows what is in it, links as links", function()
      local directory, remove = make_root(way)
      finally(remove)
      assert.equal("bin dangling dev empty etc lib lib64 loop proc srv tmp usr\nof the root\nusr/bin /nowhere loop",
        run(way, rooted(directory), "echo $(ls /); cat /srv/f; echo $(readlink /bin /dangling /loop)"))
    end)

    it("of a directory leaves nothing in it, not a mount point and not a time stamp", function()
      local directory, remove = make_root(way)
      finally(remove)
      local before = listing(directory)
      local spec = rooted(directory)
      for _, m in ipairs { { type = "tmpfs", target = "/new/deep" }, { type = "file", target = "/etc2/f", data = "x" },
        { type = "dir", target = "/a/b" }, { type = "symlink", target = "/c/d", to = "x" },
        { type = "mask", target = "/srv/f" } } do
        spec.mounts[#spec.mounts + 1] = m
      end
      assert.equal("x", run(way, spec, "cat /etc2/f; ls -A /new/deep >/dev/null; : </srv/f"))
      assert.equal(before, listing(directory))
    end)

    ways.it(way)("of one mount can be written in its top, if it is not read-only; has what is made for mounts", function()
      local directory, remove = make_root(way)
      finally(remove)
      assert(ns.run({ "chmod", "700", directory }).ok) -- spec/owners_spec.lua
      local place = { type = "bind", source = "/etc/hostname", target = "/etc/new/f", ro = true, mkdir = "anywhere" }
      local spec = rooted(directory, { root = { bind = directory }, read_only = false })
      spec.mounts[#spec.mounts + 1] = place
      local line = "echo top >/new; cat /new /srv/f; ls -d /usr/bin/env /proc/1 /dev/null /nope; test -s /etc/new/f"
      assert.matches("^top\nof the root\n/dev/null\n/proc/1\n/usr/bin/env\nls: .*/nope", run(way, spec, line))
      assert.equal("top\n", machine.read(directory .. "/new"))
      assert.equal("", machine.read(directory .. "/etc/new/f"))
      assert(ns.run({ "chmod", "755", directory }).ok) -- what is read-only has the ids that it has
      spec.read_only = nil
      line = "test -s /etc/new/f; for f in /x /srv/f /etc/new/f; do (echo >$f) 2>&1 | grep -o Read-only; done"
      assert.equal("Read-only\nRead-only\nRead-only", run(way, spec, line))
    end)

    it("of one mount has set-user-ID programs only where they are asked for", function()
      local directory, remove = make_root(way)
      finally(remove)
      for flags, suid in pairs { ["ro,nosuid,nodev"] = false, ["ro,nodev"] = true } do
        local spec = rooted(directory, { root = { bind = directory, suid = suid } })
        assert.equal(flags, (ways.flags(way, spec, "/"):gsub(",noexec", ""))) -- as /tmp may be
      end
    end)

    it("that is empty has a size, a mode and the host's system as it is asked to", function()
      local line = "stat -c %a /; head -c 100000 /dev/zero >/x 2>/dev/null || wc -c </x"
      local spec = { root = { tmpfs = true, size = "16k", mode = "711" }, system = true, read_only = false,
        mounts = { { type = "dev" } } }
      assert.equal("711\n16384", run(way, spec, line))
      for _, root in ipairs { { tmpfs = false }, { tmpfs = true, size = 0 }, { tmpfs = true, lower = "/" } } do
        assert.is_false(pcall(ns.spawn, { "true", flags = { "mount" }, root = root }))
      end
    end)

    -- "/.." is the uppermost mount on "/", which may be another than "/" itself
    it("is the only mount on '/', whatever it is made of", function()
      local directory, remove = make_root(way)
      finally(remove)
      local roots = { "/", "empty", directory, { bind = directory } }
      if ways.can_overlay(way) and way ~= ways.range then
        for _, lower in ipairs { "/", directory } do roots[#roots + 1] = { lower = lower } end
      end
      for _, root in ipairs(roots) do
        local spec = rooted(directory, { root = root, system = root == "empty" or nil, read_only = true })
        if root == "/" then spec.mounts = { { type = "proc" } } end
        local line = [[cut -d' ' -f5 /proc/self/mountinfo | grep -cx /; test /.. -ef / && echo same]]
        assert.equal("1\nsame", run(way, spec, line))
      end
    end)

    it("of a directory goes without what is to be tried, where it has no place for that", function()
      local directory, remove = make_root(way)
      finally(remove)
      assert(os.execute(("cd %s && mkdir var && ln -s srv/none home"):format(directory)))
      local spec = rooted(directory)
      for _, m in ipairs {
        { type = "tmpfs", target = "/var/tmp", try = true }, { type = "dir", target = "/srv/d", try = true },
        { type = "tmpfs", target = "/srv/x", try = true, ro = true }, { type = "dir", target = "/home", try = true },
        { type = "tmpfs", target = "/run", try = true, ro = true } } do
        spec.mounts[#spec.mounts + 1] = m
      end
      local line = "ls -A /var /srv; ls -d /home/ 2>/dev/null; touch /run/x 2>/dev/null || echo read-only"
      for _, calls in ipairs { {}, { "fsopen", "move_mount" } } do
        local through = calls[1] and machine.refuse(core.constants.errno.ENOSYS, unpack(calls))
        assert.equal("/srv:\nf\n\n/var:\nread-only", run(way, spec, line, nil, through))
      end
    end)

    ways.it(way)("of a directory is read-only, unless it says so; its top is always", function()
      local directory, remove = make_root(way)
      finally(remove)
      assert(ns.run({ "chmod", "700", directory }).ok) -- spec/owners_spec.lua
      local line = "for f in /new /srv/new /srv/f /etc/new; do (echo x >$f) 2>/dev/null && echo $f; done; true"
      assert.equal("", run(way, rooted(directory), line))
      assert.equal("/srv/new\n/srv/f\n/etc/new", run(way, rooted(directory, { read_only = false }), line))
      assert.equal("x\n", machine.read(directory .. "/srv/new"))
    end)

    -- the last of a place: what it covers is out of reach, for mount(2) as for the program
    it("'/' is the host's, read-only in all its mounts", function()
      local spec = { root = "/", mounts = { { type = "proc" } } }
      local said = run(way, spec, [[
        ls -d /usr /etc /tmp
        for f in /x /etc/x /tmp/x /usr/x /var/tmp/x /dev/x /dev/shm/x /sys/x; do
          (echo >$f) 2>/dev/null && echo wrote $f
        done
        awk '{ last[$5] = $6 } END { for (p in last) if (last[p] !~ /^ro/ && p !~ /^\/proc/) print p, last[p] }' \
          /proc/self/mountinfo]])
      assert.equal("/etc\n/tmp\n/usr", said)
    end)

    it("'/' can be had writable", function()
      local directory, remove = ways.directory(way)
      finally(remove)
      local spec = { root = "/", read_only = false }
      local said = run(way, spec, ("(echo x >%s/f) 2>&1; (echo x >/new) 2>&1"):format(directory))
      if way == ways.range then -- nobody, there
        assert.matches("Permission denied", said)
      else
        assert.matches("^%S+ %d+: cannot create /new: Read%-only file system$", said)
        assert.equal("x\n", machine.read(directory .. "/f"))
      end
      assert.is_nil(lfs.attributes("/new"))
    end)

    it("'empty' is empty, and takes what is mounted", function()
      local spec = { root = "empty", mounts = { { type = "bind", source = "/usr", ro = true },
        { type = "symlink", target = "/bin", to = "usr/bin" }, { type = "symlink", target = "/lib", to = "usr/lib" },
        { type = "symlink", target = "/lib64", to = "usr/lib64" } } }
      assert.equal("bin lib lib64 usr", run(way, spec, "echo $(ls -A /)"))
      assert.matches("Read%-only", run(way, spec, "echo >/x"))
      spec.read_only = false
      assert.equal("x", run(way, spec, "echo x >/x; cat /x"))
    end)

    it("has the host's system by one word: links as links, all of it read-only", function()
      local spec = { system = true }
      local said = run(way, spec, [[
        cd /; for f in *; do test -L $f && echo $f $(readlink $f) || echo $f; done
        for f in /x /etc/x /usr/x; do (echo >$f) 2>&- && echo wrote $f; done; true]])
      local expected = {}
      for _, name in ipairs { "bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr" } do
        local attributes = lfs.symlinkattributes("/" .. name)
        if attributes and attributes.mode == "link" then
          expected[#expected + 1] = name .. " " .. lfs.symlinkattributes("/" .. name, "target")
        elseif attributes then
          expected[#expected + 1] = name
        end
      end
      assert.equal(table.concat(expected, "\n"), said)
    end)

    it("has the host's system in the place of its own", function()
      local directory, remove = make_root(way)
      finally(remove)
      local spec = { root = directory, system = true }
      assert.equal("bin dangling dev empty etc proc\nyes",
        run(way, spec, "echo $(ls / | grep -vE '^(lib|sbin|srv|tmp|usr|loop)'); test -e /etc/passwd && echo yes"))
    end)

    -- what the launcher does as pivot_root: nothing of the old root is in reach
    it("has nothing of the host's behind it", function()
      local directory, remove = machine.directory()
      finally(remove)
      machine.file(directory .. "/marker", "HOST\n")
      local spec = rooted(make_root(way), { system = true })
      finally(function() remove() os.execute("rm -rf " .. spec.root) end)
      local said = run(way, spec, ([[
        M=%s/marker
        for d in / /proc/1/root /proc/self/cwd /proc/self/root /dev/fd/0 /.. /../..; do
          cat $d/$M $d/../../..$M
        done 2>/dev/null
        ls /proc/self/fd | tr '\n' ' '
        awk '$5 ~ /old|put/ || $0 ~ /host/ {print}' /proc/self/mountinfo
        pwd]]):format(directory))
      assert.equal("0 1 2 3 /", said)
      local parents = run(way, rooted(spec.root, { system = true }), "awk '$5 == \"/\" {print $4, $9}' /proc/self/mountinfo")
      assert.equal("/ tmpfs", parents)
    end)

    it("starts the program in its own /, wherever the host is", function()
      assert.equal("/", run(way, { system = true }, "pwd"))
      assert.equal("/usr", run(way, { system = true, cwd = "/usr" }, "pwd"))
    end)

    it("keeps devices in a directory from working", function()
      if way.nobody then return end -- who cannot make any
      local directory, remove = make_root(way)
      finally(remove)
      os.execute(("mknod %s/srv/null c 1 3 && mknod %s/null c 1 3 && chmod 666 %s/srv/null %s/null"):gsub("%%s", directory))
      assert.equal("", run(way, rooted(directory), "cat /srv/null && echo read; cat /null && echo read; true")
        :gsub("[^\n]*Permission denied\n?", ""))
    end)

    -- rows 33, 58
    it("is the same whatever the host's umask, and changes no mode or owner there", function()
      local directory, remove = make_root(way)
      finally(remove)
      local before, said = snapshot(directory), {}
      local spec = rooted(directory, { read_only = true })
      local overlay = ways.can_overlay(way)
      for _, m in ipairs { { type = "file", target = "/n/f", data = "x" },
        { type = "dir", target = "/n/d" }, { type = "tmpfs", target = "/t" },
        { type = "mask", target = "/srv" }, { type = "mask", target = "/etc" },
        { type = "symlink", target = "/n/l", to = "f" },
        overlay and { type = "overlay", lower = "/usr/share", target = "/o", idmap = false } or nil } do
        spec.mounts[#spec.mounts + 1] = m
      end
      local line = ("for d in '/ -xdev' /dev /n /t /srv /etc %s; do "):format(overlay and "'/o -maxdepth 0'" or "")
        .. "find $d -not -type l -printf '%p %m %U:%G\\n'; done"
      for i, mask in ipairs { "0", "077", "022" } do said[i] = run(way, spec, line .. "; umask", "umask " .. mask) end
      assert.equal("0000 0077 0022", table.concat({ said[1]:match("%d+$"), said[2]:match("%d+$"),
        said[3]:match("%d+$") }, " "))
      for i = 1, 3 do said[i] = said[i]:gsub("%d+$", ""):gsub("/dev/pts/%d+[^\n]*\n", "") end
      assert.equal(said[1], said[2])
      assert.equal(said[1], said[3])
      local open = {}
      for name in said[1]:gmatch("\n(%S+) %d%d[2367] ") do open[#open + 1] = name end
      table.sort(open)
      local nodes = "^/dev/%a+$" -- world-writable are nodes, and the directories that have the sticky bit
      for _, name in ipairs(open) do assert.truthy(name:match(nodes) or name == "/dev/pts/ptmx", name) end
      assert.equal(before, snapshot(directory))
    end)
  end)
end

local root_it = machine.root and machine.it("root", "zero") or machine.root_it

root_it("the root '/' is what can be reached of it, and says what cannot", function()
  local code = [[
    local ns = require "ns"
    local function mine(list) -- the host may have others
      for _, left in ipairs(list) do
        if left.what == "/srv" then return left.what end
      end
    end
    for _, map in ipairs { "root", "range" } do
      local box = ns.box { flags = "user,mount,pid", map = map, root = "/", argv = { "ls", "-d", "/srv", "/usr" } }
      local p, why = box:stdout("pipe"):stderr("null"):spawn()
      print(p and mine(p.left_out) or why, p and (p.stdout:read "*a":gsub("%s+$", "")))
      if p then p:close() end
      print((box:explain():match "leave out /srv[^\n]*"))
    end
    print(mine(ns.run({ "true", flags = "mount", root = "/" }).left_out))]]
  local function said(user, after, drop)
    local line = ("exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=%d,group_id=%d x /srv || exit; %s; "
      .. 'exec %s "$@"'):format(user, user, after, drop or "")
    local r = machine.host(code, { under = { "unshare", "-m", "--propagation", "private", "sh", "-c", line, "sh" } })
    return r.stdout .. r.stderr
  end
  if not lfs.attributes("/dev/fuse") then return pending "needs /dev/fuse" end
  local function expected(why) return ("/srv\t/usr\nleave out /srv: %s\n"):format(why) end
  local dead, why = said(0, "exec 3>&-; stat /srv 2>&1 | sed 's/.*: //'"):match("^([^\n]*)\n(.*)")
  -- ENOTCONN, or from Linux 7.3 on ECONNREFUSED
  assert.equal(expected(dead):rep(2) .. "/srv\n", why)
  assert.equal(expected("Permission denied"):rep(2) .. "/srv\n", said(1234, "true"))
  assert.matches("^" .. expected "Permission denied", (said(1234, "true", machine.as_user)))
end)

machine.describe("root")("a root #system", function()
  it("makes no file by a path of the host", function()
    for _, nobody in ipairs { false, true } do
      local directory, remove = make_root(nobody and ways.user or ways.root)
      finally(remove)
      local code = ([[
        local ns = require "ns"
        assert(ns.run { "true", flags = "user,mount,pid", root = %q, mounts = {
          { type = "bind", source = "/usr", ro = true }, { type = "dev" },
          { type = "tmpfs", target = "/tmp" }, { type = "file", target = "/etc2/f", data = "" },
          { type = "mask", target = "/srv/f" }, %s } }.ok)
      ]]):format(directory, machine.can.overlay and '{ type = "overlay", lower = "/usr/share", target = "/o" }' or "")
      local calls = "trace=mkdir,mkdirat,mknod,mknodat,symlink,symlinkat,link,linkat,rename,renameat2,creat,open,openat,"
        .. "chmod,fchmodat,chown"
      local r = machine.host(code, { nobody = nobody, under = { "strace", "-f", "-qq", "-e", calls } })
      local made = 0
      for line in r.stderr:gmatch("[^\n]+") do
        local call, arguments = line:match("(%l+%d?)(%b())")
        if call and (not call:find("^open") or arguments:find("O_CREAT")) then
          made = made + 1
          assert.falsy(arguments:find("AT_FDCWD", 1, true) or call ~= "symlinkat" and arguments:find('^%("'), line)
        end
      end
      assert.truthy(made > 10, r.stderr)
    end
  end)

  machine.root_it("leaves the modes and owners of its streams alone", function()
    local file = os.tmpname()
    finally(function() os.remove(file) end)
    os.execute("chmod 640 " .. file)
    local function owner() return ns.run({ "stat", "-c", "%a %u:%g", file, "/dev/null" }).stdout end
    local before = owner()
    local r = assert(ns.run { "true", flags = "user,mount,pid", map = "range", system = true, stdin = { path = file },
      stdout = { path = file, append = true }, stderr = "null", mounts = { { type = "dev" } } })
    assert.truthy(r.ok)
    assert.equal(before, owner())
  end)
end)
