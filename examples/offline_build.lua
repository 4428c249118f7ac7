--- Builds a project offline: the system is read-only, there is no network, and the sources are copied on write, so that they
-- stay as they are. What is built comes out through stdout.
-- usage: lua offline_build.lua [DIRECTORY PROGRAM]     runs make there, and takes PROGRAM; without: a small project in C
local ns = require "ns"

local PROJECT = {
  ["Makefile"] = "hello: main.o greet.o\n\t$(CC) -o $@ $^\nmain.o greet.o: greet.h\n",
  ["greet.h"] = "void greet(const char *name);\n",
  ["greet.c"] = '#include <stdio.h>\n#include "greet.h"\nvoid greet(const char *n) { printf("hello, %s\\n", n); }\n',
  ["main.c"] = '#include "greet.h"\nint main(void) { greet("world"); return 0; }\n',
}

local function small_project()
  local directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir " .. directory)
  for name, text in pairs(PROJECT) do
    local file = assert(io.open(directory .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end
  return directory
end

local function listing(directory)
  return assert(ns.run { "ls", "-lAR", "--time-style=full-iso", directory }).stdout
end

local own = not arg[1]
local source, program = arg[1] or small_project(), arg[2] or "hello"
local before = listing(source)

local box = ns.sandbox():overlay(source, "/src"):cwd("/src"):env("PROGRAM", program):timeout(600)
local build = assert(box:run("sh", "-c", 'make >&2 && cat -- "$PROGRAM"'))
io.write(build.stderr)
assert(build.ok, tostring(build))
print(("built %s: %d bytes; the sources are %s"):format(program, #build.stdout,
  listing(source) == before and "untouched" or "changed"))

-- The result is a string. It can be saved, or tried at once in a sandbox of its own.
if own then
  os.execute("rm -rf " .. source)
  local try = assert(ns.sandbox():file("/" .. program, build.stdout, { mode = 493 }):run("/" .. program)) -- 0755
  io.write(try.stdout)
end
