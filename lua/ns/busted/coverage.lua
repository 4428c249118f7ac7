--- luacov counts the lines of a copy there; they are added to those of the host, which writes them.
-- @module ns.busted.coverage
require("ns.core").nojit()

local coverage = {}

local function runner()
  local found = package.loaded["luacov.runner"]
  return found and found.initialized and found or nil
end

--- In the copy: from now on its own lines are counted, and an os.exit in a test writes nothing.
function coverage.begin()
  local luacov = runner()
  if not luacov then return end
  luacov.data = {}
  luacov.save_stats = function() end
end

--- In the copy: what was counted; nil without luacov.
function coverage.take()
  local luacov = runner()
  if not luacov then return nil end
  debug.sethook()
  return luacov.data
end

--- In the host.
function coverage.add(data)
  local luacov = runner()
  for name, lines in pairs(luacov and data or {}) do
    if luacov.data[name] then luacov.update_stats(luacov.data[name], lines) else luacov.data[name] = lines end
  end
end

return coverage
