--- ns.confined(): a box without any namespace.
local machine = require "support.machine"
local ns = require "ns"

describe("a confined box", function()
  local function mistake(f)
    local ok, message = pcall(f)
    assert.is_false(ok)
    return message:match("confined_spec%.lua:%d+: (.*)") or message
  end

  it("gives paths of the host where they are, by the methods of the sandbox", function()
    local given = ns.confined():bind("/a"):ro_bind("/b"):ro_bind("/c", { exec = false, try = true }):spec().landlock
    assert.same({ "/a", "/a", "/b" }, { given.write[#given.write], given.execute[#given.execute - 1],
      given.execute[#given.execute] })
    assert.same({ "/b", { path = "/c", try = true } }, { given.read[#given.read - 1], given.read[#given.read] })
    assert.same(ns.confined():bind("/a"):spec(), ns.confined():bind("/a", "/a"):clone():spec())
  end)

  it("says by name what has no meaning in it", function()
    assert.equal("bind: a confined box has the paths of the host where they are: one path, no target",
      mistake(function() ns.confined():bind("/a", "/b") end))
    assert.equal("ro_bind: a confined box has the paths of the host where they are: one path, no target",
      mistake(function() ns.confined():ro_bind(0, "/b") end))
    assert.equal("tmpfs: a confined box mounts nothing; it is given paths of the host by bind and ro_bind",
      mistake(function() ns.confined():tmpfs("/tmp") end))
    assert.equal("bind: 'idmap' means nothing in a confined box, which mounts nothing",
      mistake(function() ns.confined():bind("/a", { idmap = true }) end))
    assert.matches("hostname: needs 'uts' in flags", mistake(function() ns.confined():hostname("x"):run("true") end))
    assert.matches("root: needs 'mount' in flags", mistake(function() ns.confined():root("/"):run("true") end))
    assert.matches("flags: needs 'pid'", mistake(function() ns.confined():start() end))
  end)

  it("keeps what landlock it has where a field is added, or taken away", function()
    local words = ns.confined():landlock { tcp_connect = { 443 }, scope = false }:spec().landlock
    assert.same({ 443 }, words.tcp_connect)
    assert.is_nil(words.scope)
    assert.truthy(words.read and words.write and words.execute and words.tcp_bind)
    words = ns.confined():share("net"):spec().landlock
    assert.is_nil(words.tcp_connect or words.tcp_bind)
    assert.truthy(words.read)
    assert.is_nil(ns.box():landlock({ scope = "signal" }):landlock({ scope = false }):spec().landlock)
  end)

  it("takes a spec", function()
    local box = ns.confined { "echo", "hi", timeout = 5, env = { A = "1" }, landlock = { tcp_bind = { 80 } } }
    assert.same({ 5, "1", "C.UTF-8", 80 }, { box:spec().timeout, box:spec().env.A, box:spec().env.LANG,
      box:spec().landlock.tcp_bind[1] })
    assert.truthy(box:spec().landlock.execute)
  end)
end)

machine.describe("landlock_scope", "leftovers")("a program in a confined box #system", function()
  local directory, remove

  before_each(function()
    directory, remove = machine.directory()
    os.execute(("chmod 777 %s && cd %s && mkdir in out && chmod 777 in out && echo in >in/f && echo out >out/f")
      :format(directory, directory))
  end)
  after_each(function() remove() end)

  -- as on a host that allows no namespaces, nor mounts
  local NONE = { "EPERM", "unshare", "mount", "clone&0x7e020000", "pivot_root", "setns", "keyctl" }

  --- What a shell line says in ns.confined(), to which Lua adds; $IN and $OUT are directories.
  local function said(add, line, nobody)
    local code = ([[
      local box = require("ns").confined():env { IN = %q, OUT = %q }:stderr "stdout"%s
      local r, message = box:run("sh", "-c", %q)
      io.write(r and r.stdout or message)]]):format(directory .. "/in", directory .. "/out", add:gsub("%$IN",
        directory .. "/in"), line)
    local r = machine.host(code, { nobody = nobody, under = machine.refuse((table.unpack or unpack)(NONE)) }) -- luacheck: ignore
    return r.stdout .. r.stderr
  end

  for who, nobody in pairs { ["of this user"] = false, ["of an ordinary user"] = true } do
    it(who .. " reads the system and what it is given, and writes only what it is given", function()
      local text = said(':bind "$IN"', 'cat $IN/f; echo new >$IN/g; cat $IN/g; (cat $OUT/f); (echo x >$OUT/g); '
        .. '(echo x >/tmp/confined_x); ls /home; wc -c </dev/null; head -c 1 /etc/services | wc -c; : >/dev/null', nobody)
      assert.matches("^in\nnew\n", text)
      assert.matches("cat: %S+/out/f: Permission denied\n", text)
      assert.matches("cannot create %S+/out/g: Permission denied\n", text)
      assert.matches("cannot create /tmp/confined_x: Permission denied\n", text)
      assert.matches("'?/home'?: Permission denied\n0\n1\n$", text)
    end)

    it(who .. " only reads and executes what is given by ro_bind", function()
      local text = said(':ro_bind "$IN"', 'cat $IN/f; cp /bin/true $IN/true || echo $?', nobody)
      assert.matches("^in\n[^\n]*Permission denied\n1\n$", text)
    end)

    it(who .. " has no capabilities and gets no rights", function()
      local text = said("", "grep -E 'CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs' /proc/self/status", nobody)
      assert.equal("CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
        .. "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n", text)
    end)

    it(who .. " is under the filter of system calls that the sandbox has", function()
      assert.matches("^Seccomp:\t2\n", said("", "grep Seccomp: /proc/self/status", nobody))
    end)

    it(who .. " has nothing of the host's environment", function()
      local text = said("", "env | grep -vE '^(PWD|IN|OUT|_|SHLVL|OLDPWD)=' | sort", nobody)
      assert.equal("HOME=/\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin\n", text)
    end)

    it(who .. " ends with all that it has started", function()
      local marker = ("6%05d"):format(math.random(99999))
      assert.equal("", said("", ("setsid sleep %s >/dev/null 2>&1 &"):format(marker), nobody))
      assert.equal(0, machine.processes(marker))
    end)

    it(who .. " signals and looks into no process of others", function()
      local p = assert(ns.spawn { "sleep", "60", env = { SECRET = "hush" },
        user = nobody and machine.root and 65534 or nil })
      local line = ("kill -0 %d; cat /proc/%d/environ; ls /proc/%d/fd"):format(p.pid, p.pid, p.pid)
      local text = said("", line, nobody)
      p:close()
      assert.matches("kill: [^\n]*not permitted", text)
      assert.matches("environ: Permission denied", text)
      assert.not_matches("hush", text)
    end)
  end

  it("connects and listens nowhere by TCP, unless it shares the network", function()
    local reach = machine.program "reach"
    local function try(box) return box:ro_bind(reach):run(reach, "tcp_connect", "9", "tcp_bind", "45456").stdout end
    assert.equal("EACCES EACCES", try(ns.confined()))
    assert.not_matches("EACCES", try(ns.confined():share "net"))
    assert.matches("^EACCES ok$", try(ns.confined():landlock { tcp_bind = { 45456 } }))
  end)

  it("runs what people run", function()
    for _, argv in ipairs { { "perl", "-e", "print 6*7" }, { "awk", "BEGIN { printf 42 }" },
      { "sh", "-c", "echo 42 | tr -d '\n'" } } do
      assert.equal("42", assert(ns.confined():run((table.unpack or unpack)(argv))).stdout) -- luacheck: ignore
    end
  end)
end)
