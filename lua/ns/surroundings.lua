--- The surroundings in which a file of tests runs, of ns.busted's and of ns.test's: the words for them, and the spec.
-- @module ns.surroundings
require("ns.core").nojit()
local check = require "ns.words.check"
local core = require "ns.core"
local field = require "ns.words.mount_fields"
local plan = require "ns.start.plan"

local surroundings = {}

local own = check.choice("own", "host")
local outcome = check.choice("error", "warn", "ignore")

--- "own", "host", or the size of one's own.
local function place(value, where)
  if value == "own" or value == "host" then return value end
  return field.size(value, where)
end

local function limits(value, where)
  plan.words.limits.check(value, where)
  return value
end

--- {word, check, default}.
surroundings.rows = {
  { "net", own, "own" },
  { "tmp", place, "own" },
  { "ipc", own, "own" },
  { "pid", own, "own" },
  { "hostname", own, "own" },
  { "tree", check.choice("host", "private", "read"), "host" },
  { "leaks", outcome, "error" },
  { "descriptors", outcome, "error" },
  { "limits", limits },
}

local MOST = "1g" -- of a /tmp, where nothing is said: a test that fills it shall not take all memory

local STICKY = tonumber("1777", 8)
local ASIDE = "/dev/shm/%d"

--- Is `path` below the directory?
local function is_below(path, directory) return (path .. "/"):sub(1, #directory + 1) == directory .. "/" end

--- The directory in which modules are looked for by an entry of package.path, as far as it has no question mark.
local function directory_of(entry)
  local path = entry:match("^([^?]*)/")
  return path and path ~= "" and path:sub(1, 1) == "/" and path or nil
end

--- The directories below /tmp that a file cannot do without: where it is, and where its modules are.
local function kept(cwd)
  local list = {}
  local function keep(path)
    if not (path and path ~= "/tmp" and is_below(path, "/tmp")) then return end
    for _, other in ipairs(list) do
      if is_below(path, other) then return end
    end
    if core.entries(path) then list[#list + 1] = path end
  end
  keep(cwd)
  for _, paths in ipairs { package.path, package.cpath } do
    for entry in paths:gmatch("[^;]+") do keep(directory_of(entry)) end
  end
  return list
end

local function bind(source, target) return { type = "bind", source = source, target = target, suid = true, dev = true } end

--- What is kept of the host's /tmp stands aside, in the place of /dev/shm, while that is covered.
local function own_places(said, cwd, root)
  local size = said.tmp and said.tmp ~= "own" and said.tmp or MOST
  local shm = { type = "tmpfs", target = "/dev/shm", size = size, mode = STICKY, try = true }
  local list, paths = {}, kept(cwd)
  local function add(m) list[#list + 1] = m end
  if #paths > 0 then add(shm) end
  for i, path in ipairs(paths) do
    add { type = "dir", target = ASIDE:format(i) }
    add(bind(path, ASIDE:format(i)))
  end
  add { type = "tmpfs", target = "/tmp", size = size, suid = root, dev = root }
  for i, path in ipairs(paths) do
    add { type = "dir", target = path }
    add(bind(ASIDE:format(i), path))
  end
  add(shm)
  return list
end

local TREES = {
  host = function() end,
  private = function(list, cwd) list[#list + 1] = { type = "overlay", lower = cwd, target = cwd, suid = true } end,
  read = function(list, cwd)
    list[#list + 1] = { type = "bind", source = cwd, target = cwd, ro = true, suid = true, dev = true }
  end,
}

local KINDS = { net = "net", ipc = "ipc", pid = "pid", hostname = "uts" }

-- All of it may be refused: then less is isolated, and that is said once.
local OPTIONAL = { "flags", "mounts", "mount_proc", "limits", "init", "sysctl" }

--- Any port is a user's in a network of his own, as in those of `ns.net`.
surroundings.any_port = { ["net.ipv4.ip_unprivileged_port_start"] = 0 }

--- The words of a spec, without function and streams. What is not said is "own", but for the tree, the host's.
function surroundings.spec(said)
  local root, cwd = core.ids().euid == 0, core.readlink "/proc/self/cwd"
  local flags, list = {}, {}
  for word, kind in pairs(KINDS) do
    if said[word] ~= "host" then flags[#flags + 1] = kind end
  end
  if said.tmp ~= "host" then list = own_places(said, cwd, root) end
  TREES[said.tree or "host"](list, cwd)
  local has_mounts = #list > 0 or said.pid ~= "host"
  if has_mounts then flags[#flags + 1] = "mount" end
  if not root and #flags > 0 then flags[#flags + 1] = "user" end
  local spec = { flags = flags, init = true, limits = said.limits, cwd = has_mounts and cwd or nil, session = true }
  spec.mounts, spec.mount_proc = #list > 0 and list or nil, said.pid ~= "host" or nil
  -- Who made a user namespace has all rights in it: a file of specs is to be refused what it is refused outside.
  if not root and #flags > 0 then spec.map, spec.caps = "self", {} end
  if not root and said.net ~= "host" then spec.sysctl = surroundings.any_port end
  spec.optional = OPTIONAL
  return spec
end

--- In words, what is left out, and why: that of which the reason is the same together.
function surroundings.without(list)
  local reasons, names, texts = {}, {}, {}
  for _, entry in ipairs(list) do
    local why = entry.why:gsub("clone %([^)]*%)", "clone")
    if not names[why] then
      names[why] = {}
      reasons[#reasons + 1] = why
    end
    table.insert(names[why], entry.what)
  end
  for i, why in ipairs(reasons) do texts[i] = table.concat(names[why], ", ") .. ": " .. why end
  return table.concat(texts, "; ")
end

return surroundings
