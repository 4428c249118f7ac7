--- Bundles of containers, as the Open Container Initiative has them: a directory with config.json and, as a rule, a root.
-- @module ns.oci
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local json = require "ns.json"
local read = require "ns.oci.read"
local write = require "ns.oci.write"

local oci = {}

local errno_of = core.constants.errno
local MOST = 8 * 2 ^ 20 -- bytes of a configuration

--- A file of JSON as a table; or nil, message, errno.
function oci.load(path)
  local f, message, errno = io.open(path, "rb")
  if not f then return nil, message, errno end
  local text = f:read(MOST)
  f:close()
  if not text then return nil, path .. ": cannot be read, or is empty", errno_of.EINVAL end
  local value, why = json.read(text)
  if not value then return nil, ("%s %s"):format(path, why), errno_of.EINVAL end
  return value
end

--- Calls a reader of a configuration: what it returns; or nil, the mistake in that, EINVAL.
function oci.guarded(path, f, ...)
  local ok, a, b, c = pcall(f, ...)
  if ok then return a, b, c end
  local mistake = check.mistake(a)
  if not mistake then error(a, 0) end
  return nil, ("%s: %s"):format(path, mistake), errno_of.EINVAL
end

--- The words of a bundle, for `ns.spawn` or `ns.box`; and a list of what they leave out: { field, why, weakens }. `field` is
-- called as in config.json, numbers from 1; `weakens` says that the program would have more rights, or see something else
-- in a place of importance, than the bundle says.
-- @tparam string bundle the directory
-- @treturn table words
-- @treturn {table,...} what is left out; or nil, message, errno: it cannot be read, or says what is no configuration
-- @raise if bundle is no path
function oci.spec(bundle)
  if type(bundle) ~= "string" or bundle == "" then
    check.raise("bad argument #1 to 'spec' (bundle: path expected, got %s)", check.show(bundle))
  end
  local directory, message, errno = core.realpath(bundle)
  if not directory then return nil, ("%s: %s"):format(bundle, message), errno end
  local path = directory .. "/config.json"
  local config
  config, message, errno = oci.load(path)
  if not config then return nil, message, errno end
  return oci.guarded(path, read.config, config, directory)
end

-- ---- writing ----

local DIRECTORY, FILE = tonumber("755", 8), tonumber("644", 8)

local function refuse(path, message, errno) error({ message = ("%s: %s"):format(path, message), errno = errno }, 0) end

local function make_directory(path, mode)
  local ok, message, errno = core.mkdir(path, mode or DIRECTORY)
  if not ok and errno ~= errno_of.EEXIST then refuse(path, message, errno) end
end

local function write_file(path, data)
  local f, message, errno = io.open(path, "wb")
  if not f then refuse(path, message:match "^.*: (.*)$" or message, errno) end
  local ok
  ok, message, errno = f:write(data)
  ok = f:close() and ok
  if not ok then refuse(path, message or "cannot be written", errno) end
end

--- Makes the directories of a path below another.
local function make_way(top, path, mode)
  local at = top
  for name in path:gmatch "[^/]+" do
    at = at .. "/" .. name
    make_directory(at, #at == #top + #path and mode or nil)
  end
end

--- Does it lie in another of the mounts?
local function is_within(place, list)
  for _, m in ipairs(list) do
    if place:sub(1, #m.destination + 1) == m.destination .. "/" then return true end
  end
end

--- The mode that a mount says; a runtime may give it that of its place.
local function mode_of(m)
  for _, text in ipairs(m.type == "tmpfs" and m.options or {}) do
    local mode = text:match "^mode=(%d+)$"
    if mode then return tonumber(mode, 8) end
  end
end

--- The places of mounts, which the ids inside may not be allowed to make.
local function make_places(top, list)
  for _, m in ipairs(list) do
    local is_file = m.type == "bind" and not core.access(m.source .. "/.", 0)
    if not is_within(m.destination, list) then
      make_way(top, is_file and m.destination:match "^(.*)/" or m.destination, mode_of(m))
      if is_file then write_file(top .. m.destination, "") end
    end
  end
end

--- The root that a bundle has of its own: what lies between the mounts.
local function make_root(directory, places, list)
  make_directory(directory .. "/rootfs")
  make_places(directory .. "/rootfs", list)
  for _, m in ipairs(places) do
    local at = directory .. "/rootfs" .. m.target
    make_way(directory .. "/rootfs", m.type == "dir" and m.target or m.target:match "^(.*)/", m.mode)
    if m.type == "symlink" and core.readlink(at) ~= m.to then
      local ok, message, errno = core.symlink(m.to, at)
      if not ok then refuse(at, message, errno) end
    end
  end
end

local function write_all(words, directory)
  make_directory(directory)
  local place, message, errno = core.realpath(directory)
  if not place then refuse(directory, message, errno) end
  local config, job = write.read(words, "bundle", place)
  if not job.root then make_root(place, job.places, config.mounts) end
  if #job.files > 0 then make_directory(place .. "/files") end
  for _, one in ipairs(job.files) do
    write_file(("%s/%s"):format(place, one.name), one.data)
    core.chmod(("%s/%s"):format(place, one.name), one.mode or FILE)
  end
  write_file(place .. "/config.json", json.write(config))
  return job.left
end

--- Writes a bundle, which crun and runc run, into a directory; as `box:bundle`.
-- @tparam table words of a spec, with a program
-- @tparam string directory
-- @return true, and what is left out, as by `oci.spec`; or nil, message, errno
function oci.write(words, directory)
  if type(directory) ~= "string" or directory == "" then
    check.raise("bad argument #1 to 'bundle' (directory: path expected, got %s)", check.show(directory))
  end
  local ok, left = pcall(write_all, words, directory)
  if ok then return true, left end
  if type(left) == "table" and left.message then return nil, left.message, left.errno end
  error(left, 0)
end

return oci
