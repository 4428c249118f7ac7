--- nsbox cp and nsbox bundle: files go into a box and come out, and what is in the box leads nowhere else.
local images = require "support.images"
local machine = require "support.machine"
local nsbox = require "support.nsbox"

local WHO = { ["an ordinary user"] = true, [machine.root and "root" or "an ordinary user"] = not machine.root }
local describe_it = nsbox.works and machine.describe("sandbox") or machine.without("describe", nsbox.why)

for who, nobody in pairs(WHO) do
  describe_it("nsbox cp, for " .. who .. " #system", function()
    local user

    --- A shell line in the home of the user, as that user.
    local function sh(line)
      local owner = nobody and machine.root and "chown -R 65534:65534 $1; " or ""
      return images.sh(("cd $1; %s\n%s true"):format(line, owner), user.home)
    end

    setup(function()
      user = nsbox.user(nobody)
      images.root(user.home .. "/root")
      sh("cd root; for t in tar sleep test; do ln -s busybox bin/$t; done; mkdir proc dev sys")
      user.out("run", "-d", "--name", "b", "--rootfs", user.home .. "/root", "/bin/sh", "-c", "sleep 1000")
    end)

    teardown(function() user.leave() end)
    before_each(function() sh("rm -rf t; mkdir t; echo mine >t/f; mkdir -p t/d/e; echo deep >t/d/e/f; ln -s f t/d/l") end)

    local function inside(line) return user.out("exec", "b", "/bin/sh", "-c", line) end

    it("copies files and directories into a box, under their name or another", function()
      user.out("cp", "t/f", "b:/data")
      user.out("cp", "t/f", "b:/data/g")
      user.out("cp", "t/d", "b:/data")
      user.out("cp", "t/d", "b:/data/other")
      assert.equal("mine\nmine\ndeep\nf\ndeep", inside("cd data; cat f g d/e/f; readlink d/l; cat other/e/f"))
      inside("rm -rf /data/*")
    end)

    it("gives what goes in to the user of the box", function()
      user.out("run", "-d", "--name", "gnu", "--system", "sleep", "1000") -- its tar tries to keep owners, and says so
      user.out("cp", "t/d", "gnu:/tmp/new")
      assert.equal("deep\nours", user.out("exec", "gnu", "sh", "-c",
        "cat /tmp/new/e/f; [ $(stat -c %u /tmp/new/e/f) = $(id -u) ] && echo ours"))
      sh "truncate -s 64M t/d/hole"
      user.out("cp", "t/d", "gnu:/tmp") -- holes stay holes, in both directions, where the box has GNU tar
      user.out("cp", "gnu:/tmp/d/hole", "t/hole")
      local line = "set -- $(stat -c '%s %b' $1/hole); [ $1 = 67108864 ] && [ $2 -lt 2000 ] && echo holes"
      assert.equal("holes", user.out("exec", "gnu", "sh", "-c", line, "sh", "/tmp/d"))
      assert.equal("holes", images.sh(line, user.home .. "/t"))
      user.out("rm", "-f", "gnu")
    end)

    it("copies files and directories out of a box, under their name or another", function()
      inside("mkdir -p /data/d/e; echo one >/data/d/e/f; ln -s f /data/d/e/l; chmod 640 /data/d/e/f")
      user.out("cp", "b:/data/d", "t/new")
      user.out("cp", "b:/data/d", "t/d")
      user.out("cp", "b:/data/d/e/f", "t/f")
      user.out("cp", "b:/data/d/.", "t/all")
      assert.equal("one\none\none\nf\n640\none", sh("cat t/new/e/f t/d/d/e/f t/f; readlink t/new/e/l; stat -c %a t/new/e/f; "
        .. "cat t/all/e/f"))
      assert.equal("f\nnew", sh("ls -A t | grep -v -e '^d$' -e '^all$'"))
      inside("rm -rf /data/*")
    end)

    it("copies files that have several names, and not what has the name of one of them", function()
      sh("cd t; mkdir x; echo 1 >x/a; ln x/a x/b; ln x/a x/x")
      inside("mkdir -p /data/x /data/y; echo other >/data/x/a; echo other >/data/x/b; echo other >/data/x/x")
      user.out("cp", "t/x", "b:/data/new")
      user.out("cp", "t/x/.", "b:/data/y")
      assert.equal("1\n1\n1\n1\n1\n1\nother", inside "cd /data; cat new/a new/b new/x y/a y/b y/x x/a")
      inside("cd /data; echo 2 >new/a; rm new/b new/x; ln new/a new/b; ln new/a new/c")
      user.out("cp", "b:/data/new", "t/x")
      user.out("cp", "b:/data/new", "t/x")
      user.out("cp", "b:/data/new/.", "t/x")
      assert.equal("2\n2\n2\n2\n2\n1", sh "cd t/x; cat new/a new/b a b new/c x")
      inside("rm -rf /data/*")
    end)

    it("puts no directory in the place of a file, and no file in that of a directory", function()
      inside("mkdir -p /data/f /data/e /data/w/f; echo theirs >/data/g; echo theirs >/data/d; ln -s none /data/l")
      sh("mkdir -p t/w/g t/w/e; echo mine >t/w/d")
      for _, row in ipairs { { "t/d", "b:/data/g", "non%-directory /data/g in the box with a directory" },
        { "t/d", "b:/data", "non%-directory /data/d in the box with a directory" },
        { "t/d", "b:/data/l", "non%-directory /data/l in the box with a directory" },
        { "t/d/.", "b:/data/g", "non%-directory /data/g in the box with a directory" },
        { "t/f", "b:/data", "directory /data/f in the box with what is none" },
        { "b:/data/w", "t/f", "non%-directory .-/t/f with a directory" },
        { "b:/data/e", "t/w/d", "non%-directory .-/t/w/d with a directory" },
        { "b:/data/g", "t/w", "directory .-/t/w/g with what is none" } } do
        local r = user.run("cp", row[1], row[2])
        assert.equal(125, r.code, row[1])
        assert.matches("^nsbox: cannot overwrite " .. row[3], r.stderr)
      end
      assert.equal("theirs\ntheirs", inside "cat /data/g /data/d")
      assert.equal("mine\nmine", sh "cat t/f t/w/d")
      inside("rm -rf /data/*")
    end)

    it("copies neither from nor to standard streams, and says so", function()
      for _, words in ipairs { { "b:/etc", "-" }, { "-", "b:/data" } } do
        local r = user.run("cp", words[1], words[2])
        assert.equal(125, r.code)
        assert.matches("^nsbox: %-: no archive is read or written", r.stderr)
      end
      assert.equal("", sh "ls -A | grep -x -e - || true")
    end)

    it("comes to an end, however much there is to say of it", function()
      sh([[rm root/bin/tar; cat >root/bin/tar <<-'.'
	#!/bin/sh
	while [ $((n += 1)) -lt 9999 ]; do echo that is not so; done >&2; exit 1
	.
        chmod 755 root/bin/tar]])
      for _, words in ipairs { { "b:/etc", "t/x" }, { "t/d", "b:/data" } } do
        assert.equal("nsbox: that is not so\n", user.run("cp", words[1], words[2]).stderr)
      end
      sh "rm root/bin/tar; ln -s busybox root/bin/tar; rm -rf root/data/*"
    end)

    it("says what is missing, and leaves nothing", function()
      for _, words in ipairs { { "b:/none", "t/x" }, { "t/none", "b:/data" }, { "t/f", "b:/none/x" }, { "t/f", "t/g" },
        { "none:/x", "t/x" }, { "b:/x", "b:/y" } } do
        local r = user.run("cp", words[1], words[2])
        assert.equal(125, r.code, words[1])
        assert.matches("^nsbox: .", r.stderr)
      end
      assert.equal("d\nf", sh "ls -A t")
    end)

    it("gives what comes out the modes that the umask leaves, and none that runs as somebody else", function()
      inside("cd /data; cp /bin/busybox f; mkdir -p d/e; cp f d/e; chmod 6757 f d/e/f d/e; chmod 1777 d")
      for _, copy in ipairs { { "b:/data/f", "t/f" }, { "b:/data/d", "t/new" }, { "b:/data/d", "t" },
        { "b:/data/d/.", "t/all" } } do
        local p = user.spawn({ umask = "027" }, "cp", copy[1], copy[2])
        assert.truthy(p:wait(), copy[1])
        p:close()
      end
      assert.equal(("750\n"):rep(8), sh "stat -c %a t/f t/new t/new/e t/new/e/f t/d/e/f t/all t/all/e t/all/e/f" .. "\n")
      inside("rm -rf /data/*")
    end)

    -- CVE-2018-15664: docker looked the path up on the host
    it("follows links in the box, and not to this machine", function()
      sh("mkdir -p t/victim; echo secret >t/victim/key")
      local victim = user.home .. "/t/victim"
      inside(("ln -s %s /data/evil; ln -s ../../../../../../..%s /data/up"):format(victim, victim))
      for _, name in ipairs { "evil", "up" } do
        assert.equal(125, user.run("cp", "b:/data/" .. name .. "/key", "t/out").code)
        assert.equal(125, user.run("cp", "t/f", "b:/data/" .. name .. "/f").code)
      end
      assert.equal("key\nd\nf\nvictim", sh "ls -A t/victim; ls -A t")
      user.out("cp", "b:/data/evil", "t/link") -- the link itself is what is copied
      assert.equal(victim, sh "readlink t/link")
      user.out("cp", "b:/etc/passwd", "t/link2")
      inside("rm -rf /data/*")
    end)

    -- what a program of the box has made a link of, the next copy would have written to
    it("replaces links that a copy has brought out, and follows none of them", function()
      sh("mkdir t/victim t/victim/dir t/out; echo mine >t/victim/key; echo mine >t/victim/dir/f")
      for _, copy in ipairs { { "b:/data/d", "t/out" }, { "b:/data/d/.", "t/out/d" } } do
        inside(([[rm -rf /data/d; mkdir -p /data/d/in; ln -s %s/t/victim/key /data/d/y; cd /data/d/in
          ln -s %s/t/victim/dir z; ln -s z up]]):format(user.home, user.home))
        user.out("cp", copy[1], copy[2])
        assert.matches("/victim/dir$", sh "readlink t/out/d/in/z")
        inside("cd /data/d; rm y in/z in/up; echo evil >y; mkdir in/z in/up; echo evil >in/z/f; echo evil >in/up/f")
        user.out("cp", copy[1], copy[2])
        assert.equal("mine\nmine\nevil\nevil\nevil", sh "cat t/victim/key t/victim/dir/f t/out/d/y t/out/d/in/*/f")
        sh "rm -r t/out/*"
      end
      inside("rm -rf /data/*")
    end)

    it("replaces a link in the place of the copied name, and goes into a directory that is named by one", function()
      sh("mkdir t/victim; ln -s victim t/x; ln -s ../victim t/d/x; ln -s victim t/data; ln -s f t/y")
      inside("mkdir /data/x; echo one >/data/x/f; echo one >/data/y")
      user.out("cp", "b:/data/x", "t/d")
      user.out("cp", "b:/data/y", "t")
      assert.equal("mine\none\none", sh "ls -A t/victim; cat t/f t/d/x/f t/y")
      user.out("cp", "b:/data/x/f", "t/data")
      assert.equal("one", sh "cat t/victim/f")
      inside("rm -rf /data/*")
    end)

    -- CVE-2019-14271: what was loaded into docker's own process came from the container
    it("lets a tar of the box's own do no more than the box may, and write nothing beside the copy", function()
      sh([[mkdir -p t/victim evil; cd evil; rm -rf *; ln -s ../../victim x; ln -s $1/t/victim y
        tar -cf ../evil.tar x y; rm x y
        mkdir x y z; echo pwned >x/key; echo pwned >y/key; echo pwned >z/key; tar -rf ../evil.tar x/key y/key
        tar -rf ../evil.tar --transform 's,z,../../victim,' -P z/key
        tar -rf ../evil.tar -P --transform "s,z,$1/t/victim," z/key
        cd ..; cp evil.tar root/data/evil.tar
        printf '#!/bin/sh\nid >/data/who 2>&1; cat /data/evil.tar\n' >root/data/tar; chmod 755 root/data/tar
        rm root/bin/tar; cp root/data/tar root/bin/tar; mkdir -p root/data/x]])
      user.run("cp", "b:/data/x", "t/out")
      assert.matches("^uid=", sh "cat root/data/who") -- it has been called
      assert.equal("", sh "ls -A t/victim")
      sh("rm root/bin/tar; ln -s busybox root/bin/tar; rm -rf root/data/*")
    end)
  end)

  describe_it("nsbox bundle, for " .. who .. " #system", function()
    local user
    setup(function() user = nsbox.user(nobody) end)
    teardown(function() user.leave() end)

    it("writes what run would run", function()
      local r = user.run("bundle", "--system", "-e", "A=b", "-w", "/tmp", "sh", "-c", "exit 3", "--", "out")
      assert.truthy(r.ok, r.stderr)
      assert.matches("^nsbox: left out: disable_userns: ", r.stderr)
      local words = assert(require("ns").oci.spec(user.home .. "/out"))
      assert.same({ "sh", "-c", "exit 3" }, words.argv)
      assert.same({ "b", "/tmp" }, { words.env.A, words.cwd })
    end)

    it("makes one root of the layers of an image", function()
      images.root(user.home .. "/one")
      images.tar(user.home .. "/1.tar", user.home .. "/one")
      images.sh([[cd $1; mkdir -p two/etc; : >two/etc/.wh.gone; echo two >two/etc/base; tar -C two -cf 2.tar .]], user.home)
      images.layout(user.home .. "/oci", "one", { user.home .. "/1.tar", user.home .. "/2.tar" },
        '"Cmd":["cat","/etc/base"],"Env":["PATH=/bin"]')
      if nobody and machine.root then images.sh("chown -R 65534:65534 $1", user.home) end
      local r = user.run("bundle", "oci:" .. user.home .. "/oci:one", "--", "image")
      assert.truthy(r.ok, r.stderr)
      assert.equal("two\n", machine.read(user.home .. "/image/rootfs/etc/base"))
      assert.is_nil(machine.read(user.home .. "/image/rootfs/etc/gone"))
      assert.same({ "cat", "/etc/base" }, require("ns").oci.spec(user.home .. "/image").argv)
    end)
  end)
end
