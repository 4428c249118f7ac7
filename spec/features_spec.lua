--- ns.features() tells what this machine allows, as root and as an ordinary user, and ns.check whether a spec would start.
local machine = require "support.machine"
local namespaces = require "ns.namespaces"
local ns = require "ns"

local NAMES = { "cgroup_controllers", "clone3", "close_range", "idmapped_mounts", "keyring", "landlock", "memfd_exec",
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

    it(who .. " are what util-linux finds for namespaces", function()
      local found = features { nobody = nobody }
      local user = (nobody or not machine.root) and "--user --map-root-user " or ""
      for _, name in ipairs { "mount", "pid", "net", "ipc", "uts", "cgroup", "time" } do
        assert.equal(works(("unshare %s--%s --fork true"):format(user, name), nobody), found[name].ok, name)
      end
      assert.equal(works("unshare --user true", nobody), found.user.ok)
    end)

    it(who .. " follow the system calls that a filter refuses", function()
      local found = features { nobody = nobody }
      local refuse = { "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=open_tree,openat2,keyctl:error=ENOSYS" }
      local r = machine.host(PRINT, { nobody = nobody, under = refuse })
      for _, name in ipairs { "mount_api", "openat2", "keyring" } do
        assert.matches(name .. "\tfalse\t[^\n]*Function not implemented", r.stdout)
      end
      assert.matches("close_range\t" .. tostring(found.close_range.ok), r.stdout)
    end)
  end

  machine.root_it("of root include trees with mapped ids", function()
    local r, why = ns.run { "true", flags = { "user", "mount" }, map = "range", system = true, mounts = {
      { type = "bind", source = "/etc", target = "/mnt", idmap = true } } }
    local found = features().idmapped_mounts
    assert.equal(r and r.ok or false, found.ok, found.reason or why)
  end)
end)

describe("ns.check", function()
  local function both(spec)
    local nothing, message, errno, detail = ns.spawn(spec)
    assert.is_nil(nothing)
    assert.same({ nil, message, errno, detail }, { ns.check(spec) })
  end

  machine.it("user")("says true for what would start, and starts nothing", function()
    local directory, remove = machine.directory()
    local box = ns.box():argv("touch", directory .. "/made"):unshare("user", "mount"):map("root")
    assert.is_true(ns.check(box))
    assert.is_true(box:check())
    assert.is_nil(machine.read(directory .. "/made"))
    assert.truthy(box:run().ok)
    assert.truthy(machine.read(directory .. "/made"))
    remove()
  end)

  machine.it("user")("returns what spawn would", function()
    both { "/nowhere/program" }
    both { "/etc" }
    both { "true", cwd = "/nowhere" }
    both { "true", flags = { "user", "mount" }, mounts = { { type = "bind", source = "/nowhere", target = "/tmp" } } }
    both { "true", stdout = { path = "/nowhere/file" } }
  end)

  it("raises a mistake under its own name", function()
    local ok, problem = pcall(ns.check, { "true", hostname = "" })
    assert.is_false(ok)
    assert.matches("bad argument #1 to 'check' %(hostname: empty string%)", problem)
  end)
end)

describe("ns.explain", function()
  it("says the steps in words, one a line, and plays none of them", function()
    local spec = { "touch", "/nowhere", flags = "uts,user", hostname = "explained", rlimits = { nofile = 8 }, umask = 63 }
    local text = ns.explain(spec)
    assert.matches("^clone %(user, uts%)\n", text)
    assert.matches("\nsethostname 'explained'\n.*\nrlimit nofile 8:8\numask 077\n.*\nexec 'touch' %(\"/nowhere\"%)\n$", text)
    assert.equal(text, ns.box(spec):explain())
  end)

  it("opens nothing of what the program would get", function()
    local path = os.tmpname()
    os.remove(path)
    assert.matches("connect stdout to " .. path, ns.explain({ "true", stdout = { path = path } }), 1, true)
    assert.is_nil(machine.read(path))
  end)

  it("says why the steps cannot be known", function()
    local text, message, _, detail = ns.explain { "true", flags = "mount", root = "/nowhere" }
    assert.is_nil(text)
    assert.equal("open /nowhere: No such file or directory (ENOENT)", message)
    assert.equal("root", detail.word)
  end)
end)

machine.root_it("A root whose / is no mount point is told what helps", function()
  local directory, remove = machine.directory()
  local enter = ([[cd %s && mkdir usr tmp proc &&
    mount --rbind /usr usr && mount --rbind /tmp tmp && mount -t proc proc proc &&
    cp -P /bin /lib* . && exec chroot . "$@"]]):format(directory)
  local r = machine.host([[print(select(2, require("ns").spawn { "true", flags = "mount" }))]],
    { under = { "unshare", "--mount", "--propagation", "private", "sh", "-c", enter, "sh" } })
  remove()
  assert.equal("", r.stderr)
  assert.matches("^make all mounts private: Invalid argument %(EINVAL%); / is no mount point, as in a chroot: ", r.stdout)
end)
