--- Ids that are somebody's, and those that nobody has: /etc/subuid, /etc/subgid, /etc/passwd, /etc/group.
local core = require "ns.core"
local ids = require "ns.start.ids"
local maps = require "ns.words.maps"
local machine = require "support.machine"
local ns = require "ns"
local subids = require "ns.start.subids"

local NAMES = { "subuid", "subgid", "passwd", "group" }
local LOW, HIGH = 2000224256, 2147352576 -- where ranges are looked for first

describe("a free range", function()
  local directory, remove

  before_each(function() directory, remove = machine.directory() end)
  after_each(function() remove() end)

  --- A root's host with these files, and no others.
  local function host(files)
    local made = { euid = 0, egid = 0, root = true }
    made.machine = { uid = { { 0, 0, 4294967295 } }, gid = { { 0, 0, 4294967295 } } }
    for _, name in ipairs(NAMES) do
      made[name] = directory .. "/" .. name
      os.remove(made[name])
      if files[name] then machine.file(made[name], files[name]) end
    end
    return made
  end

  --- The map that a box of such a host gets, as text: both are the same.
  local function map(made)
    local uid, gid = ids.maps({ map = "range", flags = { user = true } }, made)
    assert.equal(maps.format(uid), maps.format(gid))
    return (maps.format(uid):gsub("\n", ""))
  end

  local function first(made) return tonumber(map(made):match("^0 (%d+) 65536$")) end

  --- Lines that give all ids away but those from `from` up to before `to`.
  local function all_but(from, to) return ("a:0:%d\nb:%d:%d\n"):format(from, to, 4294967296 - to) end

  it("is one of many, at random, of those that no other program takes without a line", function()
    local made, seen, count = host {}, {}, 0
    for _ = 1, 40 do
      local id = first(made)
      assert.truthy(id >= LOW and id + 65536 <= HIGH and id % 65536 == 0, id)
      if not seen[id] then seen[id], count = true, count + 1 end
    end
    assert.truthy(count > 30, count)
  end)

  it("leaves the random numbers of the host alone", function()
    math.randomseed(7)
    local expected = math.random(1000000)
    math.randomseed(7)
    first(host {})
    assert.equal(expected, math.random(1000000))
  end)

  it("has no id of a line of subuid or subgid, whoever has it, root as well, nor one of a user or a group", function()
    local only = { subuid = all_but(LOW, LOW + 3 * 65536) }
    for name, text in pairs { subuid = only.subuid .. "root:%d:65536", subgid = "1000:%d:65536",
      passwd = "u:x:%d:5::/:/bin/sh", group = "g:x:%d:" } do
      local files = { subuid = only.subuid, [name] = text:format(LOW + 65536) }
      for _ = 1, 20 do assert.is_not.equal(LOW + 65536, first(host(files))) end
      files[name] = files[name] .. "\n" .. text:gsub("^.*\n", ""):format(LOW) .. "\n"
      assert.equal(LOW + 131072, first(host(files)), name)
    end
    local gid = "u:x:5:%d::/:/bin/sh\nv:x:6:%d::/:/bin/sh\n"
    assert.equal(LOW, first(host { subuid = only.subuid, passwd = gid:format(LOW + 65536, LOW + 2 * 65536) }))
  end)

  it("is looked for everywhere in the end, but not among the ids of the system", function()
    assert.equal(300001, first(host { subuid = all_but(300001, 300001 + 65536) }))
    assert.equal(3000000000, first(host { subgid = all_but(3000000000, 3000000000 + 65536) }))
    assert.equal("0 65534 1", map(host { subuid = all_but(300001, 300000 + 65536) }))
    assert.equal("0 65534 1", map(host { subuid = all_but(0, 65536) }))
    assert.equal("0 65534 1", map(host { subuid = all_but(4294967296 - 65536, 4294967296) }))
  end)

  it("is there for no box where all are given away, in one line or in thousands", function()
    assert.equal("0 65534 1", map(host { subuid = "a:0:4294967296\n" }))
    assert.equal("0 65534 1", map(host { subgid = "a:1:4294967295" }))
    local lines = {}
    for i = 0, 9999 do lines[i + 1] = ("user%d:%.0f:429497"):format(i, i * 429497) end
    assert.equal("0 65534 1", map(host { subuid = table.concat(lines, "\n") }))
    table.remove(lines, 5000)
    local id = first(host { subuid = table.concat(lines, "\n") })
    assert.truthy(id >= 4999 * 429497 and id + 65536 <= 5000 * 429497, id)
  end)

  it("is that of the files as they are now", function()
    local made = host { subuid = all_but(LOW, LOW + 65536) }
    assert.equal(LOW, first(made))
    machine.file(made.subuid, all_but(LOW + 65536, LOW + 2 * 65536))
    assert.equal(LOW + 65536, first(made))
    machine.file(made.group, ("new:x:%d:\n"):format(LOW + 65536 + 7))
    assert.equal("0 65534 1", map(made))
    os.remove(made.group)
    assert.equal(LOW + 65536, first(made))
  end)

  it("is one that the host has itself", function()
    local made = host {}
    made.machine = { uid = { { 0, 100000, 65536 } }, gid = { { 0, 100000, 65536 } } }
    assert.equal("0 65534 1", map(made))
    made.machine = { uid = { { 70000, 1, 200000 }, { 0, 5, 9 } }, gid = { { 90000, 1, 110000 } } }
    assert.equal(131072, first(made))
    made.machine = { uid = { { 0, 1, 200000 } }, gid = { { 0, 1, 10 } } }
    assert.equal("0 65534 1", map(made))
    made.machine = { uid = {}, gid = {} }
    assert.equal("0 65534 1", map(made))
  end)

  it("is not narrowed by lines that give nothing", function()
    for _, line in ipairs { "#a:0:4294967296", "a:0:4294967296x", "a:-1:4294967296", "a:0x0:4294967296", "a:0", "a", ":", "",
      "a:4294967296:4294967296", "a:0:0", "a:0:1e9", "a:0:4294967296:5", "\0\255\1:\0:", "a:99999999999999999999:1" } do
      local text = all_but(LOW, LOW + 65536) .. line .. "\n"
      assert.equal(LOW, first(host { subuid = text, subgid = line }), line)
    end
  end)

  it("is narrowed by sums that go beyond all ids, up to the last", function()
    for _, count in ipairs { "4294967295", "9223372036854775807", "18446744073709551615", "99999999999999999999" } do
      local id = first(host { subuid = ("a:%d:%s\n"):format(LOW + 65536, count) })
      assert.equal(LOW, id)
      assert.equal("0 65534 1", map(host { subuid = "a:65536:" .. count }))
    end
  end)

  it("is refused where a file cannot be read, without waiting for it", function()
    local refused = {
      fifo = { "mkfifo %s", "EINVAL" }, directory = { "mkdir %s", "EISDIR" }, device = { "ln -s /dev/zero %s", "EINVAL" },
      loop = { "ln -s %s %s", "ELOOP" }, endless = { "truncate -s 1T %s", "EFBIG" },
    }
    for name, row in pairs(refused) do
      for _, file in ipairs(NAMES) do
        local made = host {}
        assert(os.execute((row[1]:gsub("%%s", made[file]))))
        local ok, step = pcall(map, made)
        assert.same({ false, "open", made[file], core.constants.errno[row[2]] },
          { ok, step.op, step.path, step.refused }, name)
        os.execute("rm -rf " .. made[file])
      end
    end
  end)
end)

describe("the ranges of /etc/subuid", function()
  --- What these lines give to the user 1000, as text.
  local function given(...)
    local path = os.tmpname()
    machine.file(path, table.concat({ ... }, "\n"))
    local list = subids.of({ subuid = path }, "subuid", 1000, "me")
    os.remove(path)
    for i, r in ipairs(list) do list[i] = ("%.0f:%.0f"):format(r[1], r[2]) end
    return table.concat(list, " ")
  end

  it("are those of the user's name and number", function()
    assert.equal("5:10 300000:1 7:8", given("me:5:10", "you:1:1", "1000:300000:1", "10000:9:9", "me:7:8"))
  end)

  it("are decimal numbers of ids that there are, of which 0 is none", function()
    assert.equal("1:4294967294 4294967294:1", given("me:1:4294967294", "me:4294967294:1"))
    for _, line in ipairs { "me:0:1", "me:1:0", "me:1:4294967295", "me:4294967295:1", "me:4294967296:1", "me:1:-1",
      "me:-1:5", "me:9223372036854775807:65536", "me:9223372036854775807:9223372036854775807",
      "me:65536:9223372036854775807", "me:18446744073709551615:2", "me:18446744073709551616:2", "me:5:18446744073709551616",
      "me:1e3:5", "me:5:0x10", "me:010:5", "me: 5:5", "me:5 :5", "me:5:5:5", "me:5:5x", "me::5", "me:5:", "me:5", "me",
      ":5:5", "#me:5:5", "# me:5:5", "me:nan:5", "me:inf:5", "me:" .. ("9"):rep(1000) .. ":1",
      "me:5:" .. ("9"):rep(1000), "me:5\0:5" } do
      assert.equal("", given(line), line)
      assert.equal("7:8", given(line, "me:7:8"), line)
    end
  end)
end)

describe("the ids of root's sandbox #system", function()
  --- What a host says that has these lines in its files; as root, or as nobody.
  local function say(lines, code, options)
    local directory, remove = machine.directory()
    local mount = ""
    for name, text in pairs(lines) do
      machine.file(("%s/%s"):format(directory, name), text, "644")
      mount = mount .. ("mount --bind %s/%s /etc/%s && "):format(directory, name, name)
    end
    options = options or {}
    options.under = { "unshare", "-m", "--propagation", "private", "sh", "-c", mount .. (options.setup or "") .. 'exec "$@"',
      "sh" }
    local r = machine.host(code, options)
    remove()
    return r.stdout .. r.stderr
  end

  local MAPS = [[
    local r, message = require("ns").sandbox():run("sh", "-c", "echo $(cat /proc/self/uid_map /proc/self/gid_map)")
    io.write(r and r.stdout or message)]]

  machine.root_it("are not those that useradd gives to a user: who has them cannot end it, or read its terminal", function()
    local code = [[
      local ns = require "ns"
      local function user(line)
        return ns.run { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", %q, "-e", ([=[
          local r = require("ns").run { "sh", "-c", %%q, flags = "user", map = "auto", user = 1 }
          io.write(r.stdout, r.stderr)]=]):format(line) }.stdout
      end
      local p = assert(ns.sandbox():pty():spawn("sleep", "60"))
      print(#user("find /dev/pts -uid 1 -readable -name '[0-9]*'"), user(("id -u; kill -9 %%d"):format(p.pid)))
      print(p:wait(0))
      p:close()]]
    local said = say({ subuid = "nobody:100000:65536\n", subgid = "nobody:100000:65536\n" }, code:format(machine.lua))
    assert.matches("^0\t1\n[^\n]*not permitted%s+nil\ttimeout\n$", said)
  end)

  machine.root_it("are none of a line of root's, which its other containers have", function()
    local line = "root:100000:65536\n"
    local first = tonumber(say({ subuid = line, subgid = line }, MAPS):match("^0 (%d+) 65536 0 %1 65536\n$"))
    assert.truthy(first and first >= LOW, first)
  end)

  machine.root_it("are never root's, whatever a line adds up to", function()
    for _, line in ipairs { "root:9223372036854775807:65536", "root:0:65536" } do
      assert.matches("^0 2%d%d%d%d%d%d%d%d%d 65536 0 2%d%d%d%d%d%d%d%d%d 65536\n$",
        say({ subuid = line .. "\n", subgid = line .. "\n" }, MAPS), line)
    end
  end)

  machine.root_it("are the one of nobody where all are given away", function()
    assert.equal("0 65534 1 0 65534 1\n", say({ subuid = "some:1:4294967294\n" }, MAPS))
  end)

  machine.root_it("are there without an /etc/subuid", function()
    local setup = "mount -t tmpfs none /etc && echo root:x:0:0::/:/bin/sh >/etc/passwd && "
    assert.matches("^0 2%d+ 65536 0 2%d+ 65536\n$", say({}, MAPS, { setup = setup }))
  end)

  machine.root_it("are others for each box, and tell the same inside, outside and by p:ids()", function()
    local box, seen, running = ns.sandbox():argv("sleep", "60"), {}, {}
    finally(function()
      for _, p in ipairs(running) do p:close() end
    end)
    for i = 1, 3 do
      local p = assert(box:spawn())
      running[i] = p
      local told = p:ids()
      assert.same({ { { 0, told.uid, 65536 } }, { { 0, told.gid, 65536 } } }, { told.uid_map, told.gid_map })
      assert.equal(("0 %.0f 65536"):format(told.uid), (machine.read(("/proc/%d/uid_map"):format(p.pid)):gsub("%s+", " ")
        :match("^ (.*) $")))
      assert.is_nil(seen[told.uid])
      seen[told.uid] = true
    end
  end)

  machine.root_it("are not shared by the boxes of a host, even if there are only two ranges", function()
    local lines = ("a:0:%d\nb:%d:%d\n"):format(LOW, LOW + 131072, 4294967296 - LOW - 131072)
    local said = say({ subuid = lines }, [[
      local ns = require "ns"
      for _ = 1, 6 do
        local a, b = assert(ns.sandbox():spawn("true")), assert(ns.sandbox():spawn("true"))
        io.write(math.abs(a:ids().uid - b:ids().uid), " ")
        a:close()
        b:close()
      end]])
    assert.equal(("65536 "):rep(6), said)
  end)

  it("stand in p:ids() for every program", function()
    local uid, gid = core.ids().euid, core.ids().egid
    local p = assert(ns.spawn { "true" })
    p:close()
    assert.same({ uid = uid, gid = gid }, p:ids())
    if not machine.can.user then return end
    p = assert(ns.spawn { "true", flags = "user", map = "self" })
    p:close()
    assert.same({ uid = uid, gid = gid, uid_map = { { uid, uid, 1 } }, gid_map = { { gid, gid, 1 } } }, p:ids())
    if not machine.root then return end
    p = assert(ns.spawn { "true", flags = "user", uid_map = { { 0, 70000, 10 } }, gid_map = { { 5, 80000, 10 } }, user = 3 })
    p:close()
    assert.same({ uid = 70003, gid = 80000, uid_map = { { 0, 70000, 10 } }, gid_map = { { 5, 80000, 10 } } }, p:ids())
  end)
end)
