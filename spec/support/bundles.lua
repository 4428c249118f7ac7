--- Bundles for the specs: a small system as the root, a configuration that a spec changes, and the runtimes that run one.
local images = require "support.images"
local json = require "ns.json"
local machine = require "support.machine"

local core = require "ns.core"

local bundles = {}

local CAPS = { "CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE" }

--- What `runc spec` writes, in short; without a mount of cgroups, which not each machine has.
function bundles.config()
  return {
    ociVersion = "1.0.2",
    process = { user = { uid = 0, gid = 0 }, args = { "/bin/sh", "-c", "true" }, cwd = "/", noNewPrivileges = true,
      env = { "PATH=/bin" },
      capabilities = { bounding = CAPS, effective = CAPS, permitted = CAPS, inheritable = CAPS, ambient = CAPS },
      rlimits = { { type = "RLIMIT_NOFILE", hard = 1024, soft = 512 } } },
    root = { path = "rootfs", readonly = true },
    hostname = "bundle",
    mounts = {
      { destination = "/proc", type = "proc", source = "proc" },
      { destination = "/dev", type = "tmpfs", source = "tmpfs",
        options = { "nosuid", "strictatime", "mode=755", "size=1024k" } },
      { destination = "/dev/pts", type = "devpts", source = "devpts",
        options = { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620" } },
      { destination = "/dev/shm", type = "tmpfs", source = "shm",
        options = { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
      { destination = "/sys", type = "sysfs", source = "sysfs", options = { "nosuid", "noexec", "nodev", "ro" } },
    },
    linux = {
      namespaces = { { type = "pid" }, { type = "network" }, { type = "ipc" }, { type = "uts" }, { type = "mount" } },
      maskedPaths = { "/proc/kcore", "/sys/firmware" },
      readonlyPaths = { "/proc/sys", "/proc/sysrq-trigger" },
    },
  }
end

--- Writes a configuration, which `change` has changed.
function bundles.write(directory, change)
  local config = bundles.config()
  if change then change(config, directory) end
  machine.file(directory .. "/config.json", json.write(config))
end

--- Writes a whole bundle: its directory.
function bundles.make(directory, change)
  bundles.write(directory, change)
  if machine.read(directory .. "/rootfs/etc/passwd") then return directory end
  images.root(directory .. "/rootfs")
  images.sh([[cd "$1/bin"; for t in hostname grep cut sed tr sort mount sleep kill; do ln -sf busybox $t; done
    mkdir -p "$1/proc" "$1/sys" "$1/dev" && chmod 777 "$1"]], directory .. "/rootfs")
  return directory
end

-- A machine that lets each of the three make no control group, and is none the worse for it: crun is told so, runc passes
-- over what is read-only.
local HOST = [[mount -t tmpfs none /sys/fs/cgroup
  for d in $(cut -d: -f2 /proc/self/cgroup | tr , "\n") unified systemd; do mkdir -p /sys/fs/cgroup/${d#name=}; done
  mount -o remount,ro /sys/fs/cgroup; exec "$@"]]

local NS = [[
  local w = assert(require("ns").oci.spec(%q))
  local r, message = require("ns").run(w)
  io.write(r and r.stdout .. r.stderr or "refused: " .. message)]]

--- Runs a program of `box` as a bundle of a runtime: what it prints, and what is left out, "field" by field.
function bundles.run_box(runtime, box, directory, ...)
  if runtime == "ns" then
    local r = assert(box:run(...))
    return ((r.stdout .. r.stderr):gsub("\n$", ""))
  end
  local _, left = assert(box:bundle(directory .. "/bundle", ...))
  local fields = {}
  for i, one in ipairs(left) do fields[i] = one.field end
  return bundles.run(runtime, directory .. "/bundle"), table.concat(fields, " ")
end

--- Runs a shell script on such a machine, in which $R is nsbox-oci, $B the bundle in the directory, and $S where its state
-- is kept: what it prints. `options` are those of machine.host.
function bundles.script(directory, script, options)
  local nobody = options and options.nobody and machine.root
  local argv = nobody and { "unshare", "-p", "-f", "--mount-proc", "sh", "-c", "exec " .. machine.as_user .. ' "$@"', "sh" }
    or { "unshare", "-mpf", "--mount-proc", "--propagation", "private" }
  for _, word in ipairs { "sh", "-c", nobody and 'exec "$@"' or HOST, "sh", "sh", "-c", script } do
    argv[#argv + 1] = word
  end
  local env = machine.paths(machine.public())
  env.R = ("%s %s/bin/nsbox-oci --root %s/state"):format(machine.lua, machine.public(), directory)
  env.B, env.S = directory, directory .. "/state"
  local r = assert(require("ns").run { argv = argv, env = env, cwd = "/", timeout = 60, stdin = "" })
  return ((r.stdout .. r.stderr):gsub("\n$", ""))
end

bundles.runtimes = { "ns", "crun", "runc" }

--- Is a program of this name installed?
function bundles.has(name)
  return require("ns").run({ "sh", "-c", 'command -v "$1"', "sh", name }).ok
end

local function argv_of(runtime, directory)
  if runtime == "ns" then return { machine.lua, "-e", NS:format(directory) } end
  local option = runtime == "crun" and { "--cgroup-manager", "disabled" } or { "--rootless", "true" }
  return { runtime, option[1], option[2], "--root", directory .. "/state", "run", "--bundle", directory, "c" .. runtime }
end

--- Runs a bundle by a runtime: what it prints.
function bundles.run(runtime, directory)
  local argv = { "unshare", "-mpf", "--mount-proc", "--propagation", "private", "sh", "-e", "-c", HOST, "sh" }
  for _, word in ipairs(argv_of(runtime, directory)) do argv[#argv + 1] = word end
  local r = assert(require("ns").run { argv = argv, env = machine.paths(machine.public()), cwd = "/", timeout = 60,
    stdin = "" }) -- crun gives the streams that it has, and be it /dev/null, to the program's user
  assert(core.owner "/dev/null" == 0, runtime .. " has changed the machine's /dev/null")
  return ((r.stdout .. r.stderr):gsub("\n$", ""))
end

return bundles
