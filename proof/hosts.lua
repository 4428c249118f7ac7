--- The specs on the hosts that people have (host_rows.lua), as root and as an ordinary user. Ends with a table: how many
-- passed where, and why others were skipped.
local machine = require "support.machine"
local ns = require "ns"
local proof = require "proof"
local rows = require "host_rows"

local LOGS = (os.getenv("BUILD") or "build") .. "/hosts"
local USER = "setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/tmp USER=nobody"

-- Below a /tmp of its own a copy of the project that this user may write; there the specs run in what `setup` makes.
local PLACE = [[
  mount -t tmpfs -o mode=1777 tmp /mnt && mkdir /mnt/ns &&
  cp -r .busted Makefile README.md *.rockspec build lua library spec examples src tools proof /mnt/ns &&
  chown -R %s /mnt/ns && mount --move /mnt /tmp && cd /tmp/ns || exit 125
  %s
]]

local LAYER = { "unshare", "--mount", "--pid", "--ipc", "--uts", "--net", "--propagation", "private", "--fork",
  "--kill-child", "--mount-proc", "sh", "-c" }

--- Who runs what where: one for each row and user.
local function cells()
  local list = {}
  for _, row in ipairs(rows) do
    for _, user in ipairs(row.users or { "root", "user" }) do
      local specs = proof.long and row.long or row.specs
      if specs or proof.long then list[#list + 1] = { row = row, user = user, specs = specs } end
    end
  end
  return list
end

local function title(cell)
  return ("%s, as %s"):format(cell.row.name, cell.user == "root" and "root" or "an ordinary user")
end

local function start(cell)
  local setup = cell.row.setup
  if not setup:find('"$@"', 1, true) then setup = setup .. ' && exec "$@"' end
  local test = ("%s sh tools/test.sh %s"):format(cell.user == "user" and USER or "", cell.row.lua or "lua5.4")
  for name in (cell.specs or ""):gmatch("%S+") do test = ("%s spec/%s_spec.lua"):format(test, name) end
  if not cell.specs then test = test .. " spec" end
  local argv = table.move(LAYER, 1, #LAYER, 1, {})
  argv[#argv + 1] = PLACE:format(cell.user == "user" and "65534:65534" or "0:0", setup)
  argv[#argv + 1] = "sh"
  for word in test:gmatch("%S+") do argv[#argv + 1] = word end
  return ns.spawn { argv = argv, stdin = "null", stdout = "pipe", stderr = "stdout", timeout = proof.size(300, 1800) }
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

local function finish(cell, r)
  local said = r.stdout
  local passed, failed, skipped = said:match("(%d+) passed, (%d+) failed, (%d+) skipped\n$")
  local log = ("%s/%s"):format(LOGS, title(cell):gsub("[^%w]+", "-"))
  machine.file(log, said)
  if not passed then
    print(("FAILED: %s ended without a closing line: %s\n%s"):format(title(cell), tostring(r), said:sub(-1000)))
    passed, failed, skipped = 0, 1, 0
  elseif failed ~= "0" then
    print(("FAILED: %s, see %s\n%s"):format(title(cell), log, (said:match(".*\n(== [^\n]* failed\n.*)") or ""):sub(1, 2000)))
  end
  proof.add(passed, failed, skipped)
  lines[#lines + 1] = ("| %s | %s | %s | %s | %.0f s | %s |"):format(title(cell), passed, failed, skipped, r.wall,
    reasons(said))
end

if not machine.root then
  proof.skip("other hosts are made by root")
else
  os.execute("mkdir -p " .. LOGS)
  proof.lanes(2, cells(), start, finish)
  print("| host | passed | failed | skipped | time | why |\n|---|---|---|---|---|---|")
  print(table.concat(lines, "\n"))
end
proof.finish()
