--- What nsbox keeps of a box with a name: a directory with what was run, its output, and how it has ended.
--
-- Whether a box lives is asked of itself (`ns.container`); a record only says what nobody else would know after its end.
-- @module ns.nsbox.records
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local ns = require "ns"
local records = {}

local EEXIST = core.constants.errno.EEXIST

local function base()
  local state, home = os.getenv "XDG_STATE_HOME" or "", os.getenv "HOME" or ""
  if state:sub(1, 1) ~= "/" and home:sub(1, 1) ~= "/" then
    fail.now "neither XDG_STATE_HOME nor HOME says where to keep what belongs to a box with a name"
  end
  return state:sub(1, 1) == "/" and state or home .. "/.local/state"
end

local function place(name) return ("%s/nsbox/%s"):format(base(), name) end

--- The path of its file "log".
function records.log(name) return place(name) .. "/log" end

local function read(name, file)
  local f = io.open(place(name) .. "/" .. file, "rb")
  if not f then return nil end
  local text = f:read("*a")
  f:close()
  return text
end

--- Writes a file of the record, all of it or nothing.
local function write(name, file, text)
  local path = place(name) .. "/" .. file
  local f = fail.unless(io.open(path .. ".new", "wb"))
  f:write(text)
  f:close()
  fail.unless(os.rename(path .. ".new", path))
end

local function make_directory(path)
  local ok, message, errno = core.mkdir(path, tonumber("700", 8))
  return ok or errno == EEXIST, message, errno
end

local function in_use(name) return fail.now("the name %s is in use: nsbox rm %s takes it away", name, name) end

local function lines(list) return table.concat(list, "\n") .. "\n" end

--- Makes the record of a box that is about to start (`ns.nsbox.run`): for `exec`, with the layers of its root and what root
-- may in it, if that is none of this machine.
function records.create(plan)
  local name = plan.name
  if ns.container(name) then in_use(name) end -- what is no name raises
  local path = base()
  make_directory(path:match("^(.+)/[^/]+$") or "/")
  make_directory(path)
  fail.unless(make_directory(path .. "/nsbox"))
  local ok, message, errno = core.mkdir(place(name), tonumber("700", 8))
  if errno == EEXIST then in_use(name) end
  if not ok then fail.now("%s: %s", place(name), message) end
  local words = {}
  for i, word in ipairs(plan.argv) do words[i] = word:gsub("[%c]", " ") end
  if plan.layers then
    write(name, "layers", lines(plan.layers))
    write(name, "caps", lines(plan.root_caps))
  end
  write(name, "info", ("%d\n%s\n"):format(os.time(), table.concat(words, " ")))
end

local held = {}

--- From now on this process sees to the end of the box: it holds a lock as long as it lives, which tells of it in each pid
-- namespace.
function records.supervise(name)
  held[name] = core.bag()
  fail.unless(held[name]:lock(place(name) .. "/lock", true))
end

--- Has it had a supervisor, which has ended? Whoever may lock the file knows.
local function is_deserted(name)
  local bag = core.bag()
  local fd = bag:lock(place(name) .. "/lock")
  bag:close()
  return fd ~= nil
end

--- The directory of a record; nil if there is none.
local function directory_of(name)
  local entry = core.layer_entry(base() .. "/nsbox", name)
  return entry and entry.type == "directory" and entry or nil
end

--- Notes how it has ended: its exit status. One whose record was taken away meanwhile has nobody who asks.
function records.finish(name, status)
  local done, why = pcall(write, name, "status", ("%d\n"):format(status))
  if not done and directory_of(name) then error(why, 0) end
end

-- How often a record is emptied that others write to meanwhile.
local TRIES = 100

--- Takes a record away.
function records.remove(name)
  local why
  for _ = 1, TRIES do
    for _, entry in ipairs(core.entries(place(name)) or {}) do os.remove(place(name) .. "/" .. entry.name) end
    local ok, message = os.remove(place(name))
    if ok or not directory_of(name) then return true end
    why = message
  end
  return nil, why
end

local function list_of(text)
  if not text then return nil end
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

--- What is known of the name: { name, created, command, status (when it has ended), log, layers, caps, deserted: its
-- supervisor has ended }; nil if there is none. One that somebody was ended in the midst of is one, too.
function records.find(name)
  local directory = directory_of(name)
  if not directory then return nil end
  local created, command = (read(name, "info") or ""):match("^(%d+)\n(.*)\n")
  local deserted = is_deserted(name) -- asked first: the status is noted before the end
  return { name = name, created = tonumber(created) or directory.mtime, command = command or "",
    status = tonumber((read(name, "status"))), log = records.log(name), layers = list_of(read(name, "layers")),
    caps = list_of(read(name, "caps")), deserted = deserted }
end

-- Seconds that the supervisor of a box is given to note its status, and between two looks.
local NOTES, PAUSE = 5, 0.02

--- The status that the supervisor notes when the box has ended; nil if there is none.
function records.noted(name)
  local deadline = core.clock() + NOTES
  while true do
    local record = records.find(name)
    if record and record.status then return record.status end
    if not record or record.deserted or core.clock() > deadline then return nil end
    core.poll(PAUSE)
  end
end

--- The names of all records, in order.
function records.list()
  local names = {}
  for _, entry in ipairs(core.entries(base() .. "/nsbox") or {}) do names[#names + 1] = entry.name end
  table.sort(names)
  return names
end

--- A box by its name: the container if it lives, the record if there is one. One whose supervisor was killed has lost its
-- program with it, so it is ended here. The command fails where there is neither.
function records.box(name)
  local container, message, errno = ns.container(name)
  local record = records.find(name)
  if not container and not record then
    fail.now("%s", errno == core.constants.errno.ENOENT and "there is no box of the name " .. name or message)
  end
  if container and record and record.deserted then
    container:close()
    container = nil
  end
  return container, record
end

--- The same; the command fails if it does not live.
function records.living(name)
  local container, record = records.box(name)
  if container then return container, record end
  return fail.now("%s has ended; nsbox rm %s takes away what is left of it", name, name)
end

return records
