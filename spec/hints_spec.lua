--- Where hints look: at a machine, here made up, and at the host's path of what is inside.
local core = require "ns.core"
local errno = core.constants.errno
local hints = require "ns.start.hints"
local proc = require "ns.start.proc"
local host_path = require "ns.start.host_path"

describe("the hints for a machine that is made up", function()
  local real = proc.read
  after_each(function() proc.read = real end)

  --- The hint where the files of /proc/sys have these values.
  local function hint(files, step, code)
    function proc.read(path) return files[path:gsub("^/proc/sys/", "")] end
    return hints.find(step, errno[code]) or "none"
  end

  local CLONE, WRITE = { op = "clone", namespaces = { user = true } }, { op = "write", path = "/proc/self/uid_map" }
  local APPARMOR = { ["kernel/apparmor_restrict_unprivileged_userns"] = "1\n" }

  it("say nothing wrong of what is written through a descriptor, whatever refuses it", function()
    for _, number in pairs(errno) do
      for _, op in ipairs { "write", "limit", "open_limit" } do
        local said = hints.find({ op = op, fd = 5, from = "memory.max", data = "4096", word = "limits.memory" }, number)
        assert.truthy(said == nil or type(said) == "string")
      end
    end
  end)

  it("name AppArmor's restriction, at the clone and at the maps", function()
    assert.matches("^AppArmor restricts user namespaces: sysctl kernel%.apparmor", hint(APPARMOR, CLONE, "EPERM"))
    assert.matches("^AppArmor restricts user namespaces", hint(APPARMOR, CLONE, "EACCES"))
    assert.matches("^AppArmor restricts user namespaces", hint(APPARMOR, WRITE, "EPERM"))
    assert.matches("^AppArmor restricts user namespaces", hint(APPARMOR, WRITE, "EACCES"))
    assert.equal("none", hint({ ["kernel/apparmor_restrict_unprivileged_userns"] = "0\n" }, WRITE, "EPERM"))
  end)

  it("name Debian's switch", function()
    assert.matches("sysctl kernel%.unprivileged_userns_clone=1$",
      hint({ ["kernel/unprivileged_userns_clone"] = "0\n" }, CLONE, "EPERM"))
  end)

  it("name who keeps descriptors in flight", function()
    assert.matches("^programs of this user have sent too many descriptors", hint({}, CLONE, "ETOOMANYREFS"))
  end)

  it("name a limit of 0 under its own name", function()
    assert.matches("^user%.max_net_namespaces is 0: ",
      hint({ ["user/max_net_namespaces"] = "0\n" }, { op = "clone", namespaces = { net = true } }, "ENOSPC"))
    assert.matches("^a limit of user%.max_%*_namespaces is reached", hint({}, CLONE, "EUSERS"))
  end)

  it("name ids of the host that differ, as after seteuid", function()
    local ids = core.ids
    finally(function() core.ids = ids end)
    for _, other in ipairs { "euid", "egid" } do
      function core.ids()
        local host = ids()
        host[other] = host[other] + 1
        return host
      end
      assert.matches("^your real and effective ids differ", hint({}, WRITE, "EACCES"))
    end
  end)

  it("say nothing of what they do not know", function()
    assert.equal("none", hint({}, { op = "sethostname" }, "EPERM"))
    assert.equal("none", hint({}, { op = "mount", type = "tmpfs" }, "EPERM"))
  end)
end)

describe("the place outside of a path inside", function()
  local STEPS = { { op = "newroot" }, { op = "tree", fd = 7, from = "/srv/root/usr", path = "/usr" },
    { op = "symlink", path = "/bin", data = "usr/bin" }, { op = "symlink", path = "/loop", data = "loop" },
    { op = "symlink", path = "/abs", data = "/usr/lib" }, { op = "tree", source = "/opt/a", path = "/usr/local" },
    { op = "fs", type = "tmpfs", path = "/usr/tmp" }, { op = "tree", source = "/opt/b", path = "/usr/tmp/b" },
    { op = "overlay", source = "/lower", path = "/tree" }, { op = "file", path = "/tree/f" },
    { op = "chdir", path = "/usr" }, { op = "symlink", path = "/usr/away", data = "/tree/deep" },
    { op = "tree", source = "/proc/sys", path = "/proc/sys", how = core.constants.step.BENEATH_ROOT } }
  local ROWS = {
    ["/usr/bin/x"] = "/srv/root/usr/bin/x", ["/bin/x"] = "/srv/root/usr/bin/x", ["//usr//bin/./x"] = "/srv/root/usr/bin/x",
    ["/bin/../local/x"] = "/opt/a/x", ["/usr/local/x"] = "/opt/a/x", ["/usr/tmp/x"] = false, ["/usr/tmp/b/x"] = "/opt/b/x",
    ["/tree/x"] = "/lower/x", ["/tree/f"] = false, ["/etc/passwd"] = false, ["/abs/x"] = "/srv/root/usr/lib/x",
    ["bin/x"] = "/srv/root/usr/bin/x", ["../../usr/x"] = "/srv/root/usr/x", ["/loop"] = false, ["/proc/sys/x"] = false,
    ["/usr/away/x"] = "/lower/deep/x",
  }
  it("follows mounts and links, the later over the earlier", function()
    for path, place in pairs(ROWS) do assert.equal(place, host_path.find(STEPS, path) or false, path) end
  end)

  it("is none for a file of the spec, but then there are its bytes", function()
    local steps = { { op = "newroot" }, { op = "file", path = "/f", data = "bytes" },
      { op = "symlink", path = "/l", data = "f" } }
    for path, says in pairs { ["/f"] = false, ["/l"] = "f", f = false } do
      assert.same({ nil, "bytes", says or nil }, { host_path.find(steps, path) })
    end
    steps[4] = { op = "tree", source = "/opt/f", path = "/f" }
    assert.same({ "/opt/f", nil, "f" }, { host_path.find(steps, "/l") })
  end)

  it("is the same path where the root is the host's", function()
    for path, place in pairs { ["/usr/x"] = "/usr/x", ["x"] = "./x", ["/mnt/x"] = "/opt/x" } do
      assert.equal(place, host_path.find({ { op = "tree", source = "/opt", path = "/mnt" } }, path))
    end
    assert.equal("/usr/x", host_path.find({ { op = "chdir", path = "/usr" } }, "x"))
  end)
end)
