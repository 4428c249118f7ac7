--- doc/cookbook.md: each program in it runs, as root and as an ordinary user, and what it is said to print it prints.
local machine = require "support.machine"
local ns = require "ns"
local unpack = table.unpack or unpack -- luacheck: ignore

--- What a program must find here, by what its text says.
local NEEDS = { ["require \"luv\""] = "luv", ["require \"cqueues\""] = "cqueues", ["/python3"] = "python",
  [":overlay("] = "overlay", ["ns.sandbox"] = "sandbox", ["PWD"] = "tree" }

--- The programs: {title=, text=, line=, output=}; `output` is that of the block that follows without a word between.
local function programs()
  local list, open, title, apart, number = {}, nil, nil, true, 0
  for line in machine.read("doc/cookbook.md"):gmatch("([^\n]*)\n") do
    number = number + 1
    local fence = line:match("^```(%w*)$")
    if fence and not open then
      open = { language = fence, title = title, line = number }
    elseif fence then
      local text = table.concat(open, "\n") .. "\n"
      if open.language == "lua" then
        list[#list + 1] = { title = open.title, line = open.line, text = text }
      elseif not apart then
        list[#list].output = text
      end
      open, apart = nil, false
    elseif open then
      open[#open + 1] = line
    elseif line ~= "" then
      title, apart = line:match("^### (.*)") or title, true
    end
  end
  return list
end

--- A pattern for an output: other numbers and times may stand there, and columns be wider.
local function pattern(text)
  text = text:gsub("%p", "%%%0"):gsub("%d+", "%%d+"):gsub("%s+", "%%s+")
  return "^" .. text .. "$"
end

--- A directory with a small project, as a reader may have it, and a small root; it belongs to the user of the program.
local function project(nobody)
  local directory, remove = machine.directory()
  local make = [[set -e; cd "$1"
    echo 'hello: hello.c' >Makefile; echo 'int main(void) { return 0; }' >hello.c; echo secret >secret.txt
    mkdir -p rootfs/bin rootfs/etc; cp "$(command -v busybox)" rootfs/bin/busybox; echo 'Welcome to Alpine!' >rootfs/etc/motd
    for tool in sh cat hostname id; do ln -s busybox rootfs/bin/$tool; done
    [ -z "$2" ] || chown -R "$2" .]]
  local r = assert(ns.run { "sh", "-c", make, "sh", directory, nobody and machine.root and "65534:65534" or "" })
  assert.truthy(r.ok, tostring(r))
  return directory, remove
end

--- What this machine must have for a program, as `machine.it` takes it.
local function needs(text)
  local list = { "user" }
  for words, name in pairs(NEEDS) do
    if text:find(words, 1, true) then list[#list + 1] = name end
  end
  return unpack(list)
end

--- Runs a program in a project of this user, or of an ordinary one.
local function run(program, nobody)
  local directory, remove = project(nobody)
  local env = machine.paths(machine.public())
  env.PWD = directory
  local r = machine.host(program.text, { nobody = nobody, spec = { cwd = directory, env = env } })
  remove()
  return r
end

local function test(it, program, nobody)
  local who = nobody and "an ordinary user #system" or "this user"
  it(("'%s' (line %d) runs for %s"):format(program.title, program.line, who), function()
    local r = run(program, nobody)
    assert.truthy(r.ok, tostring(r))
    assert.equal("", r.stderr)
    if program.output then assert.matches(pattern(program.output), r.stdout) end
  end)
end

describe("the program of the cookbook", function()
  for _, program in ipairs(programs()) do
    if program.text:find("-- as root", 1, true) then
      test(machine.root_it, program, false)
    else
      test(machine.it(needs(program.text)), program, false)
      test(machine.it(needs(program.text)), program, true)
    end
  end
end)
