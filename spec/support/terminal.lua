--- A shell at a terminal of its own, in which a host runs as its child; and hosts for it.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local terminal = {}

--- A shell at a terminal of its own: what it has shown, and what can be typed. Here the host is the child of that shell.
function terminal.open(words)
  local argv = { "timeout", "--foreground", "-s", "KILL", "120" } -- or a read could wait for ever
  for _, word in ipairs(words or { "bash", "--norc", "--noprofile", "-i" }) do argv[#argv + 1] = word end
  local env = machine.paths(machine.public())
  env.HISTFILE = "" -- the history is the user's
  local p = assert(ns.spawn { argv = argv, pty = true, env = env, cwd = "/" })
  local t = { p = p, shown = "" }

  --- Reads until the pattern is shown; forgets what was shown up to there.
  function t.expect(pattern)
    local deadline = core.clock() + 60
    while not t.shown:find(pattern) do
      assert(core.clock() < deadline, t.shown)
      t.shown = t.shown .. assert(p.pty:read(1), t.shown)
    end
    t.shown = t.shown:sub(select(2, t.shown:find(pattern)) + 1)
  end

  function t.type(text) p.pty:write(text) end

  if not words then
    t.type("PS1=; bind 'set enable-bracketed-paste off'; stty -echo; echo be''gin\n")
    t.expect("begin\r\n")
  end
  return t
end

local files = {}

--- A Lua program at a path without blanks.
function terminal.host(code)
  local path = os.tmpname()
  files[#files + 1] = path
  return machine.lua .. " " .. machine.file(path, "local ns = require 'ns'\n" .. code, 644)
end

--- Removes what `host` has written.
function terminal.clear()
  for i, path in ipairs(files) do
    os.remove(path)
    files[i] = nil
  end
end

return terminal
