--- The options of `nsbox run`, each with what it says of the box: a row of `ns.nsbox.parse` with `set(box, value, run)`.
-- @module ns.nsbox.options
require("ns.core").nojit()
local core = require "ns.core"
local fail = require "ns.nsbox.fail"
local users = require "ns.image.users"
local values = require "ns.nsbox.values"

local options = {}

local function each(set)
  return function(box, list, run)
    for _, value in ipairs(list) do set(box, value, run) end
  end
end

-- `idmap`, as podman has it: also what is read-only is read with the rights of its owner, where root is the caller.
local VOLUME = { ro = { ro = true }, rw = {}, z = {}, Z = {}, idmap = { idmap = "owner" } }

local function volume(box, text)
  local source, target, how = text:match("^([^:]+):([^:]+):?([^:]*)$")
  if not source then fail.now("-v %s: SOURCE:PLACE or SOURCE:PLACE:ro expected", text) end
  if not source:find("^[./]") then fail.now("-v %s: '%s' is no path; one beside you is ./%s", text, source, source) end
  local flags = values.flags(how, VOLUME, "-v " .. text)
  flags.mkdir = "anywhere"
  box:bind(values.absolute(source), target, flags)
end

local TMPFS = { ro = { ro = true }, rw = {}, exec = {}, noexec = { exec = false }, dev = { dev = true }, nodev = {},
  suid = { suid = true }, nosuid = {}, size = "size", mode = "mode", nr_inodes = "inodes" }

local function tmpfs(box, text)
  local target, how = text:match("^([^:]+):?(.*)$")
  if not target then fail.now("--tmpfs %s: PLACE or PLACE:size=64m,mode=1777 expected", text) end
  local fields = values.flags(how, TMPFS, "--tmpfs " .. text)
  fields.inodes, fields.mkdir = tonumber(fields.inodes), "anywhere"
  box:tmpfs(target, fields)
end

local BIND = { readonly = { ro = true }, ro = { ro = true }, type = "type", source = "source", src = "source",
  target = "target", dst = "target", destination = "target", ["tmpfs-size"] = "size", ["tmpfs-mode"] = "mode" }

local function mount(box, text)
  local m = values.flags(text, BIND, "--mount " .. text)
  local kind, target, source = m.type or "bind", m.target, m.source
  if not target then fail.now("--mount %s: target=PLACE is missing", text) end
  if kind ~= "bind" and kind ~= "tmpfs" then fail.now("--mount %s: type is bind or tmpfs, not '%s'", text, kind) end
  if kind == "bind" and not source then fail.now("--mount %s: source=PATH is missing", text) end
  m.type, m.target, m.source, m.mkdir = nil, nil, nil, "anywhere"
  if kind == "bind" then box:bind(values.absolute(source), target, m) else box:tmpfs(target, m) end
end

local function env(box, text)
  local name, value = text:match("^([^=]+)=(.*)$")
  if text:find "^=" or text == "" then fail.now("-e %s: KEY=VALUE expected", text) end
  box:env(name or text, value or os.getenv(text) or false)
end

local function env_file(box, path)
  local f, why = io.open(path)
  if not f then fail.now("--env-file %s", why) end
  local text = f:read "*a"
  f:close()
  for written in text:gsub("^\239\187\191", ""):gmatch "[^\n]+" do -- with the mark that Windows' editors put before UTF-8
    local line = written:gsub("^%s+", ""):gsub("\r$", "")
    local name = line:match "^[^=]*"
    if line ~= "" and line:sub(1, 1) ~= "#" then
      if name == "" or name:find "%s" then fail.now("--env-file %s: '%s' is no name of a variable", path, name) end
      env(box, line)
    end
  end
end

--- Of this machine: whoever has a root of his own (`run.layers`) has his own users, and was asked by then.
local function user(box, text, run)
  if run.layers then return end
  local name, group = text:match("^([^:]+):?(.*)$")
  if not name then fail.now("-u %s: USER or USER:GROUP expected", text) end
  box:user(values.id(name))
  if group ~= "" then box:group(values.id(group)) elseif tonumber(name) then box:group(values.id(name)) end
end

local function groups(box, list, run)
  for i, name in ipairs(list) do
    list[i] = values.id(name)
    if run.layers then
      list[i] = users.group(run.layers, name) or fail.now("--group-add %s: there is no such group in the root", name)
    end
  end
  box:groups(list)
end

local function limit(name, read)
  return function(_, text, run) run.limits[name] = read(text) end
end

local function pids(text) return text == "-1" and "max" or values.number(text, "--pids-limit") end

local function ulimit(box, text)
  local name, soft, hard = text:match("^(%l+)=(%-?%d+):?(%-?%d*)$")
  if not name then fail.now("--ulimit %s: NAME=SOFT or NAME=SOFT:HARD expected", text) end
  local function number(digits) return digits == "-1" and "unlimited" or tonumber(digits) end
  box:rlimits { [name] = { soft = number(soft), hard = number(hard ~= "" and hard or soft) } }
end

local function security(box, text)
  if text == "seccomp=unconfined" then
    box:seccomp(false)
  elseif text ~= "no-new-privileges" and text ~= "no-new-privileges:true" then -- it is the default
    fail.now("--security-opt %s: seccomp=unconfined and no-new-privileges are what there is", text)
  end
end

local function sysctl(_, text, run)
  local name, value = text:match("^([^=]+)=(.*)$")
  if not name then fail.now("--sysctl %s: NAME=VALUE expected", text) end
  run.sysctl[name] = value
end

--- Puts capabilities into a set (true), or takes them out (nil): "all" stands for all that there are.
local function put(set, list, value, option)
  for _, text in ipairs(list) do
    local name = text:lower():gsub("^cap_", "")
    if name ~= "all" and not core.constants.cap[name:upper()] then fail.now("%s: unknown capability '%s'", option, text) end
    for one in pairs(name == "all" and values.caps(true) or { [name] = true }) do set[one] = value end
  end
end

--- The capabilities, whatever is typed first: with --cap-drop ALL, nothing of what there was; what is added; and not what is
-- dropped by its name.
function options.caps(had, given)
  local set, by_name, list = {}, {}, {}
  put(set, had, true)
  for _, name in ipairs(given.cap_drop) do
    if name:lower() == "all" then set = {} else by_name[#by_name + 1] = name end
  end
  put(set, given.cap_add, true, "--cap-add")
  put(set, by_name, nil, "--cap-drop")
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function publish(box, list, run)
  if run.network == "host" then
    io.stderr:write "nsbox: -p: with --network host the program's ports are this machine's, and none is published\n"
    return
  end
  local ports = {}
  for _, text in ipairs(list) do
    local address, port, inside = text:gsub("/tcp$", ""):match "^(.-):?(%d+):(%d+)$"
    if text:find "/udp$" then fail.now("-p %s: connections of TCP are what can be published", text) end
    if not port then fail.now("-p %s: PORT:PORT or ADDRESS:PORT:PORT expected", text) end
    ports[("%s:%s"):format(address ~= "" and address or "127.0.0.1", port)] = tonumber(inside)
  end
  box:publish(ports)
end

local NETWORKS = { none = function() end, host = function(box) box:share "net" end,
  pasta = function(box) box:network "pasta" end }

local function network(box, name, run)
  local set = NETWORKS[name]
  if not set then
    fail.now("--network %s: there is none, host and pasta, which leads to the world outside as docker's bridge does", name)
  end
  set(box)
  run.network = name
end

--- What makes a box: in the order in which it is said to the box, whatever is typed first.
options.box = {
  { "-h --hostname", "NAME", "its host name", set = function(box, name) box:hostname(name) end },
  { "--env-file", "FILE", "variables, one KEY=VALUE in each line", many = true, set = each(env_file) },
  { "-e --env", "KEY[=VALUE]", "a variable; without a value, as it is here", many = true, set = each(env) },
  { "-w --workdir", "DIR", "the working directory", set = function(box, path) box:cwd(path) end },
  { "-u --user", "USER[:GROUP]", "who the program is", set = user },
  { "--group-add", "GROUP", "a further group", many = true, set = groups },
  { "--umask", "MASK", "the mask of file modes", set = function(box, mask) box:umask(mask) end },
  { "-v --volume", "SOURCE:PLACE[:ro]", "a file or directory of this machine", many = true, set = each(volume) },
  { "--mount", "type=...,source=...,target=...", "the same, or a tmpfs, in docker's long form", many = true,
    set = each(mount) },
  { "--tmpfs", "PLACE[:size=...]", "an empty directory in memory", many = true, set = each(tmpfs) },
  { "--shm-size", "SIZE", "how much /dev/shm holds", set = function(box, size)
    box:dev("/dev", { size = values.size(size) })
  end },
  { "--network --net", "none|host|pasta", "the network: none unless it is asked for", set = network },
  { "-p --publish", "[IP:]PORT:PORT", "a port of this machine, of 127.0.0.1 if none is said, leads to one of the box",
    many = true, set = publish },
  { "-m --memory", "SIZE", "the most memory of all in the box", set = limit("memory", values.size) },
  { "--cpus", "N", "how many processors' time", set = limit("cpu", function(text)
    return values.number(text, "--cpus")
  end) },
  { "--pids-limit", "N", "the most processes", set = limit("pids", pids) },
  { "--ulimit", "NAME=SOFT[:HARD]", "a limit of each process, as nofile", many = true, set = each(ulimit) },
  { "--cap-drop", "CAPABILITY", "takes one away, or all", many = true },
  { "--cap-add", "CAPABILITY", "adds one, or all", many = true },
  { "--security-opt", "OPTION", "seccomp=unconfined", many = true, set = each(security) },
  { "--sysctl", "NAME=VALUE", "a setting of its network", many = true, set = each(sysctl) },
  { "--timeout", "SECONDS", "ends the program when they are over", set = function(_, text, run)
    run.program.timeout = values.number(text, "--timeout")
  end },
}

--- What is said about the run itself.
options.run = {
  { "-d --detach", "runs it in the background, and prints its name" },
  { "-i --interactive", "your stdin is the program's" },
  { "-t --tty", "a terminal of its own, which is shown at yours" },
  { "--name", "NAME", "the name by which exec, logs, stop, ... find it" },
  { "--rm", "nothing is kept of it when it has ended" },
  { "--init", "says what is so anyway: a small init reaps and hands signals on" },
  { "--entrypoint", "PROGRAM", "the program, in the place of the image's" },
  { "--system", "the root is this machine's system, read-only, and nothing of its users" },
  { "--rootfs", "DIR[:O]", "the root is this directory; with :O, what is written is thrown away" },
  { "--read-only", "the root cannot be written" },
}

--- Says to the box what is given by the options.
function options.apply(box, given, run)
  for _, row in ipairs(options.box) do
    local value = given[row[1]:match("%-%-(%S+)"):gsub("-", "_")]
    if row.set and value ~= nil and (not row.many or #value > 0) then row.set(box, value, run) end
  end
  box:caps(options.caps(box:spec().caps, given))
  if next(run.limits) then box:limits(run.limits) end
  if next(run.sysctl) then box:sysctl(run.sysctl) end
end

return options
