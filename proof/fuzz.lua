--- Fuzzing with libFuzzer, under ASan and UBSan: proof/fuzz/ has the targets. Each replays its corpus and looks further from
-- there, for seconds in the short form, for ten million executions in the long one.
local core = require "ns.core"
local proof = require "proof"
proof.needs("clang", "llvm-cov")

local OUT = (os.getenv("BUILD") or "build") .. "/fuzz"
local WORK = OUT .. "/found"
local TARGETS = { "plan", "player", "parsers", "records" }
local EXECUTIONS = proof.size(nil, 10000000)
local SECONDS = proof.size({}, { plan = 720, player = 420, parsers = 360, records = 120 }) -- at most
local WORKERS = proof.size(1, 2)

local run = proof.sh

local function commas(n)
  local text = ("%.0f"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return text
end

--- Words that a mutation may put in, for the readers of names.
local function write_dictionary()
  local f <close> = assert(io.open(WORK .. "/words", "w"))
  for _, family in ipairs { "cap", "clone", "rlimit", "signal" } do
    for name in pairs(core.constants[family]) do f:write(('"%s"\n"%s"\n'):format(name, name:lower())) end
  end
  for _, word in ipairs { "user", "mount", "net", "64k", "50%", "unlimited", "noroot", "linux32", "/../", "batch" } do
    f:write(('"%s"\n'):format(word))
  end
end

local ENVIRONMENT = "LLVM_PROFILE_FILE=/dev/null ASAN_OPTIONS="
  .. "malloc_context_size=2:quarantine_size_mb=8:max_malloc_fill_size=0"

--- One target: seconds, executions, and the text of a crash.
local function fuzz(target)
  local found, corpus = WORK .. "/" .. target, "proof/fuzz/corpus/" .. target
  local leaks = target == "player" and 1 or 0 -- elsewhere Lua frees when it likes
  local limit = EXECUTIONS and ("-runs=%d"):format(EXECUTIONS / WORKERS) or ""
  local quick = EXECUTIONS and "NS_FUZZ_QUICK=1" or ""
  local line = ("%s %s %s/%s %s %s %s"):format(ENVIRONMENT, quick, OUT, target, found, corpus, limit)
  line = ("%s -dict=%s/words -max_total_time=%d -timeout=10"):format(line, WORK, SECONDS[target] or 1)
  line = ("%s -detect_leaks=%d -artifact_prefix=%s/%s-"):format(line, leaks, OUT, target)
  local begin, lines = core.clock(), {}
  for i = 1, WORKERS do lines[i] = ("(%s; echo \"worker $?\")"):format(line) end
  local _, text = run("%s & wait", table.concat(lines, " & "))
  local executions, failed = 0, nil
  for n in text:gmatch("Done (%d+) runs") do executions = executions + n end
  for code in text:gmatch("worker (%d+)") do failed = failed or code ~= "0" end
  return core.clock() - begin, executions, failed and text or nil
end

local function check_target(target)
  local seconds, executions, crash = fuzz(target)
  proof.check(not crash, "fuzz %s: %s", target, crash and crash:sub(-4000) or "")
  proof.check(executions > 0, "fuzz %s: nothing was run", target)
  if EXECUTIONS and executions < EXECUTIONS and not crash then
    proof.skip("fuzz %s: no more than %s executions in %d s", target, commas(executions), SECONDS[target])
  end
  proof.figure("fuzz " .. target, "%s executions in %.0f s, %s a second, %d crashes", commas(executions), seconds,
    commas(executions / seconds), crash and 1 or 0)
end

-- ---- lines ----

--- How many lines of the readers in Lua have code, and how many of them the corpus runs.
local READERS = { "words/check", "words/synonyms", "start/ids", "words/mount_fields", "words/mount_kinds",
  "words/mounts", "words/namespaces", "words/options", "words/overlay",
  "words/join", "start/plan", "words/privileges", "words/root", "words/stdio", "start/subids" }

local function lua_lines()
  local ran = {}
  for _, target in ipairs { "plan", "parsers" } do
    local file = ("%s/%s.lines"):format(WORK, target)
    run("%s NS_FUZZ_LINES=%s %s/%s -runs=0 -detect_leaks=0 proof/fuzz/corpus/%s %s/%s", ENVIRONMENT, file, OUT, target,
      target, WORK, target)
    for line in io.lines(file) do ran[line] = true end
  end
  local all, seen = 0, 0
  for _, name in ipairs(READERS) do
    local path, lines, missed, count, hit = ("lua/ns/%s.lua"):format(name), {}, {}, 0, 0
    local _, listing = run("luac5.4 -l -p %s", path)
    for line, op in listing:gmatch("\t%d+\t%[(%d+)%]\t(%u%w*)") do
      if op ~= "VARARGPREP" then lines[tonumber(line)] = true end -- where a chunk begins: no line of it
    end
    for line in pairs(lines) do
      count = count + 1
      if ran[path .. " " .. line] then hit = hit + 1 else missed[#missed + 1] = line end
    end
    table.sort(missed)
    if #missed > 0 then print(("%s: %d of %d lines; not %s"):format(path, hit, count, table.concat(missed, " "))) end
    all, seen = all + count, seen + hit
  end
  proof.check(seen >= 0.95 * all, "lines of the readers in Lua: %d of %d", seen, all)
  proof.figure("lines of the readers in Lua that the corpus runs", "%d of %d, %.1f %%", seen, all, 100 * seen / all)
end

--- The same for C: the encoder, the launcher, and what reads the launcher's records.
local C_FILES = { "src/core/encode.c", "src/launcher/files.c", "src/launcher/init.c", "src/launcher/launcher.c",
  "src/launcher/mounts.c", "src/launcher/ops.c", "src/launcher/places.c", "src/launcher/privileges.c" }

local function c_lines()
  local objects = {}
  for i, target in ipairs(TARGETS) do
    run("LLVM_PROFILE_FILE=%s/%s.profraw %s/%s -runs=0 -detect_leaks=0 proof/fuzz/corpus/%s %s/%s", WORK, target, OUT,
      target, target, WORK, target)
    objects[i] = ("%s %s/%s"):format(i > 1 and "-object" or "", OUT, target)
  end
  local ok, text = run("llvm-profdata merge -o %s/all.profdata %s/*.profraw && llvm-cov export -format=lcov "
    .. "-instr-profile=%s/all.profdata %s", WORK, WORK, WORK, table.concat(objects, " "))
  proof.check(ok, "llvm-cov: %s", text:sub(-500))
  local all, seen = 0, 0
  for file, rest in text:gmatch("SF:([^\n]+)\n(.-)end_of_record") do
    for _, path in ipairs(C_FILES) do
      if file:sub(-#path) == path then
        local missed = {}
        for line, count in rest:gmatch("\nDA:(%d+),(%d+)") do
          all = all + 1
          if count ~= "0" then seen = seen + 1 else missed[#missed + 1] = line end
        end
        if #missed > 0 then print(("%s: not %s"):format(path, table.concat(missed, " "))) end
      end
    end
  end
  proof.check(all > 0 and seen >= 0.95 * all, "lines of the readers in C: %d of %d", seen, all)
  proof.figure("lines of the readers in C that the corpus runs", "%d of %d, %.1f %%", seen, all, 100 * seen / all)
end

local ok, text = run("make -s -j2 -f proof/fuzz/fuzz.mk BUILD=%s", OUT:match("^(.*)/fuzz$"))
if proof.check(ok, "the fuzzers are not built: %s", text) then
  run("rm -rf %s", WORK)
  for _, target in ipairs(TARGETS) do run("mkdir -p %s/%s", WORK, target) end
  write_dictionary()
  for _, target in ipairs(TARGETS) do check_target(target) end
  lua_lines()
  c_lines()
end
proof.finish()
