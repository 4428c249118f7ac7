--- What the program may: capabilities, the ways to new privileges, the keys of the host.
local machine = require "support.machine"
local ns = require "ns"
local sh = machine.sh

local NONE = "0000000000000000"

--- The fields of /proc/self/status, as a program in the spec sees them.
local function status(spec)
  local text, fields = sh(spec, "exec cat /proc/self/status"), {}
  for name, value in text:gmatch("(%w+):%s*([^\n]*)") do fields[name] = value end
  return fields
end

--- The five capability sets: inheritable, permitted, effective, bounding, ambient.
local function sets(spec)
  local s = status(spec)
  return { s.CapInh, s.CapPrm, s.CapEff, s.CapBnd, s.CapAmb }
end

local function all(mask) return { mask, mask, mask, mask, mask } end

local as_nobody = machine.as_nobody

local CAPS = "exec grep ^Cap /proc/self/status"
local FIVE = "CapInh:\t%s\nCapPrm:\t%s\nCapEff:\t%s\nCapBnd:\t%s\nCapAmb:\t%s"
local function five(mask) return FIVE:format(mask, mask, mask, mask, mask) end

describe("caps #system", function()
  local TWO = "0000000000002001" -- chown is 0, net_raw 13

  machine.root_it("= {} leaves none in any of the five sets", function()
    assert.same(all(NONE), sets { caps = {} })
    assert.same(all(NONE), sets { caps = {}, user = 1000, group = 1000 })
    assert.same(all(NONE), sets { caps = {}, flags = "user" })
    assert.same(all(NONE), sets { caps = {}, flags = "user", map = "range", user = 5 })
  end)

  machine.root_it("keeps those that are named, and no others, for root and for any other user", function()
    local caps = { "CAP_NET_RAW", "chown", "Chown" }
    assert.same(all(TWO), sets { caps = caps })
    assert.same(all(TWO), sets { caps = caps, user = 1000, group = 1000 })
    assert.same(all(TWO), sets { caps = caps, user = "nobody", no_new_privs = true })
    assert.same(all(TWO), sets { caps = caps, flags = "user" })
    assert.same(all(TWO), sets { caps = caps, flags = "user", map = "range", user = 7, group = 8 })
  end)

  machine.it("user")("does so for an ordinary user in a user namespace", function()
    local spec = '{ flags = "user", caps = %s }'
    assert.equal(five(NONE), as_nobody(("sh(%s, %q)"):format(spec:format("{}"), CAPS)))
    assert.equal(five(TWO), as_nobody(("sh(%s, %q)"):format(spec:format('{ "chown", "net_raw" }'), CAPS)))
    spec = '{ flags = "user", map = "self", caps = %s }'
    assert.equal(five(TWO), as_nobody(("sh(%s, %q)"):format(spec:format('{ "chown", "net_raw" }'), CAPS)))
  end)

  it("is refused to an ordinary user without one, with what helps", function()
    assert.matches("^drop capabilities from the bounding set: Operation not permitted %(EPERM%); needs CAP_SETPCAP",
      as_nobody('sh({ caps = {} }, "true")'))
  end)

  machine.root_it("works: chown with it, none without", function()
    local directory, remove = machine.directory()
    finally(remove)
    machine.file(directory .. "/f", "", 666)
    local line = ("chown 7 %s/f 2>/dev/null && stat -c %%u %s/f || echo refused"):format(directory, directory)
    assert.equal("refused", sh({ user = 1000, caps = {} }, line))
    assert.equal("refused", sh({ user = 1000 }, line))
    assert.equal("refused", sh({ caps = { "net_raw" } }, line))
    assert.equal("7", sh({ user = 1000, caps = { "chown" } }, line))
  end)

  it("= {'all'} are those that the host has", function()
    local mine = machine.read("/proc/self/status"):match("CapPrm:%s*(%x+)")
    if machine.root then assert.equal(mine, sets({ caps = { "all" } })[3]) end
    assert.equal(status({ flags = "user" }).CapEff, sets({ flags = "user", caps = { "all" } })[5])
  end)

  machine.root_it("of the host that would be inherited are not, where nothing is said (row 38)", function()
    local under = { "setpriv", "--inh-caps=+chown,+kill", "--ambient-caps=+chown" }
    local code = "local ns = require 'ns'; io.write(ns.run(ns.box(%s):argv('grep', '^Cap[IA]', '/proc/self/status')).stdout)"
    for _, spec in ipairs { "{}", "{ user = 1000, group = 1000 }", "{ flags = 'user' }",
      "{ flags = 'user', map = 'range' }" } do
      local seen = machine.host(code:format(spec), { under = under }).stdout
      assert.equal(("CapInh:\t%s\nCapAmb:\t%s\n"):format(NONE, NONE), seen)
    end
  end)

  machine.root_it("do not come back by a set-user-ID program", function()
    local directory, remove = machine.directory()
    finally(remove)
    os.execute(("cp /bin/grep %s/grep; chmod 4755 %s/grep"):format(directory, directory))
    local argv = { directory .. "/grep", "-E", "^CapEff|^Uid", "/proc/self/status" }
    local function seen(spec) return ns.run(ns.box(spec):argv(argv)).stdout end
    assert.equal("Uid:\t1000\t0\t0\t0\nCapEff:\t" .. NONE .. "\n", seen { user = 1000, caps = {} })
    assert.equal("Uid:\t1000\t1000\t1000\t1000\nCapEff:\t" .. NONE .. "\n", seen { user = 1000, no_new_privs = true })
    assert.is_nil(seen({ user = 1000 }):find(NONE, 1, true)) -- it would have them
  end)
end)

describe("securebits #system", function()
  local BITS = [[exec perl -e 'print syscall(`uname -m` =~ /x86_64/ ? 157 : 167, 27, 0, 0, 0, 0)']]

  machine.root_it("are those that are named", function()
    assert.equal("3", sh({ securebits = { "noroot", "noroot_locked" } }, BITS))
    assert.equal("64", sh({ securebits = "no_cap_ambient_raise", user = 1000 }, BITS))
    assert.same(NONE, status({ securebits = { "noroot" } }).CapEff)
    assert.same("0000000000000001", status({ securebits = { "noroot" }, caps = { "chown" } }).CapEff)
  end)

  it("are none where nothing is said (row 43)", function()
    for _, spec in ipairs { {}, { flags = "user" }, { flags = "user", map = "range", user = machine.root and 5 or 0 } } do
      assert.equal("0", sh(spec, BITS))
    end
    if machine.root then assert.equal("0", sh({ user = 1000, caps = { "chown" } }, BITS)) end
  end)

  it("with a wrong name are a mistake, and to an ordinary user refused", function()
    assert.has_error(function() ns.run { "true", securebits = { "noroots" } } end)
    assert.matches("^securebits: Operation not permitted", as_nobody('sh({ securebits = "noroot" }, "true")'))
  end)
end)

describe("no_new_privs #system", function()
  it("is set where it is asked for, for anybody", function()
    assert.equal("0", status({}).NoNewPrivs)
    assert.equal("0", status({ no_new_privs = false }).NoNewPrivs)
    assert.equal("1", status({ no_new_privs = true }).NoNewPrivs)
    assert.equal("1", status(ns.sandbox():spec()).NoNewPrivs)
    assert.equal("NoNewPrivs:\t1", as_nobody('sh({ no_new_privs = true }, "grep NoNewPrivs /proc/self/status")'))
  end)
end)

describe("disable_userns #system", function()
  local TRY = "unshare -U true 2>/dev/null && echo made || echo refused; cat /proc/sys/user/max_user_namespaces"

  machine.it("user")("forbids further user namespaces inside, to root and to an ordinary user", function()
    for _, map in ipairs { "root", "range" } do
      assert.matches("^made", sh({ flags = "user", map = map }, TRY))
      assert.equal("refused\n0", sh({ flags = "user", map = map, disable_userns = true }, TRY))
    end
    assert.matches("^made", as_nobody(("sh({ flags = 'user' }, %q)"):format(TRY)))
    assert.equal("refused\n0", as_nobody(("sh({ flags = 'user', disable_userns = true }, %q)"):format(TRY)))
    assert.equal("refused\n0", as_nobody(("sh(ns.sandbox():disable_userns():spec(), %q)"):format(TRY)))
  end)

  machine.it("user")("cannot be taken back without capabilities, and the host's own limit is what it was", function()
    local limit = machine.read("/proc/sys/user/max_user_namespaces")
    local line = "{ echo 9 >/proc/sys/user/max_user_namespaces; } 2>/dev/null; " .. TRY
    assert.equal("refused\n0", sh(ns.sandbox():disable_userns():spec(), line))
    assert.equal(limit, machine.read("/proc/sys/user/max_user_namespaces"))
  end)

  machine.root_it("holds where the host's /proc shows processes alone, or has a /proc/sys that is read-only", function()
    local code = [[
      local ns = require "ns"
      local r, why = ns.sandbox():run("sh", "-c", "unshare -U true 2>&- || cat /proc/sys/user/max_user_namespaces")
      print(r and r.stdout or why, (ns.sandbox():disable_userns(false):check("true")))]]
    for _, nobody in ipairs { "", machine.as_user } do
      local function said(mount)
        local line = ("mount %s; exec %s \"$@\""):format(mount, nobody)
        return machine.host(code, { under = { "unshare", "-m", "--propagation", "private", "sh", "-c", line, "sh" } }).stdout
      end
      assert.equal("0\n\ttrue\n", said "-t proc -o subset=pid proc /proc")
      -- the kernel lets nobody uncover what is covered
      assert.matches("^write /proc/sys/user/max_user_namespaces: Read%-only file system %(EROFS%); this /proc",
        said "--bind -o ro /proc/sys /proc/sys")
    end
  end)

  machine.it("user")("is what another start inside names as its reason (row 70)", function()
    local code = [[print(require("ns").spawn { "true", flags = "user" })]]
    local r = machine.host(code, { spec = { flags = "user", disable_userns = true } })
    assert.matches("^nil\tclone %(user%): No space left on device %(ENOSPC%); user.max_user_namespaces is 0", r.stdout)
  end)
end)

describe("the keyring #system", function()
  -- add_key and keyctl by number; the host joins a session keyring of its own first, so that this machine's stays as it is.
  local NUMBERS = "my ($add, $ctl) = `uname -m` =~ /x86_64/ ? (248, 250) : (217, 219); "
  local HOST = NUMBERS .. [[syscall($ctl, 1, 0, 0, 0, 0); my ($t, $n, $v) = ("user", "ns-spec", "secret of the host");
    my $id = syscall($add, $t, $n, $v, length $v, -3); $ENV{KEY} = $id; exec @ARGV]]
  local READ = NUMBERS .. [[my $b = "\0" x 64; my $n = syscall($ctl, 11, $ENV{KEY} + 0, $b, 64, 0);
    print $n > 0 ? substr($b, 0, $n) : "refused"]]

  local function seen(spec, nobody)
    local code = "local ns = require 'ns'; local r, m = ns.run(ns.box(%s):argv('perl', '-e', %q)); "
      .. "io.write(r and r.stdout or m)"
    return machine.host(code:format(spec, READ), { under = { "perl", "-e", HOST }, nobody = nobody }).stdout
  end

  it("of the host cannot be read, where nothing is said, nor in any namespace (row 53)", function()
    for _, nobody in ipairs { false, true } do
      assert.equal("secret of the host", seen('{ keyring = "inherit" }', nobody))
      for _, spec in ipairs { "{}", '{ keyring = "own" }', '{ flags = "user" }',
        '{ flags = "user,pid,mount,ipc,net", init = true }', "ns.sandbox():env('KEY', os.getenv('KEY')):spec()" } do
        assert.equal("refused", seen(spec, nobody), spec)
      end
    end
  end)

  machine.root_it("is waited for where the quota still counts those of programs that have just ended", function()
    local code = [[
      local ns, held, said = require "ns", {}, {}
      local quota = io.open("/proc/sys/kernel/keys/maxkeys"):read("*n")
      for i = 1, quota - 8 do held[i] = assert(ns.spawn { "sleep", "60" }) end
      for i = 1, 40 do said[#said + 1] = select(2, ns.run { "true" }) end
      print(#said, said[1])
      for _ = 1, 10 do held[#held + 1], said[#said + 1] = ns.spawn { "sleep", "60" } end
      print(said[1])]]
    local another = { "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups" } -- with a quota of its own
    local r = machine.host(code, { under = another })
    local hint = "join a new session keyring: Disk quota exceeded (EDQUOT); this user may have no more keys: "
      .. "sysctl kernel.keys.maxkeys=2000, or keyring = 'inherit'\n"
    assert.equal("0\tnil\n" .. hint, r.stdout .. r.stderr)
  end)
end)
