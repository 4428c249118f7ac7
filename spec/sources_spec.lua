--- A source in a tree that the program may write: where an earlier start has left a link, it does not lead the next one to
-- what the program was never given.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"

local function sh(line) assert(ns.run({ "sh", "-c", line }).ok, line) end

-- What an earlier start leaves.
local LEAVES = {
  ["a link to a directory beside it"] = "rm -r w/conf && ln -s ../private w/conf",
  ["a link on the way"] = "mv w/sub w/x && ln -s ../private w/sub",
  ["an absolute link"] = "rm -r w/conf w/sub && ln -s $PWD/private w/conf && ln -s $PWD/private w/sub",
}

for _, way in ipairs(ways.list) do
  ways.describe(way)("a source in what the program may write, " .. way.name .. " #system", function()
    local it = ways.it(way)
    local top, remove

    before_each(function()
      top, remove = ways.directory(way)
      sh(("cd %s && mkdir -p w/conf w/sub/d private/d up work && echo mine >w/conf/f && echo mine >w/sub/d/f && "
        .. "echo SECRET >private/f && cp private/f private/d/f && ln -s w/sub alias && chmod -R a+rX . && "
        .. "{ [ $(stat -c %%u .) = 0 ] || chown -hR 65534:65534 .; }"):format(top))
    end)

    after_each(function() remove() end)

    local function run(mounts, more)
      table.insert(mounts, 1, { type = "bind", source = top .. "/w", target = "/w" })
      local spec = ways.with(mounts, more)
      return ways.run(way, spec, "cat /r/f /r/d/f 2>/dev/null")
    end

    local function bound(source, more)
      local m = { type = "bind", source = top .. source, target = "/r", ro = true }
      for k, v in pairs(more or {}) do m[k] = v end
      return { m }
    end

    it("is bound, as long as there is no link", function()
      local dev = { type = "dev" }
      assert.equal("mine", run { bound("/w/conf")[1], dev })
      assert.equal("mine", run { bound("/alias/../sub")[1], dev })
      assert.equal("mine", run { bound("/alias/d")[1], dev })
    end)

    for what, line in pairs(LEAVES) do
      it("is refused by name for " .. what, function()
        sh(("cd %s && %s"):format(top, line))
        for _, source in ipairs { "/w/conf", "/w/sub/d", "/alias/d" } do
          local said = run { bound(source)[1], { type = "dev" } }
          assert.falsy(said:find("SECRET", 1, true), said)
          if said ~= "mine" then
            assert.matches("^refused: [^\n]*Too many levels of symbolic links %(ELOOP%); a link lies on the way, in a tree "
              .. "that the program may write, where none is followed: name the place that it leads to, or nofollow = ", said)
          end
        end
      end)
    end

    it("is followed where that is meant", function()
      sh(("cd %s && %s"):format(top, LEAVES["a link to a directory beside it"]))
      assert.matches("SECRET", run { bound("/w/conf", { nofollow = false })[1], { type = "dev" } })
    end)

    ways.overlay_it(way)("is no lower of an overlay by a link", function()
      sh(("cd %s && %s"):format(top, LEAVES["an absolute link"]))
      local said = run { { type = "overlay", lower = top .. "/w/conf", target = "/r" }, { type = "dev" } }
      assert.matches("^refused: .*%(ELOOP%); a link lies on the way, in a tree that the program may write", said)
    end)

    it("is no root by a link", function()
      sh(("cd %s && %s"):format(top, LEAVES["an absolute link"]))
      local more = { root = top .. "/w/conf", system = true }
      assert.matches("^refused: open %S+/w/conf: .*%(ELOOP%); a link lies on the way", run({ { type = "dev" } }, more))
      more.root = top .. "/w/x"
      sh(("mkdir -p %s/w/x/r %s/w/x/w && echo mine >%s/w/x/r/f && chmod -R a+rX %s"):format(top, top, top, top))
      assert.equal("mine", run({ { type = "dev" } }, more))
    end)
  end)
end

describe("a source in what the program may write, without a root #system", function()
  machine.it("user", "mount")("is not followed either", function()
    local top, remove = machine.directory()
    finally(remove)
    sh(("cd %s && mkdir -p w private r a && echo SECRET >private/f && ln -s ../private w/conf"):format(top))
    local function run(nofollow)
      local r, message = ns.run { "cat", top .. "/r/f", flags = machine.flags("mount"), mounts = {
        { type = "bind", source = top .. "/w", target = top .. "/a" },
        { type = "bind", source = top .. "/w/conf", target = top .. "/r", ro = true, nofollow = nofollow } } }
      return r and r.stdout .. r.stderr or message
    end
    assert.matches("ELOOP%); a link lies on the way", run())
    assert.equal("SECRET\n", run(false))
  end)
end)

describe("a file for a stream in what the program may write #system", function()
  machine.it("sandbox", "tree")("is not what a link that was left there leads to", function()
    local top, remove = machine.directory()
    finally(remove)
    sh(("cd %s && mkdir -p w/sub && echo MINE >mine && ln -s ../mine w/log && ln -s .. w/up && ln -s w alias"):format(top))
    local box = ns.sandbox():bind(top .. "/w", "/w")
    for _, path in ipairs { "/w/log", "/alias/log", "/w/up/mine", "/w/sub/../log" } do
      for _, word in ipairs { "stdin", "stdout", "stderr" } do
        local spec = box:clone():argv("sh", "-c", "cat; echo x; echo x >&2"):spec()
        spec[word] = { path = top .. path }
        local r, message = ns.run(spec)
        assert.is_nil(r)
        assert.matches("^open %S+: .*%(ELOOP%); a link lies on the way", message)
      end
    end
    assert.equal("MINE\n", machine.read(top .. "/mine"))
    assert.truthy(box:clone():stdout({ path = top .. "/alias/sub/out" }):run("sh", "-c", "echo x").ok)
    assert.equal("x\n", machine.read(top .. "/w/sub/out"))
    assert.truthy(ns.sandbox():stdout({ path = top .. "/w/log" }):run("sh", "-c", "echo y").ok)
    assert.equal("y\n", machine.read(top .. "/mine"))
  end)
end)
