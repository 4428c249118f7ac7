--- A layer that is kept has what the program has made in it, and nothing that only the start has made; a start that is
-- refused, or only tried, leaves no layer behind.
local machine = require "support.machine"
local ways = require "support.ways"

-- A sandbox of root's has ids that are nobody's, whatever the way.
for _, way in ipairs(machine.root and { ways.root, ways.user } or { ways.user }) do
  ways.describe(way)("a layer that is kept " .. way.name .. " #system", function()
    local it_keeps = ways.can_overlay(way) and ways.it(way) or machine.it("overlay", "tree")
    local directory, remove

    before_each(function()
      directory, remove = ways.directory(way)
      assert(os.execute("chmod 700 " .. directory))
    end)
    after_each(function() remove() end)

    --- What Lua prints in a host of this way, with an empty directory D of its own that is closed to others.
    local function said(code)
      local r = machine.host(([[
        local ns, D = require "ns", %q
        io.stdout:setvbuf "no"
        os.execute("mkdir -m 700 " .. D .. "/base")
        local function tell(changes)
          for path, kind in changes do print(kind, path) end
        end
        local function find(path) os.execute("find " .. D .. "/" .. path .. " 2>/dev/null") end
        local over_host = ns.sandbox():upper(D .. "/kept")
        local over_base = ns.sandbox():root { lower = D .. "/base", upper = D .. "/up" }:system()
        %s]]):format(directory, code), { nobody = way.nobody })
      return (r.stdout .. r.stderr)
    end

    it_keeps("has no change where the program has made none", function()
      assert.equal("true\n", said [[
        tell(assert(over_host:run "true"):changes())
        tell(assert(over_host:run "true"):changes())
        tell(assert(over_base:run "true"):changes())
        tell(assert(ns.sandbox():root { lower = D .. "/base" }:system():run "true"):changes())
        io.write(assert(ns.changes(D .. "/kept/upper", "/"):diff()), assert(ns.changes(D .. "/up", D .. "/base"):diff()))
        print(ns.changes(D .. "/up", D .. "/base"):commit(D .. "/base"))
        os.execute("ls -A " .. D .. "/base")]])
    end)

    it_keeps("tells of what the program has made in a part of the system, and of its directory", function()
      assert.equal("added\t/etc\nadded\t/etc/new\ntrue\netc\netc/new\nadded\t/etc/new\nchanged\t/etc\n", said [[
        tell(assert(over_base:run("sh", "-c", "echo x >/etc/new")):changes())
        print(ns.changes(D .. "/up", D .. "/base"):commit(D .. "/base"))
        os.execute("cd " .. D .. "/base && ls -d * */*")
        tell(assert(over_host:run("sh", "-c", "echo x >/etc/new")):changes())
        assert(over_host:run("sh", "-c", "rm /etc/new; chmod 751 /etc").ok)
        tell(ns.changes(D .. "/kept/upper", "/"))]])
    end)

    it_keeps("is not there after a trial, nor after a start that is refused", function()
      assert.equal("true\ntrue\n" .. ("ENOENT\n"):rep(4), (said [[
        print((over_host:check "true"))
        print((over_base:check "true"))
        for _, refused in ipairs { { over_host:run "nosuchprog" }, { over_base:spawn "nosuchprog" },
          { over_host:start "nosuchprog" }, { over_base:start { name = "kept-spec", "nosuchprog" } } } do
          print(refused[1] or refused[4].code)
        end
        find "kept" find "up" find "up.work"]]))
    end)

    it_keeps("stays after them where it was there before", function()
      assert.equal("x\nx\n", (said [[
        assert(over_host:run("sh", "-c", "mkdir /etc/a; echo x >/etc/new"))
        over_host:run "nosuchprog"
        io.write(assert(over_host:run("cat", "/etc/new")).stdout)
        over_host:check "true"
        io.write(assert(over_host:run("sh", "-c", "cd /etc/a && cat /etc/new")).stdout)]]))
    end)

    it_keeps("names the directory that is missing", function()
      assert.equal("mkdir /nowhere/x: No such file or directory (ENOENT)\n"
        .. "mkdir D/a/b: No such file or directory (ENOENT)\n" .. ("D/none: No such file or directory\n"):rep(3), (said [[
        local function why(_, message) print((message:gsub(D:gsub("%p", "%%%0"), "D"))) end
        why(ns.sandbox():upper("/nowhere/x"):check "true")
        why(ns.sandbox():root { lower = "/", upper = D .. "/a/b/up" }:run "true")
        local none = ns.changes(D .. "/none", D .. "/base")
        why(none:list())
        why(none:diff())
        why(none:commit(D .. "/base"))]]))
    end)
  end)
end
