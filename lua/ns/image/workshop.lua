--- Boxes in which directories are worked on whose content is not trusted: nothing else of the host can be written in
-- them, and the programs in them are the system's.
-- @module ns.image.workshop
require("ns.core").nojit()
local box = require "ns.box"
local core = require "ns.core"

local workshop = {}

local EINVAL = core.constants.errno.EINVAL

--- With root's rights over the files of the user, or of all of them as root, on disk.
function workshop.open(binds)
  local is_root = core.ids().euid == 0
  local b = box.over({}, { flags = is_root and { "mount" } or { "user", "mount" }, map = not is_root and "auto" or nil,
    root = "empty", system = true, umask = "000" }, "box"):dev():tmpfs("/tmp")
  for target, source in pairs(binds) do b:bind(source, target, { suid = true, dev = true }) end
  return b
end

--- Runs a shell line in a box: its result; or nil, message, errno.
function workshop.run(b, line, ...)
  local r, message, errno = b:run("sh", "-c", line, "sh", ...)
  if not r then return nil, message, errno end
  if r.ok then return r end
  return nil, r.stderr:match("[^\n]+") or tostring(r), EINVAL
end

return workshop
