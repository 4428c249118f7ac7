--- What a runtime knows of its containers: a directory for each, with its state, its configuration and, until it is started,
-- the socket on which it waits. Nothing else is kept anywhere: whoever has the directory can end the container.
-- @module ns.oci.state
require("ns.core").nojit()
local core = require "ns.core"
local json = require "ns.json"
local proc = require "ns.start.proc"

local state = {}

local errno_of = core.constants.errno
local DIRECTORY = tonumber("700", 8)

local function fail(text, ...) error({ message = text:format(...) }, 0) end
state.fail = fail

--- Where the directories are, unless that is said.
function state.root(given)
  if given then return given end
  local session = os.getenv "XDG_RUNTIME_DIR"
  local is_machines = core.ids().euid == 0 and core.access("/run", 2)
  if is_machines then return "/run/nsbox-oci" end
  if session and session ~= "" then return session .. "/nsbox-oci" end
  return ("/tmp/nsbox-oci-%d"):format(core.ids().euid)
end

--- The directory of a container, that may not be there.
function state.directory(root, id)
  if type(id) ~= "string" then fail "which container?" end
  if #id > 200 or not id:find "^[%w_][%w_+.-]*$" then fail("'%s' is no name of a container", id) end
  return root .. "/" .. id
end

--- Makes the directory of a new container.
function state.create(root, id)
  local path, at = state.directory(root, id), ""
  for name in root:gmatch "[^/]+" do
    at = at .. "/" .. name
    core.mkdir(at, DIRECTORY)
  end
  local ok, message, errno = core.mkdir(path, DIRECTORY)
  if not ok and errno == errno_of.EEXIST then fail("container '%s' exists already", id) end
  if not ok then fail("%s: %s", path, message) end
  return path
end

local function write_file(path, text)
  local f, message = io.open(path .. ".new", "wb")
  if not f then fail("%s", message) end
  f:write(text)
  f:close()
  os.rename(path .. ".new", path)
end

--- When a process began, in the kernel's ticks; nil where there is none, or it has ended and nobody has reaped it.
function state.began(pid)
  local fields = {}
  local text = pid and proc.read(("/proc/%d/stat"):format(pid))
  for word in (text and text:match "^.*%) (.*)$" or ""):gmatch "%S+" do fields[#fields + 1] = word end
  return fields[1] and not fields[1]:find "[ZX]" and fields[20] or nil
end

--- Keeps what is known of a container.
function state.write(directory, known) write_file(directory .. "/state.json", json.write(known)) end

--- Keeps the configuration, for programs that come later.
function state.keep(directory, config) write_file(directory .. "/config.json", json.write(config)) end

--- What is known of it; nil where it has no directory. Without a pid where its making was cut short.
function state.read(root, id)
  local directory = state.directory(root, id)
  if not core.access(directory, 0) then return nil end
  local known = json.read(proc.read(directory .. "/state.json") or "") or { id = id }
  known.directory = directory
  return known
end

--- The same, where it has to be there.
function state.need(root, id)
  return state.read(root, id) or fail("container '%s' does not exist", tostring(id))
end

--- "created", "running" or "stopped".
function state.status(known)
  if not known.pid or state.began(known.pid) ~= known.began then return "stopped" end
  return core.access(known.directory .. "/start", 0) and "created" or "running"
end

--- Forgets it.
function state.remove(known)
  for _, name in ipairs { "start", "config.json", "config.json.new", "state.json.new", "state.json" } do
    os.remove(known.directory .. "/" .. name)
  end
  os.remove(known.directory)
end

--- The names of all.
function state.list(root)
  local names = {}
  for _, entry in ipairs(core.entries(root) or {}) do names[#names + 1] = entry.name end
  table.sort(names)
  return names
end

return state
