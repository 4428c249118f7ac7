--- The builder: a spec that is put together word by word, and used again and again.
--
-- Each word of a spec is a method: `box:hostname("web")`, `box:rlimits{nofile = 64}`; without an argument it sets `true`.
-- These and all others that set something return the box, so that calls can be chained, and raise a mistake at your line.
-- The words are listed in doc/words.md.
-- @module ns.box
require("ns.core").nojit()
local box_words = require "ns.box_words"
local call = require "ns.call"
local check = require "ns.words.check"
local confined = require "ns.confined"
local merge = require "ns.words.merge"
local kinds = require("ns.words.mount_kinds").all
local namespaces = require "ns.words.namespaces"
local plan = require "ns.start.plan"
local stdio = require "ns.words.stdio"

local Box = box_words.class
local arguments, checked, copy, set = box_words.arguments, box_words.checked, box_words.copy, box_words.set
require "ns.box_mounts"

local box = {}

--- The words of a spec, each of them checked.
local function read(spec)
  local words, result = plan.read(spec), {}
  local fed = stdio.is_input(words.stdin) and not words.input
  for word, value in pairs(words) do
    if word ~= "stdin" or not fed then plan.words[word].check(value, word) end
    result[word] = copy(value)
  end
  return result
end

--- Is it a box?
function box.is(value)
  return getmetatable(value) == Box
end

--- A new box of the words that the function `name` starts from, with those of a spec or another box, its argument number
-- `argument` (1), as their methods set them. An array part becomes argv.
function box.over(words, spec, name, argument)
  if box.is(spec) then spec = spec.words end
  local given = spec == nil and {} or checked(("bad argument #%d to '%s' (%%s)"):format(argument or 1, name), read, spec)
  for word, value in next, given do merge.make_room(words, word, value) end
  local self = setmetatable({ words = words, cache = false, confined = name == "confined" }, Box)
  for word, value in next, given do
    if words[word] and merge.added_to[word] then self[word](self, value) else words[word] = value end
  end
  return self
end

--- Adds namespaces: box:unshare("pid", "mount").
-- @tparam string ... names: user, mount, pid, net, ipc, uts, cgroup, time
-- @treturn Box itself
-- @see namespaces(7)
function Box:unshare(...)
  if select("#", ...) == 0 then check.raise "unshare: name missing" end
  local flags = self.words.flags and namespaces.names(namespaces.check(self.words.flags, "flags")) or {}
  checked("%s", namespaces.check, { ... }, "unshare")
  for i = 1, select("#", ...) do flags[#flags + 1] = (select(i, ...)) end
  return set(self, "flags", flags)
end

-- What says how the host's own is to look, and goes where that is shared.
local OF_ITS_OWN = { uts = { "hostname", "domainname" }, time = { "time" }, pid = { "mount_proc" },
  net = { "sysctl", "publish", "reach", "network" } }

--- Takes namespaces away again, and what only they can have, as hostname, or the mount of /proc:
-- ns.sandbox():share("net").
-- @tparam string ... names: user, mount, pid, net, ipc, uts, cgroup, time
-- @treturn Box itself
-- @see namespaces(7)
function Box:share(...)
  if select("#", ...) == 0 then check.raise "share: name missing" end
  local left = namespaces.check(self.words.flags or {}, "flags")
  for name in pairs(checked("%s", namespaces.check, { ... }, "share")) do
    left[name] = nil
    for _, word in ipairs(OF_ITS_OWN[name] or {}) do self.words[word] = nil end
    box_words.keep_mounts(self, function(m) return kinds[m.type].of ~= name end)
    if name == "net" and self.confined then confined.share_net(self.words.landlock or {}) end
  end
  return set(self, "flags", namespaces.names(left))
end

--- Adds a variable, box:env("LANG", "C"), or several, box:env{LANG = "C"}; false removes the host's.
-- @tparam string|table name
-- @tparam[opt] string|boolean value must be there with a name: what os.getenv does not find is a mistake
-- @treturn Box itself
-- @see environ(7)
function Box:env(name, value)
  local add = name
  if type(name) == "table" then
    check.no_more("env", 1, name, value)
  elseif type(name) == "string" then
    if value == nil then check.raise("env.%s: value missing; false removes it", name) end
    add = { [name] = value }
  end
  checked("%s", plan.words.env.check, add, "env")
  local env = copy(self.words.env or {})
  for k, v in next, add do env[k] = v end
  self.words.env = env
  return self
end

--- Adds limits, by their names: box:rlimits{nofile = 64}; false takes one of the box's away.
-- @tparam table add
-- @treturn Box itself
-- @see setrlimit(2)
function Box:rlimits(add)
  if type(add) ~= "table" then return set(self, "rlimits", add) end
  local given, all = {}, copy(self.words.rlimits or {})
  for name, value in next, add do
    given[name] = value or 0 -- its name is to be a limit's, even where it goes
    all[name] = copy(value) or nil
  end
  checked("%s", plan.words.rlimits.check, given, "rlimits")
  self.words.rlimits = all
  return self
end

--- Adds fields of landlock: box:landlock{tcp_connect = {443}}. One that the box has is replaced, and goes with false.
-- @tparam table add
-- @treturn Box itself
-- @see landlock(7)
function Box:landlock(add)
  if type(add) ~= "table" then return set(self, "landlock", add) end
  local given, all = {}, copy(self.words.landlock or {})
  for name, value in next, add do
    given[name] = value or (name == "scope" and "signal" or {}) -- its name is to be a field's, even where it goes
    all[name] = copy(value) or nil
  end
  checked("%s", plan.words.landlock.check, given, "landlock")
  self.words.landlock = next(all) ~= nil and all or nil
  return self
end

--- The program and its arguments: box:argv("ls", "-l") or box:argv{"ls", "-l"}.
-- @tparam string|table first the program, or a list
-- @tparam[opt] string ... its arguments
-- @treturn Box itself
function Box:argv(...)
  local first = ...
  if type(first) == "table" then check.no_more("argv", 1, ...) end
  return set(self, "argv", type(first) == "table" and first or arguments("argv[%d]: missing", ...))
end

--- Where stdin comes from; a string that names no kind is fed to the program.
-- @param value "inherit", "null", "pipe", a file, a descriptor, {path=...}, or what is to be fed
-- @treturn Box itself
function Box:stdin(value)
  if stdio.is_input(value) then
    self.words.stdin = value -- not as input: a later "pipe" takes it away, but not what `input` has said
  else
    set(self, "stdin", value)
  end
  if value ~= "pipe" then self.words.input = nil end
  return self
end

--- What is fed to stdin, byte for byte; only "pipe" can stand beside it as stdin.
-- @tparam string value
-- @treturn Box itself
function Box:input(value)
  set(self, "input", value)
  if self.words.stdin ~= "pipe" then self.words.stdin = nil end
  return self
end

--- An independent copy.
-- @treturn Box
function Box:clone()
  return setmetatable({ words = copy(self.words), cache = false, confined = self.confined }, Box)
end

--- The box as a plain spec.
-- @treturn table a copy
function Box:spec()
  return stdio.feed(copy(self.words))
end

--- The words given to the method `name`: a program and its arguments, or one table of words, whose array part is that.
local function given_to(name, ...)
  local first = ...
  if select("#", ...) == 0 then return {} end
  local where = ("bad argument #1 to '%s' "):format(name)
  if type(first) == "table" and not getmetatable(first) then
    check.no_more(name, 1, ...)
    return checked(where .. "(%s)", plan.read, first)
  end
  return { argv = arguments(where .. "(argv[%d]: missing)", ...) }
end

--- The words with those that are given: a new table. A program takes the place of a function.
local function with(words, given)
  local merged = merge.over(words, given)
  if given.argv then merged.fn, merged.args = nil, nil end
  return stdio.feed(merged)
end

--- The spec, with the words that are given.
local function with_argv(self, name, ...)
  return with(self:spec(), given_to(name, ...))
end

--- The same for a start, with what the box keeps of those before (`ns.start.cache`), unless other words than argv are given:
-- the words are not copied.
local function for_start(self, name, ...)
  local given = given_to(name, ...)
  local first = next(given)
  local is_same = not first or first == "argv" and next(given, first) == nil
  self.cache = self.cache or { spawn = {}, run = {}, call = {} }
  return with(self.words, given), is_same and self.cache[name] or nil
end

--- The steps that would be played, in words, one a line; nothing is run. As `ns.explain`.
-- @tparam[opt] string|table ... a program and its arguments, in place of the box's own; or one table of words
-- @treturn string the text; or nil, message, errno, detail
function Box:explain(...)
  return box.explain(with_argv(self, "explain", ...))
end

--- Would this start here? As `ns.check`.
-- @tparam[opt] string|table ... a program and its arguments, in place of the box's own; or one table of words
-- @return true; or nil, message, errno, detail
function Box:check(...)
  return box.check(with_argv(self, "check", ...))
end

--- Starts the program given here, or that of the box: as `ns.spawn`.
-- @tparam[opt] string|table ... a program and its arguments; or one table of words, whose array part is that
-- @treturn Process the running program; or nil, message, errno, detail
function Box:spawn(...)
  return box.spawn(for_start(self, "spawn", ...))
end

--- Runs the program given here, or that of the box, to its end: as `ns.run`.
-- @tparam[opt] string|table ... a program and its arguments; or one table of words, whose array part is that
-- @treturn Result what it has come to; or nil, message, errno, detail
function Box:run(...)
  return box.run(for_start(self, "run", ...))
end

--- Calls a function in the box, in the place of its program, and waits for the results: as `ns.call`.
-- @tparam function fn
-- @param ... its arguments
-- @return true, and what it returns; or nil, message, errno, detail
function Box:call(fn, ...)
  local words, cache = for_start(self, "call")
  words.argv, words.argv0, words.fn, words.args = nil, nil, nil, nil
  return box.call(call.words(words, fn, ...), cache)
end

--- Starts the box itself, without a program of its own or with the one given here: a Container, in which programs run one
-- after the other, or at once, each in milliseconds less. It ends with that program, or, without one, when it is closed.
--
-- In a table of words there may be `stay`, true: it stays when that program ends; and `name`: it outlives its handle and
-- this script, and `ns.container` finds it again.
-- @tparam[opt] string|table ... a program and its arguments; or one table of words, whose array part is that
-- @treturn Container the box that lives; or nil, message, errno, detail
-- @raise a mistake in the spec, with the name of the field
-- @see ns.container
function Box:start(...)
  return box.start(self:spec(), ...)
end

--- Starts `size` boxes in advance, each for one program, which then starts as fast as in a Container.
-- @tparam integer size how many are to be ready, 1 to 1000
-- @treturn Pool
-- @raise a mistake in the spec, with the name of the field
-- @see ns.pool
function Box:pool(size)
  return box.pool(self:spec(), size)
end

--- Writes the box as a bundle of the Open Container Initiative, which crun and runc run to the same result.
-- @tparam string directory which is made, if it is missing
-- @tparam[opt] string|table ... a program and its arguments, in place of the box's own; or one table of words
-- @return true, and a list of what a bundle cannot carry: { field, why, weakens }; or nil, message, errno
-- @raise a mistake in the spec, with the name of the field
-- @see ns.oci
function Box:bundle(directory, ...)
  return require("ns.oci").write(with_argv(self, "bundle", ...), directory)
end

--- The box as the manifest of a Kubernetes Pod, in YAML: one container, with an image in the place of the box's root.
-- @tparam table options `image`; `name` ("box"), `namespace`, `restart` ("Never", "OnFailure", "Always")
-- @treturn string the text, which begins with what it does not carry, as comments
-- @treturn table a list of { what, why }: what it does not carry
-- @raise a mistake in the options
function Box:pod(options)
  return require("ns.pod").manifest(self:spec(), options)
end

local KEEPS = { start = true, pool = true, pod = true, spec = true, clone = true, explain = true, check = true, spawn = true,
  run = true, call = true, bundle = true }

-- All other methods change a word: what is known from earlier starts does not hold any more.
for name, method in next, Box do
  if type(method) == "function" and name:sub(1, 2) ~= "__" and not KEEPS[name] then
    Box[name] = function(self, ...)
      self.cache = false
      return method(self, ...)
    end
  end
end

-- Each word has one value.
local most = { env = 2, clone = 0, spec = 0, pool = 1, pod = 1, bind = 3, ro_bind = 3, file = 3, symlink = 3, overlay = 3,
  upper = 1, tmpfs = 2, dir = 2, remount = 2, proc = 2, dev = 2, sys = 2, mqueue = 2 }
for word in next, plan.words do most[word] = most[word] or word ~= "argv" and 1 or nil end
check.methods(box.is, Box, most)

return box
