--- What is said to systemd: D-Bus messages as bytes, and what a real bus makes of them.
local core = require "ns.core"
local dbus = require "ns.start.dbus"
local machine = require "support.machine"
local ns = require "ns"

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

describe("values for D-Bus", function()
  -- by hand, after the specification: each aligned to its size, structures and what is in a list of them to 8
  local ROWS = {
    { "s", { "foo" }, "03000000666f6f00" },
    { "yu", { 1, 258 }, "0100000002010000" },
    { "b", { true }, "01000000" },
    { "au", { { 1, 2 } }, "080000000100000002000000" },
    { "a(sv)", { {} }, "0000000000000000" },
    { "a(sv)", { { { "x", { "u", 5 } } } },
      "10000000" .. "00000000" .. "010000007800" .. "017500" .. "000000" .. "05000000" },
    { "ys", { 7, "" }, "07000000" .. "00000000" .. "00" },
  }
  for _, row in ipairs(ROWS) do
    it("are laid out as it wants: " .. row[1] .. ", " .. #row[3] / 2, function()
      assert.equal(row[3], hex(dbus.encode(row[1], row[2])))
    end)
  end

  it("are read in the order of bytes that a message says", function()
    local answer = "l\2\1\1" .. "\8\0\0\0" .. "\9\0\0\0" .. "\15\0\0\0" .. "\5\1u\0\3\0\0\0" .. "\8\1g\0\1s\0" .. "\0"
      .. "\3\0\0\0foo\0"
    assert.equal(#answer - 16, dbus.rest(answer:sub(1, 16)))
    assert.same({ kind = 2, reply_to = 3, text = "foo" }, dbus.read(answer))
    local big = "B\2\1\1" .. "\0\0\0\8" .. "\0\0\0\9" .. "\0\0\0\15" .. "\5\1u\0\0\0\0\3" .. "\8\1g\0\1s\0" .. "\0"
      .. "\0\0\0\3foo\0"
    assert.equal(#big - 16, dbus.rest(big:sub(1, 16)))
    assert.same({ kind = 2, reply_to = 3, text = "foo" }, dbus.read(big))
  end)
end)

describe("a bus", function()
  local directory, remove, daemon

  local function it_has(title, body)
    if ns.run { "sh", "-c", "command -v dbus-daemon" }.ok then return it(title, body) end
    return pending(title .. " [there is no dbus-daemon]")
  end

  before_each(function()
    directory, remove = machine.directory()
    daemon = assert(ns.spawn { "dbus-daemon", "--session", "--nofork", "--print-address", stdout = "pipe", stderr = "null",
      "--address=unix:path=" .. directory .. "/bus" })
    daemon.stdout:read "*l"
  end)
  after_each(function()
    daemon:close()
    remove()
  end)

  local function ask(c, member, signature, values)
    return dbus.ask(c, { path = "/org/freedesktop/DBus", interface = "org.freedesktop.DBus", member = member,
      signature = signature, values = values })
  end

  it_has("understands what it is asked, and says what it does not know", function()
    local c = assert(dbus.connect(directory .. "/bus", "org.freedesktop.DBus"))
    assert.equal("org.freedesktop.DBus", assert(ask(c, "GetNameOwner", "s", { "org.freedesktop.DBus" })).text)
    local properties = { { "Description", { "s", "x" } }, { "PIDs", { "au", { 5, 6 } } }, { "Delegate", { "b", true } } }
    local answer, message, errno, name = ask(c, "NoSuch", "ssa(sv)a(sa(sv))", { "a.scope", "fail", properties, {} })
    assert.same({ nil, core.constants.errno.EIO, "org.freedesktop.DBus.Error.UnknownMethod" }, { answer, errno, name })
    assert.matches("NoSuch", message)
    assert.truthy(ask(c, "GetId", "", {}).text)
    c.socket:close()
  end)

  it_has("that has gone is an error, not a wait", function()
    local c = assert(dbus.connect(directory .. "/bus", "org.freedesktop.DBus"))
    daemon:close()
    assert.is_nil((ask(c, "GetId", "", {})))
    c.socket:close()
    local none, _, errno = dbus.connect(directory .. "/none")
    assert.same({ nil, core.constants.errno.ENOENT }, { none, errno })
  end)
end)
