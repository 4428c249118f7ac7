--- The modes of a spawn that the parts of the proof go through, each a spec without its program. `root`: for root alone;
-- `nobody`: for an ordinary user whom root has prepared.
local core = require "ns.core"
local ns = require "ns"

local is_root = core.ids().euid == 0

local ALL = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }

--- New namespaces for whoever is asking.
local function flags(...)
  return is_root and { ... } or { "user", ... }
end

local modes = {
  { name = "no namespace", spec = {} },
  { name = "pid namespace", spec = { flags = flags("pid", "mount"), mount_proc = true } },
  { name = "seed's set", spec = { flags = flags("uts", "ipc", "pid", "mount"), hostname = "namespace", mount_proc = true } },
  { name = "user and all others", spec = { flags = ALL, map = "root" } },
  { name = "user and pid and mount", spec = { flags = { "user", "pid", "mount" }, mount_proc = true } },
  { name = "range", root = true, spec = { flags = { "user", "mount" }, uid_map = { { 0, 100000, 65536 } },
    gid_map = { { 0, 100000, 65536 } } } },
  { name = "init", spec = { flags = flags("pid", "mount"), mount_proc = true, init = true } },
  { name = "sandbox", spec = ns.sandbox():spec() },
  { name = "idmapped", root = true, spec = ns.sandbox():overlay("/usr/lib", "/work", { idmap = true }):spec() },
  { name = "pty", spec = { pty = true } },
  { name = "newuidmap", spec = { flags = { "user" }, map = "auto" }, nobody = true },
}

modes.flags = flags

local function find(name)
  for _, mode in ipairs(modes) do
    if mode.name == name then return mode end
  end
  error("no mode " .. name)
end

--- The spec of a mode, with more words.
function modes.spec(name, more)
  local spec = {}
  for _, words in ipairs { find(name).spec, more or {} } do
    for word, value in pairs(words) do spec[word] = value end
  end
  return spec
end

--- Can the caller, who runs the proof, try this mode? Else it is counted as skipped.
function modes.can(name)
  local mode = find(name)
  if is_root or not (mode.root or mode.nobody) then return true end
  require("proof").skip("mode %s needs root", name)
end

--- A value as Lua code.
function modes.text(value)
  if type(value) ~= "table" then return type(value) == "string" and ("%q"):format(value) or tostring(value) end
  local fields = {}
  for k, v in pairs(value) do fields[#fields + 1] = ("[%s] = %s"):format(modes.text(k), modes.text(v)) end
  return "{ " .. table.concat(fields, ", ") .. " }"
end

--- A directory that anybody can read, with the module and this file in it, for hosts of their own (machine.host).
function modes.publish()
  local directory = require("support.machine").public()
  assert(os.execute(("cp proof/modes.lua %s/lua"):format(directory)))
  return directory
end

return modes
