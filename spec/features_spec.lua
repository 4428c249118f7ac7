--- ns.features() tells what this machine allows, as root and as an ordinary user, and why where it does not.
local machine = require "support.machine"
local namespaces = require "ns.words.namespaces"
local ns = require "ns"

local NAMES = { "cgroup_controllers", "clone3", "close_range", "idmapped_mounts", "keyring", "landlock", "limits",
  "memfd_exec",
  "mount_api", "mount_setattr", "newuidmap", "openat2", "overlay", "pidfd", "pidfd_info", "seccomp" }
for _, row in ipairs(namespaces.list) do NAMES[#NAMES + 1] = row.name end

local PRINT = [[for name, f in pairs(require("ns").features()) do print(name, f.ok, f.reason) end]]

--- {[name] = {ok=, reason=}} as an interpreter of its own sees it.
local function features(options)
  local r, found = machine.host(PRINT, options), {}
  assert(r.ok, tostring(r))
  for name, ok, reason in r.stdout:gmatch("(%S+)\t(%S+)\t([^\n]*)\n") do
    found[name] = { ok = ok == "true", reason = reason ~= "nil" and reason or nil }
  end
  return found
end

--- Runs a shell line as this user, or as an ordinary one.
local function works(line, nobody)
  local code = ("os.exit(select(3, require('ns').spawn({ 'sh', '-c', %q, stderr = 'null' }):wait()))"):format(line)
  return machine.host(code, { nobody = nobody }).code == 0
end

describe("the features", function()
  for who, nobody in pairs { ["of this user"] = false, ["of an ordinary user"] = true } do
    it(who .. " are there, or have a reason", function()
      local found = features { nobody = nobody }
      for _, name in ipairs(NAMES) do
        assert.truthy(found[name], name)
        assert.equal(found[name].ok, found[name].reason == nil, name)
        found[name] = nil
      end
      assert.is_nil(next(found))
    end)

    it(who .. " are what util-linux finds for namespaces #system", function()
      local found = features { nobody = nobody }
      local user = (nobody or not machine.root) and "--user --map-root-user " or ""
      for _, name in ipairs { "mount", "pid", "net", "ipc", "uts", "cgroup", "time" } do
        assert.equal(works(("unshare %s--%s --fork true"):format(user, name), nobody), found[name].ok, name)
      end
      assert.equal(works("unshare --user true", nobody), found.user.ok)
    end)

    it(who .. " follow the system calls that a filter refuses #system", function()
      local found = features { nobody = nobody }
      local refuse = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=open_tree,openat2,keyctl:error=ENOSYS" }
      local r = machine.host(PRINT, { nobody = nobody, under = refuse })
      for _, name in ipairs { "mount_api", "openat2", "keyring" } do
        assert.matches(name .. "\tfalse\t[^\n]*Function not implemented", r.stdout)
      end
      assert.matches("close_range\t" .. tostring(found.close_range.ok), r.stdout)
    end)
  end

  machine.root_it("of root include trees with mapped ids #system", function()
    local r, why = ns.run { "true", flags = { "user", "mount" }, map = "range", system = true, mounts = {
      { type = "bind", source = "/etc", target = "/mnt", idmap = true } } }
    local found = features().idmapped_mounts
    assert.equal(r and r.ok or false, found.ok, found.reason or why)
  end)
end)

--- The reasons that features gives in another host for those of the names that are missing: lines "name: reason".
local function missing(names, options)
  local code = [[
    local features = require("ns").features()
    for name in ("%s"):gmatch("%%S+") do
      local f = features[name]
      print(name .. ": " .. (f.ok and "ok" or f.reason))
    end
  ]]
  local r = machine.host(code:format(names), options)
  assert(r.ok, tostring(r))
  return r.stdout
end

describe("the reason of a feature that is not there #system", function()
  machine.root_it("is the limit of that kind of namespace", function()
    local r = machine.host([[
      local ns, core = require "ns", require "ns.core"
      for _, name in ipairs { "mount", "pid", "net", "ipc", "uts", "cgroup", "time", "user" } do
        local file = ("/proc/sys/user/max_%s_namespaces"):format(name == "mount" and "mnt" or name)
        assert(core.write(file, "0"))
        local feature = ns.features()[name]
        print(name, feature.ok, feature.reason:match("; (.*)"))
        assert(core.write(file, "1000"))
      end
    ]], { under = { "unshare", "-Ur" } })
    for _, name in ipairs { "mnt", "pid", "net", "ipc", "uts", "cgroup", "time", "user" } do
      local line = "%w+\tfalse\tuser.max_" .. name .. "_namespaces is 0: sysctl user.max_" .. name .. "_namespaces=10000\n"
      assert.matches(line, r.stdout .. r.stderr)
    end
  end)

  for _, errno in ipairs { "ENOSYS", "EPERM" } do
    machine.it("user")("is that a filter answers " .. errno, function()
      local words = errno == "EPERM" and "Operation not permitted" or "Function not implemented"
      local names = { clone3 = "clone3", close_range = "close_range", keyring = "keyctl", mount_setattr = "mount_setattr",
        openat2 = "openat2", pidfd = "pidfd_open" }
      for name, call in pairs(names) do
        assert.matches("^" .. name .. ": " .. words, missing(name, { under = machine.refuse(errno, call) }))
      end
      for _, call in ipairs { "open_tree", "fsconfig" } do
        assert.matches("^mount_api: " .. words, missing("mount_api", { under = machine.refuse(errno, call) }))
      end
      assert.matches("^landlock: " .. words, missing("landlock", { under = machine.refuse(errno, "444") }))
    end)
  end

  it("takes a filter that forbids filters for a no", function()
    assert.matches("^seccomp: Operation not permitted", missing("seccomp", { under = machine.refuse("EPERM", "seccomp") }))
  end)

  machine.root_it("says of memfds that may not be executed why, and what is done instead", function()
    if not machine.read("/proc/sys/vm/memfd_noexec") then return pending("this kernel has no vm.memfd_noexec") end
    local own = "echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\""
    local under = { "unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", own, "sh" }
    assert.equal("memfd_exec: vm.memfd_noexec is 2: a temporary file is executed instead\n",
      missing("memfd_exec", { under = under }))
    assert.equal("memfd_exec: ok\n", missing("memfd_exec"))
  end)

  machine.root_it("says whose business mapped ids and newuidmap are", function()
    assert.equal("idmapped_mounts: only root can map the ids of a tree of the host\n",
      missing("idmapped_mounts", { nobody = true }))
    assert.equal("newuidmap: /etc/subuid or /etc/subgid gives no ranges to this user\n",
      missing("newuidmap", { nobody = true }))
    assert.equal("newuidmap: not installed: apt-get install uidmap\n",
      missing("newuidmap", { under = { "sh", "-c", 'lua=$(command -v "$1"); shift; PATH=/no exec "$lua" "$@"', "sh" } }))
  end)

  machine.root_it("knows the ranges of an ordinary user", function()
    local sub, clean = machine.directory()
    finally(clean)
    machine.file(sub .. "/sub", "nobody:200000:65536\n", "644")
    local own = ("mount --bind %s/sub /etc/subuid && mount --bind %s/sub /etc/subgid && exec setpriv --reuid=65534 "
      .. "--regid=65534 --clear-groups \"$@\""):format(sub, sub)
    local under = { "unshare", "-m", "--propagation", "private", "sh", "-c", own, "sh" }
    assert.equal("newuidmap: ok\n", missing("newuidmap", { under = under }))
  end)

  machine.root_it("knows the controllers of version 2", function()
    local function with(line)
      local own = "mount -t tmpfs none /sys/fs/cgroup && " .. line .. " && exec \"$@\""
      local under = { "unshare", "-m", "--propagation", "private", "sh", "-c", own, "sh" }
      return missing("cgroup_controllers", { under = under })
    end
    assert.equal("cgroup_controllers: ok\n", with "echo cpu memory >/sys/fs/cgroup/cgroup.controllers")
    assert.equal("cgroup_controllers: cgroup v2 has no controllers\n", with "echo >/sys/fs/cgroup/cgroup.controllers")
    assert.equal("cgroup_controllers: no cgroup v2 at /sys/fs/cgroup\n", with "true")
  end)
end)


machine.root_it("A root whose / is no mount point is told what helps #system", function()
  local directory, remove = machine.directory()
  local enter = ([[cd %s && mkdir usr tmp proc etc && mount --rbind /etc etc &&
    mount --rbind /usr usr && mount --rbind /tmp tmp && mount -t proc proc proc &&
    cp -P /bin /lib* . && exec chroot . "$@"]]):format(directory)
  local r = machine.host([[print(select(2, require("ns").spawn { "true", flags = "mount" }))]],
    { under = { "unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "sh" } })
  remove()
  assert.equal("", r.stderr)
  assert.matches("^make all mounts private: Invalid argument %(EINVAL%); / is no mount point, as in a chroot: ", r.stdout)
end)
