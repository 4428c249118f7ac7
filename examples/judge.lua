--- An online judge: submissions of strangers are compiled and run in sandboxes, with limits, and get a verdict.
-- The task: read n, then n numbers, and print their sum.
local ns = require "ns"

local MIB = 1024 * 1024
local TESTS = { { "3\n1 2 3\n", "6" }, { "2\n-5 5\n", "0" }, { "1\n1000000000000\n", "1000000000000" } }
local SUBMISSIONS = {
  { "ann", [[int main() { long n, x, s = 0; scanf("%ld", &n); while (scanf("%ld", &x) == 1) s += x; printf("%ld", s); }]] },
  { "bob", [[int main() { int n, x, s = 0; scanf("%d", &n); while (scanf("%d", &x) == 1) s += x; printf("%d", s); }]] },
  { "cyd", [[int main() { for (volatile int i = 0;; i++); }]] },
  { "dan", [[int main() { for (;;) { char *p = malloc(1 << 20); if (!p) abort(); memset(p, 1, 1 << 20); } }]] },
  { "eve", [[int main() { volatile int *p = 0; return *p; }]] },
}

-- The memory is that of the whole program, whatever it starts, where this machine has control groups for us. Where not, the
-- hard limits of each process are wider than what the task allows, so that the program is seen to go beyond it.
local allowed = { seconds = 1, kib = 32 * 1024 }
local compiler = ns.sandbox():timeout(20):rlimits { as = 1024 * MIB, fsize = 16 * MIB }
local runner = ns.sandbox():timeout(5 * allowed.seconds):max_output(64 * 1024):rlimits {
  cpu = { soft = allowed.seconds, hard = 2 * allowed.seconds }, as = 64 * MIB, fsize = MIB, nproc = 16, core = 0 }
  :limits({ memory = allowed.kib * 1024 }):optional { "limits" }

--- The program as a string of bytes; nil and the errors of the compiler.
local function compile(source)
  local text = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" .. source
  local r = assert(compiler:clone():stdin(text):run("sh", "-c", "gcc -O1 -x c -o /tmp/a - && cat /tmp/a"))
  if r.ok then return r.stdout end
  return nil, r.stderr
end

local function verdict(program, input, answer)
  local r = assert(runner:clone():file("/program", program, { mode = 493 }):stdin(input):run("/program")) -- 0755
  if r.timed_out or r.signame == "XCPU" then return "TLE" end
  if r.oom or r.usage.maxrss > allowed.kib then return "MLE" end
  if not r.ok then return "RE", r.how == "signal" and r.signame or r.code end
  return r.stdout == answer and "OK" or "WA"
end

for _, submission in ipairs(SUBMISSIONS) do
  local name, source = submission[1], submission[2]
  local program, result, why = compile(source), "CE", nil
  for i, test in ipairs(program and TESTS or {}) do
    result, why = verdict(program, test[1], test[2])
    if result ~= "OK" then why = ("test %d%s"):format(i, why and ", " .. why or "") break end
  end
  print(("%s: %s%s"):format(name, result, why and (" (%s)"):format(why) or ""))
end
