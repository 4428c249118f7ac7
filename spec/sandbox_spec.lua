--- The safe defaults of ns.sandbox(): what the program inside sees, for root and for an ordinary user alike.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

--- What a sandbox shows of itself, under names; asked once for each kind of user.
local LOOK = [[
  show() { name=$1; shift; echo "[$name]"; "$@" 2>&1; }
  show namespaces sh -c 'cd /proc/self/ns; for n in *; do echo $n $(readlink $n); done'
  show ids sh -c 'echo $(id -u) $(id -g) $(id -G)'
  show map sh -c 'tr -s " " </proc/self/uid_map; tr -s " " </proc/self/gid_map'
  show status cat /proc/self/status
  show mounts cut -d' ' -f5,6 /proc/self/mountinfo
  show root sh -c 'ls -A /; touch /new /usr/new /etc/new; stat -f -c %T /'
  show tmp sh -c 'ls -A /tmp; echo text >/tmp/file && cat /tmp/file; stat -c %a /tmp'
  show places sh -c 'cd /; ls -A run var home; touch run/x var/tmp/x home/x; stat -c "%n %a" run var/tmp home'
  show dev sh -c 'ls /dev; echo text >/dev/null; head -c 4 /dev/zero | od -An -tx1; test -w /dev/full && ls /dev/pts'
  show processes sh -c 'cd /proc; echo [0-9]*'
  show descriptors sh -c 'cd /proc/self/fd; for n in [3-9] [1-9][0-9]; do test -e $n && echo $n; done'
  show environment env
  show session sh -c 'cut -d" " -f1,5,6 /proc/$$/stat; echo $$; cat /proc/1/stat | cut -d" " -f5,6'
  show keys perl -e 'require "syscall.ph"; print syscall(&SYS_keyctl, 11, -3, my $b = "\0" x 64, 64), "\n"'
  show host sh -c 'hostname; cat /proc/sys/kernel/domainname'
  show net sh -c "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; cat /proc/net/if_inet6 | cut -c1-32"
  show limits sh -c 'umask; cat /proc/sys/user/max_user_namespaces; unshare -U true'
  show init sh -c 'cat /proc/1/comm; tr "\0" " " </proc/1/cmdline; grep VmRSS /proc/1/status'
]]

-- A host with a key, groups, an ignored signal, a mask of 077 and files without close-on-exec.
local HOST = [[
  require "syscall.ph";
  my ($type, $name, $key) = ("user", "host", "secret"); syscall(&SYS_add_key, $type, $name, $key, 6, -3) > 0 or die $!;
  $) = "$) 4 24" if $> == 0; $SIG{PIPE} = $SIG{HUP} = "IGNORE"; exec @ARGV]]

local function look(nobody)
  local r = machine.host(([[
    local ns = require "ns"
    local shared = {}
    for i = 1, 20 do shared[i] = assert(io.open("/etc/passwd")) end
    local r = assert(ns.sandbox():stdin("null"):timeout(20):run("sh", "-c", %q))
    io.write(r.stdout)
  ]]):format(LOOK), { nobody = nobody, under = { "perl", "-e", HOST }, spec = { umask = 63 } })
  local seen, name = {}, nil
  for line in r.stdout:gmatch("[^\n]*\n?") do
    local next_name = line:match("^%[(%a+)%]\n$")
    name = next_name or name
    if name then seen[name] = next_name and "" or seen[name] .. line end
  end
  assert(seen.init, r.stdout .. r.stderr)
  return seen
end

local function inode(name)
  return require("lfs").symlinkattributes("/proc/self/ns/" .. name, "target")
end

local function of(title, nobody)
  machine.describe("sandbox")("the sandbox of " .. title .. " #system", function()
    local seen = setmetatable({}, { __index = function(seen, name)
      for key, text in pairs(look(nobody)) do rawset(seen, key, text) end
      return rawget(seen, name)
    end })
    local it = machine.it("user")

    it("is in a namespace of its own of every kind", function()
      for name, target in seen.namespaces:gmatch("(%S+) (%S+)") do
        assert.are_not.equal(inode(name), target)
      end
    end)

    it("gives the program the id 0 inside, and no group of the host", function()
      -- an ordinary user may not drop its groups; they are nobody's inside
      assert.equal("0 0 0\n", machine.root and seen.ids or seen.ids:gsub(" 65534", ""))
    end)

    it("maps no id of the host's root", function()
      for _, outside in seen.map:gmatch("(%d+) (%d+) %d+\n") do assert.are_not.equal("0", outside) end
      assert.equal(2, select(2, seen.map:gsub("\n", "")))
    end)

    it("leaves no capability in any of the five sets, and no way to new ones", function()
      for _, set in ipairs { "Inh", "Prm", "Eff", "Bnd", "Amb" } do
        assert.equal("0000000000000000", seen.status:match("Cap" .. set .. ":%s*(%x+)"))
      end
      assert.equal("1", seen.status:match("NoNewPrivs:%s*(%d)"))
    end)

    it("blocks and ignores no signal", function()
      for _, set in ipairs { "Blk", "Ign", "Cgt" } do
        assert.equal("0000000000000000", seen.status:match("Sig" .. set .. ":%s*(%x+)"))
      end
    end)

    it("has the system read-only, without devices and set-user-ID programs", function()
      for place, attributes in seen.mounts:gmatch("(%S+) (%S+)\n") do
        assert.truthy(("," .. attributes .. ","):find(",nosuid,", 1, true), place)
        local own = ("/proc /tmp /dev /run /var"):find(place:match("^/%l*"), 1, true) and place ~= "/"
        if not own then assert.truthy(("," .. attributes .. ","):find("^,ro,"), place) end
        if not place:find("^/dev") then assert.truthy(("," .. attributes .. ","):find(",nodev,", 1, true), place) end
      end
      assert.equal(3, select(2, seen.root:gsub("Read%-only file system", "")))
    end)

    it("has nothing in its root but the system, and places of its own", function()
      local known = {}
      local names = "bin dev etc home lib lib32 lib64 libx32 proc run sbin tmp usr var"
      for name in names:gmatch("%S+") do known[name] = true end
      for name in seen.root:gmatch("[^\n]+") do
        if name:find("^touch") or name == "tmpfs" then break end
        assert.truthy(known[name], name)
      end
      assert.matches("\ntmpfs\n$", seen.root)
      for place in seen.mounts:gmatch("(%S+) %S+\n") do
        assert.truthy(place == "/" or known[place:match("^/([^/]*)")], place)
      end
    end)

    it("has an empty /tmp that everybody can write", function()
      assert.equal("text\n1777\n", seen.tmp)
    end)

    it("has a /run and a /var/tmp as programs expect them, and a home of nobody", function()
      assert.equal("home:\n\nrun:\n\nvar:\ntmp\ntouch: cannot touch 'home/x': Read-only file system\n"
        .. "run 755\nvar/tmp 1777\nhome 755\n", seen.places)
    end)

    it("is had in a root directory without a place for its /var/tmp, too", function()
      local directory, remove = machine.directory()
      finally(remove)
      assert(os.execute(("cd %s && chmod 755 . && mkdir -p usr var && ln -s usr/bin bin && ln -s usr/lib lib && "
        .. "ln -s usr/lib64 lib64"):format(directory)))
      local r = machine.host(([[
        local box = require("ns").sandbox():root(%q):ro_bind("/usr")
        local r = assert(box:run("sh", "-c", "ls -A /var; echo x >/run/x && ls /"))
        io.write(r.stdout, r.stderr)]]):format(directory), { nobody = nobody })
      assert.equal("bin\ndev\nhome\nlib\nlib64\nproc\nrun\ntmp\nusr\nvar\n", r.stdout)
    end)

    it("has the devices that do no harm, and terminals of its own", function()
      local names = "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
      assert.equal(names:gsub(" ", "\n") .. "\n 00 00 00 00\nptmx\n", seen.dev)
    end)

    it("shows its own processes only, the first of which is an init that tells nothing", function()
      local pids = {}
      for pid in seen.processes:gmatch("%d+") do pids[#pids + 1] = tonumber(pid) end
      assert.equal(1, pids[1])
      assert.truthy(#pids <= 4, seen.processes)
      local name, arguments, size = seen.init:match("^(%S+)\n(.-)VmRSS:%s*(%d+) kB")
      assert.equal("ns-init", name)
      assert.matches("^ns%s*$", arguments)
      assert.truthy(tonumber(size) < 200, size)
    end)

    it("has no descriptor of the host", function()
      assert.equal("", seen.descriptors)
    end)

    it("has an environment that says nothing of the host", function()
      local of_the_shell = { PWD = true, OLDPWD = true, SHLVL = true, _ = true }
      local names = {}
      for name in seen.environment:gmatch("([%w_]+)=") do
        if not of_the_shell[name] then names[#names + 1] = name end
      end
      table.sort(names)
      assert.equal("HOME LANG PATH", table.concat(names, " "))
    end)

    it("leads a session of its own, apart from that of the init", function()
      local pid, group, session, own = seen.session:match("^(%d+) (%d+) (%d+)\n(%d+)")
      assert.equal(own, pid)
      assert.equal(group, session)
      assert.are_not.equal("0", session)
    end)

    it("has an empty session keyring of its own, and no call to look into it", function()
      assert.equal("-1\n", seen.keys)
      local bytes = ("local r = require('ns').sandbox{seccomp = false}:run('perl', '-e', [[%s]]) io.write(r.stdout)")
        :format('require "syscall.ph"; print syscall(&SYS_keyctl, 11, -3, my $b = "\\0" x 64, 64)')
      assert.equal("0", machine.host(bytes, { nobody = nobody, under = { "perl", "-e", HOST } }).stdout)
    end)

    it("has a host name of its own", function()
      assert.matches("^sandbox\n", seen.host)
    end)

    it("has a loopback that is up, and no other interface", function()
      assert.equal("lo\n" .. ("0"):rep(31) .. "1\n", seen.net)
    end)

    it("makes files with the mask 022, and no user namespaces", function()
      assert.matches("^0022\n0\nunshare:", seen.limits)
    end)
  end)
end

of("root", false)
of("an ordinary user", true)

machine.describe("sandbox")("the sandbox #system", function()
  machine.it("user", "zero")("takes maps of one's own in place of its own", function()
    local ids = core.ids()
    local r = assert(ns.sandbox():uid_map({ { 7, ids.euid, 1 } }):gid_map({ { 8, ids.egid, 1 } })
      :run("sh", "-c", "tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map"))
    assert.equal((" 7 %d 1\n 8 %d 1\n"):format(ids.euid, ids.egid), r.stdout .. r.stderr)
  end)
end)

machine.describe("sandbox")("a tree that is bound into the sandbox #system", function()
  local needs_user, tree_it = machine.it("user", "tree"), machine.root and machine.it("tree") or machine.root_it

  --- A directory that belongs to the ids, and a function that tells whose something in it is.
  local function tree(uid, gid)
    local path, remove = machine.directory()
    finally(remove)
    os.execute(("chown %d:%d %s"):format(uid, gid, path))
    return path, function(name) return ("%d:%d"):format(require("ns.core").owner(path .. "/" .. name)) end
  end

  needs_user("is the program's to write", function()
    local path = tree(require("ns.core").ids().euid, require("ns.core").ids().egid)
    local r = assert(ns.sandbox():bind(path):cwd(path):run("sh", "-c", "echo text >file && cat file && stat -c %u . file"))
    assert.equal("text\n0\n0\n", r.stdout .. r.stderr)
    assert.equal("text\n", machine.read(path .. "/file"))
  end)

  tree_it("has the tree's owner as the owner of all that is written, not root and not the ids inside", function()
    local path, owner = tree(1234, 5678)
    local r = assert(ns.sandbox():bind(path, "/tree"):cwd("/tree"):run("sh", "-c", "mkdir -p a/b; echo >a/b/c; mkfifo p"))
    assert.equal("", r.stderr)
    for _, name in ipairs { "a", "a/b", "a/b/c", "p" } do assert.equal("1234:5678", owner(name)) end
  end)

  tree_it("keeps what others own in it from the program", function()
    local path = tree(1234, 5678)
    os.execute(("echo secret >%s/root; chmod 600 %s/root; echo >%s/other; chown 77 %s/other"):format(path, path, path, path))
    local line = "stat -c %u root other; cat root; echo >other"
    local r = assert(ns.sandbox():bind(path, "/tree"):cwd("/tree"):run("sh", "-c", line))
    assert.equal("65534\n65534\n", r.stdout)
    assert.matches("root: Permission denied.*other: Permission denied", r.stderr)
  end)

  machine.root_it("gives an ordinary user's files to that user", function()
    local path, owner = tree(65534, 65534)
    local code = 'local r = require("ns").sandbox():bind(%q, "/tree"):run("touch", "/tree/file") io.write(r.stderr)'
    code = code:format(path)
    assert.equal("", machine.host(code, { nobody = true }).stdout)
    assert.equal("65534:65534", owner("file"))
  end)

  machine.root_it("cannot be changed where it is bound read-only, nor what is mounted in it", function()
    local path = tree(0, 0)
    local r = machine.host(([[
      os.execute("mkdir %s/sub && mount -t tmpfs -o mode=777 sub %s/sub && chmod 777 %s")
      local r = require("ns").sandbox():ro_bind(%q, "/tree"):run("sh", "-c", "touch /tree/x; touch /tree/sub/x")
      io.write(r.stderr)
    ]]):format(path, path, path, path), { under = { "unshare", "--mount", "--propagation", "private" } })
    assert.equal(2, select(2, r.stdout:gsub("Read%-only file system", "")), r.stdout .. r.stderr)
  end)

  tree_it("is refused by name where it cannot map ids, unless it is read-only or is not to be mapped", function()
    local box = ns.sandbox():argv("true")
    local p, message, errno, detail = box:clone():bind("/proc", "/host"):spawn()
    assert.is_nil(p)
    assert.matches("^idmap /proc: Invalid argument %(EINVAL%); the file system of /proc", message)
    assert.same({ 22, "idmap", "/proc", "EINVAL" }, { errno, detail.step, detail.path, detail.code })
    assert.truthy(box:clone():ro_bind("/proc", "/host"):run().ok)
    assert.truthy(box:clone():bind("/proc", "/host", { idmap = false }):run().ok)
  end)

  tree_it("is refused by name where a file system in it cannot map ids", function()
    local path = tree(0, 0)
    local r = machine.host(([[
      os.execute("mkdir %s/o && mount -t proc proc %s/o")
      for _, source in ipairs { %q, %q } do
        print((select(2, require("ns").sandbox():bind(source, "/tree"):spawn("true"))))
      end
    ]]):format(path, path, path, path .. "/o"), { under = { "unshare", "-m", "--propagation", "private" } })
    local first, second = r.stdout:match("^idmap ([^\n]-): Invalid argument[^\n]*\nidmap ([^\n]-): Invalid argument")
    assert.equal(path .. " " .. path .. "/o", tostring(first) .. " " .. tostring(second), r.stdout .. r.stderr)
  end)
end)

machine.describe("sandbox")("the sandbox of a root #system", function()
  local zero_it, tree_it = machine.root_it, machine.root_it
  if machine.root then zero_it, tree_it = machine.it("zero"), machine.it("tree") end

  zero_it("that has no other id, in a user namespace, is that of an ordinary user", function()
    for _, unshare in ipairs { "-Ur", "-Urm" } do
      local r = machine.host([[
        local ns = require "ns"
        local line = "id -u; tr -s ' ' </proc/self/uid_map; echo 0 >/proc/sys/kernel/panic"
        local r, message = ns.sandbox():run("sh", "-c", line)
        print(r and r.stdout .. r.stderr or message, ns.run { "id", "-u", flags = "user" }.stdout)
      ]], { under = { "unshare", unshare } })
      assert.matches("^0\n 0 0 1\n[^\n]+Read%-only file system\n\t0\n", r.stdout .. r.stderr)
    end
  end)

  tree_it("that lacks CAP_SYS_ADMIN can read the system, and is refused by name what needs mapped ids", function()
    local r = machine.host([[
      local ns = require "ns"
      local _, message = ns.sandbox():bind("/srv"):spawn("true")
      print(ns.sandbox():run("head", "-c", "4", "/etc/passwd").stdout, message)
    ]], { under = { "setpriv", "--bounding-set=-sys_admin" } })
    assert.equal("root\topen_tree /srv: Operation not permitted (EPERM); only a root with CAP_SYS_ADMIN can map ids: "
      .. "ro = true (to read what everybody may read), or idmap = false (to write what everybody, or an id of uid_map, may "
      .. "write)\n",
        r.stdout .. r.stderr)
  end)
end)
