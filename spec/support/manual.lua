--- The manual: README.md, CONTRIBUTING.md and the pages below doc/, and the blocks of code in them.
--
-- What a block is stands behind its first three backquotes. A language comes first: `lua`, `sh`, `text` (for reading only),
-- `diff` (spec/contributing_spec.lua), or none (what the block before prints). Then, where it is not run for everybody:
-- `needs root_directory` (names that machine.it knows; what the text shows by itself need not be said), `as root`, or
-- `not run: REASON`. GitHub shows none of this.
local machine = require "support.machine"
local ns = require "ns"

local manual = {}

--- The paths of all pages, README.md first.
function manual.pages()
  local list = { "README.md" }
  if machine.read "CONTRIBUTING.md" then list[2] = "CONTRIBUTING.md" end
  for path in machine.sh({ cwd = machine.top }, "ls doc/*.md"):gmatch("[^\n]+") do list[#list + 1] = path end
  return list
end

--- The lines of a page that are not code, and its blocks.
--
-- A block: page, line, language, text; `needs`, a list, `root` and `reason` (why it is not run) as its first line says;
-- `output`, the text of the block that follows without a word between.
-- @treturn table {[number of the line] = text}
-- @treturn table list of blocks
function manual.read(page)
  local prose, blocks, open, number, apart = {}, {}, nil, 0, true
  for line in machine.read(page):gmatch("([^\n]*)\n") do
    number = number + 1
    local fence, rest = line:match("^```(%l*) ?(.*)$")
    if fence and not open then
      open = { page = page, line = number, language = fence, text = {}, root = rest == "as root",
        reason = rest:match("^not run: (.+)$"), needs = {} }
      for name in (rest:match("^needs (.+)$") or ""):gmatch("%S+") do table.insert(open.needs, name) end
      open.known = rest == "" or open.root or open.reason or #open.needs > 0
    elseif fence then
      open.text = table.concat(open.text, "\n") .. "\n"
      if open.language == "" and not apart then blocks[#blocks].output = open.text end
      blocks[#blocks + 1], open, apart = open, nil, false
    elseif open then
      table.insert(open.text, line)
    else
      prose[number] = line
      if line ~= "" then apart = true end
    end
  end
  assert(not open, page .. ": a block without an end")
  return prose, blocks
end

-- ---- what a block needs around it ----

--- What must be had on this machine, by what the text says.
local NEEDS = { { "ns%.sandbox", "sandbox" }, { "ns%.net", "sandbox" }, { "rate =", "tbf" },
  { 'root = "', "root" }, { "mount_proc", "proc" }, { ":overlay%(", "overlay" },
  { ":upper%(", "overlay" }, { ":upper%(", "tree" },
  { ":bind%(", "tree" }, { "PWD", "tree" }, { "/python3", "python" }, { "luarocks", "luarocks" } }

--- The names for machine.it.
function manual.needs(block)
  local list = { "user" }
  for _, row in ipairs(NEEDS) do
    if block.text:find(row[1]) then list[#list + 1] = row[2] end
  end
  for _, name in ipairs(block.needs) do list[#list + 1] = name end
  return list
end

--- Makes a directory with a small project and a small root, as a reader may have them, in which the blocks run; it belongs
-- to their user.
-- @treturn string its path
-- @treturn function that removes it
function manual.project(nobody)
  local directory, remove = machine.directory()
  local make = [[set -e; cd "$1"
    echo 'hello: hello.c' >Makefile; echo 'int main(void) { return 0; }' >hello.c; echo secret >secret.txt
    mkdir -p rootfs/bin rootfs/etc; cp "$(command -v busybox)" rootfs/bin/busybox; echo 'Welcome to Alpine!' >rootfs/etc/motd
    for tool in sh cat hostname id; do ln -s busybox rootfs/bin/$tool; done
    [ -z "$2" ] || chown -R "$2" .]]
  local r = assert(ns.run { "sh", "-c", make, "sh", directory, nobody and machine.root and "65534:65534" or "" })
  assert(r.ok, tostring(r))
  return directory, remove
end

-- What a block that is no whole program finds around it, if it has the name: a line of Lua, in this order.
local AROUND = {
  { "cqueues", "local cqueues = require 'cqueues'", module = "cqueues" },
  { "uv", "local uv = require 'luv'", module = "luv" },
  { "socket", "local socket = require 'socket'", module = "socket" },
  { "ns", "local ns = require 'ns'" },
  { "project", "local project = os.getenv 'PWD'" },
  { "p", [[local p = assert(require("ns").spawn { "sh", "-c", "echo a word; exit 3", stdout = "pipe", timeout = 20 })]] },
}

--- Does the code use the name, and not make it?
local function uses(text, name)
  return text:find("%f[%w_]" .. name .. "%f[^%w_]") and not text:find("local " .. name .. "%f[^%w_]")
end

--- The code of a block as a whole program, and the name of the module of an event loop that it uses, or nil.
-- @tparam table block
-- @tparam[opt] table other lines in place of those above, by name
function manual.program(block, other)
  local lines, module = {}, nil
  for _, row in ipairs(AROUND) do
    if row.module and block.text:find(('require "%s"'):format(row.module), 1, true) then module = row.module end
    if uses(block.text, row[1]) then
      lines[#lines + 1] = other and other[row[1]] or row[2]
      module = module or row.module
    end
  end
  lines[#lines + 1] = block.text
  return table.concat(lines, "\n"), module
end

--- A pattern for an output: other numbers, times and terminals may stand there, spaces may be more or lines, and
-- example.lua may have another name.
function manual.pattern(text)
  text = text:gsub("%p", "%%%0"):gsub("%d+", "%%d+"):gsub("%s+", "%%s+"):gsub("%%%?", "[?%%w/]+")
  text = text:gsub("example%%%.lua", "[^:]+")
  return "^" .. text .. "$"
end

return manual
