--- Overlays, and trees whose ids are mapped.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"
local run, with = ways.run, ways.with

for _, way in ipairs(ways.list) do
  ways.describe(way)("an overlay " .. way.name, function()
    local tree_it = ways.it(way)
    local directory, remove

    before_each(function()
      directory, remove = ways.directory(way)
      local owner = way.nobody and machine.root and "chown -R 65534:65534 ." or "true"
      assert(ns.run({ "sh", "-c", ([[cd %s && mkdir a b up work && echo a >a/f && echo a >a/a && echo b >b/f &&
        echo b >b/b && mkdir a/d && chmod -R a+rX . && %s]]):format(directory, owner) }).ok)
    end)

    after_each(function() remove() end)

    tree_it("is written to and thrown away: the lower stays as it was", function()
      local spec = with { { type = "overlay", lower = directory .. "/a", target = "/o" } }
      assert.equal("a\nchanged\nnew\nd f new", run(way, spec,
        "cat /o/f; rm /o/a; echo changed >/o/f; cat /o/f; echo new >/o/new; cat /o/new; echo $(ls /o)"))
      assert.equal("a\n", machine.read(directory .. "/a/f") .. (machine.read(directory .. "/a/new") or ""))
      assert.equal("a\n", machine.read(directory .. "/a/a"))
    end)

    it("shows several lowers, the first above the others", function()
      local spec = with { { type = "overlay", lower = { directory .. "/a", directory .. "/b" }, target = "/o" } }
      assert.equal("a b d f a", run(way, spec, "echo $(ls /o; cat /o/f)"))
      spec.mounts[2].lower = { directory .. "/b", directory .. "/a" }
      assert.equal("b", run(way, spec, "cat /o/f"))
    end)

    it("is read-only if it says so", function()
      local spec = with { { type = "overlay", lower = { directory .. "/a", directory .. "/b" }, target = "/o", ro = true } }
      assert.matches("^a\n.*Read%-only file system", run(way, spec, "cat /o/f; echo >/o/f"))
    end)

    it("keeps in an upper what is written", function()
      if way == ways.range then return end -- whose ids cannot write there
      local spec = with { { type = "overlay", lower = directory .. "/a", target = "/o",
        upper = directory .. "/up", work = directory .. "/work" } }
      assert.equal("kept", run(way, spec, "echo kept >/o/f; cat /o/f"))
      assert.equal("kept\n", machine.read(directory .. "/up/f"))
      assert.equal("a\n", machine.read(directory .. "/a/f"))
      assert.equal("kept", run(way, spec, "cat /o/f"))
    end)

    it("takes names with colons, commas and backslashes, and more lowers than fit into one option", function()
      local lowers = {}
      for i = 1, 20 do
        lowers[i] = ("%s/l,%d-%s"):format(directory, i, ("x"):rep(60))
        assert(ns.run({ "sh", "-c", ("mkdir '%s' && echo %d >'%s/%d'"):format(lowers[i], i, lowers[i], i) }).ok)
      end
      assert.equal("20", run(way, with { { type = "overlay", lower = lowers, target = "/o", ro = true } }, "ls /o | wc -l"))
      local odd = directory .. "/a:b\\c,d\\,"
      assert(ns.run({ "sh", "-c", ("mkdir '%s' && echo odd >'%s/f'"):format(odd, odd) }).ok)
      local spec = with { { type = "overlay", lower = { odd, directory .. "/a" }, target = "/o", ro = true } }
      assert.equal("odd", run(way, spec, "cat /o/f"))
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

if not machine.root then return end

describe("a tree with mapped ids", function()
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

  tree_it("can be below an overlay", function()
    assert.equal("0:0\n65534:65534\n0:0", (said({ type = "overlay", lower = directory }, OWNERS)))
    assert.equal("0:0\n5:6\n0:0", (said({ type = "overlay", lower = directory, idmap = true }, OWNERS)))
    assert.is_nil(require("lfs").attributes(directory .. "/new"))
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
