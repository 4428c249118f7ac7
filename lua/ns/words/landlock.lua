--- What the program may reach, whatever its ids may: landlock(7). Each field stands for itself: what it names is allowed,
-- all else of its kind refused; what no field is about stays as it is.
-- @module ns.words.landlock
require("ns.core").nojit()
local check = require "ns.words.check"
local constants = require("ns.core").constants
local check_place = require("ns.words.mount_fields").place
local privileges = require "ns.words.privileges"

local landlock = {}

local BITS, ENOENT = constants.landlock, constants.errno.ENOENT

-- ---- rights ----

local function set(text)
  local names = {}
  for name in text:gmatch("%S+") do names[name] = true end
  return names
end

local function union(a, b)
  local all = {}
  for name in pairs(a) do all[name] = true end
  for name in pairs(b) do all[name] = true end
  return all
end

local READ = set "READ_FILE READ_DIR"
local WRITE = set "WRITE_FILE TRUNCATE IOCTL_DEV REMOVE_DIR REMOVE_FILE MAKE_DIR MAKE_REG MAKE_SOCK MAKE_FIFO MAKE_SYM REFER"

-- What a file can have that is no directory.
local OF_FILES = set "EXECUTE WRITE_FILE READ_FILE TRUNCATE IOCTL_DEV RESOLVE_UNIX"

--- The version of the ABI from which on a right is known; the others are of the first.
local SINCE = { REFER = 2, TRUNCATE = 3, BIND_TCP = 4, CONNECT_TCP = 4, IOCTL_DEV = 5, SIGNAL = 6, ABSTRACT_UNIX = 6,
  RESOLVE_UNIX = 9, BIND_UDP = 10, CONNECT_SEND_UDP = 10 }

--- The Linux that has brought a version of the ABI.
local LINUX = { "5.13", "5.19", "6.2", "6.7", "6.10", "6.12", "6.15", "7.0", "7.1", "7.2" }

--- One field each: of what kind its list is, which rights are refused elsewhere, and which it gives, where these are others.
-- Nobody is given the right to make a device file. What is executed has to be read; and so has most of what is written.
local FIELDS = {
  { name = "read", kind = "paths", rights = READ },
  { name = "write", kind = "paths", rights = union(WRITE, set "MAKE_CHAR MAKE_BLOCK"), gives = union(WRITE, READ) },
  { name = "execute", kind = "paths", rights = set "EXECUTE", gives = union(set "EXECUTE", READ) },
  { name = "unix_connect", kind = "paths", rights = set "RESOLVE_UNIX" },
  { name = "tcp_connect", kind = "ports", rights = set "CONNECT_TCP" },
  { name = "tcp_bind", kind = "ports", rights = set "BIND_TCP" },
  { name = "udp_connect", kind = "ports", rights = set "CONNECT_SEND_UDP" },
  { name = "udp_bind", kind = "ports", rights = set "BIND_UDP" },
}

--- The sum of the rights that this ABI knows, and that are among the `handled` ones; without `handled`, of all it knows.
local function sum(rights, abi, handled)
  local total = 0
  for name in pairs(rights) do
    if (SINCE[name] or 1) <= abi and (not handled or handled[name]) then total = total + BITS[name] end
  end
  return total
end

--- Those of a set that only a directory has.
local function of_directories(rights)
  local left = {}
  for name in pairs(rights) do left[name] = not OF_FILES[name] or nil end
  return left
end

-- ---- the word ----

local function check_path(value, where)
  if type(value) ~= "table" then return { path = check_place(value, where) } end
  local item = check.record({ path = check_place, try = check.boolean })(value, where)
  if not item.path then check.fail(where .. ".path", "missing") end
  return item
end

local function check_scope(value, where)
  local names = check.list(check.choice("signal", "abstract_unix"))(type(value) == "string" and { value } or value, where)
  local result = {}
  for i, name in ipairs(names) do
    if result[name] then check.fail(check.at(where, i), "'%s' is given twice", name) end
    result[name] = true
  end
  return next(result) and result or check.fail(where, "empty list")
end

local LISTS = { paths = check.list(check_path), ports = check.list(check.integer(0, 65535)) }
local CHECKS = { scope = check_scope }
for _, field in ipairs(FIELDS) do CHECKS[field.name] = LISTS[field.kind] end

local check_fields = check.record(CHECKS)

--- {read = {paths}, write = {paths}, ..., tcp_connect = {ports}, ..., scope = {names}}; a path may be {path=, try=}.
function landlock.check(value, where)
  local word = check_fields(value, where)
  if not next(word) then check.fail(where, "nothing in it: read, write, execute, tcp_connect, tcp_bind or scope") end
  return word
end

--- The parts that can be left out alone (`ns.words.optional`): its fields; and of `write`, that truncate(2) is refused.
function landlock.check_part(name, where)
  if CHECKS[name] or name == "truncate" then return name end
  check.fail(where, "landlock has no part '%s'%s", name, check.nearest(name, CHECKS))
end

--- Is the part in the word?
function landlock.has_part(word, part)
  if part == "truncate" then return word.write ~= nil and not word.keeps_truncate end
  return word[part] ~= nil
end

--- The word without a part of it; nil where nothing is left.
function landlock.without(word, part)
  local left = {}
  for name, value in next, word do left[name] = value end
  if part == "truncate" then left.keeps_truncate = true else left[part] = nil end
  for name in next, left do
    if CHECKS[name] then return left end
  end
end

--- Calls `each(path, field)` for every path.
function landlock.each_path(word, each)
  for _, field in ipairs(FIELDS) do
    for _, item in ipairs(field.kind == "paths" and word[field.name] or {}) do each(item.path, field.name) end
  end
end

-- ---- what a kernel lacks ----

local function since(rights)
  local most = 1
  for name in pairs(rights) do most = math.max(most, SINCE[name] or 1) end
  return most
end

--- What of the word this ABI cannot refuse: a list of {part=, linux=}. A right that is not missed is none: without REFER
-- files cannot be moved at all, and IOCTL_DEV is about devices that the program may open.
function landlock.lacks(word, abi)
  local list = {}
  local function need(part, least)
    if least > abi then list[#list + 1] = { part = part, linux = LINUX[least] } end
  end
  for _, field in ipairs(FIELDS) do
    if word[field.name] and field.name ~= "write" then need(field.name, since(field.rights)) end
  end
  if word.write and not word.keeps_truncate then need("truncate", SINCE.TRUNCATE) end
  if word.scope then need("scope", SINCE.SIGNAL) end
  return list
end

-- ---- steps ----

local function handled(word, kind)
  local rights = {}
  for _, field in ipairs(FIELDS) do
    if field.kind == kind and word[field.name] then rights = union(rights, field.rights) end
  end
  return rights
end

local function scopes(word)
  local rights = {}
  for name in pairs(word.scope or {}) do rights[name:upper()] = true end
  return rights
end

local function allow_path(item, rights, step, add, found)
  local below = found.landlock.below[item.path] or item
  local bits = sum(rights, found.landlock.abi, step.handled)
  add { op = "landlock_path", path = below.path, source = below.top, flags = bits,
    clear = sum(of_directories(rights), found.landlock.abi, step.handled), ignore = item.try and ENOENT or nil,
    word = "landlock", part = step.part }
end

--- Makes the rules.
function landlock.build(word, _, add, found)
  local abi, files, ports = found.landlock.abi, handled(word, "paths"), handled(word, "ports")
  if next(files) then files.REFER = true end -- each ruleset about files refuses it
  add { op = "landlock", flags = sum(files, abi), value = sum(ports, abi), limit = sum(scopes(word), abi),
    word = "landlock" }
  for _, field in ipairs(FIELDS) do
    for _, item in ipairs(word[field.name] or {}) do
      if field.kind == "paths" then
        allow_path(item, field.gives or field.rights, { handled = files, part = field.name }, add, found)
      else
        add { op = "landlock_port", value = item, flags = sum(field.rights, abi), word = "landlock", part = field.name }
      end
    end
  end
  if next(files) and not word.write and abi >= SINCE.REFER then
    allow_path({ path = "/" }, { REFER = true }, { handled = files }, add, found)
  end
end

--- From here on they hold. Without a capability that takes no_new_privs.
function landlock.restrict(_, spec, add)
  privileges.no_new_privs(spec.no_new_privs == nil, spec, add)
  add { op = "landlock_restrict", word = "landlock" }
end

return landlock
