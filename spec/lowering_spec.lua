--- The plan as data: what single words become.
local constants = require("ns.core").constants
local ids = require "ns.start.ids"
local map_words = require "ns.words.maps"
local namespaces = require "ns.words.namespaces"
local ns = require "ns"
local plans = require "support.plans"
local stdio = require "ns.words.stdio"

local ALL = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }

--- The one step of a spec that has these fields.
local function step(spec, fields, more)
  local steps = plans.steps(spec, more)
  return steps[plans.find(steps, fields)] or {}
end

describe("the flags", function()
  it("are known under every name", function()
    for _, row in ipairs(namespaces.list) do
      for _, word in ipairs { row.name, row.name:upper(), row.file, row.flag, row.flag:lower(), "CLONE_" .. row.flag,
        "clone_" .. row.flag:lower() } do
        for _, flags in ipairs { word, word .. ",", { word } } do
          assert.same({ [row.name] = true }, plans.check({ "true", flags = flags }).flags)
        end
      end
      assert.same({ [row.name] = true }, plans.check({ "true", flags = ns["CLONE_" .. row.flag] }).flags)
    end
    assert.same({ net = true }, plans.check({ "true", flags = "network" }).flags)
  end)

  it("can be a list, a string with commas or spaces, or a sum", function()
    local expected = { uts = true, pid = true, mount = true }
    for _, flags in ipairs { { "uts", "pid", "mnt" }, "uts,pid,mount", "uts pid\tnewns", ", uts,, CLONE_NEWPID mnt ",
      ns.CLONE_NEWUTS + ns.CLONE_NEWPID + ns.CLONE_NEWNS } do
      assert.same(expected, plans.check({ "true", flags = flags }).flags)
    end
  end)

  it("can be none", function()
    for _, flags in ipairs { {}, "", 0 } do assert.same({}, plans.check({ "true", flags = flags }).flags) end
  end)

  it("become those of clone(2), but for time, which the launcher unshares", function()
    local sum = 0
    for _, row in ipairs(namespaces.list) do
      assert.equal(row.name == "time" and 0 or constants.clone[row.flag], namespaces.clone_flags { [row.name] = true })
      sum = sum + (row.name == "time" and 0 or constants.clone[row.flag])
    end
    assert.equal(sum, namespaces.clone_flags(plans.check({ "true", flags = ALL }).flags))
  end)

  it("are compared with what a word needs", function()
    for _, name in ipairs(ALL) do assert.truthy(plans.check { "true", flags = name }) end
    local ok, e = pcall(plans.check, { "true", flags = "pid", mount_proc = true })
    assert.same({ false, "mount_proc: needs 'mount' in flags" }, { ok, (e:gsub("^[^ ]*:%d+: ", "")) })
  end)
end)

describe("the maps of a user namespace", function()
  --- Who writes them, both maps as text, and the steps about them in the launcher.
  local function maps(spec, more)
    spec[1], spec.flags = "true", "user"
    local host, checked = plans.host(more), plans.check(spec, more)
    local uid, gid = ids.maps(checked, host)
    local steps = {}
    for i, s in ipairs(plans.only(plans.steps(spec, more), "write", "setgroups", "setgid", "setuid")) do
      steps[i] = s.op == "write" and s.path:match("[^/]+$") .. "=" .. s.data:gsub("\n", "") or s.op .. (s.value or "")
    end
    return ids.writer(checked, host), map_words.format(uid), map_words.format(gid), table.concat(steps, " ")
  end

  local sub = os.tmpname()
  local file = io.open(sub, "w")
  file:write("other:1:5\nlocalhost\n1000:300000:10\n1000:400000:5\n# 1000:1:1\n")
  file:close()
  teardown(function() os.remove(sub) end)

  local ORDINARY = { euid = 1000, egid = 100 }
  local WITH_RANGES = { euid = 1000, egid = 100, subuid = sub, subgid = sub }
  local SELF = "setgroups=deny gid_map=0 100 1 uid_map=0 1000 1 setgid0 setuid0"

  local ROWS = {
    { "are root's to write, for itself", { map = "root" }, nil, "host", "0 0 1\n", "0 0 1\n", "setgroups setgid0 setuid0" },
    { "are root's to write, with ranges", { uid_map = { { 0, 100000, 65536 } }, gid_map = { { 0, 5, 1 }, { 1, 9, 2 } } },
      nil, "host", "0 100000 65536\n", "0 5 1\n1 9 2\n", "setgroups setgid0 setuid0" },
    { "have the first id taken where there is no 0", { uid_map = { { 7, 1, 1 }, { 3, 9, 1 } }, gid_map = { { 8, 1, 1 } } },
      nil, "host", "7 1 1\n3 9 1\n", "8 1 1\n", "setgroups setgid8 setuid7" },
    { "go without setgroups where it is denied", { map = "root", setgroups = "deny" }, nil, "host", "0 0 1\n", "0 0 1\n",
      "setgid0 setuid0" },
    { "are an ordinary user's own to write, after deny", {}, ORDINARY, "launcher", "0 1000 1\n", "0 100 1\n", SELF },
    { "can be the caller's own ids", { map = "self" }, ORDINARY, "launcher", "1000 1000 1\n", "100 100 1\n",
      "setgroups=deny gid_map=100 100 1 uid_map=1000 1000 1 setgid100 setuid1000" },
    { "can be any one id inside", { uid_map = { { 5, 1000, 1 } }, gid_map = { { 6, 100, 1 } } }, ORDINARY, "launcher",
      "5 1000 1\n", "6 100 1\n", "setgroups=deny gid_map=6 100 1 uid_map=5 1000 1 setgid6 setuid5" },
    { "of foreign ids need newuidmap", { uid_map = { { 0, 1001, 1 } } }, ORDINARY, "newuidmap", "0 1001 1\n", "0 100 1\n",
      "setgid0 setuid0" },
    { "of ranges need newuidmap", { uid_map = { { 0, 1000, 2 } } }, ORDINARY, "newuidmap", "0 1000 2\n", "0 100 1\n",
      "setgid0 setuid0" },
    { "take all that /etc/subuid gives, after the own id", { map = "auto" }, WITH_RANGES, "newuidmap",
      "0 1000 1\n1 300000 10\n11 400000 5\n", "0 100 1\n1 300000 10\n11 400000 5\n", "setgroups setgid0 setuid0" },
    { "of newgidmap go without setgroups where it is denied", { map = "auto", setgroups = "deny" }, WITH_RANGES, "newuidmap",
      "0 1000 1\n1 300000 10\n11 400000 5\n", "0 100 1\n1 300000 10\n11 400000 5\n", "setgid0 setuid0" },
    { "are a user's own to write as a root that may not set ids", {}, { root = false, caps = 0 }, "launcher", "0 0 1\n",
      "0 0 1\n", "setgroups=deny gid_map=0 0 1 uid_map=0 0 1 setgid0 setuid0" },
    { "are the own id alone where it gives nothing", { map = "auto" }, ORDINARY, "launcher", "0 1000 1\n", "0 100 1\n",
      SELF },
    { "are the own id for an ordinary user's sandbox", { map = "range" }, ORDINARY, "launcher", "0 1000 1\n", "0 100 1\n",
      SELF },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function() assert.same({ row[4], row[5], row[6], row[7] }, { maps(row[2], row[3]) }) end)
  end

  it("are those of map = 'range' where nothing is said", function()
    assert.equal("range", plans.check({ "true", flags = "user" }).map)
    assert.is_nil(plans.check({ "true", flags = "user", uid_map = { { 0, 5, 1 } } }).map)
    assert.is_nil(plans.check({ "true" }).map)
  end)

  it("are of an ordinary user for a root without CAP_SETUID or CAP_SETGID, or with one id", function()
    local all, machine = 2 ^ 41 - 1, plans.host().machine
    local function is_root(more)
      local host = { euid = 0, caps = all, machine = machine }
      for k, v in pairs(more) do host[k] = v end
      return ids.is_root(host)
    end
    assert.is_true(is_root {})
    assert.is_false(is_root { euid = 1000 })
    for _, name in ipairs { "SETUID", "SETGID" } do
      assert.is_false(is_root { caps = all - 2 ^ constants.cap[name] })
    end
    assert.is_false(is_root { machine = { uid = { { 0, 1000, 1 } } } })
  end)

  it("decide when the host's groups must be dropped before there is a user namespace", function()
    local function drops(spec, more)
      spec[1] = "true"
      return ids.drops_groups(plans.check(spec, more), plans.host(more)) or false
    end
    local denied = plans.host().machine
    denied.setgroups = "deny"
    assert.is_true(drops { flags = "user", setgroups = "deny" })
    assert.is_true(drops({ flags = "user" }, { euid = 1000, egid = 100 })) -- with CAP_SETGID
    assert.is_false(drops({ flags = "user" }, { euid = 1000, egid = 100, caps = 0 }))
    assert.is_false(drops { flags = "user" })
    assert.is_false(drops {})
    assert.is_false(drops({ flags = "user", setgroups = "deny" }, { machine = denied }))
  end)

  it("say whether the program could write what is the host's root's alone", function()
    local root, nobody = plans.host(), plans.host(ORDINARY)
    local function can(flags, host, map) return ids.privileged({ flags = flags }, host, map) end
    assert.is_true(can({}, root))
    assert.is_true(can({ user = true }, root, { { 5, 9, 1 }, { 0, 0, 1 } }))
    assert.is_false(can({ user = true }, root, { { 0, 100000, 65536 } }))
    assert.is_false(can({}, nobody))
  end)
end)

describe("the offsets of a time namespace", function()
  local ROWS = {
    { { monotonic = 1 }, "monotonic 1 0\n" },
    { { monotonic = 0.5, boottime = 86400 }, "monotonic 0 500000000\nboottime 86400 0\n" },
    { { monotonic = -1 }, "monotonic -1 0\n" },
    { { boottime = -0.25 }, "boottime -1 750000000\n" },
    { { boottime = 1e9 }, "boottime 1000000000 0\n" },
  }
  it("are whole seconds and nanoseconds that are never negative", function()
    for _, row in ipairs(ROWS) do
      local spec = { "true", flags = "time", time = row[1] }
      assert.equal(row[2], step(spec, { op = "write", word = "time" }).data)
    end
  end)

  it("are not written where there are none", function()
    assert.same({}, step({ "true", flags = "time" }, { op = "write" }))
    assert.equal(constants.clone.NEWTIME, step({ "true", flags = "time" }, { op = "unshare" }).flags)
  end)
end)

describe("the descriptors", function()
  --- Plays the steps on a table of what each number leads to; exec closes what is marked.
  local function play(open, ends)
    local marked = {}
    for fd in pairs(open) do marked[fd] = false end
    local function add(s)
      assert(s.op == "dup" and open[s.fd], "a descriptor that is not open")
      open[s.to], marked[s.to] = open[s.fd], s.fd ~= s.to and s.flags == constants.open.CLOEXEC
    end
    stdio.steps(ends, add)
    stdio.close_steps(ends, function(s)
      for fd in pairs(open) do
        if fd >= s.fd and (s.to == -1 or fd <= s.to) then marked[fd] = true end
      end
    end)
    for fd, mark in pairs(marked) do
      if mark then open[fd] = nil end
    end
    return open
  end

  it("arrive in their places, whichever six are asked for, and no other is left", function()
    local count = 6
    for case = 0, count ^ count - 1 do
      local ends, expected, open, rest = {}, {}, {}, case
      for number = 0, count - 1 do
        ends[number] = rest % count
        expected[number] = "file " .. ends[number]
        open[number] = "file " .. number
        rest = math.floor(rest / count)
      end
      open[6], open[9] = "a secret", "another"
      local got = play(open, ends)
      for number = 0, 12 do
        if got[number] ~= expected[number] then
          error(("case %d: %d leads to %s"):format(case, number, tostring(got[number])))
        end
      end
    end
  end)

  it("arrive where numbers have gaps between them, and no other is left", function()
    local ends = { [0] = 41, [1] = 40, [7] = 0, [40] = 1, [90] = 3 }
    local got = play({ [0] = "a", "b", "c", "d", [8] = "g", [40] = "e", [41] = "f", [91] = "h" }, ends)
    assert.same({ [0] = "f", "e", [7] = "a", [40] = "b", [90] = "d" }, got)
  end)
end)

describe("the environment and the program", function()
  local HOST = { environ = function() return { "A=1", "PATH=/bin::/x", "A=2", "odd", "B=3" } end }
  local function env(spec)
    spec[1] = "prog"
    local exec = step(spec, { op = "exec" }, HOST)
    return exec.env, exec.paths
  end

  it("are the host's as they are where nothing is said", function() assert.equal("host", (env {})) end)

  it("have the host's variables in their order, then those of the spec, each once", function()
    assert.same({ "PATH=/bin::/x", "odd", "A=9", "C=" }, (env { env = { A = "9", B = false, C = "" } }))
  end)

  it("have the spec's variables alone with clear_env", function()
    assert.same({ "A=9" }, (env { clear_env = true, env = { A = "9", B = false } }))
    assert.same({}, (env { clear_env = true }))
  end)

  it("are looked up in the PATH that the program will have, as execvp does it", function()
    assert.same({ "/bin/prog", "./prog", "/x/prog" }, select(2, env {}))
    assert.same({ "/y/prog" }, select(2, env { env = { PATH = "/y" } }))
    assert.same({ "/bin/prog", "/usr/bin/prog" }, select(2, env { clear_env = true }))
  end)

  it("are not looked up where the name has a slash", function()
    assert.same({ "./x/prog" }, step({ "./x/prog" }, { op = "exec" }, HOST).paths)
  end)

  it("have argv0 as the name that the program sees", function()
    local exec = step({ "prog", "a", argv0 = "" }, { op = "exec" })
    assert.same({ { "", "a" }, "prog" }, { exec.argv, exec.data })
  end)
end)

describe("proc", function()
  local spec = { "true", flags = "mount,pid", root = "empty", mounts = { { type = "proc" } } }
  local function guarded(mount, privileged)
    spec.mounts[1] = mount
    local list = {}
    for _, s in ipairs(plans.only(plans.steps(spec, { privileged = privileged }), "tree", "mask")) do
      list[#list + 1] = s.op .. " " .. s.path
      assert.equal(constants.errno.ENOENT, s.ignore)
      assert.equal(1, s.flags % 2)
    end
    return list
  end

  it("is read-only or hidden where it is the machine's, for who could write there", function()
    assert.same({ "mask /proc/keys", "mask /proc/key-users", "tree /proc/sys", "tree /proc/irq", "tree /proc/bus",
      "tree /proc/fs", "tree /proc/sysrq-trigger", "tree /proc/acpi", "tree /proc/scsi", "tree /proc/mtrr",
      "mask /proc/kcore", "mask /proc/timer_list", "mask /proc/sched_debug" },
      guarded({ type = "proc" }, true))
  end)

  it("has no list of keys for all others, whose user's they are", function()
    assert.same({ "mask /proc/keys", "mask /proc/key-users" }, guarded({ type = "proc" }, false))
  end)

  it("is as it is where that was asked for", function()
    assert.same({}, guarded({ type = "proc", protect = false }, false))
    assert.same({}, guarded({ type = "proc", subset = "pid" }, true))
    assert.same({}, guarded({ type = "proc", protect = false }, true))
  end)
end)

describe("the sources of mounts", function()
  local TELLS = {
    lookup = function(s) return ("look up %s as %d"):format(s.path, s.to) end,
    newroot = function() return "newroot" end,
    tree = function(s) return ("tree %s"):format(s.fd or s.source) end,
    overlay = function(s) return ("overlay %s"):format(s.options[1]) end,
  }

  local function words(spec, more)
    local list = {}
    for _, s in ipairs(plans.steps(spec, more)) do list[#list + 1] = TELLS[s.op] and TELLS[s.op](s) end
    return list
  end

  local MOUNTS = { { type = "bind", source = "/a" }, { type = "overlay", target = "/o", lower = "/l", upper = "/u",
    work = "/w" }, { type = "bind", source = "/b", nofollow = true } }

  it("are looked up before there is a new root, to which a link might lead, at numbers that are free", function()
    assert.same({ "look up /a as 3", "look up /u as 4", "look up /w as 6", "look up /l as 7", "newroot", "tree 3",
      "overlay lowerdir=/proc/self/fd/7", "tree /b" },
      words({ "/x", flags = "mount", root = "empty", mounts = MOUNTS }, { ends = { [0] = 0, 5, 2 } }))
  end)

  it("are looked up when it is their turn where there is no new root", function()
    assert.same({ "tree /a", "look up /u as 3", "look up /w as 4", "look up /l as 5", "overlay lowerdir=/proc/self/fd/5",
      "tree /b" },
      words { "/x", flags = "mount", mounts = MOUNTS })
  end)
end)

describe("limits", function()
  it("come in the order of their names, each with both values", function()
    local list = {}
    for i, s in ipairs(plans.only(plans.steps { "true", rlimits = { nofile = 5, core = { soft = 0, hard = "unlimited" },
      as = "unlimited" } }, "rlimit")) do
      list[i] = ("%s %d %d"):format(s.data, s.value, s.limit)
    end
    assert.same({ "as -1 -1", "core 1 -1", "nofile 5 5" }, list)
  end)

  it("of no core dump is one byte, as of none the kernel starts a handler", function()
    for _, core in ipairs { 0, 1, "0k", { soft = 0, hard = 0 } } do
      local rlimit = plans.only(plans.steps { "true", rlimits = { core = core } }, "rlimit")[1]
      assert.same({ 1, 1 }, { rlimit.value, rlimit.limit })
    end
  end)

  it("of one byte for core dumps is not missed where none may be had", function()
    for core, errno in pairs { [0] = constants.errno.EPERM, [1] = constants.errno.EPERM, [2] = false } do
      assert.equal(errno or nil, plans.only(plans.steps { "true", rlimits = { core = core } }, "rlimit")[1].ignore)
    end
  end)
end)

describe("0 is a value like any other:", function()
  local ROWS = {
    { "descriptor 0 as stdout", { stdout = 0 }, { word = "stdout", at = { "fd" } } },
    { "descriptor 0 in fds", { fds = { [3] = 0 } }, { word = "fds", at = { 3, "fd" } } },
    { "umask 0", { umask = 0 }, { op = "umask", value = 0 } },
    { "user 0", { user = 0 }, { op = "setuid", value = 0, word = "user" } },
    { "group 0", { group = 0 }, { op = "setgid", value = 0, word = "group" } },
    { "group 0 in groups", { groups = { 0 } }, { op = "setgroups", data = "\0\0\0\0" } },
    { "limit 0", { rlimits = { nproc = 0 } }, { op = "rlimit", value = 0, limit = 0 } },
    { "nice 0", { nice = 0 }, { op = "nice", value = 0 } },
    { "processor 0", { affinity = 0 }, { op = "affinity", data = "\1\0\0\0\0\0\0\0" } },
    { "level 0", { ioprio = { class = "idle", level = 0 } }, { op = "ioprio", value = 0 } },
    { "oom_score_adj 0", { oom_score_adj = 0 }, { op = "write", data = "0" } },
    { "offset 0", { flags = "time", time = { monotonic = 0 } }, { op = "write", data = "monotonic 0 0\n" } },
    { "mode 0 of a directory", { flags = "mount", mounts = { { type = "dir", target = "/d", mode = 0 } } },
      { op = "mkdir", mode = 0 } },
    { "a source of descriptor 0", { flags = "mount", mounts = { { type = "bind", source = 0, target = "/d" } } },
      { word = "mounts", at = { 1, "source" } } },
    { "grace 0", { grace = 0 }, { word = "grace", at = {} } },
    { "max_output 0", { max_output = 0 }, { word = "max_output", at = {} } },
  }
  for _, row in ipairs(ROWS) do
    it(row[1], function()
      local spec, fields = row[2], row[3]
      spec[1] = "true"
      if not fields.at then return assert.truthy(plans.find(plans.steps(spec), fields)) end
      local value = plans.check(spec)[fields.word]
      for _, key in ipairs(fields.at) do value = value[key] end
      assert.equal(0, value)
    end)
  end
end)
