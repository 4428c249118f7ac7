--- Networks: fifty hosts again and again, of which nothing is left; each host of a tree reaches each; through a link goes
-- what it was asked for, within a tenth, and a packet takes as long as it was asked to. What this kernel cannot do a virtual
-- machine does, in the long form.
-- usage: as all parts; in the virtual machine with a third argument, after which only the links are tried
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local proof = require "proof"

local KERNEL = "linux-image-6.12-cloud-amd64"
local inside = arg[2] == "links"

--- Is it refused by the other itself, on whose port nobody listens?
local function reaches(from, ip)
  local connection, message = from:connect(ip:find ":" and ("[%s]:7"):format(ip) or ip .. ":7", 10)
  if connection then connection:close() end
  return message and message:find "refused" ~= nil
end

-- ---- nothing is left ----

local function own_network()
  local texts = { (machine.read "/proc/net/dev":gsub(":[^\n]*", "")) }
  for _, name in ipairs { "route", "if_inet6", "ipv6_route" } do texts[#texts + 1] = machine.read("/proc/net/" .. name) end
  return table.concat(texts)
end

local function fifty()
  local before, times = own_network(), {}
  for _ = 1, proof.size(2, 10) do
    local net = ns.net.star(50)
    local began = core.clock()
    assert(net:start())
    times[#times + 1] = core.clock() - began
    local first, last = net.nodes[1], net.nodes[50]
    proof.check(reaches(first, last.ip) and reaches(last, first.ip6), "h1 and h50 do not reach each other")
    net:close()
    proof.check(own_network() == before, "the machine's own network is another one")
  end
  table.sort(times)
  proof.figure("fifty hosts, median of the starts", "%.0f ms", times[(#times + 1) // 2] * 1000)
end

--- All of this process's children are gone, and so are the namespaces that it has had.
local function nothing_left()
  local before = #assert(ns.namespaces())
  proof.clean("fifty hosts", fifty)
  local after
  for _ = 1, 100 do
    after = #assert(ns.namespaces())
    if after <= before then break end
    core.poll(0.05, -1, "r")
  end
  proof.check(after <= before, "%d namespaces are left", after - before)
end

-- ---- who reaches whom ----

local function has(name) return ns.run({ "sh", "-c", "command -v " .. name }).ok end

--- By ping, to the name that the other has inside.
local function pings(from, to)
  for _, option in ipairs { "-4", "-6" } do
    local r = assert(from:run("ping", option, "-c1", "-W5", to.name))
    proof.check(r.ok, "%s does not ping %s, %s: %s", from.name, to.name, option, r.stdout .. r.stderr)
  end
end

local function matrix()
  local net = assert(ns.net.tree(proof.size(2, 3), 3):start())
  local has_ping = has "ping"
  if not has_ping then proof.skip "there is no ping" end
  for _, from in ipairs(net.nodes) do
    for _, to in ipairs(net.nodes) do
      for _, ip in ipairs(from ~= to and { to.ip, to.ip6 } or {}) do
        proof.check(reaches(from, ip), "%s does not reach %s at %s", from.name, to.name, ip)
      end
      if from ~= to and has_ping then pings(from, to) end
    end
  end
  net:close()
end

-- ---- what goes through ----

local SINK = [[
  use Socket; $| = 1; socket(my $s, PF_INET, SOCK_STREAM, 0); bind($s, pack_sockaddr_in(5001, INADDR_ANY)) or die "$!\n";
  listen($s, 9);
  while (accept(my $c, $s)) { my $n = 0; while (my $got = sysread($c, my $b, 65536)) { $n += $got } print "$n\n" if $n } ]]

--- Mbit/s of what TCP carries, for some seconds.
local function through(from, to, mbit)
  local p = assert(to:spawn { "perl", "-e", SINK, stdout = "pipe" })
  assert(to:wait_for(5001, 60))
  local connection = assert(from:connect(to.ip .. ":5001", 60))
  local began = core.clock()
  connection:write(("x"):rep(math.floor(mbit * 1e6 / 8 * 5)))
  connection:close()
  local rate = 8 * tonumber(p.stdout:read "*l") / 1e6 / (core.clock() - began)
  p:close()
  return rate
end

--- Each packet has 66 bytes of headers to 1448 of what is carried.
local CARRIED = 1448 / 1514

-- The part that must come through; in the short form others have the machine, too, whom the link does not wait for.
local LEAST = proof.size(0.5, 0.9)

local function is_near(got, wanted) return got > LEAST * wanted and got < 1.1 * wanted end

local function shaped(mbit, words)
  words.rate = mbit * 1e6
  local net = ns.net()
  local a, b = net:host "a", net:host "b"
  local link = net:link(a, b, words)
  local ok, message = net:start()
  if not ok then return proof.check(false, "a link of %g Mbit/s: %s", mbit, message) end
  for _, factor in ipairs { 1, 2 } do
    assert(link:set { rate = factor * words.rate })
    local got, wanted = 0, factor * mbit * CARRIED
    for _ = 1, 4 do -- what a busy machine takes away is not the link's
      if got < 0.95 * wanted then got = math.max(got, through(a, b, factor * mbit)) end
    end
    proof.check(is_near(got, wanted), "%.2f Mbit/s in place of %.2f", got, wanted)
    proof.figure(("a link of %g Mbit/s%s, the best of four"):format(factor * mbit, words.delay and " and a delay" or ""),
      "%.2f Mbit/s carried, %.1f%% of what is to be had", got, 100 * got / wanted)
  end
  net:close()
end

--- What iperf3 finds is the link's rate, which it counts without headers.
local function measured(mbit)
  if not has "iperf3" then return proof.skip "there is no iperf3" end
  local net = assert(ns.net.star(2, { rate = mbit * 1e6 }):start())
  local h1, h2 = net.nodes[1], net.nodes[2]
  local got, wanted = 0, mbit * CARRIED
  for _ = 1, 4 do
    if got < 0.95 * wanted then
      local server = assert(h2:spawn { "iperf3", "-s", "--forceflush", stdout = "pipe", stderr = "null" })
      repeat until assert(server.stdout:read()):match "listening" -- it would take who tries its port for its one client
      local r = assert(h1:run("iperf3", "-c", "h2", "-t", "3", "-f", "k"))
      got = math.max(got, tonumber(r.stdout:match "([%d.]+) Kbits/sec +receiver" or 0) / 1000)
      server:close()
    end
  end
  net:close()
  proof.check(is_near(got, wanted), "iperf3: %.2f Mbit/s in place of %.2f", got, wanted)
  proof.figure(("iperf3 through a link of %g Mbit/s"):format(mbit), "%.2f Mbit/s, %.1f%% of what is to be had", got,
    100 * got / wanted)
end

local function delayed()
  local net = ns.net()
  local a, b = net:host "a", net:host "b"
  local link = net:link(a, b, { delay = "50ms" })
  assert(net:start())
  for _, delay in ipairs { 0.05, 0.2 } do
    assert(link:set { delay = delay })
    local took = math.huge
    for _ = 1, 4 do -- the first of them look for each other's address
      local began = core.clock()
      proof.check(reaches(a, b.ip), "it does not answer")
      took = math.min(took, core.clock() - began)
    end
    proof.check(took >= 2 * delay and took < 2 * delay + 0.1 + 0.2 * delay, "%.3f s with a delay of %g", took, delay)
    proof.figure(("there and back with a delay of %g ms each way"):format(delay * 1000), "%.1f ms", took * 1000)
  end
  net:close()
end

local function links()
  if machine.can.tbf then
    for _, mbit in ipairs(inside and { 1 } or { 2, 20 }) do shaped(mbit, {}) end -- the machine there is emulated
    if not inside then measured(20) end
  else
    proof.skip("tbf: %s", machine.why.tbf)
  end
  if machine.can.netem then
    shaped(inside and 1 or 10, { delay = "5ms" })
    delayed()
    return
  end
  local may = proof.long and not inside and machine.root
  local ok, text = false, machine.why.netem
  if may then ok, text = proof.sh("bash proof/vm.sh %s lua5.4 proof/networks.lua long links", KERNEL) end
  if not may then return proof.skip("netem: %s", text) end
  for line in text:gmatch "figure: [^\n]+" do print(line .. " (" .. KERNEL .. ")") end
  local passed, failed, skipped = text:match "(%d+) passed, (%d+) failed, (%d+) skipped%s*$"
  if not passed then return proof.check(ok, "in the virtual machine: %s", text:sub(-500)) end
  proof.add(tonumber(passed), tonumber(failed), tonumber(skipped))
end

if not inside then
  nothing_left()
  matrix()
end
links()
proof.finish()
