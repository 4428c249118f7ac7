--- The filters of the word seccomp: held against the kernel and against libseccomp, and what a program inside sees of them.
-- How rules become instructions is in spec/seccomp_spec.lua.
local bpf = require "support.bpf"
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local profile = require "ns.words.profile"
local seccomp = require "ns.words.seccomp"
local syscalls = require "ns.words.syscalls"

local native = syscalls.machine(core.machine)

local function filter(value) return bpf.read(seccomp.bytes(seccomp.check(value, "seccomp"), {})) end

--- The numbers at and beside the values of a list of tests: one list of low halves for each argument.
local function samples(tests)
  local lists = { { 0 }, { 0 }, { 0 } }
  for _, test in ipairs(tests or {}) do
    lists[test[1] + 1] = lists[test[1] + 1] or { 0 }
    for _, near in ipairs { -1, 0, 1 } do
      for i = 3, #test do
        local n = test[i] + near
        if n >= 0 and n <= 0xffffffff then table.insert(lists[test[1] + 1], n) end
      end
    end
  end
  for bit = 0, 31 do table.insert(lists[1], 2 ^ bit) end
  return lists
end

-- ---- the kernel ----

describe("the kernel #system", function()
  local ALLOWED = 4000
  local AUDIT = { [0] = native.audit, [1] = 0x40000003 }

  --- The filter that says errno 4000 in the place of "allow", but lets exit_group pass.
  local function harmless(code)
    local list = { { 0x20, 0, 0, 0 }, { 0x15, 0, 3, native.numbers.exit_group }, { 0x20, 0, 0, 4 },
      { 0x15, 0, 1, native.audit }, { 0x06, 0, 0, bpf.action "allow" } }
    for _, c in ipairs(code) do
      list[#list + 1] = c[1] == 0x06 and c[4] == bpf.action "allow" and { 0x06, 0, 0, bpf.action(ALLOWED) } or c
    end
    return list
  end

  --- Asks the kernel: a list of questions, {machine, number, low halves...}; how many it answered otherwise than we think.
  local function compare(code, questions)
    local path, lines = os.tmpname(), {}
    machine.file(path, bpf.write(harmless(code)))
    for i, q in ipairs(questions) do
      for place = 3, 5 do q[place] = q[place] or 0 end
      lines[i] = ("%d %.0f %.0f %.0f %.0f\n"):format(q[1], q[2], q[3], q[4], q[5])
    end
    local r = assert(ns.run { machine.program "decide", path, stdin = table.concat(lines) })
    os.remove(path)
    assert.truthy(r.ok, tostring(r) .. r.stderr)
    local i, asked = 0, 0
    for answer in r.stdout:gmatch("[^\n]+") do
      i = i + 1
      local q = questions[i]
      local args = { { 0, q[3] }, { 0, q[4] }, { 0, q[5] } }
      local want = bpf.run(code, { number = q[2], audit = AUDIT[q[1]], args = args })
      want = want == bpf.action "allow" and ALLOWED or want - 0x50000
      assert.equal(want, tonumber(answer), ("machine %d, number %d, %s %s %s"):format(q[1], q[2], q[3], q[4], q[5]))
      asked = asked + 1
    end
    assert.equal(#questions, asked)
  end

  local function questions(of_machine, numbers, first)
    local list = {}
    for number = first, first + 700 do
      -- uretprobe and uprobe pass every filter, and end who is no probe
      local asked = of_machine ~= 0 or not (number == numbers.exit_group or number == 335 or number == 336)
      if asked then list[#list + 1] = { of_machine, number } end
    end
    for _, rule in ipairs(first == 0 and bpf.rules() or {}) do
      local lists = samples(rule.arg)
      for _, name in ipairs(rule) do
        for _, a in ipairs(numbers[name] and lists[1] or {}) do
          for _, b in ipairs(lists[2]) do
            for _, c in ipairs(lists[3]) do list[#list + 1] = { of_machine, numbers[name], a, b, c } end
          end
        end
      end
    end
    return list
  end

  it("decides as our reading of the default profile does", function()
    compare(filter "default", questions(0, native.numbers, 0))
    if core.machine == "x86_64" then compare(filter "default", questions(0, native.numbers, 0x40000000)) end
  end)

  it("and of that for 32-bit programs", function()
    if core.machine ~= "x86_64" or not pcall(compare, filter { arch = { "x86" } }, { { 1, 20 } }) then
      return pending "this kernel executes no 32-bit programs"
    end
    compare(filter { arch = { "x86" } }, questions(1, syscalls.of "x86", 0))
  end)
end)

-- ---- libseccomp ----

describe("libseccomp #system", function()
  local AUDIT = { x86_64 = 0xc000003e, x86 = 0x40000003, aarch64 = 0xc00000b7 }
  local OP = { ["!="] = 1, ["<"] = 2, ["<="] = 3, ["=="] = 4, [">="] = 5, [">"] = 6, ["&"] = 7 }
  local probe = ns.run { machine.program "libseccomp", stdin = "" }
  local it = probe and probe.ok and it or machine.without("it", "there is none")

  local function ask(lines)
    local r = assert(ns.run { machine.program "libseccomp", stdin = table.concat(lines, "\n") .. "\n", timeout = 60 })
    assert.truthy(r.ok, tostring(r) .. r.stderr)
    return r.stdout
  end

  --- All names of the profile, in a row.
  local function names()
    local list, seen = {}, {}
    local function add(text)
      for name in text:gmatch("%S+") do
        if not seen[name] then list[#list + 1] = name end
        seen[name] = true
      end
    end
    for _, row in ipairs(profile.refused) do add(row[2]) end
    add(profile.allowed)
    for _, rule in ipairs(profile.rules) do add(rule[1]) end
    return list
  end

  --- {[name] = number}, as the library has them.
  local function numbers_of(arch)
    local all, numbers, i = names(), {}, 0
    for number in ask({ ("numbers %d %s"):format(AUDIT[arch], table.concat(all, " ")) }):gmatch("%S+") do
      i = i + 1
      if tonumber(number) >= 0 then numbers[all[i]] = tonumber(number) end
    end
    return numbers
  end

  --- The library's filter for rules: {action, name, tests}.
  local function of_library(arch, default, rules)
    local path = os.tmpname()
    local lines = { ("new %d %d %s"):format(AUDIT[arch], default, path) }
    for _, rule in ipairs(rules) do
      local words = { "rule", ("%.0f"):format(rule[1]), rule[2] }
      for _, t in ipairs(rule[3] or {}) do
        words[#words + 1] = ("%d %d %.0f %.0f"):format(t[1], OP[t[2]], t[3], t[4] or 0)
      end
      lines[#lines + 1] = table.concat(words, " ")
    end
    lines[#lines + 1] = "end"
    local said = ask(lines)
    local code = bpf.read(machine.read(path))
    os.remove(path)
    return not said:find "refused" and code or nil, said
  end

  --- Our filter for one machine, whose numbers are the library's.
  local function ours(value, arch, numbers)
    local own = core.syscalls
    core.syscalls = function(name) -- luacheck: ignore
      if name == arch and not own(name) then
        local copy = {}
        for key, number in pairs(numbers) do copy[key] = number end
        return copy
      end
      return own(name)
    end
    local t = { arch = { arch } }
    for key, v in pairs(value) do t[key] = v end
    local code = filter(t)
    core.syscalls = own -- luacheck: ignore
    return code
  end

  local function is_by_argument(name)
    for _, rule in ipairs(bpf.rules()) do
      for _, one in ipairs(rule) do
        if one == name then return true end
      end
    end
  end

  for _, arch in ipairs { "x86_64", "x86", "aarch64" } do
    it("has the same numbers for " .. arch .. ", and decides on each as the default profile does", function()
      local numbers, rules, by_number = numbers_of(arch), {}, {}
      for name, number in pairs(syscalls.of(arch) or {}) do
        if numbers[name] then assert.equal(numbers[name], number, name) end
      end
      for name, number in pairs(numbers) do
        local action = bpf.expected("default", name, {})
        by_number[number] = name
        if action ~= bpf.action "ENOSYS" and not is_by_argument(name) then rules[#rules + 1] = { action, name } end
      end
      local library, mine = of_library(arch, bpf.action "ENOSYS", rules), ours({}, arch, numbers)
      local compared = 0
      for number = 0, 1100 do
        local name = by_number[number]
        local newer = false -- than the library
        for other, n in pairs(syscalls.of(arch) or {}) do newer = newer or n == number and not numbers[other] end
        if not newer and not (name and is_by_argument(name)) and not (not name and number > 446 and number < 473) then
          local data = { number = number, audit = AUDIT[arch], args = {} }
          assert.equal(bpf.run(library, data), bpf.run(mine, data), name or number)
          compared = compared + 1
        end
      end
      assert.truthy(compared > 1000, compared)
    end)

    it("decides on the arguments of each rule of the profile as we do, on " .. arch, function()
      local numbers, compared = numbers_of(arch), 0
      for _, rule in ipairs(profile.rules) do
        for _, name in ipairs(rule.arg and rule or {}) do
          local action = bpf.action(rule.action)
          local library = numbers[name] and of_library(arch, bpf.action(4001), { { action, name, rule.arg } })
          if library then -- on i386 it cannot say exact rules for sockets
            local plain = { name, arg = rule.arg, action = rule.action }
            local code = ours({ default = 4001, rules = { plain }, allow = { "execve" } }, arch, numbers)
            local lists = samples(rule.arg)
            for _, a in ipairs(lists[1]) do
              for _, b in ipairs(lists[2]) do
                for _, c in ipairs(lists[3]) do
                  local data = { number = numbers[name], audit = AUDIT[arch], args = { { 0, a }, { 0, b }, { 0, c } } }
                  assert.equal(bpf.run(library, data), bpf.run(code, data), ("%s %s %s %s"):format(name, a, b, c))
                  compared = compared + 1
                end
              end
            end
          end
        end
      end
      assert.truthy(compared > 500, compared)
    end)
  end

  it("compares as we do, by each of the ops", function()
    local numbers = numbers_of(core.machine)
    local VALUES = { 0, 1, 0xfffffffe, 0xffffffff, 0x100000000, 0x100000001, 0x1fffffffff }
    for op in pairs(OP) do
      for _, value in ipairs(VALUES) do
        local test = op == "&" and { 1, op, 0x1ff000000ff, value % 256 } or { 1, op, value }
        local library = of_library(core.machine, bpf.action(4001), { { bpf.action(4002), "mremap", { test } } })
        local code = filter { default = 4001, rules = { { "mremap", action = 4002, arg = { test } } } }
        for _, got in ipairs(VALUES) do
          for near = -1, 1 do
            local n = math.max(0, got + near)
            local low = n % 4294967296
            local args = { { 0, 0 }, { (n - low) / 4294967296, low } }
            local data = { number = numbers.mremap, audit = native.audit, args = args }
            assert.equal(bpf.run(library, data), bpf.run(code, data), ("%.0f %s %.0f"):format(n, op, value))
          end
        end
      end
    end
  end)
end)

-- ---- inside ----

describe("a program under a filter #system", function()
  local it = machine.it "sandbox"
  local FILTERS = "grep -h '^Seccomp:' /proc/self/status /proc/1/status | tr -dc 0-9"

  it("has it, and the init above it has none, in a living box and in a pool, too", function()
    assert.equal("20", ns.sandbox():run("sh", "-c", FILTERS).stdout)
    assert.equal("00", ns.sandbox():seccomp(false):run("sh", "-c", FILTERS).stdout)
    local c = assert(ns.sandbox():start())
    assert.equal("20", c:run("sh", "-c", FILTERS).stdout)
    assert.equal("20", c:run({ "sh", "-c", FILTERS, env = { A = "1" } }).stdout)
    local ok, message = pcall(c.run, c, { "true", seccomp = false })
    assert.is_false(ok)
    assert.matches("seccomp: is the box's, and cannot differ in a program of it", message)
    c:close()
    local pool = assert(ns.sandbox():pool(1))
    assert.equal("20", pool:run("sh", "-c", FILTERS).stdout)
    pool:close()
  end)

  it("may do what the box's capabilities open, in a living box and in a pool, too", function()
    local line = "mount -t tmpfs none /mnt 2>/dev/null && echo mounted || echo refused"
    for caps, expected in pairs { sys_admin = "mounted\n", chown = "refused\n" } do
      local box = ns.sandbox():dir("/mnt"):caps { caps }
      local c, pool = assert(box:start()), assert(box:pool(1))
      for _, one in ipairs { box, c, pool } do assert.equal(expected, one:run("sh", "-c", line).stdout) end
      c:close()
      pool:close()
    end
  end)

  it("has it as a function, too", function()
    local _, text = assert(ns.call(ns.sandbox(), function()
      local f = io.open "/proc/self/status"
      local text = f:read "*a"
      f:close()
      return text:match "\nSeccomp:%s*(%d)"
    end))
    assert.equal("2", text)
  end)

  it("cannot reach the keys of the host's user, nor make the kernel ask for one", function()
    local r = ns.sandbox():run("perl", "-e", [[
      require "syscall.ph"; my ($t, $d) = ("user", "x");
      print syscall(&SYS_keyctl, 11, -4, 0, 0), "$!\n", syscall(&SYS_add_key, $t, $d, $d, 1, -4), "$!\n",
        syscall(&SYS_request_key, $t, $d, $d, 0), "$!\n"]])
    assert.equal(("-1Operation not permitted\n"):rep(3), r.stdout)
  end)

  it("gets no socket that leads out of its namespaces, or loads a module", function()
    local r = ns.sandbox():run("perl", "-e", [[
      for ([40, 1, 0], [38, 5, 0], [17, 3, 0], [2, 5, 132], [2, 1, 262], [16, 3, 9],
           [1, 1, 0], [2, 1, 6], [10, 2, 17], [16, 3, 0]) {
        print socket(my $s, $$_[0], $$_[1], $$_[2]) ? "yes" : $!, "\n" }]])
    assert.equal(("Address family not supported by protocol\n"):rep(3) .. ("Protocol not supported\n"):rep(3)
      .. ("yes\n"):rep(4), r.stdout)
  end)

  it("makes no namespaces unless it may, and mounts in these then", function()
    assert.equal("1", ns.sandbox():run("sh", "-c", "unshare -U true 2>/dev/null; echo $?").stdout:match "%d")
    local r = ns.sandbox { disable_userns = false, map = "range" }:run("perl", "-e", [[
      require "syscall.ph"; print syscall(&SYS_unshare, 0x10020000), "\n"]])
    assert.equal("0\n", r.stdout)
  end)

  it("dies of a call that is to kill, and is told others", function()
    local box = ns.sandbox():seccomp { kill = { "getppid" }, deny = { "getpgid", "getpgrp" }, errno = "EXDEV",
      rules = { { "dup", action = 0 } } }
    assert.equal("SYS", box:run("perl", "-e", "getppid").signame)
    assert.equal("Invalid cross-device link", box:run("perl", "-e", "getpgrp(0) < 0 and print $!").stdout)
  end)

  it("runs, where it is a 32-bit one, only if that is said", function()
    if core.machine ~= "x86_64" then return end
    local box, path = ns.sandbox(), machine.public() .. "/x86"
    -- exit_group(7), by int $0x80: as a program with 64-bit instructions may call, too
    machine.file(path .. ".s", ".globl _start\n_start: mov $252, %eax\nmov $7, %ebx\nint $0x80\n")
    local r = assert(ns.run { "gcc", "-nostdlib", "-static", "-o", path, path .. ".s" })
    assert.truthy(r.ok, r.stderr)
    box:ro_bind(path, "/x86")
    local free = box:clone():seccomp(false):run("/x86")
    if free.signame then return pending "this kernel executes no 32-bit programs" end
    assert.equal("SYS", box:run("/x86").signame)
    assert.equal(7, box:clone():seccomp({ arch = { "x86" } }):run("/x86").code)
  end)

  it("is checked and explained as it would be started", function()
    local box = ns.sandbox()
    assert.is_true(box:check("true"))
    assert.matches("\nfilter system calls %(%d+ instructions%)\nexec 'true'\n", box:explain("true"))
    assert.matches("^exec 'no%-such%-program': No such file", (select(2, box:check("no-such-program"))))
    local spec = { "true", no_new_privs = true, seccomp = { bpf = ("\99"):rep(8) } }
    for _, how in ipairs { "run", "check" } do
      local ok, message = ns[how](spec)
      assert.is_nil(ok)
      assert.matches("^filter system calls: Invalid argument %(EINVAL%); this kernel has no filters ", message)
    end
    for _, init in ipairs { false, true } do
      spec = { init = init, no_new_privs = true, seccomp = { bpf = ("\99"):rep(8) } }
      local ok, message = ns.call(spec, function() end)
      assert.is_nil(ok)
      assert.matches("^filter system calls: Invalid argument %(EINVAL%)", message, 1, "init " .. tostring(init))
    end
  end)

  local LIMIT = [[my $new = pack("QQ", 1000, 1000); my $old = "x" x 16;
    for my $pid (0, 1, $$ + 0, getppid) { $! = 0; print syscall(%d, $pid, 0, $new, 0), " ", $! + 0, " " }
    $! = 0; print syscall(%d, getppid, 0, 0, $old), "\n";
    print setpriority(0, 0, 1) ? "yes" : "no", setpriority(0, getppid, 1) ? "yes" : "no", "\n"]]

  it("lowers no limits of others, where these are in sight, nor those of its init", function()
    local number = syscalls.of(core.machine).prlimit64
    local script = LIMIT:format(number, number)
    local r = assert(ns.run { "perl", "-e", script, no_new_privs = true, seccomp = "default" })
    assert.equal("0 0 -1 1 -1 1 -1 1 0\nyesno\n", r.stdout)
    r = assert(ns.sandbox():run("perl", "-e", script))
    assert.matches("^0 0 %-1 1 0 0 %-1 1 0\nyes", r.stdout)
  end)

  it("does not get round the ports that landlock names", function()
    local script = [[use Socket; $SIG{PIPE} = "IGNORE";
      socket(my $s, AF_INET, SOCK_STREAM, 0) or print "socket ", $! + 0, "\n" and exit;
      my $to = pack_sockaddr_in(9, INADDR_LOOPBACK);
      for my $flags (0x20000000, 0) { $! = 0; send($s, "x", $flags, $to); print $! + 0, "\n" }]]
    local errno = core.constants.errno
    local function try(landlock)
      return assert(ns.run { "perl", "-e", script, no_new_privs = true, seccomp = "default", landlock = landlock }).stdout
    end
    assert.equal(("%d\n%d\n"):format(errno.EACCES, errno.EPIPE), try { tcp_connect = { 7 } })
    assert.equal(("socket %d\n"):format(errno.EACCES), try { tcp_connect = {}, tcp_bind = {} })
  end)

  it("has no interface request that loads a module", function()
    local script = [[use Socket; socket(my $s, AF_UNIX, SOCK_STREAM, 0);
      for my $request (0x8940, 0x8941, 0x89a0, 0x89a1, 0x8982, 0x8983, 0x8912) {
        my $room = "\0" x 64; $! = 0; ioctl($s, $request, $room); print $! + 0, "\n" }]]
    local r = assert(ns.sandbox():run("perl", "-e", script))
    assert.equal(("1\n"):rep(6), r.stdout:sub(1, 12))
    assert.no.equal("1\n", r.stdout:sub(13))
  end)

  it("is refused where there is no right to one, with the word that helps", function()
    assert.matches("^filter system calls: Permission denied %(EACCES%); needs no_new_privs = true",
      machine.as_nobody "sh({ seccomp = 'default' }, 'true')")
    assert.equal("Seccomp:\t2",
      machine.as_nobody "sh({ seccomp = 'default', no_new_privs = true }, 'grep ^Seccomp: /proc/self/status')")
    local options = { nobody = true, under = machine.refuse("ENOSYS", "seccomp") }
    local r = machine.host("print(select(2, require('ns').run(require('ns').sandbox():argv('true'))))", options)
    assert.matches("^filter system calls: Function not implemented %(ENOSYS%); this kernel has no filters", r.stdout)
  end)
end)
