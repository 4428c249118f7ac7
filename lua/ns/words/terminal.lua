--- A terminal of the program's own.
-- @module ns.words.terminal
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants

local terminal = {}

local ATTR, HOW = constants.mount_attr, constants.step

--- true, or its size.
function terminal.check(value, where)
  if value == false then return false end
  if value == true then return { rows = 24, cols = 80 } end
  local size = check.record({ rows = check.integer(1, 65535), cols = check.integer(1, 65535) })(value, where)
  return { rows = size.rows or 24, cols = size.cols or 80 }
end

--- Which of its standard streams it is; nil if none is.
local function stream_of(found)
  if not found.slave then return nil end
  for number = 0, 2 do
    if found.ends[number] == found.slave then return number end
  end
end

--- A session of its own: early, so that nothing that is mounted could get the host's terminal.
function terminal.leave_session(value, _, add)
  if value then add { op = "setsid", word = "pty" } end
end

--- Opens the one in the devpts of the box: there it has a name, and in a new one it is the first.
local function open_inside(size, spec, add, found)
  local fd, pts = found.slave, found.ptmx:match("^(.*)/ptmx$")
  add { op = "pty", path = found.ptmx, value = size.rows, limit = size.cols, to = fd, word = "pty" }
  local uid, gid = spec.user and spec.user.id, spec.group and spec.group.id or spec.user and spec.user.gid
  if uid or gid then add { op = "chown", fd = fd, value = uid or -1, limit = gid or -1, word = "pty" } end
  if found.scope == "job" then return end
  add { op = "tree", source = pts .. "/0", path = pts:gsub("pts$", "console"), flags = ATTR.NOSUID + ATTR.NOEXEC,
    how = HOW.BENEATH_ROOT, word = "pty" }
end

--- When all is mounted: opens it, and takes it as the controlling one, unless an init is still to be left in this session.
function terminal.open(value, spec, add, found)
  if not value then return end
  if found.ptmx then open_inside(value, spec, add, found) end
  if not (spec.init and stream_of(found)) then add { op = "controlling", fd = found.slave, word = "pty" } end
end

--- The session that the init leads has no terminal: the program leads another, and hears when its terminal hangs up.
function terminal.lead_session(value, spec, add, found)
  local fd = value and spec.init and stream_of(found)
  if not fd then return end
  add { op = "setsid", word = "pty" }
  add { op = "controlling", fd = fd, word = "pty" }
end

return terminal
