--- The directory by which a script and its tasks on other machines speak: all of them see it.
--
--     items/N       the words of item N
--     batches/B     what one array of jobs is to do: the names "N.S" of its items, in a line for each of its tasks
--     claims/N.S    made by whoever is the first to decide on submission S of item N: the task that begins with it, or the
--                   script that gives it up. mkdir(2) has one winner, over NFS, too: so none begins twice, and none that was
--                   given up begins late.
--     results/N.S   what it has come to; it came there by one rename
--     log/JOB_TASK  what was said before a task began
-- @module ns.slurm.folder
require("ns.core").nojit()
local core = require "ns.core"
local values = require "ns.start.values"

local folder = {}

local EEXIST = core.constants.errno.EEXIST
local ROOMS = { "items", "batches", "claims", "results", "log" }

local function write(path, bytes)
  local f, message, errno = io.open(path, "wb")
  if not f then return nil, message, errno end
  local ok, why, code = f:write(bytes)
  local closed, late, number = f:close()
  if ok and closed then return true end
  return nil, ("%s: %s"):format(path, why or late), code or number
end

local function read(path)
  local f = io.open(path, "rb")
  local bytes = f and f:read "*a"
  if f then f:close() end
  return bytes
end

local function decoded(path)
  local _, list = values.decode(read(path) or "")
  return list and list[1]
end

--- Makes the directory: true; or nil, message, errno.
function folder.make(path)
  local ok, message, errno = core.mkdir(path, 448) -- 0700: outputs are nobody else's
  if not ok then return nil, ("%s: %s"):format(path, message), errno end
  for _, name in ipairs(ROOMS) do core.mkdir(path .. "/" .. name) end
  return true
end

--- Writes a file of it: true; or nil, message, errno.
function folder.put(path, name, bytes) return write(path .. "/" .. name, bytes) end

--- Writes the words of an item.
function folder.put_item(path, n, words)
  return write(("%s/items/%d"):format(path, n), assert(values.encode("item", { n = 1, words })))
end

--- The words of an item; nil where they are not there.
function folder.item(path, n) return decoded(("%s/items/%d"):format(path, n)) end

--- The names of what task `k` (from 0) of a batch is to do.
function folder.task(path, batch, k)
  local names = {}
  for line in (read(("%s/batches/%d"):format(path, batch)) or ""):gmatch "[^\n]+" do
    if k == 0 then
      for name in line:gmatch "%S+" do names[#names + 1] = name end
    end
    k = k - 1
  end
  return names
end

--- Decides on a submission: true, for one; false where somebody has before. Or nil, message, errno.
function folder.claim(path, name)
  local ok, message, errno = core.mkdir(("%s/claims/%s"):format(path, name))
  if ok then return true end
  if errno == EEXIST then return false end
  return nil, message, errno
end

--- Notes in a claim of ours who has begun: a table.
function folder.sign(path, name, who)
  return write(("%s/claims/%s/task"):format(path, name), assert(values.encode("task", { n = 1, who })))
end

--- Who has begun; {} where that was not noted.
function folder.signed(path, name) return decoded(("%s/claims/%s/task"):format(path, name)) or {} end

--- Writes what a submission has come to, a table of plain values.
function folder.put_result(path, name, fields)
  local temporary = ("%s/results/.%s"):format(path, name)
  local ok, message, errno = write(temporary, assert(values.encode("result", { n = 1, fields })))
  if not ok then return nil, message, errno end
  return os.rename(temporary, ("%s/results/%s"):format(path, name))
end

--- What a submission has come to, or nil.
function folder.result(path, name) return decoded(("%s/results/%s"):format(path, name)) end

--- The names in one of its rooms, as a set.
function folder.names(path, room)
  local set = {}
  for _, name in ipairs(core.layer_names(path .. "/" .. room, "") or {}) do set[name] = true end
  return set
end

--- The last of what was said before a task began.
function folder.log(path, job)
  return ((read(("%s/log/%s"):format(path, job)) or ""):sub(-500):gsub("%s+$", ""))
end

return folder
