--- What the formats of images say: which layers, in which order, and what is to be run. All of it is read beneath one
-- directory, where no link is followed, and a digest is checked before it is a name.
-- @module ns.image.manifest
require("ns.core").nojit()
local core = require "ns.core"
local reader = require "ns.json"

local manifest = {}

local EINVAL, ENOENT = core.constants.errno.EINVAL, core.constants.errno.ENOENT
local MOST = 8 * 2 ^ 20 -- bytes of a file that is no layer
local LONGEST = 4095 -- bytes of a path
local MOST_ID = 2 ^ 32 - 2

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
  if type(t) ~= "table" then fail("the image has a %s where '%s' is looked for", type(t), name) end
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

--- The same, of texts.
local function strings(t, name)
  local value = field(t, name, "table")
  if not value then return nil end
  for i, one in pairs(value) do
    if type(i) ~= "number" or type(one) ~= "string" or one:find("%z") then
      fail("'%s' of the image has something else than text at %s", name, tostring(i):sub(1, 100))
    end
  end
  return value
end

--- The path of a blob in a layout, by its digest.
local function blob_path(digest)
  local hex = type(digest) == "string" and digest:match("^sha256:(%x+)$")
  if not hex or #hex ~= 64 or hex ~= hex:lower() then fail("'%s' is no digest", tostring(digest):sub(1, 100)) end
  return "blobs/sha256/" .. hex, hex
end

local ARCHITECTURE = { x86_64 = "amd64", aarch64 = "arm64", armv7l = "arm", i686 = "386", ppc64le = "ppc64le",
  s390x = "s390x", riscv64 = "riscv64" }

--- Without a tag there may be one image alone. `names`: of those that fit, some of them false.
local function check_single(tag, names)
  local seen, list = {}, {}
  for _, name in ipairs(names) do
    if name and not seen[name] then list[#list + 1] = ("'%s'"):format(name:sub(1, 100)) end
    seen[name] = true
  end
  if tag or #list < 2 then return end
  fail("there are several images in it: %s: say which", table.concat(list, ", ", 1, math.min(#list, 20)))
end

--- The one of an index that is for this machine, or that has the tag; and the names of all such.
local function choose(list, tag, machine)
  local fitting, names = {}, {}
  for _, one in ipairs(list or {}) do
    local name = (field(one, "annotations", "table") or {})["org.opencontainers.image.ref.name"]
    local platform = field(one, "platform", "table")
    local fits = not platform or platform.os == "linux" and platform.architecture == (ARCHITECTURE[machine] or machine)
    if (not tag or name == tag) and fits then
      fitting[#fitting + 1], names[#names + 1] = one, type(name) == "string" and name
    end
  end
  return fitting[1], names
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
    local one, names = choose(list, depth == 1 and tag or nil, machine)
    if depth == 1 then check_single(tag, names) end
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
  local chosen, names = nil, {}
  for _, one in ipairs(list) do
    local fits, tags = not tag, strings(one, "RepoTags") or {}
    for _, name in ipairs(tags) do fits = fits or name == tag or name:match(":([^:/]+)$") == tag end
    if fits then names[#names + 1] = tags[1] or false end
    if fits and not chosen then chosen = one end
  end
  check_single(tag, names)
  if not chosen then missing(tag) end
  local config = read(bag, top, field(chosen, "Config", "string") or fail "it names no configuration")
  local diffs = field(field(json(config, "the configuration"), "rootfs", "table") or {}, "diff_ids", "table") or {}
  local layers = {}
  for i, path in ipairs(strings(chosen, "Layers") or {}) do
    local _, diff = blob_path(diffs[i])
    layers[i] = { path = path, diff = diff }
  end
  if #layers == 0 or #layers ~= #diffs then fail "its layers are not those of its configuration" end
  return { config = config, layers = layers }
end

--- The keys of a field, in order; `check(key, name)` raises for one that is none.
local function keys(t, name, check)
  local list = {}
  for key in pairs(field(t, name, "table") or {}) do
    if type(key) ~= "string" then fail("'%s' of the image is a list", name) end
    check(key, name)
    list[#list + 1] = key
  end
  table.sort(list)
  return list
end

local function check_place(path, name)
  if path:sub(1, 1) ~= "/" or #path > LONGEST or path:find("%z") or (path .. "/"):find("/../", 1, true) then
    fail("'%s' of the image has '%s', which is no absolute path", name, path:sub(1, 100))
  end
end

local function check_port(port, name)
  if not port:find("^%d+[%d-]*/?%l*$") then fail("'%s' of the image has '%s', which is no port", name, port:sub(1, 100)) end
end

--- A text that is not empty.
local function said(t, name)
  local value = field(t, name, "string")
  if value and (value:find("%z") or #value > LONGEST) then fail("'%s' of the image is no name", name) end
  return value ~= "" and value or nil
end

--- Variables, of lines with "=".
local function variables(list)
  local env = {}
  for _, line in ipairs(list or {}) do
    local name, value = line:match("^([^=]+)=(.*)$")
    if name then env[name] = value end
  end
  return env
end

--- What a configuration says of a program: { env, cmd, entrypoint, cwd, user, volumes, stop_signal, ports, labels }.
function manifest.config(text)
  local c = field(text and json(text, "the configuration") or {}, "config", "table") or {}
  local cwd, user = said(c, "WorkingDir"), said(c, "User")
  if cwd then check_place(cwd, "WorkingDir") end
  for number in (user or ""):gmatch("%f[^%z:](%d+)%f[%z:]") do
    if tonumber(number) > MOST_ID then fail("'User' of the image has the id %s", number:sub(1, 100)) end
  end
  return { env = variables(strings(c, "Env")), cmd = strings(c, "Cmd"), entrypoint = strings(c, "Entrypoint"), cwd = cwd,
    user = user, volumes = keys(c, "Volumes", check_place), ports = keys(c, "ExposedPorts", check_port),
    labels = field(c, "Labels", "table") or {}, stop_signal = said(c, "StopSignal") }
end

return manifest
