--- What the kernel does with a filter of system calls: an interpreter of its bytes. And a reference that reads the rules
--- themselves, as a caller writes them, to compare with.
local constants = require("ns.core").constants
local filter_rules = require "ns.words.filter_rules"
local profile = require "ns.words.profile"

local bpf = {}

local floor, WORD = math.floor, 4294967296

local function band(x, y)
  local r, bit = 0, 1
  while x > 0 and y > 0 do
    if x % 2 == 1 and y % 2 == 1 then r = r + bit end
    x, y, bit = floor(x / 2), floor(y / 2), bit * 2
  end
  return r
end

--- The instructions of a string: {{code, true, false, constant}...}.
function bpf.read(bytes)
  local code = {}
  for i = 1, #bytes, 8 do
    local a, b, jt, jf, k1, k2, k3, k4 = bytes:byte(i, i + 7)
    code[#code + 1] = { a + b * 256, jt, jf, k1 + k2 * 256 + k3 * 65536 + k4 * 16777216 }
  end
  return code
end

--- The same as bytes again.
function bpf.write(code)
  local out = {}
  for i, c in ipairs(code) do
    local bytes, k = {}, c[4]
    for b = 1, 4 do bytes[b], k = string.char(k % 256), floor(k / 256) end
    out[i] = string.char(c[1], 0, c[2], c[3]) .. table.concat(bytes)
  end
  return table.concat(out)
end

--- The word at an offset of struct seccomp_data.
local function word(data, offset)
  if offset == 0 then return data.number end
  if offset == 4 then return data.audit end
  local value = data.args[floor((offset - 16) / 8) + 1] or { 0, 0 } -- high, low
  return offset % 8 == 0 and value[2] or value[1]
end

--- What the kernel does for {number =, audit =, args = {{high, low}...}}: the number that the filter returns.
function bpf.run(code, data)
  local a, pc = 0, 1
  while true do
    local c = code[pc]
    local op, k, jump = c[1], c[4], nil
    if op == 0x06 then return k end
    if op == 0x20 then
      a = word(data, k)
    elseif op == 0x54 then
      a = band(a, k)
    elseif op == 0x05 then
      jump = k
    elseif op == 0x15 then
      jump = a == k and c[2] or c[3]
    elseif op == 0x25 then
      jump = a > k and c[2] or c[3]
    elseif op == 0x35 then
      jump = a >= k and c[2] or c[3]
    else
      error(("no such instruction: %x"):format(op))
    end
    pc = pc + 1 + (jump or 0)
  end
end

-- ---- the reference ----

local ACTIONS = { allow = 0x7fff0000, log = 0x7ffc0000, trace = 0x7ff00000, trap = 0x30000, kill = 0x80000000,
  kill_thread = 0 }

function bpf.action(value)
  return ACTIONS[value] or 0x50000 + (type(value) == "number" and value or constants.errno[value])
end

local function halves(value)
  if type(value) == "string" then
    local digits = ("0"):rep(18 - #value) .. value:sub(3)
    return { tonumber(digits:sub(1, 8), 16), tonumber(digits:sub(9), 16) }
  end
  local low = value % WORD
  return { (value - low) / WORD % WORD, low }
end

local function compare(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] and -1 or 1 end
  return a[2] == b[2] and 0 or a[2] < b[2] and -1 or 1
end

local HOLDS = {
  ["=="] = function(c) return c == 0 end, ["!="] = function(c) return c ~= 0 end, ["<"] = function(c) return c < 0 end,
  ["<="] = function(c) return c <= 0 end, [">"] = function(c) return c > 0 end, [">="] = function(c) return c >= 0 end,
}

--- Does a test as { 0, "==", 1 } hold for these arguments of that call?
local function holds(name, test, args)
  local is_narrow = filter_rules.is_narrow(name, { index = test[1] })
  local got, value = args[test[1] + 1] or { 0, 0 }, halves(test[#test])
  if is_narrow then got, value = { 0, got[2] }, { 0, value[2] } end
  if test[2] ~= "&" then return HOLDS[test[2]](compare(got, value)) end
  local mask = halves(test[3])
  return band(got[1], mask[1]) == value[1] and band(got[2], mask[2]) == value[2]
end

local function is_in(list, name)
  for _, one in ipairs(list or {}) do
    if one == name then return true end
  end
end

local function by_rules(rules, name, args)
  for _, rule in ipairs(rules or {}) do
    local fits = is_in(rule, name)
    for _, test in ipairs(fits and rule.arg or {}) do fits = fits and holds(name, test, args) end
    if fits then return bpf.action(rule.action) end
  end
end

local function has_word(text, name) return (" " .. text:gsub("%s+", " ") .. " "):find(" " .. name .. " ", 1, true) end

--- The rules of the default profile where these conditions are met (`profile.conditions`). No other word opens anything.
function bpf.rules(met)
  local rules = {}
  for _, rule in ipairs(profile.rules) do
    local applies = not rule.where or met and met[rule.where]
    if applies and not (rule.nested and rule.action == "allow") then rules[#rules + 1] = rule end
  end
  return rules
end

--- What the default profile says of a call, read from its table.
local function by_profile(name, args, met)
  local action = by_rules(bpf.rules(met), name, args)
  if action then return action end
  for _, row in ipairs(profile.refused) do
    if has_word(row[2], name) then return bpf.action(row[1]) end
  end
  return bpf.action(has_word(profile.allowed, name) and "allow" or "ENOSYS")
end

--- What the table `t`, or "default", says of the call `name` (nil: of a number that nobody knows)
-- with these arguments. `met`:
-- the conditions of the profile that are.
function bpf.expected(t, name, args, met)
  t = t == "default" and {} or t
  local default = t.default and bpf.action(t.default)
  if not name then
    return default and (default < 0x50000 or default > 0x5ffff) and default or bpf.action "ENOSYS"
  end
  local action = by_rules(t.rules, name, args)
  if action then return action end
  for _, list in ipairs { "allow", "deny", "kill", "log" } do
    if is_in(t[list], name) then return bpf.action(list == "deny" and (t.errno or "EPERM") or list) end
  end
  return default or by_profile(name, args, met)
end

return bpf
