--- The interpreter that a program names: read from the heads of ELF files of both classes and byte orders, hostile ones too.
local interpreter = require "ns.start.interpreter"
local machine = require "support.machine"

--- The bytes of a number that is `size` long.
local function bytes(n, size, big)
  local list = {}
  for i = 1, size do
    list[big and size + 1 - i or i] = string.char(n % 256)
    n = math.floor(n / 256)
  end
  return table.concat(list)
end

--- An ELF file with one program header before that of its interpreter. `t` says what is unusual.
local function elf(t)
  local word, big = t.class == 1 and 4 or 8, t.big
  local long, size = t.class == 1, t.class == 1 and 32 or 56
  local at = t.at or 600
  local head = "\127ELF" .. string.char(t.class or 2, big and 2 or 1, 1) .. ("\0"):rep(9) .. ("\0"):rep(8 + word)
    .. bytes(t.headers or 64, word, big) .. ("\0"):rep(word + 6) .. bytes(t.entry or size, 2, big)
    .. bytes(t.count or 2, 2, big)
  head = head .. ("\0"):rep((t.headers or 64) - #head)
  local function header(kind, offset, length)
    local h = long and bytes(kind, 4, big) .. bytes(offset, 4, big) .. ("\0"):rep(8) .. bytes(length, 4, big)
      or bytes(kind, 4, big) .. bytes(4, 4, big) .. bytes(offset, 8, big) .. ("\0"):rep(16) .. bytes(length, 8, big)
    return h .. ("\0"):rep(size - #h)
  end
  local name = t.name or "/opt/loader\0"
  head = head .. header(6, 64, 112) .. header(3, at, t.length or #name)
  if at < #head or at > 1e6 then return head end
  return head .. ("\0"):rep(at - #head) .. name
end

local path

setup(function() path = os.tmpname() end)
teardown(function() os.remove(path) end)

--- What it finds in a file with these bytes, of which the first 4 KiB have been read.
local function of(data)
  machine.file(path, data)
  return interpreter.of(data:sub(1, 4096), path)
end

describe("the interpreter of a program is found", function()
  for class = 1, 2 do
    for _, big in ipairs { false, true } do
      it(("where its words have %d bits, the %s first"):format(class * 32, big and "high" or "low"), function()
        assert.same({ "/opt/loader", "ELF" }, { of(elf { class = class, big = big }) })
        assert.same({ "/opt/loader", "ELF" }, { of(elf { class = class, big = big, at = 123456 }) })
        assert.same({ "/opt/loader", "ELF" }, { of(elf { class = class, big = big, headers = 5000, at = 6000 }) })
      end)
    end
  end

  it("in bytes that are no file", function()
    assert.equal("/opt/loader", (interpreter.of(elf { at = 123456 })))
    assert.is_nil((interpreter.of(elf { at = 2 ^ 63 })))
  end)

  it("in the first line of a script", function()
    for line, name in pairs { ["#!/bin/sh"] = "/bin/sh", ["#! \t/bin/sh -x\n"] = "/bin/sh", ["#!sh\0x\n"] = "sh" } do
      assert.same({ name, "#!" }, { of(line) })
    end
  end)
end)

describe("no interpreter, and no error, comes of", function()
  local ROWS = {
    ["an empty file"] = "", ["a text"] = "echo", ["a script that names none"] = "#! \n", ["ELF and no more"] = "\127ELF",
    ["an unknown class"] = elf({ class = 2 }):gsub("^(....)\2", "%1\3"), ["an empty name"] = elf { name = "\0" },
    ["headers beyond the end"] = elf({ headers = 5000 }):sub(1, 4500), ["a name beyond the end"] = elf { at = 2 ^ 52 },
    ["a name at 2^63"] = elf { at = 2 ^ 63 }, ["a name at 2^64 - 2048"] = elf { at = 2 ^ 64 - 2048 },
    ["a name of 2^62 bytes"] = elf { length = 2 ^ 62 }, ["a name of 4097 bytes"] = elf { name = ("x"):rep(4096) .. "\0" },
    ["a name without an end"] = elf { name = "/opt/loader" }, ["headers of another size"] = elf { entry = 1 },
    ["65535 headers"] = elf { count = 65535 }, ["no headers"] = elf { count = 0 },
  }
  for what, data in pairs(ROWS) do
    it(what, function() assert.is_nil((of(data))) end)
  end

  it("a program that is cut off anywhere", function()
    local data = elf {}
    for i = 0, #data - 1 do assert.is_nil((interpreter.of(data:sub(1, i)))) end
  end)

  it("a file that is gone, a directory or a FIFO by now", function()
    local data = elf { at = 5000 }
    local fifo, remove = machine.directory()
    finally(remove)
    os.execute(("mkfifo %s/fifo"):format(fifo))
    for _, place in ipairs { fifo .. "/none", fifo, fifo .. "/fifo", "/dev/zero" } do
      assert.is_nil((interpreter.of(data:sub(1, 4096), place)))
    end
  end)
end)
