--- nsbox-oci: the verbs of a runtime, as podman and Slurm call them; and that nothing is left of what was killed.
local bundles = require "support.bundles"
local json = require "ns.json"
local machine = require "support.machine"

local LOOP = "trap 'echo got; exit 3' USR1; echo up; while :; do sleep 0.1; done"

describe("nsbox-oci #system", function()
  if not machine.root then return pending "runs bundles as podman wants it [needs root]" end
  local directory, remove

  before_each(function() directory, remove = machine.directory() end)
  after_each(function() remove() end)

  --- Makes a bundle with this program, and runs a script.
  local function script(program, text, change, options)
    bundles.make(directory, function(c)
      c.process.args = type(program) == "table" and program or { "/bin/sh", "-c", program }
      if change then change(c, directory) end
    end)
    return bundles.script(directory, text, options)
  end

  local STATUS = "status() { $R state c | sed -n 's/.*\"status\": \"\\(.*\\)\".*/\\1/p'; }\n"

  it("makes a container that waits, starts it, tells what it is at, and removes it", function()
    assert.equal("created\nnothing yet\nrunning\nup\n1\ncontainer 'c' is running\ngot\nstopped\n0", script(LOOP, STATUS .. [[
      $R create -b $B --pid-file $B/pid c >$B/out 2>&1; status
      test -s $B/out || echo nothing yet; test -e /proc/$(cat $B/pid)/stat || echo none
      $R start c; sleep 0.5; status; cat $B/out; $R delete c 2>$B/err; echo $?; sed 's/^nsbox-oci: //' $B/err
      $R kill c USR1; sleep 0.7; tail -n +2 $B/out; status; $R delete c; echo $?; ls $S]]))
  end)

  it("answers for what there is not, or not in that way, as others do", function()
    assert.equal("1 1 1 0\n0\ncontainer 'c' exists already\ncontainer 'c' is running\n1\n1\n1", script(LOOP, [[
      for v in state kill delete 'delete --force'; do $R $v none 2>/dev/null; printf '%s ' $?; done | sed 's/ $//'; echo
      $R create -b $B c >/dev/null 2>&1; echo $?; $R create -b $B c 2>&1 | sed 's/^nsbox-oci: //'
      $R start c; $R start c 2>&1 | sed 's/^nsbox-oci: //'; $R pause c 2>/dev/null; echo $?
      $R create -b $B ../c 2>/dev/null; echo $?; $R delete --force c; $R start c 2>/dev/null; echo $?]]))
  end)

  it("runs further programs in the container, with no more rights", function()
    local process = { args = { "/bin/sh", "-c", "echo $A $HOME; pwd; exit 4" }, cwd = "/etc", env = { "PATH=/bin", "A=b" },
      user = { uid = 33, gid = 34 }, terminal = false }
    local caps = "CapEff:\t0000000000000421\nCapBnd:\t0000000000000421\n"
    assert.equal("bundle 1\n" .. caps .. "NoNewPrivs:\t1\nx /root\n5\nb /srv\n/etc\n4\n255\n1", script(LOOP, [[
      $R create -b $B c >/dev/null 2>&1; $R exec c /bin/sh 2>/dev/null && echo early; $R start c
      $R exec -e X=x c /bin/sh -c 'echo $(hostname) $(cat /proc/1/stat | cut -d" " -f1)
        grep -e CapEff -e CapBnd -e NoNewPrivs /proc/self/status; echo $X $HOME; exit 5'; echo $?
      $R exec --process $B/process c; echo $?; $R exec c /bin/none 2>/dev/null; [ $? != 0 ] && echo 255
      $R ps c | head -1 | grep -c .; $R delete --force c]],
      function() machine.file(directory .. "/process", json.write(process)) end))
  end)

  it("says what is missing when the container is made, in the log, too; and leaves nothing", function()
    local said = script({ "/bin/none" }, [[
      $R --log $B/log --log-format=json create -b $B c 2>&1; echo $?
      grep -c '^{.*"level": "error".*}$' $B/log; ls $S | wc -l]])
    assert.equal("nsbox-oci: exec '/bin/none': No such file or directory (ENOENT)\n1\n1\n0", said)
  end)

  it("refuses a bundle that it would run with more rights, by the field", function()
    local function hooks(c) c.hooks = { prestart = { { path = "/bin/true" } } } end
    local line = "$R create -b $B c 2>&1; echo $?; ls $S | wc -l"
    assert.equal("nsbox-oci: hooks: hooks are not run\n1\n0", script("true", line, hooks))
  end)

  it("runs one to its end, with its exit status, and hands signals on", function()
    assert.equal("up\ngot\n3\n0\n137\n0", script(LOOP, [[
      $R run -b $B c & sleep 1; kill -USR1 $!; wait $!; echo $?; ls $S | wc -l
      $R run -b $B c >/dev/null & sleep 1; $R kill c KILL; wait $!; echo $?; ls $S | wc -l]]))
  end)

  it("that is killed leaves nothing which delete --force cannot remove", function()
    assert.equal("c\n0\n0\n0\n0\n0\n0", script(LOOP, [[
      busy() { cat /proc/[0-9]*/cmdline | tr '\0' '\n' | grep -c "[t]rap 'echo"; }
      $R run -b $B c >/dev/null & sleep 1; kill -9 $!; wait $! 2>/dev/null; ls $S
      $R delete --force c; ls $S | wc -l; busy
      $R create -b $B c >/dev/null 2>&1; pid=$(sed -n 's/.*"pid": \(.*\),/\1/p' $S/c/state.json); rm $S/c/state.json
      $R delete --force c; sleep 0.3; ls $S | wc -l
      case $(cut -d' ' -f3 /proc/$pid/stat 2>/dev/null) in ''|Z) echo 0;; *) echo 1;; esac
      $R create -b $B c >/dev/null 2>&1; $R delete c; ls $S | wc -l; busy]]))
  end)

  it("gives the terminal to who listens for it", function()
    local receiver = [[
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); open(sys.argv[1] + ".ready", "w").close()
c, _ = s.accept(); _, anc, _, _ = c.recvmsg(64, socket.CMSG_SPACE(4)); fd = array.array("i", anc[0][2])[0]
data = b""
try:
    while True:
        more = os.read(fd, 100)
        if not more: break
        data += more
except OSError: pass
print(data.decode().replace("\r", ""), end="")]]
    assert.equal("tty\n/dev/pts/0\n30 90", script("test -t 0 && test -t 1 && echo tty; busybox tty; busybox stty size", [[
      python3 -c "$(cat $B/receiver)" $B/sock >$B/seen & until test -e $B/sock.ready; do sleep 0.05; done
      $R create -b $B --console-socket $B/sock c && $R start c; wait $!; cat $B/seen; $R delete --force c]],
      function(c)
        c.process.terminal, c.process.consoleSize = true, { height = 30, width = 90 }
        machine.file(directory .. "/receiver", receiver)
      end))
  end)

  it("puts a filter before the rights that it takes, where new ones are not forbidden", function()
    for _, uid in ipairs { 0, 33 } do
      local said = script("mkdir /tmp/x 2>&1 | sed 's/.*: //'; grep -e CapEff -e CapBnd -e Seccomp: /proc/self/status",
        "$R run -b $B c", function(c)
          c.process.noNewPrivileges, c.process.user.uid = false, uid
          if uid ~= 0 then c.process.capabilities.ambient = nil end
          c.linux.seccomp = { defaultAction = "SCMP_ACT_ALLOW",
            syscalls = { { names = { "mkdir", "mkdirat" }, action = "SCMP_ACT_ERRNO", errnoRet = 28 } } }
        end)
      local caps = uid == 0 and "0000000000000421" or "0000000000000000"
      assert.equal(("No space left on device\nCapEff:\t%s\nCapBnd:\t%s\nSeccomp:\t2"):format(caps, caps), said)
    end
  end)

  it("runs containers of an ordinary user, who is root in a user namespace of theirs", function()
    assert.equal("0\nbundle\n7\n0", script("id -u; hostname; exit 7", "$R run -b $B c; echo $?; ls $S | wc -l", function(c)
      table.insert(c.linux.namespaces, { type = "user" })
      c.linux.uidMappings = { { containerID = 0, hostID = 65534, size = 1 } }
      c.linux.gidMappings = c.linux.uidMappings
      os.execute("chown -R 65534:65534 " .. directory)
    end, { nobody = true }))
  end)

  it("tells what it can do", function()
    local features = json.read(bundles.script(directory, "$R features"))
    assert.equal("1.0.0", features.ociVersionMin)
    assert.matches("^nsbox%-oci version [^\n]+\nspec: 1", bundles.script(directory, "$R --version"))
    assert.matches("create ID .*exec ID PROGRAM", bundles.script(directory, "$R --help"))
    assert.matches("^nsbox%-oci: unknown option %-%-odd$", bundles.script(directory, "$R --odd state c"))
  end)
end)
