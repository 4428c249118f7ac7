--- box:pod: a manifest with the names and types of Kubernetes's published API, and a name for each word that it lacks.
local machine = require "support.machine"
local ns = require "ns"
local plan = require "ns.start.plan"

-- The fields of the API's core/v1 that a manifest of ours may have, and their types, as its OpenAPI description says them.
local API = {
  Pod = { apiVersion = "string", kind = "string", metadata = "ObjectMeta", spec = "PodSpec" },
  ObjectMeta = { name = "string", namespace = "string" },
  PodSpec = { restartPolicy = "string", automountServiceAccountToken = "boolean", enableServiceLinks = "boolean",
    hostPID = "boolean", hostNetwork = "boolean", hostIPC = "boolean", hostUsers = "boolean", hostname = "string",
    activeDeadlineSeconds = "integer", terminationGracePeriodSeconds = "integer", securityContext = "PodSecurityContext",
    containers = "[]Container", volumes = "[]Volume" },
  PodSecurityContext = { supplementalGroups = "[]integer", sysctls = "[]Sysctl" },
  Sysctl = { name = "string", value = "string" },
  Container = { name = "string", image = "string", command = "[]string", workingDir = "string", env = "[]EnvVar",
    stdin = "boolean", tty = "boolean", ports = "[]ContainerPort", resources = "ResourceRequirements",
    securityContext = "SecurityContext", volumeMounts = "[]VolumeMount" },
  EnvVar = { name = "string", value = "string" },
  ContainerPort = { containerPort = "integer", hostPort = "integer", hostIP = "string" },
  ResourceRequirements = { limits = "Quantities" },
  Quantities = { cpu = "string", memory = "string" },
  SecurityContext = { runAsUser = "integer", runAsGroup = "integer", capabilities = "Capabilities",
    allowPrivilegeEscalation = "boolean", readOnlyRootFilesystem = "boolean", seccompProfile = "SeccompProfile" },
  Capabilities = { add = "[]string", drop = "[]string" },
  SeccompProfile = { type = "string" },
  VolumeMount = { name = "string", mountPath = "string", readOnly = "boolean" },
  Volume = { name = "string", hostPath = "HostPathVolumeSource", emptyDir = "EmptyDirVolumeSource" },
  HostPathVolumeSource = { path = "string" },
  EmptyDirVolumeSource = { medium = "string", sizeLimit = "string" },
}

--- A reader of the YAML that is written: maps and lists by their indents, scalars in the form of JSON. Nothing else is.
local function read(text)
  local lines, at = {}, 1
  for line in text:gmatch "[^\n]+" do
    if not line:find "^#" then lines[#lines + 1] = line end
  end
  local function scalar(word)
    local string = word:match '^"(.*)"$'
    if string then
      return (string:gsub('\\(["\\u])0?0?(%x?%x?)', function(c, hex)
        return c == "u" and ("").char(tonumber(hex, 16)) or c .. hex
      end))
    end
    if word == "true" or word == "false" then return word == "true" end
    if word == "[]" or word == "{}" then return {} end
    return assert(tonumber(word), "no scalar: " .. word)
  end
  local value
  local function map(indent)
    local result = {}
    while lines[at] do
      local spaces, key, rest = lines[at]:match "^( *)(%a+): ?(.*)$"
      if not key or #spaces ~= indent then break end
      assert(result[key] == nil, "twice: " .. key)
      at = at + 1
      if rest ~= "" then result[key] = scalar(rest) else result[key] = value(indent + 2) end
    end
    return result
  end
  function value(indent)
    local spaces = lines[at]:match "^( *)%- "
    if not spaces then return map(indent) end
    local list = {}
    while lines[at] and lines[at]:find("^" .. spaces .. "%- ") do
      local rest = lines[at]:match "^ *%- (.*)$"
      if rest:find "^%a+:" then
        lines[at] = spaces .. "  " .. rest
        list[#list + 1] = map(#spaces + 2)
      else
        list[#list + 1] = scalar(rest)
        at = at + 1
      end
    end
    return list
  end
  local result = map(0)
  assert(at > #lines, "not read: " .. tostring(lines[at]))
  return result
end

--- Holds a value against the type of the API.
local function check(value, of, where)
  local item = of:match "^%[%](.*)$"
  if item then
    assert.equal("table", type(value), where)
    for i, one in ipairs(value) do check(one, item, ("%s[%d]"):format(where, i)) end
  elseif API[of] then
    assert.equal("table", type(value), where)
    for key, field in pairs(value) do
      check(field, assert(API[of][key], where .. "." .. key .. " is not in the API"), where .. "." .. key)
    end
  elseif of == "integer" then
    assert.truthy(type(value) == "number" and value % 1 == 0, where)
  else
    assert.equal(of, type(value), where)
  end
end

local function pod(box, options)
  options = options or {}
  options.image = options.image or "alpine:3"
  local text, missing = box:pod(options)
  local manifest = read(text)
  check(manifest, "Pod", "pod")
  local lacks = {}
  for _, one in ipairs(missing) do
    lacks[one.what] = one.why
    assert.truthy(text:find(("# not carried: %s: %s\n"):format(one.what, one.why), 1, true))
  end
  return manifest, lacks, text
end

--- A box with all that a pod can have.
local function full()
  return ns.sandbox():argv("sh", "-c", 'echo "a\\b\n"'):cwd("/src"):env("A", "1"):env("NOT", false):user(5):group(6)
    :groups { 7, 8 }:hostname("web-1"):timeout(2.5):grace(3):publish { [8080] = 80, ["0.0.0.0:8081"] = 81 }
    :limits { memory = "64m", cpu = 1.5, pids = 50 }:sysctl { ["net.ipv4.ip_unprivileged_port_start"] = 0 }
    :bind("/data", "/data"):ro_bind("/usr/share", "/share"):tmpfs("/scratch", { size = "10m" }):pty(true)
    :caps { "chown", "net_bind_service" }
end

describe("the manifest of a box", function()
  it("has what the box says, in the fields of the API", function()
    local manifest = pod(full(), { name = "web", namespace = "prod", restart = "OnFailure" })
    local spec, c = manifest.spec, manifest.spec.containers[1]
    assert.same({ "v1", "Pod", { name = "web", namespace = "prod" }, "OnFailure", "web-1", 3, 3 },
      { manifest.apiVersion, manifest.kind, manifest.metadata, spec.restartPolicy, spec.hostname, spec.activeDeadlineSeconds,
        spec.terminationGracePeriodSeconds })
    assert.same({ "alpine:3", { "sh", "-c", 'echo "a\\b\n"' }, "/src", true, true },
      { c.image, c.command, c.workingDir, c.tty, c.stdin })
    assert.same({ runAsUser = 5, runAsGroup = 6, allowPrivilegeEscalation = false, readOnlyRootFilesystem = true,
      seccompProfile = { type = "RuntimeDefault" },
      capabilities = { drop = { "ALL" }, add = { "CHOWN", "NET_BIND_SERVICE" } } }, c.securityContext)
    assert.same({ limits = { cpu = "1500m", memory = "67108864" } }, c.resources)
    assert.same({ { containerPort = 80, hostPort = 8080, hostIP = "127.0.0.1" },
      { containerPort = 81, hostPort = 8081, hostIP = "0.0.0.0" } }, c.ports)
    assert.same({ supplementalGroups = { 7, 8 },
      sysctls = { { name = "net.ipv4.ip_unprivileged_port_start", value = "0" } } }, spec.securityContext)
    local places = {}
    for i, mount in ipairs(c.volumeMounts) do
      assert.equal(mount.name, spec.volumes[i].name)
      local volume = spec.volumes[i]
      places[mount.mountPath] = { mount.readOnly, volume.hostPath and volume.hostPath.path, volume.emptyDir }
    end
    assert.same({ nil, "/data" }, places["/data"])
    assert.same({ true, "/usr/share" }, places["/share"])
    assert.same({ nil, nil, { medium = "Memory", sizeLimit = "10485760" } }, places["/scratch"])
    assert.is_false(spec.hostUsers)
    assert.is_nil(spec.hostNetwork)
  end)

  it("shares with the node what the box shares with its host", function()
    local spec = pod(ns.sandbox():share("net", "ipc"):argv("true")).spec
    assert.same({ true, true }, { spec.hostNetwork, spec.hostIPC })
    assert.is_nil(spec.hostPID)
    assert.is_true(pod(ns.box():argv("true")).spec.hostPID)
  end)

  it("names what Kubernetes has nothing of, and why", function()
    local _, lacks = pod(full())
    for what, why in pairs { ["limits.pids"] = "podPidsLimit", ["flags.net"] = "NetworkPolicy", ["env.NOT"] = "image",
      system = "image", umask = "image", rlimits = "node", ["flags.time"] = "node" } do
      assert.matches(why, lacks[what] or "not named", what)
    end
    _, lacks = pod(ns.box { "x", user = "daemon", hostname = "Web_1", flags = "uts", seccomp = { deny = { "ptrace" } },
      limits = { memory = "50%" } })
    for _, what in ipairs { "user", "hostname", "seccomp", "limits.memory" } do assert.truthy(lacks[what], what) end
    _, lacks = pod(ns.sandbox():overlay("/usr/share", "/o"):bind("/a", "/b", { idmap = true }):argv("x"))
    local named = {}
    for what, why in pairs(lacks) do named[#named + 1] = what:match "^mounts.*" and what .. " " .. why or nil end
    table.sort(named)
    assert.matches("a mount of the type overlay at /o", table.concat(named, "\n"))
    assert.matches("mounts%[8%]%.idmap of /b", table.concat(named, "\n"))
  end)

  it("carries each word, or names it", function()
    local carried = { argv = true, cwd = true, env = true, clear_env = true, pty = true, publish = true, limits = true,
      user = true, group = true, groups = true, caps = true, no_new_privs = true, seccomp = true, hostname = true,
      sysctl = true, timeout = true, grace = true, mounts = true, flags = true, network = true, read_only = true, map = true,
      mount_proc = true }
    for word in pairs(plan.words) do
      if not carried[word] then
        local _, missing = require("ns.pod").manifest({ argv = { "x" }, [word] = 1 }, { image = "i" })
        local named
        for _, one in ipairs(missing) do named = named or one.what == word end
        assert.truthy(named, word)
      end
    end
  end)

  it("is refused for mistakes in what is asked for", function()
    for _, row in ipairs {
      { {}, "options.image: missing" }, { { image = "" }, "options.image: empty string" },
      { { image = "a", name = "No" }, "options.name: small letters" }, { { image = "a", nam = "x" }, "unknown field 'nam'" },
      { { image = "a", restart = "never" }, "options.restart" },
    } do
      local ok, message = pcall(function() return ns.box():pod(row[1]) end)
      assert.falsy(ok)
      assert.matches("bad argument #1 to 'pod' %(.*" .. row[2]:gsub("%p", "%%%0"), message)
    end
    local ok, message = pcall(function() return ns.box { "a\255" }:pod { image = "a" } end)
    assert.falsy(ok)
    assert.matches("argv%[1%]: bytes that are no UTF%-8", message)
  end)

  -- kubectl reads it into the types of the API: what is not there is dropped, and another type is an error
  local has_kubectl = os.execute "command -v kubectl >/dev/null 2>&1"
  local kubectl_it = (has_kubectl == true or has_kubectl == 0) and it or machine.without("it", "there is no kubectl")
  kubectl_it("is what kubectl reads into the types of the API, with nothing dropped #system", function()
    local _, _, text = pod(full(), { namespace = "prod" })
    local r = assert(ns.run { "kubectl", "set", "image", "--local", "-f", "-", "main=other", "-o", "yaml", stdin = text,
      timeout = 60 })
    assert.truthy(r.ok, tostring(r))
    for key in text:gmatch "\n[ -]*(%a+):" do
      assert.truthy(r.stdout:find(key .. ":", 1, true), key .. " is dropped:\n" .. r.stdout)
    end
  end)
end)
