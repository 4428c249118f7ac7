--- What has changed in a layer: the list, the difference, and the layer as a transaction.
local changes = require "ns.running.changes"
local core = require "ns.core"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"

local function listing(directory, format)
  return ns.run({ "sh", "-c", "find . -mindepth 1 -printf '" .. (format or "%P %y %m %U:%G %s %l\\n") .. "' | sort",
    cwd = directory }).stdout
end

-- What there is, a program that changes it in each way, and what is to be said of that.
local SETUP = [[mkdir -p low/etc low/srv/full/in low/opaque/in/deep low/same low/dir low/work && cd low && echo one >etc/f &&
  echo gone >etc/gone && echo x >srv/full/in/x && echo a >opaque/a && echo b >opaque/b && echo f >file && echo d >dir/d &&
  ln -s etc link && echo s >same/s && echo x >opaque/in/deep/old && echo x >opaque/in/same]]
local PROGRAM = [[cd /o && echo two >>etc/f && rm etc/gone && echo new >etc/new && rm -r srv/full && rm -r opaque &&
  mkdir -p opaque/in/deep && echo c >opaque/c && echo n >opaque/in/deep/new && rm file &&
  mkdir file && echo i >file/inner && rm -r dir && echo d >dir && rm link &&
  ln -s srv link && mkdir -p a/b && echo deep >a/b/deep && mkfifo a/pipe && chmod 700 same && ln etc/new etc/hard]]
local LIST = [[
A /o/a
A /o/a/b
A /o/a/b/deep
A /o/a/pipe
C /o/dir
A /o/etc/hard
C /o/etc/f
D /o/etc/gone
A /o/etc/new
C /o/file
A /o/file/inner
C /o/link
D /o/opaque/a
D /o/opaque/b
A /o/opaque/c
A /o/opaque/in/deep/new
D /o/opaque/in/deep/old
D /o/opaque/in/same
C /o/same
D /o/srv/full
]]

local function sorted(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line:sub(3) .. line:sub(1, 1) end
  table.sort(lines)
  return table.concat(lines, "\n")
end

--- Runs Lua in a host of this way, with the directory as D; what it prints.
local function host(way, directory, code)
  local r = machine.host(([[
    local ns, D = require "ns", %q
    local function changed(upper)
      local b = ns.box { flags = %s, root = "empty", system = true }:dev():caps { "chown", "dac_override", "fowner" }
      return b:overlay(D .. "/low", "/o", { upper = upper, work = upper and D .. "/work" })
    end
    local PROGRAM = %q
    %s]]):format(directory, way.user and '{ "mount", "pid", "user" }' or '{ "mount", "pid" }', PROGRAM, code),
    { nobody = way.nobody })
  return (r.stdout .. r.stderr):gsub("\n$", "")
end

for _, way in ipairs(ways.list) do
  ways.describe(way)("the changes in a layer " .. way.name .. " #system", function()
    local it_throws = ways.overlay_it(way)
    local it_keeps = ways.can_overlay(way) and it or machine.it("overlay")
    if way == ways.range then it_keeps = function() end end -- its ids are others each time: see below
    local directory, remove

    before_each(function()
      directory, remove = ways.directory(way)
      local owner = way.nobody and machine.root and "chown -R 65534:65534 ." or "true"
      assert(os.execute(("cd %s && mkdir up work && (%s) && %s"):format(directory, SETUP, owner)))
    end)

    after_each(function() remove() end)

    it_throws("are told of one that is thrown away", function()
      local said = host(way, directory, [[
        local r = assert(changed():run("sh", "-c", PROGRAM))
        io.write(r.stderr)
        print(r:changes())
        local list = r:changes():list()
        print(#list, (r:changes():diff()), (select(2, r:changes():commit(D))))]])
      local list, rest = said:match("^(.-)\n(%d+\t.*)$")
      assert.equal(sorted(LIST), sorted(list or said))
      assert.equal("20\tnil\tcommit is for one layer that is kept in a directory", rest)
    end)

    it_throws("can be looked at while the box lives", function()
      assert.equal("A /o/new\nA /o/new,A /o/other", host(way, directory, [[
        local c = assert(changed():start())
        assert(c:run("sh", "-c", "echo x >/o/new").ok)
        print(c:changes())
        assert(c:run("sh", "-c", "echo x >/o/other").ok)
        io.write((tostring(c:changes()):gsub("\n", ",")))
        c:close()]]))
    end)

    it_keeps("are the same of one that is kept, and those of ns.changes", function()
      local said = host(way, directory, [[
        local r = assert(changed(D .. "/up"):run("sh", "-c", PROGRAM))
        io.write(r.stderr)
        print(r:changes())]])
      assert.equal(sorted(LIST), sorted(said))
      said = host(way, directory, [[
        for path, kind, size, type in ns.changes(D .. "/up", D .. "/low") do
          if path:find "^/etc" or path == "/opaque/a" then print(path, kind, size, type) end
        end]])
      assert.equal("/etc/f\tchanged\t8\tfile\n/etc/gone\tremoved\t5\tfile\n/etc/hard\tadded\t4\tfile\n"
        .. "/etc/new\tadded\t4\tfile\n/opaque/a\tremoved\t2\tfile", said)
    end)

    it_keeps("are a text for patch", function()
      local said = host(way, directory, [[
        assert(changed(D .. "/up"):run("sh", "-c", PROGRAM))
        io.write((assert(ns.changes(D .. "/up", D .. "/low"):diff())))]])
      assert.truthy(said:find("--- a/etc/f\n+++ b/etc/f\n@@ -1 +1,2 @@\n one\n+two\n", 1, true), said)
      assert.truthy(said:find("--- a/etc/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n", 1, true), said)
      assert.truthy(said:find("--- /dev/null\n+++ b/a/b/deep\n@@ -0,0 +1 @@\n+deep\n", 1, true), said)
      assert.truthy(said:find("changed link: /link -> srv\n", 1, true), said)
      assert.truthy(said:find("removed directory: /srv/full", 1, true), said)
    end)

    it_keeps("are made in the directory by commit, and are gone after discard", function()
      local line = "find . -mindepth 1 -printf '%P %y %m %U:%G %s %l %n\\n' | grep -v '^[^ ]* d' | sort"
      host(way, directory, ([[
        assert(changed(D .. "/up"):run("sh", "-c", PROGRAM))
        local r = changed(D .. "/up"):run("sh", "-c", [=[cd /o && %s]=])
        local f = io.open(D .. "/shown", "w")
        f:write(r.stdout)
        f:close()
      ]]):format(line))
      assert.equal("true\n0", host(way, directory, [[
        local c = ns.changes(D .. "/up", D .. "/low")
        print(assert(c:commit(D .. "/low")))
        assert(c:discard())
        print(#c:list())]]))
      -- other ids, but the same as each other, are shown in a user namespace
      local made = ns.run({ "sh", "-c", line, cwd = directory .. "/low" }).stdout
      local shown = machine.read(directory .. "/shown")
      if way.nobody then made, shown = made:gsub("%d+:%d+", "ids"), shown:gsub("%d+:%d+", "ids") end
      assert.equal(shown, made)
      assert.equal("", listing(directory .. "/up"))
      assert.equal("rwx------", lfs.attributes(directory .. "/low/same").permissions)
      assert.equal("a\ndir\netc\nfile\nlink\nopaque\nsame\nsrv\nwork\n",
        ns.run({ "ls", "-A", directory .. "/low" }).stdout)
    end)
  end)
end

describe("the changes in a layer #system", function()
  local directory, remove

  before_each(function()
    directory, remove = machine.directory()
    assert(os.execute("cd " .. directory .. " && mkdir up low out && echo secret >out/f && echo f >low/f"))
  end)

  after_each(function() remove() end)

  local function commit()
    return ns.changes(directory .. "/up", directory .. "/low"):commit(directory .. "/low")
  end

  machine.it("user", "overlay")("are not known where a directory is closed to the host's user, and that is said", function()
    assert.equal("/o/d: Permission denied", machine.as_nobody [[(function()
      local b = ns.box { flags = "user,mount", root = "empty", system = true }:overlay("/usr/share/misc", "/o")
      return select(2, assert(b:run("sh", "-c", "mkdir -m 0 /o/d")):changes():list())
    end)()]])
  end)

  machine.root_it("are not half made where there is no room", function()
    local r = machine.host(([[
      local ns, D = require "ns", %q
      assert(os.execute("mount -t tmpfs -o size=300k x " .. D .. " && cd " .. D .. " && mkdir low && echo old >low/f && " ..
        "head -c 100000 /dev/zero >low/fill"))
      assert(os.execute("mkdir -p /mnt/up && cd /mnt/up && echo new >f && head -c 250000 /dev/zero >big"))
      print(ns.changes("/mnt/up", D .. "/low"):commit(D .. "/low"))
      io.stdout:flush()
      os.execute("cd " .. D .. "/low && cat f && ls -A")]]):format(directory),
      { under = { "unshare", "-m", "--propagation", "private", "sh", "-c", "mount -t tmpfs x /mnt && exec \"$@\"",
        "sh" } })
    assert.matches("^nil\ttar: [^\n]*\nold\nf\nfill\n$", r.stdout .. r.stderr)
  end)

  machine.root_it("of a sandbox have on disk the ids that they have in it", function()
    if not machine.can.tree then return pending(machine.why.tree) end
    assert(os.execute("chmod 700 " .. directory))
    local low, up = directory .. "/low", directory .. "/k"
    assert(os.execute("cd " .. low .. " && ln -s usr/lib64 usr/lib usr/bin ."))
    local box = ns.sandbox():root(low):upper(up):ro_bind("/usr"):caps { "chown", "dac_override", "fowner" }
    local r = assert(box:run("sh", "-c", "echo x >>/f; chown 5:6 /f; echo n >/n; chmod 4755 /n"))
    assert.equal("C /f\nA /n", r.stderr .. tostring(r:changes()))
    assert.is_true(ns.changes(up .. "/upper", low):commit(low))
    assert.equal("5:6 644 f\n0:0 4755 n\n", ns.run({ "stat", "-c", "%u:%g %a %n", "f", "n", cwd = low }).stdout)
  end)

  it("lead nowhere else, whatever links the program has left in it", function()
    assert(os.execute(("cd %s/up && ln -s ../out way && ln -s %s/out abs && ln -s ../../out/f f && mkdir d && "
      .. "ln -s / d/root"):format(directory, directory)))
    local before = listing(directory .. "/out")
    assert.is_true(commit())
    assert.equal(before, listing(directory .. "/out"))
    assert.equal("secret\n", machine.read(directory .. "/out/f"))
    assert.equal("../../out/f", core.readlink(directory .. "/low/f"))
    assert(os.execute(("cd %s && rm -r up low && mkdir -p up/way low && echo EVIL >up/way/f && ln -s ../out low/way")
      :format(directory)))
    assert.is_true(commit()) -- a directory in the place of a link
    assert.equal("EVIL\n", machine.read(directory .. "/low/way/f"))
    assert.equal("secret\n", machine.read(directory .. "/out/f"))
    assert.equal(before, listing(directory .. "/out"))
  end)

  it("are seen through several lowers, with what these hide of each other", function()
    assert(os.execute(("cd %s && mkdir -p top/d low/d && echo t >top/t && echo l >low/d/hidden && echo l >low/d/whole && "
      .. "mknod top/d/whole c 0 0 && mknod up/t c 0 0 && mkdir up/d && echo x >up/d/whole && mknod up/f c 0 0")
      :format(directory)))
    local c = ns.changes(directory .. "/up", { directory .. "/top", directory .. "/low" })
    assert.equal("A /d/whole\nD /f\nD /t", tostring(c))
  end)

  it("are those of the upper that is named, whatever names the program gives to what it makes", function()
    for _, name in ipairs { "upper", "work" } do -- as overlays call theirs
      assert(os.execute(("cd %s/up && mkdir -p %s/work && echo n >%s/f"):format(directory, name, name)))
    end
    local c = ns.changes(directory .. "/up", directory .. "/low")
    local told = "A /upper\nA /upper/f\nA /upper/work\n"
    assert.equal(told .. told:gsub("upper", "work"):gsub("\n$", ""), tostring(c))
    assert.is_true(commit())
    assert.equal("f\n", machine.read(directory .. "/low/f"))
    assert.is_true(c:discard())
    assert.equal("", listing(directory .. "/up"))
  end)

  it("are taken over whole, whatever names sort before a slash", function()
    local names = {}
    for byte = 1, 46 do names[#names + 1] = "a" .. string.char(byte) .. "b" end
    names[#names + 1] = "a"
    for _, above in ipairs { "", "new/" } do
      for i, name in ipairs(names) do
        name = directory .. "/up/" .. above .. name
        local made = i % 2 == 0 and ns.run { "sh", "-c", 'mkdir -p "${1%/*}"; echo f >"$1"', "sh", name }
          or ns.run { "sh", "-c", 'mkdir -p "$1/a/c" "$1/a-c"; echo f >"$1/a/c/f"; : >"$1/a.d"', "sh", name }
        assert.is_true(made.ok)
      end
    end
    local before = listing(directory .. "/up")
    assert.is_true(commit())
    os.remove(directory .. "/low/f")
    assert.equal(before, listing(directory .. "/low"))
  end)

  it("are taken over with the sockets that the program has left", function()
    assert(ns.run({ "perl", "-MIO::Socket::UNIX", "-e", 'mkdir "d"; mkdir "d/e"; ' ..
      'for ("s", "d/e/t") { IO::Socket::UNIX->new(Local => $_, Listen => 1) or die; chmod 416, $_ }',
      cwd = directory .. "/up" }).ok)
    assert(os.execute("touch " .. directory .. "/up/z"))
    assert.is_true(commit())
    assert.equal("d d\nd/e d\nd/e/t s\nf f\ns s\nz f\n", listing(directory .. "/low", "%P %y\\n"))
    assert.equal("rw-r-----", lfs.attributes(directory .. "/low/s").permissions)
  end)

  it("as a difference have no line that a name has made", function()
    local forged = "n\n--- a/low\n+++ b/low\n@@ -1 +1 @@\n-f\n+evil\n"
    for _, name in ipairs { "n\n--- a", "n\n--- a/low\n+++ b" } do
      assert.is_true(ns.run({ "mkdir", directory .. "/up/" .. name }).ok)
    end
    local up = directory .. "/up/"
    for _, name in ipairs { "n\n--- a/low\n+++ b/low", "f 2020-01-01 00:00:00", 'q"\\' } do
      machine.file(up .. name, "x\n")
    end
    assert.is_true(ns.run({ "ln", "-s", forged, up .. "link" }).ok)
    local c = ns.changes(directory .. "/up", directory .. "/low")
    local text = assert(c:diff())
    local heads = {}
    for line in text:gmatch("[^\n]+") do
      if line:find "^%-%-%- " or line:find "^%+%+%+ " then heads[#heads + 1] = line:sub(5) end
    end
    assert.same({ "/dev/null", "b/f 2020-01-01 00:00:00\t", "/dev/null", [["b/n\n--- a/low\n+++ b/low"]], "/dev/null",
      [["b/q\"\\"]] }, heads)
    assert.truthy(text:find([[added link: /link -> "n\n--- a/low\n+++ b/low\n@@ -1 +1 @@\n-f\n+evil\n"]], 1, true), text)
    assert.is_nil(text:find("\n@@ -1 +1", 1, true))
    assert.is_nil(tostring(c):find("\n-", 1, true))
  end)

  it("tell of modes, those before and those now", function()
    assert(os.execute("cd " .. directory .. [[ && echo s >low/s && echo c >low/c && mkdir low/d low/g &&
      chmod 0755 low/s low/d && chmod 0644 low/c && cp -a low/s low/c low/d up && chmod 4755 up/s && chmod 0750 up/d &&
      echo two >>up/c && chmod 0600 up/c && echo p >up/p && chmod 0711 up/p && : >up/e && chmod 2644 up/e &&
      echo o >up/o && chmod 0666 up/o && ln -s p up/l]]))
    local c = ns.changes(directory .. "/up", directory .. "/low")
    local said = {}
    for i, one in ipairs(c:list()) do
      said[i] = ("%s %s %s"):format(one.path, one.mode or "none", one.old_mode or "none")
    end
    assert.same({ "/c 0600 0644", "/d 0750 0755", "/e 2644 none", "/l none none", "/o 0666 none", "/p 0711 none",
      "/s 4755 0755" }, said)
    assert.equal([[
changed file: /c (mode 0644, now 0600)
--- a/c
+++ b/c
@@ -1 +1,2 @@
 c
+two
changed directory: /d (mode 0755, now 0750)
added file: /e (mode 2644)
added link: /l -> p
--- /dev/null
+++ b/o
@@ -0,0 +1 @@
+o
added file: /p (mode 0711)
--- /dev/null
+++ b/p
@@ -0,0 +1 @@
+p
changed file: /s (mode 0755, now 4755)
]], c:diff())
  end)

  it("as a difference are not compared where a file is very large, whatever holes it has", function()
    assert(os.execute("cd " .. directory .. " && cp low/f up/a && truncate -s 64M up/a && echo x >up/f && " ..
      "truncate -s 17M low/f && echo small >up/z"))
    local text = assert(ns.changes(directory .. "/up", directory .. "/low"):diff())
    assert.equal("added file: /a (too large to be compared: 67108864 bytes)\n"
      .. "changed file: /f (too large to be compared: 2 bytes)\n"
      .. "--- /dev/null\n+++ b/z\n@@ -0,0 +1 @@\n+small\n", text)
  end)

  it("as a difference take no more memory of the host than is given for all files together", function()
    assert(os.execute("cd " .. directory .. "/up && yes | head -c 100000 >1 && truncate -s 16M 1 && " ..
      "for i in 2 3 4 5; do cp 1 $i; done && echo small >6"))
    local text = assert(ns.changes(directory .. "/up", directory .. "/low"):diff())
    assert.is_true(#text < 2 ^ 26 + 2 ^ 10, #text)
    assert.is_true(#text > 2 ^ 25, #text)
    assert.truthy(text:find("added file: /5 (too large to be compared: 16777216 bytes)\n", 1, true))
    assert.truthy(text:find("+small\n", 1, true))
  end)

  it("are taken over with their holes", function()
    assert(os.execute("cd " .. directory .. "/up && echo text >a && truncate -s 256M a && truncate -s 1M b && echo end >>b"))
    assert.is_true(commit())
    assert.is_true(ns.run({ "cmp", directory .. "/up/b", directory .. "/low/b" }).ok)
    local made = assert(lfs.attributes(directory .. "/low/a"))
    assert.equal(2 ^ 28, made.size)
    assert.is_true(made.blocks * 512 < 2 ^ 20, made.blocks)
    assert.equal("text\n", ns.run({ "head", "-c", "5", directory .. "/low/a" }).stdout)
  end)

  machine.it("user", "overlay")("are told to an end, and not without one, of a program that makes very many", function()
    assert.equal("3001 nil\nnil more has changed than can be listed", machine.as_nobody [[(function()
      local b = ns.box { flags = "user,mount,pid", root = "empty", system = true }:overlay("/usr/share/misc", "/o")
      local function count(depth, files)
        local line = "d=$(printf 'a/%.0s' $(seq " .. depth .. ")); cd /o && mkdir -p $d && cd $d && " ..
          "i=0; while [ $i -lt " .. files .. " ]; do : >$i; i=$((i+1)); done"
        local list, message = assert(b:run("sh", "-c", line)):changes():list()
        return tostring(list and #list) .. " " .. tostring(message)
      end
      return count(1, 3000) .. "\n" .. count(1900, 10000)
    end)()]])
  end)

  it("are not told where a program has gone on downwards for ever, and that is soon known", function()
    local down = 'for (1 .. $ARGV[0]) { mkdir "directory" and chdir "directory" or die $! }'
    local too_long = "^/directory/directory/.*%.%.%.: the path is longer than 4095 bytes$"
    local function deep(levels)
      assert(ns.run { "perl", "-e", down, tostring(levels), cwd = directory .. "/up" }.ok)
      local c = ns.changes(directory .. "/up", directory .. "/low")
      local list, message, errno = c:list()
      if list then return #list end
      assert.matches(too_long, message)
      assert.is_true(#message < 200, message)
      assert.same({ nil, message, errno }, { c:diff() })
      return errno
    end
    assert.equal(400, deep(400))
    assert(os.execute("rm -r " .. directory .. "/up/*"))
    assert.equal(core.constants.errno.ENAMETOOLONG, deep(5000))
  end)

  --- What changes.list_all says of a layer, and how many names have been read for it.
  local function listed(...)
    local read, names_of = 0, core.layer_names
    core.layer_names = function(...)
      local names, bytes, errno = names_of(...)
      read = read + #(names or {})
      return names, bytes, errno
    end
    local ok, list, message, errno = pcall(changes.list_all,
      { { place = "/o", upper = directory .. "/up", lower = { directory .. "/low" } } }, ...)
    core.layer_names = names_of
    assert(ok, list)
    return list and #list, message, errno, read
  end

  it("are not read where they are more than a list has room for, however few directories they are in", function()
    local E2BIG, too_much = core.constants.errno.E2BIG, "more has changed than can be listed"
    assert(os.execute("cd " .. directory .. "/up && mkdir d && cd d && touch $(seq 500)"))
    assert.same({ 501, nil, nil, 501 }, { listed() })
    assert.same({ 501, nil, nil, 501 }, { listed(501 * (256 + 8)) })
    assert.same({ nil, too_much, E2BIG, 1 }, { listed(400 * 256) }) -- a directory that is new: each is an entry
    assert(os.execute("mkdir " .. directory .. "/low/d"))
    assert.same({ nil, too_much, E2BIG, 1 }, { listed(400 * 64) })  -- one that is not
    assert(os.execute("cd " .. directory .. "/up && rm -r d && touch $(seq 500)"))
    assert.same({ nil, too_much, E2BIG, 0 }, { listed(400 * 64) })
  end)

  it("are not looked at for longer than is given, nor is a directory read on", function()
    local E2BIG, too_much = core.constants.errno.E2BIG, "more has changed than can be listed"
    assert(os.execute("cd " .. directory .. "/up && touch $(seq 3000)"))
    assert.same({ 3000, nil, nil, 3000 }, { listed(nil, core.clock() + 100) })
    assert.same({ nil, too_much, E2BIG, 0 }, { listed(nil, core.clock() - 1) })
    assert(os.execute("cd " .. directory .. "/up && rm * && touch a"))
    assert.same({ nil, too_much, E2BIG, 1 }, { listed(nil, core.clock() - 1) })
  end)

  it("are in the order of their paths in several layers, whatever names there are", function()
    assert(os.execute("cd " .. directory .. "/up && touch z a.b && mkdir a a/c m && touch a/b 'a b' m/q"))
    local function layer(place) return { place = place, upper = directory .. "/up", lower = { directory .. "/low" } } end
    local paths = {}
    for i, one in ipairs(assert(changes.list_all { layer "/", layer "/a" })) do paths[i] = one.path end
    assert.equal("/a /a/a /a/a/b /a/a/c /a/a b /a/a.b /a/b /a/c /a/m /a/m/q /a/z /a b /a.b /m /m/q /z",
      table.concat(paths, " "))
  end)

  it("are refused by name where there is nothing to look at", function()
    for _, arguments in ipairs { {}, { "x", "/y" }, { "/x" }, { "/x", {} }, { "/x", { "y" } } } do
      local ok, message = pcall(ns.changes, arguments[1], arguments[2])
      assert.is_false(ok)
      assert.matches("bad argument to 'changes' %(", message)
    end
    local list, message, errno = ns.changes(directory .. "/none", "/"):list()
    assert.is_nil(list)
    assert.matches("No such file or directory", message)
    assert.equal(core.constants.errno.ENOENT, errno)
    local ok
    ok, message = ns.run({ "true" }):changes()
    assert.is_nil(ok)
    assert.equal("there was no layer that it wrote to", message)
  end)
end)
