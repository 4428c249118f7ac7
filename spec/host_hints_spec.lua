--- Hosts on which something is missing or forbidden say what, and what helps. Each is made in namespaces of its own.
local core = require "ns.core"
local errno = core.constants.errno
local hints = require "ns.start.hints"
local machine = require "support.machine"
local mountinfo = require "ns.start.mountinfo"
local proc = require "ns.start.proc"
local ns = require "ns"
local ways = require "support.ways"

local function with(words)
  local spec = { root = "/" }
  for key, value in pairs(words or {}) do spec[key] = value end
  return spec
end

--- {title, the hint, a shell line that makes the host, the spec, a command through which the host runs}
local HOSTS = {
  { "without a /proc", "ENOENT%); this host has no /proc: mount %-t proc proc /proc$",
    "while [ -e /proc/version ]; do umount -l /proc || break; done" },
  { "with a read-only /proc", "EROFS%); the /proc of this host is read%-only: ", "mount -o remount,bind,ro /proc" },
  { "without /dev/ptmx", "^refused: pty /dev/ptmx: .-; without it there are no new terminals: ", "mount -t tmpfs d /dev",
    { pty = true } },
  { "whose filter forbids sethostname", "^refused: sethostname 'x': .-ProtectHostname=no%): share%('uts'%)$", nil,
    { flags = { "uts" }, hostname = "x" }, machine.refuse("EPERM", "sethostname") },
  { "with a limit of the size of files", "EFBIG%); RLIMIT_FSIZE of this host is 4096 bytes, too few for the launcher", nil,
    { init = true }, { "prlimit", "--fsize=4096" } },
}

describe("a host #system", function()
  local way = ways.list[#ways.list]

  for _, row in ipairs(HOSTS) do
    local can = row[3] and not machine.root and machine.without("it", "needs root") or it
    can(row[1] .. " says so", function()
      local setup = row[3] and "unset TMPDIR; " .. row[3] or "true"
      assert.matches(row[2], ways.run(way, with(row[4]), "true", setup, row[5]))
    end)
  end

  machine.root_it("that is a container with read-only control groups says how to start it, to root and to others",
    function()
      local setup = "for d in /run /sys/fs/cgroup; do mount -t tmpfs tmpfs $d || exit; done; "
        .. "mount -t cgroup2 none /sys/fs/cgroup && mount -o remount,bind,ro /sys/fs/cgroup"
      for _, one in ipairs { ways.root, ways.user } do
        assert.matches("^refused: make a control group in /sys/fs/cgroup%S*: .-; /sys/fs/cgroup%S* is read%-only: start the "
          .. "container with one that can be written %(docker: %-%-privileged %-%-cgroupns=private, podman: ",
          ways.run(one, with { limits = { pids = 10 } }, "true", setup))
      end
    end)

  machine.root_it("that is in a user namespace with some ids says which it lacks", function()
    local r = machine.host('print(require("ns").run { "true", user = 1000 })', { under = { "unshare", "-Ur" } })
    assert.matches("setuid 1000: .-EINVAL%); this host itself is in a user namespace, .- /proc/self/uid_map", r.stdout)
  end)
end)

machine.root_it("the root of a rootless container is told why no ids are mapped, and what does without #system", function()
  local directory, remove = machine.directory()
  finally(remove)
  assert(ns.run { "chown", "4711:4711", directory }.ok)
  local code = [[
    local ns = require "ns"
    print(ns.sandbox():bind(%q, "/w"):run("true"))
    print(ns.sandbox():map("root"):bind(%q, "/w"):run("touch", "/w/new"))]]
  local map = { { 0, 4711, 1 }, { 1, 100000, 65536 } } -- an ordinary user's, with his subordinate ids
  local container = { flags = "user,mount", uid_map = map, gid_map = map }
  local r = machine.host(code:format(directory, directory), { spec = container })
  assert.matches("^nil\tidmap %S+: Operation not permitted %(EPERM%); its file system is of another user namespace, .- "
    .. "map = 'root'.*\nns.Result %(exit 0%)", r.stdout, 1, r.stderr)
end)

describe("a program that cannot be executed", function()
  it("says so where the kernel does not see its '#!'", function()
    local directory, remove = machine.directory()
    finally(remove)
    local rows = { ["\239\187\191#!/bin/sh\n"] = " has a byte order mark before its '#!'",
      ["#!/" .. ("x"):rep(300) .. "\n"] = "^the first line of .- is longer than the 255 bytes",
      ["\239\187\191echo\n"] = "^no program: " }
    for text, hint in pairs(rows) do
      local _, message, _, detail = ns.run { machine.file(directory .. "/script", text, "755") }
      assert.matches(hint, detail.hint, 1, message)
    end
  end)

  machine.it("sandbox")("is looked for where the host has it", function()
    local directory, remove = machine.directory()
    finally(remove)
    machine.file(directory .. "/tool", "#!/bin/sh\n", "755")
    local code = 'print(require("ns").sandbox():env("PATH", "/usr/bin"):run("tool"))'
    local r = machine.host(code, { under = { "env", ("PATH=%s:%s"):format(directory, os.getenv "PATH") } })
    local hint = "ENOENT%%); the host has it as %s/tool, and no directory of the program's PATH has it"
    assert.matches(hint:format(directory), r.stdout)
  end)

  machine.root_it("leads into a store, on NixOS and Guix", function()
    for _, store in ipairs { "/nix/store", "/gnu/store" } do
      local setup = ([[
        mount -t tmpfs t /mnt && mkdir -p /mntSTORE /mnt/mnt /mnt/links && cp /bin/true /mntSTORE && cd /mnt || exit
        for d in /*; do
          if [ -L $d ]; then cp -a $d .; elif [ -d $d ] && [ $d != /mnt ]; then mkdir .$d && mount --rbind $d .$d; fi
        done
        ln -s STORE/true links/tool; pivot_root . mnt; cd /; exec "$@"]]):gsub("STORE", store)
      local code = [[print(require("ns").run { "tool", env = { PATH = "/links" }, flags = "mount", root = "empty",
        system = true, mounts = { { type = "bind", source = "/links", target = "/links" } } })]]
      local r = machine.host(code, { under = { "unshare", "-m", "--propagation", "private", "sh", "-c", setup, "sh" } })
      assert.matches(("ENOENT%%); /links/tool leads to %s/true: ro_bind%%('%s'%%), and "):format(store, store), r.stdout, 1,
        r.stderr)
    end
  end)
end)

describe("on a machine that is made up", function()
  local real = mountinfo.read
  local real_file = proc.read
  before_each(function() function proc.read() end end)
  after_each(function() mountinfo.read, proc.read = real, real_file end)

  local function hint(text, step, code)
    function mountinfo.read() return text end
    return hints.find(step, errno[code]) or "none"
  end

  it("an automount below a tree is named where ids are to be mapped", function()
    local text = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:5 / /srv/a\\040b rw shared:1 - autofs systemd-1 rw\n"
    local step = { op = "idmap", path = "/srv" }
    assert.matches("^/srv/a b, mounted below it, does not allow it %(autofs%): ", hint(text, step, "EINVAL"))
    assert.matches("^the file system of /srv %(ext4%)", hint(text:gsub("autofs", "tmpfs"), step, "EINVAL"))
    assert.matches("^the file system of /srv %(9p%)", hint(text:gsub("ext4", "9p"), step, "EINVAL"))
  end)

  it("what covers the /proc of which most is seen is named, the first three of all", function()
    local ROOT = "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 20 0:4 / /proc rw,nosuid shared:3 - proc proc rw\n"
    local step = { op = "fs", type = "proc", path = "/proc", flags = 14 }
    local function said(more) return hint(ROOT .. more, step, "EPERM") end
    local function cover(id, name) return ("%d 30 0:9 / /proc/%s ro - tmpfs x rw\n"):format(id, name) end
    local apart = "50 20 0:7 / /x/proc %s - proc proc rw\n"
    assert.equal("none", said(cover(31, "sys/fs/binfmt_misc")))
    assert.matches("covered, at /proc/acpi; ", said(cover(31, "acpi")))
    assert.matches("covered, at /proc/a, /proc/b, /proc/c c and 1 more places; ",
      said(cover(31, "a") .. cover(32, "b") .. cover(33, "c\\040c") .. cover(34, "d")))
    assert.equal("none", said(cover(31, "acpi") .. apart:format "rw"))
    local newer = "29 30 0:5 / /proc rw - proc proc rw\n40 29 0:9 / /proc/1 ro - tmpfs x rw\n"
    for _ = 1, 9 do assert.matches("covered, at /proc/1; ", said(newer)) end
    assert.matches("^the /proc of this host is read%-only", said(cover(31, "acpi") .. apart:format "ro,nosuid"))
    assert.matches("^this host has no whole /proc", hint("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n", step, "EPERM"))
  end)

  it("an initial ramfs is named where it cannot be left", function()
    assert.matches("^the root of this host is its initial ramfs", hint("1 1 0:2 / / rw - rootfs rootfs rw\n",
      { op = "pivot" }, "EINVAL"))
    assert.equal("none", hint("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n", { op = "pivot" }, "EINVAL"))
  end)
end)
