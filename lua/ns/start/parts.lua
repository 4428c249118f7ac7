--- The parts of the new root: what lies in the directories that the words root and system name, as mounts.
-- @module ns.start.parts
require("ns.core").nojit()

local parts = {}

local SYSTEM = { bin = true, etc = true, lib = true, lib32 = true, lib64 = true, libx32 = true, sbin = true, usr = true }

--- Is a part of "/" to be left out? One that cannot be reached, as a FUSE mount whose server has died, or of another user,
-- does not keep the others from the program. Its path and the errno are noted.
local function is_left_out(path, host, left_out)
  local ok, _, errno = host.access(path, 0)
  if not ok then left_out[#left_out + 1] = { path = path, errno = errno } end
  return not ok
end

--- Adds the parts of a directory whose names are `wanted` to the list, as mounts: links are made anew, all else is bound.
-- What lies in the directory is not trusted: a part that has become a link since is refused.
local function add_parts(found, directory, wanted, more, host)
  local real, _, why = directory, nil, nil
  if directory ~= "/" then real, _, why = host.realpath(directory) end
  if not real then return nil, directory, why end
  if real ~= "/" then found.directory = real end
  directory = real
  local prefix = directory == "/" and "/" or directory .. "/"
  local entries, _, errno = host.entries(directory)
  if not entries then return nil, directory, errno end
  table.sort(entries, function(a, b) return a.name < b.name end)
  for _, entry in ipairs(entries) do
    local target = "/" .. entry.name
    if wanted(entry.name) and entry.link then
      found[#found + 1] = { type = "symlink", target = target, to = entry.link }
    elseif wanted(entry.name) and not (more.dev and is_left_out(target, host, found.left_out)) then
      local m = { type = "bind", source = prefix .. entry.name, target = target, part = true, nofollow = true }
      for key, value in pairs(more) do m[key] = value end
      found[#found + 1] = m
    end
  end
  return found
end

--- A stamp of "/" that tells of any later change: none while the last one is so new that another may have the same time.
local function stamp_of(host)
  local stamp = host.stamp { "/" }
  for seconds in stamp:gmatch("(%x+)%.%x+") do
    if os.time() - tonumber(seconds, 16) < 2 then return nil end
  end
  return stamp
end

--- The parts that a box has kept, if "/" has not changed since, and all of them can still be reached; else nil.
function parts.still(kept, host)
  if not kept or not kept.stamp or #kept.left_out > 0 or kept.stamp ~= host.stamp { "/" } then return nil end
  for _, m in ipairs(kept) do
    if m.dev and not host.access(m.target, 0) then return nil end
  end
  return kept
end

--- What the words root and system put into the new root: a list of mounts, and in `left_out` what of "/" is not among
-- them; or nil, path, errno. The system's parts take the place of those of the root. `directory`: where the root's parts
-- come from, if that is not "/". `stamp`: of "/", for `parts.still`, if all parts come from there.
function parts.find(spec, host)
  local found, path, errno = { left_out = {} }, nil, nil
  if host.stamp and (spec.root == "/" or spec.root == "empty") then found.stamp = stamp_of(host) end
  if spec.root ~= "empty" then
    local function wanted(name) return not (spec.system and SYSTEM[name]) end
    found, path, errno = add_parts(found, spec.root, wanted, { ro = spec.read_only ~= false, dev = spec.root == "/" }, host)
  end
  if found and spec.system then
    found, path, errno = add_parts(found, "/", function(name) return SYSTEM[name] end, { ro = true }, host)
  end
  return found, path, errno
end

return parts
