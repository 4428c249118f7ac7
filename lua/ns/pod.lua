--- A box as the manifest of a Kubernetes Pod: `box:pod`. What Kubernetes has no field for is named.
-- @module ns.pod
require("ns.core").nojit()
local check = require "ns.words.check"
local limits = require "ns.words.limits"
local namespaces = require "ns.words.namespaces"
local sorted = require "ns.words.sorted"

local pod = {}

-- ---- YAML: maps as lists of {key, value}, so that fields have an order ----

local function quoted(text)
  return '"' .. text:gsub('[%c"\\\127]', function(c)
    return (c == '"' or c == "\\") and "\\" .. c or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local function scalar(value) return type(value) == "string" and quoted(value) or tostring(value) end

local emit

--- A map's lines; `first`: what stands before the first of them, as "- ".
local function emit_map(out, map, indent, first)
  for _, pair in ipairs(map) do
    local value = pair[2]
    out[#out + 1] = (first or indent) .. pair[1] .. ":"
    first = nil
    emit(out, value, indent)
  end
end

--- A value behind its key.
function emit(out, value, indent)
  if type(value) ~= "table" then
    out[#out] = out[#out] .. " " .. scalar(value)
  elseif value.list then
    if #value.list == 0 then out[#out] = out[#out] .. " []" end
    for _, item in ipairs(value.list) do
      if type(item) == "table" then
        emit_map(out, item, indent .. "    ", indent .. "  - ")
      else
        out[#out + 1] = ("%s  - %s"):format(indent, scalar(item))
      end
    end
  elseif #value == 0 then
    out[#out] = out[#out] .. " {}"
  else
    emit_map(out, value, indent .. "  ")
  end
end

-- ---- the words ----

--- Adds a field to a map, unless it is nil.
local function add(map, key, value)
  if value ~= nil then map[#map + 1] = { key, value } end
end

local function is_utf8(text)
  local rest = text:gsub("[\194-\223][\128-\191]", ""):gsub("[\224-\239][\128-\191][\128-\191]", "")
    :gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", "")
  return not rest:find "[\128-\255]"
end

--- A text that YAML can have.
local function text(value, where)
  if not is_utf8(value) then check.fail(where, "bytes that are no UTF-8 cannot stand in a manifest") end
  return value
end

local function command(self, argv)
  local list = {}
  for i, word in ipairs(argv) do list[i] = text(word, check.at("argv", i)) end
  add(self.container, "command", { list = list })
end

local function env(self, given)
  local list = {}
  for _, name in ipairs(sorted.keys(given)) do
    if given[name] then
      list[#list + 1] = { { "name", text(name, "env") }, { "value", text(given[name], "env." .. name) } }
    else
      self.lack("env." .. name, "a variable of the image is not taken away")
    end
  end
  add(self.container, "env", { list = list })
end

--- What takes a number, and not a name, as only the image knows whose that is.
local function id(key)
  return function(self, value, word)
    if type(value) == "number" then return add(self.security, key, value) end
    self.lack(word, "a name is not looked up in the image: give a number")
  end
end

local function groups(self, list)
  for i, value in ipairs(list) do
    if type(value) ~= "number" then return self.lack(check.at("groups", i), "a name is not looked up in the image") end
  end
  add(self.pod_security, "supplementalGroups", { list = list })
end

local function caps(self, list)
  local names = {}
  for i, name in ipairs(list) do names[i] = name:upper():gsub("^CAP_", "") end
  local map = { { "drop", { list = { "ALL" } } } }
  if #names > 0 then add(map, "add", { list = names }) end
  add(self.security, "capabilities", map)
end

local function seccomp(self, value)
  if type(value) == "table" then
    return self.lack("seccomp", "a filter of its own would be a file on each node (localhostProfile)")
  end
  add(self.security, "seccompProfile", { { "type", value == false and "Unconfined" or "RuntimeDefault" } })
end

local function hostname(self, name)
  if #name > 63 or not name:find "^[a-z0-9][a-z0-9-]*$" or name:find "%-$" then
    return self.lack("hostname", "in a cluster a name has small letters, digits and '-' alone")
  end
  add(self.spec, "hostname", name)
end

local function sysctl(self, given)
  local list = {}
  for i, name in ipairs(sorted.keys(given)) do list[i] = { { "name", name }, { "value", tostring(given[name]) } } end
  add(self.pod_security, "sysctls", { list = list })
end

local function whole(key)
  return function(self, seconds) add(self.spec, key, math.ceil(seconds)) end
end

--- "127.0.0.1:8080" and 80, or 8080 and 80.
local function publish(self, given)
  local list = {}
  for outside, inside in next, given do
    local address, port = tostring(outside):match "^(.*):(%d+)$"
    port = tonumber(port or outside)
    if not port or type(inside) ~= "number" then
      self.lack("publish", "a service is no port of a number")
    else
      list[#list + 1] = { { "containerPort", inside }, { "hostPort", port }, { "hostIP", address or "127.0.0.1" } }
    end
  end
  table.sort(list, function(a, b) return a[2][2] < b[2][2] end)
  if #list > 0 then add(self.container, "ports", { list = list }) end
end

local function of_limits(self, given)
  local checked, map = limits.check(given, "limits"), {}
  local cpu, memory = checked.cpu, checked.memory
  if type(cpu) == "number" then add(map, "cpu", ("%dm"):format(math.max(1, math.floor(cpu * 1000 + 0.5)))) end
  if type(memory) == "number" then add(map, "memory", ("%.0f"):format(memory)) end
  for name, value in next, checked do
    if value ~= "max" and not ((name == "cpu" or name == "memory") and type(value) == "number") then
      self.lack("limits." .. name, name == "pids" and "the node has one for all pods (podPidsLimit)"
        or "a pod has limits of memory and processors alone, in numbers")
    end
  end
  if #map > 0 then add(self.container, "resources", { { "limits", map } }) end
end

-- Namespaces that a pod has, unless it is said that they are the node's.
local SHARED = { pid = "hostPID", net = "hostNetwork", ipc = "hostIPC" }

local function flags(self, given)
  local has = namespaces.check(given or {}, "flags")
  for _, name in ipairs { "net", "pid", "ipc" } do
    if not has[name] then add(self.spec, SHARED[name], true) end
  end
  if has.user then add(self.spec, "hostUsers", false) end
  if has.time then self.lack("flags.time", "its clocks are the node's") end
  if has.net and self.words.network ~= "pasta" and self.words.network ~= "host" then
    self.lack("flags.net", "a pod reaches the cluster's network: a NetworkPolicy closes it")
  end
end

-- ---- mounts ----

local function volume(self, source, mount)
  local name = ("v%d"):format(#self.volumes + 1)
  table.insert(mount, 1, { "name", name })
  self.volumes[#self.volumes + 1] = { { "name", name }, source }
  self.places[#self.places + 1] = mount
end

local MOUNTS = {
  bind = function(self, m)
    local mount = { { "mountPath", m.target or m.source } }
    if m.ro then add(mount, "readOnly", true) end
    volume(self, { "hostPath", { { "path", m.source } } }, mount)
    return { source = true, ro = true }
  end,
  tmpfs = function(self, m)
    local source = { { "medium", "Memory" } }
    if type(m.size) == "number" or type(m.size) == "string" and m.size:find "^%d+[kmg]?$" then
      local units = { k = 2 ^ 10, m = 2 ^ 20, g = 2 ^ 30 }
      local number, unit = tostring(m.size):match "^(%d+)(%a?)$"
      add(source, "sizeLimit", ("%.0f"):format(tonumber(number) * (units[unit] or 1)))
    end
    volume(self, { "emptyDir", source }, { { "mountPath", m.target } })
    return { size = true }
  end,
  proc = function() return { everything = true } end,
  dev = function() return { everything = true } end,
}

-- Fields of mounts that say how a place is made here, which a cluster does by itself.
local MADE = { type = true, target = true, try = true, mkdir = true }

local function mounts(self, list)
  for i, m in ipairs(list) do
    local where = check.at("mounts", i)
    local put = MOUNTS[m.type]
    local carried = put and put(self, m)
    if not carried then self.lack(where, ("a mount of the type %s at %s"):format(m.type, m.target or "?")) end
    for field in next, carried and not carried.everything and m or {} do
      if not MADE[field] and not carried[field] then self.lack(("%s.%s"):format(where, field), "of " .. m.target) end
    end
  end
end

local function terminal(self)
  add(self.container, "stdin", true)
  add(self.container, "tty", true)
end

local function nothing() end

local function image_is(self, _, word) self.lack(word, "the root is that of the image") end

--- What each word becomes: f(self, value, word), in this order; a text: why it is nothing.
local WORDS = {
  { "argv", command }, { "cwd", function(self, path) add(self.container, "workingDir", text(path, "cwd")) end },
  { "env", env }, { "clear_env", nothing }, { "pty", terminal }, { "publish", publish }, { "limits", of_limits },
  { "user", id "runAsUser" }, { "group", id "runAsGroup" }, { "groups", groups }, { "caps", caps },
  { "no_new_privs", function(self, value) add(self.security, "allowPrivilegeEscalation", not value) end },
  { "seccomp", seccomp }, { "hostname", hostname }, { "sysctl", sysctl }, { "timeout", whole "activeDeadlineSeconds" },
  { "grace", whole "terminationGracePeriodSeconds" }, { "mounts", mounts }, { "root", image_is }, { "system", image_is },
  { "flags", nothing }, { "network", nothing }, { "read_only", nothing }, { "map", nothing }, { "mount_proc", nothing },
}

local LACKS = {
  rlimits = "limits of setrlimit(2) are the node's", init = "the program is process 1 itself",
  umask = "it is the image's or the runtime's", landlock = "the runtimes have no words for it",
  reach = "it is a NetworkPolicy that says what a pod reaches", join = "namespaces of this machine",
  fn = "a function of this process", args = "a function of this process", fds = "descriptors of this process",
}

-- ---- the manifest ----

local function check_label(value, where)
  check.sized(1, 63)(value, where)
  if not value:find "^[a-z0-9][a-z0-9-]*$" or value:find "%-$" then
    check.fail(where, "small letters, digits and '-' expected, got '%s'", value)
  end
  return value
end

local check_options = check.record { image = check.sized(1, 1000), name = check_label, namespace = check_label,
  restart = check.choice("Never", "OnFailure", "Always") }

local function read_options(options)
  local ok, checked = pcall(function()
    local checked = check_options(options, "options")
    if not checked.image then check.fail("options.image", "missing") end
    return checked
  end)
  if ok then return checked end
  return check.raise("bad argument #1 to 'pod' (%s)", check.mistake(checked) or tostring(checked))
end

--- Plays the words: what they become, and what they lack.
local function translate(words, options)
  local self = { words = words, spec = {}, pod_security = {}, container = { { "name", "main" }, { "image", options.image } },
    security = {}, volumes = {}, places = {}, missing = {} }
  function self.lack(what, why) self.missing[#self.missing + 1] = { what = what, why = why } end
  local known = {}
  for _, row in ipairs(WORDS) do
    known[row[1]] = true
    if words[row[1]] ~= nil then row[2](self, words[row[1]], row[1]) end
  end
  flags(self, words.flags)
  if words.read_only ~= false and (words.root or words.system) then add(self.security, "readOnlyRootFilesystem", true) end
  local others = {}
  for word in next, words do others[#others + 1] = not known[word] and word or nil end
  table.sort(others)
  for _, word in ipairs(others) do self.lack(word, LACKS[word] or "Kubernetes has nothing of the kind") end
  return self
end

--- The manifest of a box's words.
-- @tparam table words as by `box:spec()`
-- @tparam table options `image`; `name` ("box"), `namespace`, `restart` ("Never")
-- @treturn string the text
-- @treturn table a list of { what, why }: what is not carried
-- @raise a mistake in the options
function pod.manifest(words, options)
  local checked = read_options(options == nil and {} or options)
  local ok, self = pcall(translate, words, checked)
  if not ok then check.raise("%s", check.mistake(self) or tostring(self)) end
  local spec = { { "restartPolicy", checked.restart or "Never" }, { "automountServiceAccountToken", false },
    { "enableServiceLinks", false } }
  for _, pair in ipairs(self.spec) do spec[#spec + 1] = pair end
  if #self.pod_security > 0 then add(spec, "securityContext", self.pod_security) end
  if #self.security > 0 then add(self.container, "securityContext", self.security) end
  if #self.places > 0 then add(self.container, "volumeMounts", { list = self.places }) end
  add(spec, "containers", { list = { self.container } })
  if #self.volumes > 0 then add(spec, "volumes", { list = self.volumes }) end
  local out, metadata = {}, { { "name", checked.name or "box" } }
  for _, one in ipairs(self.missing) do out[#out + 1] = ("# not carried: %s: %s"):format(one.what, one.why) end
  add(metadata, "namespace", checked.namespace)
  emit_map(out, { { "apiVersion", "v1" }, { "kind", "Pod" }, { "metadata", metadata }, { "spec", spec } }, "")
  return table.concat(out, "\n") .. "\n", self.missing
end

return pod
