--- Places in the new root at which there is something else than what is asked for: a refusal that says so.
local machine = require "support.machine"
local ns = require "ns"

local FLAGS = machine.root and { "mount" } or { "user", "mount" }

describe("a place in the new root", function()
  local directory, remove

  setup(function()
    directory, remove = machine.directory()
    assert(os.execute(("cd %s && mkdir a:b && touch file && ln -s loop loop"):format(directory)))
  end)

  teardown(function() remove() end)

  --- What the system says to one mount, or more, in a root with the directory at /d.
  local function refusal(...)
    local mounts = { { type = "bind", source = directory, target = "/d" }, ... }
    local p, message = ns.spawn { "true", flags = FLAGS, root = "empty", system = true, mounts = mounts }
    assert.is_nil(p)
    return (message:gsub(directory:gsub("%p", "%%%0"), "D"))
  end

  it("that is a file does not pass for the directory that was asked for", function()
    assert.equal("mkdir /d/file: Not a directory (ENOTDIR)", refusal { type = "dir", target = "/d/file" })
  end)

  it("that is a link to itself is called that, whatever is to be there", function()
    for kind, says in pairs { dir = "mkdir /d/loop", file = "file /d/loop", tmpfs = "mount tmpfs on /d/loop" } do
      assert.equal(says .. ": Too many levels of symbolic links (ELOOP)",
        refusal { type = kind, target = "/d/loop", data = kind == "file" and "x" or nil })
    end
  end)

  if machine.root then -- for an ordinary user the upper has to be of a file system that can do without trusted.* attributes
    it("of an overlay may have any name", function()
      local odd = directory .. "/a\\:b,=\\"
      assert(ns.run({ "mkdir", "-p", odd .. "/u", odd .. "/w" }).ok)
      local p = ns.spawn { "sh", "-c", "echo new > /x/f", flags = FLAGS, root = "empty", system = true,
        mounts = { { type = "overlay", target = "/x", lower = odd, upper = odd .. "/u", work = odd .. "/w" } } }
      assert.is_true((machine.status(p)))
      assert.equal("new\n", machine.read(odd .. "/u/f"))
    end)
  end

  it("of an overlay without one of its directories has that one named", function()
    local function overlay(more)
      local m = { type = "overlay", target = "/x", lower = directory .. "/a:b" }
      for field, path in pairs(more) do m[field] = directory .. path end
      return refusal(m):match("; (.*)$")
    end
    assert.equal("its lower D/a:c is no directory", overlay { lower = "/a:c" })
    assert.equal("its upper D/file is no directory", overlay { upper = "/file", work = "/a:b" })
    assert.equal("its work D/none is no directory", overlay { upper = "/a:b", work = "/none" })
  end)

  machine.root_it("of an overlay over a directory with mounts below it has the first of them named", function()
    local r = machine.host(([[
      os.execute("mount -t tmpfs x '%s/a:b'")
      for _, lower in ipairs { "/", "/." } do
        print((select(2, require("ns").spawn { "true", flags = "user,mount", map = "root", root = "empty", system = true,
          mounts = { { type = "overlay", target = "/x", lower = "%s" .. lower } } })))
      end
    ]]):format(directory, directory), { under = { "unshare", "-m" } })
    local says = ("mount overlay of %s/ on /x: Invalid argument (EINVAL); %s/a:b is mounted below its lower, and an "
      .. "overlay would show what that covers\n"):format(directory, directory)
    assert.equal(says .. says:gsub("/ on", "/. on"), r.stdout .. r.stderr)
  end)
end)
