--- The steps of a spec in words. Nothing is opened or started for it: where the host would open something, its name stands.
-- @module ns.start.explain
require("ns.core").nojit()
local core = require "ns.core"
local errors = require "ns.start.errors"
local join = require "ns.words.join"
local optional = require "ns.start.optional"
local plan = require "ns.start.plan"
local ports = require "ns.words.ports"
local streams = require "ns.start.streams"
local survey = require "ns.start.survey"

local explain = {}

local ATTRIBUTES = { { "RDONLY", "read-only" }, { "NOSUID", "nosuid" }, { "NODEV", "nodev" }, { "NOEXEC", "noexec" } }
-- The ops whose data is a text to be read.
local DATA = { write = true, limit = true, sysctl = true, newuidmap = true, newgidmap = true }
local MOUNTS = { fs = true, tree = true, overlay = true, pivot = true, remount = true, newroot = true }

local function attributes(step, more)
  local bits = MOUNTS[step.op] and step.flags or 0
  for _, row in ipairs(ATTRIBUTES) do
    if math.floor(bits / core.constants.mount_attr[row[1]]) % 2 == 1 then more[#more + 1] = row[2] end
  end
end

--- What a step does beyond what the message of its failure would say.
local function more_of(step)
  local more = {}
  attributes(step, more)
  if DATA[step.op] and not step.from then more[1] = step.data:gsub("%s+$", ""):gsub("\n", ", ") end
  for _, option in ipairs((step.op == "overlay" and step.of or step).options or {}) do more[#more + 1] = option end
  for i = 2, #(step.argv or {}) do more[#more + 1] = ("%q"):format(step.argv[i]) end
  if step.op == "seccomp" then more[#more + 1] = ("%d instructions"):format((#step.data - (step.value or 0)) / 8) end
  more[#more + 1] = step.note
  if step.drop then more[#more + 1] = "without the host's groups" end
  return #more > 0 and (" (%s)"):format(table.concat(more, ", ")) or ""
end

--- What is found for the spec, with names in the place of what would be opened: { spec, found, what is left out of it for
-- sure }; or nil, message, errno, detail.
local function outlook(spec, host, left)
  local found, step, errno = survey.find(spec, host, streams.names(spec))
  if not found then return errors.refused(step, errno) end
  return { spec = spec, found = found, left = left }
end

--- The other road: what the start goes on without, where the step is refused.
local function without(step, spec)
  local names = spec.optional and optional.names(spec, step) or {}
  return #names > 0 and ("; where refused, without %s"):format(table.concat(names, ", ")) or ""
end

--- What is said of the mounts whose trees the host opens.
local function notes_of(steps)
  local notes = {}
  for _, step in ipairs(steps) do
    if step.op == "idmap" then
      notes[step.mount] = step.idmap == "owner" and "what its owner has is the program's" or "ids mapped"
    end
  end
  return notes
end

--- The text for a checked spec, one step a line; or nil, message, errno, detail when the root cannot be read.
function explain.text(spec, host)
  if not spec then return errors.caught(host) end
  local known, message, errno, detail = optional.start(spec, host, function(less, left) return outlook(less, host, left) end)
  if not known then return nil, message, errno, detail end
  local found, lines = known.found, {}
  spec = known.spec
  for _, entry in ipairs(known.left) do lines[#lines + 1] = ("leave out %s: %s"):format(entry.what, entry.why) end
  for _, left in ipairs(found.left_out) do
    lines[#lines + 1] = ("leave out %s: %s"):format(left.path, left.why or core.strerror(left.errno))
  end
  local by_host = plan.host_steps(spec, found)
  for _, one in ipairs(by_host) do
    if one.op == "open_tree" then found.trees[one.mount] = one.path end
  end
  found.notes = notes_of(by_host)
  local function say(steps)
    for _, one in ipairs(steps) do
      lines[#lines + 1] = errors.describe(one) .. more_of(one) .. without(one, spec)
      if one.joins then say(join.steps(spec, found)) end
    end
  end
  say(by_host)
  say(plan.lower(spec, found))
  say(ports.routes(spec, found, 0))
  return table.concat(lines, "\n") .. "\n"
end

return explain
