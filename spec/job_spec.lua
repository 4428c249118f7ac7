--- How a program of a living box begins: in the memory of its init, which serves on meanwhile, and keeps nothing of it.
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"

local needs = machine.it "sandbox"

local open = {} -- handles that the sentence has

local function keep(handle)
  open[#open + 1] = assert(handle)
  return handle
end

local function living(box) return keep(assert((box or ns.sandbox()):start())) end

local function out(c, words)
  return (assert(c:run(words)).stdout:gsub("\n$", ""))
end

-- A file that another process holds so (fcntl(2), F_SETLEASE) that who executes it waits for long.
local HOLD = [[$SIG{IO} = "IGNORE"; open my $f, "+<", $ARGV[0] or die; fcntl($f, 1024, 1) or die "$!";
  syswrite STDOUT, "held\n"; sleep 1 while 1]]

local function held_file()
  local path = os.tmpname()
  local f = assert(io.open(path, "w"))
  f:write("#!/bin/sh\n")
  f:close()
  assert(ns.run { "chmod", "755", path }.ok)
  local holder = keep(ns.spawn { "perl", "-e", HOLD, path, stdout = "pipe" })
  assert.equal("held", holder.stdout:read("*l"))
  return path
end

-- How often the memory of a process has a word.
local FIND = [[open my $maps, "<", "/proc/$ARGV[0]/maps" or die; open my $mem, "<", "/proc/$ARGV[0]/mem" or die;
  my ($n, $bytes) = 0;
  while (<$maps>) { my ($from, $to) = /^(\w+)-(\w+) r/ or next; sysseek $mem, hex $from, 0 or next;
    sysread $mem, $bytes, hex($to) - hex($from) or next; $n += () = $bytes =~ /$ARGV[1]/g } print $n]]

describe("a program that begins in a living box #system", function()
  after_each(function()
    for i = #open, 1, -1 do open[i]:close() end
    open = {}
  end)

  needs("keeps none that follows from beginning where its start hangs, and the step that hangs is named", function()
    local path = held_file()
    finally(function() os.remove(path) end)
    local c = living(ns.sandbox():ro_bind(path, "/held"))
    local large = {} -- a plan that does not find room in a socket: the rest of this one is never sent
    for i = 1, 5 do large[i] = ("x"):rep(100000) end
    keep(c.box.handle:start_job({ 0 }, core.encode { { op = "exec", paths = { "/x" }, argv = large } }, 0))
    assert.equal("one", out(c, { "echo", "one" }))
    for _ = 1, 2 do
      local p, _, errno, detail = c:spawn { "/held", timeout = 0.3 }
      assert.same({ nil, 110, "exec" }, { p, errno, detail.step })
      assert.equal("two", out(c, { "echo", "two" }))
    end
  end)

  needs("leaves nothing of its words in the memory of the init", function()
    local c = living()
    local function found(word) return tonumber(ns.run { "perl", "-e", FIND, tostring(c.pid), word }.stdout) end
    local words = { "true", "-in-argv", env = { NAME = "-in-env", LONG = ("-in-env"):rep(10000) }, cwd = "/usr/../tmp" }
    assert.truthy(found("ELF") > 0)
    out(c, words)
    out(c, { "true" })
    for _, word in ipairs { "-in-argv", "-in-env", "/usr/../tmp" } do assert.equal(0, found(word)) end
  end)

  needs("takes no memory of the init while it runs: a hundred of them less than 200 KiB", function()
    local c = living()
    for _ = 1, 100 do keep(c:spawn("sleep", "100")) end
    out(c, { "true" })
    local kib = machine.read(("/proc/%d/smaps_rollup"):format(c.pid)):match("\nPss:%s*(%d+)")
    assert.truthy(tonumber(kib) < 200, kib)
  end)

  needs("changes nothing of its init: what the kernel kills first, limits, the mask, priority, directory", function()
    local c = living()
    local LOOK = "cat /proc/1/oom_score_adj /proc/1/limits; grep -E 'Umask|Sig|Cpus' /proc/1/status; ps -o ni,cls,pgid,sid 1"
    local before = out(c, { "sh", "-c", LOOK })
    assert.equal("500 0077", out(c, { "sh", "-c", "echo $(cat /proc/self/oom_score_adj) $(umask)", oom_score_adj = 500,
      umask = "077", nice = 5, cwd = "/tmp", rlimits = { nofile = 20 }, affinity = { 0 } }))
    assert.equal(before, out(c, { "sh", "-c", LOOK }))
  end)
end)
