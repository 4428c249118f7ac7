--- What this machine has of landlock, and where its paths lie.
-- @module ns.start.landlock
require("ns.core").nojit()
local EOPNOTSUPP = require("ns.core").constants.errno.EOPNOTSUPP
local sources = require "ns.start.sources"
local words = require "ns.words.landlock"

local landlock = {}

--- For a checked spec: {abi=, below=, text=}, as `sources.landlock` has the last two; or nil, step, errno.
function landlock.find(spec, host)
  local abi, _, errno = host.landlock()
  if not abi then return nil, { op = "landlock", word = "landlock" }, errno end
  local lacks = words.lacks(spec.landlock, abi)
  if lacks[1] then
    return nil, { op = "landlock", word = "landlock", part = lacks[1].part, lacks = lacks, abi = abi }, EOPNOTSUPP
  end
  local below, text = sources.landlock(spec, host)
  return { abi = abi, below = below, text = text }
end

return landlock
