--- What an image is called: by its kind, its place and its tag.
-- @module ns.image.reference
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"

local reference = {}

local KINDS = { oci = true, ["oci-archive"] = true, ["docker-archive"] = true, dir = true, tar = true, docker = true }

--- "/a/b" and "b:1" of "/a/b:1"; a colon in a directory's name is none of a tag.
local function with_tag(text)
  local place, tag = text:match("^(.*):([%w_][%w_.-]*)$")
  if place and place ~= "" then return place, tag end
  return text
end

--- The same for what is a file or a directory: the longest place that is there, as a tag may be "docker.io/library/a:1".
local function with_tag_of_file(text)
  local place = text
  while place do
    if core.access(place, 0) then return place, place ~= text and text:sub(#place + 2) or nil end
    place = place:match "^(.+):[^:]*$"
  end
  return with_tag(text)
end

--- The full name of an image of a registry: "docker.io/library/alpine:latest" for "alpine".
local function full_name(name)
  local rest, tag = with_tag(name)
  local digest = name:match("@sha256:%x+$")
  if digest then rest, tag = name:sub(1, -#digest - 1), nil end
  local host = rest:match("^([^/]+)/")
  if not host or not (host:find("[.:]") or host == "localhost") then
    rest = (rest:find("/") and "docker.io/" or "docker.io/library/") .. rest
  end
  return rest .. (digest or ":" .. (tag or "latest"))
end

--- A reference as { kind, place, tag, name }. One without a kind is a tar, if it is a path, or of a registry.
function reference.read(text)
  check.text(text, "image")
  local kind, rest = text:match("^([%l-]+):(.*)$")
  if not (kind and KINDS[kind]) then kind, rest = text:find("^[./]") and "tar" or "docker", text end
  if kind == "docker" then rest = rest:gsub("^//", "") end
  if rest == "" or rest:find("[%c]") then check.fail("image", "no name in '%s'", check.show(text)) end
  local r = { kind = kind, place = rest }
  if kind == "oci" or kind == "oci-archive" then r.place, r.tag = with_tag_of_file(rest) end
  if kind == "docker-archive" and rest:find(".:") then r.place, r.tag = rest:match("^(.[^:]*):(.*)$") end
  if kind == "docker" then
    r.place = full_name(rest)
    if not r.place:find("^[%w][%w%._/:@-]*$") then check.fail("image", "'%s' is no name of an image", rest) end
    r.name = r.place
  else
    r.name = kind .. ":" .. rest
  end
  return r
end

return reference
