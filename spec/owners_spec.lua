--- A root directory that root's sandbox may write: whose are the files that the program makes there, and what of others does
-- it get to?
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

local USER = 4711

describe("a writable root directory #system", function()
  local it = machine.root and machine.it("tree") or machine.root_it
  local top, remove, root

  before_each(function()
    top, remove = machine.directory()
    root = top .. "/root"
    assert(ns.run({ "sh", "-c", [[mkdir root root/pub root/own && chmod 1777 root/pub && echo SECRET >root/pub/key &&
      cp root/pub/key root/key && chmod 600 root/pub/key root/key]], cwd = top }).ok)
  end)

  after_each(function() remove() end)

  local function sh(line) assert(ns.run({ "sh", "-c", line, cwd = top }).ok, line) end

  local function run(line, directory)
    local r, message = ns.sandbox():root(directory or root):system(true):read_only(false):timeout(30):run("sh", "-c", line)
    return r and r.stdout .. r.stderr or message
  end

  local MAKES = "cp /bin/true /pub/as_whom && chmod 6755 /pub/as_whom; cat /pub/key /key; echo x 2>/dev/null >/key; true"

  local function made() return lfs.attributes(root .. "/pub/as_whom") end

  it("of an ordinary user takes files that are his, and gives nothing of root's", function()
    sh(("chown %d:%d root root/pub root/own"):format(USER, USER))
    local said = run(MAKES .. "; touch /own/x && echo wrote")
    assert.falsy(said:find("SECRET", 1, true), said)
    assert.equal(2, select(2, said:gsub("Permission denied", "")))
    assert.matches("wrote", said)
    assert.same({ USER, USER, USER }, { made().uid, made().gid, lfs.attributes(root .. "/own/x", "uid") })
    assert.equal("SECRET\n", machine.read(root .. "/key"))
  end)

  it("of root's that others can reach is refused, and what helps is said", function()
    local message = run(MAKES)
    assert.equal(("idmap %s: Operation not permitted (EPERM); others on this host can reach into it, and what the "
      .. "program makes there is root's, or of the group root: chmod 700 %s, chown it to an ordinary user and group, or "
      .. "leave it read-only"):format(root, root), message)
    assert.is_nil(made())
    for _, line in ipairs { "chmod 711 root", "chmod 710 root", "chmod 700 root; chown USER root",
      "chown 0 root; mkdir eve; chown USER eve; mv root eve/", "chown 0 eve; chmod 777 eve" } do
      line = line:gsub("USER", USER)
      sh(line)
      if lfs.attributes(top .. "/eve") then root = top .. "/eve/root" end
      assert.matches("^idmap %S+: Operation not permitted", run(MAKES), nil, line)
    end
  end)

  it("of root's that others cannot reach has all ids as they are on disk", function()
    sh(("chown %d root/own && chmod 700 root"):format(USER))
    assert.equal(("SECRET\nSECRET\n%d\n"):format(USER), run(MAKES .. "; stat -c %u /own"))
    assert.same({ 0, 0 }, { made().uid, made().gid })
    sh "mv root inner && mkdir -m 700 root && mv inner root/it && chmod 755 root/it" -- closed above it
    assert.equal(("%d\n"):format(USER), run("stat -c %u /own", root .. "/it"))
  end)
end)
