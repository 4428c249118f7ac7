--- The house: which room of lua/ns may require which. Each room's first file says so in a sentence.
local machine = require "support.machine"

--- {first file, the rooms below}: "face" is lua/ns itself, with the folders of its larger objects.
local ROOMS = {
  nsbox = { "ns.nsbox.main", "the face" },
  harness = { "ns.busted.settings", "face, start, running and words" },
  face = { "ns", "start, running and words" },
  start = { "ns.start.spawn", "running and words" },
  running = { "ns.running.process", "words" },
  words = { "ns.words.options", "nothing" },
}

local PARTS_OF = { net = "face", image = "face", slurm = "face", oci = "face", busted = "harness" }

local function room_of(module)
  local folder = module:match("^ns%.(%l+)%.")
  return module == "ns.busted" and "harness" or PARTS_OF[folder] or folder or "face"
end

local function text_of(module)
  local path = "lua/" .. module:gsub("%.", "/")
  return machine.read(path .. ".lua") or machine.read(path .. "/init.lua")
end

describe("each room of lua/ns", function()
  it("requires its own files and those of the rooms below", function()
    local seen = {}
    for _, module in ipairs(machine.modules()) do
      local room = room_of(module)
      seen[room] = true
      local text = text_of(module):gsub("= later (\"ns%.)", "= require %1") -- which is loaded when it is called
      for other in text:gmatch("require *%(?[\"'](ns[%w_.]*)[\"']") do
        local below = other == "ns.core" or room_of(other) == room or ROOMS[room][2]:find(room_of(other), 1, true)
        assert(below, module .. " requires " .. other)
      end
    end
    for room in pairs(ROOMS) do assert.truthy(seen[room], room) end
  end)

  for room, row in pairs(ROOMS) do
    it("says so in its first file: " .. room, function()
      assert.matches("%-%- Requires " .. row[2] .. "%.\n", text_of(row[1]))
    end)
  end
end)

describe("the core", function()
  it("has one function of each name, whichever of its files that is in", function()
    local seen, pipe = {}, io.popen("ls src/core/*.c")
    for path in pipe:lines() do
      -- those of copy.c are in a table of their own
      local rows = path ~= "src/core/copy.c" and machine.read(path):match("luaL_Reg functions%[%] = (%b{});") or ""
      for name in rows:gmatch('{"([%w_]+)",') do
        assert(not seen[name], ("%s: in %s and %s"):format(name, tostring(seen[name]), path))
        seen[name] = path
      end
    end
    pipe:close()
    assert.truthy(seen.spawn or seen.launch)
  end)
end)
