--- The root directory inside: where it comes from, and the parts of it, which are mounts (`ns.words.mounts`).
-- @module ns.words.root
require("ns.core").nojit()
local check = require "ns.words.check"

local root = {}

--- root: "/", "empty" or a directory.
function root.check(value, where)
  if value == "empty" then return value end
  return check.absolute(value, where)
end

local SYSTEM = { bin = true, etc = true, lib = true, lib32 = true, lib64 = true, libx32 = true, sbin = true, usr = true }

--- Is a part of "/" to be left out? One that cannot be reached, as a FUSE mount whose server has died, or of another user,
-- does not keep the others from the program. Its path and the errno are noted.
local function is_left_out(path, host)
  local ok, _, errno = host.access(path, 0)
  if not ok then host.left_out[#host.left_out + 1] = { path = path, errno = errno } end
  return not ok
end

--- The paths of what is left out, as the program's host is told.
function root.left_out(host)
  local list = {}
  for i, left in ipairs(host.left_out or {}) do list[i] = left.path end
  return list
end

--- Adds the parts of a directory whose names are `wanted` to the list, as mounts: links are made anew, all else is bound.
-- What lies in the directory is not trusted: a part that has become a link since is refused.
local function add_parts(list, directory, wanted, more, host)
  local real, _, why = directory, nil, nil
  if directory ~= "/" then real, _, why = host.realpath(directory) end
  if not real then return nil, directory, why end
  directory = real
  local prefix = directory == "/" and "/" or directory .. "/"
  local entries, _, errno = host.entries(directory)
  if not entries then return nil, directory, errno end
  table.sort(entries, function(a, b) return a.name < b.name end)
  for _, entry in ipairs(entries) do
    local target = "/" .. entry.name
    if wanted(entry.name) and entry.link then
      list[#list + 1] = { type = "symlink", target = target, to = entry.link }
    elseif wanted(entry.name) and not (more.dev and is_left_out(target, host)) then
      local m = { type = "bind", source = prefix .. entry.name, target = target, part = true, nofollow = true }
      for key, value in pairs(more) do m[key] = value end
      list[#list + 1] = m
    end
  end
  return list
end

--- What the words root and system put into the new root: a list of mounts; or nil, path, errno. host.left_out: what of "/"
-- is not among them. The system's parts take the
-- place of those of the root.
function root.parts(spec, host)
  local list, path, errno = {}, nil, nil
  host.left_out = {}
  if spec.root ~= "empty" then
    local function wanted(name) return not (spec.system and SYSTEM[name]) end
    list, path, errno = add_parts(list, spec.root, wanted, { ro = spec.read_only ~= false, dev = spec.root == "/" }, host)
  end
  if list and spec.system then
    list, path, errno = add_parts(list, "/", function(name) return SYSTEM[name] end, { ro = true }, host)
  end
  return list, path, errno
end

return root
