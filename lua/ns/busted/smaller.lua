--- One test or block in a world of its own, and what a test needs of the machine.
-- @module ns.busted.smaller
require("ns.core").nojit()
local check = require "ns.words.check"
local copies = require "ns.busted.copies"
local core = require "ns.core"
local features = require "ns.features"
local harness = require "ns.busted.harness"
local namespaces = require "ns.words.namespaces"
local ns = require "ns"
local plan = require "ns.start.plan"
local survey = require "ns.start.survey"
local surroundings = require "ns.surroundings"

local smaller = {}

local KINDS = {}
for _, row in ipairs(namespaces.list) do KINDS[row.name] = true end

local function is_root() return core.ids().euid == 0 end

--- A spec of { "net", "pid", hostname = "a" }: namespaces, and words. nil stands for all kinds that a test can be given.
function smaller.spec(what)
  local spec, flags, set = {}, {}, {}
  for key, value in next, what or { "pid", "net", "ipc", "uts", "mount" } do
    if type(key) ~= "number" then spec[key] = value end
    if type(key) == "number" and not KINDS[value] then
      check.raise("bad argument to 'isolated' (unknown namespace '%s'%s)", tostring(value),
        check.nearest(tostring(value), KINDS))
    end
    if type(key) == "number" then set[value] = true end
  end
  local by_user = not is_root() and not set.user
  if set.pid or spec.mounts then set.mount = true end
  if by_user and next(set) then set.user = true end
  for name in pairs(set) do flags[#flags + 1] = name end
  spec.flags, spec.init, spec.session = flags, true, true
  if set.pid and spec.mount_proc == nil and not spec.root then spec.mount_proc = true end
  -- Who asks for a namespace of users has its rights; else a test has those that it has outside.
  if by_user and set.user then spec.map, spec.caps = spec.map or "self", spec.caps or {} end
  if by_user and set.net and not (spec.sysctl or spec.optional) then
    spec.sysctl, spec.optional = surroundings.any_port, { "sysctl" }
  end
  return spec
end

-- ---- needs ----

local known = { root = { is_root, "the user is not root" } }

--- Has the machine a feature (`ns.features`), or a kind of namespace? true; or nil, why not.
local function has(name)
  if known[name] == nil then
    local ok, reason = features.one(name)
    if ok == nil and reason == "unknown" then
      check.raise("bad argument #1 to 'needs' (unknown feature '%s'%s)", name, check.nearest(name, features.names()))
    end
    known[name] = { function() return ok end, reason }
  end
  return known[name][1](), known[name][2]
end

--- What is missing of a list, as text; nil if nothing is.
function smaller.missing(list)
  for _, name in ipairs(check.items(type(list) == "string" and { list } or list, "needs")) do
    local ok, why = has(name)
    if not ok then return ("needs %s: %s"):format(name, why or "it is not to be had here") end
  end
end

--- What a block has said that it needs, of those around an element.
local function lacking(element)
  local context = harness.busted.context
  while element do
    if element.ns_lacks then return element.ns_lacks end
    element = context.parent(element)
  end
end

local IN_TEST = { it = true, before_each = true, finally = true }

--- In a test: it is pending if something is missing. In a block or a file: all its tests are.
function smaller.needs(list)
  local why = smaller.missing(list)
  if not why then return true end
  if harness.said.require_all then error(why .. " (NS_REQUIRE=all)", 0) end
  local element = harness.busted.context.get()
  if IN_TEST[element.descriptor] then harness.busted.pending(why) end
  if element.descriptor ~= "file" and element.descriptor ~= "describe" then
    element = harness.busted.context.parent(element) -- a setup
  end
  element.ns_lacks = why
  return false
end

-- ---- a world of its own ----

local function follow(play)
  while true do
    play:play()
    if play.copy.ended then break end
    copies.set_deadline(play.copy)
    if not copies.pump(0.2) then copies.show_all(play.copy) end
  end
  play:play()
end

--- Plays an element to its end in copies; false, why not.
local function in_copies(element, body)
  local attributes, running = element.attributes, copies.running
  copies.running = {}
  copies.keep()
  local function start(position)
    return harness.start(element, attributes.isolate, body, { inner = true, position = position,
      timeout = attributes.timeout })
  end
  local play, message = start()
  if play then harness.play_out(play, follow, start) end
  copies.running = running
  return play ~= nil, message
end

local function as_pending(element, why)
  element.message = why
  return harness.pending(element)
end

--- How tests and blocks are executed: as pending, where something is missing; in a copy, where they are to be isolated.
function smaller.execute(execute, element)
  local busted = harness.busted
  local why = element.descriptor ~= "describe" and lacking(element)
  if why then return as_pending(element, why) end
  if not element.attributes.isolate then return execute(element) end
  -- what is set up once is set up for all that follow
  if element.descriptor == "it" and not harness.parts.block.lazySetup(busted.context.parent(element)) then return end
  local ok, message = in_copies(element, function() execute(element) end)
  if ok then return end
  if harness.said.require_all then error(message, 0) end
  if element.descriptor == "it" then return as_pending(element, message) end
  busted.publish({ "error", element.descriptor }, element, busted.context.parent(element), message, element.trace)
end

--- The attributes of a test or block that is to be isolated: its spec, checked while the user's line is on the stack, and
-- what is ours.
local function attributes_of(descriptor, what, body)
  local spec, words = smaller.spec(what), { fn = body }
  local ok, seconds = pcall(check.seconds(0, 1e9), spec.timeout or 0, "timeout")
  local mistake = not ok and (check.mistake(seconds) or tostring(seconds))
  local attributes = { isolate = spec, timeout = spec.timeout }
  spec.timeout = nil -- of a test, not of the process
  for word, value in next, spec do words[word] = value end
  if not mistake then mistake = select(2, plan.check(words, survey.host())) end
  if mistake then check.raise("bad argument #2 to '%s' (%s)", descriptor, mistake) end
  return attributes
end

local function declare(descriptor)
  return function(name, what, body)
    if body == nil then what, body = nil, what end
    if type(body) ~= "function" then
      check.raise("bad argument #3 to '%s' (function expected, got %s)", descriptor, type(body))
    end
    local busted = harness.busted
    local trace = busted.getTrace(busted.context.get(), 3, name)
    busted.publish({ "register", descriptor }, name, body, trace, attributes_of(descriptor, what, body))
  end
end

smaller.it, smaller.describe = declare "it", declare "describe"

--- What busted calls a failure or a pending test is a table with a class, which does not come back as such: its kind and
-- its text do.
local function kind_of(e)
  local class = type(e) == "table" and debug.getmetatable(e)
  local kind = type(class) == "table" and rawget(class, "__type")
  return (kind == "failure" or kind == "pending") and kind
end

local function telling(fn)
  local function finish(ok, ...)
    if ok then return ... end
    local e = ...
    local kind = kind_of(e)
    error(kind and { [kind .. " of busted's"] = tostring(e.message) } or e, 0)
  end
  return function(...) return finish(pcall(fn, ...)) end
end

local function raise(message, value)
  local busted = harness.busted
  local failure = busted and type(value) == "table" and value["failure of busted's"]
  local pending = busted and type(value) == "table" and value["pending of busted's"]
  if failure then busted.fail(failure, 0) end
  if pending then busted.pending(pending) end
  error(value ~= nil and type(value) ~= "string" and value or message, 0)
end

--- Calls fn(...) in a world of its own, and returns its results; its errors are raised here.
function smaller.call(what, fn, ...)
  local function results(ok, ...)
    if ok then return ... end
    local message, _, detail = ...
    raise(message, detail and detail.value)
  end
  local spec = smaller.spec(what)
  spec.session = nil
  return results(ns.call(spec, type(fn) == "function" and telling(fn) or fn, ...))
end

return smaller
