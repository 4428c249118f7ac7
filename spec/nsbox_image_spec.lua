--- nsbox run IMAGE, pull, images, rmi: with an archive for an image.
local machine = require "support.machine"
local nsbox = require "support.nsbox"

local image_it = nsbox.works and machine.it("sandbox", "overlay", "tree") or machine.without("it", nsbox.why)

describe("nsbox with an image #system", function()
  image_it("takes it into the store, runs it with a layer that is thrown away, lists it, and removes it", function()
    local user = nsbox.user(false)
    finally(function() user.leave() end)
    machine.sh({ cwd = user.home }, "mkdir -p r/bin r/etc && cp /bin/busybox r/bin/sh && tar -C r -cf image.tar .")
    local tar = user.home .. "/image.tar"
    local name = user.out("pull", tar)
    assert.equal("new", user.out("run", "--rm", tar, "/bin/sh", "-c", "echo new >/etc/new; read x </etc/new; echo $x"))
    assert.equal("gone", user.out("run", "--rm", tar, "/bin/sh", "-c", "[ -e /etc/new ] || echo gone"))
    assert.equal(name, user.out "images")
    assert.equal(name, user.out("rmi", name))
    assert.equal("", user.out "images")
    assert.equal(1, user.run("rmi", name).code)
  end)
end)
