--- The descriptors of a program: where they lead, and that there are no others.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

--- A spec's outcome with stdout in a file: the text of the file.
local function into_file(spec)
  local path = os.tmpname()
  spec.stdout = spec.stdout or { path = path }
  local ok, how, code = machine.status(ns.spawn(spec))
  local text = machine.read(path)
  os.remove(path)
  return text, ok, how, code
end

describe("stdio", function()
  it("is the host's where nothing is said", function()
    local r = machine.host([[require("ns").spawn { "sh", "-c", "cat; echo out; echo err >&2" }:wait()]],
      { spec = { stdin = "in\n" } })
    assert.same({ "in\nout\n", "err\n" }, { r.stdout, r.stderr })
  end)

  it("goes to files, appending or not", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    machine.file(path, "first\n")
    machine.status(ns.spawn { "echo", "second", stdout = { path = path, append = true } })
    assert.equal("first\nsecond\n", machine.read(path))
    machine.status(ns.spawn { "echo", "third", stdout = { path = path } })
    assert.equal("third\n", machine.read(path))
    assert.equal("third\n", ns.run({ "cat", stdin = { path = path } }).stdout)
  end)

  it("takes Lua files, descriptors and objects with getfd", function()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    finally(function() os.remove(path) end)
    machine.status(ns.spawn { "echo", "1", stdout = f })
    machine.status(ns.spawn { "echo", "2", stdout = core.fileno(f) })
    machine.status(ns.spawn { "echo", "3", stdout = { getfd = function() return core.fileno(f) end } })
    f:close()
    assert.equal("1\n2\n3\n", machine.read(path))
  end)

  it("begins where Lua has stopped in a file, to read or to write", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local f = assert(io.open(path, "w"))
    f:write("first\n")
    machine.status(ns.spawn { "echo", "second", stdout = f })
    f:close()
    f = assert(io.open(path))
    assert.equal("first", f:read())
    assert.equal("second\n", ns.run({ "cat", stdin = f }).stdout)
    f:close()
  end)

  it("is no pipe of which Lua has read further than it has given: the program would miss that", function()
    local p = assert(ns.spawn { "seq", "3", stdout = "pipe" })
    finally(function() p:close() end)
    assert.equal("1", p.stdout:read())
    for where, f in pairs { stdin = function() ns.run { "cat", stdin = p.stdout } end,
      ["fds[5]"] = function() ns.run { "cat", fds = { [5] = p.stdout } } end } do
      local ok, message = pcall(f)
      assert.is_false(ok)
      assert.truthy(message:find(("(%s: Lua has read 4 bytes ahead, and this file cannot go back)"):format(where), 1, true),
        message)
    end
    assert.has_error(function() ns.box():stdin(p.stdout) end)
    assert.equal("2\n3\n", p.stdout:read("*a"))
    assert.equal("", ns.run({ "cat", stdin = p.stdout }).stdout)
  end)

  it("is no process, nor a stream of the other direction", function()
    local p = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    finally(function() p:close() end)
    local input, output = p:stream "stdin", p:stream "stdout"
    for message, words in pairs {
      ["stdin: a process; did you mean its stdout?"] = { stdin = p },
      ["stderr: a process; did you mean its stdin?"] = { stderr = p },
      ["fds[5]: a process; did you mean a stream of it?"] = { fds = { [5] = p } },
      ["stdin: a stream of the other direction; did you mean stdout?"] = { stdin = input },
      ["stdout: a stream of the other direction; did you mean stdin?"] = { stdout = output },
    } do
      words[1] = "true"
      local ok, said = pcall(ns.run, words)
      assert.is_false(ok)
      assert.truthy(said:find(message, 1, true), said)
    end
    assert.is_true(ns.run({ "echo", "through", stdout = input }).ok)
    input:close()
    assert.equal("through\n", ns.run({ "cat", stdin = output }).stdout)
  end)

  it("is a pipe of which Lua has read no further", function()
    local p = assert(ns.spawn { "sh", "-c", "echo 1; read x; echo 2", stdin = "pipe", stdout = "pipe" })
    assert.equal("1", p.stdout:read())
    p.stdin:write("\n")
    p.stdin:close()
    assert.equal("2\n", ns.run({ "cat", stdin = p.stdout }).stdout)
    p:close()
  end)

  it("holds on to files that nobody else holds, though the collector comes", function()
    local r = machine.host [[
      local core = require "ns.core"
      local bag = core.bag
      core.bag = function()
        collectgarbage()
        collectgarbage()
        return bag()
      end
      local ns = require "ns"
      local line = "readlink /proc/self/fd/0 /proc/self/fd/5"
      local function file() return assert(io.open "/etc/passwd") end
      local p = ns.spawn { "sh", "-c", line, stdin = file(), fds = { [5] = file() }, stdout = "pipe" }
      io.write(p.stdout:read("*a"), ns.run({ "sh", "-c", line, stdin = file(), fds = { [5] = file() } }).stdout)
    ]]
    assert.equal(("/etc/passwd\n"):rep(4), r.stdout .. r.stderr)
  end)

  it("keeps the order of what the host and the program print", function()
    local r = machine.host([[io.write("a"); require("ns").spawn({ "printf", "b" }):wait(); io.write("c")]])
    assert.equal("abc", r.stdout)
  end)

  it("merges stderr into stdout, wherever that goes", function()
    assert.equal("a\nb\n", (into_file { "sh", "-c", "echo a; echo b >&2", stderr = "stdout" }))
    assert.equal("a\nb\n", ns.run({ "sh", "-c", "echo a; echo b >&2", stderr = "stdout" }).stdout)
  end)

  it("of kind null is /dev/null", function()
    local r = ns.run { "readlink", "/proc/self/fd/0", "/proc/self/fd/2", stderr = "null" }
    assert.equal("/dev/null\n/dev/null\n", r.stdout)
  end)

  it("of a host that has closed its own is /dev/null, never one of our descriptors", function()
    local r = machine.host(
      [[os.execute = nil
      local p = require("ns").spawn { "perl", "-e", 'open F, ">&=3"; print F readlink "/proc/self/fd/$_", "\\n" for 0..2',
        fds = { [3] = 9 } }
      p:wait()]], { under = { "sh", "-c", 'exec 9>&1 0<&- 1>&- 2>&-; exec "$@"', "sh" } })
    assert.equal("/dev/null\n/dev/null\n/dev/null\n", r.stdout)
  end)
end)

describe("pipes", function()
  it("block as before when a capture of them is given up", function()
    local p = assert(ns.spawn { "sh", "-c", "sleep 0.2; echo one", stdout = "pipe" })
    core.capture(nil, nil, core.fileno(p.stdout), nil):close()
    assert.equal("one", p.stdout:read())
    p:close()
  end)

  it("are real Lua files", function()
    local p = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    finally(function() p:close() end)
    assert.equal("file", io.type(p.stdin))
    assert.truthy(p.stdin:write("one\ntwo\n", 3, "\n"))
    assert.truthy(p.stdin:close())
    local lines = {}
    for line in p.stdout:lines() do lines[#lines + 1] = line end
    assert.same({ "one", "two", "3" }, lines)
    assert.truthy(p.stdout:close())
    assert.equal("closed file", io.type(p.stdout))
    assert.is_true((p:wait()))
  end)

  it("serve io.input and io.output, read numbers and all", function()
    local p = assert(ns.spawn { "echo", "12 rest", stdout = "pipe" })
    local before = io.input()
    io.input(p.stdout)
    assert.equal(12, io.read("*n"))
    assert.equal(" rest\n", io.read("*a"))
    io.input(before)
    p:close()
  end)

  it("are collected without a trace, 200 of them", function()
    for _ = 1, 200 do -- a user may have no more keys than that at once
      assert(ns.spawn { "true", stdin = "pipe", stdout = "pipe", stderr = "pipe", keyring = "inherit" })
    end
    collectgarbage()
    collectgarbage() -- the rest is for after_each to find
  end)

  it("to a program that has ended give an error, and the host lives", function()
    local p = assert(ns.spawn { "true", stdin = "pipe" })
    p:wait()
    local ok, message = p.stdin:write(("x"):rep(100000))
    if ok then ok, message = p.stdin:flush() end
    assert.is_falsy(ok)
    assert.matches("Broken pipe", message)
    p:close()
  end)

  it("carry all byte values", function()
    local all = {}
    for i = 0, 255 do all[i + 1] = string.char(i) end
    all = table.concat(all):rep(64)
    assert.equal(all, ns.run({ "cat", stdin = all }).stdout)
  end)
end)

describe("descriptors", function()
  it("of the host are not inside, even if they were open without close-on-exec", function()
    local files = {}
    for i = 1, 20 do files[i] = io.open("/dev/null") end
    local seen = ns.run({ "ls", "/proc/self/fd" }).stdout
    for _, f in ipairs(files) do f:close() end
    assert.equal("0\n1\n2\n3\n", seen) -- 3 is ls looking
  end)

  it("are passed by number", function()
    local f = assert(io.open("/etc/hostname"))
    local seen = ns.run({ "sh", "-c", "readlink /proc/self/fd/7; ls /proc/self/fd", fds = { [7] = f } }).stdout
    f:close()
    assert.equal("/etc/hostname\n0\n1\n2\n3\n7\n", seen)
  end)

  it("may ask for every number from 3 to 64, whatever the launcher uses itself", function()
    for number = 3, 64 do
      local r = ns.run { "sh", "-c", ("cat /proc/self/fdinfo/%d >/dev/null && echo ok"):format(number),
        fds = { [number] = 0 } }
      assert.equal("ok\n", r.stdout)
    end
  end)

  machine.it("user", "root")("are all there where places are mounted on the host's own tree", function()
    local fds, wanted = {}, {}
    for number = 3, 64 do fds[number], wanted[#wanted + 1] = 0, tostring(number) end
    for _, kind in ipairs { "tmpfs", "mask" } do
      local r = assert(ns.run { "sh", "-c", "cd /proc/self/fd; for n in $(seq 3 64); do [ ! -e $n ] || echo $n; done",
        fds = fds, flags = machine.flags("mount"), mounts = { { type = kind, target = "/mnt" } } })
      assert.equal(table.concat(wanted, "\n") .. "\n", r.stdout)
    end
  end)

  it("can be swapped and turned in a circle", function()
    local paths, files = {}, {}
    for i = 1, 3 do
      paths[i] = os.tmpname()
      files[i] = assert(io.open(paths[i]))
    end
    local numbers = {}
    for i = 1, 3 do numbers[i] = core.fileno(files[i]) end
    local fds = { [numbers[1]] = numbers[2], [numbers[2]] = numbers[3], [numbers[3]] = numbers[1] }
    local line = ("cd /proc/self/fd; readlink %d %d %d"):format(numbers[1], numbers[2], numbers[3])
    local r = ns.run { "sh", "-c", line, fds = fds }
    for i = 1, 3 do
      files[i]:close()
      os.remove(paths[i])
    end
    assert.equal(("%s\n%s\n%s\n"):format(paths[2], paths[3], paths[1]), r.stdout)
  end)

  it("can exchange stdout and stderr", function()
    local out, err = os.tmpname(), os.tmpname()
    local a, b = io.open(out, "w"), io.open(err, "w")
    machine.status(ns.spawn { "sh", "-c", "echo out; echo err >&2", stdout = b, stderr = a })
    a:close()
    b:close()
    assert.same({ "err\n", "out\n" }, { machine.read(out), machine.read(err) })
    os.remove(out)
    os.remove(err)
  end)
end)
