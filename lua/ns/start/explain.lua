--- The steps of a spec in words. Nothing is opened or started for it: where the host would open something, its name stands.
-- @module ns.start.explain
require("ns.core").nojit()
local core = require "ns.core"
local errors = require "ns.start.errors"
local ids = require "ns.start.ids"
local plan = require "ns.start.plan"
local root = require "ns.words.root"
local stdio = require "ns.words.stdio"
local trees = require "ns.start.trees"

local explain = {}

local ATTRIBUTES = { "read-only", "nosuid", "nodev", "noexec" } -- MOUNT_ATTR_*, from the lowest bit up
local MOUNTS = { fs = true, tree = true, overlay = true, pivot = true, remount = true, newroot = true }

local function attributes(step, more)
  local bits = MOUNTS[step.op] and step.flags or 0
  for _, name in ipairs(ATTRIBUTES) do
    if bits % 2 == 1 then more[#more + 1] = name end
    bits = math.floor(bits / 2)
  end
end

--- What a step does beyond what the message of its failure would say.
local function more_of(step)
  local more = {}
  attributes(step, more)
  if step.op == "write" or step.op == "sysctl" then more[1] = step.data:gsub("%s+$", ""):gsub("\n", ", ") end
  for _, option in ipairs((step.op == "overlay" and step.of or step).options or {}) do more[#more + 1] = option end
  for i = 2, #(step.argv or {}) do more[#more + 1] = ("%q"):format(step.argv[i]) end
  more[#more + 1] = step.note
  return #more > 0 and (" (%s)"):format(table.concat(more, ", ")) or ""
end

--- What the host does before the launcher plays: the clone, and maps that the launcher may not write itself.
local function of_the_host(spec, host)
  local steps = { { op = "clone", namespaces = spec.flags } }
  if ids.drops_groups(spec, host) then table.insert(steps, 1, { op = "setgroups" }) end
  local writer = spec.flags.user and ids.writer(spec, host)
  if not writer or writer == "launcher" then return steps end
  if spec.setgroups then steps[#steps + 1] = { op = "write", path = "/proc/PID/setgroups", data = spec.setgroups } end
  for _, kind in ipairs { "gid", "uid" } do
    local path = writer == "host" and ("/proc/PID/%s_map"):format(kind) or ("new%smap"):format(kind)
    steps[#steps + 1] = { op = "write", path = path, data = ids.format(host[kind .. "_map"]) }
  end
  return steps
end

--- The names of what the host would open, in place of descriptors; true, or nil, path, errno.
local function survey(spec, host)
  host.ends, host.notes = stdio.names(spec), {}
  host.slave, host.console = spec.pty and "the new terminal" or nil, spec.pty and host.ends[0] or nil
  if spec.flags.user then host.uid_map, host.gid_map = ids.maps(spec, host) end
  if not spec.flags.mount then return true end
  host.privileged = ids.privileged(spec, host, host.uid_map)
  if spec.root then
    local parts, path, errno = root.parts(spec, host)
    if not parts then return nil, path, errno end
    spec.parts = parts
  end
  for _, list in ipairs { spec.parts or {}, spec.mounts or {} } do
    for _, m in ipairs(list) do host.notes[m] = trees.note(m, spec, host) end
  end
  return true
end

--- The text for a checked spec, one step a line; or nil, message, errno, detail when the root cannot be read.
function explain.text(spec, host)
  if not spec then return errors.caught(host) end
  local ok, path, errno = survey(spec, host)
  if not ok then return errors.refused({ op = "open", path = path, word = "root" }, errno) end
  local lines = {}
  for _, left in ipairs(host.left_out or {}) do
    lines[#lines + 1] = ("leave out %s: %s"):format(left.path, core.strerror(left.errno))
  end
  for _, steps in ipairs { of_the_host(spec, host), plan.lower(spec, host) } do
    for _, step in ipairs(steps) do lines[#lines + 1] = errors.describe(step) .. more_of(step) end
  end
  return table.concat(lines, "\n") .. "\n"
end

return explain
