--- Whose the files of a root directory are to be, that the program may write: which ids of it are mapped.
--
-- What the program makes with the mapped id of root is root's on the disk, set-user-ID bits and all; and what root has
-- there, the program has. So root's ids are given only where nobody else can bring something in, or take it out.
-- @module ns.start.owners
require("ns.core").nojit()
local errno_of = require("ns.core").constants.errno

local owners = {}

--- The bits of a mode that others than the owner have, `bits` as for one of them.
local function others_have(mode, bits)
  for _, digit in ipairs { math.floor(mode / 8) % 8, mode % 8 } do
    if math.floor(digit / bits) % 2 == 1 then return true end
  end
end

local WRITE, SEARCH = 2, 1

local function is_sticky(mode) return math.floor(mode / 512) % 2 == 1 end

--- Is a directory of root's out of the reach of all others? It, or one above it, lets nobody else through; and nobody else
-- can put another one in its place.
local function is_closed(path, host, closed)
  while path ~= "" do
    local uid, _, mode = host.owner(path)
    if uid ~= 0 or others_have(mode, WRITE) and not is_sticky(mode) then return false end
    closed = closed or not others_have(mode, SEARCH)
    path = path:match("^(.*)/")
  end
  return closed
end

--- What is mapped of the parts of a root directory, as the field idmap says it: "owner", where it is an ordinary user's,
-- whose ids follow; true, where it is root's and closed to all others, as one will be that is made for it (`is_new`). nil,
-- errno: neither.
function owners.idmap(directory, host, is_new)
  local uid, gid, errno = host.owner(directory)
  local is_missing = errno == errno_of.ENOENT and is_new
  if not uid and not is_missing then return nil, errno end
  if is_missing then
    local there, _, why = host.owner(directory:match("^(.*)/") .. "/.")
    if not there then return nil, why end
  end
  if not is_missing and uid ~= 0 and gid ~= 0 then return "owner", { uid = uid, gid = gid } end
  if not is_closed(is_missing and directory:match("^(.*)/") or directory, host, is_missing) then
    return nil, errno_of.EPERM
  end
  return true
end

return owners
