--- Images of containers: unpacked once into a store, each layer a directory, and run as the root of a box.
-- @module ns.image
require("ns.core").nojit()
local box = require "ns.box"
local check = require "ns.words.check"
local core = require "ns.core"
local manifest = require "ns.image.manifest"
local program = require "ns.image.program"
local reference = require "ns.image.reference"
local sandbox = require "ns.sandbox"
local store = require "ns.image.store"
local unpack = require "ns.image.unpack"
local users = require "ns.image.users"

local image = {}

local errno_of = core.constants.errno
local MOST, ENTRIES = 16 * 2 ^ 30, 2 ^ 21 -- bytes of an archive, unpacked, and what it has in it

--- An image. Its fields: `name`; `id`, the digest of its configuration, or of the tar that it was; `config`, a table with
-- env, cmd, entrypoint, cwd, user, volumes, ports, labels and stop_signal; `layers`, the directories, the uppermost first;
-- `notes`, what could not be kept.
-- @type Image
local Image = { __name = "ns.Image" }
Image.__index = Image

local function is_image(value) return getmetatable(value) == Image end

function Image:__tostring()
  return ("ns.Image (%s)"):format(self.name)
end

local function fail(text, ...) error({ message = text:format(...), errno = errno_of.EINVAL }, 0) end

--- Calls f; what it has failed with, as { message, errno }, is returned.
local function guarded(f, ...)
  local ok, result = pcall(f, ...)
  if ok then return result end
  if type(result) == "table" and result.message then return nil, result.message, result.errno end
  error(result, 0)
end

--- An image as users hold it, from what the store has; one that is not whole is a mistake.
local function open(top, name)
  local kept, why = store.get(top, name)
  if not kept then fail("%s: %s", name, why) end
  local layers = {}
  for i = #kept.layers, 1, -1 do layers[#layers + 1] = kept.layers[i] end
  return setmetatable({ name = name, id = kept.id, layers = layers, config = manifest.config(kept.config),
    notes = kept.notes, kept = true }, Image)
end

--- One that cannot be used: it can be seen, and removed.
local function broken(name, why)
  return setmetatable({ name = name, layers = {}, config = manifest.config(), notes = { why }, broken = why, kept = true },
    Image)
end

-- ---- into the store ----

--- The digest of a text, or of the file beneath a directory.
local function digest(text, top, path)
  local bag, input = core.bag(), nil
  if top then
    local message, errno
    input, message, errno = core.layer_file(bag, top, path)
    if not input then error({ message = ("%s: %s"):format(path, message), errno = errno }, 0) end
  end
  local r, message, errno = box.run { argv = { "sha256sum" }, stdin = input, input = text, stdout = "pipe" }
  bag:close()
  if not r then error({ message = message, errno = errno }, 0) end
  return r.stdout:match("^%x+") or fail("sha256sum: %s", r.stderr)
end

--- Does a blob have the digest that it is called by?
local function verifier(top)
  return function(path, hex)
    local sum = digest(nil, top, path)
    if sum ~= hex then fail("%s has the digest %s", path, sum) end
  end
end

--- What tells the caller how far an archive is unpacked: progress(bytes, of how many, layer, of how many).
local function told(job, i)
  if not job.progress then return nil end
  return function(bytes, total) job.progress(bytes, total, i, job.count) end
end

--- One layer of an image: its key, and what is to be said of it. `below`: the key, and the directories, of those below it;
-- `use`: of store.put.
local function take_layer(top, from, layer, below, job, use)
  local key = layer.diff and digest(("%s %s"):format(below.key, layer.diff)) or nil
  if key and use(key) then return key, {} end
  if layer.digest then job.verify(layer.path, layer.digest) end
  return store.with_scratch(top, function(path)
    local notes, sum = unpack.layer(path, from, layer.path, job.most, job.one_id, below.layers, told(job, #below.layers + 1))
    if layer.diff and sum ~= layer.diff then fail("the layer %s has the digest %s", layer.diff, sum) end
    job.sum = sum
    if not key then
      key = digest(("%s %s"):format(below.key, sum))
      if use(key) then return key, notes end
    end
    store.keep(top, path, key)
    return key, notes
  end)
end

--- All layers of an image, as store.put wants them made.
local function take_layers(top, from, found, job, use)
  local below, notes = { key = "", layers = {} }, {}
  job.count = #found.layers
  for _, layer in ipairs(found.layers) do
    local key, said = take_layer(top, from, layer, below, job, use)
    table.insert(below.layers, 1, top .. "/layers/" .. key)
    below.key = key
    for _, one in ipairs(said) do notes[#notes + 1] = one end
  end
  if job.one_id then notes[#notes + 1] = "all files belong to one id" end
  local id = found.id or found.config and digest(found.config) or job.sum
  return { id = id, config = found.config, notes = notes }
end

--- Takes an image into the store: what manifest.oci and the like have said of it.
local function take(top, from, found, name, job)
  manifest.config(found.config) -- first, whether it is one that can be used
  store.put(top, name, function(use) return take_layers(top, from, found, job, use) end)
  return open(top, name)
end

local function machine()
  local r = box.run { argv = { "uname", "-m" } }
  return r and r.stdout:match("%S+") or ""
end

local function take_layout(top, from, ref, job)
  job.verify = verifier(from)
  local bag = core.bag()
  local ok, found = pcall(manifest.oci, bag, from, ref.tag, machine(), job.verify)
  bag:close()
  if not ok then error(found, 0) end
  return take(top, from, found, ref.name, job)
end

local function take_saved(top, from, ref, job)
  local bag = core.bag()
  local ok, found = pcall(manifest.docker, bag, from, ref.tag)
  bag:close()
  if not ok then error(found, 0) end
  return take(top, from, found, ref.name, job)
end

--- A directory and the name of a file in it.
local function split(path)
  local directory, name = path:match("^(.*)/([^/]+)$")
  if not directory then return ".", path end
  return directory == "" and "/" or directory, name
end

--- Unpacks the archive that an image is in, and takes it from there.
local function from_archive(take_it)
  return function(top, ref, job)
    local directory, name = split(ref.place)
    return store.with_scratch(top, function(path)
      unpack.archive(path, directory, name, job.most, told(job, 0))
      return take_it(top, path, ref, job)
    end)
  end
end

--- Has skopeo a policy of its own to go by?
local function has_policy()
  local own = (os.getenv "HOME" or "") .. "/.config/containers/policy.json"
  return core.access("/etc/containers/policy.json", 0) or core.access(own, 0)
end

local function fetch(top, ref, job)
  return store.with_scratch(top, function(path)
    local argv = { "skopeo", "copy", "--quiet" }
    if not has_policy() then table.insert(argv, 2, "--insecure-policy") end
    if job.tls_verify == false then argv[#argv + 1] = "--src-tls-verify=false" end
    argv[#argv + 1], argv[#argv + 2] = "docker://" .. ref.place, "oci:" .. path .. "/oci:image"
    local r, message, errno, detail = box.run { argv = argv }
    if not r and detail and detail.step == "exec" then
      message = "images of registries are fetched by skopeo, which is not installed: apt-get install skopeo"
    end
    if not r then error({ message = message, errno = errno }, 0) end
    if not r.ok then fail("skopeo: %s", r.stderr:match("[^\n]+") or tostring(r)) end
    return take_layout(top, path .. "/oci", { name = ref.name, tag = "image" }, job)
  end)
end

local KINDS = {
  oci = function(top, ref, job) return take_layout(top, ref.place, ref, job) end,
  ["oci-archive"] = from_archive(take_layout),
  ["docker-archive"] = from_archive(take_saved),
  docker = fetch,
  tar = function(top, ref, job)
    local directory, name = split(ref.place)
    return take(top, directory, { layers = { { path = name } } }, ref.name, job)
  end,
}

-- ---- the methods ----

--- A sandbox that has the image as its root, in layers, and runs what it says: its program, environment, user and directory.
-- What is written is thrown away, unless box:upper says otherwise. The places of its volumes are there.
-- @tparam[opt] string ... arguments in the place of the image's own: they come after its entrypoint
-- @treturn Box
-- @raise if an argument is no string; with the name of the image, if that names a user that it does not have, or says
-- something else that cannot be
function Image:box(...)
  if self.broken then check.raise("image %s: %s", self.name, self.broken) end
  local b = box.over(sandbox.spec(), nil, "sandbox")
  b:unmount("/tmp", "/var/tmp", "/run", "/home")
  local of_store, lower = self.kept or nil, {}
  for i, path in ipairs(self.layers) do lower[i] = path end
  if of_store then lower[#lower + 1] = guarded(function() return store.base(store.top()) end) end
  local user = users.find(self.layers, self.config.user or "0")
  if not user then check.raise("image %s: there is no user '%s' in it", self.name, self.config.user) end
  return program.set(b:root { lower = lower, userxattr = of_store }, self, user, ...)
end

--- Takes the image out of the store, with the layers that no other has. One of a directory is not there, and stays.
-- @treturn boolean true; or nil, message, errno
function Image:remove()
  return guarded(function()
    if self.kept then store.drop(store.top(), self.name) end
    return true
  end)
end

check.methods(is_image, Image)

-- ---- the functions ----

local check_options = check.record { tls_verify = check.boolean, pull = check.boolean, progress = check.fn,
  max_size = check.integer(1, 2 ^ 53), max_entries = check.integer(1, 2 ^ 53) }

local function checked(text, options)
  local ok, ref, job = pcall(function() return reference.read(text), check_options(options or {}, "options") end)
  if ok then return ref, job end
  local mistake = check.mistake(ref)
  if not mistake then error(ref, 0) end
  check.raise("bad argument to 'image' (%s)", mistake)
end

--- An image: of a layout, "oci:DIRECTORY:TAG"; of an archive, "oci-archive:FILE:TAG", "docker-archive:FILE:TAG"; of one
-- tar, its path; of a root as a directory, "dir:DIRECTORY"; or of a registry, "alpine", "docker://HOST/NAME:TAG", which
-- skopeo fetches. It is unpacked into the store, below $XDG_DATA_HOME/ns, and one of a registry is taken from there, if
-- it is there.
-- @tparam string text
-- @tparam[opt] table options `pull`: fetch it anew; `max_size`: bytes of an archive, unpacked, 16 GiB where nothing is said;
-- `max_entries`: what it may have in it, 2097152 where nothing is said;
-- `tls_verify`: false for a registry without TLS; `progress`: called while a layer is unpacked, with how many bytes of how
-- many of its archive have been read, its number, and how many layers there are (0, and nil, of the archive around them)
-- @treturn Image
-- @return or nil, message, errno
-- @raise a mistake in the arguments
function image.new(text, options)
  local ref, job = checked(text, options)
  local function named(found, message, errno)
    if found or message:find(text, 1, true) then return found, message, errno end
    local hint = ref.kind == "tar" and core.access(ref.place .. "/.", 0) and "; a directory is dir:PATH, or oci:PATH" or ""
    return nil, ("image %s: %s%s"):format(text, message, hint), errno
  end
  job.most = { size = job.max_size or MOST, entries = job.max_entries or ENTRIES }
  job.one_id = users.has_one_id()
  return named(guarded(function()
    if ref.kind == "dir" then
      local path, message, errno = core.realpath(ref.place)
      if not path then error({ message = ("%s: %s"):format(ref.place, message), errno = errno }, 0) end
      return setmetatable({ name = ref.name, layers = { path }, config = manifest.config(), notes = {} }, Image)
    end
    local top = store.top()
    local kept = ref.kind == "docker" and not job.pull and guarded(open, top, ref.name)
    return kept or KINDS[ref.kind](top, ref, job)
  end))
end

--- All images of the store, in the order of their names. One that cannot be used has `broken`: why.
-- @treturn {Image,...}
-- @return or nil, message, errno
function image.list()
  return guarded(function()
    local top, list = store.top(), {}
    for _, name in ipairs(store.names(top)) do
      local kept, why = guarded(open, top, name)
      list[#list + 1] = kept or broken(name, why)
    end
    return list
  end)
end

return image
