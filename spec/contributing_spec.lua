--- CONTRIBUTING.md: what its examples add, a word, a kind of mount and an op, works in a copy of this tree.
local machine = require "support.machine"
local manual = require "support.manual"
local ns = require "ns"

--- The changes of all blocks in `diff`, in their order: {path=, line=, old=, new=}, texts that begin and end with a newline.
local function changes()
  local list, path = {}, nil
  local _, blocks = manual.read "CONTRIBUTING.md"
  for _, block in ipairs(blocks) do
    for line in (block.language == "diff" and block.text or ""):gmatch("([^\n]*)\n") do
      local mark, rest = line:match("^([+ ])(.*)$")
      local change = list[#list]
      path = line:match("^%-%-%- (.+)$") or path
      if not mark then
        assert(line == "@@" or line:find("^%-%-%- "), line)
        list[#list + 1] = { path = path, line = block.line, old = "\n", new = "\n" }
      else
        if mark == " " then change.old = change.old .. rest .. "\n" end
        change.new = change.new .. rest .. "\n"
      end
    end
  end
  return list
end

--- Types a change into the tree: its place must be there, once.
local function apply(change, tree)
  local path = tree .. "/" .. change.path
  local text = machine.read(path)
  local first, last = text:find(change.old, 1, true)
  local where = ("the block in line %d, %s: its place is"):format(change.line, change.path)
  assert(first, where .. " not there:" .. change.old)
  assert(not text:find(change.old, last, true), where .. " there twice:" .. change.old)
  machine.file(path, text:sub(1, first - 1) .. change.new .. text:sub(last + 1))
end

describe("the examples of CONTRIBUTING.md, typed into a copy of the tree #system", function()
  local tree, remove

  --- Runs a shell line in the tree.
  local function run(line)
    local r = assert(ns.run { "sh", "-c", line, cwd = tree, timeout = 300 })
    assert.truthy(r.ok, r.stdout .. tostring(r))
    return r.stdout
  end

  --- The sentences with these words in their titles hold in the tree, and there are some.
  local function holds(pattern, ...)
    local output = run(("lua5.4 /usr/bin/busted --filter='%s' %s"):format(pattern, table.concat({ ... }, " ")))
    local passed = tonumber(output:match("(%d+) passed, 0 failed"))
    assert.truthy(passed and passed > 0, output)
  end

  setup(function()
    tree, remove = machine.directory()
    machine.sh({ cwd = machine.top },
      "cp -R Makefile .busted *.md bin lua src spec library doc examples proof tools " .. tree)
    for _, change in ipairs(changes()) do apply(change, tree) end
    run "make -s LUA_VERSION=5.4"
  end)

  teardown(function() remove() end)

  it("give a word", function() holds("coredump_filter", "spec/limits_spec.lua") end)

  machine.it("user", "mount")("give a kind of mount", function() holds("ramfs", "spec/mount_kinds_spec.lua") end)

  it("give an op", function() holds("alarm", "spec/limits_spec.lua", "spec/lowering_spec.lua") end)

  it("have their types, their lines in the manual, and their examples", function()
    holds("the types for editors", "spec/types_spec.lua")
    holds("every word of a spec", "spec/box_spec.lua")
  end)
end)
