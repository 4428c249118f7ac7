--- A system call filter as bytes: what is to be done for each number becomes classic BPF, as seccomp(2) takes it. No bit
-- operations, so that it is the same on every Lua.
--
-- A *leaf* says what is done for a call: an action, a number as BPF returns it; or a list of clauses, of which the first
-- that fits decides, with an action at its end for the rest. A clause: {tests = {...}, action = number}; it fits if all its
-- tests hold. A test: {index = 0 to 5, op = "==", high =, low =, wide = whether all 64 bits count, mask_high =, mask_low =}.
-- @module ns.words.bpf
require("ns.core").nojit()
local core = require "ns.core"

local bpf = {}

local char, floor, concat, huge = string.char, math.floor, table.concat, math.huge

local LOAD, JUMP, JEQ, JGT, JGE, AND, RETURN = 0x20, 0x05, 0x15, 0x25, 0x35, 0x54, 0x06

-- struct seccomp_data: where the number, the architecture and the arguments are
local NUMBER, ARCH, ARGUMENTS = 0, 4, 16
local LOW, HIGH = 0, 4
if not core.little_endian then LOW, HIGH = 4, 0 end

local ALL = 0xffffffff

--- The most instructions that the kernel takes (BPF_MAXINSNS).
bpf.MOST = 4096

--- The actions that have a name (seccomp(2)); `errno` makes one that refuses the call.
bpf.actions = { allow = 0x7fff0000, log = 0x7ffc0000, trace = 0x7ff00000, notify = 0x7fc00000, trap = 0x00030000,
  kill = 0x80000000, kill_thread = 0 }

--- The call fails with this errno, and does nothing.
function bpf.errno(number) return 0x00050000 + number end

-- ---- bytes ----

--- The bytes of struct sock_filter: its code, two jumps, and a constant.
local function bytes_of(c)
  local n = c[4]
  local b1 = n % 256
  local b2 = (n - b1) / 256 % 256
  local b3 = floor(n / 65536) % 256
  local b4 = floor(n / 16777216)
  if core.little_endian then return char(c[1], 0, c[2], c[3], b1, b2, b3, b4) end
  return char(0, c[1], c[2], c[3], b4, b3, b2, b1)
end

local function pack(code)
  local out = {}
  for i = 1, #code do out[i] = bytes_of(code[i]) end
  return concat(out)
end

local function append(code, more)
  for i = 1, #more do code[#code + 1] = more[i] end
end

-- ---- a leaf ----

-- What a test becomes: instructions, each {code, where to if true, where to if false, constant}. "on": the test holds;
-- "off": it does not; nil: the next instruction.

local function equal(t)
  local code = {}
  local function word(offset, mask, value)
    if mask == 0 then return end
    code[#code + 1] = { LOAD, nil, nil, ARGUMENTS + 8 * t.index + offset }
    if mask ~= ALL then code[#code + 1] = { AND, nil, nil, mask } end
    code[#code + 1] = { JEQ, nil, "off", value }
  end
  if t.wide then word(HIGH, t.mask_high or ALL, t.high) end
  word(LOW, t.mask_low or ALL, t.low)
  return code
end

--- `jump`: JGT or JGE; numbers without a sign.
local function greater(t, jump)
  local code, at = {}, ARGUMENTS + 8 * t.index
  if t.wide then
    append(code, { { LOAD, nil, nil, at + HIGH }, { JGT, "on", nil, t.high }, { JEQ, nil, "off", t.high } })
  end
  append(code, { { LOAD, nil, nil, at + LOW }, { jump, "on", "off", t.low } })
  return code
end

--- The same instructions, for the opposite.
local function opposite(code)
  local other = { on = "off", off = "on" }
  for _, c in ipairs(code) do c[2], c[3] = other[c[2]], other[c[3]] end
  local last = code[#code]
  last[2], last[3] = last[2] or "off", last[3] or nil -- what went on to the next one held
  return code
end

local OPS = {
  ["=="] = equal,
  ["&"] = equal,
  ["!="] = function(t) return opposite(equal(t)) end,
  [">="] = function(t) return greater(t, JGE) end,
  [">"] = function(t) return greater(t, JGT) end,
  ["<"] = function(t) return opposite(greater(t, JGE)) end,
  ["<="] = function(t) return opposite(greater(t, JGT)) end,
}

--- The instructions of a clause, whose last is its action: who does not fit jumps behind it.
local function clause_of(clause)
  local code, ends = {}, {}
  for _, t in ipairs(clause.tests) do
    append(code, OPS[t.op](t))
    for i = (ends[#ends] or 0) + 1, #code do code[i].on = #code end
    ends[#ends + 1] = #code
  end
  code[#code + 1] = { RETURN, 0, 0, clause.action }
  for i = 1, #code - 1 do
    local c = code[i]
    for side = 2, 3 do
      c[side] = c[side] == "off" and #code - i or c[side] == "on" and c.on - i or 0
    end
  end
  return code
end

local function leaf(what)
  if type(what) == "number" then return { { RETURN, 0, 0, what } } end
  local code = {}
  for _, clause in ipairs(what) do
    append(code, type(clause) == "number" and { { RETURN, 0, 0, clause } } or clause_of(clause))
  end
  return code
end

-- ---- the tree ----

--- {{from = number, what = leaf}...}: neighbours with the same leaf are one. `machine` as in bpf.compile.
local function ranges(machine)
  local numbers, list, at = {}, {}, 0
  for number in next, machine.map do numbers[#numbers + 1] = number end
  table.sort(numbers)
  local function put(from, what)
    local last = list[#list]
    if last and last.from == from then list[#list] = nil end
    last = list[#list]
    if not (last and last.what == what) then list[#list + 1] = { from = from, what = what } end
  end
  local limit = machine.limit or huge
  local function gap(from, to)
    if from < to and from < limit then put(from, machine.unknown) end
    if to > limit then put(from > limit and from or limit, machine.beyond) end
  end
  for _, number in ipairs(numbers) do
    gap(at, number)
    put(number, machine.map[number])
    at = number + 1
  end
  gap(at, huge)
  return list
end

--- A binary search for the range that a number lies in.
local function tree(list, i, j)
  if i == j then return leaf(list[i].what) end
  local middle = floor((i + j + 1) / 2)
  local low, high, from = tree(list, i, middle - 1), tree(list, middle, j), list[middle].from
  local is_near = #low <= 255 -- no jump on a condition goes further
  local code = is_near and { { JGE, #low, 0, from } } or { { JGE, 0, 1, from }, { JUMP, 0, 0, #low } }
  append(code, low)
  append(code, high)
  return code
end

--- The filter as bytes. `machines`: a list of {audit = the kernel's number of the
-- architecture, map = {[number of a call] = leaf}, unknown = the leaf of all others, limit =, beyond = the leaf of those
-- from that number on}; calls of another architecture get the action `other`.
function bpf.compile(machines, other)
  local code = { { LOAD, 0, 0, ARCH } }
  for _, machine in ipairs(machines) do
    local list, body = ranges(machine), { { LOAD, 0, 0, NUMBER } }
    append(body, tree(list, 1, #list))
    if #body <= 255 then
      code[#code + 1] = { JEQ, 0, #body, machine.audit }
    else
      append(code, { { JEQ, 1, 0, machine.audit }, { JUMP, 0, 0, #body } })
    end
    append(code, body)
  end
  code[#code + 1] = { RETURN, 0, 0, other }
  return pack(code)
end

--- EBUSY, also in a filter that asks (`bpf.asking`). No caller can write this number.
bpf.never = bpf.errno(0xffff)

--- Two filters of one: with a question to a supervisor (seccomp_unotify(2)) in the place of each refusal by an errno, and as
-- it is without one.
function bpf.asking(bytes)
  local function answer(action) return bytes_of { RETURN, 0, 0, action } end
  local ask, never, busy = answer(bpf.actions.notify), answer(bpf.never), answer(bpf.errno(core.constants.errno.EBUSY))
  local asking, plain = {}, {}
  for i = 1, #bytes, 8 do
    local one = bytes:sub(i, i + 7)
    local high = core.little_endian and one:sub(7, 8) or one:sub(5, 6)
    local is_errno = one:sub(1, 4) == ask:sub(1, 4) and high == (core.little_endian and "\5\0" or "\0\5")
    asking[#asking + 1] = one == never and busy or is_errno and ask or one
    plain[#plain + 1] = one == never and busy or one
  end
  return concat(asking), concat(plain)
end

return bpf
