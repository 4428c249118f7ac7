--- A root directory of its own: one program that is many (busybox), or a whole distribution.
-- usage: lua rootfs.lua [DIRECTORY [PROGRAM ...]]     without a DIRECTORY: a small one is made, shown and removed
--   As root, `debootstrap --variant=minbase stable DIRECTORY` makes one with a Debian in it. An unpacked container image
--   is one, too.
local ns = require "ns"

local TOUR = [[
echo "$(hostname), $(id -u), $(cat /etc/motd)"
echo "tools: $(busybox --list | wc -l), the shell is $(readlink -f /bin/sh)"
echo "of the host: $(ls -d /usr/* /home/* /root/* 2>/dev/null | wc -l) files"
echo changed >/etc/motd || echo "it stays as it is"
]]

--- Each tool of busybox is a link to the one file.
local function small_root()
  local busybox = ns.run({ "sh", "-c", "command -v busybox" }).stdout:match("[^\n]+")
  assert(busybox, "busybox is not there: apt-get install busybox-static")
  local directory = os.tmpname()
  os.remove(directory)
  local make = [[set -e; mkdir -m 755 "$2" "$2/bin" "$2/etc"; cp "$1" "$2/bin/busybox"; echo hello >"$2/etc/motd"
    "$1" --list | while read -r tool; do [ "$tool" = busybox ] || ln -s busybox "$2/bin/$tool"; done]]
  local r = assert(ns.run { "sh", "-c", make, "sh", busybox, directory })
  assert(r.ok, tostring(r))
  return directory
end

--- A sandbox with this root in place of the system's. /proc, /dev and /tmp are new; their places are made in a root of the
-- sandbox's own, to which the parts of the directory are bound. So nothing is made in the directory.
local function box_in(directory)
  return ns.sandbox():root(directory):hostname("rootfs")
end

if arg[1] then
  local box = box_in(arg[1])
  if arg[2] then box:argv { select(2, (table.unpack or unpack)(arg)) } else box:argv("/bin/sh"):session(false):tty() end
  local _, how, code = assert(box:spawn()):wait()
  os.exit(how == "exit" and code or 128 + code)
end

local directory = small_root()
local r = assert(box_in(directory):run("sh", "-c", TOUR))
io.write(r.stdout, "in the directory: ", ns.run({ "ls", "-m", directory }).stdout)
os.execute("rm -rf " .. directory)
