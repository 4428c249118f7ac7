--- Hints where a program, or its directory, is not found or not executed: what is there, looked up on the host by the steps
-- of the plan, and what helps.
-- @module ns.start.exec_hints
require("ns.core").nojit()
local core = require "ns.core"
local interpreter = require "ns.start.interpreter"
local host_path = require "ns.start.host_path"
local errno = core.constants.errno

local LEVELS = 5 -- of interpreters that have interpreters: the kernel follows no more

--- Whether a program is there; and the interpreter that it names, with its kind.
local function look(steps, path)
  local place, head = host_path.find(steps, path)
  if not head and not host_path.access(place, 0) then return false end
  head = head or core.head(place)
  if head then return true, interpreter.of(head, place) end
  return true
end

--- Follows a program to its interpreter, to the interpreter of that, and so on. Returns the first file whose interpreter is
-- not there, the path of that interpreter, and its kind; or nothing.
local function missing(steps, path, level)
  local _, name, kind = look(steps, path)
  if not name then return nil end
  if not look(steps, name) then return path, name, kind end
  if kind == "#!" and level < LEVELS then return missing(steps, name, level + 1) end
end

--- Does the plan make a root of its own?
local function has_root(steps)
  for _, step in ipairs(steps) do
    if step.op == "newroot" then return true end
  end
end

--- Why a path is not there: it is a link to nothing, or only the host has it.
local function absent(steps, path)
  local place, bytes, says = host_path.find(steps, path)
  local is_missing = not bytes and not host_path.access(place, 0)
  if says and is_missing then return ("%s is a link to %s, which is not there"):format(path, says) end
  if path:sub(1, 1) == "/" and is_missing and host_path.access(path, 0) and has_root(steps) then
    return ("the host has %s, the root of this spec has not: give it with bind or ro_bind"):format(path)
  end
end

local STORES = { "/nix/store/", "/gnu/store/" }

--- A program of NixOS' or Guix': its path is a link into a store.
local function stored(steps, path)
  local real = path:sub(1, 1) == "/" and core.realpath(path)
  for _, store in ipairs(real and has_root(steps) and STORES or {}) do
    if real:sub(1, #store) == store and not host_path.access(host_path.find(steps, real), 0) then
      return ("%s leads to %s: ro_bind('%s'), and the directories of links that PATH names"):format(path, real,
        store:sub(1, -2))
    end
  end
end

--- Where the host itself would find a program that is named without a directory.
local function elsewhere(step, steps)
  local name = step.data
  for directory in (name:find("/", 1, true) and "" or os.getenv("PATH") or ""):gmatch("[^:]+") do
    local path = directory .. "/" .. name
    if core.isfile(path) and core.access(path, 1) then
      return stored(steps, path) or ("the host has it as %s, and no directory of the program's PATH has it"):format(path)
    end
  end
end

--- A line for a shell, given as the name of a program.
local function for_a_shell(line)
  if not line:find("[%s~$*]") or #line > 200 then return nil end
  local words = {}
  for word in line:gmatch("%S+") do words[#words + 1] = ("'%s'"):format(word) end
  local apart = #words > 1 and not line:find("[^%w%s%p]") and not line:find("[~$*|&;<>()'\"`\\=]")
  return ("no shell reads this: { 'sh', '-c', %s }%s"):format(line:find("'", 1, true) and "[[" .. line .. "]]"
    or "'" .. line .. "'", apart and " or { " .. table.concat(words, ", ") .. " }" or "")
end

--- ENOENT: the program or its interpreter is missing, a link on the way leads to nothing, or a line for a shell was given.
local function not_found(step, steps)
  for _, path in ipairs(step.paths) do
    local why = stored(steps, path)
    if why then return why end
  end
  for _, path in ipairs(step.paths) do
    local script, name, kind = missing(steps, path, 0)
    if kind == "#!" and name:find("\r$") then
      return script .. " has lines that end as on Windows: its #! interpreter is not found"
    elseif name then
      return ("%s is there, but its %s interpreter %s is not"):format(script, kind, name)
    end
  end
  for _, path in ipairs(step.paths) do
    local why = absent(steps, path)
    if why then return why end
  end
  return for_a_shell(step.data) or elsewhere(step, steps)
end

local function no_directory(step, steps)
  local why = absent(steps, step.path)
  if why or step.path:sub(1, 1) ~= "~" then return why end
  return "no shell reads this: '~' stands for no directory"
end

--- execvp(3) says EACCES, too, where a directory of PATH cannot be searched and no other one has the program.
local function closed_directory(step)
  for _, path in ipairs(#step.paths > 1 and step.paths or {}) do
    local ok, _, number = core.access(path, 0)
    if not ok and number == errno.EACCES then
      return for_a_shell(step.data) or ("%s is closed, and no other directory of PATH has it"):format(path:match "^(.*)/")
    end
  end
end

local function not_executable(step, steps)
  for _, path in ipairs(step.paths) do
    local place = host_path.find(steps, path)
    if host_path.access(place, 0) then
      if host_path.access(place .. "/.", 0) then return path .. " is a directory" end
      if not core.isfile(place) then return path .. " is no regular file" end
      if core.isnoexec(place) then return path .. " is on a mount with the option noexec" end
      if not host_path.access(place, 1) then return path .. " is not executable: chmod +x" end
      local _, name = look(steps, path)
      local program = name and host_path.find(steps, name)
      if name and not program then return nil end
      if name and not (core.isfile(program) and host_path.access(program, 1)) then
        return ("its interpreter %s is not executable"):format(name)
      end
      return "its file system may be mounted noexec, or a directory above it closed to the ids inside"
    end
  end
  return closed_directory(step)
end

local BOM, LINE_MAX = "\239\187\191", 255 -- as execve(2) reads of a first line

--- Why the kernel takes a script for none.
local function no_program(step, steps)
  for _, path in ipairs(step.paths) do
    local place, head = host_path.find(steps, path)
    head = head or place and core.head(place) or ""
    if head:sub(1, 5) == BOM .. "#!" then return path .. " has a byte order mark before its '#!': save it without one" end
    if head:sub(1, 4) == "\127ELF" then return path .. " is a program for another kind of machine, or another word size" end
    if #(head:match("^#![^\n]*") or "") > LINE_MAX then
      return ("the first line of %s is longer than the %d bytes that the kernel reads"):format(path, LINE_MAX)
    end
  end
  return "no program: a script needs '#!' and its interpreter in the first line"
end

--- EPERM, ENOSYS and the like: of a filter whose instructions came ready.
local function filtered(_, steps)
  for _, step in ipairs(steps) do
    if step.op == "seccomp" then return "the filter of 'seccomp' may refuse execve, by which the program is started" end
  end
end

--- Rows for `ns.start.hints`.
return {
  { "exec", "ENOENT", not_found },
  { "chdir", "ENOENT", no_directory },
  { "exec", "EACCES", not_executable },
  { "chdir", "EACCES", function() return "it, or a directory above it, is closed to the ids inside" end },
  { "exec", "EPERM", filtered },
  { "exec", "ENOSYS", filtered },
  { "exec", "ENOEXEC", no_program },
  { "exec", "E2BIG", function() return "argv and env together are longer than the system takes" end },
  { "chdir", "EXDEV", function() return "it leads out of the program's root" end },
}
