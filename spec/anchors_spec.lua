--- What covers a place in a tree that the program may write: the program does not get it out of the way, neither for the
-- next start nor for the host.
local anchors = require "ns.words.anchors"
local machine = require "support.machine"
local kinds = require("ns.words.mount_kinds").all
local ns = require "ns"
local plans = require "support.plans"
local ways = require "support.ways"

local function sh(line) assert(ns.run({ "sh", "-c", line }).ok, line) end

local TRIES = [[
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def exchange(a, b):
    os.makedirs(b, exist_ok=True)
    if libc.renameat2(-100, a.encode(), -100, b.encode(), 2) != 0: raise OSError(ctypes.get_errno(), "")
def tried(what, *args):
    try: what(*args); print(what.__name__, *args, "works")
    except OSError: pass
for at in sys.argv[1:]:
    tried(os.rename, at, os.path.dirname(at) + "/moved")
    tried(os.rename, at, "/w/moved")
    tried(exchange, at, os.path.dirname(at) + "/other")
    tried(os.rmdir, at)
    os.makedirs("/w/empty", exist_ok=True)
    tried(os.rename, "/w/empty", at)
]]

for _, way in ipairs(ways.list) do
  ways.describe(way)("a place that is covered in a tree the program may write, " .. way.name .. " #system", function()
    local it = ways.it(way)
    local top, remove

    before_each(function()
      top, remove = ways.directory(way)
      sh(([[cd %s && mkdir -p w/a/b/c w/.git/hooks && echo SECRET >w/a/b/c/key && echo good >w/.git/hooks/commit
        chmod -R a+rX .; [ $(stat -c %%u .) = 0 ] || chown -R 65534:65534 .]]):format(top))
    end)

    after_each(function() remove() end)

    --- Without capabilities: with them it could take the mounts away.
    local function run(mounts, line, more)
      local spec = ways.with(mounts, { caps = {}, no_new_privs = true })
      table.insert(spec.mounts, 2, { type = "dev" })
      for k, v in pairs(more or {}) do spec[k] = v end
      return ways.run(way, spec, line)
    end

    local function covered()
      return { { type = "bind", source = top .. "/w", target = "/w" }, { type = "mask", target = "/w/a/b/c/key" },
        { type = "bind", source = top .. "/w/.git/hooks", target = "/w/.git/hooks", ro = true } }
    end

    it("stays there, whatever the program renames above it", function()
      local program = ("/usr/bin/python3 -c '%s' /w/a/b/c /w/a/b /w/a /w/.git/hooks /w/.git; "):format(TRIES)
      assert.equal("good", run(covered(), program .. "echo bad 2>/dev/null >/w/.git/hooks/commit; "
        .. "cat /w/a/b/c/key /w/.git/hooks/commit"))
      assert.equal("SECRET\n", machine.read(top .. "/w/a/b/c/key"))
      assert.equal("good\n", machine.read(top .. "/w/.git/hooks/commit"))
      assert.equal("", run(covered(), "cat /w/a/b/c/key /w/*/b/c/key"))
    end)

    it("cannot be got at through another mount of the same directory", function()
      local list = covered()
      list[#list + 1] = { type = "bind", source = top .. "/w", target = "/other" }
      run(list, "mv /other/a /other/x; mv /other/a/b /other/x; mv /other/.git /other/g; mkdir -p /other/a/b/c; echo bad "
        .. ">/other/a/b/c/key")
      assert.equal("", run(covered(), "cat /w/x/b/c/key 2>/dev/null"))
      assert.equal("good\n", machine.read(top .. "/w/.git/hooks/commit"))
    end)

    it("is kept in what is read-only, or bound, as it was", function()
      local said = run({ covered()[1], covered()[2], { type = "remount", target = "/w", ro = true } },
        "for d in /w /w/a /w/a/b /w/a/b/c; do touch $d/new 2>/dev/null && echo $d; done; true")
      assert.equal("", said)
      assert.equal("/w/a\n/w/a/b/c", run(covered(), "for d in /w/a /w/a/b/c; do touch $d/new && echo $d; done"))
      assert.truthy(machine.read(top .. "/w/a/b/c/new"))
    end)

    it("may be missing, as before", function()
      assert.matches("^refused: .*/w/no/where.* is not there, and is not made",
        run({ covered()[1], { type = "tmpfs", target = "/w/no/where" } }, "true"))
      assert.equal("fine", run({ covered()[1], { type = "mask", target = "/w/no/where" } }, "ls /w/no 2>&-; echo fine"))
    end)

    ways.overlay_it(way)("stays in an overlay that is thrown away, and what is made on the way there", function()
      local list = { { type = "overlay", lower = top .. "/w", target = "/w" }, { type = "mask", target = "/w/a/b/c/key" },
        { type = "file", target = "/w/new/deep/f", data = "x" }, { type = "tmpfs", target = "/w/other/t" } }
      local said = run(list, "mv /w/a /w/x; mv /w/a/b /w/x; mv /w/other /w/y; cat /w/x/b/c/key /w/a/b/c/key /w/new/deep/f;"
        .. "ls -d /w/other/t")
      assert.falsy(said:find("SECRET", 1, true), said)
      assert.matches("x/w/other/t", said)
    end)
  end)
end

describe("the plan of what is covered", function()
  local function shown(spec)
    local steps = {}
    for _, step in ipairs(plans.steps(spec, plans.ordinary)) do
      if step.op == "anchor" or step.op == "remount" then steps[#steps + 1] = step.op .. " " .. step.path end
    end
    return table.concat(steps, ", ")
  end

  it("has an anchor for each directory on the way, once", function()
    local box = ns.sandbox():bind("/p", "/w"):mask("/w/a/b/c", "/w/a/b/d", "/w/x", "/srv/x/y"):argv("true")
    assert.equal("anchor /w/a, anchor /w/a/b", shown(box:spec()))
    assert.equal("anchor /w/a, anchor /w/a/b, remount /w, remount /w/a, remount /w/a/b",
      shown(box:clone():remount("/w", { ro = true }):spec()))
    assert.equal("anchor /w/a, anchor /w/a/b, remount /w",
      shown(box:clone():remount("/w", { ro = true, recursive = true }):spec()))
  end)

  it("has none in what the program may not write, and in memory", function()
    assert.equal("", shown(ns.sandbox():ro_bind("/p", "/w"):mask("/w/a/b"):tmpfs("/t"):mask("/t/a/b"):argv("true"):spec()))
    assert.equal("anchor /w/a, remount /w", shown(ns.sandbox():ro_bind("/p", "/w"):mask("/w/a/b")
      :remount("/w", { ro = false }):argv("true"):spec()):gsub(", remount /w/a$", ""))
  end)

  it("has one for what any kind covers, but for those that cover nothing", function()
    local covers_nothing = { dir = true, symlink = true, remount = true, propagation = true }
    for kind in pairs(kinds) do
      local known, count = anchors.new(), 0
      anchors.note({ type = "bind", source = "/p", target = "/w" }, known)
      anchors.before({ type = kind, target = "/w/a/b" }, function() count = count + 1 end, known)
      assert.equal(covers_nothing[kind] and 0 or 1, count, kind)
    end
  end)

  it("goes by the links of the root", function()
    assert.equal("anchor /usr/bin, anchor /usr/bin/a", shown { "true", flags = "user,mount", root = "/r", read_only = false,
      mounts = { { type = "mask", target = "/bin/a/b" } } })
  end)
end)
