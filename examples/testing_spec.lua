--- Four recipes for tests with ns.busted (doc/testing.md): a database for a file, a clock that is set, no network, two
-- services that talk with each other.
--
-- usage: busted --helper=ns.busted examples/testing_spec.lua
local isolated = require "ns.busted"
local ns = require "ns"

local function output(...)
  local r = assert(ns.run { ... })
  assert.exits(0, r)
  return (r.stdout:gsub("%s+$", ""))
end

describe("a database of its own", function()
  -- /tmp is the file's own: two files that run beside each other both use this name, and nothing is to be removed
  local DATABASE = "/tmp/shop.db"

  setup(function() output("sqlite3", DATABASE, "create table goods (name text)") end)

  it("has what is put into it", function()
    output("sqlite3", DATABASE, "insert into goods values ('tea')")
    assert.equal("tea", output("sqlite3", DATABASE, "select name from goods"))
  end)
end)

describe("a clock", function()
  isolated.it("is set by a time namespace", { "time", time = { boottime = 30 * 24 * 3600 } }, function()
    assert.truthy(tonumber(output("cat", "/proc/uptime"):match "^%d+") > 30 * 24 * 3600)
  end)
end)

describe("without a network", function()
  it("nobody is reached but this file's own loopback", function()
    isolated.needs "net"
    assert.equal("1", output("grep", "-c", ":", "/proc/net/dev"))
  end)
end)

describe("two services", function()
  local ANSWER = [[
import socket
s = socket.create_server(("127.0.0.1", 7001))
while True:
    c, _ = s.accept()
    c.sendall(b"42\n")
    c.close()]]
  local FRONT = [[
import socket
s = socket.create_server(("127.0.0.1", 7002))
while True:
    c, _ = s.accept()
    b = socket.create_connection(("127.0.0.1", 7001))
    c.sendall(b"the answer is " + b.recv(100))
    c.close()]]

  it("talk with each other, at ports that nobody else has", function()
    isolated.needs "net"
    isolated.server { "python3", "-c", ANSWER, wait_for = 7001 }
    local front = isolated.server { "python3", "-c", FRONT, wait_for = { port = 7002 } }
    local ask = "import socket; print(socket.create_connection(('127.0.0.1', 7002)).makefile().readline())"
    assert.equal("the answer is 42", output("python3", "-c", ask), front:logs())
  end)
end)
