--- The model test: random valid specs; what the program says of itself is held against what a model predicts. Then all 256
-- sets of namespaces: the inodes differ exactly where asked. As root, and as an ordinary user.
local proof = require "proof"
local core = require "ns.core"
local machine = require "support.machine"
local ns = require "ns"
local predict = require "predict"
local specs = require "specs"

local AS_NOBODY = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" }
local KINDS = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" }

local function read_report(text)
  local report = {}
  for line in text:gmatch("[^\n]+") do
    local key, value = line:match("^(%S+) ?(.*)$")
    report[key] = value:gsub("%s+$", "")
  end
  return report
end

local function run(spec, proc)
  spec.fds, spec.timeout = { [9] = proc }, 60
  spec.stdout, spec.stderr = "pipe", "pipe"
  return ns.run(spec)
end

local function show(value)
  if type(value) ~= "table" then return ("%q"):format(value):gsub("\n", "n") end
  local parts = {}
  for k, v in pairs(value) do
    if k ~= "fds" then parts[#parts + 1] = (type(k) == "string" and k .. "=" or "") .. show(v) end
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- Who asks, and what a program sees without any word.
local function survey(report)
  local ids, proc = core.ids(), assert(io.open("/proc"))
  local host = { root = ids.euid == 0, ids = { uid = ids.euid, gid = ids.egid }, report = report, proc = proc,
    abi = (ns.features().landlock or {}).abi or 0 }
  host.base = read_report(assert(run({ report, keyring = "inherit" }, proc)).stdout)
  local numbers = { cpu = 0, fsize = 1, data = 2, core = 4, nofile = 7, memlock = 8, sigpending = 11, msgqueue = 12 }
  for name, number in pairs(numbers) do host.base["hard." .. name] = host.base["rlimit." .. number]:match("%S+$") end
  return host
end

local function one_spec(host, seed)
  math.randomseed(seed)
  local spec, set = specs.random(host)
  local r, message = run(spec, host.proc)
  local what = r and r.ok and table.concat(predict.differences(spec, set, host, read_report(r.stdout)), "; ")
    or message or tostring(r)
  proof.check(what == "", "spec %d: %s\n  %s", seed, what, show(spec))
end

--- Every set of namespaces; an ordinary user who leaves out "user" is refused, unless he asks for nothing.
local function one_set(host, bits)
  local flags, set = {}, {}
  for i, kind in ipairs(KINDS) do
    if bits >> (i - 1) & 1 == 1 then
      flags[#flags + 1], set[kind] = kind, true
    end
  end
  local r, message, _, detail = run({ host.report, flags = flags }, host.proc)
  if not host.root and not set.user and bits ~= 0 then
    return proof.check(not r and detail.code == "EPERM", "%s: %s", show(flags), tostring(message or r))
  end
  local got = r and read_report(r.stdout) or {}
  local wrong = r and "" or message
  for _, row in ipairs(require("ns.words.namespaces").list) do
    local key = "ns." .. row.file
    if (got[key] ~= host.base[key]) ~= (set[row.name] or false) then wrong = wrong .. " " .. key end
  end
  proof.check(wrong == "", "%s: %s", show(flags), wrong)
end

local function all(report, from, count)
  local host = survey(report)
  for seed = from, from + count - 1 do one_spec(host, seed) end
  for bits = 0, 255 do one_set(host, bits) end
end

--- As an ordinary user: this part once more, in a process of its own.
local function as_nobody(report, from, count)
  local argv = table.move(AS_NOBODY, 1, #AS_NOBODY, 1, {})
  for _, word in ipairs { machine.lua, machine.public() .. "/proof/model.lua", arg[1], report, from, count } do
    argv[#argv + 1] = tostring(word)
  end
  local env = machine.paths(machine.public())
  env.LUA_PATH = ("%s/proof/?.lua;%s/spec/?.lua;%s"):format(machine.public(), machine.public(), env.LUA_PATH)
  env.LUA_PATH_5_4 = env.LUA_PATH
  local r = assert(ns.run { argv = argv, env = env, cwd = "/" })
  for line in r.stdout:gmatch("FAILED: [^\n]*\n[^\n]*") do print(line) end
  local passed, failed = r.stdout:match("(%d+) passed, (%d+) failed")
  proof.check(passed and failed == "0", "as an ordinary user: %s failed\n%s", tostring(failed), r.stderr)
  return tonumber(passed) or 0
end

if arg[2] then
  all(arg[2], math.tointeger(arg[3]), math.tointeger(arg[4]))
  proof.finish()
end

local report = machine.public() .. "/report"
assert(ns.run({ "gcc", "-O2", "-static", "-o", report, "proof/report.c" }).ok)
local count, seed = proof.size(200, 10000), proof.long and 1 or os.time() % 1000000 * 1000
all(report, seed, count)
local rootless = machine.root and as_nobody(report, seed, count)
proof.figure("random specs", "%d as this user%s", count, rootless and (", %d as an ordinary one"):format(count) or "")
proof.figure("sets of namespaces", "256 as this user%s", rootless and ", 256 as an ordinary one" or "")
proof.figure("first seed", "%d", seed)
proof.finish()
