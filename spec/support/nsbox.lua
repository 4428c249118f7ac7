--- The program nsbox, as somebody at a shell runs it: root, or an ordinary user, with a home of his own.
local machine = require "support.machine"
local ns = require "ns"

local nsbox = {}

-- nsbox needs argparse, which a Lua may be without.
nsbox.works = pcall(require, "argparse")
nsbox.why = "there is no argparse for Lua " .. machine.version

--- The words that make this process's user the wanted one.
local function under(nobody)
  local words = {}
  for word in (nobody and machine.root and machine.as_user or ""):gmatch("%S+") do words[#words + 1] = word end
  return words
end

--- Who types: `home` is a directory that is his alone; `run(...)` runs nsbox with these words to its end, and gives its
-- Result; `out(...)` its output, and an error where it fails; `spawn(words)` starts it, with words of a spec. At the end,
-- boxes that he has left are ended.
function nsbox.user(nobody)
  local home, remove = machine.directory()
  os.execute(("chmod 700 %s"):format(home))
  if nobody and machine.root then os.execute("chown 65534:65534 " .. home) end
  local user = { home = home }

  --- The spec of a run of nsbox.
  function user.spec(...)
    local argv = under(nobody)
    for _, word in ipairs { machine.lua, machine.public() .. "/bin/nsbox", ... } do argv[#argv + 1] = word end
    local env = machine.paths(machine.public())
    env.HOME, env.XDG_STATE_HOME, env.XDG_DATA_HOME, env.XDG_RUNTIME_DIR, env.NO_COLOR = home, false, false, home, false
    return { argv = argv, env = env, cwd = home, timeout = 60 }
  end

  function user.run(...) return assert(ns.run(user.spec(...))) end

  function user.out(...)
    local r = user.run(...)
    if not r.ok then error(table.concat({ ... }, " ") .. ": " .. tostring(r), 2) end
    return (r.stdout:gsub("\n$", ""))
  end

  --- Starts it; the words of `more` are set in its spec.
  function user.spawn(more, ...)
    local spec = user.spec(...)
    for word, value in pairs(more) do spec[word] = value end
    return assert(ns.spawn(spec))
  end

  --- Ends what is left; true if nothing was.
  function user.leave()
    local left = user.run("ps", "-a", "-q").stdout
    for name in left:gmatch("%S+") do user.run("rm", "-f", name) end
    remove()
    return left == ""
  end

  return user
end

return nsbox
