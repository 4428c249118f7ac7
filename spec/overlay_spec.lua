--- Overlays, and trees whose ids are mapped.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"
local run, with = ways.run, ways.with
local unpack = unpack or table.unpack -- luacheck: ignore

for _, way in ipairs(ways.list) do
  ways.describe(way)("an overlay " .. way.name .. " #system", function()
    local tree_it = ways.overlay_it(way)
    local overlay_it = ways.can_overlay(way) and it or machine.it("overlay")
    local directory, remove

    before_each(function()
      directory, remove = ways.directory(way)
      local owner = way.nobody and machine.root and "chown -R 65534:65534 ." or "true"
      assert(ns.run({ "sh", "-c", ([[cd %s && mkdir a b up work && echo a >a/f && echo a >a/a && echo b >b/f &&
        echo b >b/b && mkdir a/d && echo a >a/d/x && chmod -R a+rX . && %s]]):format(directory, owner) }).ok)
    end)

    after_each(function() remove() end)

    tree_it("is written to and thrown away: the lower stays as it was", function()
      local spec = with { { type = "overlay", lower = directory .. "/a", target = "/o" } }
      assert.equal("a\nchanged\nnew\nd f new", run(way, spec,
        "cat /o/f; rm /o/a; echo changed >/o/f; cat /o/f; echo new >/o/new; cat /o/new; echo $(ls /o)"))
      assert.equal("a\n", machine.read(directory .. "/a/f") .. (machine.read(directory .. "/a/new") or ""))
      assert.equal("a\n", machine.read(directory .. "/a/a"))
    end)

    overlay_it("shows several lowers, the first above the others", function()
      local spec = with { { type = "overlay", lower = { directory .. "/a", directory .. "/b" }, target = "/o" } }
      assert.equal("a b d f a", run(way, spec, "echo $(ls /o; cat /o/f)"))
      spec.mounts[2].lower = { directory .. "/b", directory .. "/a" }
      assert.equal("b", run(way, spec, "cat /o/f"))
    end)

    it("is read-only if it says so", function()
      local spec = with { { type = "overlay", lower = { directory .. "/a", directory .. "/b" }, target = "/o", ro = true } }
      assert.matches("^a\n.*Read%-only file system", run(way, spec, "cat /o/f; echo >/o/f"))
    end)

    overlay_it("keeps in an upper what is written", function()
      if way == ways.range then return end -- whose ids cannot write there
      local spec = with { { type = "overlay", lower = directory .. "/a", target = "/o",
        upper = directory .. "/up", work = directory .. "/work" } }
      assert.equal("kept", run(way, spec, "echo kept >/o/f; cat /o/f"))
      assert.equal("kept\n", machine.read(directory .. "/up/f"))
      assert.equal("a\n", machine.read(directory .. "/a/f"))
      assert.equal("kept", run(way, spec, "cat /o/f"))
    end)

    -- what a directory of the lower needs for that are attributes on the files of the upper
    local CHANGES = "cd /o && rm -r d && mkdir d n && ls -A d && %s -e 'print(os.rename(\"n\", \"m\"))' && echo $(ls)"

    tree_it("lets whole directories be removed, made anew and renamed", function()
      local spec = with { { type = "overlay", lower = directory .. "/a", target = "/o" } }
      assert.equal("true\na d f m", run(way, spec, CHANGES:format(machine.lua)))
      assert.equal("a\n", machine.read(directory .. "/a/d/x"))
    end)

    overlay_it("has that kept in an upper, too", function()
      if way == ways.range then return end
      local spec = with { { type = "overlay", lower = directory .. "/a", target = "/o",
        upper = directory .. "/up", work = directory .. "/work" } }
      local said = run(way, spec, CHANGES:format(machine.lua))
      assert.equal("true\na d f m", said)
      assert.equal("a d f m", run(way, spec, "cd /o && ls -A d && echo $(ls)"))
    end)

    it("takes any name for its directories, on each road to the kernel", function()
      local odd = directory .. "/a:b\\c,d\\,=" .. ("x"):rep(240) .. "/" .. ("y"):rep(200)
      local line = "mkdir -p '%s' && cd '%s' && mkdir low up work && echo odd >low/f && chmod -R a+rX . && chmod 777 up work"
      assert(ns.run({ "sh", "-c", (line:gsub("%%s", function() return odd end)) }).ok)
      local lowers = { odd .. "/low", directory .. "/a" }
      for _, m in ipairs { { ro = true }, {}, { upper = odd .. "/up", work = odd .. "/work" } } do
        m.type, m.lower, m.target = "overlay", lowers, "/o"
        for _, calls in ipairs { false, { "fsopen", "move_mount" } } do
          local said = run(way, with { m }, "cat /o/f; ls /o/a", nil, calls and machine.refuse("ENOSYS", unpack(calls)))
          if not said:find("EOPNOTSUPP", 1, true) then assert.equal("odd\n/o/a", said) end
        end
      end
    end)

    it("takes as many lowers as the kernel does", function()
      local lowers, line = {}, { "cd " .. directory }
      for i = 1, 300 do
        lowers[i] = ("%s/l,%d-%s"):format(directory, i, ("x"):rep(130))
        line[i + 1] = ("mkdir '%s' && echo %d >'%s/%d'"):format(lowers[i], i, lowers[i], i)
      end
      assert(ns.run({ "sh", stdin = table.concat(line, "\n") }).ok)
      local spec = with { { type = "overlay", lower = lowers, target = "/o", ro = true } }
      local said = run(way, spec, "ls /o | wc -l")
      if said ~= "300" then assert.matches("lowers: Linux 6%.7 takes 500$", said) end
      for i = 151, 300 do lowers[i] = nil end -- 20 KiB of names
      assert.equal("150", run(way, spec, "ls /o | wc -l"))
    end)

    -- what it shows of a lower is what a bind of it shows
    tree_it("has at its top the owner and the mode that its lower has", function()
      local modes = { [0] = "0700", "1777", "2775", "0511" }
      local mounts, line = {}, "cd /o"
      for i = 0, 3 do
        local path = ("%s/m%d"):format(directory, i)
        assert(ns.run({ "sh", "-c", ("mkdir %s && chown --reference %s %s && chmod %s %s"):format(path, directory, path,
          modes[i], path) }).ok)
        mounts[2 * i + 1] = { type = "bind", source = path, target = ("/b/%d"):format(i) }
        mounts[2 * i + 2] = { type = "overlay", lower = path, target = ("/o/%d"):format(i) }
        line = line .. (" && stat -c '%%u:%%g %%a' /b/%d /o/%d"):format(i, i)
      end
      local shown = {}
      for each in run(way, with(mounts), line):gmatch("[^\n]+") do shown[#shown + 1] = each end
      for i = 0, 3 do
        assert.equal(shown[2 * i + 1], shown[2 * i + 2])
        assert.matches("^0:0 " .. modes[i]:gsub("^0", "") .. "$", shown[2 * i + 2])
      end
    end)

    tree_it("that is thrown away takes places for other mounts, one with an upper does not", function()
      local spec = with { { type = "overlay", lower = directory .. "/a", target = "/o" },
        { type = "tmpfs", target = "/o/new/deep" }, { type = "file", target = "/o/d/f", data = "x\n" } }
      assert.equal("x", run(way, spec, "cat /o/d/f; test -d /o/new/deep || echo no"))
      assert.is_nil(require("lfs").attributes(directory .. "/a/new"))
      if way == ways.range then return end
      spec.mounts[2].upper, spec.mounts[2].work = directory .. "/up", directory .. "/work"
      assert.matches("^refused: mount tmpfs on /o/new/deep: Read%-only", run(way, spec, "true"))
      assert.is_nil(require("lfs").attributes(directory .. "/up/new"))
    end)

    tree_it("over its own lower hides it, and no other", function()
      local spec = with { { type = "bind", source = directory, ro = true }, { type = "overlay", lower = directory .. "/a",
        target = directory .. "/a" } }
      local line = ("echo new >%s/a/f && cat %s/a/f; echo >%s/b/f"):format(directory, directory, directory)
      assert.matches("^new\n.*Read%-only", run(way, spec, line))
    end)
  end)
end

describe("an overlay #system", function()
  local directory, remove

  before_each(function() directory, remove = machine.directory() end)
  after_each(function() remove() end)

  machine.it("user")("is not begun where its upper has no attributes that a user may set", function()
    local code = ([[
      local ns = require "ns"
      local up, work = %q .. "/up", %q .. "/work"
      for _, more in ipairs { {}, { upper = up, work = work } } do
        local b = ns.box { flags = "user,mount", root = "empty", system = true }
        print((select(2, b:overlay("/usr/bin", "/o", more):run("true"))))
      end]]):format(directory, directory)
    assert(os.execute(("mkdir %s/up %s/work && chmod 777 %s/*"):gsub("%%s", directory)))
    local r = machine.host(code, { under = machine.refuse("EOPNOTSUPP", "setxattr") })
    local says = "mount overlay of /usr/bin on /o: Operation not supported (EOPNOTSUPP); %s keeps no user.* attributes, and "
      .. "without them no directory of the lower can be removed: give it 'upper' and 'work' on a disk\n"
    local tmpfs, disk = "a tmpfs of this kernel (before 6.6)", "the file system of " .. directory .. "/up"
    assert.equal(says:format(tmpfs) .. says:format(disk), r.stdout .. r.stderr)
  end)

  machine.it("overlay")("can be had by who is root in a user namespace already", function()
    local code = ([[
      local r, message = require("ns").run { "sh", "-c", "cd /o && rm -r d && mkdir d && ls -A d && echo done",
        flags = "mount", root = "empty", system = true, mounts = { { type = "overlay", lower = %q, target = "/o" } } }
      io.write(r and r.stdout .. r.stderr or message)]]):format(directory)
    assert(os.execute(("mkdir %s/d && echo >%s/d/f && chown -R 65534:65534 %s; :"):gsub("%%s", directory)))
    local r = machine.host(code, { nobody = true, under = { "unshare", "-Urm" } })
    assert.equal("done\n", r.stdout .. r.stderr)
  end)

  machine.root_it("without a root of its own is no reason that a later mount goes elsewhere", function()
    local r, message = ns.run { "sh", "-c", "findmnt -no FSTYPE /media", flags = "mount", mounts = {
      { type = "tmpfs", target = "/mnt" }, { type = "overlay", lower = "/usr/share", target = "/mnt/o" },
      { type = "tmpfs", target = "/media" } } }
    assert.equal("tmpfs\n", r and r.stdout or message)
  end)

  machine.it("overlay")("over its own lower, without a root of its own, has the lower in it", function()
    assert(os.execute(("echo old >%s/f && chmod -R a+rX %s && chown -R 65534 %s; :"):gsub("%%s", directory)))
    local r = machine.host(([[
      io.write(require("ns").run({ "sh", "-c", "cd / && cat %s/f && echo new >%s/new && ls %s", flags = "user,mount",
        mounts = { { type = "overlay", lower = %q, target = %q } } }).stdout)]]):gsub("%%%a", function(c)
        return c == "%q" and ("%q"):format(directory) or directory
      end), { nobody = true })
    assert.equal("old\nf\nnew\n", r.stdout .. r.stderr)
  end)

  -- its top is the program's then
  machine.it("overlay")("of directories that are nobody's inside can be had, too", function()
    local code = [[
      local b = require("ns").sandbox():overlay({ "/usr/share", "/usr/lib" }, "/o")
      local r, message = b:run("sh", "-c", "stat -c '%u:%g %a' /o; echo new >/o/new && cat /o/new")
      io.write(r and r.stdout .. r.stderr or message)]]
    for _, nobody in ipairs { true, false } do
      local r = machine.host(code, { nobody = nobody })
      assert.equal("0:0 755\nnew\n", r.stdout .. r.stderr)
    end
  end)
end)

if not machine.root then return end

describe("an overlay of root's #system", function()
  local directory, remove
  local box = ns.box { flags = "mount,pid", root = "empty", system = true }

  before_each(function() directory, remove = machine.directory() end)
  after_each(function() remove() end)

  local function said(b, line)
    local r, message = b:run("sh", "-c", line)
    return ((r and r.stdout .. r.stderr or message):gsub("\n$", ""))
  end

  it("opens no directory that is closed, and closes none that is open", function()
    assert(os.execute(("cd %s && mkdir shut open && echo s >shut/f && chmod 700 shut && chmod 1777 open"):format(directory)))
    local b = box:clone():user(5):group(6):overlay(directory .. "/shut", "/shut"):overlay(directory .. "/open", "/open")
    assert.equal("written\ncat: /shut/f: Permission denied", said(b, "cat /shut/f; echo written >/open/f; cat /open/f"))
    b = ns.sandbox():user(5):overlay({ directory .. "/shut", "/usr/bin" }, "/shut")
    assert.matches("Permission denied", said(b, "ls /shut"))
  end)

  it("has owner, access control lists and attributes of the first lower at its top", function()
    local acl = "0200000001000700ffffffff%s04000000ffffffff10000700ffffffff20000000ffffffff"
    local both = acl:format "020007000500000002000500e7030000" -- two users, 5 and 999
    local line = ("cd %s && mkdir d && echo >d/f && chown 3:4 d && chmod 700 d && X d system.posix_acl_access %s &&"
      .. " X d system.posix_acl_default %s"):format(directory, both, both)
    local xattr = machine.program "xattr"
    if not ns.run({ "sh", "-c", (line:gsub("X", xattr)) }).ok then return end -- a file system without
    ns.run { xattr, directory .. "/d", "user.note", "6869" }
    local whole = ns.run({ "sh", "-c", xattr .. " d | sort", cwd = directory }).stdout
    local b = box:clone():overlay({ directory .. "/d", "/usr/share/misc" }, "/o"):bind(xattr, "/xattr")
    assert.equal("3:4 770\n" .. whole, said(b, "stat -c '%u:%g %a' /o; /xattr /o | sort") .. "\n")
    assert.equal("f", (said(b:clone():user(5):group(5), "ls /o | grep -x f")))
    assert.matches("Permission denied", (said(b:clone():user(6):group(6), "ls /o")))
    if not machine.can.user then return end
    -- of two who are named in it, one is nobody inside: he is left out, and nobody gains by it
    b = ns.box { flags = "user,mount", uid_map = { { 0, 0, 10 } }, gid_map = { { 0, 0, 1 } }, root = "empty", system = true }
      :overlay({ directory .. "/d", "/usr/share/misc" }, "/o"):bind(xattr, "/xattr", { ro = true })
    local shown = said(b, "stat -c '%u:%g %a' /o; /xattr /o")
    assert.matches("^3:0 770\n", shown)
    assert.matches("posix_acl_access " .. acl:format "0200070005000000" .. "\n", shown)
  end)

  it("shows nothing that the host has covered, and says what covers it", function()
    local setup = ("cd %s && mkdir -p a/m b up/m work && echo COVERED >a/m/f && cp a/m/f up/m && chmod -R 777 . &&"
      .. " mount -t tmpfs x a/m && mount -t tmpfs x up/m"):format(directory)
    for _, way in ipairs(ways.list) do
      for _, m in ipairs { { lower = "/a" }, { lower = { "/b", "/a" } }, { lower = "/a", ro = true },
        { lower = "/b", upper = "/up", work = "/work" } } do
        local lower = type(m.lower) == "string" and { m.lower } or m.lower
        for i = 1, #lower do lower[i] = directory .. lower[i] end
        local covers = m.upper and "/up/m is mounted below its upper" or "/a/m is mounted below its lower"
        if m.upper then m.upper, m.work = directory .. m.upper, directory .. m.work end
        if m.ro then lower[2] = directory .. "/b" end
        m.type, m.lower, m.target = "overlay", lower, "/o"
        local out = ways.run(way, with { m }, "cat /o/m/f", setup)
        assert.matches("^refused: mount overlay of [^\n]* on /o: Invalid argument %(EINVAL%); ", out, 1, way.name)
        assert.truthy(out:find(directory .. covers, 1, true), out)
      end
    end
  end)
end)

describe("a tree with mapped ids #system", function()
  local tree_it = machine.it("tree")
  local directory, remove
  local range = { flags = { "user", "mount", "pid" }, map = "range", system = true }

  before_each(function()
    directory, remove = machine.directory()
    assert(ns.run({ "sh", "-c", ("cd %s && echo 0 >zero && echo 5 >five && chown 5:6 five && mkdir sub && chmod 755 .")
      :format(directory) }).ok)
  end)

  after_each(function() remove() end)

  local function said(m, line, more)
    m.type, m.target = m.type or "bind", "/in"
    m.source = m.type == "bind" and directory or nil
    local spec = { mounts = { m }, argv = { "sh", "-c", line } }
    for k, v in pairs(range) do spec[k] = v end
    for k, v in pairs(more or {}) do spec[k] = v end
    local r, message = ns.run(spec)
    return (r and r.stdout .. r.stderr or message):gsub("\n$", "")
  end

  local OWNERS = "stat -c %u:%g /in/zero /in/five; touch /in/new; stat -c %u:%g /in/new"

  local function on_disk(name)
    return ns.run({ "stat", "-c", "%u:%g", directory .. "/" .. name }).stdout
  end

  tree_it("gives the program what the owner of the directory has, and no more", function()
    assert.equal("0:0\n65534:65534\n0:0", (said({ idmap = "owner" }, OWNERS)))
    assert.equal("0:0\n", on_disk("new"))
    assert.equal("0:0\n65534:65534\n0:0", (said({}, OWNERS))) -- what a writable bind does by itself
  end)

  tree_it("gives it to the user that the program is", function()
    assert.equal("7:8\n65534:65534\n7:8", (said({ idmap = "owner" }, OWNERS, { user = 7, group = 8 })))
    assert.equal("0:0\n", on_disk("new"))
  end)

  tree_it("shows all ids as they are on disk with true", function()
    assert.equal("0:0\n5:6\n0:0", (said({ idmap = true }, OWNERS)))
    assert.equal("3:3\n5:6\n0:0", (said({ idmap = true }, "chown 3:3 /in/zero; " .. OWNERS)))
    assert.equal("3:3\n", on_disk("zero"))
  end)

  tree_it("shows just the ids of its ranges", function()
    assert.equal("65534:65534\n105:65534", (said({ idmap = { { 5, 105, 1 } } }, "stat -c %u:%g /in/zero /in/five")))
    assert.equal("10:10\n15:16", (said({ idmap = { { 0, 10, 50 } } }, "stat -c %u:%g /in/zero /in/five")))
  end)

  it("is as the host has it, out of reach, with false", function()
    assert.matches("^65534:65534\n65534:65534\n.*Permission denied", (said({ idmap = false }, OWNERS)))
  end)

  machine.it("tree", "overlay")("can be below an overlay", function()
    assert.equal("0:0\n65534:65534\n0:0", (said({ type = "overlay", lower = directory }, OWNERS)))
    assert.equal("0:0\n5:6\n0:0", (said({ type = "overlay", lower = directory, idmap = true }, OWNERS)))
    assert.is_nil(require("lfs").attributes(directory .. "/new"))
  end)

  machine.it("tree", "overlay")("is not found below an overlay that a program with capabilities takes away", function()
    local line = "umount /in; cd /in && find . | sort; for f in zero l/zero; do echo EVIL >$f; done; cat zero l/zero"
    for _, more in ipairs { {}, { propagation = "slave" } } do
      more.caps, more.mount_proc = { "all" }, true
      assert.matches("^%.\n%./l\n%./u\n", (said({ type = "overlay", lower = directory }, line, more)))
      assert.equal("0\n", ns.run({ "cat", directory .. "/zero" }).stdout)
    end
  end)

  it("is refused by name where the ids are not mapped, and where the file system cannot do it", function()
    assert.matches("^idmap [^\n]*: Invalid argument %(EINVAL%)", (said({ idmap = { { 5, 99999999, 1 } } }, "true")))
    local r, message = ns.run { "true", flags = range.flags, map = "range", system = true,
      mounts = { { type = "bind", source = "/proc", target = "/in", idmap = true } } }
    assert.is_nil(r)
    assert.matches("^idmap /proc: Invalid argument %(EINVAL%); the file system of /proc", message)
  end)

  tree_it("is read-only with all below it if it says so", function()
    assert.matches("Read%-only file system", (said({ idmap = true, ro = true }, "touch /in/sub/x")))
  end)
end)
