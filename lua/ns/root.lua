--- The root directory inside: where it comes from, and the parts of it, which are mounts (`ns.mounts`).
-- @module ns.root
require("ns.core").nojit()
local check = require "ns.check"

local root = {}

--- root: "/", "empty" or a directory.
function root.check(value, where)
  if value == "empty" then return value end
  return check.absolute(value, where)
end

local SYSTEM = { bin = true, etc = true, lib = true, lib32 = true, lib64 = true, libx32 = true, sbin = true, usr = true }

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
    elseif wanted(entry.name) then
      local m = { type = "bind", source = prefix .. entry.name, target = target, part = true, nofollow = true }
      for key, value in pairs(more) do m[key] = value end
      list[#list + 1] = m
    end
  end
  return list
end

--- What the words root and system put into the new root: a list of mounts; or nil, path, errno. The system's parts take the
-- place of those of the root.
function root.parts(spec, host)
  local list, path, errno = {}, nil, nil
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
