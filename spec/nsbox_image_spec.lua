--- nsbox run IMAGE, pull, images, rmi: with an archive for an image.
local bar = require "ns.nsbox.bar"
local machine = require "support.machine"
local ns = require "ns"
local nsbox = require "support.nsbox"

local image_it = nsbox.works and machine.it("sandbox", "overlay", "tree") or machine.without("it", nsbox.why)

--- What a terminal shows of a run of nsbox.
local function shown(user, ...)
  local spec = user.spec(...)
  spec.pty, spec.env.TERM = { rows = 24, cols = 100 }, "xterm"
  return assert(ns.run(spec)).stdout
end

describe("nsbox with an image #system", function()
  image_it("shows a bar while it is unpacked, on a terminal alone", function()
    local user = nsbox.user(false)
    finally(function() user.leave() end)
    machine.sh({ cwd = user.home }, "mkdir -p r/bin && cp /bin/busybox r/bin/sh && tar -C r -czf image.tar .")
    local tar = user.home .. "/image.tar"
    local full = ("%s: layer 1 of 1 [%s] 100%%"):format(tar, ("#"):rep(30)):gsub("%p", "%%%0")
    assert.matches("\r" .. full .. "\27%[K\r\27%[Ktar:[^\r]*\r\n$", shown(user, "pull", tar))
    assert.equal("", user.run("pull", tar).stderr)
  end)

  it("has a bar that is as long as what has been read", function()
    assert.equal("a: layer 2 of 3 [" .. ("#"):rep(15) .. ("."):rep(15) .. "]  50%", bar.line("a", 1, 2, 2, 3))
    assert.equal("a: [" .. ("."):rep(30) .. "]   0%", bar.line("a", 0, 2, 0))
  end)

  image_it("takes it into the store, runs it with a layer that is thrown away, lists it, and removes it", function()
    local user = nsbox.user(false)
    finally(function() user.leave() end)
    machine.sh({ cwd = user.home }, "mkdir -p r/bin r/etc && cp /bin/busybox r/bin/sh && tar -C r -cf image.tar .")
    local tar = user.home .. "/image.tar"
    local name = user.out("pull", tar)
    assert.equal("new", user.out("run", "--rm", tar, "/bin/sh", "-c", "echo new >/etc/new; read x </etc/new; echo $x"))
    assert.equal("gone", user.out("run", "--rm", tar, "/bin/sh", "-c", "[ -e /etc/new ] || echo gone"))
    assert.equal(name, user.out "images")
    local r = user.run("run", "--rm", tar)
    assert.equal(125, r.code)
    assert.matches("image " .. tar:gsub("%p", "%%%0") .. " says no program", r.stderr)
    assert.equal(name, user.out("rmi", name))
    assert.equal("", user.out "images")
    assert.equal(1, user.run("rmi", name).code)
    user.out("pull", tar)
    assert.equal(tar, user.out("rmi", tar))
    assert.equal("", user.out "images")
  end)
end)
