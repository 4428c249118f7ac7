--- The specs on the hosts that people have (host_rows.lua), as root and as an ordinary user. Ends with a table: how many
-- passed where, and why others were skipped.
--
-- HOSTS: patterns for the names of the hosts that are wanted, with | between them; SPEC: the files that are tried there, in
-- place of the row's.
local machine = require "support.machine"
local ns = require "ns"
local proof = require "proof"

local LOGS = (os.getenv("BUILD") or "build") .. "/hosts"

local function wanted(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

-- ---- what is run ----

-- A copy of the project that this user may write, below a /tmp of its own (in a virtual machine that is there); in it the
-- specs run, on what `setup` has made.
local PLACE = [[
  place=/tmp
  [ -n "${NS_VM-}" ] || { place=/mnt && mount -t tmpfs -o mode=1777 tmpfs /mnt; } || exit 125
  mkdir -p $place/ns/build && cp -r build/[5l]* build/refuse $place/ns/build &&
  cp -r .busted Makefile *.md LICENSE doc *.rockspec mkdocs.yml bin lua library spec examples src tools proof $place/ns &&
  chown -R %s $place/ns && { [ $place = /tmp ] || mount --move /mnt /tmp; } && cd /tmp/ns || exit 125
  %s
]]

local LAYER = { "unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--propagation", "private", "--fork",
  "--kill-child", "--mount-proc" }

local function user(id, name, home)
  return { title = "an ordinary user", owner = ("%d:%d"):format(id, id), argv = { "setpriv", "--reuid=" .. id,
    "--regid=" .. id, "--clear-groups", "env", "USER=" .. name, "HOME=" .. home, "XDG_RUNTIME_DIR=/run/user/" .. id } }
end

local USERS = { root = { title = "root", owner = "0:0", argv = {} }, user = user(65534, "nobody", "/tmp"),
  tester = user(1000, "tester", "/home/tester"),
  unit = { title = "a service of its own", owner = "0:0", argv = { "systemd-run", "--quiet", "--pipe", "--wait",
    "--same-dir", "--property=Delegate=yes", "--setenv=NS_VM=1" } },
  managed = { title = "a service of a user's", owner = "1000:1000", argv = { "runuser", "--user=tester", "--", "env",
    "XDG_RUNTIME_DIR=/run/user/1000", "systemd-run", "--user", "--quiet", "--pipe", "--wait", "--same-dir",
    "--setenv=NS_VM=1" } } }

--- What is run there: the files of the row's set, or all; or a part of the proof.
local function test(row)
  if row.part then return "sh proof/run.sh short " .. row.part end
  local set = proof.long and row.long or row.specs
  local files = wanted "SPEC" or set and set:gsub("(%S+)", "spec/%1_spec.lua") or "spec"
  return ("sh tools/test.sh %s %s"):format(row.lua or "lua5.4", files)
end

--- The command for one cell of the table.
local function command(row, who)
  local setup = row.setup or ""
  if not setup:find("$[@*]") then setup = setup .. '\nexec "$@"' end
  local argv = {}
  local function add(words)
    for _, word in ipairs(words) do argv[#argv + 1] = word end
  end
  add(row.vm and { "bash", "proof/vm.sh", row.vm } or LAYER)
  add { "sh", "-c", PLACE:format(who.owner, setup), "sh" }
  add(who.argv)
  for word in test(row):gmatch("%S+") do argv[#argv + 1] = word end
  return argv
end

local function is_wanted(row)
  local patterns = wanted "HOSTS"
  if not patterns then return proof.long or row.specs end
  for pattern in patterns:gmatch("[^|]+") do
    if row.name:find(pattern) then return true end
  end
end

--- One for each row and user.
local function cells()
  local list = {}
  for _, row in ipairs(require "host_rows") do
    if is_wanted(row) then
      for _, name in ipairs(row.users or { "root", row.vm and "tester" or "user" }) do
        list[#list + 1] = { row = row, who = USERS[name], title = ("%s, as %s"):format(row.name, USERS[name].title) }
      end
    end
  end
  return list
end

local function start(cell)
  return ns.spawn { argv = command(cell.row, cell.who), stdin = "null", stdout = "pipe", stderr = "stdout",
    timeout = wanted "SPEC" and 10800 or proof.size(900, 1800) }
end

-- ---- the table ----

local lines = {}

--- The reasons of what was skipped, each once, with its number.
local function reasons(text)
  local count, list = {}, {}
  for line in text:gmatch("\nPending [^\n]*\n([^\n]*)") do
    local reason = line:match("%[(.*)%]") or line
    if not count[reason] then list[#list + 1] = reason end
    count[reason] = (count[reason] or 0) + 1
  end
  for i, reason in ipairs(list) do list[i] = ("%s (%d)"):format(reason, count[reason]) end
  return table.concat(list, "; ")
end

--- What has failed, shortly; all that was said is in a file.
local function complain(cell, said)
  local log = ("%s/%s"):format(LOGS, cell.title:gsub("[^%w]+", "-"))
  machine.file(log, said:sub(1, 10 ^ 6))
  print(("FAILED: %s, see %s"):format(cell.title, log))
  for line in (said:match(".*\n(== [^\n]* failed\n.*)") or said:sub(-1000)):sub(1, 3000):gmatch("[^\n]+") do
    print("  " .. line:sub(1, 200))
  end
end

local function finish(cell, r)
  local said = r.stdout:gsub("\r", "")
  local passed, failed, skipped = said:match("(%d+) passed, (%d+) failed, (%d+) skipped\n$")
  if not passed then
    passed, failed, skipped = 0, 1, 0
    said = said .. "ended without a closing line: " .. tostring(r)
  end
  if failed ~= "0" then complain(cell, said) end
  proof.add(passed, failed, skipped)
  print(("%s: %s passed, %s failed, %s skipped"):format(cell.title, passed, failed, skipped))
  lines[#lines + 1] = ("| %s | %s | %s | %s | %.0f s | %s |"):format(cell.title, passed, failed, skipped, r.wall,
    reasons(said))
end

--- One whose program is missing, or that is not root's to make, is skipped.
local function possible(list)
  local kept = {}
  for _, cell in ipairs(list) do
    if not machine.root then
      proof.skip("%s: root makes other hosts", cell.title)
    elseif cell.row.needs and not proof.sh("command -v " .. cell.row.needs) then
      proof.skip("%s: there is no %s", cell.title, cell.row.needs)
    else
      kept[#kept + 1] = cell
    end
  end
  return kept
end

assert(proof.sh("mkdir -p %s && gcc -O1 -D_GNU_SOURCE -o build/refuse spec/support/refuse.c", LOGS))
proof.lanes(2, possible(cells()), start, finish)
print("| host | passed | failed | skipped | time | why |\n|---|---|---|---|---|---|\n" .. table.concat(lines, "\n"))
proof.finish()
