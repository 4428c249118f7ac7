--- Ids inside a user namespace: maps of one id, of ranges, from /etc/subuid.
local core = require "ns.core"
local ids = require "ns.start.ids"
local map_words = require "ns.words.maps"
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"
local sh = machine.sh
local needs_user = machine.it("user")
local zero_it = machine.root and machine.it("zero") or machine.root_it
local subids_it = machine.read "/etc/subuid" and machine.root_it or machine.without("it", "needs an /etc/subuid")

local IDS = "echo $(id -u) $(id -g) $(tr -s ' ' </proc/self/uid_map) $(tr -s ' ' </proc/self/gid_map)"

-- An ordinary user's ids: nobody's for root, else one's own.
local UID, GID = 65534, 65534
if not machine.root then UID, GID = core.ids().euid, core.ids().egid end

--- What IDS says where that user has only these ids, as `uid` and `gid`.
local function only(uid, gid) return ("%d %d %d %d 1 %d %d 1"):format(uid, gid, uid, UID, gid, GID) end

--- Runs the shell line in a spec, written as Lua, in an interpreter of its own (options: those of machine.host).
local function said(spec, line, options)
  local code = ([[
    local ns = require "ns"
    local spec = %s
    spec.argv = { "sh", "-c", %q }
    local r, message = ns.run(spec)
    io.write(r and r.stdout .. r.stderr or message)
  ]]):format(spec, line)
  return (machine.host(code, options).stdout:gsub("\n$", ""))
end

local function as_nobody(spec, line) return said(spec, line, { nobody = true }) end

--- The shell line after which nobody is given ids by this host, in a mount namespace of its own; what it takes is in
-- `directory`.
local function without_subids(directory)
  machine.file(directory .. "/sub", "")
  return ("for f in /etc/subuid /etc/subgid; do [ ! -e $f ] || mount --bind %s/sub $f || exit; done"):format(directory)
end

describe("a user namespace #system", function()
  needs_user("maps an ordinary user to root where nothing is said", function()
    assert.equal(only(0, 0), as_nobody('{ flags = "user" }', IDS))
    assert.equal(only(0, 0), as_nobody('{ flags = "user", map = "root" }', IDS))
  end)

  machine.root_it("maps ids of nobody to root for root where nothing is said", function()
    local directory, remove = machine.directory()
    finally(remove)
    local setup = without_subids(directory) .. '; exec "$@"'
    local uid, gid = said('{ flags = "user" }', IDS, { under = { "unshare", "-m", "--propagation", "private", "sh", "-c",
      setup, "sh" } }):match("^0 0 0 (%d+) 65536 0 (%d+) 65536$")
    assert.truthy(tonumber(uid) > 65535 and tonumber(gid) > 65535)
  end)

  zero_it("maps root to root with map = 'root'", function()
    assert.equal("0 0 0 0 1 0 0 1", sh({ flags = "user", map = "root" }, IDS))
  end)

  machine.root_it("does not make the host's root of root's program, whatever it undoes inside", function()
    local path, remove = machine.directory()
    finally(remove)
    os.execute(("echo secret >%s/f && chmod 600 %s/f"):format(path, path))
    local line = ("cat %s/f; umount -R /proc/sys; cat /proc/sys/kernel/core_pattern >/proc/sys/kernel/core_pattern; id -u")
      :format(path) -- as it is: no harm is done
    local r = ns.run { "sh", "-c", line, flags = "user,mount,pid,net,ipc,uts,cgroup", mounts = { { type = "proc" } } }
    assert.equal("0\n", r.stdout)
    assert.matches("/f: Permission denied\n.*create /proc/sys/kernel/core_pattern: Permission denied\n", r.stderr)
  end)

  needs_user("maps the caller to its own ids with map = 'self'", function()
    assert.equal(only(UID, GID), as_nobody('{ flags = "user", map = "self" }', IDS))
  end)

  machine.root_it("takes ranges from root, and starts the program as the 0 that they map", function()
    local spec = { flags = "user", uid_map = { { 0, 100000, 65536 } }, gid_map = { { 0, 200000, 65536 } } }
    assert.equal("0 0 0 100000 65536 0 200000 65536", sh(spec, IDS))
  end)

  machine.root_it("shows files under their mapped ids, through six ranges", function()
    local directory, remove = machine.directory()
    finally(remove)
    local map = {}
    for i = 0, 5 do map[i + 1] = { i * 10, 1000 + i * 100, 10 } end
    os.execute(("touch %s/f; chown 1503:1204 %s/f"):format(directory, directory))
    local spec = { flags = "user", uid_map = map, gid_map = map }
    assert.equal("53 24", sh(spec, ("stat -c '%%u %%g' %s/f"):format(directory)))
  end)

  machine.root_it("takes 340 ranges", function()
    local map = {}
    for i = 0, 339 do map[i + 1] = { i * 2, 1000 + i * 3, 1 } end
    assert.equal("340", sh({ flags = "user", uid_map = map, gid_map = map }, "wc -l </proc/self/uid_map"))
  end)

  machine.root_it("starts the program as the first id where 0 is not mapped, without capabilities", function()
    local spec = { flags = "user", uid_map = { { 500, 100000, 10 } }, gid_map = { { 600, 100000, 10 } } }
    assert.equal("500 600", sh(spec, "echo $(id -u) $(id -g)"))
    assert.equal("0000000000000000", sh(spec, "grep CapEff /proc/self/status | cut -f2"))
  end)

  needs_user("gives the program that is root inside all capabilities there, and no ambient or inheritable ones", function()
    local status = sh({ flags = "user" }, "grep ^Cap /proc/self/status")
    assert.equal(status:match("CapBnd:%s*(%x+)"), status:match("CapEff:%s*(%x+)"))
    assert.equal("0000000000000000", status:match("CapInh:%s*(%x+)"))
    assert.equal("0000000000000000", status:match("CapAmb:%s*(%x+)"))
  end)

  machine.root_it("leaves setgroups allowed for root's maps, unless it is denied", function()
    assert.equal("allow", sh({ flags = "user" }, "cat /proc/self/setgroups"))
    assert.equal("deny", sh({ flags = "user", setgroups = "deny" }, "cat /proc/self/setgroups"))
    assert.equal("0", sh({ flags = "user" }, "id -G"))
  end)

  needs_user("denies setgroups for an ordinary user, as the kernel demands", function()
    assert.equal("deny", as_nobody('{ flags = "user" }', "cat /proc/self/setgroups"))
  end)

  subids_it("takes ranges of /etc/subuid through newuidmap for an ordinary user", function()
    local directory, remove = machine.directory()
    finally(remove)
    machine.file(directory .. "/sub", "nobody:200000:65536\n", "644")
    local own = ("mount --bind %s/sub /etc/subuid && mount --bind %s/sub /etc/subgid && exec setpriv --reuid=65534 "
      .. "--regid=65534 --clear-groups \"$@\""):format(directory, directory)
    local under = { "unshare", "-m", "--propagation", "private", "sh", "-c", own, "sh" }
    under[#under - 1] = under[#under - 1]:gsub("%-%-clear%-groups", "--groups 65534,4,24")
    local code = ([[
      for _, setgroups in ipairs { false, "deny" } do
        local r, message = require("ns").run { "sh", "-c", %q, flags = "user", map = "auto", setgroups = setgroups or nil }
        print(r and r.stdout .. r.stderr or message)
      end
    ]]):format(IDS .. "; cat /proc/self/setgroups; id -G")
    local r, maps = machine.host(code, { under = under }), "0 0 0 65534 1 1 200000 65536 0 65534 1 1 200000 65536\n"
    assert.equal(maps .. "allow\n0\n\n" .. maps .. "deny\n0 65534\n\n", r.stdout .. r.stderr)
  end)

  machine.root_it("leaves a sandbox's session keyring to the host's user: all ids inside may have 200 keys", function()
    local r = require("ns").sandbox():run("cat", "/proc/keys") -- shows the keys of the ids inside
    assert.same({ true, nil }, { r.ok, r.stdout:match("keyring +_ses[^\n]*") })
  end)

  it("names the file with the ids that it cannot read, and takes no others", function()
    local r = machine.host([[
      local files, ns = {}, require "ns"
      assert(ns.explain { "true", seccomp = "default", no_new_privs = true }) -- loads what a filter needs
      repeat local f = io.open("/dev/null"); files[#files + 1] = f until not f
      for _, spec in ipairs { { "true", flags = "user", map = "auto" }, ns.sandbox():argv("true") } do
        local p, message, errno, detail = ns.spawn(spec)
        print(p, message, errno, detail.step, detail.word)
      end
    ]], { spec = { rlimits = { nofile = 40 } } })
    local line = "nil\topen /[%w/_]+: Too many open files %(EMFILE%)\t24\topen\tmap\n"
    assert.matches("^" .. (machine.root and line .. line or line), r.stdout .. r.stderr)
  end)

  it("passes over what the kernel would not take of /etc/subuid: no ids, too many, those that are mapped already", function()
    local directory, remove = machine.directory()
    finally(remove)
    local lines = { "1000:200000:0", "1000:4294967295:1", "1000:99999999999999999999:5", "1000:5", "1000:900:200",
      "1000:200000:10", "1000:200005:10", "1000:0x10:1", "1000:300000:4294967290", "1000:300000:7" }
    local file = machine.file(directory .. "/sub", table.concat(lines, "\n") .. "\n")
    local spec = { map = "auto", flags = { user = true } }
    local uid, gid = ids.maps(spec, { euid = 1000, egid = 1000, subuid = file, subgid = file })
    assert.equal("0 1000 1\n1 200000 10\n11 300000 7\n", map_words.format(uid))
    assert.equal(map_words.format(uid), map_words.format(gid))
  end)

  needs_user("falls back to the one own id with map = 'auto' where no ranges are given", function()
    local directory, remove = machine.directory()
    finally(remove)
    assert.equal(only(0, 0), ways.run(ways.user, { map = "auto" }, IDS, without_subids(directory)))
  end)
end)
