--- README.md: each piece of Lua in it runs, as root and as an ordinary user, and what it is said to print it prints.
local machine = require "support.machine"

--- What the pieces that are no whole programs find around them.
local AROUND = [[
local ns, _ = require "ns"
local p = assert(ns.spawn { "sh", "-c", "echo a word; exit 3", stdout = "pipe", timeout = 20 })
]]
--- A program that ends while what it said first is still being shown.
local SLOW = [[
local ns, _ = require "ns"
local p = assert(ns.spawn { "sh", "-c", "echo one; sleep 0.1; echo two", stdout = "pipe", timeout = 20 })
local write = io.write
io.write = function(...) write(...) os.execute "sleep 0.2" end
]]
local LOOPS = { cqueues = "cqueues", uv = "luv", socket = "socket" }

--- The library of the loop that the piece is about, and the line that loads it.
local function loop(text)
  for variable, library in pairs(LOOPS) do
    if text:find("%f[%w]" .. variable .. "%.") then
      return library, ("local %s = require '%s'\n"):format(variable, library)
    end
  end
end

--- The fenced blocks: {language=, text=, line=, output=}; `output` is that of the block that follows without a word between.
local function blocks()
  local list, open, number, apart = {}, nil, 0, true
  for line in machine.read("README.md"):gmatch("([^\n]*)\n") do
    number = number + 1
    local fence = line:match("^```(%w*)$")
    if fence and not open then
      open = { language = fence, text = {}, line = number }
    elseif fence then
      open.text = table.concat(open.text, "\n") .. "\n"
      if open.language == "" and not apart then list[#list].output = open.text end
      list[#list + 1], open, apart = open, nil, false
    elseif open then
      open.text[#open.text + 1] = line
    elseif line ~= "" then
      apart = true
    end
  end
  return list
end

--- A pattern for an output: other numbers, times and terminals may stand there, and columns may be wider.
local function pattern(text)
  text = text:gsub("%p", "%%%0"):gsub("%d+", "%%d+"):gsub(" +", " +"):gsub("%%%?", "[?%%w/]+")
  return "^" .. text .. "\n*$"
end

describe("the piece of Lua in README.md", function()
  local programs = {}
  for _, block in ipairs(blocks()) do
    if block.language == "lua" then
      programs[#programs + 1] = block
      local whole = block.text:find('require "ns"', 1, true)
      local library, loading = loop(block.text)
      for who, nobody in pairs { ["this user"] = false, ["an ordinary user"] = true } do
        machine.it("user", library)(("in line %d runs for %s"):format(block.line, who), function()
          local r = machine.host((whole and "" or (loading or "") .. AROUND) .. block.text, { nobody = nobody })
          assert.truthy(r.ok, tostring(r))
          assert.equal("", r.stderr)
          if library and not whole then
            assert.matches("^one\ntwo\n", machine.host(loading .. SLOW .. block.text, { nobody = nobody }).stdout)
          end
          if block.output then assert.matches(pattern(block.output), r.stdout) end
        end)
      end
    end
  end

  it("is there, and the first two programs are followed by what they print", function()
    assert.truthy(programs[1].output:find("^namespace\n"))
    assert.truthy(programs[3].output:find("^sandbox\n"))
    assert.truthy(#programs > 6)
  end)
end)
