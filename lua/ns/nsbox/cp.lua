--- nsbox cp: files into a box with a name, or out of it.
--
-- A path in the box is looked up there, by the box's own tar, with the rights of its programs: no link leads to this
-- machine, and nothing of the box is loaded into a process of ours. What comes out is unpacked in a sandbox that has one
-- directory, and only then put in its place.
-- @module ns.nsbox.cp
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local ns = require "ns"
local records = require "ns.nsbox.records"
local values = require "ns.nsbox.values"

local cp = { summary = "Copies files into a box that runs, or out of it.", arguments = {
  { "from", 1, "what is copied: PATH, or NAME:PATH in a box" }, { "to", 1, "where to: NAME:PATH, or PATH" } } }

--- The name of a box and a path in it; nil for a path of this machine.
local function split(text)
  local name, path = text:match "^([^:/.][^:/]*):(.*)$"
  if name and path == "" then fail.now("%s: the path in the box is missing", text) end
  return name, path and (path:sub(1, 1) == "/" and path or "/" .. path)
end

--- The directory of a path, and its last name. "." stands for all that is in a directory.
local function parts(path)
  path = path:gsub("/+$", "")
  if path == "" then return "/", "." end
  local directory, name = path:match "^(.*)/([^/]+)$"
  return directory == "" and "/" or directory or ".", name or path
end

-- What is at a path in the box.
local WHAT = 'if [ -d "$1" ]; then echo directory; elif [ -e "$1" ] || [ -L "$1" ]; then echo file; fi'

--- The box says it: "directory", "file" for all else, or nothing. A link stands for the directory that it leads to.
local function what_is(container, path)
  local r = fail.unless(container:run { "sh", "-c", WHAT, "sh", path, stdin = "null", max_output = 2 ^ 12 })
  return r.stdout:match "%l+"
end

--- No file takes the place of a directory, and no directory that of a file. `comes`, `there`: what they are; nil is nothing.
local function check_kinds(comes, there, place)
  if not there or (comes == "directory") == (there == "directory") then return end
  local is_whole = comes == "directory"
  fail.now("cannot overwrite %s %s with %s", is_whole and "non-directory" or "directory", place,
    is_whole and "a directory" or "what is none")
end

local function missing_tar(message, detail)
  if detail and detail.step == "exec" then fail.now "the box has no tar, by which files are copied" end
  fail.now("%s", message)
end

--- How a tar packs for the other: with holes, if that in the box is GNU tar. Others leave such files out, without a word.
local function sparse(container)
  local r, message, _, detail = container:run { "tar", "--version", stdin = "null", max_output = 2 ^ 12 }
  if not r then missing_tar(message, detail) end
  return r.stdout:find("GNU tar", 1, true) and "-Scf" or "-cf"
end

-- Of what an end of a copy says, the beginning is kept, and all is taken: else it would wait for ever to say the rest.
local LISTEN = "head -c 4096; exec cat >/dev/null"

--- Listens to what was started with stderr = "pipe": for `finish`.
local function heard(p)
  local ear = fail.unless(ns.spawn { "sh", "-c", LISTEN, stdin = p.stderr, stdout = "pipe", stderr = "null" })
  p.stderr:close()
  return { process = p, ear = ear }
end

--- Waits for both ends of a copy: fails with what the first has said that has failed.
local function finish(r, one)
  local _, how, code = one.process:wait()
  local said = one.ear.stdout:read "*a"
  one.process:close()
  one.ear:close()
  if not (how == "exit" and code == 0) then fail.now("%s", said:match "[^\n]+" or ("tar: %s %s"):format(how, code)) end
  if r and not r.ok then fail.now("%s", r.stderr:match "[^\n]+" or tostring(r)) end
end

local function host(...)
  local r = fail.unless(ns.run { ... })
  if not r.ok then fail.now("%s", r.stderr:match "[^\n]+" or tostring(r)) end
end

--- Makes a directory beside the place that something is put into, for us alone.
local function scratch_beside(directory)
  local path = ("%s/.nsbox-%06x%06x"):format(directory, core.random(2 ^ 24), core.random(2 ^ 24))
  local ok, message = core.mkdir(path, tonumber("700", 8))
  if not ok then fail.now("%s: %s", directory, message) end
  return path
end

local function is_directory(path) return core.access(path .. "/.", 0) end

--- Where on this machine something of that name goes: a directory, and the name in it; "." for all that comes.
local function destination(to, name)
  local above, new = parts(to)
  if is_directory(to) then above, new = to, name end
  return values.absolute(above) or fail.now("there is no directory %s", above), new
end

--- What a directory has of that name; a link is a link. "." is the directory itself.
local function entry(directory, name) return core.layer_entry(directory, name == "." and "" or name) end

--- Adds what is in one directory to what is in another. GNU tar takes away what is in the place of a file, and the links in
-- that of a directory, so that none of them leads elsewhere; cp would follow them.
local function merge(from, directory, name)
  local p = fail.unless(ns.spawn { "tar", "-C", from, "-S", "-cf", "-", "--", name, stdin = "null", stdout = "pipe",
    stderr = "pipe" })
  local packs = heard(p)
  local r = fail.unless(ns.run { "tar", "-C", directory, "--no-same-owner", "--no-overwrite-dir", "-xpf", "-",
    stdin = p.stdout })
  finish(r, packs)
end

--- Puts what was unpacked in its place. A link that is there is replaced, and not followed: what the box has sent before may
-- be one.
local function put(from, name, directory, new)
  local comes, there = entry(from, name), entry(directory, new)
  if not comes then fail.now("the box has not sent %s", name) end
  local place = directory .. "/" .. new
  if there and there.type == "directory" and comes.type == "directory" then return merge(from, directory, new) end
  if there and there.type == "link" then os.remove(place) else check_kinds(comes.type, there and there.type, place) end
  host("mv", "-f", "-T", "--", name == "." and from or from .. "/" .. name, place)
end

local function our_umask() return values.read("/proc/self/status"):match "Umask:%s*(%d+)" or "022" end

local function out(container, path, to)
  local from, name = parts(path)
  local directory, new = destination(to, name)
  local scratch = scratch_beside(directory)
  local done, why = pcall(function()
    fail.unless(core.mkdir(scratch .. "/in", tonumber("755", 8)))
    local p, message, _, detail = container:spawn { "tar", "-C", from, sparse(container), "-", "--", name,
      stdin = "null", stdout = "pipe", stderr = "pipe" }
    if not p then missing_tar(message, detail) end
    local packs = heard(p)
    local box = ns.sandbox():bind(scratch .. "/in", "/in"):umask(our_umask())
    box:rlimits { as = 2 ^ 30 } -- whatever the box's tar has said
    local r = fail.unless(box:run { "tar", "-C", "/in", "--no-same-owner", "--no-same-permissions", "-xf", "-",
      stdin = p.stdout })
    finish(r, packs)
    put(scratch .. "/in", name, directory, new)
  end)
  host("rm", "-rf", "--", scratch)
  if not done then error(why, 0) end
end

--- What goes in belongs to the user of the box, with `o`, as each tar knows it. A name is another there, and no file can be
-- said to be a link to what it was: so all are files of their own.
local function into(container, from, path)
  local directory, name = parts(values.absolute(from, true))
  local comes = entry(directory, name) or fail.now("there is no %s", from)
  local target, new_name = path, name
  if what_is(container, path) ~= "directory" then target, new_name = parts(path) end
  if what_is(container, target) ~= "directory" then fail.now("there is no directory %s in the box", target) end
  local place = (target .. "/" .. new_name):gsub("^//", "/")
  check_kinds(comes.type, what_is(container, place), place .. " in the box")
  local p = fail.unless(ns.spawn { "tar", "-C", directory, sparse(container), "-", "--hard-dereference", "--transform",
    ("flags=r;s\1^%s\1%s\1"):format(name:gsub("[%^%$%.%*%[%]\\]", "\\%0"), (new_name:gsub("[\\&]", "\\%0"))), "--", name,
    stdin = "null", stdout = "pipe", stderr = "pipe" })
  local q, message, _, detail = container:spawn { "tar", "-C", target, "-xof", "-", stdin = p.stdout, stderr = "pipe" }
  if not q then
    p:close()
    missing_tar(message, detail)
  end
  local packs, unpacks = heard(p), heard(q)
  p.stdout:close()
  finish(nil, unpacks)
  finish(nil, packs)
end

--- Does what was typed (`ns.nsbox.parse`): the exit status.
function cp.run(given)
  for _, path in ipairs { given.from, given.to } do
    if path == "-" then fail.now "-: no archive is read or written, as docker does it; ./- is a file of that name" end
  end
  local from, from_path = split(given.from)
  local to, to_path = split(given.to)
  if from and to then fail.now "one of the two is a path of this machine" end
  if not (from or to) then fail.now "neither is in a box: NAME:PATH is" end
  local container = records.living(from or to)
  if from then out(container, from_path, given.to) else into(container, given.from, to_path) end
  return 0
end

return cp
