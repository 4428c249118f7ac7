--- Containers that stay, by name, as lxc-* has them, for an ordinary user, too, and without a daemon.
-- usage: lua lxc.lua start NAME [PROGRAM...] | list | enter NAME [SHELL...] | run NAME PROGRAM... | logs NAME | stop NAME
-- Without arguments it shows all of this.
local ns = require "ns"

local function fail(message)
  io.stderr:write("lxc: ", message, "\n")
  os.exit(1)
end

local function find(name)
  local c, message = ns.container(name or fail "a name is missing")
  return c or fail(message)
end

local commands = {}

--- A sandbox with a host name; without a program it stays empty until somebody enters it.
function commands.start(name, ...)
  local words = { name = name or fail "a name is missing", ... }
  local c, message = ns.sandbox():hostname(name):start(words)
  if not c then fail(message) end
  print(("%s is started, pid %d"):format(name, c.pid))
end

function commands.list()
  for _, name in ipairs(ns.containers()) do
    local c = ns.container(name) -- nil, if it has ended meanwhile
    local list = c and c:processes()
    if list then
      local since = os.date("%Y-%m-%d %H:%M", c:info().started)
      print(("%-12s pid %d, since %s, %d processes"):format(name, c.pid, since, #list))
    end
  end
end

--- At your terminal, until the shell ends; the container goes on.
function commands.enter(name, ...) find(name):shell(...) end

function commands.run(name, ...)
  local r, message = find(name):run { stdin = "inherit", stdout = "inherit", stderr = "inherit", ... }
  if not r then fail(message) end
  return r.how == "exit" and r.code or 128 + r.code
end

function commands.logs(name)
  local text, message = find(name):logs()
  io.write(text or fail(message))
end

--- SIGTERM for all inside, and after two seconds the end.
function commands.stop(name) find(name):stop() end

local function show()
  local name = "lxc-example"
  commands.start(name, "sh", "-c", "echo the service runs; exec sleep 1000")
  commands.list()
  commands.run(name, "sh", "-c", "hostname; ps -o pid=,args= -C sleep")
  commands.logs(name)
  commands.stop(name)
  print((select(2, ns.container(name))))
end

local command = arg[1] and (commands[arg[1]] or fail "start, list, enter, run, logs or stop, and a name") or show
local unpack = table.unpack or unpack -- luacheck: ignore
os.exit(command(unpack(arg, 2)) or 0)
