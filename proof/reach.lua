--- What a program in ns.sandbox() can still call: the filter itself is asked, by the interpreter of the specs.
-- usage: LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' LUA_CPATH='build/5.4/?.so;;' lua5.4 proof/reach.lua
local bpf = require "support.bpf"
local core = require "ns.core"
local profile = require "ns.words.profile"
local seccomp = require "ns.words.seccomp"
local syscalls = require "ns.words.syscalls"

local native = syscalls.machine(core.machine)
local code = bpf.read(seccomp.bytes(seccomp.check("default", "seccomp"), {}))

local by_argument = {}
for _, rule in ipairs(profile.rules) do
  for _, name in ipairs(rule) do by_argument[name] = by_argument[name] or rule.action ~= "allow" end
end

local lists = { passes = {}, ["depends on arguments"] = {}, ["is refused"] = {} }
for name, number in pairs(native.numbers) do
  local action = bpf.run(code, { number = number, audit = native.audit, args = {} })
  local list = by_argument[name] and "depends on arguments" or action == bpf.action "allow" and "passes" or "is refused"
  table.insert(lists[list], name)
end
for _, what in ipairs { "passes", "depends on arguments", "is refused" } do
  table.sort(lists[what])
  print(("%d: %s\n  %s"):format(#lists[what], what, table.concat(lists[what], " ")))
end
