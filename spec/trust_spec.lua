--- What the programs of a living box may do beside each other: each has the rights of the first, an enemy among them gets
-- nothing of the host's, and cannot take the box from it.
local machine = require "support.machine"

local needs = machine.it "sandbox"

-- All that could be more with the second program than with the first.
local LOOK = [[
  grep -E '^(Cap|NoNew|Seccomp|Groups|Uid|Gid|Sig[BIC]|Cpus|Mems|Umask)' /proc/self/status
  cd /proc/self; readlink ns/*; cat mountinfo uid_map gid_map setgroups limits cgroup oom_score_adj
  cut -d' ' -f18,19,40,41 stat; /rights]]

local BOXES = {
  { "a sandbox", "ns.sandbox()" },
  { "with all capabilities", "ns.sandbox():caps { 'all' }:no_new_privs(false)" },
  { "with some of them, and bits", "ns.sandbox():caps { 'net_admin', 'sys_ptrace' }:securebits { 'noroot' }" },
  { "with limits", "ns.sandbox():rlimits { nofile = { soft = 20, hard = 30 }, fsize = 1000 }:oom_score_adj(500):nice(3)" },
  { "that keeps the host's keyring", "ns.sandbox():keyring 'inherit'" },
  { "of a few namespaces", "ns.box():unshare('user', 'mount', 'pid'):map 'self':root '/':proc()" },
  { "of root's with another user", "ns.sandbox():user(1000):group(1001):groups { 1002, 1003 }", root = true },
  { "of root's without a user namespace", "ns.box():unshare('mount', 'pid'):root '/':proc():user(1000):group(7)",
    root = true },
}

local CODE = [[
  local ns = require "ns"
  local c = assert((%s):ro_bind(%q, "/rights"):start())
  local function look() return assert(c:run { "sh", "-c", %q, timeout = 60 }).stdout end
  local first = look()
  local left = c:spawn("sleep", "100")
  local second = look()
  left:close()
  c:close()
  assert(#first > 1000, first)
  local wanted = first:gmatch "[^\n]+"
  for line in second:gmatch "[^\n]+" do
    local before = wanted()
    if before ~= line then print(before) print(line) end
  end]]

describe("a second program in a living box #system", function()
  for _, row in ipairs(BOXES) do
    local title = "has the rights, namespaces and mounts of the first, no more and no less: " .. row[1];
    (row.root and machine.root_it or needs)(title, function()
      for _, nobody in ipairs { false, not row.root or nil } do
        local r = machine.host(CODE:format(row[2], machine.program "rights", LOOK), { nobody = nobody })
        assert.equal("", r.stdout .. r.stderr)
      end
    end)
  end
end)

--- A host's code with an enemy in the container `c` that goes on until it is killed, and 40 programs beside it.
local function beside(enemy, options)
  local r = machine.host(([[
    local ns = require "ns"
    local c = assert(%s:start())
    local enemy = assert(c:spawn { %s, stdout = "pipe" })
    assert(enemy.stdout:read("*l") == "ready")
    local count, told = 0, 0
    for _ = 1, %d do
      local r, message = c:run { "/usr/bin/true", timeout = %s, grace = 0.1 }
      if r and r.ok then count = count + 1 elseif r or message then told = told + 1 end
    end
    enemy:kill "KILL"
    io.write(enemy.stdout:read("*a"))
    enemy:close()
    print(count, told, c:run("echo", "still there").stdout)
    c:close()]]):format(options.box or "ns.sandbox()", enemy, options.rounds or 40, options.timeout or 30),
    { nobody = options.nobody, timeout = 200 })
  return r.stdout .. r.stderr
end

local function perl(script)
  return ("'perl', '-e', %q"):format("$| = 1; $me = $$; print qq(ready\\n); " .. script)
end

describe("an enemy in a living box #system", function()
  needs("gets nothing of a program before its exec, and nothing of the init", function()
    local box = ("ns.sandbox():ro_bind(%q, '/peek')"):format(machine.program "peek")
    for _, nobody in ipairs { false, true } do
      assert.equal("40\t0\tstill there\n\n", beside("'/peek', '/usr/bin/true'", { box = box, nobody = nobody }))
    end
  end)

  needs("that may trace gets what they have, which is nothing of the host's but their ends of its sockets", function()
    local box = ("ns.sandbox():caps { 'sys_ptrace' }:ro_bind(%q, '/peek')"):format(machine.program "peek")
    for line in beside("'/peek', '/usr/bin/true'", { box = box }):gmatch("[^\n]+") do
      local is_known = line:find("^descriptor of %d+: socket:") or line:find("^descriptor of %d+: anon_inode:")
        or line:find("^memory of %d+: a plan") or line:find("^exe of %d+: /memfd:") or line:find("^trace")
      assert.truthy(is_known or line:find("still there$"), line)
    end
  end)

  needs("cannot end, stop or keep busy the init, whatever it sends", function()
    local script = "while (1) { kill $_, 1 for 1 .. 64; kill 'STOP', 1; kill 'KILL', 1 }"
    for _, nobody in ipairs { false, true } do
      assert.equal("40\t0\tstill there\n\n", beside(perl(script), { nobody = nobody }))
    end
  end)

  needs("can end the others before they have begun: their hosts are told, and the box lives on", function()
    -- so few, as with each of its signals it holds a lock of the kernel's that the start of a process wants
    local said = beside(perl "while (1) { kill 'KILL', -1 }", { rounds = 10 })
    local done, told = said:match("^(%d+)\t(%d+)\tstill there\n\n$")
    assert.equal(10, done and done + told, said)
  end)

  needs("can stop them: then they end at their timeout", function()
    local script = "while (1) { kill 'STOP', $_ for grep { $_ > $me } map { m|(\\d+)| } glob '/proc/[0-9]*' }"
    local said = beside(perl(script), { timeout = 1 })
    local done, told = said:match("^(%d+)\t(%d+)\tstill there\n\n$")
    assert.equal(40, done and done + told, said)
  end)
end)
