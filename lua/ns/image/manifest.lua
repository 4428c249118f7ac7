--- What the formats of images say: which layers, in which order, and what is to be run. All of it is read beneath one
-- directory, where no link is followed, and a digest is checked before it is a name.
-- @module ns.image.manifest
require("ns.core").nojit()
local core = require "ns.core"
local reader = require "ns.json"

local manifest = {}

local EINVAL, ENOENT = core.constants.errno.EINVAL, core.constants.errno.ENOENT
local MOST = 8 * 2 ^ 20 -- bytes of a file that is no layer

local function fail(text, ...) error({ message = text:format(...), errno = EINVAL }, 0) end

local function missing(tag)
  local text = tag and ("there is no image '%s' in it"):format(tag) or "there is none in it for this machine"
  error({ message = text, errno = ENOENT }, 0)
end

--- A text of JSON as a value: null is nil.
local function json(text, what)
  local value, why = reader.read(text)
  if not value then fail("%s %s", what, why) end
  return value
end

--- A field that is to have a type; nil where it is missing, or null.
local function field(t, name, kind)
  local value = t[name]
  if type(value) == "userdata" or value == nil then return nil end
  if type(value) ~= kind then fail("'%s' of the image is no %s", name, kind) end
  return value
end

local function read(bag, top, path, most)
  local fd, message, errno = core.layer_file(bag, top, path)
  if not fd then error({ message = ("%s: %s"):format(path, message), errno = errno }, 0) end
  local f = assert(bag:file(fd, "r"))
  local text = f:read(most or MOST) or ""
  f:close()
  if #text == MOST then fail("%s is too long", path) end
  return text
end

--- The path of a blob in a layout, by its digest.
local function blob_path(digest)
  local hex = type(digest) == "string" and digest:match("^sha256:(%x+)$")
  if not hex or #hex ~= 64 or hex ~= hex:lower() then fail("'%s' is no digest", tostring(digest):sub(1, 100)) end
  return "blobs/sha256/" .. hex, hex
end

local ARCHITECTURE = { x86_64 = "amd64", aarch64 = "arm64", armv7l = "arm", i686 = "386", ppc64le = "ppc64le",
  s390x = "s390x", riscv64 = "riscv64" }

--- The one of an index that is for this machine, or that has the tag.
local function choose(list, tag, machine)
  local fitting = {}
  for _, one in ipairs(list or {}) do
    local name = (field(one, "annotations", "table") or {})["org.opencontainers.image.ref.name"]
    local platform = field(one, "platform", "table")
    local fits = not platform or platform.os == "linux" and platform.architecture == (ARCHITECTURE[machine] or machine)
    if (not tag or name == tag) and fits then fitting[#fitting + 1] = one end
  end
  return fitting[1]
end

local LAYER = "^application/vnd%.oci%.image%.layer%.v1%.tar"
local OLD_LAYER = "^application/vnd%.docker%.image%.rootfs%.diff%.tar"

--- { config = bytes, layers = {{path=, digest=, diff=}, ...}, id = } of a layout; `verify(path, hex)` checks a blob.
function manifest.oci(bag, top, tag, machine, verify)
  local function blob(descriptor)
    local path, hex = blob_path(field(descriptor, "digest", "string"))
    verify(path, hex)
    return read(bag, top, path), hex
  end
  local list = field(json(read(bag, top, "index.json"), "index.json"), "manifests", "table")
  local m
  for depth = 1, 4 do
    local one = choose(list, depth == 1 and tag or nil, machine)
    if not one then missing(tag) end
    m = json((blob(one)), "the manifest")
    list = field(m, "manifests", "table")
    if not list then break end
  end
  local config, id = blob(field(m, "config", "table") or {})
  local diffs = field(field(json(config, "the configuration"), "rootfs", "table") or {}, "diff_ids", "table") or {}
  local layers = {}
  for i, one in ipairs(field(m, "layers", "table") or {}) do
    local kind = field(one, "mediaType", "string") or ""
    if not (kind:find(LAYER) or kind:find(OLD_LAYER)) or kind:find("foreign") or kind:find("nondistributable") then
      fail("layer %d is of the kind '%s'", i, kind:sub(1, 100))
    end
    local path, hex = blob_path(field(one, "digest", "string"))
    local _, diff = blob_path(diffs[i])
    layers[i] = { path = path, digest = hex, diff = diff }
  end
  if #layers == 0 or #layers ~= #diffs then fail "its layers are not those of its configuration" end
  return { config = config, layers = layers, id = id }
end

--- The same of what `docker save` writes, unpacked.
function manifest.docker(bag, top, tag)
  local list = json(read(bag, top, "manifest.json"), "manifest.json")
  local chosen
  for _, one in ipairs(list) do
    local fits = not tag
    for _, name in ipairs(field(one, "RepoTags", "table") or {}) do
      fits = fits or name == tag or name:match(":([^:/]+)$") == tag
    end
    if fits and not chosen then chosen = one end
  end
  if not chosen then missing(tag) end
  local config = read(bag, top, field(chosen, "Config", "string") or fail "it names no configuration")
  local diffs = field(field(json(config, "the configuration"), "rootfs", "table") or {}, "diff_ids", "table") or {}
  local layers = {}
  for i, path in ipairs(field(chosen, "Layers", "table") or {}) do
    local _, diff = blob_path(diffs[i])
    layers[i] = { path = path, diff = diff }
  end
  if #layers == 0 or #layers ~= #diffs then fail "its layers are not those of its configuration" end
  return { config = config, layers = layers }
end

local function strings(t, name)
  local value = field(t, name, "table")
  if not value then return nil end
  for i, one in ipairs(value) do
    if type(one) ~= "string" or one:find("%z") then fail("'%s' of the image has something else than text at %d", name, i) end
  end
  return value
end

--- What a configuration says of a program: { env, cmd, entrypoint, cwd, user, volumes, stop_signal, ports, labels }.
function manifest.config(text)
  local c = field(text and json(text, "the configuration") or {}, "config", "table") or {}
  local env, volumes, ports = {}, {}, {}
  for _, line in ipairs(strings(c, "Env") or {}) do
    local name, value = line:match("^([^=]+)=(.*)$")
    if name then env[name] = value end
  end
  for path in pairs(field(c, "Volumes", "table") or {}) do volumes[#volumes + 1] = path end
  for port in pairs(field(c, "ExposedPorts", "table") or {}) do ports[#ports + 1] = port end
  table.sort(volumes)
  table.sort(ports)
  local cwd, user = field(c, "WorkingDir", "string"), field(c, "User", "string")
  return { env = env, cmd = strings(c, "Cmd"), entrypoint = strings(c, "Entrypoint"), cwd = cwd ~= "" and cwd or nil,
    user = user ~= "" and user or nil, volumes = volumes, ports = ports, labels = field(c, "Labels", "table") or {},
    stop_signal = field(c, "StopSignal", "string") }
end

return manifest
