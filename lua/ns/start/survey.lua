--- What a start depends on besides its spec, and only the machine can say: who asks; and for one spec, which maps there are,
-- what lies in the root's directory, what its streams are.
-- @module ns.start.survey
require("ns.core").nojit()
local later = require("ns.words.later").module
local core = require "ns.core"
local groups = later "ns.start.groups"
local ids = require "ns.start.ids"
local join = later "ns.start.join"
local landlock = later "ns.start.landlock"
local layered = later "ns.start.layered"
local maps = require "ns.words.maps"
local namespaces = require "ns.words.namespaces"
local network = later "ns.words.network"
local owners = require "ns.start.owners"
local parts = require "ns.start.parts"
local sources = require "ns.start.sources"
local subids = require "ns.start.subids"

local survey = {}

local ELOOP = core.constants.errno.ELOOP

-- What of the host is seldom needed: functions that ask for it.
local ASKED = { nested = namespaces.is_nested, number_of = join.number_of, maps_of = subids.maps_of,
  control_group = groups.find }

for name in ("environ arg_max entries realpath nofile access stamp owner readlink landlock"):gmatch "%S+" do
  ASKED[name] = function(...) return core[name](...) end
end

local HOST = { __index = ASKED }

--- The host: its ids and capabilities, and functions for what is seldom needed.
function survey.host() return setmetatable(core.ids(), HOST) end

--- What the ids decide.
local function find_ids(spec, host, found)
  local joined = found.join and found.join.ids
  found.program.uid, found.program.gid = ids.program(spec, host, joined)
  if spec.user or spec.group or spec.groups or spec.flags.user then
    found.may_set_groups = not joined and ids.may_set_groups(spec, host) -- those of the host are dropped already
  end
  if not spec.flags.user then return end
  local uid, gid = ids.maps(spec, host)
  found.maps, found.writer = { uid = uid, gid = gid }, ids.writer(spec, host)
  -- It enters that namespace before the launcher has its plan, so there must be maps by then.
  local is_outside = spec.network and network.is_outside(spec)
  if is_outside and found.writer == "launcher" then found.writer, found.denies = "host", true end
  found.drops_groups = ids.drops_groups(spec, host)
  found.inner = { uid = spec.user and spec.user.id or maps.first(uid),
    gid = spec.group and spec.group.id or maps.first(gid) }
end

--- For a root directory that the program may write, though its ids are nobody's on the host (map = "range"): sets
-- found.parts_idmap, how the ids of the files there are mapped, and found.parts_owner, whose they are if an ordinary user's.
local function find_owner(spec, host, found)
  local directory = spec.whole and host.realpath(spec.whole.bind) or found.parts.directory
  if not directory or spec.read_only ~= false or spec.map ~= "range" or not found.root then return found end
  local idmap, owner = owners.idmap(directory, host)
  if not idmap then return nil, { op = "idmap", path = directory, word = "root" }, owner end
  found.parts_idmap, found.parts_owner = idmap, owner
  return found
end

--- Does it matter for its steps whether the caller is root? To ask the kernel takes as long as a tenth of the rest.
local function needs_root(spec) return spec.root or spec.mounts or spec.network end

--- What the machine says of a checked spec; or nil, step, errno. `opened`: its streams, from `streams.open` or
-- `streams.names`; `box`: what a box has kept of an earlier start.
function survey.find(spec, host, opened, box)
  local found = { environ = host.environ, nofile = host.nofile, nested = host.nested, trial = host.trial,
    ends = opened.ends, slave = opened.slave, console = opened.console, ptmx = opened.ptmx,
    made = opened.made, waits = host.waits, trace = opened.trace, has_root = spec.root ~= nil, left_out = {}, trees = {},
    root = needs_root(spec) and ids.is_root(host), euid_is_root = host.euid == 0, program = {} }
  if spec.join then
    local kinds, refused, why = join.find(spec, host)
    if not kinds then return nil, refused, why end
    found.join = kinds
  end
  find_ids(spec, host, found)
  if host.serves then
    found.directory = host.keeps and host.keeps.directory
    found.scope, found.keeps_rights = "box", spec.flags.user and found.writer == "host" and spec.user and spec.user.id ~= 0
  end
  if spec.limits then
    local group, refused, why = host.control_group(spec.limits)
    if not group then return nil, refused, why end
    found.group, found.outlives = group, host.keeps ~= nil
  end
  if spec.flags.mount then found.privileged = ids.privileged(spec, host, found.maps and found.maps.uid) end
  if spec.landlock then
    local known, refused, why = landlock.find(spec, host)
    if not known then return nil, refused, why end
    found.landlock = known
  end
  local root_name
  found.below, found.below_text, root_name = sources.find(spec, host)
  if not spec.root then return found end
  local list, path, errno = parts.still(not spec.layers and box and box.parts, host), nil, nil
  if not list then list, path, errno = parts.find(spec, host) end
  if not list then return nil, { op = "open", path = path, word = "root" }, errno end
  if root_name and root_name ~= list.directory then
    return nil, { op = "open", path = spec.root, below = true, word = "root" }, ELOOP
  end
  if box then box.parts = list end
  found.parts, found.left_out = list, list.left_out
  if spec.layers then
    local ok, refused, why = layered.find(spec, host, found)
    if not ok then return nil, refused, why end
    return found
  end
  return find_owner(spec, host, found)
end

return survey
