--- Where images are kept: below $XDG_DATA_HOME/ns, or ~/.local/share/ns.
--
--     layers/KEY     a layer as a directory; KEY is made of its digest and those of the layers below
--     images/NAME/   config.json, as the image has it; `layers`: a line for each, the lowest first; `old`: those of what
--                    had that name before, which boxes may run with
--     base/          what lies below all layers of a box
--     .tmp-N/        what is being made, locked (flock) by who makes it: in `new`, or as an image in `image`
--
-- Whatever is there under its name is whole: it came there by one rename. What in .tmp-N nobody has locked has been left
-- behind by a process that was killed. A layer goes when no image has it, nor one that is being made; which layers there
-- are is changed by who has the lock of the whole store.
-- @module ns.image.store
require("ns.core").nojit()
local core = require "ns.core"
local workshop = require "ns.image.workshop"

local store = {}

local unpack = table.unpack or unpack -- luacheck: ignore

local EEXIST, ENOENT = core.constants.errno.EEXIST, core.constants.errno.ENOENT
local CLOSED, OPEN = 448, 493 -- 0700; 0755: it may become a root

local function fail(message, errno) error({ message = message, errno = errno }, 0) end

local function mkdir(path, mode)
  local ok, message, errno = core.mkdir(path, mode)
  if not ok and errno ~= EEXIST then fail(("%s: %s"):format(path, message), errno) end
end

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
    mkdir(path, CLOSED)
  end
  for _, name in ipairs { "layers", "images" } do mkdir(path .. "/" .. name, CLOSED) end
  return path
end

local function names_in(path) return core.layer_names(path, "") or {} end

--- Is there something of that name? It may be closed to us.
local function is_there(path) return core.layer_entry(path:match("^(.*)/([^/]*)$")) ~= nil end

--- Runs a shell line in the store: what lies in its layers may be of ids that are not ours, and closed, their tops too.
local function work(top, line, ...)
  return workshop.run(workshop.open { ["/s"] = top }, "cd /s && " .. line, ...)
end

--- Calls f while nobody else changes which layers there are; a file system without locks has but one user at a time.
local function locked(top, f)
  local bag = core.bag()
  core.layer_lock(bag, top, true)
  local ok, result = pcall(f)
  bag:close()
  if not ok then error(result, 0) end
  return result
end

--- Removes directories of the store.
local function remove(top, names)
  local left = {}
  for _, name in ipairs(names) do
    if not os.remove(top .. "/" .. name) and is_there(top .. "/" .. name) then left[#left + 1] = name end
  end
  if #left > 0 then work(top, 'rm -rf -- "$@"', unpack(left)) end
end

--- Removes what processes have left that are not any more.
local function tidy(top)
  local bag = core.bag()
  local left = locked(top, function()
    local list = {}
    for _, name in ipairs(names_in(top)) do
      if name:find("^%.tmp%-") and core.layer_lock(bag, top .. "/" .. name) then list[#list + 1] = name end
    end
    return list
  end)
  local ok, e = pcall(remove, top, left)
  bag:close()
  if not ok then error(e, 0) end
end

--- Calls make(directory) with a new directory, which is gone afterwards in any case; what it returns.
local function with_scratch(top, make)
  tidy(top)
  local bag, name = core.bag(), (".tmp-%d"):format(core.random(2 ^ 53))
  locked(top, function()
    mkdir(top .. "/" .. name, CLOSED)
    core.layer_lock(bag, top .. "/" .. name)
  end)
  local ok, a, b = pcall(make, top .. "/" .. name)
  remove(top, { name })
  bag:close()
  if not ok then error(a, 0) end
  return a, b
end

--- The same with one for what is not trusted.
function store.with_scratch(top, make)
  return with_scratch(top, function(path)
    mkdir(path .. "/new", OPEN)
    return make(path .. "/new")
  end)
end

--- Makes a layer of what is in a new directory; another process may have been quicker.
function store.keep(top, path, key)
  local ok, message, errno = work(top, 'mv -T -- "$1" "layers/$2"', path:sub(#top + 2), key)
  if not ok and not is_there(top .. "/layers/" .. key) then fail(message, errno) end
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

local function lines(text)
  local list = {}
  for line in (text or ""):gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

local function add(set, list)
  for _, one in ipairs(list) do set[one] = true end
end

--- The keys of all layers that an image has, or one that is being made.
local function used(top)
  local set = {}
  for _, name in ipairs(names_in(top .. "/images")) do
    add(set, lines(read(top .. "/images/" .. name .. "/layers")))
    add(set, lines(read(top .. "/images/" .. name .. "/old")))
  end
  for _, name in ipairs(names_in(top)) do
    if name:find("^%.tmp%-") then add(set, lines(read(top .. "/" .. name .. "/image/layers"))) end
  end
  return set
end

--- Takes an image out of the store, if one is named, and the layers that none has any more.
local function sweep(top, name)
  with_scratch(top, function(path)
    locked(top, function()
      if name then os.rename(top .. "/images/" .. escape(name), path .. "/gone") end
      local has, list = used(top), {}
      for _, key in ipairs(names_in(top .. "/layers")) do
        if not has[key] then list[#list + 1] = "layers/" .. key end
      end
      if #list == 0 then return end
      local ok, message, errno = work(top, 'to=$1; shift; mv -- "$@" "$to"', path:sub(#top + 2), unpack(list))
      if not ok then fail(message, errno) end
    end)
  end)
end

--- The layers of what had the name until now, but for those that are still in it.
local function old_layers(at, keys)
  local set, list = {}, {}
  add(set, lines(read(at .. "/layers")))
  add(set, lines(read(at .. "/old")))
  for _, key in ipairs(keys) do set[key] = nil end
  for key in pairs(set) do list[#list + 1] = key end
  return list
end

local function make_image(top, name, make)
  with_scratch(top, function(path)
    local new, at, keys = path .. "/image", top .. "/images/" .. escape(name), {}
    mkdir(new, CLOSED)
    local image = make(function(key)
      keys[#keys + 1] = key
      return locked(top, function()
        write(new .. "/layers", table.concat(keys, "\n") .. "\n")
        return is_there(top .. "/layers/" .. key)
      end)
    end)
    write(new .. "/config.json", image.config or "{}")
    write(new .. "/id", image.id)
    write(new .. "/notes", table.concat(image.notes, "\n"))
    locked(top, function()
      write(new .. "/old", table.concat(old_layers(at, keys), "\n"))
      os.rename(at, path .. "/gone")
      local ok, message, errno = os.rename(new, at)
      if not ok then fail(message, errno) end
    end)
  end)
end

--- Puts an image into the store, in the place of one of that name: make(use) makes its layers, and returns { id, config =
-- text, notes }. use(key) is called for each layer, the lowest first: from then on it stays; true, if it is there already.
function store.put(top, name, make)
  local ok, e = pcall(make_image, top, name, make)
  pcall(sweep, top) -- where that fails, the next does it
  if not ok then error(e, 0) end
end

--- The image of that name, with `layers` as directories; nil and why, if there is none, or it is not whole.
function store.get(top, name)
  local at = top .. "/images/" .. escape(name)
  local list = lines(read(at .. "/layers"))
  local image = { name = name, id = read(at .. "/id"), config = read(at .. "/config.json"), layers = {},
    notes = lines(read(at .. "/notes")) }
  if #list == 0 or not image.id or not image.config then return nil, "it is not in the store, or not whole" end
  for i, key in ipairs(list) do
    image.layers[i] = top .. "/layers/" .. key
    if not is_there(image.layers[i]) then return nil, "a layer of it is gone" end
  end
  return image
end

local HOSTS = "127.0.0.1 localhost\n::1 localhost\n"

--- The directory below all layers: the files by which names are resolved, which images leave to who runs them. That of the
-- host's name servers is as it is now.
function store.base(top)
  for name, text in pairs { hosts = HOSTS, ["resolv.conf"] = read "/etc/resolv.conf" or "" } do
    if read(top .. "/base/etc/" .. name) ~= text then
      local line = 'umask 022; mkdir -p base/etc && cd base/etc && printf %s "$2" >"$1" && mv "$1" "$3"'
      local ok, message, errno = work(top, line, (".new-%d"):format(core.random(2 ^ 53)), text, name)
      if not ok then fail(message, errno) end
    end
  end
  return top .. "/base"
end

--- The names of all images, in order.
function store.names(top)
  local list = {}
  for _, name in ipairs(names_in(top .. "/images")) do list[#list + 1] = unescape(name) end
  table.sort(list)
  return list
end

--- Removes an image, and the layers that no other has.
store.drop = sweep

return store
