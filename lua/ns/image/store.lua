--- Where images are kept: below $XDG_DATA_HOME/ns, or ~/.local/share/ns.
--
--     layers/KEY     a layer as a directory; KEY is made of its digest and those of the layers below
--     images/NAME/   config.json, as the image has it, and `layers`: a line for each, the lowest first
--     .tmp-PID-N     what is being made, or has been left behind by a process that was killed
--
-- Whatever is there under its name is whole: it came there by one rename.
-- @module ns.image.store
require("ns.core").nojit()
local core = require "ns.core"
local workshop = require "ns.image.workshop"

local store = {}

local EEXIST, ENOENT, ENOTEMPTY = core.constants.errno.EEXIST, core.constants.errno.ENOENT, 39
local CLOSED = 448 -- 0700

local function fail(message, errno) error({ message = message, errno = errno }, 0) end

--- The directory of the store, which is made.
function store.top()
  local data = os.getenv "XDG_DATA_HOME"
  if not data or data:sub(1, 1) ~= "/" then
    local home = os.getenv "HOME"
    if not home or home:sub(1, 1) ~= "/" then
      fail("there is no place for images: XDG_DATA_HOME and HOME are not set", ENOENT)
    end
    data = home .. "/.local/share"
  end
  local path = ""
  for name in (data .. "/ns"):gmatch("[^/]+") do
    path = path .. "/" .. name
    local ok, message, errno = core.mkdir(path, CLOSED)
    if not ok and errno ~= EEXIST then fail(("%s: %s"):format(path, message), errno) end
  end
  for _, name in ipairs { "layers", "images" } do core.mkdir(path .. "/" .. name, CLOSED) end
  return path
end

--- Removes a directory of the store, whose files may be of ids that are not ours, and closed.
local function remove(path)
  if not core.layer_entry(path, "") then return end
  workshop.run(workshop.open { ["/d"] = path }, "find /d -mindepth 1 -delete")
  os.remove(path)
end

--- Removes what processes have left that are not any more.
local function tidy(top)
  for _, name in ipairs(core.layer_names(top, "") or {}) do
    local pid = name:match("^%.tmp%-(%d+)%-")
    if pid and not core.access("/proc/" .. pid, 0) then remove(top .. "/" .. name) end
  end
end

--- Calls make(directory) with a new directory, which is gone afterwards in any case; what it returns.
function store.with_scratch(top, make)
  tidy(top)
  local path = ("%s/.tmp-%d-%d"):format(top, core.ids().pid, core.random(2 ^ 30))
  local made, message, errno = core.mkdir(path, 493) -- 0755: it may become a root
  if not made then fail(("%s: %s"):format(path, message), errno) end
  local ok, a, b = pcall(make, path)
  remove(path)
  if not ok then error(a, 0) end
  return a, b
end

--- Gives what is made its name; another process may have been quicker.
function store.keep(from, to)
  local ok, message, errno = os.rename(from, to)
  if not ok and errno ~= EEXIST and errno ~= ENOTEMPTY then fail(message, errno) end
end

local function escape(name)
  return (name:gsub("[^%w._-]", function(c) return ("%%%02x"):format(c:byte()) end):gsub("^%.", "%%2e"))
end

local function unescape(name)
  return (name:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function write(path, text)
  local f, message, errno = io.open(path, "w")
  if not f then fail(message, errno) end
  local ok, why, code = f:write(text)
  if ok then ok, why, code = f:close() end
  if not ok then fail(("%s: %s"):format(path, why), code) end
end

local function read(path)
  local f = io.open(path)
  local text = f and f:read("*a")
  if f then f:close() end
  return text
end

--- Notes an image: { name, id, config = text, layers = keys, the lowest first, notes }. One of that name is replaced.
function store.put(top, image)
  store.with_scratch(top, function(path)
    write(path .. "/layers", table.concat(image.layers, "\n") .. "\n")
    write(path .. "/config.json", image.config or "{}")
    write(path .. "/id", image.id)
    write(path .. "/notes", table.concat(image.notes, "\n"))
    local to = top .. "/images/" .. escape(image.name)
    remove(to)
    store.keep(path, to)
  end)
end

local function lines(text)
  local list = {}
  for line in (text or ""):gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

--- The image of that name, with `layers` as directories; nil if there is none, or a layer of it is gone.
function store.get(top, name)
  local at = top .. "/images/" .. escape(name)
  local list = lines(read(at .. "/layers"))
  if #list == 0 then return nil end
  local image = { name = name, id = read(at .. "/id"), config = read(at .. "/config.json"), keys = list, layers = {},
    notes = lines(read(at .. "/notes")) }
  for i, key in ipairs(list) do
    image.layers[i] = top .. "/layers/" .. key
    if not core.layer_entry(image.layers[i], "") then return nil end
  end
  return image
end

--- The names of all images, in order.
function store.names(top)
  local list = {}
  for _, name in ipairs(core.layer_names(top .. "/images", "") or {}) do list[#list + 1] = unescape(name) end
  table.sort(list)
  return list
end

--- Removes an image, and the layers that no other has.
function store.drop(top, name)
  local image = store.get(top, name)
  remove(top .. "/images/" .. escape(name))
  local used = {}
  for _, other in ipairs(store.names(top)) do
    for _, key in ipairs((store.get(top, other) or {}).keys or {}) do used[key] = true end
  end
  for i, key in ipairs(image and image.keys or {}) do
    if not used[key] then
      local gone = ("%s/.tmp-%d-%d"):format(top, core.ids().pid, core.random(2 ^ 30))
      if os.rename(image.layers[i], gone) then remove(gone) end
    end
  end
end

return store
