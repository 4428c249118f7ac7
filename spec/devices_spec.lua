--- Devices are what their names say, or the start is refused: on an odd host a file may lie there, which would keep what is
-- written, and give back what another has written.
local machine = require "support.machine"
local ns = require "ns"
local ways = require "support.ways"

local NAMES = { null = "1:3", zero = "1:5", full = "1:7", random = "1:8", urandom = "1:9", tty = "5:0" }

--- A /dev of the host's, made in a directory, in which `line` has made one entry; all others are what they should be.
local function host_with(directory, name, line)
  local names = {}
  for other in pairs(NAMES) do names[#names + 1] = other ~= name and other or nil end
  return ([[cd %s && mount -t tmpfs -o mode=777 d . && cd $PWD && mkdir pts shm &&
    for f in %s; do touch $f && mount --bind /dev/$f $f; done; %s; mount --rbind . /dev]]):format(directory,
    table.concat(names, " "), line)
end

local SANDBOX = { system = true, mounts = { { type = "dev" } } }
local NO_NULL = "open /dev/null: No such device (ENODEV); what lies there is no device (1:3): mknod -m 666 /dev/null c 1 3"
local NO_DEVICE = "bind /dev/%s on /dev/%s: No such device (ENODEV); /dev/%s of the host is not the device %s"

for _, way in ipairs(ways.list) do
  ways.describe(way)("a host's /dev " .. way.name .. " #system", function()
    local directory, remove

    before_each(function() directory, remove = ways.directory(way) end)
    after_each(function() remove() end)

    it("that has a file, or another device, in the place of one gives it to nobody", function()
      for name, number in pairs(NAMES) do
        local file = ("echo kept >%s; chmod 666 %s"):format(name, name)
        local other = name == "zero" and "touch zero; mount --bind /dev/full zero"
        local wanted = name == "null" and NO_NULL or NO_DEVICE:format(name, name, name, number)
        assert.equal("refused: " .. wanted, ways.run(way, SANDBOX, "true", host_with(directory, name, other or file)))
      end
      local without_null = { system = true, mounts = SANDBOX.mounts, stdin = "pipe" }
      assert.equal("refused: " .. NO_DEVICE:format("null", "null", "null", "1:3"),
        ways.run(way, without_null, "true", host_with(directory, "null", "echo kept >null; chmod 666 null")))
    end)

    it("that has no /dev/null, or a file there, says so where a stream is to be 'null'", function()
      for _, stream in ipairs { "stdin", "stdout", "stderr" } do
        local spec, setup = { stdin = "pipe", [stream] = "null" }, "echo kept >null; chmod 666 null"
        assert.matches("^refused: open /dev/null: No such file or directory %(ENOENT%)",
          ways.run(way, spec, "true", host_with(directory, "null", "true")))
        assert.equal("refused: " .. NO_NULL, ways.run(way, spec, "true", host_with(directory, "null", setup)))
      end
    end)
  end)
end

-- The ids of a /dev cannot be mapped, and a device needs none: its mode says who may.
machine.it("sandbox")("a device of the host that is bound works without a word about ids #system", function()
  local box = ns.sandbox():bind("/dev/null", "/dev/nothing", { dev = true })
  local r = assert(box:run("sh", "-c", "echo x >/dev/nothing && stat -c %t:%T /dev/nothing"))
  assert.equal("1:3\n", r.stdout, r.stderr)
end)
