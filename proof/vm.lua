--- Other kernels: the suite of the hosts, and in the long form the model test, in a virtual machine (vm.sh).
local proof = require "proof"
local machine = require "support.machine"
local ns = require "ns"

local KERNELS = { "linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64" } -- 6.12 and 6.1
local PATHS = 'export LUA_PATH="lua/?.lua;lua/?/init.lua;spec/?.lua;proof/?.lua;;" LUA_CPATH="build/5.4/?.so;;"; '
local SUITE = "uname -r; lua5.4 proof/suite.lua /tmp/suite; cat /tmp/suite"
local MODEL = "; lua5.4 proof/model.lua short | tail -n 1"

local function in_vm(kernel, line)
  local r = assert(ns.run { "bash", "proof/vm.sh", kernel, "sh", "-c", PATHS .. line, timeout = 900 })
  if r.code == 125 then return proof.skip("%s: %s", kernel, r.stderr) end
  local release, said, model = r.stdout:match("^(%S+)\n([^\n]*)\n(.*)$")
  proof.check(said and said:find(", 0 failed", 1, true), "%s: %s", kernel, tostring(r) .. r.stdout)
  proof.figure("Linux " .. tostring(release), "%s", said)
  if not proof.long then return end
  proof.check(model:find("passed, 0 failed", 1, true), "%s, model: %s", kernel, model)
  proof.figure("model on Linux " .. release, "%s", model:gsub("\n", ""))
end

if not machine.root then
  proof.skip("a virtual machine with this file system needs root")
elseif ns.run({ "uname", "-m" }).stdout ~= "x86_64\n" then
  proof.skip("the virtual machine is an x86-64 one")
else
  for _, kernel in ipairs(KERNELS) do in_vm(kernel, SUITE .. (proof.long and MODEL or "")) end
end
proof.finish()
