--- The list of namespaces, and names that keep them.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local errno_of = core.constants.errno

local FILES = { "user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time" }

local function find(list, kind, id)
  for _, one in ipairs(list) do
    if one.type == kind and (not id or one.id == id) then return one end
  end
end

local function link(pid, file) return tonumber(core.readlink(("/proc/%d/ns/%s"):format(pid, file)):match("%d+")) end

describe("the list of namespaces #system", function()
  local function running(spec)
    spec[1], spec[2] = "sleep", "1000"
    local p = assert(ns.spawn(spec))
    finally(function() p:close() end)
    return p
  end

  it("has those of a process, in one order, with their members", function()
    local p = running {}
    local function names(list)
      local words = {}
      for i, one in ipairs(assert(list)) do words[i] = one.type .. (one.id == link(p.pid, FILES[i]) and "" or "?") end
      return table.concat(words, " ")
    end
    assert.equal("user mount pid net ipc uts cgroup time", names(ns.namespaces(p)))
    assert.equal("user mount pid net ipc uts cgroup time", names(ns.namespaces(p.pid)))
    local own = {}
    for _, pid in ipairs(find(ns.namespaces(p), "uts").pids) do own[pid] = true end
    assert.truthy(own[p.pid] and own[core.ids().pid])
  end)

  machine.it("uts", "user")("has one that a process has for itself, and whose it is", function()
    local p = running { flags = machine.flags("uts") }
    local id = link(p.pid, "uts")
    local all = assert(ns.namespaces())
    assert.same({ type = "uts", id = id, pids = { p.pid }, owner = core.ids().euid }, find(all, "uts", id))
    assert.truthy(find(all, "uts", link(core.ids().pid, "uts")))
  end)

  machine.it "sandbox"("takes a container for what it is in", function()
    local c = assert(ns.sandbox():start())
    finally(function() c:close() end)
    assert.equal(link(c.pid, "net"), find(ns.namespaces(c), "net").id)
  end)

  it("says which process has ended, and which may not be seen", function()
    local p = assert(ns.spawn { "true" })
    p:close()
    assert.equal(errno_of.ESRCH, select(3, ns.namespaces(p)))
    assert.equal(errno_of.ESRCH, select(3, ns.namespaces(4194304)))
    local r = machine.host('print(select(3, require("ns").namespaces(1)))', { nobody = true })
    assert.equal(errno_of.EACCES, tonumber(r.stdout:match("^%d+")))
  end)

  it("raises what is no process", function()
    for _, value in ipairs { "x", "", 0, 1.5, true } do
      local ok, message = pcall(ns.namespaces, value)
      assert.same({ false, "bad argument #1 to 'namespaces' (number of a process, Process or Container expected, got "
        .. (type(value) == "number" and tostring(value) or type(value)) .. ")" }, { ok, (message:gsub("^[^ ]*:%d+: ", "")) })
    end
  end)
end)

describe("a name for a namespace #system", function()
  --- Runs the code in a mount namespace of its own, where mounts are nobody else's.
  local function apart(code)
    local directory, remove = machine.directory()
    finally(remove)
    local under = { "unshare", machine.root and "-m" or "-Urm", "--propagation", "private" }
    local r = machine.host(('local ns, D = require "ns", "%s"\n'):format(directory) .. code, { under = under })
    return r.stdout .. r.stderr, directory
  end

  local able = machine.it("net", "uts")

  able("keeps it when all that were in it have ended, until it is taken away", function()
    assert.equal("true\nblue\ntrue\t0\ttrue\n", (apart [[
      local p = assert(ns.spawn { "sleep", "1000", flags = { "uts" }, hostname = "blue" })
      print(p:persist("uts", D .. "/blue"))
      p:close()
      io.write(ns.run { "hostname", join = { uts = D .. "/blue" } }.stdout)
      local function listed()
        for _, one in ipairs(ns.namespaces()) do
          if one.path == D .. "/blue" then return one end
        end
      end
      local one = listed()
      os.execute("umount " .. D .. "/blue")
      print(one.type == "uts", #one.pids, listed() == nil)]]))
  end)

  able("goes onto a file that is there, and is that of a container, too", function()
    assert.equal("true\ntrue\n", (apart [[
      io.open(D .. "/file", "w"):close()
      local c = assert(ns.box { flags = { "pid", "net" } }:start())
      print(c:persist("net", D .. "/file"))
      print(ns.namespaces(c)[4].path == D .. "/file")
      c:close()]]))
  end)

  able("is refused after the end, where there is no directory, and without the right; nothing is left behind", function()
    local said, directory = apart [[
      local p = assert(ns.spawn { "sleep", "1000", flags = { "uts" } })
      print(p:persist("uts", D .. "/nowhere/file"))
      p:close()
      print(p:persist("uts", D .. "/file"))]]
    assert.equal("nil\tNo such file or directory\t2\nnil\tNo such process\t3\n", said)
    assert.same({}, core.entries(directory) and { core.access(directory .. "/file", 0) and "file" })
    local r = machine.host(([[
      local p = assert(require("ns").spawn { "sleep", "1000" })
      print(p:persist("uts", os.tmpname()))
      p:close()]]), { nobody = true })
    assert.equal("nil\tOperation not permitted\t1\n", r.stdout)
  end)

  it("is raised where it is none, or the kind is none", function()
    local p = assert(ns.spawn { "true" })
    finally(function() p:close() end)
    for _, row in ipairs { { "nett", "/x", "#1 to 'persist' (kind: unknown namespace 'nett' (did you mean 'net'?))" },
      { "net", "x", "#2 to 'persist' (path: absolute path expected, got 'x')" },
      { nil, "/x", "#1 to 'persist' (kind: name of a namespace expected, got nil)" } } do
      local ok, message = pcall(p.persist, p, row[1], row[2])
      assert.same({ false, "bad argument " .. row[3] }, { ok, (message:gsub("^[^ ]*:%d+: ", "")) })
    end
  end)
end)
