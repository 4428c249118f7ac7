--- The word seccomp, as data: what becomes of the rules, run by an interpreter and compared with a reference that reads the
--- rules themselves. What a program sees of it is in spec/filters_spec.lua.
local bpf = require "support.bpf"
local check = require "ns.words.check"
local constants = require("ns.core").constants
local core = require "ns.core"
local machine = require "support.machine"
local profile = require "ns.words.profile"
local seccomp = require "ns.words.seccomp"
local syscalls = require "ns.words.syscalls"

local native = syscalls.machine(core.machine)

--- The instructions for a value of the word.
local function filter(value, spec)
  return bpf.read(seccomp.bytes(seccomp.check(value, "seccomp"), spec or {}))
end

--- What they do for a call by name, with low halves of arguments.
local function decide(code, name, ...)
  local args = {}
  for i, low in ipairs { ... } do args[i] = type(low) == "table" and low or { 0, low } end
  return bpf.run(code, { number = native.numbers[name], audit = native.audit, args = args })
end

local function mistake(value)
  local ok, e = pcall(seccomp.check, value, "seccomp")
  assert.is_false(ok)
  return check.mistake(e)
end

local ALLOW, EPERM, ENOSYS = bpf.action "allow", bpf.action "EPERM", bpf.action "ENOSYS"

describe("the filter of", function()
  it("'default' lets pass what it names, and answers what nobody knows with ENOSYS", function()
    local code = filter "default"
    for name in pairs { read = 1, execve = 1, futex = 1, ptrace = 1, memfd_secret = 1 } do
      assert.equal(ALLOW, decide(code, name), name)
    end
    for name in pairs { mount = 1, add_key = 1, keyctl = 1, request_key = 1, bpf = 1, io_uring_setup = 1, setns = 1 } do
      assert.equal(EPERM, decide(code, name), name)
    end
    for name in pairs { clone3 = 1, fsopen = 1, open_tree = 1 } do assert.equal(ENOSYS, decide(code, name), name) end
    for _, number in ipairs { 473, 600, 1000, 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff, 0xfffffffe, 0xffffffff } do
      assert.equal(ENOSYS, bpf.run(code, { number = number, audit = native.audit, args = {} }))
    end
  end)

  it("'default' looks at arguments, and at no more of them than the kernel does", function()
    local code = filter "default"
    local ROWS = {
      { "clone", ALLOW, 0x1200011 }, { "clone", EPERM, 0x10000000 }, { "clone", EPERM, { 7, 0x20000 } },
      { "unshare", ALLOW, 0x200 }, { "unshare", EPERM, 0x80 }, { "unshare", EPERM, 0x40000000 },
      { "socket", ALLOW, 1, 5, 0 }, { "socket", ALLOW, 2, 0x80001, 6 }, { "socket", ALLOW, 10, 2, 58 },
      { "socket", bpf.action "EPROTONOSUPPORT", 2, 5, 0 }, { "socket", bpf.action "EPROTONOSUPPORT", 2, 2, 58 },
      { "socket", ALLOW, 16, 3, 0 }, { "socket", bpf.action "EPROTONOSUPPORT", 16, 3, 9 },
      { "socket", bpf.action "EAFNOSUPPORT", 40, 1, 0 }, { "socket", bpf.action "EAFNOSUPPORT", { 1, 40 }, 1, 0 },
      { "socket", ALLOW, { 0xffffffff, 1 }, 1, 0 }, { "ioctl", EPERM, 0, 0x5412 }, { "ioctl", EPERM, 0, { 1, 0x5412 } },
      { "ioctl", ALLOW, 0, 0x5413 }, { "fcntl", EPERM, 3, 1024 }, { "fcntl", ALLOW, 3, 1025 },
      { "personality", ALLOW, 0x40008 }, { "personality", ALLOW, 0xffffffff }, { "personality", EPERM, 0x400000 },
    }
    for _, row in ipairs(ROWS) do
      local got = decide(code, row[1], row[3], row[4], row[5])
      assert.equal(row[2], got, ("%s %s"):format(row[1], tostring(row[3])))
    end
  end)

  it("'default' opens what other words give the program", function()
    local nested = filter("default", { disable_userns = false })
    assert.same({ ALLOW, ALLOW, ALLOW, ALLOW, EPERM, ALLOW, EPERM }, { decide(nested, "mount"), decide(nested, "clone3"),
      decide(nested, "unshare", 0x10000000), decide(nested, "chroot"), decide(nested, "bpf"), decide(nested, "keyctl", 1, 0),
      decide(nested, "keyctl", 11, 1) })
    local time = filter("default", { caps = 2 ^ constants.cap.SYS_TIME })
    assert.same({ ALLOW, EPERM }, { decide(time, "clock_settime"), decide(time, "mount") })
    local all = filter("default", { caps = -1 })
    assert.same({ ALLOW, ALLOW, ALLOW, EPERM }, { decide(all, "mount"), decide(all, "socket", 17, 3, 0),
      decide(all, "socket", 16, 3, 12), decide(all, "add_key") })
    assert.equal(EPERM, decide(filter("default", { disable_userns = true }), "mount"))
  end)

  it("a table changes the default profile", function()
    local code = filter { allow = { "mount", 473 }, deny = { "ptrace" }, errno = "EIO", kill = { "acct" },
      log = { "mkdirat" },
      rules = { { "socket", arg = { { 0, "==", 2 } }, action = "ENETDOWN" } } }
    assert.same({ ALLOW, bpf.action "EIO", bpf.action "kill", bpf.action "log", bpf.action "ENETDOWN", ALLOW, EPERM },
      { decide(code, "mount"), decide(code, "ptrace"), decide(code, "acct"), decide(code, "mkdirat"),
        decide(code, "socket", 2, 1, 0), decide(code, "socket", 10, 1, 0), decide(code, "umount2") })
    assert.equal(ALLOW, bpf.run(code, { number = 473, audit = native.audit, args = {} }))
  end)

  it("a table with 'default' stands alone", function()
    local code = filter { default = "EACCES", allow = { "execve" } }
    assert.same({ ALLOW, bpf.action "EACCES" }, { decide(code, "execve"), decide(code, "read") })
    assert.equal(ENOSYS, bpf.run(code, { number = 600, audit = native.audit, args = {} }))
    code = filter { default = "allow", deny = { "read" } }
    assert.same({ ALLOW, EPERM }, { decide(code, "execve"), decide(code, "read") })
    assert.equal(ALLOW, bpf.run(code, { number = 600, audit = native.audit, args = {} }))
    code = filter { default = "kill", allow = { "execve" } }
    assert.equal(bpf.action "kill", bpf.run(code, { number = 600, audit = native.audit, args = {} }))
  end)

  it("any table kills a call of another architecture, and knows no number of x32", function()
    for _, value in ipairs { "default", { default = "allow" }, { default = "allow", arch = { "arm" } } } do
      local code = filter(value)
      for _, audit in ipairs { 0x40000003, 0x40000028, 0xc000003e, 0xc00000b7, 0, 0xffffffff } do
        if audit ~= native.audit then
          assert.equal(bpf.action "kill", bpf.run(code, { number = 1, audit = audit, args = {} }))
        end
      end
      if core.machine == "x86_64" then
        for _, number in ipairs { 0x40000000, 0x40000001, 0x40000208, 0xffffffff } do
          assert.equal(ENOSYS, bpf.run(code, { number = number, audit = native.audit, args = {} }))
        end
      end
    end
  end)
end)

describe("32-bit programs on x86-64", function()
  local title = "run where 'arch' has them, under the same rules"
  if core.machine ~= "x86_64" then return pending(title .. " [this is another machine]") end
  local X86 = 0x40000003

  local function decide_x86(code, name, ...)
    local args = {}
    for i, low in ipairs { ... } do args[i] = { 0, low } end
    return bpf.run(code, { number = syscalls.of("x86")[name], audit = X86, args = args })
  end

  it(title, function()
    local code = filter { arch = { "x86", "x32" } }
    assert.same({ ALLOW, EPERM, ENOSYS, ENOSYS, EPERM, ALLOW }, { decide_x86(code, "read"), decide_x86(code, "mount"),
      decide_x86(code, "socketcall"), decide_x86(code, "clone3"), decide_x86(code, "fcntl64", 3, 1024),
      decide_x86(code, "set_thread_area") })
    assert.equal(bpf.action "EAFNOSUPPORT", decide_x86(code, "socket", 40, 1, 0))
    local x32 = syscalls.of "x32"
    assert.equal(ALLOW, bpf.run(code, { number = x32.read, audit = native.audit, args = {} }))
    assert.equal(EPERM, bpf.run(code, { number = x32.mount, audit = native.audit, args = {} }))
    assert.equal(ENOSYS, bpf.run(code, { number = 0x40000000 + 600, audit = native.audit, args = {} }))
  end)

  it("find no way round a refused call by one that does the work of many", function()
    local code = filter { default = "allow", deny = { "socket", "shmget" }, arch = { "x86" } }
    assert.same({ EPERM, ENOSYS, EPERM, ENOSYS }, { decide_x86(code, "socket"), decide_x86(code, "socketcall"),
      decide_x86(code, "shmget"), decide_x86(code, "ipc") })
    code = filter { default = "allow", deny = { "socket" }, allow = { "socketcall" }, arch = { "x86" } }
    assert.equal(ALLOW, decide_x86(code, "socketcall"))
  end)
end)

-- ---- any table in, no wrong filter out ----

describe("the filter of any rules", function()
  local NAMES = { "read", "socket", "clone", "ioctl", "mmap", "prctl", "openat", "getpid", "lseek", "execve", "mount" }
  local OPS = { "==", "!=", "<", "<=", ">", ">=", "&" }
  local ACTIONS = { "allow", "log", "trap", "kill_thread", "trace", "EPERM", 71 }
  local EDGES = { 0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff }

  local function one_of(list) return list[math.random(#list)] end
  local function half()
    return math.random() < 0.6 and one_of(EDGES) or math.random(0, 65535) * 65536 + math.random(0, 65535)
  end

  local function hex(high, low) return ("0x%08x%08x"):format(high, low) end

  local function band(x, y)
    local r = 0
    for i = 0, 31 do
      if math.floor(x / 2 ^ i) % 2 + math.floor(y / 2 ^ i) % 2 == 2 then r = r + 2 ^ i end
    end
    return r
  end

  local function random_test(is_narrow)
    local op, index, high, low = one_of(OPS), math.random(0, 2), is_narrow and 0 or one_of { 0, 0, half() }, half()
    if op ~= "&" then return { index, op, high == 0 and low or hex(high, low) } end
    local mask_high, mask_low = half(), math.max(1, half())
    return { index, "&", hex(mask_high, mask_low), hex(band(high, mask_high), band(low, mask_low)) }
  end

  local function random_table()
    local t, used = { rules = {}, default = one_of { false, "allow", "EACCES", "kill" } or nil, allow = {}, deny = {} }, {}
    for i = 1, math.random(0, 6) do
      local rule, name = { action = one_of(ACTIONS) }, one_of(NAMES)
      rule[1], rule[2] = name, one_of { name, one_of(NAMES) }
      for _ = 1, math.random(0, 3) do
        rule.arg = rule.arg or {}
        table.insert(rule.arg, random_test(true))
      end
      t.rules[i] = rule
    end
    for _ = 1, 4 do
      local name = one_of(NAMES)
      if not used[name] then table.insert(one_of { t.allow, t.deny }, name) end
      used[name] = true
    end
    return t
  end

  --- Arguments at and beside the edges of the tests, and others.
  local function random_args(t)
    local args = {}
    for i = 1, 6 do args[i] = { one_of { 0, 0, half() }, half() } end
    local rule = #t.rules > 0 and one_of(t.rules)
    for _, test in ipairs(rule and rule.arg or {}) do
      local value = test[#test]
      local high, low = 0, value
      if type(value) == "string" then high, low = tonumber(value:sub(3, 10), 16), tonumber(value:sub(11), 16) end
      args[test[1] + 1] = { high, math.max(0, math.min(0xffffffff, low + one_of { -1, 0, 0, 0, 1 })) }
    end
    return args
  end

  it("decides as the rules say, read one after the other", function()
    math.randomseed(os.time())
    for _ = 1, 80 do
      local t = random_table()
      local ok, code = pcall(filter, t)
      assert.is_true(ok, not ok and tostring(check.mistake(code) or code))
      for _ = 1, 40 do
        local name, args = one_of(NAMES), random_args(t)
        local want = bpf.expected(t, name, args)
        local got = bpf.run(code, { number = native.numbers[name], audit = native.audit, args = args })
        if want ~= got then
          local text = {}
          for _, rule in ipairs(t.rules) do
            for _, test in ipairs(rule.arg or { { "always" } }) do
              text[#text + 1] = ("%s %s -> %s: %s"):format(rule[1], rule[2], rule.action, table.concat(test, " "))
            end
          end
          assert.equal(want, got, ("%s %s: %s"):format(name, hex(args[1][1], args[1][2]), table.concat(text, "\n")))
        end
      end
    end
  end)

  it("and of the default profile: each number, with each edge of each rule", function()
    local names = {}
    for name, number in pairs(native.numbers) do names[number] = name end
    for _, spec in ipairs { {}, { flags = { pid = true } }, { flags = {}, landlock = { tcp_connect = {}, tcp_bind = {} } },
      { flags = {}, landlock = { tcp_connect = { 80 }, tcp_bind = {} } } } do
      local code, met = filter("default", spec), profile.conditions(spec)
      for number = 0, 1023 do
        local want = bpf.expected("default", names[number], {}, met)
        assert.equal(want, bpf.run(code, { number = number, audit = native.audit, args = {} }), names[number] or number)
      end
      for _, rule in ipairs(profile.rules) do
        for _ = 1, 60 do
          local args = random_args { rules = { rule } }
          for _, name in ipairs(rule) do
            if native.numbers[name] then
              local got = bpf.run(code, { number = native.numbers[name], audit = native.audit, args = args })
              assert.equal(bpf.expected("default", name, args, met), got, name)
            end
          end
        end
      end
    end
  end)
end)

describe("the default profile", function()
  it("names each call of the kernel's headers once", function()
    local seen = {}
    for _, row in ipairs(profile.refused) do
      for name in row[2]:gmatch("%S+") do
        assert.is_nil(seen[name], name)
        seen[name] = true
      end
      assert.is_string(row[3])
    end
    for name in profile.allowed:gmatch("%S+") do
      assert.is_nil(seen[name], name)
      seen[name] = true
    end
    for _, rule in ipairs(profile.rules) do
      for _, name in ipairs(rule) do
        seen[name] = true
      end
      assert.truthy(not rule.what or rule.why)
    end
    for _, name_of_machine in ipairs { core.machine, "x86", "x32" } do
      for name in pairs(syscalls.of(name_of_machine) or {}) do assert.truthy(seen[name], name) end
    end
  end)

  it("has the same numbers for what is newer than the headers as the headers that have them", function()
    local headers = core.syscalls(core.machine)
    for name, number in pairs(native.numbers) do
      assert.truthy(not headers[name] or headers[name] == number, name)
    end
    assert.same({ 424, 435, 472 }, { native.numbers.pidfd_send_signal, native.numbers.clone3, native.numbers.fchroot })
  end)
end)

describe("a mistake in seccomp", function()
  local ROWS = {
    { true, "seccomp: 'default', false or a table expected, got boolean" },
    { "strict", "seccomp: 'default', false or a table expected, got 'strict'" },
    { { foo = 1 }, "seccomp: unknown field 'foo'" },
    { { deny = { "mout" } }, "seccomp.deny[1]: unknown system call 'mout' (did you mean 'mount'?)" },
    { { deny = { {} } }, "seccomp.deny[1]: name of a system call expected, got table" },
    { { allow = { "read" }, deny = { "write", "read" } }, "seccomp.deny[2]: 'read' is in 'allow', too" },
    { { errno = "EPER" }, "seccomp.errno: errno expected, as 'EPERM' or its number, got EPER" },
    { { default = "alow" }, "seccomp.default: 'allow', 'log', 'kill', 'kill_thread', 'trap', 'trace' or an errno expected, "
      .. "got alow (did you mean 'allow'?)" },
    { { default = 4096 }, "seccomp.default: 4096 is out of range, 0 to 4095" },
    { { rules = { { "socket" } } }, "seccomp.rules[1].action: missing" },
    { { rules = { { action = "allow" } } }, "seccomp.rules[1]: empty list" },
    { { rules = { { "read", action = "allow", arg = { { 6, "==", 1 } } } } },
      "seccomp.rules[1].arg[1][1]: 6 is out of range, 0 to 5" },
    { { rules = { { "read", action = "allow", arg = { { 0, "=", 1 } } } } },
      "seccomp.rules[1].arg[1][2]: '==' or '!=' or '<' or '<=' or '>' or '>=' or '&' expected, got '='" },
    { { rules = { { "read", action = "allow", arg = { { 0, "==", 1.5 } } } } },
      "seccomp.rules[1].arg[1][3]: integer, or a string as '0xffffffff00000000', expected, got 1.5" },
    { { rules = { { "read", action = "allow", arg = { { 0, "&", 1 } } } } },
      "seccomp.rules[1].arg[1]: { index, '&', mask, value } expected" },
    { { rules = { { "read", action = "allow", arg = { { 0, "&", 1, 3 } } } } },
      "seccomp.rules[1].arg[1][4]: has bits that are not in the mask: it would never fit" },
    { { rules = { { "socket", action = "allow", arg = { { 0, "==", 2 ^ 32 } } } } },
      "seccomp.rules[1].arg[1]: of this argument of socket the kernel takes 32 bits" },
    { { arch = { "z80" } },
      "seccomp.arch[1]: 'x86' or 'x32' or 'x86_64' or 'aarch64' or 'arm' or 'riscv64' expected, got 'z80'" },
    { { flags = { "quick" } }, "seccomp.flags[1]: 'tsync', 'log' or 'spec_allow' expected, got quick" },
    { { bpf = "x" }, "seccomp.bpf: 1 bytes are no whole instructions of 8" },
    { { bpf = ("x"):rep(8 * 4097) }, "seccomp.bpf: 4097 instructions, the kernel takes 4096" },
    { { bpf = ("x"):rep(8), allow = {} }, "seccomp.allow: given beside bpf" },
  }
  for i, row in ipairs(ROWS) do
    it(("is told: %d"):format(i), function() assert.equal(row[2], mistake(row[1])) end)
  end

  it("that keeps the program from starting is told before it starts", function()
    local function together(spec) return select(2, pcall(seccomp.check_together, spec)) end
    local all = seccomp.check({ default = "EPERM" }, "seccomp")
    assert.equal("seccomp: refuses 'execve', by which the program is started", check.mistake(together { seccomp = all }))
    assert.is_nil(together { seccomp = all, fn = print })
    local rules = {}
    for i = 1, 800 do rules[i] = { "read", action = "EPERM", arg = { { 0, "==", i }, { 1, "==", "0x100000000" } } } end
    local long = seccomp.check({ rules = rules }, "seccomp")
    assert.matches("^seccomp: %d+ instructions, the kernel takes 4096$", check.mistake(together { seccomp = long }))
  end)

  it("is none: names of other machines, and numbers below zero", function()
    local code = filter { deny = { "s390_sthyi", "socketcall", "open" },
      rules = { { "ioctl", "lseek", action = "EIO", arg = { { 1, "==", -1 } } } } }
    assert.same({ bpf.action "EIO", bpf.action "EIO", ALLOW }, { decide(code, "ioctl", 0, 0xffffffff),
      decide(code, "lseek", 0, { 0xffffffff, 0xffffffff }), decide(code, "lseek", 0, 0xffffffff) })
  end)
end)

describe("the manual", function()
  it("has the default profile as a table", function()
    local page = machine.read "doc/filters.md"
    for line in require "support.filter_table"():gmatch("[^\n]+") do assert.truthy(page:find(line, 1, true), line) end
  end)
end)
