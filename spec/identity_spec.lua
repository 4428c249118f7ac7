--- Who the program is: user, group and groups.
local machine = require "support.machine"
local ns = require "ns"
local as_nobody, sh = machine.as_nobody, machine.sh

describe("user, group and groups", function()
  local IDS = "echo $(id -ru):$(id -u):$(id -rg):$(id -g):$(id -G); grep -h '^[UG]id' /proc/self/status | tr -s '\\t' ' '"

  local function ids(uid, gid, groups)
    return ("%d:%d:%d:%d:%s\nUid: %d %d %d %d\nGid: %d %d %d %d"):format(uid, uid, gid, gid, groups, uid, uid, uid, uid,
      gid, gid, gid, gid)
  end

  machine.root_it("are all ids of the program, by number #system", function()
    assert.equal(ids(1234, 2345, "2345 4 7"), sh({ user = 1234, group = 2345, groups = { 7, 4 } }, IDS))
  end)

  machine.root_it("are names of the host, too: a user's own group comes along", function()
    local uid, gid = 65534, tonumber(sh({}, "getent passwd nobody | cut -d: -f4"))
    assert.equal(ids(uid, gid, tostring(gid)), sh({ user = "nobody" }, IDS))
    assert.equal(ids(uid, 4, "4 24"), sh({ user = "nobody", group = "adm", groups = { "adm", "cdrom" } }, IDS))
  end)

  machine.root_it("drop the groups of the host (row 39) #system", function()
    local under = { "setpriv", "--groups", "4,24", "--" }
    local function groups(spec)
      local code = ([[io.write(require("ns").run(require("ns").box(%s):argv("id", "-G")).stdout)]]):format(spec)
      return machine.host(code, { under = under }).stdout
    end
    assert.equal("0 4 24\n", groups("{}"))
    assert.equal("0\n", groups("{ groups = {} }"))
    assert.equal("9 7\n", groups("{ group = 9, groups = { 7 } }"))
    assert.equal("9\n", groups("{ user = 8, group = 9 }"))
    assert.equal("0\n", groups('{ flags = "user" }'))
    assert.equal("0\n", groups('{ flags = "user", map = "range" }'))
    assert.equal("5 6\n", groups('{ flags = "user", map = "range", group = 5, groups = { 6 } }'))
    for _, spec in ipairs { '{ flags = "user", map = "root"', '{ flags = "user,mount"', '{ flags = "user", group = 5' } do
      assert.equal(spec:find("group") and "5\n" or "0\n", groups(spec .. ', setgroups = "deny" }'), spec)
    end
  end)

  machine.root_it("of the host are not there where setgroups is denied, and it stays the host's child #system", function()
    local copied = machine.refuse("ENOSYS", "memfd_create")
    for _, through in ipairs { {}, copied } do
      local under = { "setpriv", "--groups", "4,24", "--" }
      for _, word in ipairs(through) do under[#under + 1] = word end
      local r = machine.host([[
        local ns = require "ns"
        local line = "id -G; cat /proc/self/setgroups; echo $PPID"
        local r = ns.run { "sh", "-c", line, flags = "user", setgroups = "deny" }
        io.write(r.stdout, r.stderr, tostring(require("ns.core").ids().pid), "\n")
        io.write(ns.sandbox():setgroups("deny"):run("sh", "-c", "id -G; cat /proc/self/setgroups; exit 7").stdout)
        io.write(require("ns").run({ "id", "-G" }).stdout)
        print(ns.spawn({ "sh", "-c", "exit 7", flags = "user", setgroups = "deny" }):wait())]], { under = under })
      local parent, host, rest = (r.stdout .. r.stderr):match("^0\ndeny\n(%d+)\n(%d+)\n(.*)$")
      assert.same({ true, "0\ndeny\n0 4 24\nnil\texit\t7\n" }, { parent ~= nil and parent == host, rest }, tostring(r))
    end
  end)

  machine.root_it("are ids inside, in a user namespace #system", function()
    local spec = { flags = "user", uid_map = { { 0, 100000, 2000 } }, gid_map = { { 0, 200000, 2000 } }, user = 1000,
      group = 1001, groups = { 5 } }
    assert.equal(ids(1000, 1001, "1001 5"), sh(spec, IDS))
    local p = assert(ns.spawn(ns.box(spec):argv("sleep", "9")))
    finally(function() p:close() end)
    assert.equal("101000\t101000\t101000\t101000", machine.read(("/proc/%d/status"):format(p.pid)):match("Uid:\t([^\n]+)"))
    assert.equal("201001\t201001\t201001\t201001", machine.read(("/proc/%d/status"):format(p.pid)):match("Gid:\t([^\n]+)"))
    assert.equal("200005", machine.read(("/proc/%d/status"):format(p.pid)):match("Groups:\t(%d+)"))
  end)

  it("may be 0, which is not the same as nothing (row 5)", function()
    if machine.root then assert.equal(ids(0, 0, "0"), sh({ user = 0, group = 0, groups = { 0 } }, IDS)) end
    local spec = { affinity = 0, umask = 0, nice = 0, oom_score_adj = 0, rlimits = { core = 0 }, fds = { [3] = 0 } }
    assert.equal("0:0:3", sh(spec, "echo $(ulimit -c):$(cat /proc/self/oom_score_adj):$(basename $(ls -d /proc/self/fd/3))"))
  end)

  it("that an ordinary user does not have are told with where more come from", function()
    local r = machine.host([[print(pcall(require("ns").spawn, { "true", flags = "user", user = 5 }))]], { nobody = true })
    assert.matches("user: 5 is not mapped into the user namespace, which has 0; those that /etc/subuid gives to "
      .. "you are had by map = 'auto'", r.stdout, 1, true)
  end)

  it("that are not mapped, or known, or ids at all, are mistakes", function()
    for text, spec in pairs {
      ["user: 5 is not mapped into the user namespace"] = { flags = "user", map = "root", user = 5 },
      ["groups[2]: 9 is not mapped into the user namespace"] = { flags = "user", uid_map = { { 0, 0, 1 } },
        gid_map = { { 0, 0, 5 } }, groups = { 1, 9 } },
      ["user: 'nobody-here' is not known on this machine"] = { user = "nobody-here" },
      ["user: '12' is not known on this machine"] = { user = "12" },
      ["group: ' 0' is not known on this machine"] = { group = " 0" },
      ["user: 4294967295 is out of range"] = { user = 4294967295 },
      ["group: -1 is out of range"] = { group = -1 },
      ["user: integer expected"] = { user = 1.5 },
    } do
      spec[1] = "true"
      local ok, message = pcall(ns.spawn, spec)
      assert.is_false(ok)
      assert.truthy(message:find(text, 1, true), message)
    end
  end)

  it("are refused to an ordinary user by name, each of them (row 39) #system", function()
    assert.matches("^setuid 5: Operation not permitted", as_nobody('sh({ user = 5 }, "id")'))
    assert.matches("^setgid 5: Operation not permitted", as_nobody('sh({ group = 5 }, "id")'))
    assert.matches("^setgroups: Operation not permitted", as_nobody('sh({ groups = { 5 } }, "id")'))
    assert.matches("^setgroups: Operation not permitted", as_nobody('sh({ groups = {} }, "id")'))
    assert.matches("groups: setgroups is denied in this user namespace",
      as_nobody('select(2, pcall(sh, { flags = "user", groups = { 0 } }, "id"))'))
    assert.equal("65534", as_nobody('sh({ user = 65534, group = 65534 }, "id -u")'))
  end)

  --- The calls of the process that becomes the program, from its first exec to its last, under strace.
  local function calls(spec, which)
    local trace = os.tmpname()
    machine.host(("require('ns').run(%s)"):format(spec),
      { under = { "strace", "-f", "-qq", "-o", trace, "-e", "trace=execveat,execve," .. which } })
    local text = machine.read(trace)
    os.remove(trace)
    local pid = text:match("\n(%d+) +execveat")
    local own = {}
    for line in text:gmatch("[^\n]+") do
      local call = line:match("^" .. pid .. " +(.*)")
      if call then own[#own + 1] = call end
    end
    return table.concat(own, "\n")
  end

  machine.root_it("are looked up by the host: nothing is opened for them between clone and exec (row 59) #system", function()
    local text = calls('{ "/bin/true", user = "nobody", group = "adm", groups = { "cdrom" } }',
      "open,openat,openat2,connect,socket")
    local before = text:match("^(execveat.*)\nexecve%(")
    assert(before, text)
    assert.is_nil(before:find("open", 1, true), before)
    assert.is_nil(before:find("socket", 1, true), before)
  end)

  machine.it("user")("are dropped before anything of the new root is executed, which is once (row 60) #system", function()
    local text = calls('require("ns").sandbox():user(7):group(8):init(false):argv("/bin/true")',
      "pivot_root,setresuid,capset")
    local inside = text:match("pivot_root.*")
    assert.equal(1, select(2, inside:gsub("execve%(", "")), inside)
    assert.matches("setresuid%(7.*capset.*execve%(", inside)
  end)
end)
