--- The interpreter that a program names, in its first line or in its ELF headers. The file may be hostile: of what it says
-- no more is believed, and no more read, than the kernel would.
-- @module ns.start.interpreter
require("ns.core").nojit()
local core = require "ns.core"

local interpreter = {}

local PT_INTERP = 3
local MOST = 4096 -- bytes of all program headers, and of a name
local FAR = 2 ^ 31 -- every Lua can seek up to it

-- By class, elf(5): the size of a word, where the head has its fields, the size of a program header, where that has its own.
local CLASSES = {
  { word = 4, headers = 28, entry = 42, count = 44, size = 32, offset = 4, length = 16 },
  { word = 8, headers = 32, entry = 54, count = 56, size = 56, offset = 8, length = 32 },
}

--- Reads from a file that may have been exchanged meanwhile: where it cannot seek it could block, and is not read.
local function read(place, at, size)
  if not core.isfile(place) then return "" end
  local bag = core.bag()
  local fd = bag:open(place, core.constants.open.RDONLY)
  local file = fd and bag:file(fd, "r")
  local bytes = file and file:seek("set", at) and file:read(size)
  if file then file:close() end
  bag:close()
  return bytes or ""
end

--- A piece of the file, of which the head is known; shorter, where the file ends.
local function piece(head, place, at, size)
  if at >= FAR then return "" end
  if not place or at + size <= #head then return head:sub(at + 1, at + size) end
  return read(place, at, size)
end

--- The number of `size` bytes at an offset; what is missing is 0.
local function number(bytes, at, size, big)
  local n = 0.0 -- an integer of 64 bits would wrap
  for i = 1, size do n = n * 256 + (bytes:byte(big and at + i or at + size + 1 - i) or 0) end
  return n
end

local function of_elf(head, place)
  local class, big = CLASSES[head:byte(5)], head:byte(6) == 2
  if not class or number(head, class.entry, 2, big) ~= class.size then return nil end
  local size = number(head, class.count, 2, big) * class.size
  if size > MOST then return nil end
  local headers = piece(head, place, number(head, class.headers, class.word, big), size)
  for at = 0, #headers - class.size, class.size do
    if number(headers, at, 4, big) == PT_INTERP then
      local length = number(headers, at + class.length, class.word, big)
      if length > MOST then return nil end
      return piece(head, place, number(headers, at + class.offset, class.word, big), length):match("^([^%z]+)%z"), "ELF"
    end
  end
end

--- The name of the interpreter, and "#!" or "ELF"; nil where there is none. `head` is the beginning of the file at `place`,
-- or all of it, where there is no place.
function interpreter.of(head, place)
  if head:sub(1, 2) == "#!" then return head:match("^#![ \t]*([^ \t\n%z]+)"), "#!" end
  if head:sub(1, 4) == "\127ELF" then return of_elf(head, place) end
end

return interpreter
