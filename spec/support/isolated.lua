--- Runs busted on files of specs in a directory of their own, with the harness (`ns.busted`) or without.
local machine = require "support.machine"
local ns = require "ns"

local isolated = {}

--- Where tools/lua55.sh has put what Lua 5.5 looks for, as seen from anywhere.
local function from_top(paths)
  return (";" .. paths):gsub(";([^/;])", ";" .. machine.top .. "/%1"):gsub("^;", "")
end

--- The words for busted in `directory`. `options`: env, under, nobody, spec.
function isolated.words(directory, options, ...)
  local argv, env = {}, machine.paths(machine.public())
  for word in (options.nobody and machine.root and machine.as_user or ""):gmatch("%S+") do argv[#argv + 1] = word end
  for _, word in ipairs(options.under or {}) do argv[#argv + 1] = word end
  for _, word in ipairs { machine.lua, options.busted or "/usr/bin/busted", ... } do argv[#argv + 1] = word end
  if machine.version == "5.5" then env.LUA_PATH_5_5 = from_top(package.path) .. ";" .. env.LUA_PATH end
  if machine.version == "5.5" then env.LUA_CPATH_5_5 = from_top(package.cpath) .. ";" .. env.LUA_CPATH end
  env.CI, env.NS_REQUIRE, env.NS_BUSTED = false, false, false
  for name, value in pairs(options.env or {}) do env[name] = value end
  local words = { argv = argv, env = env, cwd = directory, timeout = 60, clear_env = false }
  for word, value in pairs(options.spec or {}) do words[word] = value end
  return words
end

--- A directory with these files, {[name] = text}, and a function that removes it.
function isolated.project(files)
  local directory, remove = machine.directory()
  for name, text in pairs(files) do machine.file(directory .. "/" .. name, text, "644") end
  return directory, remove
end

--- Runs busted with these arguments; its result, whose `summary` is {successes, failures, errors, pending}.
function isolated.run(files, options, ...)
  local directory, remove = isolated.project(files)
  local r = assert(ns.run(isolated.words(directory, options or {}, ...)))
  remove()
  local numbers = { r.stdout:match("(%d+) success%l* / (%d+) failures? / (%d+) errors? / (%d+) pending") }
  for i = 1, #numbers do numbers[i] = tonumber(numbers[i]) end
  r.summary = table.concat(numbers, " ")
  return r
end

--- The same with the harness, in plain text.
function isolated.harness(files, options, ...)
  return isolated.run(files, options, "-o", "plainTerminal", "--helper=ns.busted", ...)
end

--- What two runs may differ in: times and addresses.
function isolated.comparable(text)
  return (text:gsub("%d+%.%d+ seconds", "T"):gsub("%(%d+%.%d+ ms%)", "T"):gsub("%d+%.%d+ ms", "T"):gsub("0x%x+", "P")
    :gsub('time="[%d.]+"', "T"):gsub('timestamp="[^"]*"', "T"))
end

return isolated
