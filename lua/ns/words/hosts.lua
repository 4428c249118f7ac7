--- Names and addresses that a box has in files of its own: /etc/hosts, see hosts(5), and /etc/resolv.conf, see
-- resolv.conf(5).
-- @module ns.words.hosts
require("ns.core").nojit()
local addresses = require "ns.words.addresses"
local check = require "ns.words.check"
local endpoint = require "ns.words.endpoint"

local hosts = {}

local HOSTS, RESOLV = "/etc/hosts", "/etc/resolv.conf"
local FILE_MODE = tonumber("644", 8)

-- ---- checks ----

local function check_name(name, where)
  if type(name) ~= "string" then check.fail(where, "name of a machine expected, got %s", check.show(name)) end
  if not endpoint.is_name(name) then check.fail(where, "'%s' is no name of a machine", name) end
  return name
end

local check_addresses = check.list(addresses.check_one, 1)

--- {db = "10.0.0.7", web = {"10.0.0.8", "fd00::8"}}: a list of { address, name }, by name.
function hosts.check(value, where)
  if type(value) ~= "table" then check.fail(where, "table expected, got %s", type(value)) end
  local names, list = {}, {}
  for name in next, value do names[#names + 1] = check_name(name, where) end
  table.sort(names)
  for _, name in ipairs(names) do
    local at, of = check.at(where, name), value[name]
    if type(of) == "string" then of = { of } end
    for _, address in ipairs(check_addresses(of, at)) do list[#list + 1] = { address.text, name } end
  end
  return list
end

-- As many servers as the C library asks.
local MOST = 3

local function check_option(value, where)
  if not check.text(value, where):find "^[%w:_-]+$" then check.fail(where, "'%s' is no option, as 'ndots:2'", value) end
  return value
end

local check_lists = check.record { search = check.list(check_name), options = check.list(check_option) }

--- "10.0.0.1", or {"10.0.0.1", "fd00::1", search = {"example.com"}, options = {"ndots:2"}}: the text of the file.
function hosts.check_dns(value, where)
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" then check.fail(where, "address, or a list of them, expected, got %s", type(value)) end
  local servers, rest = {}, {}
  for key, v in next, value do
    if type(key) == "number" then servers[key] = v else rest[key] = v end
  end
  local lines, lists = {}, check_lists(rest, where)
  for i, server in ipairs(check.list(addresses.check_one)(servers, where)) do
    lines[i] = "nameserver " .. server.text
  end
  if #lines > MOST then check.fail(where, "%d are too many, %d are asked at the most", #lines, MOST) end
  for _, field in ipairs { "search", "options" } do
    if lists[field] then lines[#lines + 1] = field .. " " .. table.concat(lists[field], " ") end
  end
  return table.concat(lines, "\n") .. "\n"
end

-- ---- the files ----

--- Adds a file to the mounts of a checked spec, over what the others put there; one at that place is kept.
local function put(spec, path, text)
  local list = {}
  for i, m in ipairs(spec.mounts or {}) do
    if m.target == path then return end
    list[i] = m
  end
  list[#list + 1] = { type = "file", target = path, data = text, mode = FILE_MODE }
  spec.mounts = list
end

--- The lines of a hosts(5) file: those of a list of { address, name }, and of the box itself, if it is none of these.
local function text_of(list, hostname)
  local lines, own = { "127.0.0.1 localhost", "::1 localhost" }, hostname and " " .. hostname or ""
  for _, row in ipairs(list) do
    lines[#lines + 1] = ("%s %s"):format(row[1], row[2])
    if row[2] == hostname then own = "" end
  end
  return lines[1] .. own .. "\n" .. table.concat(lines, "\n", 2) .. "\n"
end

--- Has the box a file of these names, where there are some.
function hosts.put_names(spec, list)
  if #list > 0 then put(spec, HOSTS, text_of(list, spec.hostname)) end
end

--- Has the box a file that says who is asked for names.
function hosts.put_dns(spec, text)
  if text then put(spec, RESOLV, text) end
end

return hosts
