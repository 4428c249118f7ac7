-- A server in a sandbox, and who comes to it from the host: how long a connection takes, and how much goes through it, by
-- p:connect, by `publish`, by pasta, and by two socats with a socket in a directory that both see, beside a server without
-- any box.
-- usage: relay.lua [ROUNDS]
local clock = require("ns.core").clock
local measure = require "bench.measure"
local ns = require "ns"

local rounds = tonumber(arg[1]) or 5
local FLOW = (os.getenv("BENCH_HOME") or ".") .. "/flow"
local PORT, COUNT, SECONDS = 8080, 200, 1

local function flow(...)
  local r = assert(ns.run { FLOW, ... })
  return (assert(tonumber(r.stdout), r.stderr))
end

local function await(port)
  for _ = 1, 200 do
    if ns.run({ FLOW, "connect", "127.0.0.1", tostring(port), "1" }).ok then return end
    ns.run { "sleep", "0.02" }
  end
  error("nobody listens on port " .. port)
end

local function sandbox() return ns.sandbox():ro_bind(FLOW, "/flow") end

--- What is measured at a port of the host.
local function at_port(port)
  local text = tostring(port)
  return { connect = function() return flow("connect", "127.0.0.1", text, tostring(COUNT)) end,
    to = function() return flow("to", "127.0.0.1", text, tostring(SECONDS)) end,
    from = function() return flow("from", "127.0.0.1", text, tostring(SECONDS)) end }
end

local function plain()
  local p = assert(ns.spawn { FLOW, "serve", "127.0.0.1", "18081" })
  await(18081)
  return at_port(18081), { p }
end

--- Sockets that the init of the box makes, and this script connects.
local function by_connect()
  local p = assert(sandbox():spawn("/flow", "serve", "127.0.0.1", tostring(PORT)))
  assert(p:wait_for(PORT, 10))
  local function connect()
    local times = {}
    for i = 1, COUNT do
      local began = clock()
      local c = assert(p:connect(PORT))
      c:write "c"
      assert(c:read(1))
      times[i] = (clock() - began) * 1e6
      c:close()
    end
    return measure.median(times)
  end
  return { connect = connect }, { p }
end

local function by_publish()
  local p = assert(sandbox():publish({ [0] = PORT }):spawn("/flow", "serve", "127.0.0.1", tostring(PORT)))
  await(p.published[PORT])
  return at_port(p.published[PORT]), { p }
end

local function by_pasta()
  local p = assert(ns.spawn { "pasta", "-f", "-q", "-4", "--config-net", "--runas", "0", "-t", "18082:" .. PORT,
    "-u", "none", "-T", "none", "-U", "none", "--", FLOW, "serve", "127.0.0.1", tostring(PORT), stderr = "null" })
  await(18082)
  return at_port(18082), { p }
end

local function by_socat()
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir -m 777 " .. directory))
  local b = sandbox():bind(directory, "/d"):start()
  local server = assert(b:spawn("/flow", "serve", "127.0.0.1", tostring(PORT)))
  local inner = assert(b:spawn("socat", "UNIX-LISTEN:/d/s,fork,mode=777", "TCP:127.0.0.1:" .. PORT))
  local outer = assert(ns.spawn { "socat", "TCP-LISTEN:18083,fork,reuseaddr,bind=127.0.0.1",
    "UNIX-CONNECT:" .. directory .. "/s", stderr = "null" })
  await(18083)
  return at_port(18083), { outer, inner, server, b, { close = function() os.execute("rm -rf " .. directory) end } }
end

local function has(name) return ns.run({ "sh", "-c", "command -v " .. name }).ok end

local CONTESTANTS = {
  { "no box", plain },
  { "p:connect", by_connect },
  { "publish", by_publish },
  { "pasta -t", has "pasta" and by_pasta },
  { "socat | socat", has "socat" and by_socat },
}

local COLUMNS = { "connect", "to", "from" }

local function play(contestant)
  local figures = {}
  local actions, things = contestant[2]()
  for _ = 1, rounds do
    for _, column in ipairs(COLUMNS) do
      if actions[column] then
        figures[column] = figures[column] or {}
        table.insert(figures[column], (actions[column]()))
      end
    end
  end
  for _, thing in ipairs(things) do thing:close() end
  return figures
end

print(("%-14s %14s %14s %14s"):format("", "connection us", "in Gbit/s", "out Gbit/s"))
for _, contestant in ipairs(CONTESTANTS) do
  if contestant[2] then
    local figures, cells = play(contestant), {}
    for i, column in ipairs(COLUMNS) do
      local list = figures[column]
      cells[i] = list and ("%14.1f"):format(measure.median(list)) or ("%14s"):format("")
    end
    print(("%-14s %s"):format(contestant[1], table.concat(cells, " ")))
  end
end
