--- nsbox bundle: what run would run, as a bundle for crun, runc and nsbox-oci.
-- @module ns.nsbox.bundle
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local ns = require "ns"
local run = require "ns.nsbox.run"
local values = require "ns.nsbox.values"

local bundle = { summary = "Writes what run would run as a bundle: nsbox bundle ... -- DIR.", rest = true,
  options = run.options,
  arguments = { { "words", "+", "as of run; and the directory, which comes last, behind --" } } }

--- Takes the directory off the words.
local function take_directory(words)
  local directory = table.remove(words)
  if words[#words] == "--" then table.remove(words) end
  local ok, message, errno = core.mkdir(directory, tonumber("755", 8))
  if not ok and errno ~= core.constants.errno.EEXIST then fail.now("%s: %s", directory, message) end
  return values.absolute(directory)
end

--- A root in layers becomes a directory, as a bundle has one: with the owners that the files have on disk.
local function flatten(layers, directory)
  local at, is_root = directory .. "/layers", core.ids().euid == 0
  core.mkdir(at, tonumber("755", 8))
  core.mkdir(directory .. "/rootfs", tonumber("755", 8))
  local box = ns.box { flags = { "user", "mount" } }
  if is_root then
    box:uid_map { { 0, 0, 4294967295 } }:gid_map { { 0, 0, 4294967295 } }
  else
    box:map "auto"
  end
  if #layers > 1 then
    box:overlay(layers, at, { ro = true, suid = true })
  else
    at = layers[1]
  end
  local r = fail.unless(box:run("cp", "-a", "-T", "--", at, directory .. "/rootfs"))
  os.remove(directory .. "/layers")
  if not r.ok then fail.now("%s", r.stderr:match "[^\n]+" or tostring(r)) end
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function bundle.run(given)
  local directory = take_directory(given.words)
  if given.system and not given.words[1] then given.words[1] = "sh" end
  local plan = run.plan(given)
  local root = plan.box:spec().root
  if type(root) == "table" and root.lower then
    flatten(type(root.lower) == "table" and root.lower or { root.lower }, directory)
    plan.box:root { bind = directory .. "/rootfs", suid = true }:read_only(given.read_only or false)
  end
  local _, left = fail.unless(plan.box:bundle(directory, plan.program))
  for _, one in ipairs(left) do io.stderr:write(("nsbox: left out: %s: %s\n"):format(one.field, one.why)) end
  return 0
end

return bundle
