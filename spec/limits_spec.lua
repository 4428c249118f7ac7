--- What the program may use: limits, priorities, processors; and its personality.
local constants = require("ns.core").constants
local machine = require "support.machine"
local ns = require "ns"
local as_nobody, sh = machine.as_nobody, machine.sh

-- As /proc/self/limits calls them.
local TITLES = { cpu = "cpu time", fsize = "file size", data = "data size", stack = "stack size", core = "core file size",
  rss = "resident set", nproc = "processes", nofile = "open files", memlock = "locked memory", as = "address space",
  locks = "file locks", sigpending = "pending signals", msgqueue = "msgqueue size", nice = "nice priority",
  rtprio = "realtime priority", rttime = "realtime timeout" }

--- soft, hard of a limit, as the program sees them.
local function limit(name, spec)
  local words = { argv = { "/bin/cat", "/proc/self/limits" } }
  for word, value in pairs(spec or {}) do words[word] = value end
  local r = assert(ns.run(words))
  return r.stdout:match("\nMax " .. TITLES[name] .. "%s+(%S+)%s+(%S+)")
end

describe("rlimits #system", function()
  for word in pairs(constants.rlimit) do
    local name = word:lower()

    it("has " .. name .. ", both limits or each", function()
      local _, hard = limit(name)
      local top = hard == "unlimited" and 400000000 or tonumber(hard)
      local low = math.min(top, name == "nice" and 20 or name == "rtprio" and 50 or 300000000)
      local half = math.floor(low / 2)
      assert.same({ ("%d"):format(low), ("%d"):format(low) }, { limit(name, { rlimits = { [name] = low } }) })
      assert.same({ ("%d"):format(half), ("%d"):format(low) },
        { limit(name, { rlimits = { [name] = { soft = half, hard = low } } }) })
      if hard == "unlimited" then
        assert.same({ hard, hard }, { limit(name, { rlimits = { [name] = "unlimited" } }) })
        assert.same({ ("%d"):format(half), hard },
          { limit(name, { rlimits = { [name] = { soft = half, hard = "unlimited" } } }) })
      end
    end)
  end

  -- the kernel starts the handler of the host's core_pattern, as the host's root, where the limit is 0, too; not of 1
  machine.it("user")("keep a crash from the host's handler, in the sandbox and where no core dump is wanted", function()
    local function core(box)
      return (assert(box:run("/bin/cat", "/proc/self/limits")).stdout:match("\nMax core file size%s+(%S+)"))
    end
    local _, hard = limit("core")
    local none = hard == "0" and "0" or "1"
    assert.equal(none, core(ns.sandbox()))
    assert.equal(none, core(ns.sandbox():rlimits { nofile = 64 }))
    assert.equal(none, core(ns.sandbox():rlimits { core = 0 }))
    assert.equal(none, core(ns.box():rlimits { core = 0 }))
    assert.equal(none, core(ns.box():rlimits { core = { soft = 0, hard = 0 } }))
  end)

  it("in bytes may be written with a unit", function()
    local said = sh({ rlimits = { as = "1g", fsize = { soft = "64k", hard = "2M" }, stack = "8m", memlock = "4096" } },
      "cat /proc/self/limits")
    for name, both in pairs { ["address space"] = "1073741824 +1073741824", ["file size"] = "65536 +2097152",
      ["stack size"] = "8388608 +8388608", ["locked memory"] = "4096 +4096" } do
      assert.matches(("Max %s +%s"):format(name, both), said)
    end
  end)

  it("keep to a hard limit of 0, which forbids core dumps already", function()
    local code = [[local r = require("ns").run { "grep", "core", "/proc/self/limits", rlimits = { core = 1 } }
      print(r.stdout:match("size%s+(%S+)%s+(%S+)"))]]
    assert.equal("0\t0\n", machine.host(code, { nobody = true, under = { "prlimit", "--core=0" } }).stdout)
  end)

  it("refuses to raise a hard limit without the right to, by name", function()
    local said = machine.host([[print((select(2, require("ns").run { "true", rlimits = { core = 10 } })))]],
      { nobody = true, under = { "prlimit", "--core=5" } }).stdout
    assert.matches("^rlimit core 10:10: Operation not permitted %(EPERM%)", said)
    assert.equal("refused", as_nobody('sh({ rlimits = { nofile = 64 } }, "ulimit -n 65 2>/dev/null || echo refused")'))
  end)

  it("that make no sense are mistakes", function()
    for text, limits in pairs {
      ["rlimits: unknown field 'nofiles' (did you mean 'nofile'?)"] = { nofiles = 1 },
      ["rlimits.nofile: soft is above hard"] = { nofile = { soft = 2, hard = 1 } },
      ["rlimits.core: soft is above hard"] = { core = { soft = "unlimited", hard = 1 } },
      ["rlimits.cpu.hard: missing"] = { cpu = { soft = 1 } },
      ["rlimits.as: -1 is out of range"] = { as = -1 },
      ["rlimits.as: bytes, '64k', '64m', '2g' or 'unlimited' expected, got '50%'"] = { as = "50%" },
      ["rlimits.stack.hard: bytes, '64k', '64m', '2g' or 'unlimited' expected"] = { stack = { soft = 1, hard = "1 m" } },
      ["rlimits.as: 9.2233720368548e+18 is out of range"] = { as = "8589934592g" },
      ["rlimits.nproc: a number or 'unlimited' expected, got '1k'"] = { nproc = "1k" },
    } do
      local ok, message = pcall(ns.run, { "true", rlimits = limits })
      assert.is_false(ok)
      assert.truthy(message:find(text, 1, true), message)
    end
  end)

  it("act: a program that goes beyond them", function()
    local directory, remove = machine.directory()
    finally(remove)
    local r = ns.run { "sh", "-c", "head -c 5000 /dev/zero >f; stat -c %s f", cwd = directory, rlimits = { fsize = 1000 } }
    assert.equal("1000\n", r.stdout)
    local line = [[perl -e 'while (open my $f, "<", "/dev/null") { push @open, $f } print 3 + @open']]
    assert.equal("20", sh({ rlimits = { nofile = 20 } }, line))
  end)

  it("of any name and size end in a program, an error or a signal, never in a hang (row 50)", function()
    for name in pairs(constants.rlimit) do
      for _, value in ipairs { 0, 1, 4096, 9007199254740992 } do
        for _, init in ipairs { false, true } do
          local spec = { "/bin/true", rlimits = { [name:lower()] = { soft = value, hard = "unlimited" } }, timeout = 10,
            flags = init and { "user", "pid" } or nil, init = init or nil }
          local r, message, _, detail = ns.run(spec)
          local what = name .. " " .. value
          local steps = { rlimit = true, exec = true, init = true, launch = true }
          assert(r or steps[detail.step], message)
          assert(not r or not r.timed_out, what)
          assert(value < 5000 or not r or r.ok, what)
        end
      end
    end
  end)

  machine.it("user")("count the init, too, and say so", function()
    local code = [[print(select(2, require("ns").sandbox():rlimits { nproc = 1 }:run("true")))]]
    local said = machine.host(code).stdout
    assert.matches("^leave an init behind: Resource temporarily unavailable %(EAGAIN%); RLIMIT_NPROC is reached", said)
    local box = ns.sandbox():rlimits { nproc = 2 }
    assert.equal("no more", box:run("perl", "-e", "print defined fork ? 'forked' : 'no more'").stdout)
  end)
end)

describe("limits of the host #system", function()
  --- What the first words of ns.spawn are of a spec, on a host under these limits of prlimit(1).
  local function said(spec, ...)
    local code = ('local p, m = require("ns").spawn(%s) print(p and "it runs" or m)'):format(spec)
    return (machine.host(code, { under = { "prlimit", ... } }).stdout)
  end

  it("are named where a start meets them", function()
    assert.matches("^pipe: Too many open files %(EMFILE%); RLIMIT_NOFILE of this host is 6: ulimit %-n\n$",
      said('{ "true", stdin = "pipe", stdout = "pipe" }', "--nofile=6:6"))
    assert.matches("^connect fds%[70%] .- %(EBADF%); RLIMIT_NOFILE of this host is 64: take a number below it",
      said('{ "true", fds = { [70] = 1 } }', "--nofile=64:64"))
    assert.equal("it runs\n", said('{ "true", fds = { [63] = 1 } }', "--nofile=64:64"))
  end)

  it("are those of the kernel, too", function()
    local message = select(2, ns.run { "true", rlimits = { nofile = "unlimited" } })
    assert.matches("^rlimit nofile unlimited:unlimited: .- %(EPERM%); the kernel takes no more than %d+",
      message)
  end)

  machine.it("sandbox")("of the program are named where they kill what starts it", function()
    for _ = 1, 20 do -- the kernel looks only now and then whether the time is over
      local r, message = ns.sandbox():rlimits { cpu = 0 }:run("true")
      if not r then
        assert.matches("^killed by signal 9 before exec; rlimit cpu 0:0 may be the cause, or ", message)
      end
    end
  end)

  machine.it("sandbox")("are met by the program, not by what starts it", function()
    for _, name in ipairs { "nofile", "as", "stack", "fsize", "data", "core", "memlock" } do
      for value = 0, 3 do
        for _, box in ipairs { ns.sandbox(), ns.box() } do
          assert(box:rlimits { [name] = value }:run("true"))
        end
      end
    end
  end)
end)

describe("priorities #system", function()
  it("nice is the program's, and below 0 not for everybody", function()
    assert.equal("7", sh({ nice = 7 }, "nice"))
    assert.equal("19", as_nobody('sh({ nice = 19 }, "nice")'))
    if machine.root then assert.equal("-20", sh({ nice = -20 }, "nice")) end
    assert.matches("^nice %-20: Permission denied", as_nobody('sh({ nice = -20 }, "nice")'))
  end)

  it("the scheduler has policy and priority", function()
    assert.matches("SCHED_BATCH.*priority: 0", sh({ scheduler = "batch" }, "chrt -p $$"))
    assert.matches("SCHED_IDLE.*priority: 0", sh({ scheduler = { policy = "idle" } }, "chrt -p $$"))
    if machine.root then
      assert.matches("SCHED_FIFO.*priority: 3", sh({ scheduler = { policy = "fifo", priority = 3 } }, "chrt -p $$"))
      assert.matches("SCHED_RR.*priority: 99", sh({ scheduler = { policy = "rr", priority = 99 } }, "chrt -p $$"))
    end
    assert.matches("^scheduler fifo 3: Operation not permitted",
      as_nobody('sh({ scheduler = { policy = "fifo", priority = 3 } }, "true")'))
  end)

  it("the I/O priority has class and level", function()
    assert.equal("idle", sh({ ioprio = "idle" }, "ionice"))
    assert.equal("best-effort: prio 4", sh({ ioprio = "best-effort" }, "ionice"))
    assert.equal("best-effort: prio 0", sh({ ioprio = { class = "best-effort", level = 0 } }, "ionice"))
    assert.equal("best-effort: prio 7", sh({ ioprio = { class = "best-effort", level = 7 } }, "ionice"))
    if machine.root then assert.equal("realtime: prio 2", sh({ ioprio = { class = "realtime", level = 2 } }, "ionice")) end
    assert.equal("none: prio 0", sh({ ioprio = "none" }, "ionice"))
    assert.matches("^ioprio realtime 4: Operation not permitted", as_nobody('sh({ ioprio = "realtime" }, "true")'))
  end)

  it("the processors are those that are named", function()
    local LIST = "grep Cpus_allowed_list /proc/self/status | cut -f2"
    local mine = sh({}, LIST)
    local first, last = mine:match("^%d+"), mine:match("%d+$")
    assert.equal(first, sh({ affinity = tonumber(first) }, LIST))
    assert.equal(last, sh({ affinity = { tonumber(last), tonumber(last) } }, LIST))
    assert.equal("1", sh({ affinity = { tonumber(first), 8191 } }, "nproc"))
    local message = select(2, ns.run { "true", affinity = 8191 })
    assert.matches("^affinity: Invalid argument", message)
  end)

  it("the OOM score is the program's, and lower than the host's not for everybody", function()
    assert.equal("500", sh({ oom_score_adj = 500 }, "cat /proc/self/oom_score_adj"))
    assert.equal("1000", sh({ oom_score_adj = 1000, flags = "user", map = "range" }, "cat /proc/self/oom_score_adj"))
    assert.matches("^write /proc/self/oom_score_adj: Permission denied", as_nobody('sh({ oom_score_adj = -500 }, "true")'))
  end)

  it("that nobody knows are mistakes", function()
    for word, value in pairs { nice = 20, scheduler = "deadline", ioprio = { class = "idle", level = 8 }, affinity = {},
      oom_score_adj = 1001, personality = "bsd" } do
      local ok, message = pcall(ns.run, { "true", [word] = value })
      assert.is_false(ok)
      assert.matches("^[^\n]*%(" .. word, message)
    end
  end)
end)

describe("personality #system", function()
  it("is made of names", function()
    assert.equal("00040000", sh({ personality = "addr_no_randomize" }, "cat /proc/self/personality"))
    assert.equal("02020000", sh({ personality = { "uname26", "whole_seconds" } }, "cat /proc/self/personality"))
    assert.matches("^2%.6%.", sh({ personality = "uname26" }, "uname -r"))
    if sh({}, "uname -m") == "x86_64" then assert.equal("i686", sh({ personality = "linux32" }, "uname -m")) end
  end)

  it("without random addresses shows the same ones each time", function()
    local function stack() return sh({ personality = "addr_no_randomize" }, "grep stack /proc/self/maps | cut -d- -f2") end
    assert.equal(stack(), stack())
  end)
end)
