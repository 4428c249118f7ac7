--- Where the newer calls for mounts are missing, mount(2) does the same; and what cannot be done is refused by name. A flag
-- that is lost without a word would be a hole: so all that the program sees is compared. Rows 27, 29, 31.
local machine = require "support.machine"
local ways = require "support.ways"
local unpack = unpack or table.unpack -- luacheck: ignore

local ALL = { "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr" }

local SETS = { ALL, { "openat2", unpack(ALL) }, { "open_tree", "mount_setattr" }, { "fsopen", "move_mount" } }
for _, name in ipairs(ALL) do SETS[#SETS + 1] = { name } end

-- Mounts below mounts, one covered by another, with flags of their own and with odd names.
local SETUP = [[
  cd %s && mkdir -p src/sub src/lower src/way/to && echo f >src/f && echo >src/way/to/key && chmod 755 src
  mount -t tmpfs -o mode=777,nosuid,noexec s src/sub && mkdir -p "src/sub/a b\\c/d" src/sub/two &&
  mount -t tmpfs -o mode=777 t "src/sub/a b\\c" && mkdir "src/sub/a b\\c/e" &&
  mount -t tmpfs -o mode=777 u "src/sub/a b\\c/e" &&
  mount -t tmpfs -o mode=777,noatime v src/sub/two && mount -t tmpfs -o mode=777,nodev w src/sub/two]]

local function mounts(way, directory)
  local src = directory .. "/src"
  local list = {
    { type = "proc" }, { type = "dev" }, { type = "tmpfs", target = "/tmp", size = "1m", exec = false },
    { type = "bind", source = src, target = "/ro", ro = true },
    { type = "bind", source = src, target = "/ne", exec = false },
    { type = "bind", source = src .. "/f", target = "/file", ro = true }, { type = "bind", source = src, target = "/rw" },
    { type = "bind", source = "/usr/share", target = "/tmp/share", ro = true },
    ways.can_overlay(way) and { type = "overlay", lower = "/usr/share/perl", target = "/o" }
      or { type = "dir", target = "/o" }, { type = "tmpfs", target = "/o/in" },
    { type = "file", target = "/tmp/a/b", data = "hello\n" }, { type = "file", target = "/etc/passwd", data = "mine\n" },
    { type = "mask", target = "/etc/group" }, { type = "mask", target = "/usr/src" },
    { type = "mask", target = "/rw/way/to/key" }, { type = "file", target = "/etc/hosts", data = "x" },
    { type = "mask", target = "/etc/hosts" }, { type = "file", target = "/etc/hosts", data = "last\n" },
    { type = "symlink", target = "/l", to = "x" }, { type = "tmpfs", target = "/t/u" },
    { type = "tmpfs", target = "/t/u/v" }, { type = "remount", target = "/t/u", ro = true, recursive = true },
    { type = "propagation", target = "/tmp", mode = "shared" },
  }
  for _, m in ipairs(list) do
    if m.source or m.lower then m.idmap = false end
  end
  return list
end

-- What can be written, and what mountinfo says; of a place with several mounts the last.
local LINE = [[
  find /ro /ne /rw /t /o/in /tmp /file /etc/passwd -maxdepth 5 -name share -prune -o -print | sort | perl -lne '
    $new = -d $_ ? "$_/new" : $_;
    if (open F, ">>", $new) { print "to $new"; unlink $new if $new ne $_ }'
  cat /tmp/a/b /etc/passwd /etc/group /etc/hosts; ls /usr/src; readlink /l
  ls -l /dev | awk '{print $1, $5, $6, $NF}' | grep -v '^total'
  awk '{print $5, $6, $7 ~ /shared/}' /proc/self/mountinfo |
    awk '{last[$1] = $0} END {for (p in last) print last[p]}' | sort]]

for _, way in ipairs(ways.list) do
  ways.describe(way)("a root without the newer calls " .. way.name .. " #system", function()
    local directory, remove, wanted

    local function said(errno, calls)
      local spec = { system = true, mounts = mounts(way, directory), timeout = 20 }
      return ways.run(way, spec, LINE, SETUP:format(directory), errno and machine.refuse(errno, unpack(calls)))
    end

    before_each(function()
      directory, remove = ways.directory(way)
      wanted = said()
    end)

    after_each(function() remove() end)

    it("is what it is with them", function()
      assert.matches("\nto /rw/sub/two/new\n", wanted)
      assert.matches("\n/rw/way/to rw,nosuid,nodev,", wanted)
      assert.falsy(wanted:find("to /ro", 1, true) or wanted:find("to /file", 1, true))
      assert.matches("\n/ro/sub/a\\040b\\134c/e ro,nosuid,nodev,relatime 0\n", wanted)
      for _, calls in ipairs(SETS) do assert.equal(wanted, said("ENOSYS", calls), table.concat(calls, " ")) end
    end)

    it("is refused by name, or the same, where a filter forbids them", function()
      for _, name in ipairs(ALL) do
        local outcome = said("EPERM", { name })
        if outcome ~= wanted then
          assert.matches("^refused: [%l_ ]+ [^\n]*: Operation not permitted %(EPERM%)", outcome, 1, name)
        end
      end
    end)
  end)
end
