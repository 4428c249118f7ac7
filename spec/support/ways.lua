--- The three ways to a root of one's own: as the host's root, as root with a user namespace in which the ids are nobody's,
-- and as an ordinary user. What a spec says of mounts holds for all three.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local ways = {}

local function literal(value)
  if type(value) == "string" then return ("%q"):format(value):gsub("\r", "\\r"):gsub("%z", "\\0") end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for k, v in pairs(value) do parts[#parts + 1] = ("[%s]=%s"):format(literal(k), literal(v)) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local CODE = [[
  for _, words in ipairs %s do
    local r, message = require("ns").run(words)
    local said = r and r.stdout .. r.stderr or "refused: " .. message
    io.write(#said, "\n", said)
  end
]]

--- A copy of the spec with the program and, added to its own, the flags of this way.
local function complete(way, spec, line)
  local copy = {}
  for k, v in pairs(spec) do copy[k] = v end
  copy.flags = { "mount", "pid" }
  for _, name in ipairs(spec.flags or {}) do copy.flags[#copy.flags + 1] = name end
  if way.user then copy.flags[#copy.flags + 1] = "user" end
  copy.map = spec.map or way.map
  copy.argv = { "sh", "-c", line }
  copy.timeout = spec.timeout or 30
  return copy
end

-- An ordinary user who is to find mounts of the host's makes them as root of a user namespace, and is himself in one below.
local BELOW = "unshare --user --map-user=%d --map-group=%d"

local function without_newline(text) return (text:gsub("\n$", "")) end

local function run_here(words)
  local r, message = ns.run(words)
  return without_newline(r and r.stdout .. r.stderr or "refused: " .. message)
end

--- What a host of its own has said of each of its `count` programs; all that it has said, where it has not come to that.
local function parts_of(r, count)
  local said, parts, at = r.stdout, {}, 1
  for i = 1, count do
    local length, first = said:match("^(%d+)\n()", at)
    if not length then return { without_newline(said .. r.stderr) } end
    at = first + length
    parts[i] = without_newline(said:sub(first, at - 1))
  end
  parts[count] = without_newline(parts[count] .. r.stderr)
  return parts
end

--- Runs a list of {spec, shell line}, one after the other, in the same host; what ways.run returns, of each.
function ways.run_all(way, list, setup, through)
  local words = {}
  for i, one in ipairs(list) do words[i] = complete(way, one[1], one[2]) end
  if not setup and not way.nobody then
    for i, one in ipairs(words) do words[i] = run_here(one) end
    return words
  end
  local ids = core.ids()
  local drop = not machine.root and BELOW:format(ids.euid, ids.egid) or way.nobody and machine.as_user or ""
  local under = { "unshare", machine.root and "-m" or "-Urm", "--propagation", "private", "sh", "-c",
    ("%s\n%s\nexec %s \"$@\""):format(machine.shared and "mount --make-rshared /" or "", setup or "", drop), "sh" }
  for _, word in ipairs(through or {}) do under[#under + 1] = word end
  local code = CODE:format(literal(words))
  return parts_of(setup and machine.host(code, { under = under }) or machine.host(code, { nobody = true }), #list)
end

--- Runs a shell line inside and returns what it writes, or "refused: " and the message, without a newline at the end. With
-- `setup`, a shell line that makes mounts or descriptors on the host first, all happens in a mount namespace for it;
-- `through` is a command that runs the host then.
function ways.run(way, spec, line, setup, through) return ways.run_all(way, { { spec, line } }, setup, through)[1] end

ways.root = { name = "as root" }
ways.range = { name = "as root in a user namespace", user = true, map = "range" }
ways.user = { name = "as an ordinary user", user = true, nobody = true }

ways.list = machine.root and machine.can.user and { ways.root, ways.range, ways.user } or { ways.user }

--- `it` for what gives a tree to the program that it may write: a pending one where the machine cannot do it in this way.
function ways.it(way) return way == ways.range and machine.it("tree") or require("busted").it end

function ways.can_overlay(way) return way == ways.root or machine.can.overlay end

--- The same for an overlay that is thrown away: in a user namespace the kernel's tmpfs must have attributes of the user's.
function ways.overlay_it(way)
  if ways.can_overlay(way) and way ~= ways.range then return require("busted").it end
  return way == ways.range and machine.it("overlay", "tree") or machine.it("overlay")
end

--- `describe` for what makes a root of its own in this way: a pending one where the machine cannot.
function ways.describe(way)
  local said = ways.run(way, ways.with {}, "echo fine")
  return said == "fine" and require("busted").describe or machine.without("describe", said)
end

--- A root with /usr and so on, /proc, and the given mounts.
function ways.with(mounts, more)
  local spec = { root = "empty", system = true, mounts = { { type = "proc" } } }
  for _, m in ipairs(mounts) do spec.mounts[#spec.mounts + 1] = m end
  for k, v in pairs(more or {}) do spec[k] = v end
  return spec
end

--- A directory that the program of this way may write to, as far as the host is concerned; and what removes it.
function ways.directory(way)
  local path, remove = machine.directory()
  if way.nobody and machine.root then os.execute("chown 65534:65534 " .. path) end
  return path, remove
end

--- The options of the last mount on a place, as mountinfo inside tells them, without those of the access time and of ids.
function ways.flags(way, spec, place, setup)
  local said = ways.run(way, spec, "cat /proc/self/mountinfo", setup)
  local found
  for at, options in said:gmatch("%d+ %d+ [%d:]+ %S+ (%S+) (%S+)") do
    if at == place then found = options:gsub(",relatime", ""):gsub(",idmapped", "") end
  end
  return found or said
end

return ways
