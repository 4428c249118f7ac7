--- What landlock lets a program reach: as root, as an ordinary user, without a namespace, in a sandbox, in a living box.
local constants = require("ns.core").constants
local core = require "ns.core"
local errors = require "ns.start.errors"
local machine = require "support.machine"
local ns = require "ns"
local plan = require "ns.start.plan"
local plans = require "support.plans"
local survey = require "ns.start.survey"
local ways = require "support.ways"

local LL = constants.landlock
local SYSTEM = { "/usr", { path = "/bin" }, { path = "/lib" }, { path = "/lib64", try = true } }

-- ---- the word, and the steps ----

describe("the word landlock", function()
  for text, value in pairs {
    ["landlock: table expected, got string"] = "read",
    ["landlock: nothing in it: read, write, execute, tcp_connect, tcp_bind or scope"] = {},
    ["landlock: unknown field 'reed' (did you mean 'read'?)"] = { reed = {} },
    ["landlock.read: list expected, got string"] = { read = "/etc" },
    ["landlock.read[1]: absolute path expected, got 'etc'"] = { read = { "etc" } },
    ["landlock.write[2]: '..' in '/a/..'"] = { write = { "/", "/a/.." } },
    ["landlock.write[1].path: missing"] = { write = { { try = true } } },
    ["landlock.tcp_bind[1]: 65536 is out of range, 0 to 65535"] = { tcp_bind = { 65536 } },
    ["landlock.tcp_connect[1]: integer expected, got string"] = { tcp_connect = { "80" } },
    ["landlock.scope[1]: 'signal' or 'abstract_unix' expected, got 'net'"] = { scope = { "net" } },
    ["landlock.scope[2]: 'signal' is given twice"] = { scope = { "signal", "signal" } },
    ["landlock.scope: empty list"] = { scope = {} },
  } do
    it("says what is wrong in it: " .. text, function()
      local _, mistake = plan.check({ "true", landlock = value }, plans.host())
      assert.equal(text, mistake)
    end)
  end

  local function has(bits, name) return math.floor(bits / LL[name]) % 2 == 1 end

  local function steps(value, abi)
    return plans.only(plans.steps({ "true", landlock = value }, { landlock = function() return abi or 7 end }), "landlock",
      "landlock_path", "landlock_port", "landlock_restrict")
  end

  it("is lowered to a ruleset, its rules, and the restriction", function()
    local list = steps { read = { "/a" }, write = { { path = "/b", try = true } }, tcp_bind = { 80 }, scope = "signal" }
    assert.same({ "landlock", "landlock_path", "landlock_path", "landlock_port", "landlock_restrict" },
      { list[1].op, list[2].op, list[3].op, list[4].op, list[5].op })
    assert.same({ LL.BIND_TCP, LL.SIGNAL, constants.errno.ENOENT, 80 },
      { list[1].value, list[1].limit, list[3].ignore, list[4].value })
    assert.is_true(has(list[2].flags, "READ_DIR") and has(list[2].clear, "READ_DIR"))
    assert.is_false(has(list[2].clear, "READ_FILE"))
  end)

  it("has a rule of each field only with rights that the ruleset is about", function()
    local list = steps { execute = { "/a" } }
    assert.same({ LL.EXECUTE + LL.REFER, LL.EXECUTE }, { list[1].flags, list[2].flags })
    list = steps { write = { "/a" } }
    assert.is_true(has(list[1].flags, "MAKE_CHAR") and not has(list[2].flags, "MAKE_CHAR"))
    assert.is_false(has(list[2].flags, "READ_FILE"))
  end)

  it("lets files be moved where nothing is said of writing", function()
    local list = steps { read = { "/a" } }
    assert.same({ "/", LL.REFER }, { list[3].path, list[3].flags })
    assert.equal(3, #steps { write = { "/a" } })
  end)

  it("asks of an old kernel for no right that it does not know", function()
    assert.is_false(has(steps({ read = { "/a" } }, 1)[1].flags, "REFER"))
    assert.equal(3, #steps({ read = { "/a" } }, 1))
    local flags = steps({ write = { "/a" } }, 3)[1].flags
    assert.is_true(has(flags, "TRUNCATE") and not has(flags, "IOCTL_DEV"))
    assert.is_true(has(steps({ write = { "/a" } }, 5)[1].flags, "IOCTL_DEV"))
  end)

  --- What is said of a spec on a kernel with this ABI.
  local function refusal(value, abi)
    local host = plans.host { landlock = abi }
    local found, step, errno = survey.find(plans.check { "true", landlock = value }, host, { ends = host.ends, made = {} })
    assert.is_nil(found)
    return (select(2, errors.refused(step, errno)))
  end

  it("is refused by the name of the field that this kernel lacks, with the Linux that has it", function()
    local function abi(number) return function() return number end end
    assert.equal("landlock: tcp_connect: Operation not supported (EOPNOTSUPP); this kernel has version 2 of landlock, and "
      .. "tcp_connect needs Linux 6.7, scope needs Linux 6.12; optional = { 'landlock.tcp_connect', 'landlock.scope' } does "
      .. "without", refusal({ read = { "/" }, tcp_connect = {}, scope = "signal" }, abi(2)))
    assert.matches("^landlock: truncate: .*, and truncate needs Linux 6.2; ", refusal({ write = {} }, abi(2)))
    assert.matches("^landlock: unix_connect: .* needs Linux 7.1;", refusal({ unix_connect = {} }, abi(8)))
    assert.matches("^landlock: udp_bind: .* needs Linux 7.2;", refusal({ udp_bind = {} }, abi(9)))
    assert.matches("lsm=", refusal({ read = {} }, function() return nil, "", constants.errno.EOPNOTSUPP end))
    assert.matches("Linux 5.13", refusal({ read = {} }, function() return nil, "", constants.errno.ENOSYS end))
  end)

  it("reads, in ns.explain, as what is allowed", function()
    local text = plans.words { "true", landlock = { write = { "/w" }, tcp_connect = { 443 } } }
    local joined = table.concat(text, "\n")
    assert.matches("\nmake the rules of landlock\nallow to write /w\nallow to connect to TCP port 443\n", joined)
    assert.matches("\nno_new_privs\nhave landlock restrict the program\nexec 'true'$", joined)
  end)
end)

-- ---- what the program sees ----

machine.describe "landlock" ("a program under landlock #system", function()
  local directory, remove, reach

  setup(function()
    directory, remove = machine.directory()
    os.execute("chmod 777 " .. directory)
    reach = machine.program "reach"
  end)
  teardown(function() remove() end)

  before_each(function()
    os.execute(("cd %s && mkdir -m 777 in out in/sub && echo old >in/f && echo old >out/f && chmod 666 in/f out/f")
      :format(directory))
  end)
  after_each(function() os.execute(("rm -rf %s/in %s/out"):format(directory, directory)) end)

  --- What a shell line says, and what it complains of.
  local function sh(landlock, line, more)
    local spec = { "sh", "-c", line, landlock = landlock, cwd = directory, stderr = "stdout" }
    for word, value in pairs(more or {}) do spec[word] = value end
    local r, message = ns.run(spec)
    return r and r.stdout:gsub("\n$", "") or message
  end

  local function try(landlock, ...)
    local r, message = ns.run { argv = { reach, ... }, landlock = landlock }
    return r and r.stdout or message
  end

  it("reads what is named, and nothing else", function()
    local said = sh({ read = { directory .. "/in" }, execute = SYSTEM }, "cat in/f out/f; ls in; ls out")
    assert.matches("^old\ncat: out/f: Permission denied\nf\nsub\nls: cannot open directory '?out'?: Permission denied$",
      said)
  end)

  it("reads a single file", function()
    local said = sh({ read = { directory .. "/in/f" }, execute = SYSTEM }, "cat in/f out/f")
    assert.equal("old\ncat: out/f: Permission denied", said)
  end)

  it("writes, makes, moves and removes only below what is named, and reads all where nothing is said of that", function()
    local said = sh({ write = { directory .. "/in" } }, "echo new >in/f; cat in/f out/f; mkdir in/d && mv in/f in/d/g && "
      .. "ln -s x in/l && rm in/l && ls in/d; (echo x >out/f) 2>&1; rm out/f; touch out/x; mv in/d/g out/g")
    assert.matches("^new\nold\ng\n", said)
    assert.matches("cannot create out/f: Permission denied", said)
    assert.matches("cannot remove 'out/f'", said)
    assert.matches("cannot touch 'out/x'", said)
    assert.matches("mv: [^\n]*Permission denied", said)
    assert.equal("old\n", machine.read(directory .. "/out/f"))
    assert.equal("ok EACCES EACCES", try({ write = { directory .. "/in" } }, "truncate", directory .. "/in/d/g", "truncate",
      directory .. "/out/f", "rename", ("%s/in/d/g:%s/out/f"):format(directory, directory)))
  end)

  it("moves files from one directory to another where nothing is said of writing", function()
    assert.equal("ok", try({ execute = { "/" } }, "rename", ("%s/in/f:%s/out/g"):format(directory, directory)))
  end)

  machine.root_it("makes no device files, not where it may write either", function()
    assert.equal("EACCES", try({ write = { directory } }, "mknod", directory .. "/in/null"))
  end)

  it("executes what is named, if the interpreter is named, too, and reads it", function()
    assert.equal("old", sh({ execute = SYSTEM, read = { directory } }, "cat in/f"))
    os.execute(("cp /bin/true %s/in/true"):format(directory))
    assert.matches("in/true: Permission denied", sh({ execute = SYSTEM }, "in/true"))
  end)

  it("that is not executed is named in the message, or its interpreter", function()
    local _, message = ns.run { "true", landlock = { execute = {} } }
    assert.matches("^exec 'true': Permission denied %(EACCES%); landlock.execute has neither /[%l/]*bin/true nor a "
      .. "directory above it$", message)
    _, message = ns.run { "true", landlock = { read = { "/etc" } } }
    assert.matches("; landlock.read has neither /[%l/]*bin/true nor", message)
    machine.file(directory .. "/in/script", "#!/bin/sh\necho ran\n", 755)
    _, message = ns.run { directory .. "/in/script", landlock = { execute = { directory } } }
    assert.matches("; landlock.execute has neither /bin/sh nor a directory above it, and /%S+/in/script is executed by it$",
      message)
    assert.equal("ran\n", ns.run({ directory .. "/in/script", landlock = { execute = { directory, "/" } } }).stdout)
  end)

  it("is told of a path that is missing, unless it may be", function()
    assert.equal("allow to read /nowhere: No such file or directory (ENOENT); { path = PATH, try = true } stands for one "
      .. "that may be missing", sh({ read = { "/nowhere" } }, "true"))
    assert.equal("old", sh({ read = { "/", { path = "/nowhere", try = true } } }, "cat in/f"))
  end)

  it("has the streams that it was given, whatever they are", function()
    local p = assert(ns.spawn { "sh", "-c", "cat; echo $?", stdin = { path = directory .. "/out/f" },
      stdout = { path = directory .. "/out/said" }, landlock = { execute = SYSTEM, read = {}, write = {} } })
    machine.status(p)
    assert.equal("old\n0\n", machine.read(directory .. "/out/said"))
    assert.equal("x", sh({ read = { "/proc/self/fd/0" }, execute = SYSTEM }, "cat /proc/self/fd/0", { input = "x" }))
  end)

  it("has as many descriptors as it was given", function()
    assert.equal("ok", ns.run({ reach, "child", "-", rlimits = { nofile = 4 },
      landlock = { execute = { "/" }, read = { "/" }, write = { directory } } }).stdout)
    local said = sh({ execute = { "/" } }, "ls /proc/self/fd | wc -l")
    assert.equal(sh(nil, "ls /proc/self/fd | wc -l"), said)
  end)

  it("gains no rights by exec: no_new_privs comes with it, unless the spec says otherwise", function()
    assert.equal("NoNewPrivs:\t1", sh({ read = { "/" } }, "grep NoNewPrivs /proc/self/status"))
    local _, message = ns.run { "true", flags = "user", user = 0, caps = {}, landlock = { read = { "/" } },
      no_new_privs = false }
    assert.equal("have landlock restrict the program: Operation not permitted (EPERM); it takes no_new_privs, which this "
      .. "spec sets to false", message)
  end)

  it("that is a function is restricted, too", function()
    local ok, first, second = ns.call({ landlock = { write = { directory .. "/in" } } }, function()
      return (io.open(directory .. "/in/new", "w")) ~= nil, (select(2, io.open(directory .. "/out/new", "w")))
    end)
    assert.same({ true, true, directory .. "/out/new: Permission denied" }, { ok, first, second })
  end)

  it("is what ns.check tries", function()
    assert.is_true(ns.check { "true", landlock = { execute = { "/" } } })
    local ok, message = ns.check { "true", landlock = { execute = {} } }
    assert.is_nil(ok)
    assert.matches("landlock.execute has neither", message)
  end)

  it("of an ordinary user, without any namespace, is restricted all the same", function()
    local code = [[local r, why = require("ns").run { "sh", "-c", "cat %s/in/f; echo x >%s/out/f", stderr = "stdout",
      landlock = { write = { "%s/in" } } }
      io.write(r and r.stdout or why)]]
    local r = machine.host(code:format(directory, directory, directory), { nobody = true,
      under = machine.refuse("EPERM", "unshare", "mount", "clone&0x7e020000") })
    assert.matches("^old\nsh: [^\n]*cannot create %S+/out/f: Permission denied\n$", r.stdout)
  end)

  machine.it("tree")("in a sandbox is restricted to places of the sandbox", function()
    local box = ns.sandbox():bind(directory .. "/in", "/w")
      :landlock { execute = SYSTEM, read = { "/w" }, write = { "/w/sub" } }
    local r = assert(box:run("sh", "-c", "cat /w/f; echo x >/w/sub/x; cat /w/sub/x; (echo x >/w/f); ls /tmp"))
    assert.equal("old\nx\n", r.stdout)
    assert.matches("cannot create /w/f", r.stderr)
    assert.matches("/tmp'?: Permission denied", r.stderr)
  end)

  for _, way in ipairs(ways.list) do
    it("is restricted in namespaces and a root, " .. way.name, function()
      local said = ways.run(way, { root = "/", mounts = { { type = "tmpfs", target = "/tmp" },
        { type = "tmpfs", target = "/mnt" } }, landlock = { write = { "/tmp" } } },
        "echo x >/tmp/x; cat /tmp/x; echo x >/mnt/x")
      assert.matches("^x\n[^\n]*/mnt/x: Permission denied$", said)
    end)
  end

  machine.it("sandbox")("in a living box is each program, and none can go without it", function()
    local c = assert(ns.sandbox():landlock { execute = SYSTEM, write = { "/tmp", "/dev/null" } }:start())
    assert.matches("^x\nsh: [^\n]*/run/x: Permission denied\n$",
      c:run { "sh", "-c", "echo x >/tmp/x; cat /tmp/x; echo y >/run/x", stderr = "stdout" }.stdout)
    assert.has_error(function() c:run { "true", landlock = { read = { "/" } } } end)
    local p = assert(c:spawn("sleep", "60"))
    assert.is_true(p:kill "TERM")
    assert.same({ nil, "signal", 15 }, { machine.status(p) })
    c:close()
  end)

  machine.root_it("in a living box with users is restricted, too", function()
    local c = assert(ns.sandbox():user(1000):landlock { execute = SYSTEM, write = { "/dev/null" } }:start())
    assert.matches("/tmp/x: Permission denied", c:run("sh", "-c", "echo x >/tmp/x").stderr)
    assert.equal("33\n", c:run { "id", "-u", user = 33 }.stdout)
    c:close()
  end)

  it("is restricted again when a box that was started before is started, with other links on the way", function()
    local box = ns.box { landlock = { write = { directory .. "/in" }, read = { directory .. "/in/sub" }, execute = SYSTEM } }
    assert(box:run "true")
    os.execute(("cd %s/in && rmdir sub && ln -s ../out sub"):format(directory))
    local r, message = box:run "true"
    assert.is_nil(r)
    assert.matches("^allow to read %S+/in/sub: Too many levels of symbolic links %(ELOOP%)", message)
  end)

  it("writes its output through no link that an earlier one has left where it may write", function()
    os.execute(("ln -s ../out/f %s/in/log"):format(directory))
    local r, message = ns.run { "echo", "x", stdout = { path = directory .. "/in/log" },
      landlock = { write = { directory .. "/in" } } }
    assert.is_nil(r)
    assert.matches("ELOOP", message)
  end)
end)

machine.describe "landlock_tcp" ("a program under landlock, with ports, #system", function()
  it("connects to and binds the TCP ports that are named; others it is refused", function()
    local reach = machine.program "reach"
    local function try(landlock)
      return ns.run({ reach, "tcp_connect", "9", "tcp_connect", "10", "tcp_bind", "45454", "tcp_bind", "45455",
        flags = machine.flags "net", landlock = landlock }).stdout
    end
    assert.equal("ECONNREFUSED ECONNREFUSED ok ok", try(nil))
    assert.equal("ECONNREFUSED EACCES ok ok", try { tcp_connect = { 9 } })
    assert.equal("ECONNREFUSED ECONNREFUSED ok EACCES", try { tcp_bind = { 45454 } })
    assert.equal("EACCES EACCES EACCES EACCES", try { tcp_bind = {}, tcp_connect = {} })
  end)
end)

machine.describe "landlock_scope" ("a program under landlock, with a scope, #system", function()
  it("signals no process but its own", function()
    local reach, p = machine.program "reach", assert(ns.spawn { "sleep", "60" })
    local function try(landlock, more)
      local spec = { reach, "kill", ("%d"):format(p.pid), "child", "-", landlock = landlock }
      for word, value in pairs(more or {}) do spec[word] = value end
      return assert(ns.run(spec)).stdout
    end
    assert.equal("ok ok", try { read = { "/" } })
    assert.equal("EPERM ok", try { scope = { "signal" } })
    assert.equal("EPERM ok", try({ scope = { "signal" } }, { init = true }))
    p:close()
  end)

  it("is stopped as any other, with an init above it or without", function()
    for _, init in ipairs { false, true } do
      local p = assert(ns.spawn { "sh", "-c", "sleep 60 & wait", init = init,
        landlock = { scope = { "signal", "abstract_unix" } } })
      assert.same({ nil, "signal", 15 }, { p:stop(5) })
      p:close()
    end
  end)

  it("reaches no abstract socket of others", function()
    local reach = machine.program "reach"
    local function try(landlock)
      return assert(ns.run { reach, "abstract", "landlock spec " .. core.ids().euid, landlock = landlock }).stdout
    end
    -- nobody listens: the kernel looks for the socket before it asks who may reach it
    assert.equal("ECONNREFUSED", try { scope = "abstract_unix" })
  end)
end)

machine.describe "landlock_udp" ("a program under landlock, with UDP ports and sockets, #system", function()
  it("sends to and binds what is named", function()
    local reach = machine.program "reach"
    local function try(landlock)
      return ns.run({ reach, "udp_connect", "9", "udp_connect", "10", "udp_bind", "45454", "udp_bind", "45455",
        flags = machine.flags "net", landlock = landlock }).stdout
    end
    assert.equal("ok EACCES ok ok", try { udp_connect = { 9 } })
    assert.equal("ok ok ok EACCES", try { udp_bind = { 45454, 0 } })
  end)
end)
