--- nsbox run: a program in a box of its own, in the foreground or in the background.
-- @module ns.nsbox.run
require("ns.core").nojit()
local bar = require "ns.nsbox.bar"
local behind = require "ns.nsbox.behind"
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local ns = require "ns"
local options = require "ns.nsbox.options"
local play = require "ns.nsbox.play"
local records = require "ns.nsbox.records"
local users = require "ns.image.users"
local values = require "ns.nsbox.values"

local run = { summary = "Runs a program in a new box.", rest = true, options = {},
  arguments = { { "words", "*", "the image, unless --system or --rootfs is said; the program, and its arguments" } } }

for _, list in ipairs { options.run, options.box } do
  for _, row in ipairs(list) do run.options[#run.options + 1] = row end
end

-- ---- the box ----

local unpack = table.unpack or unpack -- luacheck: ignore

--- A box of an image, or of a directory as one, and the user that is said in the place of its own.
local function box_of(image, given, plan, ...)
  image.config.user = given.user or image.config.user
  plan.layers = image.layers
  local box = image:box(...)
  local user = given.user and users.find(image.layers, given.user)
  return user and box:user(user.uid):group(user.gid) or box
end

local function of_rootfs(given, plan)
  local path, layer = given.rootfs:match("^(.-)(:?O?)$")
  if layer ~= ":O" then path, layer = given.rootfs, nil end
  path = values.absolute(path)
  local box = box_of(fail.unless(ns.image("dir:" .. path)), given, plan)
  if not layer then box:root(path) end
  return box:read_only(given.read_only or false)
end

--- The image is the first word; those behind it stand in the place of its own program, and come after its entrypoint.
local function of_image(given, plan)
  local name = table.remove(given.words, 1)
  local image = bar.image(name, {})
  if given.entrypoint then image.config.entrypoint = nil end
  local box = box_of(image, given, plan, unpack(given.words))
  if not given.entrypoint then given.words = box:spec().argv or {} end
  if not (given.words[1] or given.entrypoint) then
    fail.now("the image %s says no program: which one is to be run? nsbox run %s PROGRAM", name, name)
  end
  return given.read_only and box:read_only(true) or box
end

local function base(given, plan)
  if given.system and given.rootfs then fail.now "--system and --rootfs are two roots: say one of them" end
  if given.system then return ns.sandbox() end
  if given.rootfs then return of_rootfs(given, plan) end
  if not given.words[1] then fail.now "say what the root is: an image, --system, or --rootfs DIR" end
  return of_image(given, plan)
end

--- What is to be run: { box, program (its words), argv, name, remove, tty, interactive }.
function run.plan(given)
  local plan = { limits = {}, sysctl = {}, program = {}, name = given.name, remove = given.rm, tty = given.tty,
    interactive = given.interactive }
  plan.box = base(given, plan)
  if given.tty then plan.box:env("TERM", os.getenv "TERM" or "xterm") end
  options.apply(plan.box, given, plan)
  plan.root_caps = plan.layers and options.caps(users.ROOT_CAPS, given)
  plan.argv = given.words
  if given.entrypoint then table.insert(plan.argv, 1, given.entrypoint) end
  if not plan.argv[1] then fail.now "which program is to be run?" end
  for i, word in ipairs(plan.argv) do plan.program[i] = word end
  return plan
end

-- ---- a run ----

--- Starts a box with a name, plays the program in it as `play.whole` does, and ends it.
local function supervise(plan, whole)
  local name = plan.name
  records.supervise(name)
  local c, message, errno, detail = plan.box:start { name = name }
  local status
  if c then
    status, message, errno, detail = whole(c, plan.program)
    c:close()
  end
  if not status then
    records.remove(name)
    return fail.refused(message, errno, detail)
  end
  if plan.remove then records.remove(name) else records.finish(name, status) end
  return status
end

local function foreground(plan)
  play.at(plan, plan.program)
  if not plan.name then return fail.unless(play.whole(plan.box, plan.program)) end
  records.create(plan)
  return supervise(plan, play.whole)
end

--- Keeps what the terminal of a program shows, as it comes, until its end.
local function keep_shown(p, path)
  local f, terminal = io.open(path, "ab"), p:stream "pty"
  local bytes = terminal:read()
  while bytes do
    if f then
      f:write(bytes)
      f:flush()
    end
    core.poll(terminal:timeout() or -1, terminal:getfd(), "r")
    bytes = terminal:read()
  end
end

--- In the copy that stays behind: sees to the box until its end.
local function stay_behind(begun, plan)
  supervise(plan, function(container, words)
    local p, message, errno, detail = container:spawn(words)
    if not p then return nil, message, errno, detail end
    begun()
    if p.pty then keep_shown(p, records.log(plan.name)) end
    return fail.status(p:wait())
  end)
end

--- A name as docker's ids look, for a box that was given none.
local function new_name() return ("%06x%06x"):format(core.random(2 ^ 24), core.random(2 ^ 24)) end

local function background(plan)
  plan.name = plan.name or new_name()
  records.create(plan)
  local log = records.log(plan.name)
  fail.unless(io.open(log, "ab")):close()
  plan.program.stdin = plan.interactive and "pipe" or "null"
  if plan.tty then
    plan.program.pty, plan.program.stdin = true, nil
  else
    plan.program.stdout, plan.program.stderr = { path = log, append = true }, "stdout"
  end
  local ok, code, message = behind.start(stay_behind, plan)
  if ok then
    print(plan.name)
    return 0
  end
  records.remove(plan.name)
  return fail.with(code, "%s", message)
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function run.run(given)
  local plan = run.plan(given)
  return (given.detach and background or foreground)(plan)
end

return run
