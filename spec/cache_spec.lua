--- A box keeps its plan until a word changes: what it keeps is what would be made anew, and its programs notice nothing.
local core = require "ns.core"
local cache = require "ns.start.cache"
local machine = require "support.machine"
local ns = require "ns"
local parts = require "ns.start.parts"
local plan = require "ns.start.plan"
local plans = require "support.plans"

-- What may be otherwise from one start of a box to the next, with nobody changing a word.
local HOSTS = {
  {}, { euid = 1000, egid = 1000 }, { euid = 1000, egid = 5 }, { ends = { [0] = 0, 4, 2 } }, { ends = { [0] = 9, 1, 9 } },
  { slave = 12 }, { console = "/dev/pts/7" }, { privileged = true }, { privileged = false }, { trial = true },
  { background = true }, { caps = 0 }, { nested = function() return true end }, { nofile = function() return 64, 128 end },
  { stamp = function() return "1:2:3:8.5:9.7;" end, entries = function() return { { name = "srv" } } end },
  { machine = { uid = { { 0, 0, 4294967295 } }, gid = { { 0, 0, 4294967295 } }, setgroups = "deny" } },
}

local MANY = {}
for i = 1, 40 do MANY[i] = { type = "tmpfs", target = "/t" .. i } end

local SPECS = {
  { "true" },
  { "true", flags = "user,pid,mount", mount_proc = true, tty = true },
  { "true", flags = "user,mount", map = "range", user = 3, group = 4, groups = { 5 } },
  { "true", flags = "mount,pid", root = "/", system = true, init = true, pty = true, mounts = { { type = "dev" } } },
  { "true", flags = "mount", root = "empty", mounts = { { type = "overlay", target = "/o", lower = "/usr" },
    { type = "bind", source = "/etc" }, { type = "proc" } } },
  { "true", flags = "mount", root = "empty", mounts = MANY },
}

describe("what a box keeps", function()
  for number, spec in ipairs(SPECS) do
    it("is what would be made anew, whatever has changed around it: spec " .. number, function()
      local box, changes, last = {}, 0, nil
      for i = 1, 2 * #HOSTS do
        for _, more in ipairs { HOSTS[1], HOSTS[(i - 1) % #HOSTS + 1] } do -- each change by itself
          local may, checked = pcall(plans.check, spec, more) -- an ordinary user may not ask for some ids
          if may then
            local found = plans.found(checked, plans.host(more), box)
            local _, bytes = cache.encoded(box, checked, found)
            local anew = core.encode(plan.lower(checked, found)):bytes()
            assert(anew == bytes:bytes(), "another plan is kept")
            changes, last = changes + (anew ~= last and 1 or 0), anew
          end
        end
      end
      assert.truthy(changes > 3)
    end)
  end

  it("is used again where nothing has changed", function()
    local box = {}
    local checked = plans.check(SPECS[2])
    local found = plans.found(checked, plans.host())
    local _, first = cache.encoded(box, checked, found)
    local _, second = cache.encoded(box, checked, found)
    assert.equal(first, second)
  end)

  it("of '/' is used again only if that is old enough to tell of a change, has not changed, and can be reached", function()
    local now, reached = os.time(), true
    local host = plans.host { stamp = function() return ("1:2:3:%x.5:%x.5;"):format(now - 60, now - 60) end,
      access = function() return reached end }
    local spec = { root = "/", flags = {} }
    local list = parts.find(spec, host)
    assert.equal(list, parts.still(list, host))
    reached = false
    assert.is_nil(parts.still(list, host))
    reached = true
    host.stamp = function() return ("1:2:3:%x.5:%x.5;"):format(now, now) end
    assert.is_nil(parts.still(list, host))
    assert.is_nil(parts.still(parts.find(spec, host), host))
  end)
end)

describe("a box that has started a program", function()
  it("starts what its words say after each change of one", function()
    local b = ns.box():stdout("pipe")
    assert.equal("1\n", b:env("A", "1"):run("sh", "-c", "echo $A").stdout)
    assert.equal("2\n", b:env("A", "2"):run("sh", "-c", "echo $A").stdout)
    assert.equal("022\n", (b:umask("22"):run("sh", "-c", "umask").stdout:gsub("^0022", "022")))
    assert.equal("077\n", (b:umask("77"):run("sh", "-c", "umask").stdout:gsub("^0077", "077")))
    assert.equal("/\n", b:cwd("/"):run("pwd").stdout)
    assert.equal("/usr\n", b:cwd("/usr"):run("pwd").stdout)
    assert.equal("in", b:stdin("in"):run("cat").stdout)
    assert.equal("", b:stdin("null"):run("cat").stdout)
  end)

  it("has other arguments for each start", function()
    local b = ns.box()
    for _, word in ipairs { "a", "b", "b", "c" } do assert.equal(word .. "\n", b:run("echo", word).stdout) end
  end)

  it("asks anew whether the descriptor of a stream is there", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    local b = ns.box():stdout(f)
    local p = assert(b:spawn("echo", "one"))
    p:wait()
    p:close()
    f:close()
    assert.has_error(function() b:spawn("echo", "two") end)
    assert.equal("one\n", machine.read(path))
    os.remove(path)
  end)

  machine.it("user", "mount")("has ids and trees of the moment", function()
    local directory, remove = machine.directory()
    finally(remove)
    machine.file(directory .. "/f", "one\n")
    local b = ns.sandbox():ro_bind(directory, "/d")
    assert.equal("one\n", b:run("cat", "/d/f").stdout)
    machine.file(directory .. "/f", "two\n")
    assert.equal("two\n", b:run("cat", "/d/f").stdout)
    os.remove(directory .. "/f")
    assert.equal(1, b:run("cat", "/d/f").code)
  end)
end)
