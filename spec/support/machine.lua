--- What this machine allows, asked once by trying; and small tools for the specs.
local core = require "ns.core"
local ns = require "ns"

local machine = {}

machine.lua = arg and arg[-1] or "lua"
for i = 0, -20, -1 do
  if arg and arg[i] then machine.lua = arg[i] end
end

machine.root = core.ids().euid == 0

--- The paths by which another interpreter of the same version finds this module, as environment variables.
machine.env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LUA_PATH_5_2 = package.path, LUA_CPATH_5_2 = package.cpath,
  LUA_PATH_5_3 = package.path, LUA_CPATH_5_3 = package.cpath, LUA_PATH_5_4 = package.path, LUA_CPATH_5_4 = package.cpath }

--- Runs a shell line inside `spec` and returns its output without the last newline.
function machine.sh(spec, line)
  local copy = {}
  for k, v in pairs(spec) do copy[k] = v end
  copy.argv = { "sh", "-c", line }
  local r = assert(ns.run(copy))
  if not r.ok then error(("'%s': %s\n%s"):format(line, tostring(r), r.stdout), 2) end
  return (r.stdout:gsub("\n$", ""))
end

--- Runs Lua code in an interpreter of its own, as this user or (with `user`) as nobody; a result as from ns.run.
function machine.host(code, options)
  options = options or {}
  local argv = { machine.lua, "-e", code }
  if options.nobody then argv = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", machine.lua, "-e", code } end
  local spec = { argv = argv, env = machine.env, timeout = options.timeout or 60 }
  for k, v in pairs(options.spec or {}) do spec[k] = v end
  return assert(ns.run(spec))
end

local function try(spec)
  spec.argv = { "true" }
  local r, message = ns.run(spec)
  return r and r.ok and true or false, message or tostring(r)
end

--- `can.user`, `can.net`, ...: true, or false and machine.why[name] says why.
machine.why = {}
machine.can = setmetatable({}, { __index = function(can, name)
  local ok, why = try { flags = name == "user" and "user" or machine.root and name or { "user", name } }
  machine.why[name] = why
  rawset(can, name, ok)
  return ok
end })

--- `it`, or a pending one with the reason, when the machine cannot do all of `names`.
function machine.it(...)
  local busted = require "busted"
  for _, name in ipairs { ... } do
    if not machine.can[name] then
      local why = machine.why[name]
      return function(title) busted.pending(title .. " [" .. name .. ": " .. why .. "]") end
    end
  end
  return busted.it
end

--- Runs only as root: a pending one elsewhere.
function machine.root_it(title, body)
  local busted = require "busted"
  if machine.root then return busted.it(title, body) end
  return busted.pending(title .. " [needs root]")
end

--- A folder that is removed by its `remove` function.
function machine.folder()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir -m 755 " .. path))
  return path, function() os.execute("rm -rf " .. path) end
end

--- Writes a file and returns its path.
function machine.file(path, text, mode)
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  if mode then os.execute(("chmod %s %s"):format(mode, path)) end
  return path
end

--- The whole of a file, or nil.
function machine.read(path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

return machine
