--- What the host has is not for the program: its descriptors, its executable, its directories.
local lfs = require "lfs"
local machine = require "support.machine"
local ns = require "ns"

local HOLD = [[
  local held, ns = {}, require "ns"
  for i = 1, 60 do held[i] = assert(io.open(i %% 2 == 0 and "/" or "%s")) end -- without close-on-exec, as Lua does it
]]

--- Starts in /proc/self/fd/N for every N, in a spec that is written as Lua. Prints what leads to the marker of the host, and
-- how often there was an error.
local CWD = HOLD .. [[
  local errors = 0
  for n = 0, 70 do
    local r = ns.run(ns.box(%s):cwd("%s/" .. n):argv("sh", "-c", "test -e ./marker -o -e .%s/marker && echo leaked"))
    if r then io.write(n, " ", r.stdout) else errors = errors + 1 end
  end
  print(errors > 60 and "errors" or errors)
]]

local SYSTEM = '{ flags = "user,mount,pid", system = true, mounts = { { type = "proc" } } }'

describe("a directory of the host #system", function()
  local directory, rogue, remove, remove_rogue

  setup(function()
    directory, remove = machine.directory()
    rogue, remove_rogue = machine.directory()
    machine.file(directory .. "/marker", "")
    os.execute(("ln -s /proc/self/fd %s/fd; ln -s /proc/thread-self/fd %s/task"):format(rogue, rogue))
  end)

  teardown(function()
    remove()
    remove_rogue()
  end)

  --- What of it a program gets in a spec, by the way of a path that is followed by a number.
  local function leaks(spec, way, options, before)
    local r = machine.host((before or "") .. CWD:format(directory, spec, way, directory), options)
    assert(r.ok, tostring(r))
    return (r.stdout:gsub("%d+ ", ""))
  end

  it("is not to be had as the working directory by its descriptor (row 1)", function()
    assert.equal("errors\n", leaks("{}", "/proc/self/fd"))
  end)

  machine.it("user")("is not to be had in another root, neither by its name nor by a link (row 1)", function()
    local linked = SYSTEM:gsub('type = "proc"', ('%%0 }, { type = "bind", source = "%s", target = "/rogue"'):format(rogue))
    for _, nobody in ipairs { false, true } do
      assert.equal("errors\n", leaks(SYSTEM, "/proc/self/fd", { nobody = nobody }))
      assert.equal("errors\n", leaks(linked, "/rogue/fd", { nobody = nobody }))
      assert.equal("errors\n", leaks(linked, "/rogue/task", { nobody = nobody }))
    end
  end)

  machine.root_it("is not to be had where the launcher is a copy of the host (row 1)", function()
    local copied = [[
      local f = io.open("/proc/sys/vm/memfd_noexec", "w")
      if f then f:write("2") f:close() end
    ]]
    for _, spec in ipairs { "{}", SYSTEM } do
      local options = { spec = { flags = { "pid", "mount" }, mount_proc = true } }
      assert.equal("errors\n", leaks(spec, "/proc/self/fd", options, copied))
    end
  end)
end)

describe("the descriptors of the program #system", function()
  -- ls has one more open, to look
  local WAYS = {
    ["nothing"] = "{}",
    ["other streams"] = '{ stdin = "pipe", stderr = "stdout", input = "x" }',
    ["namespaces"] = '{ flags = "user,pid,mount,uts,ipc,net,cgroup,time", mount_proc = true, hostname = "x" }',
    ["a terminal"] = "{ pty = true }",
    ["an init"] = '{ flags = "user,pid", init = true }',
    ["a sandbox"] = "ns.sandbox():spec()",
    ["a sandbox with a terminal"] = "ns.sandbox():pty(true):spec()",
    ["mounts"] = '{ flags = "user,mount,pid", system = true, mounts = { { type = "proc" }, { type = "dev" }, '
      .. '{ type = "tmpfs", target = "/t" }, { type = "bind", source = "/etc" , target = "/e", idmap = false }, '
      .. '{ type = "file", target = "/f", data = "x" }, '
      .. (machine.can.overlay and '{ type = "overlay", lower = "/usr/share", target = "/o" } } }' or "} }"),
    ["privileges"] = '{ flags = "user", caps = { "chown" }, no_new_privs = true, keyring = "own", umask = 0, '
      .. 'rlimits = { core = 0 }, nice = 19, session = true }',
  }

  for name, spec in pairs(WAYS) do
    for _, nobody in ipairs { false, true } do
      local title = ("with %s%s are 0, 1 and 2 (rows 4, 6)"):format(name, nobody and ", for an ordinary user," or "")
      machine.it("user")(title, function()
        local r = machine.host(HOLD:format("/etc") .. ([[
          local spec = %s
          spec[1], spec[2] = "ls", "/proc/self/fd"
          local r, message = ns.run(spec)
          io.write(r and r.stdout:gsub("%%s+", " ") .. (r.stderr or "") or message)
        ]]):format(spec), { nobody = nobody })
        assert.equal("0 1 2 3 ", r.stdout)
      end)
    end
  end

  it("in any permutation lead where they should (row 8)", function()
    local core = require "ns.core"
    local files, fds, seed = {}, {}, 8
    for i = 1, 8 do
      files[i] = assert(io.tmpfile())
      fds[i] = core.fileno(files[i])
      files[i]:write(i)
      files[i]:flush()
    end
    local function random(n)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return math.floor(seed / 65536) % n + 1
    end
    for _ = 1, 60 do
      local want, line, expected = {}, {}, {}
      for _ = 1, random(8) do want[fds[random(8)]] = random(8) end
      local passed = {}
      for number, i in pairs(want) do
        passed[number] = fds[i]
        line[#line + 1] = ("cat /proc/self/fd/%d"):format(number)
        expected[#expected + 1] = i
      end
      local r = assert(ns.run { "sh", "-c", table.concat(line, ";"), fds = passed })
      assert.equal(table.concat(expected), r.stdout)
    end
    for i = 1, 8 do files[i]:close() end
  end)
end)

describe("a thousand starts that fail", function()
  it("leave no descriptor and no child, though nothing is collected (rows 9, 10)", function()
    local r = machine.host([[
      local lfs, ns = require "lfs", require "ns"
      local function count()
        local n = 0
        for _ in lfs.dir("/proc/self/fd") do n = n + 1 end
        return n
      end
      ns.spawn { "/nope" }
      collectgarbage("stop")
      local before = count()
      for _ = 1, 850 do ns.spawn { "/nope", stdin = "pipe", stdout = "pipe", stderr = "pipe", detach = true } end
      for _ = 1, 50 do ns.spawn { "/nope", pty = true } end
      for _ = 1, 50 do ns.spawn { "true", stdout = "pipe", stderr = { path = "/nope/nope" } } end
      for _ = 1, 50 do ns.spawn { "true", flags = "user,pid", init = true, cwd = "/nope", stdout = "pipe" } end
      print(count() - before, io.open("/proc/thread-self/children"):read("*a"))
    ]])
    assert.equal("0\t\n", r.stdout .. r.stderr)
  end)
end)

describe("the executable #system", function()
  machine.it("user")("of the host is not executed by a link to, or a script for, /proc/self/exe (row 3)", function()
    local directory, remove = machine.directory()
    finally(remove)
    os.execute(("ln -s /proc/self/exe %s/link"):format(directory))
    machine.file(directory .. "/script", "#!/proc/self/exe -e\nprint('the host')\n", 755)
    local code = ([[
      local ns = require "ns"
      for _, name in ipairs { "/link", "/script" } do
        for _, init in ipairs { false, true } do
          local spec = %s
          spec.root, spec.init, spec.timeout = "%s", init, 5
          spec.argv = { name, "-e", "print('the host')" }
          local r = ns.run(spec)
          print(r and r.ok, r and r.stdout .. r.stderr)
        end
      end
      print(ns.run({ "true" }).ok) -- the launcher is what it was
    ]]):format(SYSTEM, directory)
    for _, nobody in ipairs { false, true } do
      assert.equal("nil\t\nnil\t\nnil\t\nnil\t\ntrue\n", machine.host(code, { nobody = nobody }).stdout)
    end
  end)

  machine.root_it("that is there, the launcher, is written by nobody, not even the root of the host (row 3)", function()
    local line = "for try in 1 2 3; do { echo evil >/proc/1/exe; } 2>/dev/null && echo written; done; "
      .. "readlink /proc/1/exe; cp /proc/1/exe /dev/null && echo readable"
    local spec = { "bash", "-c", line, flags = { "pid", "mount" }, mount_proc = true, init = true }
    assert.equal("/memfd:ns (deleted)\nreadable\n", ns.run(spec).stdout)
    assert.is_true(ns.run({ "true" }).ok)
  end)
end)

describe("a program #system", function()
  it("is found behind PATH entries that are longer than a path can be (row 14)", function()
    local long = ("/" .. ("x"):rep(250)):rep(16):sub(1, 4000)
    for _, entry in ipairs { long, ("y"):rep(4000), long .. long } do
      for _, flags in ipairs { {}, { "user", "pid" } } do
        local path = entry .. ":" .. entry .. ":/usr/bin:/bin"
        local r = assert(ns.run { "true", env = { PATH = path }, flags = flags, init = #flags > 0 })
        assert.is_true(r.ok)
      end
    end
    local message, errno = select(2, ns.run { ("z"):rep(300) })
    assert.matches("File name too long", message)
    assert.equal(36, errno)
  end)

  it("gets files whose modes are its own umask's, and none of the host's directories change", function()
    local directory, remove = machine.directory()
    finally(remove)
    assert.is_true(ns.run({ "sh", "-c", "umask; : >made", cwd = directory, umask = 63 }).ok)
    assert.equal("rw-------", lfs.attributes(directory .. "/made", "permissions"))
  end)
end)
