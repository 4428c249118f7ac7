--- The modes of a spawn that the parts of the proof go through, each a spec without its program. All are for root, but
-- those with `nobody`, which are for an ordinary user.
local ns = require "ns"

local ALL = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }

local modes = {
  { name = "no namespace", spec = {} },
  { name = "pid namespace", spec = { flags = { "pid", "mount" }, mount_proc = true } },
  { name = "seed's set", spec = { flags = "uts,ipc,pid,mount", hostname = "namespace", mount_proc = true } },
  { name = "user and all others", spec = { flags = ALL, map = "root" } },
  { name = "user and pid and mount", spec = { flags = { "user", "pid", "mount" }, mount_proc = true } },
  { name = "range", spec = { flags = { "user", "mount" }, uid_map = { { 0, 100000, 65536 } },
    gid_map = { { 0, 100000, 65536 } } } },
  { name = "init", spec = { flags = { "pid", "mount" }, mount_proc = true, init = true } },
  { name = "sandbox", spec = ns.sandbox():spec() },
  { name = "idmapped", spec = ns.sandbox():overlay("/usr/lib", "/work", { idmap = true }):spec() },
  { name = "pty", spec = { pty = true } },
  { name = "newuidmap", spec = { flags = { "user" }, map = "auto" }, nobody = true },
}

--- The spec of a mode, with more words.
function modes.spec(name, more)
  for _, mode in ipairs(modes) do
    if mode.name == name then
      local spec = {}
      for _, words in ipairs { mode.spec, more or {} } do
        for word, value in pairs(words) do spec[word] = value end
      end
      return spec
    end
  end
  error("no mode " .. name)
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
