--- nsbox bwrap under the tests of bubblewrap itself, as root and as nobody. What tools/bubblewrap.sh has fetched is played
-- from a copy that everybody may read; a case that is known to be missing is skipped in that copy, and counted as not ok.
local core = require "ns.core"
local proof = require "proof"
proof.needs("strace", "capsh", "setpriv")

local TESTS = "build/bubblewrap/tests"

-- At the most so many cases may be missing.
local MOST = 3

--- {title, the user that it is missing for, what in the script begins it, what stands there instead}
local MISSING = {
  -- its fault is the 39th prctl of a process, and a start of root's that drops nothing has fewer
  { "pre-exec failure doesn't include exit-code in json-status", "root", "if ! command %-v strace", "if ! command -v none" },
}

local directory = os.tmpname()
os.remove(directory)

local function prepare()
  local line = "mkdir -m 755 D && cp -r bin lua D && mkdir D/build && cp -r build/5.4 D/build && cp -r TESTS D/tests && "
    .. "ln -s nsbox D/bin/bwrap && sed -i '1s/lua$/lua5.4/' D/bin/nsbox && chmod -R a+rX D"
  return proof.sh("%s", (line:gsub("TESTS", TESTS):gsub("%f[%w]D%f[%W]", directory)))
end

local function change(path, user)
  local f = assert(io.open(path))
  local text, count = f:read "a", 0
  f:close()
  for _, row in ipairs(MISSING) do
    if row[2] == user then
      text = text:gsub(row[3], row[4])
      count = count + 1
      print(("missing for %s: %s"):format(user, row[1]))
    end
  end
  f = assert(io.open(path .. "." .. user, "w"))
  f:write(text)
  f:close()
  return count
end

local function play(script, user, under)
  local missing = 0
  if script == "test-run.sh" then missing = change(directory .. "/tests/" .. script, user) end
  local name = script == "test-run.sh" and script .. "." .. user or script
  local _, text = proof.sh("cd / && unset LUA_PATH LUA_CPATH && BWRAP=%s/bin/bwrap BWRAP_MUST_WORK=1 timeout 600 %s bash "
    .. "%s/tests/%s 2>/dev/null", directory, under, directory, name)
  local planned = tonumber(text:match "1%.%.(%d+)")
  local _, ok = text:gsub("%f[^\n%z]ok[^\n]*", "")
  local _, skips = text:gsub("%f[^\n%z]ok[^\n]*# SKIP", "")
  proof.check(planned and planned == ok, "%s as %s: %d of %s are ok:\n%s", script, user, ok, tostring(planned),
    text:sub(-300))
  proof.check(missing <= MOST, "%s as %s: %d are missing", script, user, missing)
  proof.figure(("%s as %s"):format(script, user), "%d ok, %d skipped, %d missing", ok - skips, skips - missing, missing)
end

if not os.execute("test -d " .. TESTS) then
  proof.skip "the tests of bubblewrap are not there: sh tools/bubblewrap.sh"
else
  assert(prepare())
  for _, script in ipairs { "test-run.sh", "test-specifying-userns.sh", "test-specifying-pidns.sh" } do
    if core.ids().euid == 0 then
      play(script, "root", "")
      play(script, "nobody", "setpriv --reuid=65534 --regid=65534 --clear-groups")
    else
      play(script, "user", "")
    end
  end
  os.execute("rm -rf " .. directory)
end
proof.finish()
