-- A switch and 2, 10 and 50 hosts: how long they take to be there, and to be gone, beside the same by `ip netns`, as
-- scripts do it, one process of iproute2 after the other. bench/run.sh plays it where it is root, in a network and with a
-- /run of its own, as `ip netns` wants both.
-- usage: networks.lua [ROUNDS]
local clock = require("ns.core").clock
local measure = require "bench.measure"
local ns = require "ns"

local rounds = tonumber(arg[1]) or 5
local SIZES = { 2, 10, 50 }

--- A network of sandboxes; or of boxes that have nothing of their own but a network, as `ip netns` makes them.
local function by_ns(box)
  return function(n)
    local net = ns.net()
    local switch = net:switch "s1"
    for i = 1, n do net:link(net:host("h" .. i, box), switch) end
    assert(net:start())
    return function() net:close() end
  end
end

local function shell(text)
  return assert(ns.run { "sh", "-e", stdin = text }).ok or error "ip netns"
end

--- The same addresses, routes and names of interfaces. That a link is ready is not waited for.
local function by_ip(n)
  shell(([[
    ip netns add s1; ip -n s1 link set lo up; ip -n s1 link add s1 type bridge; ip -n s1 link set s1 up
    for i in $(seq %d); do
      ip netns add h$i; ip -n h$i link set lo up
      ip -n s1 link add p$i type veth peer name eth0 netns h$i
      ip -n s1 link set p$i master s1 up
      ip -n h$i addr add 10.0.0.$i/16 dev eth0; ip -n h$i addr add fd00::$i/64 dev eth0 nodad; ip -n h$i link set eth0 up
    done]]):format(n))
  return function()
    shell(("for i in $(seq %d); do ip netns del h$i; done; ip netns del s1"):format(n))
  end
end

local CONTESTANTS = {
  { "ns.net, sandboxes", by_ns() },
  { "ns.net, bare boxes", by_ns(ns.box { flags = { "user", "pid", "net" }, keyring = "inherit" }) },
  { "ip netns", by_ip },
}

local function milliseconds(f, ...)
  local began = clock()
  local result = f(...)
  return (clock() - began) * 1000, result
end

print(("%-22s %6s %12s %12s"):format("", "hosts", "build ms", "gone ms"))
for _, size in ipairs(SIZES) do
  local figures = {}
  for _ = 1, rounds do
    for i, contestant in ipairs(CONTESTANTS) do
      figures[i] = figures[i] or { build = {}, gone = {} }
      local build, close = milliseconds(contestant[2], size)
      table.insert(figures[i].build, build)
      table.insert(figures[i].gone, (milliseconds(close)))
    end
  end
  for i, contestant in ipairs(CONTESTANTS) do
    print(("%-22s %6d %12.1f %12.1f"):format(contestant[1], size, measure.median(figures[i].build),
      measure.median(figures[i].gone)))
  end
end
