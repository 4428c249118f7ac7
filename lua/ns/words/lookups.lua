--- What the launcher finds on the host's tree before it mounts: while its new root lies over "/", a link that climbs to the
-- top would lead there. It has each source as a descriptor from then on.
-- @module ns.words.lookups
require("ns.core").nojit()
local stdio = require "ns.words.stdio"

local lookups, NONE = {}, {}

local constants = require("ns.core").constants
local ENOENT, HOW = constants.errno.ENOENT, constants.step

--- The numbers of all descriptors that the launcher gets from the host, and those that the program gets.
local function numbers_of(found)
  local used = stdio.numbers_of(found.ends)
  for _, fd in next, found.trees or NONE do
    if fd then used[fd] = true end
  end
  return used
end

--- What a mount is made of, as far as the launcher goes there by a path.
function lookups.sources_of(m)
  if m.type == "overlay" then
    local list = { m.upper, m.work }
    for _, lower in ipairs(m.lower) do list[#list + 1] = lower end
    return list
  end
  return m.type == "bind" and type(m.source) == "string" and not m.nofollow and { m.source } or NONE
end

--- How many descriptors that takes.
function lookups.count(m) return #lookups.sources_of(m) end

--- {top=, path=} for a source in a tree that the program may write (ns.start.sources); nil for any other.
local function below(m, path, found) return found.below and found.below[m] and found.below[m][path] end

--- Is a mount's source looked up? Not what the host has opened; and without a root of its own, only an overlay's, and what
-- lies in a tree that the program may write.
local function is_looked_up(m, spec, found)
  local is_opened = found.trees and found.trees[m] ~= nil
  return not is_opened and (spec.root or m.type == "overlay" or found.below and found.below[m])
end

--- The descriptors of all sources that are looked up: {[mount] = {[path] = number}}.
function lookups.numbers(spec, found)
  local used, numbers = nil, {}
  for _, m in ipairs(spec.mounts or NONE) do
    if is_looked_up(m, spec, found) then
      used = used or numbers_of(found)
      numbers[m] = {}
      for _, path in ipairs(lookups.sources_of(m)) do numbers[m][path] = stdio.free_number(used) end
    end
  end
  return numbers
end

--- Adds the steps that look up what a mount is made of. `mount_step`: the step of the mount itself, as which a refused
-- lookup is reported. No mount may lie below the layers of an overlay, as the overlay would show what that covers. (In a
-- user namespace the kernel sees to that itself.)
function lookups.steps(m, add, found, mount_step)
  local numbers = found.numbers[m]
  for _, path in ipairs(numbers and lookups.sources_of(m) or NONE) do
    local one_mount = m.type == "overlay" and path ~= m.work and not found.maps
    local lies = below(m, path, found) or { path = path }
    add { op = "lookup", path = lies.path, source = lies.top, to = numbers[path], how = one_mount and HOW.ONE_MOUNT or nil,
      ignore = m.try and ENOENT or nil, of = mount_step, word = "mounts", part = m.target }
  end
end

--- The descriptor of what is looked up; nil if it is not.
function lookups.number(m, path, found)
  local numbers = found.numbers and found.numbers[m]
  return numbers and numbers[path]
end

return lookups
