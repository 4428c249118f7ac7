--- `seccomp = { trace = true }`: which system calls the filter of a program has refused.
local core = require "ns.core"
local ns = require "ns"
local syscalls = require "ns.words.syscalls"

local TRACED = { init = true, no_new_privs = true, seccomp = { trace = true } }

local function traced(words)
  local spec = {}
  for word, value in pairs(TRACED) do spec[word] = value end
  for word, value in pairs(words) do spec[word] = value end
  return spec
end

--- {name .. " " .. errno = count} of a list.
local function counts(list)
  local found = {}
  for _, row in ipairs(list) do found[row.name .. " " .. row.errno] = row.count end
  return found
end

describe("what a filter has refused", function()
  it("is listed by name, most refused first", function()
    local r = assert(ns.run(traced { "sh", "-c", "unshare -U true; for i in 1 2 3; do mount -t tmpfs x /tmp; done" }))
    local first, rest = r.denied[1], counts(r.denied)
    assert.same({ name = "mount", errno = "EPERM", count = 3 }, first)
    assert.equal(1, rest["unshare EPERM"])
    assert.equal("integer", math.type and math.type(first.count) or "integer") -- luacheck: ignore
  end)

  it("is nil without trace, and empty where nothing was", function()
    assert.is_nil(assert(ns.run { "true" }).denied)
    assert.is_nil(assert(ns.run(traced { "true", seccomp = { trace = false } })).denied)
    assert.same({}, assert(ns.run(traced { "true", seccomp = { default = "allow", trace = true } })).denied)
  end)

  it("is told while the program runs, and when it is closed", function()
    local p = assert(ns.spawn(traced { "sh", "-c", "unshare -U true; echo; read x; unshare -U true", stdin = "pipe",
      stdout = "pipe", stderr = "null" }))
    assert(p.stdout:read())
    assert.equal(1, counts(p:denied())["unshare EPERM"])
    p.stdin:write "go\n"
    p.stdin:close()
    p:wait()
    p:close()
    assert.equal(2, counts(p:denied())["unshare EPERM"])
  end)

  it("is in memory that whoever gets its descriptor cannot make shorter", function()
    local bag = core.bag()
    local trace, fd = core.trace(bag)
    local r = assert(ns.run { "perl", "-e", 'print truncate(STDIN, 0) ? "shorter" : "kept"', stdin = fd })
    assert.equal("kept", r.stdout)
    assert.same({}, (trace:read()))
    bag:close()
  end)

  it("is that of each program in a container, whose init goes on", function()
    local c = assert(ns.sandbox():seccomp { trace = true }:start())
    for n = 1, 3 do
      local r = assert(c:run("sh", "-c", ("for i in $(seq %d); do unshare -U true; done 2>&1"):format(n)))
      assert.equal(n, counts(r.denied)["unshare EPERM"])
    end
    local left = -1
    for _ = 1, 200 do -- a supervisor ends after the last process that it was for
      left = #c:processes()
      if left == 0 then break end
      c:wait(0.01)
    end
    assert.equal(0, left)
    c:close()
  end)

  it("is that of a function, too", function()
    local p = assert(ns.spawn(traced { fn = function() os.execute "unshare -U true 2>&1" end, stdout = "null" }))
    p:wait()
    assert.equal(1, counts(p:denied())["unshare EPERM"])
    p:close()
  end)

  it("has a name for each mistake in the words", function()
    local function mistake(words)
      local ok, message = pcall(ns.run, words)
      assert.is_false(ok)
      return message
    end
    local function of(seccomp) return mistake(traced { "true", seccomp = seccomp }) end
    assert.matches("seccomp.trace: needs 'init'", mistake { "true", seccomp = { trace = true } }, 1, true)
    assert.matches("seccomp.trace: boolean expected", of { trace = 1 }, 1, true)
    assert.matches("seccomp.trace: given beside bpf", of { trace = true, bpf = ("0"):rep(8) }, 1, true)
    assert.matches("seccomp.trace: not with the flag 'tsync'", of { trace = true, flags = { "tsync" } }, 1, true)
  end)
end)

describe("a program whose filter is traced #system", function()
  --- A perl program that says what each of some refused calls says: those that no argument decides, socket, and many that
  -- nobody has.
  local function questions()
    local numbers, own = {}, syscalls.of(core.machine)
    for name in ("mount umount2 pivot_root chroot reboot kexec_load keyctl add_key unshare perf_event_open finit_module bpf "
      .. "userfaultfd io_uring_setup fsopen clone3 open_tree mount_setattr swapon acct"):gmatch "%S+" do
      numbers[#numbers + 1] = own[name]
    end
    return ([[for my $n (%s, 600 .. 620, 5000) { $! = 0; print "$n ", syscall($n, -1, -1, -1), " ", $! + 0, "\n" }
      for my $family (0 .. 45) { $! = 0; socket(my $s, $family, 1, 0); print "family $family ", $! + 0, "\n" }]]):format(
      table.concat(numbers, ", "))
  end

  it("is refused the same as without", function()
    local without = assert(ns.run(traced { "perl", "-e", questions(), seccomp = "default" }))
    local with = assert(ns.run(traced { "perl", "-e", questions() }))
    assert.equal(without.stdout, with.stdout)
    assert.truthy(with.ok and #with.stdout > 500, tostring(with))
    local found = counts(with.denied)
    assert.equal(1, found["number 600 ENOSYS"])
    assert.equal(1, found["mount EPERM"])
    assert.truthy(found["socket EAFNOSUPPORT"] > 30)
  end)

  it("is told of how many refusals there is no room for", function()
    local r = assert(ns.run(traced { "perl", "-e", "syscall($_) for 1000 .. 1999" }))
    assert.equal(1000, #r.denied + r.denied.more)
    assert.truthy(#r.denied > 200)
  end)

  it("has no way to answer in the supervisor's place", function()
    local r = assert(ns.run(traced { "ls", "-l", "/proc/self/fd" }))
    assert.no.matches("seccomp", r.stdout)
    local _, open = ns.call(traced {}, function()
      local ls = io.popen "ls -l /proc/$PPID/fd"
      local text = ls:read "*a"
      ls:close()
      return text
    end)
    assert.matches("%d ", open)
    assert.no.matches("seccomp", open)
  end)

  it("is refused all the same when it has killed the supervisor", function()
    local r = assert(ns.run(traced { "sh", "-c", [[
      unshare -U true
      for f in /proc/[0-9]*; do [ "$(cat $f/comm)" != ns-trace ] || kill -9 ${f#/proc/}; done
      unshare -U true]], flags = "user,pid,mount", mount_proc = true }))
    assert.matches("Operation not permitted.*\n.*Function not implemented", r.stderr)
    assert.equal(1, counts(r.denied)["unshare EPERM"])
  end)

  it("gets no supervisor of its own, not even when it has killed ours", function()
    local own = ([[my $one = pack("SCCL", 6, 0, 0, 0x7fff0000); my $filter = pack("S x6 P", 1, $one);
      print syscall(%d, 1, 8, $filter), " ", $! + 0, "\n"; print syscall(%d, 1, 0, $filter), "\n"]]):format(
      syscalls.of(core.machine).seccomp, syscalls.of(core.machine).seccomp)
    local r = assert(ns.run(traced { "sh", "-c", [[
      for f in /proc/[0-9]*; do [ "$(cat $f/comm)" != ns-trace ] || kill -9 ${f#/proc/}; done
      sleep 0.1; exec perl -e "$0"]], own, flags = "user,pid,mount", mount_proc = true }))
    assert.equal(("-1 %d\n0\n"):format(core.constants.errno.EBUSY), r.stdout) -- other filters it may have
  end)

  it("is refused where another supervisor is asked already", function()
    local _, _, message = ns.call(traced {}, function() return ns.run(traced { "true" }) end)
    assert.matches("^filter system calls: .*%(EBUSY%); something traces us by a filter already", message)
  end)

  it("keeps none of its streams open by that", function()
    local p = assert(ns.spawn(traced { "sh", "-c", "exec >&-; read x", stdin = "pipe", stdout = "pipe" }))
    assert.is_nil(p.stdout:read()) -- its end, while the program runs
    p:close()
  end)

  it("ends with its supervisor, where no namespace ends that", function()
    local p = assert(ns.spawn(traced { "sleep", "1000" }))
    p:stop(0)
    p:close()
    local r = assert(ns.run { "sh", "-c", "cat /proc/[0-9]*/comm 2>/dev/null | grep -c ns-trace" })
    assert.equal("0\n", r.stdout)
  end)
end)
