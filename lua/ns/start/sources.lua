--- The sources that lie in a tree which the same box gives to be written. An earlier start may have left links there, and
-- they would lead to what the program was never given: so from the top of that tree on, no link is followed.
-- @module ns.start.sources
require("ns.core").nojit()
local later = require("ns.words.later").module
local landlock = later "ns.words.landlock"
local lookups = require "ns.words.lookups"

local sources, NONE = {}, {}

local LINKS = 40 -- as path_resolution(7) has it

local function real(path, host)
  if type(path) == "number" then path = ("/proc/self/fd/%d"):format(path) end
  return host.realpath(path)
end

--- Is there more than one tree of the host? A single one lies in no other: most boxes are not asked further.
local function has_several(spec)
  local count = spec.root and spec.root ~= "/" and spec.root ~= "empty" and 1 or 0
  for _, m in ipairs(spec.mounts or NONE) do
    if m.type == "bind" or m.type == "overlay" then count = count + 1 end
  end
  if spec.landlock and spec.landlock.write then count = count + 1 end
  return count > 1
end

--- The directories of the host that the program may write, as far as the spec gives them: {[real path] = true}; nil if there
-- are none. "/" is none of them: most of its links are the system's.
local function written(spec, host)
  local found = {}
  local function add(path)
    local directory = path and real(path, host)
    if directory and directory ~= "/" then found[directory] = true end
  end
  for _, m in ipairs(spec.mounts or NONE) do
    if not m.ro then add(m.type == "bind" and m.source or m.type == "overlay" and m.upper) end
  end
  if spec.root and spec.root ~= "empty" and spec.read_only == false then add(spec.root) end
  for _, item in ipairs(not spec.root and spec.landlock and spec.landlock.write or NONE) do add(item.path) end
  return next(found) and found
end

--- What of a path lies in one of the directories: the directory, and the rest of the path; nil if it does not.
local function enter(path, directories, host)
  local here, rest, links = "", path, 0
  while rest:find("[^/]") do
    if directories[here] then return here, rest:match("^/*(.*)$") end
    local name
    name, rest = rest:match("^/*([^/]+)(.*)$")
    local link = name ~= "." and name ~= ".." and host.readlink(here .. "/" .. name)
    if name == ".." then
      here = here:match("^(.*)/") or ""
    elseif link then
      links = links + 1
      if links > LINKS then return nil end
      rest = link .. "/" .. rest
      if link:sub(1, 1) == "/" then here = "" end
    elseif name ~= "." then
      here = here .. "/" .. name
    end
  end
end

--- The same of a file for a stream: where the path begins, if that is in such a tree, and the path from there on.
function sources.file(path, spec, host)
  local directories = written(spec, host)
  if not directories then return nil, path end
  local absolute = path:sub(1, 1) == "/" and path or (host.realpath(".") or "") .. "/" .. path
  local top, rest = enter(absolute, directories, host)
  return top, top and rest or path
end

--- The places of a root that the program may write, as the spec calls them.
local function written_inside(spec)
  local found = {}
  for _, m in ipairs(spec.mounts or NONE) do
    if not m.ro and (m.type == "bind" or m.type == "overlay" and m.upper) then found[m.target] = true end
  end
  for _, item in ipairs(spec.landlock.write or NONE) do found[item.path] = item.path ~= "/" or nil end
  return found
end

local function no_link() end

--- The paths of landlock that lie in such a tree: {[path] = {top=, path=}}; and all of it as a text.
function sources.landlock(spec, host)
  local directories, asked, found, text = nil, host, {}, {}
  if not spec.root then directories = written(spec, host) end
  if spec.root then directories, asked = written_inside(spec), { readlink = no_link } end
  landlock.each_path(spec.landlock, function(path)
    local top, rest = nil, nil
    if directories then top, rest = enter(path, directories, asked) end
    if not top then return end
    found[path] = { top = top, path = top .. "/" .. rest }
    text[#text + 1] = ("%s %s %s"):format(path, top, rest)
  end)
  return found, table.concat(text, "\n")
end

local function shortest(path) return "/" .. path:gsub("^[/.]*/+", ""):gsub("/%.?/+", "/"):gsub("/%.?$", "") end

--- How a root directory has to be called where it lies in one of the other trees: its own name, without a link.
local function root_in(spec, directories, host)
  local top, rest = nil, nil
  if spec.root and spec.root ~= "empty" then top, rest = enter(spec.root, directories, host) end
  return top and shortest(top .. "/" .. rest)
end

--- What is to be known of the sources of a checked spec: {[mount] = {top=, [path] = {top=, path=, rest=}}}, where the path
-- is the real one as far as the top, and the rest follows; all of it as a text; and how the root has to be called, if that
-- lies in such a tree.
function sources.find(spec, host)
  local directories, found, text = has_several(spec) and written(spec, host), {}, {}
  if not directories then return found, "" end
  for i, m in ipairs(spec.mounts or NONE) do
    for _, path in ipairs(m.nofollow == nil and lookups.sources_of(m) or NONE) do
      local top, rest = enter(path, directories, host)
      if top then
        found[m] = found[m] or { top = top }
        found[m][path] = { top = top, path = top .. "/" .. rest, rest = rest == "" and "." or rest }
        text[#text + 1] = ("%d %s %s %s"):format(i, path, top, rest)
      end
    end
  end
  return found, table.concat(text, "\n"), root_in(spec, directories, host)
end

return sources
