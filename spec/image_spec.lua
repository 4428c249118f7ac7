--- Images of containers: unpacked into a store, and run; and those that mean harm.
local images = require "support.images"
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"
local sh = images.sh

local CONFIG = [["Env":["PATH=/bin","LANG=C","EMPTY="],"Cmd":["cat","/etc/base"],"WorkingDir":"/data","User":"",
  "Volumes":{"/vol":{}},"ExposedPorts":{"80/tcp":{}},"Labels":{"a":"b"},"StopSignal":"SIGINT"]]

--- A directory with the tars of two layers: a small system; and above it a file that is changed, one that is removed, and a
-- directory that is replaced. The second has no entry for srv/full, on the way to a file of its own.
local function make_layers(directory)
  images.root(directory .. "/root")
  images.tar(directory .. "/1.tar", directory .. "/root")
  sh([[cd "$1"; mkdir -p two/etc two/srv/opaque two/srv/full; echo two >two/etc/base; : >two/etc/.wh.gone
    : >two/srv/opaque/.wh..wh..opq; echo b >two/srv/opaque/b; echo y >two/srv/full/y
    tar -C two --owner=0 --group=0 -cf 2.tar ./etc/base ./etc/.wh.gone ./srv/opaque ./srv/full/y]], directory)
  return { directory .. "/1.tar", directory .. "/2.tar" }
end

--- Runs Lua in a host of this way, with the store in the directory D; what it prints.
local function host(way, directory, code, options)
  options = options or {}
  local spec = { cwd = "/", env = machine.paths(machine.public()) }
  spec.env.XDG_DATA_HOME, spec.env.PATH = directory .. "/data", options.path
  local r = machine.host(("local ns, D = require 'ns', %q\n%s"):format(directory, code),
    { nobody = way.nobody, spec = spec, timeout = 120, under = options.under })
  return ((r.stdout .. r.stderr):gsub("\n$", ""))
end

local SEEN = "cat /etc/base; ls /etc /srv/opaque; cat /srv/full/y /srv/full/deep/x; stat -c %a /srv/full"
local SHOWN = "two\n/etc:\nbase\ngroup\nhosts\npasswd\nresolv.conf\n\n/srv/opaque:\nb\ny\nx\n750"

for _, way in ipairs { ways.range, ways.user } do
  if way == ways.user or machine.root then
    ways.describe(way)("an image " .. way.name .. " #system", function()
      local it_runs = way == ways.range and machine.it("overlay", "tree", "sandbox") or machine.it("overlay", "sandbox")
      local directory, remove, tars

      setup(function()
        directory, remove = ways.directory(way)
        tars = make_layers(directory)
        images.layout(directory .. "/oci", "one", tars, CONFIG)
        images.saved(directory .. "/saved.tar", "small:1", tars, CONFIG)
        if way.nobody and machine.root then sh([[chown -R 65534:65534 "$1"]], directory) end
      end)

      teardown(function() remove() end)
      after_each(function()
        sh([[rm -rf "$1/data"]], directory)
      end)

      for kind, reference in pairs { ["a layout"] = 'oci:" .. D .. "/oci:one', ["docker's archive"] =
        'docker-archive:" .. D .. "/saved.tar:small:1' } do
        it_runs("of " .. kind .. " has all layers, with what these hide of each other", function()
          assert.equal(SHOWN, host(way, directory, ([[
            local image = assert(ns.image("%s"))
            local r = assert(image:box():run("sh", "-c", %q))
            io.write(r.stdout, r.stderr)]]):format(reference, SEEN)))
        end)
      end

      it_runs("is unpacked once, and is in the list until it is removed", function()
        assert.equal("2\ttrue\toci:" .. directory .. "/oci:one\ttrue\n0\t0", host(way, directory, [[
          local lfs = require "lfs"
          local image = assert(ns.image("oci:" .. D .. "/oci:one"))
          local before = lfs.attributes(image.layers[1]).change
          os.execute "sleep 1.1"
          assert(ns.image("oci:" .. D .. "/oci:one"))
          local list = ns.images()
          print(#image.layers, before == lfs.attributes(image.layers[1]).change, list[1].name, #list[1].id == 64)
          assert(list[1]:remove())
          local f = io.popen("ls -A " .. D .. "/data/ns/layers | wc -l")
          print(#ns.images(), f:read("*n"))]]))
      end)

      it_runs("says what is to be run, and where", function()
        assert.equal("two\n/data:C::/root:0\n/vol,80/tcp,b,SIGINT\nprog a b\n/vol\n", host(way, directory, [[
          local image = assert(ns.image("oci:" .. D .. "/oci:one"))
          io.write(image:box():run().stdout)
          io.write(image:box():run("sh", "-c", "echo $(pwd):$LANG:$EMPTY:$HOME:$(id -u)").stdout)
          local c = image.config
          print(c.volumes[1] .. "," .. c.ports[1] .. "," .. c.labels.a .. "," .. c.stop_signal)
          c.entrypoint = { "echo", "prog" }
          io.write(image:box("a", "b"):run().stdout)
          io.write(image:box():run("ls", "-d", "/vol").stdout)]]) .. "\n")
      end)

      it_runs("is not changed by what a program does, unless that is kept", function()
        assert.equal("mine\ntwo\nmine\nC /etc/base", host(way, directory, [[
          local image = assert(ns.image("oci:" .. D .. "/oci:one"))
          local b = image:box():argv("sh", "-c", "echo mine >/etc/base; cat /etc/base")
          io.write(b:run().stdout, image:box():run().stdout)
          b:upper(D .. "/data/kept"):run()
          local r = image:box():upper(D .. "/data/kept"):run()
          io.write(r.stdout)
          print(r:changes())]]))
      end)

      it_runs("can be a directory, or one tar, however it is packed", function()
        for _, pack in ipairs { "gzip", "xz", "bzip2", "zstd", "cat" } do
          if sh("command -v " .. pack .. " || true") ~= "" then
            sh(pack .. [[ <"$1/1.tar" >"$1/one.tar"]], directory)
            assert.equal("base", host(way, directory, [[
              io.write(assert(ns.image(D .. "/one.tar")):box():run("cat", "/etc/base").stdout)]]))
          end
        end
        assert.equal("base\n1", host(way, directory, [[
          local image = assert(ns.image("dir:" .. D .. "/root"))
          io.write(image:box():run("/bin/cat", "/etc/base").stdout)
          assert(image:remove())
          print(#ns.images())]]))
        assert.truthy(lfs.attributes(directory .. "/root/etc/base"))
      end)
    end)
  end
end

describe("an image #system", function()
  local it_runs = machine.it("user", "overlay", "sandbox", "tree")
  local way = machine.root and ways.range or ways.user
  local directory, remove

  before_each(function() directory, remove = machine.directory() end)
  after_each(function() remove() end)

  local function run(code, options) return host(way, directory, code, options) end

  --- What is in the store, but for the two directories that it always has.
  local function left() return sh([[cd "$1/data/ns" && find . -mindepth 1 ! -path ./layers ! -path ./images]], directory) end

  --- The message with which an image of one tar is refused; and that nothing is left of it.
  local function refused(options)
    local said = run(("print((select(2, ns.image(D .. '/x.tar', %s))))"):format(options or "nil"))
    assert.equal("", left())
    return (said:gsub("^image [^\n]-/x%.tar: ", ""))
  end

  --- What is wrong with an image of the directory, which is named before.
  local function why(kind, name)
    local full = kind .. directory .. name
    local said, before = run(("print((select(2, ns.image(%q))))"):format(full)), ("image %s: "):format(full)
    assert.equal(before, said:sub(1, #before))
    return said:sub(#before + 1)
  end

  machine.root_it("keeps owners, modes, links and attributes as root", function()
    if not machine.can.tree then return pending(machine.why.tree) end
    images.root(directory .. "/root")
    sh([[cd "$1/root"; echo s >etc/s; chown 5:6 etc/s; chmod 4751 etc/s; ln etc/s etc/hard; ln -s /nowhere etc/l
      mkfifo etc/p
      mkdir -m 0 etc/closed; touch -d @1000 etc/base; : >"etc/new
line"
      tar --numeric-owner -cf ../x.tar .]], directory)
    assert.equal("5:6 4751 2 5:6 4751 2\n1000\n0\n/nowhere\n1", run([[
      local image = assert(ns.image(D .. "/x.tar"))
      local r = image:box():run("sh", "-c", "cd /etc; echo $(stat -c '%u:%g %a %h' s hard); " ..
        "stat -c %Y base; stat -c %a closed; " ..
        "readlink l 2>/dev/null || busybox readlink l; ls -d new* | head -n 1 | wc -l")
      io.write(r.stdout, r.stderr)]]))
  end)

  machine.root_it("runs as the user that it names, by the image's own names", function()
    if not machine.can.tree then return pending(machine.why.tree) end
    images.root(directory .. "/root")
    local tar = images.tar(directory .. "/1.tar", directory .. "/root")
    for user, ids in pairs { www = "33:34 /srv", ["www:web"] = "33:35 /srv", ["7"] = "7:0 /", ["7:8"] = "7:8 /" } do
      images.layout(directory .. "/oci", "u", { tar }, ('"Env":["PATH=/bin"],"User":"%s"'):format(user))
      assert.equal(ids, run([[io.write(assert(ns.image("oci:" .. D .. "/oci:u")):box():run("sh", "-c",
        "echo $(id -u):$(id -g) $HOME").stdout)]]))
      assert.equal("0000000000000000 0000000000000000", run([[io.write(assert(ns.image("oci:" .. D .. "/oci:u")):box():run(
        "sh", "-c", "echo $(sed -n 's/Cap[EA][fm][fb]:.//p' /proc/self/status)").stdout)]]))
    end
    images.layout(directory .. "/oci", "u", { tar }, '"Env":["PATH=/bin"],"User":"root"')
    assert.not_equal("0000000000000000", run([[io.write(assert(ns.image("oci:" .. D .. "/oci:u")):box():run(
      "sh", "-c", "echo $(sed -n 's/CapEff:.//p' /proc/self/status)").stdout)]]))
    images.layout(directory .. "/oci", "u", { tar }, '"User":"eve"')
    assert.matches("image oci:[^\n]*: there is no user 'eve' in it",
      run [[print(select(2, pcall(assert(ns.image("oci:" .. D .. "/oci:u")).box, ns.image("oci:" .. D .. "/oci:u"))))]])
  end)

  it_runs("with a digest that is not right is not taken", function()
    images.root(directory .. "/root")
    local tar = images.tar(directory .. "/1.tar", directory .. "/root")
    images.layout(directory .. "/oci", "one", { tar })
    sh([[cd "$1/oci/blobs/sha256"; big=$(ls -S | head -n 1); cp "$big" ../big; printf x >>"$big"]], directory)
    assert.matches("^blobs/sha256/%x+ has the digest %x+$", why("oci:", "/oci:one"))
    assert.equal("", left())
    sh([[cd "$1/oci/blobs/sha256"; big=$(ls -S | head -n 1); mv ../big "$big"
      small=$(ls -Sr | head -n 1); printf ' ' >>"$small"]],
      directory)
    assert.matches("^blobs/sha256/%x+ has the digest %x+$", why("oci:", "/oci:one"))
    -- another tar than the configuration says
    sh([[rm -r "$1/oci"]], directory)
    images.layout(directory .. "/oci", "one", { tar }, nil, { pack = '(cat "$1"; head -c 512 /dev/zero) | gzip -nc' })
    assert.matches("^the layer %x+ has the digest %x+$", why("oci:", "/oci:one"))
    assert.equal("", left())
  end)

  it_runs("that is none is told by what is wrong with it", function()
    images.root(directory .. "/root")
    local tar = images.tar(directory .. "/1.tar", directory .. "/root")
    images.layout(directory .. "/oci", "one", { tar })
    assert.equal("there is no image 'two' in it", why("oci:", "/oci:two"))
    assert.matches("No such file", why("oci:", "/none:one"))
    assert.matches("No such file", why("", "/none.tar"))
    local index = directory .. "/oci/index.json"
    machine.file(index, (machine.read(index):gsub('"manifests":%s*%[(.*)%]', function(one)
      return ('"manifests":[%s,%s]'):format(one, (one:gsub('"one"', '"two"')))
    end)))
    assert.equal("there are several images in it: 'one', 'two': say which", why("oci:", "/oci"))
    images.layout(directory .. "/oci", "one", { tar }, nil,
      { kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" })
    assert.matches("^layer 1 is of the kind 'application", why("oci:", "/oci:one"))
    for _, text in ipairs { "{", "[]", '{"manifests":5}', '{"manifests":[{"digest":"sha256:../../../etc/passwd"}]}',
      '{"manifests":[{"digest":"sha256:' .. ("A"):rep(64) .. '"}]}', '{"manifests":[{"digest":null}]}',
      '{"manifests":null}' } do
      machine.file(directory .. "/oci/index.json", text)
      assert.matches("no JSON$", (why("oci:", "/oci")
        :gsub("^there is none in it for this machine", "no JSON"):gsub("^'.*' is no digest$", "no JSON")
        :gsub("^'manifests' of the image is no table$", "no JSON")))
    end
    machine.file(directory .. "/x.tar", "this is no archive")
    assert.matches("tar: This does not look like a tar archive", refused())
    sh([[gzip <"$1/1.tar" | head -c 3000 >"$1/x.tar"]], directory)
    assert.matches("unexpected end of file", refused())
    for _, name in ipairs { "", "oci:", "dir:", "a\nb", "docker:a b" } do
      assert.matches("bad argument to 'image' %(image", run(("print(select(2, pcall(ns.image, %q)))"):format(name)))
    end
  end)

  -- ---- registries ----

  --- A skopeo that finds the image "x" in the directory D, and says what it was asked for.
  local FAKE = [[#!/bin/sh
    echo "$*" >>"$D/asked"; for to; do :; done; to=${to#oci:}
    case "$*" in *missing*) echo "no such image" >&2; exit 1;; esac
    cp -r "$D/oci" "${to%:*}"]]

  it_runs("of a registry is fetched by skopeo, once", function()
    images.root(directory .. "/root")
    local tar = images.tar(directory .. "/1.tar", directory .. "/root")
    images.layout(directory .. "/oci", "image", { tar }, '"Cmd":["/bin/ls","/srv"]')
    sh([[mkdir "$1/bin"; printf %s "$2" | sed "s,\$D,$1,g" >"$1/bin/skopeo"; chmod 755 "$1/bin/skopeo"]], directory, FAKE)
    local path = { path = directory .. "/bin:" .. os.getenv "PATH" }
    assert.equal("docker.io/library/small:latest\tfull,opaque\n"
      .. "image docker://127.0.0.1:5000/a/missing:2: skopeo: no such image\tdocker.io/library/small:latest", run([[
      for _ = 1, 2 do assert(ns.image "small") end
      local image = assert(ns.image("small", { pull = true, tls_verify = false }))
      io.write(image.name, "\t", (image:box():run().stdout:gsub("\n", ",", 1)))
      local _, message = ns.image "docker://127.0.0.1:5000/a/missing:2"
      io.write(message, "\t", ns.images()[1].name)]], path))
    local asked = machine.read(directory .. "/asked")
    local from = {}
    for options, name in asked:gmatch("copy( [^\n]-)docker://(%S+) oci:[^\n]*\n") do
      from[#from + 1] = name .. (options:find("tls%-verify=false") and " plain" or "")
    end
    assert.same({ "docker.io/library/small:latest", "docker.io/library/small:latest plain",
      "127.0.0.1:5000/a/missing:2" }, from)
  end)

  it_runs("of a registry is refused, with the name of the package, where there is no skopeo", function()
    sh([[mkdir "$1/bin"; ln -s "$(command -v "$2")" "$1/bin/"]], directory, machine.lua)
    assert.equal("image small: images of registries are fetched by skopeo, which is not installed: apt-get install skopeo",
      run([[io.write((select(2, ns.image "small")))]], { path = directory .. "/bin" }))
  end)

  machine.it("skopeo", "python", "overlay", "tree", "sandbox")("of a registry on this machine is fetched", function()
    images.root(directory .. "/root")
    local tar = images.tar(directory .. "/1.tar", directory .. "/root")
    images.layout(directory .. "/oci", "any", { tar }, '"Cmd":["/bin/cat","/etc/base"]')
    local server = assert(ns.spawn { "/usr/bin/python3", machine.top .. "/spec/support/registry.py", directory .. "/oci",
      stdout = "pipe" })
    local code = ([[
      local image = assert(ns.image("docker://127.0.0.1:%s/small:1", { tls_verify = false }))
      io.write(image.name:match("/.*"), " ", image:box():run().stdout)
      print((ns.image("docker://127.0.0.1:%s/small:missing", { tls_verify = false })))]])
      :gsub("%%s", (server.stdout:read("*l")))
    local said = run(code)
    server:close()
    assert.equal("/small:1 base\nnil", said)
  end)

  -- ---- those that mean harm ----

  local function tar_of(line)
    sh([[mkdir -p "$1/evil"; cd "$1/evil"; ]] .. line, directory)
  end

  --- Nothing beside the store has changed.
  local function outside()
    return sh([[cd "$1"
      find . -mindepth 1 -path ./data -prune -o -path ./x.tar -prune -o -printf '%p %y %s %m %l %T@\n' | sort]], directory)
  end

  it_runs("puts nothing outside of the store, by '..', an absolute path, a link or a hard link", function()
    sh([[echo secret >"$1/victim"; chmod 600 "$1/victim"]], directory)
    local rows = {
      [[echo EVIL >f; tar -cPf ../x.tar --transform 's,f,../../../escaped,' f]],
      [[echo EVIL >f; tar -cPf ../x.tar --transform "s,f,$1/escaped," f]],
      [[ln -s "$1" way; tar -cf ../x.tar way; rm way; mkdir way; echo EVIL >way/escaped; tar -rf ../x.tar way/escaped]],
      [[ln -s ../../../.. way; tar -cf ../x.tar way; rm way; mkdir way; echo EVIL >way/escaped
        tar -rf ../x.tar way/escaped]],
      [[ln -s "$1/victim" f; tar -cf ../x.tar f; rm f; echo EVIL >f; tar -rf ../x.tar f]],
      [[echo EVIL >a; ln a b; tar -cPf ../x.tar --transform "flags=h;s,^a\$,$1/victim,h" a b; rm a]],
      [[ln -s "$1" way; tar -cf ../x.tar way; rm way; mkdir way; : >way/.wh.victim; tar -rf ../x.tar way/.wh.victim]],
      [[: >.wh...; tar -cf ../x.tar .wh...]], [[: >.wh.; tar -cf ../x.tar .wh.]],
    }
    for number, line in ipairs(rows) do
      sh([[rm -rf "$1/evil" "$1/x.tar"]], directory)
      tar_of(line)
      local before = outside()
      run [[
        local image = ns.image(D .. "/x.tar")
        if image then image:box():run("/bin/sh", "-c", "true") end]]
      assert.equal(before, outside(), "row " .. number)
      assert.equal("secret\n", machine.read(directory .. "/victim"))
      for _, path in ipairs { "/escaped", "/tmp/escaped", "/layer/escaped" } do assert.is_nil(lfs.attributes(path)) end
      assert.equal("", sh([[find "$1/data" -samefile "$1/victim"; grep -rlx secret "$1/data" || true]], directory))
    end
  end)

  it_runs("brings no device, and no mark of an overlay's own", function()
    if not machine.root then return pending("only root makes a device for the archive") end
    images.root(directory .. "/root")
    sh([[cd "$1/root"; mkdir dev; mknod dev/sda b 8 0; mknod dev/mem c 1 1; mkdir d; echo d >d/f
      tar --xattrs -cf ../x.tar .; cd ..; python3 - <<'P'
import tarfile, io
t = tarfile.open("x.tar", "a", format=tarfile.PAX_FORMAT)
m = tarfile.TarInfo("srv"); m.type = tarfile.DIRTYPE; m.mode = 0o755
m.pax_headers = {"SCHILY.xattr.user.overlay.redirect": "/etc", "SCHILY.xattr.trusted.overlay.redirect": "/etc",
  "SCHILY.xattr.user.overlay.opaque": "y", "SCHILY.xattr.user.fine": "v"}
t.addfile(m); t.close()
P]], directory)
    local xattr = machine.program "xattr"
    assert.equal("a device is left out\nnone", run([[
      local image = assert(ns.image(D .. "/x.tar"))
      print(table.concat(image.notes, ","))
      local f = io.popen("find " .. D .. "/data '(' -type b -o -type c ')' | grep . || echo none")
      io.write(f:read "*a")]]))
    local said = sh(xattr .. [[ "$1"/data/ns/layers/*/srv]], directory)
    assert.truthy(said:find("user.fine", 1, true), said)
    assert.is_nil(said:find("overlay", 1, true), said)
  end)

  it_runs("that unpacks to more than is allowed is stopped, and leaves nothing", function()
    sh([[head -c 50000000 /dev/zero >"$1/big"; cd "$1"; tar -czf x.tar big]], directory)
    assert.matches("x%.tar is more than 1000000 bytes when it is unpacked: max_size", refused "{ max_size = 1000000 }")
    sh([[cd "$1"; rm big; truncate -s 1T big; tar -cSzf x.tar big]], directory) -- an archive of a few bytes, of holes
    assert.matches("File .*", refused "{ max_size = 1000000 }")
  end)

  --- An archive whose first header says of a name, or of attributes, that these have 3 GiB; what follows is cut off.
  local function endless(kind)
    local head = "n" .. ("\0"):rep(99) .. "0000644\0" .. ("0000000\0"):rep(2) .. ("%011o\0"):format(3 * 2 ^ 30)
      .. "00000000000\0" .. (" "):rep(8) .. kind .. ("\0"):rep(100) .. "ustar\00000" .. ("\0"):rep(247)
    local sum = 0
    for i = 1, #head do sum = sum + head:byte(i) end
    return head:sub(1, 148) .. ("%06o\0 "):format(sum) .. head:sub(157) .. ("\0"):rep(10240)
  end

  it_runs("that makes tar take very much memory is refused, with the reason", function()
    for _, kind in ipairs { "L", "K", "x" } do
      machine.file(directory .. "/x.tar", endless(kind))
      assert.equal("x.tar needs more than 1024 MiB of memory to be unpacked: tar: memory exhausted", refused(), kind)
    end
  end)

  --- What an image of a layout says, in a layer with these users and groups, where a box of it is asked for.
  local function box_of(config, passwd, arguments)
    images.root(directory .. "/root")
    machine.file(directory .. "/root/etc/passwd", passwd or "root:x:0:0::/root:/bin/sh\n")
    machine.file(directory .. "/root/etc/group", "big:x:4294967295:\nnul:x:5\0:\nbig:x:7:\n")
    images.layout(directory .. "/oci", "u", { images.tar(directory .. "/1.tar", directory .. "/root") },
      '"Env":["PATH=/bin"],' .. config)
    local said = run(([[
      local image = assert(ns.image("oci:" .. D .. "/oci:u"))
      local ok, b = pcall(image.box, image%s)
      local r = ok and b:run("sh", "-c", "echo $(id -u):$(id -g):$HOME:$(pwd)")
      io.write(r and r.stdout or tostring(b))]]):format(arguments or ""))
    sh([[rm -rf "$1/root" "$1/oci" "$1/data"]], directory)
    return (said:gsub("^[^\n]-:%d+: ", ""):gsub(directory:gsub("%p", "%%%0"), "D"))
  end

  it_runs("with users that cannot be has none of them, and it is the image that is named", function()
    local passwd = "eve:x:18446744073709551616:0::/:\nbob:x:0:4294967295::/:\nnul:x:5:5::/a\0b:\nlong:x:5:5::/"
      .. ("h"):rep(4095) .. ":\nnul\0:x:0:0::/:\n"
    for _, user in ipairs { "eve", "bob", "nul", "long", "0:nul" } do
      assert.equal(("image oci:D/oci:u: there is no user '%s' in it"):format(user),
        box_of(('"User":"%s"'):format(user), passwd))
    end
    local group = machine.root and "7" or "0"
    assert.equal("0:" .. group .. ":/root:/", box_of('"User":"root:big"', "root:x:4294967295:0::/no:\nroot:x:0:0::/root:\n"))
  end)

  it_runs("that says what cannot be is the one that is named; arguments are the caller's", function()
    assert.equal("image oci:D/oci:u: argv[1]: empty string", box_of '"Entrypoint":[""]')
    assert.equal("image oci:D/oci:u: argv[1]: empty string", box_of '"Cmd":[""]')
    assert.matches("^image oci:D/oci:u: env%.A: 200002 bytes are too long",
      box_of(('"Env":["A=%s"]'):format(("a"):rep(200000))))
    assert.matches("^argv%[2%]: string expected", box_of('"Entrypoint":["echo"]', nil, ", {}"))
  end)

  it_runs("may have the top as its directory, and as a volume", function()
    for _, path in ipairs { "/", "//", "/.", "/././" } do
      assert.equal("0:0:/root:/", box_of(('"WorkingDir":"%s","Volumes":{"%s":{}}'):format(path, path)))
    end
  end)

  it_runs("of a full disk leaves the store whole", function()
    if not machine.root then return pending("only root makes a disk of a size") end
    images.root(directory .. "/root")
    sh([[cd "$1"; tar -C root -cf a.tar .; head -c 3000000 /dev/urandom >root/big; tar -C root -cf x.tar .]], directory)
    assert.matches("^image [^\n]*/x.tar: tar: [^\n]*\nbase\n1$", run([[
      assert(ns.image(D .. "/a.tar"))
      print((select(2, ns.image(D .. "/x.tar"))))
      io.write(ns.image(D .. "/a.tar"):box():run("/bin/cat", "/etc/base").stdout)
      local f = io.popen("ls -A " .. D .. "/data/ns/layers | wc -l")
      print(f:read("*n"))]], { under = { "unshare", "-m", "--propagation", "private", "sh", "-c",
      ("mkdir %s/data && mount -t tmpfs -o size=4m x %s/data && exec \"$@\""):format(directory, directory), "sh" } }))
  end)

  it_runs("whose unpacking is killed leaves the store whole, and what is left goes with the next", function()
    images.root(directory .. "/root")
    sh([[cd "$1"; head -c 30000000 /dev/urandom >root/big; tar -C root -cf x.tar .]], directory)
    for _, delay in ipairs { 0.05, 0.15, 0.3 } do
      local p = assert(ns.spawn { machine.lua, "-e", ("require('ns').image(%q)"):format(directory .. "/x.tar"),
        env = (function()
          local env = machine.paths(machine.public())
          env.XDG_DATA_HOME = directory .. "/data"
          return env
        end)() })
      ns.run { "sleep", tostring(delay) }
      p:kill("KILL")
      p:wait()
      p:close()
      local said = run([[for _, image in ipairs(ns.images()) do print(image.name) end]])
      assert.truthy(said == "" or said == "tar:" .. directory .. "/x.tar", said)
    end
    assert.equal("base\n1", run([[
      io.write(assert(ns.image(D .. "/x.tar")):box():run("/bin/cat", "/etc/base").stdout)
      local f = io.popen("ls -Ad " .. D .. "/data/ns/.tmp-* " .. D .. "/data/ns/layers/* 2>/dev/null | wc -l")
      print(f:read("*n"))]]))
  end)
end)
