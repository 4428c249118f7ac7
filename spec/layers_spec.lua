--- Roots in layers: what the program writes is in the upper, and nothing else has changed.
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"
local run = ways.run
local unpack = unpack or table.unpack -- luacheck: ignore

--- A directory, closed to others, with two layers of the way's user: "low", a system with the host's programs, and "patch".
local function make_layers(way)
  local directory, remove = ways.directory(way)
  local owner = way.nobody and machine.root and "chown -R 65534:65534 " .. directory or "true"
  assert(os.execute(([[cd %s && chmod 700 . && mkdir -p low/etc low/usr low/srv/d low/tmp patch/etc &&
    ln -s usr/bin low/bin && ln -s usr/lib low/lib && ln -s usr/lib64 low/lib64 &&
    echo low >low/etc/both && echo low >low/etc/low &&
    echo gone >low/srv/gone && echo x >low/srv/d/x && echo patch >patch/etc/both && chmod -R a+rX low patch && %s]])
    :format(directory, owner)))
  return directory, remove
end

local function layered(root, more)
  local system = { { type = "bind", source = "/usr", ro = true }, { type = "proc" }, { type = "dev" } }
  local spec = { root = root, mounts = system }
  for k, v in pairs(more or {}) do
    if k == "mounts" then
      for _, m in ipairs(v) do table.insert(spec.mounts, m) end
    else
      spec[k] = v
    end
  end
  return spec
end

local function listing(directory)
  return ns.run({ "find", directory, "-printf", "%P %y %m %U:%G %s %l %T@\n" }).stdout
end

local CHANGE = [[echo new >/new; echo mine >>/etc/both; rm /srv/gone; rm -r /srv/d; mkdir /srv/d
  cat /etc/both; ls -A /srv /srv/d]]
local CHANGED = "low\nmine\n/srv:\nd\n\n/srv/d:"

for _, way in ipairs(ways.list) do
  ways.describe(way)("a root in layers " .. way.name .. " #system", function()
    local it_throws = ways.overlay_it(way)
    local it_keeps = ways.can_overlay(way) and ways.it(way) or machine.it("overlay")
    local directory, remove

    before_each(function() directory, remove = make_layers(way) end)
    after_each(function() remove() end)

    it_throws("over a directory takes what the program changes, which is thrown away", function()
      local before = listing(directory)
      for _ = 1, 2 do assert.equal(CHANGED, run(way, layered { lower = directory .. "/low" }, CHANGE)) end
      assert.equal(before, listing(directory))
    end)

    it_throws("over several directories has the first on top", function()
      local root = { lower = { directory .. "/patch", directory .. "/low" } }
      assert.equal("patch\nlow", run(way, layered(root), "cat /etc/both /etc/low"))
    end)

    it_throws("has as many layers as are said, on each road to the kernel", function()
      local lower = {}
      for i = 1, 60 do
        lower[i] = ("%s/many/%d"):format(directory, i)
        assert(os.execute(("mkdir -p %s/srv && touch %s/srv/%d"):format(lower[i], lower[i], i)))
      end
      assert(os.execute(("chmod -R a+rX %s/many"):format(directory)))
      for count = 10, 60, 10 do -- from 14 on their names are too long for fsconfig(2), and mount(2) is called
        local root = { lower = { unpack(lower, 61 - count) } }
        table.insert(root.lower, directory .. "/low")
        assert.equal(("new\n%d"):format(count + 2),
          run(way, layered(root), "echo new >/new && cat /new && ls /srv | wc -l"))
      end
      local refusing = machine.refuse("ENOSYS", "fsopen")
      assert.equal("patch\nnew", run(way, layered { lower = { directory .. "/patch", directory .. "/low" } },
        "echo new >/new; cat /etc/both /new", nil, refusing))
    end)

    it_keeps("keeps the changes in its upper, where the next start finds them", function()
      local before = listing(directory .. "/low")
      local root = { lower = directory .. "/low", upper = directory .. "/up", work = directory .. "/w" }
      assert.equal(CHANGED, run(way, layered(root), CHANGE))
      assert.equal("new\nlow\nmine\nd", run(way, layered(root), "cat /new /etc/both; ls -A /srv; ls -A /srv/d"))
      assert.equal("new\n", machine.read(directory .. "/up/new"))
      assert.equal(before, listing(directory .. "/low"))
    end)

    it_keeps("makes nothing in its upper for mounts, but a file, and that only where it is said", function()
      local root = { lower = directory .. "/low", upper = directory .. "/up" }
      local more = { mounts = { { type = "tmpfs", target = "/run/deep/in" }, { type = "dir", target = "/home", mode = 448 },
        { type = "bind", source = "/usr", target = "/data/usr", ro = true } } }
      assert.equal("700 share",
        run(way, layered(root, more), "echo $(stat -c %a /home; ls -d /data/usr/share | sed s/.*usr.//)"))
      assert.equal("", ns.run({ "ls", "-A", directory .. "/up" }).stdout)
      local file = { type = "bind", source = "/etc/passwd", target = "/etc/new/f", ro = true }
      assert.matches("^refused: bind /etc/passwd on /etc/new/f: [^\n]*%(EROFS%); /etc/new/f is not there: mkdir = true",
        run(way, layered(root, { mounts = { file } }), "true"))
      file.mkdir = true
      assert.equal("fine", run(way, layered(root, { mounts = { file } }), "grep -q root /etc/new/f && echo fine"))
      assert.equal("etc\netc/new\netc/new/f\n", ns.run({ "find", ".", "-mindepth", "1", "-printf", "%P\n",
        cwd = directory .. "/up" }).stdout)
    end)

    it_keeps("is read-only where that is said, with what was kept", function()
      local root = { lower = directory .. "/low", upper = directory .. "/up" }
      run(way, layered(root), "echo new >/new")
      assert.equal("new\nread-only", run(way, layered(root, { read_only = true }),
        "cat /new; (echo x >/etc/x) 2>/dev/null || echo read-only"))
      assert.equal("low\nread-only", run(way, layered({ lower = { directory .. "/low" } }, { read_only = true }),
        "cat /etc/low; (echo x >/etc/x) 2>/dev/null || echo read-only"))
    end)

    it_throws("covers what a later mount covers, and keeps that in its place", function()
      local more = { mounts = { { type = "mask", target = "/etc/low" },
        { type = "file", target = "/etc/both", data = "mine\n" }, { type = "file", target = "/motd", data = "hello\n" } } }
      assert.equal("mine\nhello\nstays", run(way, layered({ lower = directory .. "/low" }, more),
        "cat /etc/low /etc/both /motd; mv /etc /gone 2>/dev/null || echo stays"))
      assert.is_nil(lfs.attributes(directory .. "/low/motd"))
    end)

    it_throws("does the same without the newer calls", function()
      for _, calls in ipairs { { "fsopen" }, { "move_mount", "open_tree", "fsopen", "mount_setattr" }, { "openat2" } } do
        local needs_tree = way == ways.range and #calls > 1 -- only they can map ids
        if not needs_tree then
          local through = machine.refuse(core.constants.errno.ENOSYS, unpack(calls))
          assert.equal(CHANGED, run(way, layered { lower = directory .. "/low" }, CHANGE, nil, through))
        end
      end
    end)

    it_throws("over the host's system takes what is changed in it, at its top, too", function()
      local line = [[
        cd /etc && echo new >/etc/ns-new && echo top >/ns-new && cat /etc/ns-new /ns-new
        rm /bin && [ ! -e /bin ] && echo no link; mkdir /ns-dir && echo made]]
      for _, root in ipairs { { root = { lower = "/" } }, { root = { lower = "empty" }, system = true } } do
        root.mounts = { { type = "proc" }, { type = "tmpfs", target = "/run" } }
        assert.equal("new\ntop\nno link\nmade", run(way, root, line))
        for _, path in ipairs { "/etc/ns-new", "/ns-new", "/ns-dir" } do assert.is_nil(lfs.attributes(path)) end
      end
      assert.truthy(lfs.symlinkattributes "/bin")
    end)

    it_keeps("over the host's system keeps all in one upper", function()
      local root = { root = { lower = "/", upper = directory .. "/up" }, mounts = { { type = "proc" } } }
      run(way, root, "echo new >/etc/ns-new; echo top >/ns-new")
      assert.equal("new\ntop", run(way, root, "cat /etc/ns-new /ns-new"))
      assert.equal("new\n", machine.read(directory .. "/up/etc/ns-new"))
      assert.equal("top\n", machine.read(directory .. "/up/ns-new"))
    end)

    it_throws("over the host's system has what cannot be a layer as it is, read-only", function()
      local setup = "mount -t tmpfs x /mnt && echo shown >/mnt/f && mkdir /mnt/a && echo COVERED >/mnt/a/f && "
        .. "mount -t tmpfs x /mnt/a"
      assert.equal("shown\nread-only\nf\na", run(way, { root = { lower = "/" }, mounts = { { type = "proc" } } },
        "cat /mnt/f; (echo x >/mnt/f) 2>/dev/null || echo read-only; ls -U /mnt | sort -r; ls /mnt/a", setup))
    end)
  end)
end

describe("a root in layers #system", function()
  local directory, remove

  before_each(function() directory, remove = make_layers(ways.root) end)
  after_each(function() remove() end)

  machine.it("user", "overlay", "tree")("is what box:upper makes of any root", function()
    local function lines(box, line)
      local r = assert(box:run("sh", "-c", line))
      return r.stdout .. r.stderr
    end
    local kept = directory .. "/kept"
    local box = ns.sandbox():root(directory .. "/low"):ro_bind("/usr"):upper(kept)
    assert.equal("", lines(box, "echo kept >/etc/kept"))
    assert.equal("kept\n", lines(box, "cat /etc/kept"))
    assert.equal("kept\n", machine.read(kept .. "/upper/etc/kept"))
    assert.equal("rwx------", lfs.attributes(kept).permissions)
    assert.equal("", lines(box:clone():upper(), "ls /etc | grep kept")) -- and one that is thrown away
    assert.equal("x\n", lines(ns.sandbox():upper(), "echo x >/usr/x; cat /usr/x"))
    assert.same({ root = { lower = "/" }, flags = "mount" }, ns.box({ flags = "mount" }):upper():spec())
    assert.same({ lower = { "/a", "/b" }, upper = "/c/upper", work = "/c/work", idmap = false },
      ns.box({ root = { lower = { "/a", "/b" }, idmap = false } }):upper("/c/"):spec().root)
    assert.is_true(ns.sandbox():upper():spec().system)
    assert.is_nil(ns.sandbox({ root = { lower = { "/a" } } }):spec().system)
  end)

  machine.it("user", "overlay", "tree")("names the parts of the host that are no layers", function()
    local r = machine.host([[
      local ns = require "ns"
      for _, box in ipairs { ns.sandbox():root "/", ns.sandbox():root "/":tmpfs "/srv" } do
        local r = assert(box:upper():run "true")
        for _, left in ipairs(r.left_out) do
          if left.path == "/srv" then print(left.what, left.code, left.why) end
        end
      end]], { under = { "unshare", machine.root and "-m" or "-Urm", "--propagation", "private", "sh", "-c",
      "mount -t tmpfs x /srv && mkdir /srv/a && mount -t tmpfs x /srv/a && exec \"$@\"", "sh" } })
    assert.equal("/srv\tEROFS\t/srv/a is mounted below it: it is as on the host, and read-only\n", r.stdout .. r.stderr)
  end)

  machine.root_it("of a sandbox has root's ids on disk, and so is closed to all others", function()
    if not machine.can.tree then return pending(machine.why.tree) end
    local box = ns.sandbox():root { lower = directory .. "/low", upper = directory .. "/up" }:ro_bind("/usr")
      :caps { "chown", "fowner", "dac_override" }
    assert.equal("", assert(box:run("sh", "-c", "echo 5 >/five; chown 5:6 /five; chown 7 /etc/low")).stderr)
    assert.equal("5 6 7 0\n", ns.run({ "sh", "-c", "echo $(stat -c '%u %g' five; stat -c '%u %g' etc/low)",
      cwd = directory .. "/up" }).stdout)
    assert.equal("5 6\n", assert(box:run("stat", "-c", "%u %g", "/five")).stdout)
    assert(os.execute("chmod 755 " .. directory))
    local r, message = box:run("true")
    assert.is_nil(r)
    assert.matches("^idmap " .. directory .. ": Operation not permitted %(EPERM%); others on this host can reach into it",
      message)
  end)

  machine.root_it("belongs to the ids of a map of one's own", function()
    if not machine.can.overlay then return pending(machine.why.overlay) end
    assert(os.execute("chmod 755 " .. directory .. " && mkdir " .. directory .. "/in && chown 100000:100000 "
      .. directory .. "/in"))
    local spec = layered({ lower = directory .. "/low", upper = directory .. "/in/up" },
      { flags = { "user", "mount", "pid" }, uid_map = { { 0, 100000, 1000 } }, gid_map = { { 0, 100000, 1000 } } })
    for _ = 1, 2 do assert.equal("", machine.sh(spec, "echo x >>/x; chown 3 /x")) end
    assert.equal("100003", machine.sh({}, ("stat -c %%u %s/in/up/x"):format(directory)))
    assert.equal("x\nx\n", machine.read(directory .. "/in/up/x"))
  end)

  it("leaves nothing where the start is refused, and says what was refused", function()
    local flags = machine.flags("mount")
    local r, message = ns.run { "true", flags = flags, root = { lower = directory .. "/none" } }
    assert.is_nil(r)
    assert.matches("none[^\n]* %(ENOENT%)", message)
    r, message = ns.run { "true", flags = flags, root = { lower = directory .. "/low/etc/low" } }
    assert.is_nil(r)
    assert.matches("%(ENOTDIR%)", message)
    r, message = ns.run { "true", flags = flags, root = { lower = directory .. "/low", upper = "/no/such/up" } }
    assert.is_nil(r)
    assert.matches("^mkdir /no/such[^\n]*ENOENT", message)
  end)

  it("is said wrongly in many ways", function()
    for _, row in ipairs {
      { {}, "root%.lower: missing" }, { { lower = {} }, "root%.lower: empty list" },
      { { lower = "x" }, "root%.lower: absolute path expected, got 'x'" },
      { { lower = { "/a", "/" } }, "root%.lower: '/' is put together of its directories: it can only be the one lower" },
      { { lower = "/a", work = "/w" }, "root%.upper: missing: upper and work go together" },
      { { lower = "/a", upper = "/b/u", work = "/c/w" },
        "root%.work: a directory beside that of upper expected, got '/c/w'" },
      { { lower = "/a", upper = "/b", work = "/b" }, "root%.work: a directory beside" },
      { { lower = "/a", upper = "/" }, "root%.upper: '/' is no directory" },
      { { lower = "/a", uper = "/b" }, "root: unknown field 'uper' %(did you mean 'upper'%?%)" },
      { { lower = "/a", idmap = "x" }, "root%.idmap: true, false, 'owner' or ranges expected" },
      { { lower = "/a", userxattr = 1 }, "root%.userxattr: boolean expected" } } do
      local ok, message = pcall(ns.spawn, { "true", flags = "mount", root = row[1] })
      assert.is_false(ok)
      assert.matches(row[2], message)
    end
    local ok, message = pcall(ns.box().upper, ns.box(), "x")
    assert.is_false(ok)
    assert.matches("upper: absolute path expected, got 'x'$", message)
  end)

  machine.it("user", "overlay", "tree")("is a root for dpkg, git and make", function()
    local line = [[set -e; mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/ns-p; echo hello >/tmp/p/usr/share/ns-p/f
      printf 'Package: ns-p\nVersion: 1\nArchitecture: all\nMaintainer: m\nDescription: d\n' >/tmp/p/DEBIAN/control
      dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null && dpkg -i /tmp/p.deb >/dev/null && cat /usr/share/ns-p/f
      dpkg -r ns-p >/dev/null && [ ! -e /usr/share/ns-p/f ] && echo removed
      mkdir /usr/src/g && cd /usr/src/g && printf 'all:\n\techo made >out\n' >Makefile && make -s && cat out
      if command -v git >/dev/null; then git init -q . && git add -A &&
        git -c user.name=n -c user.email=e commit -qm m && git log --format=%s; else echo m; fi]]
    if not machine.root then return pending("only root's layer over the host's system is writable all through") end
    local box = ns.sandbox():root("/"):upper():caps { "chown", "dac_override", "fowner", "fsetid", "setgid", "setuid" }
    local r = assert(box:run("sh", "-c", line))
    for _, row in ipairs(r.left_out or {}) do -- of a docker's or podman's host: what is mounted below /var/lib
      if row.path == "/var" or row.path == "/usr" then return pending(("writes in %s: %s"):format(row.path, row.why)) end
    end
    assert.equal("hello\nremoved\nmade\nm\n", r.stdout, r.stderr)
    assert.is_nil(lfs.attributes "/usr/src/g")
  end)
end)
