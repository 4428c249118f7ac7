--- Where on the host a path of the program lies, as the steps of its plan have put it together. Hints look there once the
-- process is gone.
-- @module ns.start.host_path
require("ns.core").nojit()
local core = require "ns.core"

local host_path = {}

--- Is there something at a place of the host, which may be none? mode as in access(2).
function host_path.access(place, mode)
  return place and core.access(place, mode)
end

local LINKS = 40 -- as path_resolution(7) has it

local BENEATH_ROOT = core.constants.step.BENEATH_ROOT

local function nothing() end

--- What a step puts on its path: a place of the host, or a link's target, or the bytes of a file, or nothing of the host.
local PUTS = {
  tree = function(s) return s.from or s.how ~= BENEATH_ROOT and s.source or nil end,
  overlay = function(s) return s.source end,
  symlink = function(s) return nil, s.data end,
  file = function(s) return nil, nil, s.data end,
  fs = nothing, mask = nothing,
}

--- The host's place of one more name below `above`, or the target of the link that it is, or the bytes of the spec's file.
local function enter(steps, above, inside, name)
  for i = #steps, 1, -1 do
    local puts = steps[i].path == inside and PUTS[steps[i].op]
    if puts then return puts(steps[i]) end
  end
  local place = above and (above == "/" and "" or above) .. "/" .. name
  return place, place and core.readlink(place)
end

--- Where the plan changes directory to, and whether its root is the host's; `elsewhere`: not even before that.
local function start(steps)
  local cwd, root = ".", "/"
  if steps.elsewhere then cwd, root = "/", nil end
  for _, step in ipairs(steps) do
    if step.op == "newroot" then cwd, root = "/", nil end
    if step.op == "chdir" then cwd = step.path end
  end
  return cwd, root
end

local function parent(path) return path:match("^(.*)/[^/]*$") or "" end

--- The path on the host for a path inside; nil where it is nothing of the host's, and then the bytes of a file of the spec.
-- And where the path itself is a link, what that says.
function host_path.find(steps, path)
  local cwd, root = start(steps)
  if path:sub(1, 1) ~= "/" then path = cwd .. "/" .. path end
  if path:sub(1, 1) ~= "/" then return path end
  local places, files, inside, rest, links, says = { [""] = root }, {}, "", path, 0, nil
  while rest:find("[^/]") do
    local name, link
    name, rest = rest:match("^/*([^/]+)(.*)$")
    local here = inside .. "/" .. name
    if name == ".." then
      inside = parent(inside)
    elseif name ~= "." then
      places[here], link, files[here] = enter(steps, places[inside], here, name)
      if not link then
        inside = here
      elseif links == LINKS then
        return nil
      else
        says = says or not rest:find("[^/]") and link or nil
        links, rest = links + 1, "/" .. link .. rest
        if link:sub(1, 1) == "/" then inside = "" end
      end
    end
  end
  return places[inside], files[inside], says
end

return host_path
