--- busted's files of specs, each in a copy of the Lua state in namespaces of its own, some at a time:
-- `busted --helper=ns.busted`, or `require "ns.busted"` at the top of a helper of one's own. In a file of specs it gives
-- single tests a world of their own, fixtures and assertions.
-- @module ns.busted
require("ns.core").nojit()
local assertions = require "ns.busted.assertions"
local engine = require "ns.busted.engine"
local files = require "ns.busted.files"
local fixtures = require "ns.busted.fixtures"
local harness = require "ns.busted.harness"
local listeners = require "ns.busted.listeners"
local settings = require "ns.busted.settings"
local smaller = require "ns.busted.smaller"
local stage = require "ns.busted.stage"
local traces = require "ns.busted.traces"

--- What tests and blocks are executed by.
local function around(execute, element)
  return smaller.execute(function(e) return fixtures.around(execute, e) end, element)
end

local face = { it = smaller.it, describe = smaller.describe, call = smaller.call, needs = smaller.needs,
  container = fixtures.container, server = fixtures.server }

--- As a helper: takes the place of the executor of files.
local function install_for_files(busted)
  local attributes = engine.file_attributes(busted)
  busted.register("file", files.execute, attributes)
  busted.hide "file"
end

local function install(busted)
  local parts = engine.open(busted)
  local is_helper = not busted.context.parent(busted.context.get())
  harness.open(parts, settings.read(is_helper and rawget(_G, "arg") or nil))
  listeners.note(parts.channels)
  stage.open(busted, is_helper and harness.said.timeout or 0)
  harness.wrap_executors(around)
  harness.wrap_calls()
  traces.fix(busted)
  busted.subscribe({ "file", "end" }, function(file)
    fixtures.close(file)
    return nil, true
  end)
  assertions.register(require "luassert", require "say")
  if is_helper then install_for_files(busted) else harness.watch_here() end
  busted.ns_face = face -- each file of specs may load us anew
end

local busted = engine.core()
if busted and not busted.ns_face then install(busted) end

return busted and busted.ns_face or face
