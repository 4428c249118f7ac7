--- nsbox-oci under podman: a container is run, entered, stopped and removed, as podman's users do it.
local images = require "support.images"
local proof = require "proof"
proof.needs("podman", "conmon", "busybox")

local directory = os.tmpname()
os.remove(directory)
assert(os.execute("mkdir -m 755 " .. directory))

-- podman knows by its name which runtime does without control groups: so ours is called crun here.
local CONFIG = [[
[engine]
runtime = "crun"
[engine.runtimes]
crun = ["%s/runtime"]
]]

local function write(name, text)
  local f = assert(io.open(directory .. "/" .. name, "w"))
  f:write(text)
  f:close()
end

local top = io.popen("pwd"):read "l"
write("containers.conf", CONFIG:format(directory))
write("runtime", ("#!/bin/sh\nexport LUA_PATH='%s/lua/?.lua;%s/lua/?/init.lua;;' LUA_CPATH='%s/build/5.4/?.so;;'\n"
  .. "exec lua5.4 %s/bin/nsbox-oci \"$@\"\n"):format(top, top, top, top))
os.execute("chmod 755 " .. directory .. "/runtime")
images.root(directory .. "/rootfs")
os.execute(("cd %s/rootfs/bin; for t in hostname sleep grep; do ln -sf busybox $t; done"):format(directory))

-- A place of its own for all that podman keeps.
local HOST = [[unshare -m --propagation private sh -c '
  mount -t tmpfs none /run && mount -t tmpfs none /var/lib/containers && mkdir -p /run/lock || exit 1
  podman() { command podman --cgroup-manager cgroupfs --root /var/lib/containers/s --runroot /run/c --storage-driver vfs \
    --events-backend none "$@"; }
  run() { podman run --cgroups=disabled --network none --security-opt apparmor=unconfined "$@"; }
  cd %s; export CONTAINERS_CONF=$PWD/containers.conf; %s']]

--- {what is shown, a shell line, what it prints at the end}
local ROWS = {
  { "run has the output and the exit status",
    "run --rm --hostname box --rootfs $PWD/rootfs /bin/sh -c \"hostname; id -u; echo x >/new; cat /new; exit 7\"; echo $?",
    "box\n0\nx\n7\n" },
  { "run feeds stdin", "echo data | run --rm -i --rootfs $PWD/rootfs /bin/cat", "data\n" },
  { "run of what is not there is 127", "run --rm --rootfs $PWD/rootfs /bin/none 2>/dev/null; echo $?", "127\n" },
  { "run gives a directory", "mkdir -p given; echo in >given/f; run --rm -v $PWD/given:/given:ro --rootfs $PWD/rootfs "
    .. "/bin/sh -c \"cat /given/f; echo x >/given/g || echo no\" 2>/dev/null", "in\nno\n" },
  { "run has a user and no more rights", "run --rm --user 33:34 --rootfs $PWD/rootfs /bin/sh -c "
    .. "\"id -u; id -g; grep -e CapEff -e Seccomp: /proc/self/status\"",
    "33\n34\nCapEff:\t0000000000000000\nSeccomp:\t2\n" },
  { "a container lives, is entered, and stopped by its signal",
    "run -d --name one --rootfs $PWD/rootfs /bin/sh -c \"trap \\\"exit 4\\\" TERM; echo up; while :; do sleep 0.1; done\" "
    .. ">/dev/null; sleep 1; podman exec one /bin/sh -c \"cat /proc/1/comm; exit 3\"; echo $?; podman logs one; "
    .. "podman stop -t 5 one; podman wait one; podman rm one; podman ps -aq", "sh\n3\nup\none\n4\none\n" },
  { "a terminal is the container's", "run -d -t --name two --rootfs $PWD/rootfs /bin/sh -c \"test -t 0 && echo terminal\" "
    .. ">/dev/null; podman wait two; podman logs two | tr -d \"\\r\"; podman rm two", "0\nterminal\ntwo\n" },
}

for _, row in ipairs(ROWS) do
  local _, said = proof.sh("%s", HOST:format(directory, row[2]))
  proof.check(said == row[3], "%s: %s", row[1], said)
end
os.execute("rm -rf " .. directory)
proof.finish()
