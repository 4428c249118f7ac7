--- Tests in namespaces: each one is a function, and has what it changes for itself: files, a disk, limits.
-- A test that fails, crashes or hangs fails alone.
local ns = require "ns"

local box = ns.sandbox():timeout(10):grace(0)

local function read(path)
  local f = assert(io.open(path))
  local text = f:read "*a"
  f:close()
  return text
end

local tests = {
  { "a file of the system is replaced", box:clone():file("/etc/hostname", "inside\n"), function()
    assert(read "/etc/hostname" == "inside\n")
    return "inside"
  end },
  { "the disk is full", box:clone():tmpfs("/small", { size = "64k" }), function()
    local f = assert(io.open("/small/file", "w"))
    f:setvbuf "no"
    local ok, why = f:write(("x"):rep(100000))
    assert(not ok)
    return (why:match "No space left on device")
  end },
  { "a directory cannot be written", box, function()
    local f, why = io.open("/usr/file", "w")
    assert(not f)
    return (why:match "[^:]+$":gsub("^ ", ""))
  end },
  { "the list is sorted", box, function()
    local list = { 3, 1, 2 }
    table.sort(list)
    assert(list[1] == 3, "the first is " .. list[1])
  end },
  { "it does not crash", box, function() os.execute "kill -SEGV $PPID" end },
  { "it ends", box:clone():timeout(0.3), function() while true do end end },
}

for i, test in ipairs(tests) do
  local name, where, fn = test[1], test[2], test[3]
  local ok, result, _, detail = where:call(fn)
  if ok then
    print(("ok %d - %s (%s)"):format(i, name, result))
  else
    if not detail.how then error(result) end -- the machine has refused it
    print(("not ok %d - %s (%s: %s)"):format(i, name, detail.how, result))
  end
end
