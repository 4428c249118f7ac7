-- Images: how long a box of one takes to run an empty program, the first time (it is unpacked then) and later, beside a
-- sandbox without one, and podman where it is installed; and how fast a layer is unpacked, beside tar alone.
-- usage: images.lua [ROUNDS]
local clock = require("ns.core").clock
local measure = require "bench.measure"
local ns = require "ns"

local rounds = tonumber(arg[1]) or 5
local directory = os.tmpname()
os.remove(directory)

local function shell(line)
  local r = assert(ns.run { "sh", "-e", "-c", line, "sh", directory })
  return r.ok and r.stdout or error(tostring(r))
end

-- A small system, and a layer of many files.
shell [[mkdir -p "$1/root/bin" "$1/data"; cp "$(command -v busybox)" "$1/root/bin/"; ln -s busybox "$1/root/bin/true"
  tar -C "$1/root" -czf "$1/small.tar.gz" .; tar -C / -cf "$1/big.tar" usr/share/perl usr/lib/gcc 2>/dev/null || true
  gzip -1k "$1/big.tar"; mkdir "$1/out"]]
local bytes = tonumber(shell [[stat -c %s "$1/big.tar"]])

local function milliseconds(f)
  local figures = {}
  for i = 1, rounds do
    local began = clock()
    f()
    figures[i] = (clock() - began) * 1000
  end
  return measure.median(figures)
end

local function row(name, figure, unit) print(("%-40s %10.1f %s"):format(name, figure, unit)) end

local function cold(path) assert(assert(ns.image(path)):remove()) end

row("image, cold: unpacked, run, removed", milliseconds(function()
  local one = assert(ns.image(directory .. "/small.tar.gz"))
  assert(one:box():run("/bin/true").ok)
  assert(one:remove())
end), "ms")
local image = assert(ns.image(directory .. "/small.tar.gz"))
local box = image:box()
row("image, warm: box:run", milliseconds(function() assert(box:run("/bin/true").ok) end), "ms")
local sandbox = ns.sandbox()
row("the same in a sandbox of the system", milliseconds(function() assert(sandbox:run("true").ok) end), "ms")
local layer = ns.sandbox():root("/"):upper()
row("in a layer over the system", milliseconds(function() assert(layer:run("true").ok) end), "ms")
--- The same by podman, whose store is in our directory. What it mounts goes with a mount namespace; without a network it
-- changes nothing of the host's.
local function podman(line)
  shell([[unshare --mount --propagation private podman --root "$1/podman" --runroot "$1/run" --cgroup-manager cgroupfs ]]
    .. line)
end

local PODMAN_RUN = "run --rm --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 ns-bench /bin/true"
local ok, why = pcall(function()
  podman [[import -q "$1/small.tar.gz" ns-bench >/dev/null]]
  podman(PODMAN_RUN)
end)
if ok then
  row("podman run", milliseconds(function() podman(PODMAN_RUN) end), "ms")
else
  print("podman run: not to be had here: " .. tostring(why))
end
row("unpacking, .gz", bytes / 1000 / milliseconds(function() cold(directory .. "/big.tar.gz") end), "MB/s")
row("unpacking, plain", bytes / 1000 / milliseconds(function() cold(directory .. "/big.tar") end), "MB/s")
row("tar -xzf alone", bytes / 1000 / milliseconds(function()
  shell [[tar -C "$1/out" -xzf "$1/big.tar.gz"; rm -r "$1/out"; mkdir "$1/out"]]
end), "MB/s")
image:remove()
os.execute("rm -rf " .. directory)
