--- What an image says of its program, as words of a box. A mistake in that is the image's, and is told by its name.
-- @module ns.image.program
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local users = require "ns.image.users"

local program = {}

--- Is it a way to say "/"? That is always there.
local function is_top(path) return ((path .. "/"):gsub("/%.%f[/]", "/"):find("^/+$")) ~= nil end

--- Sets all but the arguments.
local function dress(b, c, user)
  b:caps(user.uid == 0 and users.ROOT_CAPS or {})
  if users.has_one_id() then
    b:map "root"
  else
    if core.ids().euid ~= 0 then b:map "auto" end
    b:user(user.uid):group(user.gid)
  end
  b:env { HOME = user.home and user.home ~= "" and user.home or "/" }
  if next(c.env) then b:env(c.env) end
  if c.cwd then b:cwd(c.cwd) end
  if c.cwd and not is_top(c.cwd) then b:dir(c.cwd) end
  for _, path in ipairs(c.volumes) do
    if not is_top(path) then b:dir(path) end
  end
end

--- Calls f, which does what the image says.
local function as_said(image, f, ...)
  local ok, why = pcall(f, ...)
  if ok then return end
  local at = core.caller()
  if type(why) ~= "string" or why:sub(1, #at) ~= at then error(why, 0) end
  check.raise("image %s: %s", image.name, why:sub(#at + 1))
end

--- The arguments of both lists.
local function joined(first, second)
  local list = {}
  for _, one in ipairs(first) do list[#list + 1] = one end
  for _, one in ipairs(second) do list[#list + 1] = one end
  return list
end

--- Sets what the configuration of an image says, for that user, in a box, which is returned; `...`: the caller's arguments
-- in the place of the image's own.
function program.set(b, image, user, ...)
  local c, has_arguments = image.config, select("#", ...) > 0
  as_said(image, dress, b, c, user)
  local argv = joined(c.entrypoint or {}, has_arguments and {} or c.cmd or {})
  if #argv > 0 then as_said(image, b.argv, b, argv) end
  local all = has_arguments and joined(argv, { ... }) or {}
  if #all > 0 then b:argv(all) end
  return b
end

return program
