--- A root directory whose content is an enemy's: links where places are wanted, and others exchanged for them meanwhile.
-- The rows of what has gone wrong elsewhere: 16, 17, 18, 19, 22, 23.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"

local function sh(line) assert(ns.run({ "sh", "-c", line }).ok, line) end

--- All names and contents below a directory.
local function listing(directory)
  local line = "cd %s && find . -printf '%%p %%y %%m %%u %%l\\n' | sort && find . -type f -exec md5sum {} +"
  return ns.run({ "sh", "-c", line:format(directory) }).stdout
end

--- A root directory, beside a directory of the host's that nothing may be made in, moved onto or read from.
local function world(way)
  local top, remove = ways.directory(way)
  sh(([[cd %s && mkdir root host && cd root && mkdir usr etc srv tmp proc dev sys && chmod 755 . * && echo root >srv/f
    ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64
    mkdir ../host/d && echo HOST >../host/d/f && echo HOST >../host/f
    chmod -R a+rX .. && %s]]):format(top, way.nobody and machine.root and "chown -R 65534:65534 ." or "true"))
  return top, remove
end

-- Where a link leads to that stands in the place of something. %s: the directory around the root
local LINKS = {
  ["the host, absolute"] = "%s/host/d",
  ["the host, by .."] = "../../host/d",
  ["the host, by many .."] = ("../"):rep(40) .. "%s/host/d",
  ["a file of the host"] = "%s/host/f",
  ["nothing of the host"] = "%s/host/new",
  ["/etc"] = "/etc",
  ["its own ../etc"] = "../../etc",
  ["nowhere"] = "/nowhere/at/all",
  ["itself"] = "it",
  ["a process"] = "/proc/self/root",
  ["a descriptor"] = "/proc/self/fd/0",
}

-- What wants the place, as a mount and as what follows it inside.
local WANTS = {
  { { type = "tmpfs" }, { type = "file", sub = "/deep/f", data = "x" } },
  { { type = "proc" } },
  { { type = "dev" } },
  { { type = "bind", source = "/usr", ro = true } },
  { { type = "bind", source = "/etc/passwd", ro = true } },
  { { type = "file", data = "x" } },
  { { type = "file", sub = "/f", data = "x" } },
  { { type = "dir", mode = 511 } },
  { { type = "dir", sub = "/a/b" } },
  { { type = "symlink", to = "x" } },
  { { type = "symlink", sub = "/l", to = "x" } },
  { { type = "mask" } },
  { { type = "overlay", lower = "/usr/share" }, { type = "dir", sub = "/made" } },
  { { type = "mask", sub = "/f" }, { type = "tmpfs", sub = "/f" } },
}

--- The mounts of a row on a place.
local function on(place, want)
  local list = { { type = "bind", source = "/usr", ro = true } }
  for _, fields in ipairs(want) do
    local m = { target = place .. (fields.sub or "") }
    for k, v in pairs(fields) do
      if k ~= "sub" then m[k] = v end
    end
    list[#list + 1] = m
  end
  return list
end

-- A host that has no openat2, as in a service of systemd's with RestrictSUIDSGID=.
local WITHOUT_OPENAT2 = machine.refuse("ENOSYS", "openat2")

local function run_without_openat2(way, spec, line) return ways.run(way, spec, line, "true", WITHOUT_OPENAT2) end

local function trial(top, place, want)
  local spec = { root = top .. "/root", mounts = on(place, want), read_only = false, timeout = 30 }
  return { spec, ("cat /it/f /it/new /srv/it/f %s/host/f %s/host/d/f 2>&1; true"):format(top, top) }
end

local function check_trials(said, trials)
  assert.equal(#trials, #said, said[1])
  for _, text in ipairs(said) do
    assert.falsy(text:find("HOST", 1, true), text)
    assert.falsy(text:find("timeout", 1, true), text)
  end
end

-- The first way meets every want at every place, each of the others a fifth of them: all wants, at other places each time.
for _, way in ipairs(ways.list) do
  ways.describe(way)("a hostile root " .. way.name .. " #system", function()
    local turn = 0
    for title, link in pairs(LINKS) do
      it("with a link to " .. title .. " gets nothing of the host and makes nothing there", function()
        local top, remove = world(way)
        finally(remove)
        link = link:gsub("%%s", top)
        -- at the top, in a directory, and as a directory on the way
        sh(("cd %s/root && rmdir proc && for n in it srv/it proc; do ln -s '%s' $n; done"):format(top, link))
        local before = listing(top)
        local trials, again = {}, {} -- again: those that are made without openat2, too, by their numbers
        for _, place in ipairs { "/it", "/srv/it", "/srv/it/x", "/proc" } do
          for _, want in ipairs(WANTS) do
            turn = turn + 1
            if way == ways.list[1] or turn % 5 == 0 then trials[#trials + 1] = trial(top, place, want) end
            if turn % 10 == 0 then again[#again + 1] = #trials end
          end
        end
        local said = ways.run_all(way, trials)
        check_trials(said, trials)
        local without, expected = {}, {}
        for i, n in ipairs(again) do without[i], expected[i] = trials[n], said[n] end
        assert.same(expected, ways.run_all(way, without, "true", WITHOUT_OPENAT2))
        assert.equal(before, listing(top))
      end)
    end

    it("with a file where a directory is wanted, or the other way round, is refused by name", function()
      local top, remove = world(way)
      finally(remove)
      sh(("cd %s/root && rmdir dev proc && echo >dev && echo >proc"):format(top))
      for kind, what in pairs { dev = "tmpfs on /dev", proc = "proc on /proc" } do
        local said = ways.run(way, { root = top .. "/root", mounts = on("/" .. kind, { { type = kind } }) }, "true")
        assert.matches("^refused: mount " .. what .. ": Not a directory", said)
      end
      local bind = { type = "bind", source = "/etc/passwd", target = "/srv", ro = true }
      local said = ways.run(way, { root = top .. "/root", mounts = { bind } }, "true")
      assert.matches("^refused: bind /etc/passwd on /srv", said)
    end)

    it("with entries of any name has files of ours over others all the same", function()
      for _, make in ipairs { "echo root >.ns", "mkdir .ns", "ln -s etc .ns" } do
        local top, remove = world(way)
        finally(remove)
        sh(("cd %s/root && %s"):format(top, make))
        local mounts = on("/srv/f", { { type = "file", data = "ours" } })
        local spec, line = { root = top .. "/root", mounts = mounts }, "cat /srv/f; ls -d /.ns"
        assert.equal("ours/.ns", ways.run(way, spec, line))
        local old = machine.refuse("ENOSYS", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr")
        assert.equal("ours/.ns", ways.run(way, spec, line, "true", old))
      end
    end)

    it("with pipes, sockets and devices in all places does not hang", function()
      local top, remove = world(way)
      finally(remove)
      sh(("cd %s/root && mkfifo pipe srv/pipe && perl -MSocket -e 'socket(S,AF_UNIX,SOCK_STREAM,0); "
        .. "bind(S,sockaddr_un(q(srv/s)))' && chmod 666 pipe srv/pipe"):format(top))
      local before = listing(top)
      local trials = {}
      for _, place in ipairs { "/pipe", "/srv/pipe", "/srv/s", "/pipe/x" } do
        for _, want in ipairs(WANTS) do
          trials[#trials + 1] = { { root = top .. "/root", mounts = on(place, want), timeout = 30 }, "true" }
        end
      end
      check_trials(ways.run_all(way, trials), trials)
      assert.equal(before, listing(top))
    end)
  end)
end

machine.describe("user", "mount")("a root directory with more entries than any has #system", function()
  it("is refused by name, before they fill the host", function()
    local way = machine.root and ways.root or ways.user
    local top, remove = ways.directory(way)
    finally(remove)
    for _, links in ipairs { "for (1 .. 10001) { symlink 1, $_ }", "for (1 .. 1100) { symlink 1 x 4000, $_ }" } do
      local setup = ("mount -t tmpfs -o mode=755 t %s && (cd %s && perl -e '%s')"):format(top, top, links)
      local said = ways.run(way, { root = top, system = true }, "true", setup)
      assert.equal("refused: open " .. top .. ": Argument list too long (E2BIG); a root directory may have 10000 entries, "
        .. "and 4 MiB of names and links", said)
    end
  end)
end)

-- ---- while somebody exchanges ----

--- Spawns again and again while the pairs of names below the root are exchanged; `count` of them must come about.
local function race(run, way, top, pairs_of_names, spec, line, count, check)
  local argv = { machine.program("exchange") }
  for _, name in ipairs(pairs_of_names) do argv[#argv + 1] = top .. "/root/" .. name end
  local neighbour = assert(ns.spawn { argv = argv, stdin = "pipe", stdout = "pipe" })
  local outcomes, whole = {}, 0
  for _ = 1, count do
    local said = run(way, spec, line)
    local kind = said:match("^refused: .-(%([A-Z]+%))") or "ran"
    outcomes[kind] = (outcomes[kind] or 0) + 1
    if kind == "ran" then whole = whole + 1 check(said) end
  end
  neighbour.stdin:close()
  local exchanged = neighbour.stdout:read("*n")
  neighbour:close()
  assert.truthy(exchanged > count, "it did not exchange")
  return outcomes, whole
end

--- {way, how it is run, what is said of that, how many of each race}
local RACES = {}
for _, way in ipairs(machine.root and { ways.root, ways.range } or { ways.user }) do
  RACES[#RACES + 1] = { way, ways.run, "", 30 }
  RACES[#RACES + 1] = { way, run_without_openat2, ", without openat2,", 12 }
end

for _, row in ipairs(RACES) do
  local way, run, count = row[1], row[2], row[4]
  describe("while a neighbour exchanges names in the root, a start " .. way.name .. row[3] .. " #system", function()
    local tree_it = ways.it(way)
    local top, remove, before

    before_each(function()
      top, remove = world(way)
      sh(("cd %s/root && mkdir srv/a srv/b && ln -s ../../host/d srv/link && ln -s %s/host/d top && mkdir real && "
        .. "echo root >real/f && chmod 700 ."):format(top, top)) -- closed, as one of root's that may be written must be
    end)

    after_each(function() remove() end)

    tree_it("never takes a link at the top for the directory that was there", function()
      before = listing(top .. "/host")
      local spec = { root = top .. "/root", system = true, read_only = false }
      local outcomes, whole = race(run, way, top, { "real", "top" }, spec,
        "cat /real/f /top/f 2>/dev/null; echo x >/real/new; echo x >/top/new; true", count,
        function(said) assert.falsy(said:find("HOST", 1, true), said) end)
      assert.truthy(whole > 0, "none ran")
      assert.truthy((outcomes["(ELOOP)"] or 0) + whole > 0)
      assert.equal(before, listing(top .. "/host"))
    end)

    tree_it("mounts and makes nothing outside of it", function()
      before = listing(top .. "/host")
      local spec = { root = top .. "/root", system = true, read_only = false, mounts = {
        { type = "tmpfs", target = "/srv/a" }, { type = "dir", target = "/srv/a/made/deep" },
        { type = "file", target = "/srv/a/file", data = "x" }, { type = "symlink", target = "/srv/a/l", to = "x" },
        { type = "bind", source = "/etc/passwd", target = "/srv/a/bound", ro = true },
        { type = "mask", target = "/srv/a/f" } } }
      local names = { "srv/a", "srv/link", "srv/a", "srv/b" }
      local _, whole = race(run, way, top, names, spec, "cat /srv/*/f 2>/dev/null; true", count,
        function(said) assert.falsy(said:find("HOST", 1, true), said) end)
      assert.truthy(whole > 0, "none ran")
      assert.equal(before, listing(top .. "/host"))
      for _, name in ipairs { "a", "b" } do
        local line = ("find %s/root/srv/%s/ -mindepth 1 2>/dev/null | grep -v '/f$' || true"):format(top, name)
        assert.equal("", ns.run({ "sh", "-c", line }).stdout)
      end
    end)

    -- the kernel gives up on ".." while anything at all is renamed
    it("goes by links with '..' all the same", function()
      sh(("cd %s/root && mkdir srv/real && ln -s %ssrv/real srv/up"):format(top, ("../srv/"):rep(19) .. "../"))
      local spec = { root = top .. "/root", system = true, mounts = {} }
      for i = 1, 8 do spec.mounts[i] = { type = "tmpfs", target = "/srv/up" } end
      local outcomes, whole = race(run, way, top, { "srv/a", "srv/b" }, spec, "stat -fc %T /srv/real", count,
        function(said) assert.equal("tmpfs", said) end)
      assert.equal(count, whole, next(outcomes))
    end)

    it("that runs has each mask and each guard in its mount, wherever that has come to lie", function()
      sh(("mkdir -p %s/secret && echo SECRET >%s/secret/key && chmod -R a+rX %s && echo decoy >%s/root/srv/b/key && "
        .. "echo decoy >%s/root/srv/a/key"):gsub("%%s", top))
      local spec = { root = top .. "/root", system = true, mounts = {
        { type = "bind", source = top .. "/secret", target = "/srv/a", ro = true },
        { type = "mask", target = "/srv/a/key" } } }
      local _, whole = race(run, way, top, { "srv/a", "srv/b" }, spec, "cat /srv/a/key /srv/b/key", count, function(said)
        assert.falsy(said:find("SECRET", 1, true), said)
      end)
      assert.truthy(whole > count / 4, whole)
    end)
  end)
end

machine.root_it("a guarded /proc keeps its guards in a root that is exchanged meanwhile #system", function()
  local run, count, top, remove = ways.run, 30, world(ways.root)
  finally(remove)
  sh(("cd %s/root && rmdir proc && mkdir srv/a srv/b srv/b/sys && ln -s srv/a proc"):format(top))
  local spec, guarded = { root = top .. "/root", system = true, mounts = { { type = "proc" } } }, 0
  local _, whole = race(run, ways.root, top, { "srv/a", "srv/b" }, spec,
    "for i in 1 2 3; do for d in /srv/a /srv/b; do cd $d; (: >>./sys/kernel/printk_delay) 2>&1 && echo WROTE; done; done",
    count, function(said)
      guarded = guarded + (said:find("Read%-only") and 1 or 0)
      assert.falsy(said:find("WROTE"), said)
    end)
  assert.truthy(guarded > whole / 4, ("%d of %d"):format(guarded, whole))
end)
