--- The store of images: what others do at the same time, what is left behind, and images that are not what they say.
local images = require "support.images"
local lfs = require "lfs"
local machine = require "support.machine"
local ways = require "support.ways"
local sh = images.sh

describe("the store of images #system", function()
  local it_runs = machine.it("user", "overlay", "sandbox", "tree")
  local way = machine.root and ways.range or ways.user
  local directory, remove

  before_each(function() directory, remove = machine.directory() end)
  after_each(function() remove() end)

  --- Runs Lua with the store in the directory D; what it prints.
  local function run(code, options)
    options = options or {}
    local spec = { env = machine.paths(machine.public()) }
    spec.env.XDG_DATA_HOME = directory .. "/data"
    local r = machine.host(("local ns, D = require 'ns', %q\n%s"):format(directory, code),
      { nobody = options.nobody or way.nobody, spec = spec, timeout = 120, under = options.under })
    return ((r.stdout .. r.stderr):gsub("\n$", ""))
  end

  --- What is in it, but for the two directories that it always has.
  local function left() return sh([[cd "$1/data/ns" && find . -mindepth 1 ! -path ./layers ! -path ./images]], directory) end

  local function layers() return sh([[ls "$1/data/ns/layers" | wc -l]], directory) end

  local function small_tar(name)
    sh([[mkdir -p "$1/small/etc"; echo "$2" >"$1/small/etc/name"; tar -C "$1/small" -cf "$1/$2.tar" .]], directory, name)
  end

  -- ---- at the same time ----

  it_runs("keeps what a process of another pid namespace is making", function()
    small_tar "one"
    assert.equal("true\nhalf", run(([[
      local store = require "ns.image.store"
      local top = store.top()
      print((store.with_scratch(top, function(path)
        assert(os.execute("echo half >" .. path .. "/file"))
        local r = assert(ns.run { flags = require("ns.core").ids().euid == 0 and "pid,mount" or "user,pid,mount",
          mount_proc = true, argv = { "%s", "-e", "print(require('ns').image('" .. D .. "/one.tar') ~= nil)" } })
        io.write(r.stdout, r.stderr)
        return io.open(path .. "/file"):read "*l"
      end)))]]):format(machine.lua)))
    assert.equal("1", layers())
  end)

  it_runs("removes what nobody makes any more, whatever the pid that it was of", function()
    small_tar "one"
    run [[
      assert(ns.image(D .. "/one.tar"))
      assert(os.execute("mkdir -p " .. D .. "/data/ns/.tmp-1/new/deep && mkdir -m 0 " .. D .. "/data/ns/.tmp-1/new/closed"))
      ns.image(D .. "/none.tar")
      assert(ns.image(D .. "/one.tar"))]]
    assert.is_nil(lfs.attributes(directory .. "/data/ns/.tmp-1"))
  end)

  it_runs("keeps the layers of an image that is being made, though another is removed that has them", function()
    images.root(directory .. "/root")
    local one = images.tar(directory .. "/1.tar", directory .. "/root")
    small_tar "two"
    images.layout(directory .. "/oci", "old", { one })
    images.layout(directory .. "/oci2", "new", { one, directory .. "/two.tar" })
    assert.equal("two\nbase", run [[
      local unpack = require "ns.image.unpack"
      local old, layer = assert(ns.image("oci:" .. D .. "/oci:old")), unpack.layer
      unpack.layer = function(...)
        assert(old:remove())
        return layer(...)
      end
      local image = assert(ns.image("oci:" .. D .. "/oci2:new"))
      io.write(image:box():run("/bin/cat", "/etc/name", "/etc/base").stdout)]])
  end)

  -- ---- which layers there are ----

  it_runs("has no layer any more of an image that is removed, whatever the image was before", function()
    assert.equal("1 2 0", run [[
      local function count()
        local f = io.popen("ls " .. D .. "/data/ns/layers | wc -l")
        local n = f:read "*n"
        f:close()
        return n
      end
      local function image(text)
        assert(os.execute("cd " .. D .. " && mkdir -p s && echo " .. text .. " >s/f && tar -C s -cf b.tar ."))
        return assert(ns.image(D .. "/b.tar"))
      end
      image "one"
      local first = count()
      local last = image "two"
      local second = count()
      assert(last:remove())
      print(("%d %d %d"):format(first, second, count()))]])
    assert.equal("", left())
  end)

  it_runs("has no layer of an image that could not be taken", function()
    images.root(directory .. "/root")
    local one = images.tar(directory .. "/1.tar", directory .. "/root")
    small_tar "two"
    images.layout(directory .. "/oci", "x", { one, directory .. "/two.tar" })
    sh([[cd "$1/oci/blobs/sha256"; for f in *; do case $(gzip -dc <$f 2>/dev/null | tar -t 2>/dev/null) in
      */etc/name*) echo more >>$f;; esac; done]], directory)
    assert.matches("has the digest", run [[print((select(2, ns.image("oci:" .. D .. "/oci:x"))))]])
    assert.equal("", left())
  end)

  -- ---- images that are not what they say ----

  it_runs("takes no image that could not be run, and lists one that is not whole, which can be removed", function()
    small_tar "one"
    images.saved(directory .. "/bad.tar", "bad:1", { directory .. "/one.tar" }, '"Entrypoint":"sh"')
    local name = ("docker-archive:%s/bad.tar"):format(directory)
    assert.equal("image " .. name .. ": 'Entrypoint' of the image is no table\n1\n2\nno table\nsmall\n0", run [[
      local small = assert(ns.image(D .. "/one.tar"))
      print((select(2, ns.image("docker-archive:" .. D .. "/bad.tar"))))
      print(#ns.images())
      local at = D .. "/data/ns/images/"
      assert(os.execute("cp -r " .. at .. "* " .. at .. "aaa && echo '{\"config\":[5],\"x\":' >" .. at .. "aaa/config.json"))
      local list = ns.images()
      print(#list)
      assert(list[1].broken)
      local ok, why = pcall(list[1].box, list[1])
      print(not ok and why:find "image aaa: .*JSON" and "no table")
      assert(list[1]:remove())
      print(ns.images()[1].name:match "one" and "small")
      os.execute("rm -r " .. D .. "/data/ns/layers/*")
      assert(ns.images()[1]:remove())
      print(#ns.images())]])
  end)

  local MANIFESTS = { "[1]", '[{"Layers":[{}]}]', '[{"Config":"config.json","Layers":[{}]}]', '["x"]', '"x"', "[[]]",
    '[{"Config":{},"Layers":["l1/layer.tar"]}]', '[{"Config":"config.json","RepoTags":[{}],"Layers":["l1/layer.tar"]}]',
    ("["):rep(200000), ("["):rep(100000) .. ("]"):rep(100000), '[{"Config":"config.json","RepoTags":5}]' }
  local CONFIGS = { '"Volumes":{"../../x":{}}', '"Volumes":{"/../x":{}}', '"Volumes":["x",3]', '"WorkingDir":"rel/x"',
    '"WorkingDir":"/../x"', '"WorkingDir":"/' .. ("x"):rep(5000) .. '"', '"User":"0:99999999999999"',
    '"User":"99999999999999999999"', '"Env":{"a":1}', '"Env":["A\\u0000B=1"]', '"Cmd":{"a":"b"}', '"Cmd":[["a"]]',
    '"Entrypoint":"sh"', '"Labels":5', '"ExposedPorts":["80"]', '"StopSignal":{}' }

  it_runs("refuses what an image says wrongly, and raises nothing", function()
    small_tar "one"
    local tried = 0
    local function try(manifest, config)
      local file = directory .. "/x.tar"
      images.saved(file, "x:1", { directory .. "/one.tar" }, config)
      if manifest then
        sh([[mkdir "$1/x"; cd "$1/x"; tar -xf ../x.tar]], directory)
        machine.file(directory .. "/x/manifest.json", manifest)
        sh([[cd "$1/x"; tar -cf ../x.tar .; rm -r "$1/x"]], directory)
      end
      tried = tried + 1
      sh([[mv "$1/x.tar" "$1/$2.tar"]], directory, tostring(tried))
    end
    for _, one in ipairs(MANIFESTS) do try(one) end
    for _, one in ipairs(CONFIGS) do try(nil, one) end
    assert.equal(("%d refused"):format(tried), run(([[
      local count = 0
      for i = 1, %d do
        local ok, image, message = pcall(ns.image, "docker-archive:" .. D .. "/" .. i .. ".tar:x:1")
        if ok and image == nil and type(message) == "string" then
          count = count + 1
        else
          print(i, ok, image, ok and image and pcall(image.box, image, "x"))
        end
      end
      print(count .. " refused")]]):format(tried)))
    assert.equal("", left())
  end)

  machine.it("user", "overlay", "sandbox")("takes a tar whose top is closed to the user, and removes it again", function()
    sh([[cd "$1"; mkdir s; echo x >s/f; tar -C s --mode=000 -cf x.tar ./f --no-recursion .; tar -C s --mode=555 -cf y.tar .
      chmod 777 .]], directory)
    assert.equal("nil\tnil\n0", run([[
      local x, why = ns.image(D .. "/x.tar")
      local y, why2 = ns.image(D .. "/y.tar")
      print(why, why2)
      assert(x:remove())
      assert(y:remove())
      print(#ns.images())]], { nobody = true }))
    assert.equal("", left())
  end)

  it_runs("does not make its host large, however many long names a small archive has", function()
    sh([[cd "$1"; mkdir d; long=$(printf './%.0s' $(seq 1900)); yes d | head -n 15000 >names
      tar -c --no-recursion --transform "s,^,$long," -T names | gzip >x.tar]], directory)
    assert.equal("true\n1\ntrue", run [[
      local image = assert(ns.image(D .. "/x.tar"))
      print(require("lfs").attributes(image.layers[1] .. "/d", "mode") == "directory")
      local count = 0
      for name in require("lfs").dir(image.layers[1]) do count = count + (name:find "^%." and 0 or 1) end
      print(count)
      local f = io.open "/proc/self/status"
      local most = tonumber(f:read("*a"):match "VmHWM:%s*(%d+)")
      f:close()
      print(most < 60000 or most)]])
    assert.matches("x.tar has more than 14999 entries: max_entries",
      run [[print((select(2, ns.image(D .. "/x.tar", { max_entries = 14999 }))))]])
  end)

  it_runs("knows a directory of an archive by whatever name it has", function()
    local tars = {}
    for i, mode in ipairs { "750", "700" } do
      sh([[cd "$1"; mkdir s$2; cd s$2; for d in '\101' 'a\nb' "$(printf 'x\ny\1')"; do mkdir -m "$3" "$d"; : >"$d/f"; done
        tar -cf ../s$2.tar .]], directory, tostring(i), mode)
      tars[i] = directory .. "/s" .. i .. ".tar"
    end
    images.layout(directory .. "/oci", "x", tars)
    assert.equal("3", run [[
      local image = assert(ns.image("oci:" .. D .. "/oci:x"))
      local f = io.popen("find " .. image.layers[1] .. " -mindepth 1 -type d -perm 700 -printf x | wc -c")
      io.write(f:read "*n")]])
  end)

  it_runs("has the files by which names are resolved below an image that has none", function()
    images.root(directory .. "/root")
    images.tar(directory .. "/none.tar", directory .. "/root")
    machine.file(directory .. "/root/etc/hosts", "10.0.0.1 own\n")
    images.tar(directory .. "/own.tar", directory .. "/root")
    local servers = machine.read "/etc/resolv.conf" or ""
    assert.equal(("127.0.0.1 localhost\n::1 localhost\n%s\n644\n10.0.0.1 own\n%s"):format(servers, servers), run [[
      local none, own = assert(ns.image(D .. "/none.tar")), assert(ns.image(D .. "/own.tar"))
      io.write(none:box():run("sh", "-c", "cat /etc/hosts /etc/resolv.conf; echo; stat -c %a /etc/hosts").stdout)
      io.write(own:box():run("cat", "/etc/hosts", "/etc/resolv.conf").stdout)
      local r = none:box():upper(D .. "/data/kept"):run("sh", "-c", "echo 10.0.0.2 mine >>/etc/hosts")
      assert(tostring(r:changes()) == "C /etc/hosts", tostring(r:changes()))
      io.stderr:write "\n"]] )
  end)

  -- ---- disks ----

  machine.root_it("is whole on a disk of whatever size, full at whatever moment", function()
    if not machine.can.tree then return pending(machine.why.tree) end
    images.root(directory .. "/root")
    sh([[cd "$1"; mkdir s data; echo s >s/f; tar -C s -cf a.tar .; mkdir d; cd d
      for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo $i >$i; done; tar -cf ../x.tar .]], directory)
    assert.equal("whole", run([[
      local taken, refused = 0, 0
      for free = 0, 36, 4 do
        assert(os.execute("mount -t tmpfs -o nr_inodes=" .. (free + 22) .. " x " .. D .. "/data"))
        assert(ns.image(D .. "/a.tar"))
        assert(os.execute("cd " .. D .. "/data && i=0; while [ $i -lt 3 ]; do : >fill$i; i=$((i+1)); done"))
        local image = ns.image(D .. "/x.tar")
        if image then taken = taken + 1 else refused = refused + 1 end
        for _, one in ipairs(assert(ns.images())) do
          assert(not one.broken, one.broken)
          local f = io.popen("ls " .. one.layers[1] .. " | wc -l")
          assert(f:read "*n" == (one.name:find "/a.tar" and 1 or 16), one.name)
          f:close()
        end
        local f = io.popen("find " .. D .. "/data -name '.tmp*' | wc -l")
        assert(f:read "*n" == 0)
        f:close()
        assert(#ns.images() == (image and 2 or 1))
        assert(os.execute("umount " .. D .. "/data"))
      end
      print(taken > 0 and refused > 0 and "whole" or taken .. " " .. refused)]],
      { under = { "unshare", "-m", "--propagation", "private" } }))
  end)
end)
