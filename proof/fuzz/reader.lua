--- Bytes of the fuzzer as values: the same bytes are the same values. After the last byte come zeros.
local reader = {}

local bytes, at

--- Begins with new bytes.
function reader.start(new)
  bytes, at = new, 0
end

function reader.byte()
  at = at + 1
  return bytes:byte(at) or 0
end

--- All that is left.
function reader.rest()
  return bytes:sub(at + 1)
end

function reader.chance(n)
  return reader.byte() % n == 1
end

function reader.pick(list)
  return list[reader.byte() % #list + 1]
end

--- Calls `make` up to `most` times: a list.
function reader.list(most, make)
  local list = {}
  for i = 1, reader.byte() % (most + 1) do list[i] = make() end
  return list
end

local NUMBERS = { 0, 1, -1, 2, 3, 64, 255, 256, 340, 511, 512, 4095, 4096, 65535, 65536, 2 ^ 31 - 1, 2 ^ 31, 2 ^ 32 - 2,
  2 ^ 32 - 1, 2 ^ 32, 2 ^ 53, 2 ^ 53 + 2, 2 ^ 63, -2 ^ 63, 1e300, 1 / 0, -1 / 0, 0 / 0, 0.5, -0.5, 1.5, math.maxinteger,
  math.mininteger }

function reader.number()
  local b = reader.byte()
  if b < 128 then return b % 32 end
  if b < 160 then return b * 256 + reader.byte() end
  if b < 192 then return (b * 256 + reader.byte()) * 65536 + reader.byte() end
  return NUMBERS[(b - 192) % #NUMBERS + 1]
end

local TEXTS = { "", "a", "/", ".", "..", "/..", "/a/../b", "a\0b", "a=b", "=", "a:b\\c,d", "root", "nobody", "all",
  ("x"):rep(64), ("x"):rep(65), ("/x"):rep(2047), ("x"):rep(4096), ("x"):rep(70000), ("x"):rep(131072), "%s%d%", "host" }

function reader.text()
  local b = reader.byte()
  if b < #TEXTS then return TEXTS[b + 1] end
  at = at + b % 24
  return bytes:sub(at - b % 24 + 1, at)
end

local PATHS = { "/", "/tmp", "/a", "/a/b", "/proc", "/dev/null", "/usr/bin", "//a//b/", "/a b", "/a:b", "/a\\b", "/etc" }

function reader.path()
  return reader.chance(8) and reader.text() or reader.pick(PATHS)
end

local deep = 0

--- A value of any type.
function reader.junk()
  local kind = reader.byte() % 10
  if kind < 2 then return reader.number() end
  if kind < 4 then return reader.text() end
  if kind == 4 then return reader.byte() % 2 == 0 end
  if kind == 5 then return print end
  if kind == 6 then return io.stdout end
  if kind == 7 then return { getfd = function() return reader.number() end } end
  local t = {}
  if deep > 3 then return t end
  deep = deep + 1
  for _ = 1, reader.byte() % 4 do
    t[reader.key()] = reader.junk()
  end
  deep = deep - 1
  return t
end

--- Junk that can be a key.
function reader.key()
  local key = reader.junk()
  return key == key and key or 1
end

return reader
