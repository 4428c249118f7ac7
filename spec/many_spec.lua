--- A box of many mounts: no table of ours and no soft limit of the host's bounds them; what was lifted for it comes back.
local machine = require "support.machine"
local ways = require "support.ways"

local CODE = [[
  local ns, core = require "ns", require "ns.core"
  local function state() return #core.entries "/proc/self/fd" .. " " .. core.nofile() end
  ns.run { "true" } -- the first start keeps a descriptor
  local before, box = state(), ns.box { flags = %s, map = %s, system = true, mounts = { { type = "proc" } } }
  for i = 1, 300 do box:tmpfs("/t/" .. i, { mode = 493 }):ro_bind("/etc", "/t/" .. i .. "/e"):ro_bind("/usr", "/u/" .. i) end
  local LINE = "ls -d /t/*/e/passwd | wc -l; ls -d /u/*/bin | wc -l; ulimit -Sn; ls /proc/self/fd | wc -l"
  local r, why = box:run("sh", "-c", LINE)
  print(r and r.stdout .. r.stderr or why)
  print(state() == before or before .. " " .. state())
]]

for _, way in ipairs(ways.list) do
  describe("a box of nine hundred mounts " .. way.name .. " #system", function()
    local function said(limit)
      local under = { "sh", "-c", ("ulimit %s; exec \"$@\""):format(limit), "sh" }
      local code = CODE:format(way.user and "'user,mount,pid'" or "'mount,pid'", way.map and ("%q"):format(way.map) or "nil")
      return machine.host(code, { nobody = way.nobody, under = under }).stdout
    end

    it("runs with a soft limit of far fewer descriptors, which the program has, too", function()
      assert.equal("300\n300\n200\n4\n\ntrue\n", said "-Sn 200")
    end)

    it("is refused by name where the hard limit is as low, and nothing is left", function()
      assert.matches("^[^\n]+%(EMFILE%); a mount below another, [^\n]*%(ulimit %-Hn%)\ntrue\n$", said "-n 200")
    end)
  end)
end
