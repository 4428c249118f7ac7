--- The manual: each piece of code in README.md, CONTRIBUTING.md and doc/ runs, as root and as an ordinary user, and prints
-- what it is said to print. Each link leads somewhere.
local machine = require "support.machine"
local manual = require "support.manual"
local ns = require "ns"
local unpack = unpack or table.unpack -- luacheck: ignore

--- A program that ends while what it said first is still being shown, for the event loops.
local SLOW = [[
local write = io.write
io.write = function(...) write(...) os.execute "sleep 0.2" end
local p = assert(require("ns").spawn { "sh", "-c", "echo one; sleep 0.1; echo two", stdout = "pipe", timeout = 20 })
]]

local function run_lua(block, nobody)
  local directory, remove = manual.project(nobody)
  local env = machine.paths(machine.public())
  env.PWD, env.XDG_RUNTIME_DIR = directory, directory -- its names are no other spec's
  local function run(text)
    return machine.host(text, { nobody = nobody, spec = { cwd = directory, env = env } })
  end
  local r = run((manual.program(block)))
  local slowly, library = manual.program(block, { p = SLOW })
  local slow = library and slowly:find(SLOW, 1, true) and run(slowly)
  remove()
  assert.truthy(r.ok, tostring(r))
  assert.equal("", r.stderr)
  if block.output then assert.matches(manual.pattern(block.output), r.stdout) end
  if slow then assert.matches("^one\ntwo\n", slow.stdout) end
end

--- In a sandbox in which the project and /usr/local can be written; what comes of it is thrown away.
local function run_shell(block)
  local box = ns.sandbox():overlay("/usr/local"):overlay(machine.top, "/project"):cwd("/project"):timeout(300)
  local r = assert(box:run("sh", "-e", "-c", block.text))
  assert.truthy(r.ok, tostring(r))
  if block.output then assert.matches(manual.pattern(block.output), r.stdout) end
end

--- How a block of a language is tested. What needs no library of the running Lua is tested by one of them (#system), but for
-- README.md.
local KINDS = {
  sh = function(block, title)
    machine.it("sandbox", "overlay", unpack(manual.needs(block)))(title .. "runs #system", function() run_shell(block) end)
  end,
  lua = function(block, title)
    local _, library = manual.program(block)
    local tag = (library or block.page == "README.md") and "" or " #system"
    local needs = manual.needs(block)
    needs[#needs + 1] = library
    local it_runs = block.root and not machine.root and machine.root_it or machine.it(unpack(needs))
    it_runs(title .. "runs for this user" .. tag, function() run_lua(block, false) end)
    if not block.root then
      it_runs(title .. "runs for an ordinary user" .. tag, function() run_lua(block, true) end)
    end
  end,
}

describe("the code", function()
  for _, page in ipairs(manual.pages()) do
    local _, blocks = manual.read(page)
    for _, block in ipairs(blocks) do
      local title, kind = ("in line %d of %s "):format(block.line, block.page), KINDS[block.language]
      if block.reason then
        pending(title .. ("is not run [%s]"):format(block.reason))
      elseif kind then
        kind(block, title)
      end
    end
  end
end)

--- The anchor that GitHub makes of a heading.
local function anchor(heading)
  return (heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-"))
end

--- What can be led to: the pages, and their headings as "page#anchor".
local function targets()
  local found = {}
  for _, page in ipairs(manual.pages()) do
    found[page] = true
    for _, line in pairs((manual.read(page))) do
      local heading = line:match("^#+ (.*)")
      if heading then found[page .. "#" .. anchor(heading)] = true end
    end
  end
  return found
end

--- A link in a page as a path from the top: "../README.md#install" in doc/words.md is "README.md#install".
local function resolve(page, link)
  if link:sub(1, 1) == "#" then return page .. link end
  local path = (page:match("^.*/") or "") .. link
  return (path:gsub("[^/]+/%.%./", ""))
end

describe("the manual", function()
  local there = targets()

  for _, page in ipairs(manual.pages()) do
    local prose, blocks = manual.read(page)

    it("has no link that leads nowhere in " .. page, function()
      for number, line in pairs(prose) do
        for link in line:gmatch("%]%(([^)]+)%)") do
          local to = resolve(page, link)
          assert.truthy(link:find("^https?://") or there[to] or not to:find("#") and machine.read(to),
            ("line %d: %s"):format(number, link))
        end
      end
    end)

    it("says of each block of code in " .. page .. " what it is", function()
      for _, block in ipairs(blocks) do
        local what = ("line %d: %s"):format(block.line, block.language)
        assert.truthy(block.known, what)
        assert.truthy(({ lua = true, sh = true, text = true, diff = true, [""] = true })[block.language], what)
      end
    end)

    it("has no long lines in " .. page .. ", but for tables", function()
      for number, line in pairs(prose) do
        local long = page == "README.md" and 0 or 1
        local most = line:find("^|") and 120 + long * 180 or 120
        assert.truthy(#line:gsub("[\128-\191]", "") <= most or line:find("https://", 1, true), ("line %d"):format(number))
      end
      for _, block in ipairs(blocks) do
        for line in block.text:gmatch("[^\n]+") do
          assert.truthy(#line <= 125, ("block in line %d: %s"):format(block.line, line))
        end
      end
    end)
  end

  it("has all pages in the list of the site", function()
    local site = machine.read "mkdocs.yml"
    for _, page in ipairs(manual.pages()) do assert.truthy(site:find(page, 1, true), page) end
  end)

  it("begins with a README.md of at most 180 lines, whose first program prints what follows it", function()
    local _, blocks = manual.read("README.md")
    assert.truthy(blocks[1].output:find("^namespace\n"))
    assert.truthy(select(2, machine.read("README.md"):gsub("\n", "")) <= 180)
  end)
end)
