--- What a start may go on without where the machine refuses it: the word optional.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local plan = require "ns.start.plan"
local plans = require "support.plans"

-- A limit that the kernel gives to nobody.
local TOO_MUCH = 2 ^ 40

--- The names of what was left out.
local function names(left_out)
  local list = {}
  for i, left in ipairs(left_out) do list[i] = left.what end
  return table.concat(list, " ")
end

describe("the word optional", function()
  for text, spec in pairs {
    ["optional: list expected, got boolean"] = { optional = true },
    ["optional[1]: string expected, got number"] = { optional = { 1 } },
    ["optional[1]: unknown word 'hostnam' (did you mean 'hostname'?)"] = { optional = { "hostnam" } },
    ["optional[2]: 'argv' cannot be left out"] = { optional = { "nice", "argv" } },
    ["optional[1]: 'hostname' has no parts"] = { optional = "hostname.box" },
    ["optional[1]: a part of 'flags' is missing"] = { optional = "flags." },
    ["optional[1]: unknown namespace 'nets' (did you mean 'net'?)"] = { optional = "flags.nets" },
    ["optional[1]: unknown limit 'nofiles' (did you mean 'nofile'?)"] = { optional = "rlimits.nofiles" },
    ["optional[1]: landlock has no part 'scop' (did you mean 'scope'?)"] = { optional = "landlock.scop" },
    ["optional[1]: absolute path expected, got 'srv'"] = { optional = "mounts.srv" },
    ["optional[2]: 'nice' is given twice"] = { optional = { "nice", "nice" } },
    ["optional[1]: without 'flags.uts' there is no 'hostname': add that, if it may be left out, too"] = {
      flags = "user,uts", hostname = "x", optional = { "flags.uts" } },
    ["optional[1]: without 'flags' there is no 'hostname': add that, if it may be left out, too"] = {
      flags = "user,uts", hostname = "x", optional = { "flags" } },
    ["optional[1]: without 'flags.net' there is no 'mounts./sys': add that, if it may be left out, too"] = {
      flags = "user,mount,net", mounts = { { type = "sys" } }, optional = { "flags.net" } },
    ["optional[2]: without 'root': read_only: needs 'root' or 'system'"] = {
      flags = "user,mount", root = "/", read_only = false, optional = { "nice", "root" } },
  } do
    it("says what is wrong in it: " .. text, function()
      spec.argv = { "true" }
      local _, mistake = plan.check(spec, plans.host())
      assert.equal(text, mistake)
    end)
  end

  it("calls namespaces by any of their names", function()
    assert.same({ "flags.net", "flags.mount" }, {
      plans.check({ "true", optional = { "flags.network", "flags.CLONE_NEWNS" } }).optional[1].name,
      plans.check({ "true", optional = { "flags.network", "flags.CLONE_NEWNS" } }).optional[2].name })
  end)

  it("lets what only says how a namespace is to be go with it", function()
    assert.truthy(plans.check { "true", flags = "user", map = "root", optional = { "flags.user" } })
  end)

  it("lets interfaces go with the network that they are in: never are they made in the host's", function()
    local network = { interfaces = { lo = { addresses = "10.9.9.9" } } }
    local spec = plans.check { "true", optional = "flags.net", network = network }
    assert.truthy(spec.network and spec.flags.net)
    local less = require("ns.words.optional").without(spec, spec.optional[1], require "ns.words.options")
    assert.same({ nil, nil }, { less.network, less.flags.net })
  end)

  it("may name what the spec does not have", function()
    local names_of_others = { "hostname", "flags.net", "mounts./srv", "landlock.scope", "rlimits.as" }
    assert.truthy(plans.check { "true", optional = names_of_others })
  end)
end)

describe("what is refused #system", function()
  local function spec(more)
    local s = { "sh", "-c", "ulimit -f; hostname", rlimits = { nofile = TOO_MUCH, fsize = 1024 * 1024 } }
    for word, value in pairs(more) do s[word] = value end
    return s
  end

  it("ends the start, as long as it is not named", function()
    for _, optional in ipairs { {}, { "rlimits.fsize" }, { "nice", "flags.net", "hostname" } } do
      local r, message, _, detail = ns.run(spec { optional = optional })
      assert.is_nil(r)
      assert.matches("^rlimit nofile ", message)
      assert.same({ "rlimits", "nofile" }, { detail.word, detail.part })
    end
  end)

  it("is left out alone, where its part is named, and told", function()
    local r = assert(ns.run(spec { optional = { "nice", "rlimits.nofile" } }))
    assert.matches("^2048\n", r.stdout)
    assert.equal(1, #r.left_out)
    local left = r.left_out[1]
    assert.same({ "rlimits.nofile", "EPERM", core.constants.errno.EPERM }, { left.what, left.code, left.errno })
    assert.matches("^rlimit nofile %d+:%d+: Operation not permitted %(EPERM%); ", left.why)
    assert.matches("fs.nr_open", left.hint)
  end)

  it("is left out with all of the word, where that is named", function()
    local r = assert(ns.run(spec { optional = { "rlimits" } }))
    assert.equal("rlimits", names(r.left_out))
    assert.not_matches("^2048\n", r.stdout)
  end)

  it("is left out one after the other", function()
    local r = assert(ns.run(spec { cwd = "/nowhere", affinity = 8000, optional = { "cwd", "affinity", "rlimits.nofile" } }))
    assert.equal("rlimits.nofile affinity cwd", names(r.left_out))
  end)

  it("is a list of nothing where nothing was", function()
    assert.same({}, assert(ns.run { "true", rlimits = { nofile = 64 }, optional = { "rlimits" } }).left_out)
    assert.same({}, assert(ns.run { "true" }).left_out)
  end)

  it("by a mistake, or by what is no refusal of the machine, ends the start all the same", function()
    local r, message = ns.run { "/nowhere/program", optional = { "cwd" } }
    assert.is_nil(r)
    assert.matches("^exec", message)
    local directory, remove = machine.directory()
    finally(remove)
    os.execute(("cd %s && ln -s loop loop"):format(directory))
    r, message = ns.run { "true", cwd = directory .. "/loop", optional = { "cwd" } }
    assert.is_nil(r)
    assert.matches("ELOOP", message)
    r, message = ns.run { "true", stdin = { path = directory }, timeout = 1e-6, optional = { "cwd", "stdin" } }
    assert.is_nil(r)
    assert.matches("ETIMEDOUT", message)
  end)

  it("is told by ns.check, after true", function()
    local ok, left = ns.check(spec { optional = { "rlimits.nofile" } })
    assert.same({ true, "rlimits.nofile" }, { ok, names(left) })
    assert.same({ true }, { ns.check { "true" } })
    assert.is_nil((ns.check(spec {})))
  end)

  it("is told of a box each time, and of one that is changed", function()
    local box = ns.box(spec { optional = { "rlimits.nofile" } })
    for _ = 1, 3 do assert.equal("rlimits.nofile", names(assert(box:run()).left_out)) end
    assert.equal("", names(assert(box:rlimits { nofile = 64 }:run()).left_out))
  end)

  it("is left out of functions, too", function()
    local results = { ns.call({ cwd = "/nowhere", optional = "cwd" }, function() return 7 end) }
    assert.same({ true, 7 }, results)
  end)

  it("leaves nothing behind of the starts that were given up", function()
    local before = machine.descriptors()
    for _ = 1, 3 do assert(ns.run(spec { optional = { "rlimits.nofile" } })) end
    assert.equal(before, machine.descriptors())
  end)
end)

machine.describe("user")("a namespace that is refused #system", function()
  --- What a Lua expression gives where clone(2) is refused some kinds of namespaces.
  local function under(calls, expression, options)
    options = options or {}
    local refuse = machine.refuse("EPERM", (table.unpack or unpack)(calls)) -- luacheck: ignore
    local r = machine.host(([[
      local ns = require "ns"
      local function names(list)
        local names = {}
        for i, left in ipairs(list) do names[i] = left.what end
        return table.concat(names, " ")
      end
      local function run(spec)
        local r, message = ns.run(spec)
        return r and ("%%s[%%s]"):format(r.stdout, names(r.left_out)) or message
      end
      io.write(tostring((%s)))]]):format(expression), { nobody = options.nobody, under = refuse })
    return r.stdout .. r.stderr
  end

  local NET, UTS, TIME, USER = "clone&0x40000000", "clone&0x04000000", "unshare&0x80", "clone&0x10000000"

  it("is left out, and no other", function()
    local spec = [[run { "echo", "hi", flags = "user,net,uts,ipc", optional = { "flags.ipc", "flags.net", "flags.uts" } }]]
    assert.equal("hi\n[flags.net]", under({ NET }, spec))
    assert.equal("hi\n[flags.net flags.uts]", under({ NET, UTS }, spec))
    assert.equal("hi\n[]", under({ TIME }, spec))
    spec = [[run { "echo", "hi", flags = "user,net,uts", optional = { "flags" } }]]
    assert.equal("hi\n[flags.net]", under({ NET }, spec))
  end)

  it("is refused where it is not named", function()
    assert.matches("^clone %(user, net, uts%): Operation not permitted",
      under({ NET }, [[run { "echo", "hi", flags = "user,net,uts", optional = { "flags.uts" } }]]))
  end)

  it("takes what needs it with it, and that is told", function()
    local spec = [[run { "echo", "hi", flags = "user,uts", hostname = "box", optional = { "flags.uts", "hostname" } }]]
    assert.equal("hi\n[flags.uts hostname]", under({ UTS }, spec))
    assert.equal("hi\n[hostname]", under({ "sethostname" }, spec))
  end)

  it("that the launcher makes is left out as well, and nothing is done to the host's in its place", function()
    local spec = [[run { "sh", "-c", "readlink /proc/self/ns/time", flags = "user,time", time = { boottime = 1000 },
      optional = { "flags.time", "time" } }]]
    assert.equal(core.readlink "/proc/self/ns/time" .. "\n[flags.time time]", under({ TIME }, spec))
  end)

  machine.it("sandbox")("is left out of a sandbox", function()
    local spec = [[run(ns.sandbox():argv("echo", "hi"):optional { "flags.net", "flags.time" })]]
    for _, nobody in ipairs { false, true } do
      assert.equal("hi\n[flags.net flags.time]", under({ NET, TIME }, spec, { nobody = nobody }))
      assert.equal("hi\n[]", under({ "acct" }, spec, { nobody = nobody }))
    end
  end)

  it("of users takes its maps with it", function()
    local spec = [[run { "echo", "hi", flags = "user", map = "root", optional = { "flags.user" } }]]
    for _, nobody in ipairs { false, true } do
      assert.equal("hi\n[flags.user]", under({ USER }, spec, { nobody = nobody }))
    end
    -- all others need it
    spec = [[run { "echo", "hi", flags = "user,net,ipc", optional = { "flags" } }]]
    assert.equal("hi\n[flags.user flags.net flags.ipc]", under({ USER }, spec, { nobody = true }))
  end)

  machine.it("sandbox")("is left out of living boxes and pools, and told", function()
    assert.equal("hi\nflags.net|", under({ NET }, [[(function()
      local c = assert(ns.sandbox():optional { "flags.net" }:start())
      local r = assert(c:run("echo", "hi"))
      c:close()
      return r.stdout .. names(c.left_out) .. "|" .. names(r.left_out)
    end)()]]))
    assert.equal("hi hi hi 3 0", under({ NET }, [[(function()
      local pool = ns.sandbox():optional { "flags.net" }:pool(2)
      local said = {}
      for i = 1, 3 do said[i] = assert(pool:run("echo", "hi")).stdout:sub(1, 2) end
      local stats = pool:stats()
      pool:close()
      return table.concat(said, " ") .. " " .. stats.warm .. " " .. stats.failed
    end)()]]))
  end)

  machine.it("sandbox")("leaves a program of a living box without what that is refused", function()
    local c = assert(ns.sandbox():start())
    local r = assert(c:run { "echo", "hi", cwd = "/nowhere", optional = { "cwd" } })
    assert.same({ "hi\n", "cwd" }, { r.stdout, names(r.left_out) })
    r = c:run { "echo", "hi", cwd = "/nowhere" }
    assert.is_nil(r)
    c:close()
  end)
end)

machine.describe("user", "mount")("a mount that is refused #system", function()
  it("is left out by its place, whatever it is made of", function()
    for _, root in ipairs { false, "empty" } do
      local r = assert(ns.run { "sh", "-c", "ls /srv", flags = "user,mount", root = root or nil,
        system = root and true or nil, mounts = {
        { type = "tmpfs", target = "/srv" }, { type = "file", target = "/srv/there", data = "" },
        { type = "bind", source = "/nowhere", target = "/mnt" } }, optional = { "mounts./mnt" } })
      assert.equal("there\n", r.stdout)
      assert.equal("mounts./mnt", names(r.left_out))
    end
  end)

  it("is not told where it is only tried, which is a thing of the mount's", function()
    local r = assert(ns.run { "true", flags = "user,mount", mounts = {
      { type = "bind", source = "/nowhere", target = "/mnt", try = true } }, optional = { "mounts./mnt" } })
    assert.same({}, r.left_out)
  end)

  it("takes no other with it", function()
    local _, message = ns.run { "true", flags = "user,mount", mounts = {
      { type = "bind", source = "/nowhere", target = "/mnt" } }, optional = { "mounts./srv" } }
    assert.matches("/nowhere", message)
  end)
end)

describe("ns.explain", function()
  it("shows both roads", function()
    local text = ns.explain { "true", flags = "user,net,time,uts", hostname = "box", rlimits = { core = 0, nofile = 64 },
      optional = { "flags.net", "flags.time", "hostname", "rlimits.nofile" } }
    assert.matches("^clone %(user, net, uts, time%)[^\n]*; where refused, without flags.net\n", text)
    assert.matches("\nunshare the time namespace; where refused, without flags.time\n", text)
    assert.matches("\nbring the loopback up; where refused, without flags.net\n", text)
    assert.matches("\nsethostname 'box'; where refused, without hostname\n", text)
    assert.matches("\nrlimit core 1:1\n", text)
    assert.matches("\nrlimit nofile 64:64; where refused, without rlimits.nofile\n", text)
  end)
end)

describe("landlock, where this kernel has less of it,", function()
  local before = core.landlock
  after_each(function() core.landlock = before end)

  local SPEC = { "true", landlock = { write = { "/" }, tcp_bind = {}, scope = "signal" },
    optional = { "landlock.tcp_bind", "landlock.scope", "landlock.truncate" } }

  it("is left out in parts, as far as they are named", function()
    function core.landlock() return 2 end
    local text = ns.explain(SPEC)
    assert.matches("^leave out landlock.tcp_bind: landlock: tcp_bind: Operation not supported", text)
    assert.matches("\nleave out landlock.truncate: [^\n]*needs Linux 6.2, ", text)
    assert.matches("\nleave out landlock.scope: ", text)
    assert.matches("\nallow to write /\n", text)
    local _, message = ns.explain { "true", landlock = SPEC.landlock, optional = { "landlock.scope", "landlock.truncate" } }
    assert.matches("^landlock: tcp_bind: Operation not supported", message)
  end)

  it("is left out as a whole", function()
    function core.landlock() return nil, "", core.constants.errno.EOPNOTSUPP end
    local r = assert(ns.run { "true", landlock = { read = {} }, optional = { "landlock" } })
    assert.equal("landlock", names(r.left_out))
    r = ns.run { "true", landlock = { scope = "signal" }, optional = { "landlock.scope" } }
    assert.is_nil(r)
  end)
end)
