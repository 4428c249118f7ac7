--- tools/need.sh: the packages that it installs start no service, and leave none enabled. Debian's own tools enable one
-- here, as the scripts of such a package do, in a layer over this system that is thrown away; apt-get is none.
local machine = require "support.machine"
local ns = require "ns"

local APT = [[#!/bin/sh
[ "$1" = install ] || exit 0
exec >/tmp/said 2>&1
unit=/lib/systemd/system/spec-daemon.service script=/etc/init.d/spec-daemon
printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n' >$unit
{
  printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: spec-daemon\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n'
  printf '# Required-Start:\n# Required-Stop:\n### END INIT INFO\n'
} >$script
chmod 755 $script
update-rc.d spec-daemon defaults
DPKG_MAINTSCRIPT_PACKAGE=spec deb-systemd-helper enable spec-daemon.service
/usr/sbin/policy-rc.d
echo policy $?
ls /etc/systemd/system/multi-user.target.wants /etc/rc2.d | grep spec-daemon
]]

local LINE = [[
  links() { find /etc/systemd /etc/rc?.d -type l -path '*/[wr]*/*' ! -path '*/K*' | sort; }
  printf '%s' "$1" >/tmp/apt-get; printf '#!/bin/sh\nexit 1\n' >/tmp/dpkg-query; chmod 755 /tmp/apt-get /tmp/dpkg-query
  rm -f /usr/sbin/policy-rc.d
  links >/tmp/before; PATH=/tmp:$PATH sh tools/need.sh cluster; cat /tmp/said
  links | diff /tmp/before - && [ ! -e /usr/sbin/policy-rc.d ] && echo nothing is left]]

local has_tools = machine.read "/usr/bin/deb-systemd-helper" and machine.read "/usr/sbin/update-rc.d"
local needs = has_tools and machine.root_it or machine.without("it", "no tools of Debian's that enable services")

describe("what need.sh installs #system", function()
  needs("is neither started nor enabled", function()
    local box = ns.box { flags = "user,mount,pid,ipc,uts", map = "root", root = "/", read_only = false }:upper()
    local r = assert(box:cwd(machine.top):run("sh", "-c", LINE, "sh", APT))
    assert.matches("policy 101\n", r.stdout .. r.stderr)
    assert.matches("\nS%d%dspec%-daemon\n", r.stdout)
    assert.matches("\nspec%-daemon%.service\n", r.stdout)
    assert.matches("nothing is left\n$", r.stdout)
  end)
end)
