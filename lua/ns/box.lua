--- The builder: a spec that is put together word by word, and used again and again. Its methods are the words of
-- `ns.options`; each returns the box, so that calls can be chained.
-- @module ns.box
local check = require "ns.check"
local mounts = require "ns.mounts"
local plan = require "ns.plan"
local stdio = require "ns.stdio"

local Box = { __name = "ns.Box" }
Box.__index = Box

local box = {}

local function copy(value)
  if type(value) ~= "table" or getmetatable(value) then return value end
  local result = {}
  for k, v in next, value do result[k] = copy(v) end
  return result
end

local function checked(word, value, level)
  local ok, problem = pcall(plan.words[word].check, value, word)
  if not ok then error(check.mistake(problem) or problem, level + 1) end
end

--- Is it a box?
function box.is(value)
  return getmetatable(value) == Box
end

--- A new box, empty or starting from a spec or another box. An array part becomes argv.
function box.new(spec)
  if spec ~= nil and type(spec) ~= "table" then
    error(("bad argument #1 to 'box' (spec: table expected, got %s)"):format(type(spec)), 3)
  end
  local words = copy(box.is(spec) and spec.words or spec or {})
  for key, argument in pairs(words) do
    if type(key) == "number" then
      words.argv = words.argv or {}
      words.argv[key], words[key] = argument, nil
    end
  end
  return setmetatable({ words = words }, Box)
end

local function set(self, word, value)
  if value == nil then value = true end
  checked(word, value, 3)
  self.words[word] = copy(value)
  return self
end

for word in pairs(plan.words) do
  Box[word] = function(self, value) return set(self, word, value) end
end

--- Adds namespaces: box:unshare("pid", "mount").
function Box:unshare(...)
  local flags = copy(self.words.flags or {})
  for i = 1, select("#", ...) do flags[#flags + 1] = (select(i, ...)) end
  return set(self, "flags", flags)
end

-- ---- mounts, one after the other; each takes a table of further fields (`ns.mounts`) last ----

local function add_mount(self, m, options)
  for key, value in pairs(options or {}) do m[key] = value end
  local ok, problem = pcall(mounts.check_one, m, m.type)
  if not ok then error(check.mistake(problem) or problem, 3) end
  local list = self.words.mounts or {}
  list[#list + 1] = copy(m)
  self.words.mounts = list
  return self
end

--- Binds a part of the host's tree, writable: box:bind("/src"), box:bind("/src", "/work", {idmap = true}).
function Box:bind(source, target, options)
  if type(target) == "table" then target, options = nil, target end
  return add_mount(self, { type = "bind", source = source, target = target }, options)
end

--- Binds a part of the host's tree, read-only with all that is mounted below it.
function Box:ro_bind(source, target, options)
  if type(target) == "table" then target, options = nil, target end
  return add_mount(self, { type = "bind", source = source, target = target, ro = true }, options)
end

--- A file with the given bytes: box:file("/etc/motd", "hello\n", {mode = 420}).
function Box:file(target, data, options)
  return add_mount(self, { type = "file", target = target, data = data }, options)
end

--- A symbolic link: box:symlink("/lib64", "usr/lib64").
function Box:symlink(target, to)
  return add_mount(self, { type = "symlink", target = target, to = to })
end

--- An overlay of a directory, or of several, on `target` (default: the directory itself); what is written is thrown away,
-- unless the options have `upper` and `work`.
function Box:overlay(lower, target, options)
  if type(target) == "table" then target, options = nil, target end
  return add_mount(self, { type = "overlay", lower = lower, target = target or type(lower) == "string" and lower or nil },
    options)
end

--- Hides paths under empty files and directories.
function Box:mask(...)
  for i = 1, select("#", ...) do add_mount(self, { type = "mask", target = (select(i, ...)) }) end
  return self
end

--- tmpfs, dir, remount: box:tmpfs("/tmp", {size = "64m"}); proc, dev, sys, mqueue: box:proc(), box:dev("/dev").
for _, kind in ipairs { "tmpfs", "dir", "remount", "proc", "dev", "sys", "mqueue" } do
  Box[kind] = function(self, target, options)
    if type(target) == "table" then target, options = nil, target end
    return add_mount(self, { type = kind, target = target }, options)
  end
end

--- Adds a variable, box:env("LANG", "C"), or several, box:env{LANG = "C"}; false removes the host's.
function Box:env(name, value)
  local add = name
  if type(name) == "string" then add = { [name] = value == nil and "" or value } end
  checked("env", add, 2)
  local env = copy(self.words.env or {})
  for k, v in pairs(add) do env[k] = v end
  self.words.env = env
  return self
end

--- The program and its arguments: box:argv("ls", "-l") or box:argv{"ls", "-l"}.
function Box:argv(first, ...)
  return set(self, "argv", type(first) == "table" and first or { first, ... })
end

--- Where stdin comes from; a string that names no kind is fed to the program.
function Box:stdin(value)
  return set(self, stdio.is_input(value) and "input" or "stdin", value)
end

--- An independent copy.
function Box:clone()
  return box.new(self.words)
end

--- The box as a plain spec.
function Box:spec()
  return copy(self.words)
end

--- The spec, with the given program if there is one.
local function with_argv(self, ...)
  local spec = self:spec()
  if select("#", ...) > 0 then spec.argv = { ... } end
  return spec
end

--- The steps that would be played, in words, one a line; nothing is run.
function Box:explain(...)
  return box.explain(with_argv(self, ...), 3)
end

--- Would this start here? As `ns.check`.
function Box:check(...)
  return box.check(with_argv(self, ...), 3)
end

--- Starts the program given here, or that of the box: as `ns.spawn`.
function Box:spawn(...)
  return box.spawn(with_argv(self, ...), 3)
end

--- Runs the program given here, or that of the box, to its end: as `ns.run`.
function Box:run(...)
  return box.run(with_argv(self, ...), 3)
end

return box
