--- What goes through the pipes comes out as it went in, however much it is, whoever is slower, and whoever goes first. Each
-- case has a host of its own, so that one which a signal ends is seen.
local machine = require "support.machine"
local modes = require "modes"
local proof = require "proof"

local MIB = proof.size(4, 64)
local ROUNDS = proof.size(50, 2000)

modes.publish()

--- What all cases use: `bytes(n)`, in which each byte value is as frequent, and `same`, which does not print megabytes.
local COMMON = [[
  local core, ns, modes = require "ns.core", require "ns", require "modes"
  local MIB = 1024 * 1024
  local every = {}
  for i = 0, 255 do every[i + 1] = string.char((i * 167 + 13) % 256) end
  every = table.concat(every)
  local function bytes(n) return every:rep(n // 256) .. every:sub(1, n % 256) end
  local function same(name, got, want)
    if got ~= want then error(("%s: %s bytes came, %d went in"):format(name, got and #got or "no", #want), 2) end
  end
  local function sleep(seconds) ns.run { "sleep", tostring(seconds) } end
]]

local CASES = {
  { "much both ways, and to stderr", modes = true, [[
    local much = bytes(SIZE * MIB)
    local r = assert(ns.run(spec { "tee", "/proc/self/fd/2", stdin = much, timeout = 100 }))
    same("stdout", r.stdout, much)
    same("stderr", r.stderr, much)
    assert(r.ok)]] },
  { "sizes around those of pipes and pages", modes = true, [[
    for _, about in ipairs { 0, 1, 256, 4096, 65536, MIB } do
      for n = math.max(0, about - 1), about + 1 do
        local text = bytes(n)
        same("stdout", ns.run(spec { "cat", stdin = "pipe", input = text }).stdout, text)
        if about <= 4096 then same("stderr", ns.run(spec { "sh", "-c", "cat >&2", input = text }).stderr, text) end
      end
    end]] },
  { "all of it at random", [[
    math.randomseed(SEED)
    local write = "binmode STDIN; local $/; my $in = <STDIN>; print STDERR $in; "
      .. "print substr($in, 0, $ARGV[0]); exit $ARGV[1]"
    for _ = 1, ROUNDS do
      local n, m, code = math.random(0, 300000), math.random(0, 300000), math.random(0, 255)
      local most = math.random(0, 3) == 0 and math.random(0, 300000) or nil
      local text = bytes(n)
      local r = ns.run { "perl", "-e", write, ("%d"):format(m), ("%d"):format(code), stdin = "pipe", input = text,
        max_output = most }
      same("stderr", r.stderr, text:sub(1, most))
      same("stdout", r.stdout, text:sub(1, m):sub(1, most))
      assert(r.code == code and (r.truncated or false) == (most ~= nil and n > most))
    end]] },
  { "by hand, piece by piece", [[
    local p = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    local piece = bytes(50000)
    for _ = 1, SIZE * 10 do
      assert(p.stdin:write(piece))
      assert(p.stdin:flush())
      same("stdout", p.stdout:read(#piece), piece)
    end
    p.stdin:close()
    assert(p.stdout:read(1) == nil and p:wait())]] },
  { "a program that reads slowly", [[
    local text = bytes(300000)
    local line = "while IFS= read -r x; do sleep 0.05; break; done; sleep 0.2; cat >/dev/null; echo done"
    assert(ns.run({ "sh", "-c", line, stdin = text:gsub("\n", "x") .. "\n" }).stdout == "done\n")
    local p = assert(ns.spawn { "sh", "-c", "sleep 0.3; cat", stdin = "pipe", stdout = { path = TMP } })
    assert(p.stdin:write(text))
    assert(p.stdin:close())
    assert(p:wait())
    local f = io.open(TMP, "rb")
    same("file", f:read("a"), text)
    f:close()]] },
  { "a host that reads slowly", modes = true, [[
    local p = assert(ns.spawn(spec { "head", "-c", "2000000", "/dev/zero", stdout = "pipe" }))
    local total = 0
    for i = 1, 1000000 do
      if i < 5 then sleep(0.02) end
      local piece = p.stdout:read(65536)
      if not piece then break end
      assert(not piece:find("[^%z]"))
      total = total + #piece
    end
    assert(total == 2000000 and p:wait())]] },
  { "a program that dies before it reads", modes = true, [[
    for _, line in ipairs { "exit 3", "kill -KILL $$", "exec 0<&-; exit 3", "head -c 10 >/dev/null; exit 3" } do
      for _ = 1, 5 do
        local r = assert(ns.run(spec { "sh", "-c", line, stdin = "pipe", input = bytes(300000) }))
        assert(r.code == 3 or line:find("KILL")) -- process 1 of a namespace cannot kill itself
      end
      if line:find("head") then line = "exit 3" end -- it would wait
      local p = assert(ns.spawn(spec { "sh", "-c", line, stdin = "pipe" }))
      p:wait()
      for _ = 1, 3 do
        local ok, message, errno = p.stdin:write(bytes(300000))
        assert(not ok and errno == 32, message)
      end
      p:close()
    end]] },
  { "a program that closes its streams and goes on", [[
    for _, line in ipairs { "exec 0<&-; sleep 0.1; echo out", "exec 2>&-; sleep 0.1; echo out",
      "exec 3>&1 1>&- 2>&- 0<&-; sleep 0.1; echo out >&3" } do
      local r = assert(ns.run { "sh", "-c", line .. "; exit 4", stdin = bytes(300000) })
      assert(r.stdout == "out\n" and r.code == 4)
    end
    local r = assert(ns.run { "sh", "-c", "exec 0<&- 1>&- 2>&-; sleep 0.3; exit 5", stdin = bytes(300000) })
    assert(r.stdout == "" and r.stderr == "" and r.code == 5 and r.wall >= 0.3)]] },
  { "nothing at all", modes = true, [[
    local r = assert(ns.run(spec { "cat", stdin = "pipe", input = "" }))
    assert(r.ok and r.stdout == "" and r.stderr == "")
    local p = assert(ns.spawn(spec { "cat", stdin = "pipe", stdout = "pipe" }))
    assert(p.stdin:close() and p.stdout:read("a") == "" and p.stdout:read(1) == nil and p:wait())]] },
  { "a grandchild that keeps stdout", [[
    for _, how in ipairs { "sleep 7", "yes", "yes >&2" } do
      local line = how .. " & echo $! >&3; head -c 200000 /dev/zero; exit 6"
      local note = assert(io.open(TMP, "w"))
      local r = assert(ns.run { "sh", "-c", line, fds = { [3] = note }, max_output = 300000 })
      note:close()
      note = assert(io.open(TMP))
      os.execute("kill " .. note:read("a"))
      note:close()
      assert(r.code == 6 and r.wall < 5)
      assert(select(2, r.stdout:gsub("%z", "")) == (how == "yes" and select(2, r.stdout:gsub("%z", "")) or 200000))
    end]] },
  { "one program into the other", [[
    local much = bytes(SIZE * MIB)
    local first = assert(ns.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    local second = assert(ns.spawn { "cat", stdin = first.stdout, stdout = "pipe" })
    first.stdout:close()
    local file = assert(io.open(TMP, "wb"))
    local third = assert(ns.spawn { "sh", "-c", "cat >&9", stdin = second.stdout, fds = { [9] = file } })
    second.stdout:close()
    assert(first.stdin:write(much))
    assert(first.stdin:close())
    for _, p in ipairs { first, second, third } do assert(p:wait()) end
    local f = io.open(TMP, "rb")
    same("file", f:read("a"), much)
    f:close()]] },
  { "lines", [[
    local p = assert(ns.spawn { "sh", "-c", "seq 100000; printf end", stdout = "pipe" })
    local n, last = 0, nil
    for line in p.stdout:lines() do
      n, last = n + 1, line
      assert(n > 100000 or line == ("%d"):format(n))
    end
    assert(n == 100001 and last == "end" and p:wait())]] },
  { "all bytes through a raw terminal", [[
    local text = bytes(3000)
    local p = assert(ns.spawn { "sh", "-c", "stty raw -echo; echo ready; head -c 3000 >&9; echo; sleep 0.1",
      pty = true, fds = { [9] = assert(io.open(TMP, "wb")) } })
    assert(p.pty:read():find("ready"))
    assert(p.pty:write(text))
    assert(p:wait())
    p:close()
    local f = io.open(TMP, "rb")
    same("terminal", f:read("a"), text)
    f:close()]] },
  { "what never stops writing ends at the timeout", modes = true, [[
    for _, line in ipairs { "yes", "yes >&2", "yes & yes >&2" } do
      local r = assert(ns.run(spec { "sh", "-c", line, timeout = 0.2, grace = 0.2, max_output = 100000 }))
      assert(r.timed_out and r.wall < 3, r.wall)
    end]] },
}

local SEED = os.time()
proof.figure("seed of the pipes", "%d", SEED)
local TMP = os.tmpname()

local SPEC = [[
  local function spec(words)
    local argv = {}
    for i, word in ipairs(words) do argv[i], words[i] = word, nil end
    words.argv = argv
    return modes.spec(%q, words)
  end
]]

local MODES = { "no namespace", "user and all others", "init", "sandbox" }

for _, case in ipairs(CASES) do
  local values = { SIZE = MIB, SEED = SEED, ROUNDS = ROUNDS, TMP = ("%q"):format(TMP) }
  local body = case[2]:gsub("%f[%u]%u%u%u+%f[%U]", values)
  for _, mode in ipairs(case.modes and MODES or { "no namespace" }) do
    local r = machine.host(COMMON .. SPEC:format(mode) .. body .. "\nio.write 'fine'", { timeout = 600 })
    proof.check(r.stdout == "fine" and r.ok, "%s, %s: %s %s", case[1], mode, tostring(r), r.stdout)
  end
end
proof.figure("pipes", "%d MiB in, out and to stderr at once; %d transfers of random sizes", MIB, ROUNDS)
os.remove(TMP)
proof.finish()
