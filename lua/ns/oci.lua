--- Bundles of containers, as the Open Container Initiative has them: a directory with config.json and, as a rule, a root.
-- @module ns.oci
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local json = require "ns.json"
local read = require "ns.oci.read"

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

return oci
