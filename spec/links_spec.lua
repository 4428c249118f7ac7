--- Links on the way: to a source they lead as on the host, wherever they climb; at a place they lead to where a thing is to
-- be, if there is nothing yet.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"
local run = ways.run

-- /etc with a link as systemd-resolved makes it; the directory is copied to a place that the user of the way may read
local RESOLVED = [[
  mkdir -p %s/etc %s/run/stub && cp /etc/passwd /etc/group %s/etc && ln -sfn ../run/stub/resolv.conf %s/etc/resolv.conf &&
  echo "nameserver of the host" >%s/run/stub/resolv.conf && mount --bind %s/run /run && mount --bind %s/etc /etc]]

for _, way in ipairs(ways.list) do
  describe("a link " .. way.name .. " #system", function()
    local directory, remove

    before_each(function()
      directory, remove = ways.directory(way)
      assert(os.execute(("cd %s && mkdir -p d/in && echo host >d/in/f && ln -s ../../../../../../%s/d/in climbs && "
        .. "ln -s d/in absolute && ln -s climbs/f file && ln -s nowhere/f dangling && ln -s dangling far && chmod -R a+rX ."
        ):format(directory, directory)))
    end)
    after_each(function() remove() end)

    local function bind(source, target, more)
      local m = { type = "bind", source = source, target = target or "/x", ro = true }
      for k, v in pairs(more or {}) do m[k] = v end
      return m
    end

    it("leads to the same source as on the host, though it climbs to the top", function()
      for _, name in ipairs { "climbs/f", "file", "climbs/../in/f", "../../../../.." .. directory .. "/d/in/f" } do
        local source = directory .. "/" .. name
        assert.equal("host", run(way, { system = true, mounts = { bind(source) } }, "cat /x"), name)
        assert.equal("host", run(way, { system = true, mounts = { bind(source, nil, { try = true }) } }, "cat /x"), name)
      end
      assert.equal("f", run(way, { system = true, mounts = { bind(directory .. "/climbs") } }, "ls /x"))
    end)

    it("leads to no file of the box instead", function()
      local spec = { root = "empty", system = true, mounts = { { type = "tmpfs", target = directory .. "/d/in" },
        { type = "file", target = directory .. "/d/in/f", data = "box\n" }, bind(directory .. "/climbs/f") } }
      assert.equal("host", run(way, spec, "cat /x"))
    end)

    it("leads to the lower of an overlay", function()
      local m = { type = "overlay", lower = directory .. "/climbs", target = "/x", idmap = false }
      assert.equal("host", run(way, { system = true, mounts = { m } }, "cat /x/f"))
    end)

    it("that is the source and leads to nothing is named, or passed over by try", function()
      local said = run(way, { system = true, mounts = { bind(directory .. "/far") } }, "true")
      assert.matches("%(ENOENT%); " .. directory .. "/far is a link to dangling, which is not there", said)
      local spec = { system = true, mounts = { bind(directory .. "/far", nil, { try = true }) } }
      assert.equal("", run(way, spec, "cat /x 2>&-"))
    end)

    it("at a place leads to where a thing is to be", function()
      local spec = { system = true, mounts = { { type = "symlink", target = "/l", to = "a/b" },
        { type = "symlink", target = "/m/n", to = "../o" }, { type = "symlink", target = "/q", to = "/m/n" },
        { type = "file", target = "/l", data = "one\n" }, { type = "file", target = "/m/n/p", data = "two\n" },
        { type = "tmpfs", target = "/q/r/s" }, { type = "dir", target = "/m/n/t" } } }
      assert.equal("one two\nn o\np r t\ntmpfs",
        run(way, spec, "echo $(cat /a/b /o/p); echo n $(ls / | grep -x o); echo $(ls /o); stat -f -c %T /o/r/s"))
    end)

    it("at a place of the host leads to nothing that is made there", function()
      for _, kind in ipairs { "file", "dir", "tmpfs" } do
        local said = run(way, { system = true, mounts = { bind(directory, "/h"),
          { type = kind, target = "/h/far", data = kind == "file" and "" or nil } } }, "true")
        assert.matches("%(EROFS%); /h/far is not there, and is not made", said)
      end
      assert.equal("absolute climbs d dangling far file", (ns.run({ "sh", "-c", "echo $(ls " .. directory .. ")" }).stdout
        :gsub("\n", "")))
    end)

    it("at a place that goes round is refused", function()
      local spec = { system = true, mounts = { { type = "symlink", target = "/l", to = "m/x" },
        { type = "symlink", target = "/m", to = "l" }, { type = "file", target = "/l", data = "" } } }
      assert.matches("^refused: file /l: Too many levels of symbolic links %(ELOOP%)", run(way, spec, "true"))
    end)

    if machine.root then
      it("/etc/resolv.conf into /run is what it is on the host, or what the box says", function()
        local setup = RESOLVED:gsub("%%s", directory)
        local function said(...)
          return run(way, { system = true, mounts = { ... } }, "cat /etc/resolv.conf; readlink /etc/resolv.conf", setup)
        end
        local link, host = "\n../run/stub/resolv.conf", "nameserver of the host"
        assert.equal(host .. link, said(bind("/etc/resolv.conf", "/etc/resolv.conf")))
        assert.equal(host .. link, said(bind("/etc/resolv.conf", "/etc/resolv.conf", { try = true })))
        local own = { type = "file", target = "/etc/resolv.conf", data = "nameserver of the box\n" }
        assert.equal("nameserver of the box" .. link, said(own))
        assert.equal("nameserver of the box" .. link, said({ type = "tmpfs", target = "/run" }, own))
        assert.equal("nameserver of the box" .. link, said(bind("/run", "/run"), own))
        assert.equal(host .. "\n", machine.read(directory .. "/run/stub/resolv.conf"))
      end)
    end
  end)
end

machine.root_it("a link of /proc into another root is refused as the root", function()
  local p = assert(ns.spawn { "sleep", "60", flags = "mount", root = "empty", system = true })
  finally(function() p:close() end)
  local started, message = ns.spawn { "true", flags = "mount", root = ("/proc/%d/root"):format(p.pid) }
  assert.is_nil(started)
  assert.matches("^open /proc/%d+/root: [^\n]*%(EXDEV%); a link of /proc on the way leads into another root", message)
end)
