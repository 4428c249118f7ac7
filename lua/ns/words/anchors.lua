--- What is mounted below a directory that the program may write stays where it is.
--
-- The kernel renames no mount point, but the directories above one: so the program could move what covers a place out of the
-- way, and leave something of its own there for the host, or for the next start.
--
--     bind  /home/me/project  on /w               mv /w/.git /w/g
--     bind  .../.git/hooks    on /w/.git/hooks    mkdir -p /w/.git/hooks
--
-- Therefore each directory between the two becomes a mount point as well, of itself: an anchor.
-- @module ns.words.anchors
require("ns.core").nojit()

local anchors = {}

-- The kinds that put no mount over a place: what any other kind covers is anchored. And those whose mount has nothing in it.
local COVERS_NOTHING = { dir = true, symlink = true, remount = true, propagation = true }
local HOLDS_NOTHING = { file = true, mask = true }
local LINKS = 40 -- as path_resolution(7) has it
local DIRECTORY_MODE = tonumber("755", 8)

--- Does it lie over nothing?
function anchors.covers_nothing(m) return COVERS_NOTHING[m.type] or false end

--- What is known of the mounts of a plan while it is made. `mounts`: all of the spec's.
function anchors.new(mounts)
  local known = { tops = {}, links = {} }
  for _, m in ipairs(mounts or {}) do
    if m.type == "remount" and m.ro == false and not m.layer then known.opened = true end
  end
  return known
end

local function is_below(place, top) return place:sub(1, #top + 1) == top .. "/" end

--- The top of the root is "" before each name.
local function top_at(place) return place == "/" and "" or place end

--- Where a place lies, as the links that this plan makes lead there.
local function resolve(known, place)
  for _ = 1, LINKS do
    local before = place
    for at, to in pairs(known.links) do
      if place == at or is_below(place, at) then
        place = (to:sub(1, 1) == "/" and to or at:match("^(.*)/") .. "/" .. to) .. place:sub(#at + 1)
      end
    end
    if place == before then break end
  end
  return place
end

--- The mount that a place lies in: the last one above it.
local function top_of(known, place)
  for i = #known.tops, 1, -1 do
    local top = known.tops[i]
    if is_below(place, top.target) and (top.written or not top.try) then return top end
  end
end

--- The directories from a mount's top to a place, from above; with the top, if it may not be there.
local function way(top, place)
  local list, at = { top.try and top.target or nil }, top.target
  for name in place:sub(#top.target + 1):gmatch("[^/]+") do
    at = at .. "/" .. name
    if at ~= place then list[#list + 1] = at end
  end
  return list
end

--- Before a mount: the anchors that it needs.
function anchors.before(m, add, known)
  if COVERS_NOTHING[m.type] or not known.written then return end
  local place = resolve(known, m.target)
  local top = top_of(known, place)
  if not (top and top.written) then return end
  for _, path in ipairs(way(top, place)) do
    if not top.anchored[path] then
      add { op = "anchor", path = path, mode = top.made and m.type ~= "mask" and DIRECTORY_MODE or nil, word = "mounts" }
      top.anchored[path] = true
      table.insert(top.anchors, path)
    end
  end
end

--- The anchors of the mount on a place: each is a mount by itself, so a remount or a propagation that is not recursive is
-- needed for each of them, too.
function anchors.of(m, known)
  local place = resolve(known, m.target)
  for i = #known.tops, 1, -1 do
    if known.tops[i].target == top_at(place) then return known.tops[i].anchors end
  end
  return {}
end

--- After a mount.
function anchors.note(m, known)
  if m.type == "symlink" then known.links[m.target] = m.to end
  if COVERS_NOTHING[m.type] or HOLDS_NOTHING[m.type] then return end
  local of_the_host = m.type == "bind" or m.type == "overlay"
  local top = { target = top_at(resolve(known, m.target)), written = of_the_host and (not m.ro or known.opened), try = m.try,
    made = m.type == "overlay" and not m.upper and not m.ro, anchors = {}, anchored = {} }
  known.tops[#known.tops + 1] = top
  known.written = known.written or top.written
end

--- How many anchors the mounts of a spec may need.
function anchors.most(mounts)
  local count, written = 0, false
  for _, m in ipairs(mounts or {}) do
    local _, names = m.target:gsub("/", "")
    count, written = count + names - 1, written or not m.ro and (m.type == "bind" or m.type == "overlay")
  end
  return written and count or 0
end

return anchors
