--- What does this install script touch? It runs over your files, in a layer above them: then you see what it has changed,
-- and nothing has happened yet.
-- usage: lua touched.lua [-d DIRECTORY] [PROGRAM ARGUMENT ...]
--   The program sees the directory (default: a small project that is made for this) and can change what it sees of it;
--   without a program, a small installer runs.
local ns = require "ns"

local INSTALLER = [[
  mkdir -p bin lib && echo 'echo hello' >bin/hello && chmod 755 bin/hello && echo 'version = 2' >config
  rm -f lib/old; echo 'export PATH=$PWD/bin:$PATH' >>profile; echo installed]]

local function small_project()
  local directory = os.tmpname()
  os.remove(directory)
  os.execute("mkdir " .. directory .. " && cd " .. directory .. " && mkdir lib && echo 'version = 1' >config && "
    .. "echo old >lib/old && echo '# mine' >profile")
  return directory
end

local words = { (table.unpack or unpack)(arg) } -- luacheck: ignore
local directory = words[1] == "-d" and table.remove(words, 2) or nil
if directory then table.remove(words, 1) end
local is_ours = not directory
directory = directory or small_project()
if #words == 0 then words = { "sh", "-c", INSTALLER } end

local box = ns.sandbox():overlay(directory, "/home/user"):cwd("/home/user"):env("HOME", "/home/user"):timeout(600)
local r = assert(box:run { argv = words })
io.write(r.stdout, r.stderr)
print(("it has ended with %s %s, and would change:"):format(r.how, r.code or r.signame))
for path, kind, size, type in r:changes() do
  local is_written = type == "file" and kind ~= "removed"
  print(("  %-8s %s%s"):format(kind, path, is_written and (" (%d bytes)"):format(size) or ""))
end
if is_ours then os.execute("rm -rf " .. directory) end
