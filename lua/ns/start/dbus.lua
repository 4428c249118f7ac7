--- Calls of D-Bus methods, as many of their types as systemd's manager needs: the messages as bytes, and one exchange.
--
-- The words are those of dbus.freedesktop.org/doc/dbus-specification.html.
-- @module ns.start.dbus
require("ns.core").nojit()
local core = require "ns.core"
local errno_of = core.constants.errno

local dbus = {}

-- ---- values as bytes ----

local function u32(n)
  return string.char(n % 256, math.floor(n / 256) % 256, math.floor(n / 65536) % 256, math.floor(n / 16777216) % 256)
end

local ALIGNMENT = { y = 1, g = 1, b = 4, u = 4, s = 4, o = 4, a = 4, v = 1, ["("] = 8 }

local function padded(bytes, alignment) return bytes .. ("\0"):rep(-#bytes % alignment) end

--- The first whole type of a signature: "a(sv)" of "a(sv)u".
local function first_type(signature)
  local first = signature:sub(1, 1)
  if first == "a" then return "a" .. first_type(signature:sub(2)) end
  return first == "(" and signature:match("^%b()") or first
end

local append

local function append_text(bytes, value) return bytes .. u32(#value) .. value .. "\0" end

local WRITERS = {
  y = function(bytes, value) return bytes .. string.char(value) end,
  u = function(bytes, value) return bytes .. u32(value) end,
  b = function(bytes, value) return bytes .. u32(value and 1 or 0) end,
  s = append_text, o = append_text,
  g = function(bytes, value) return bytes .. string.char(#value) .. value .. "\0" end,
  -- { signature, value }
  v = function(bytes, value) return append(append(bytes, "g", value[1]), value[1], value[2]) end,
  -- a list of values; the length is without what aligns the first one
  a = function(bytes, list, item)
    local before = padded(bytes .. "\0\0\0\0", ALIGNMENT[item:sub(1, 1)])
    local after = before
    for i = 1, #list do after = append(after, item, list[i]) end
    return bytes .. u32(#after - #before) .. after:sub(#bytes + 5)
  end,
}

--- Adds a value of one whole type.
function append(bytes, kind, value)
  local first = kind:sub(1, 1)
  bytes = padded(bytes, ALIGNMENT[first])
  if first ~= "(" then return WRITERS[first](bytes, value, kind:sub(2)) end
  local rest, i = kind:sub(2, -2), 0
  while rest ~= "" do
    local one = first_type(rest)
    i, rest = i + 1, rest:sub(#one + 1)
    bytes = append(bytes, one, value[i])
  end
  return bytes
end

--- The values of a signature, as bytes.
function dbus.encode(signature, values)
  local list = {}
  for i = 1, #values do list[i] = values[i] end
  return append("", "(" .. signature .. ")", list)
end

--- A method call as bytes: { serial, path, interface, member, [destination], signature, values }.
function dbus.call(m)
  local body = dbus.encode(m.signature, m.values)
  local fields = { { 1, { "o", m.path } }, { 2, { "s", m.interface } }, { 3, { "s", m.member } } }
  if m.destination then fields[#fields + 1] = { 6, { "s", m.destination } } end
  if m.signature ~= "" then fields[#fields + 1] = { 8, { "g", m.signature } } end
  local head = dbus.encode("yyyyuua(yv)", { 108, 1, 0, 1, #body, m.serial, fields }) -- 108: "l", little-endian
  return padded(head, 8) .. body
end

-- ---- bytes as values ----

--- Reads numbers in the order of bytes that a message has.
local function number_at(bytes, at, is_little)
  local a, b, c, d = bytes:byte(at, at + 3)
  if is_little then a, b, c, d = d, c, b, a end
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local function aligned(at, alignment) return at + (1 - at) % alignment end

--- What the first 16 bytes say: how many follow.
function dbus.rest(head)
  local is_little = head:sub(1, 1) == "l"
  local fields = number_at(head, 13, is_little)
  return fields + -fields % 8 + number_at(head, 5, is_little)
end

--- { kind, reply_to, error, text } of a whole message: text, if its body begins with one.
function dbus.read(bytes)
  local is_little = bytes:sub(1, 1) == "l"
  local message, at = { kind = bytes:byte(2) }, 17
  local last = 16 + number_at(bytes, 13, is_little)
  local signature = ""
  while at < last do
    at = aligned(at, 8)
    local code, kind = bytes:byte(at), bytes:sub(at + 2, at + 2)
    at = at + 4
    if kind == "g" then
      local size = bytes:byte(at)
      if code == 8 then signature = bytes:sub(at + 1, at + size) end
      at = at + size + 2
    else
      at = aligned(at, 4)
      local number = number_at(bytes, at, is_little)
      if kind == "u" and code == 5 then message.reply_to = number end
      if kind ~= "u" then
        if code == 4 then message.error = bytes:sub(at + 4, at + 3 + number) end
        at = at + number + 1
      end
      at = at + 4
    end
  end
  local body = aligned(last + 1, 8)
  if signature:find("^[so]") then
    message.text = bytes:sub(body + 4, body + 3 + number_at(bytes, body, is_little))
  end
  return message
end

-- ---- a connection ----

-- Seconds for one exchange.
local PATIENCE = 20

local function hexadecimal(text)
  return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function receive_line(socket)
  local line = ""
  while line:sub(-1) ~= "\n" and #line < 500 do
    local byte, message, errno = socket:receive(1, PATIENCE)
    if not byte then return nil, message, errno end
    line = line .. byte
  end
  return line
end

--- Connects to a socket: { socket, serial, [destination] }; or nil, message, errno. `destination`: of a bus, who is meant;
-- nil for a socket of the service's own.
function dbus.connect(path, destination)
  local socket, message, errno = core.bus(path)
  if not socket then return nil, message, errno end
  local uid = ("%d"):format(core.ids().euid)
  local ok, line
  ok, message, errno = socket:send("\0AUTH EXTERNAL " .. hexadecimal(uid) .. "\r\n", PATIENCE)
  if ok then line, message, errno = receive_line(socket) end
  if line and not line:find "^OK " then line, message, errno = nil, core.strerror(errno_of.EACCES), errno_of.EACCES end
  if line then ok, message, errno = socket:send("BEGIN\r\n", PATIENCE) end
  if not (ok and line) then
    socket:close()
    return nil, message, errno
  end
  local connection = { socket = socket, serial = 0, destination = destination }
  if not destination then return connection end
  local hello = { path = "/org/freedesktop/DBus", interface = "org.freedesktop.DBus", member = "Hello", signature = "",
    values = {}, destination = "org.freedesktop.DBus" }
  ok, message, errno = dbus.ask(connection, hello)
  if ok then return connection end
  socket:close()
  return nil, message, errno
end

--- Calls a method and awaits its answer: that; or nil, message, errno, and the name of an error that it answers with.
function dbus.ask(connection, call)
  connection.serial = connection.serial + 1
  call.serial, call.destination = connection.serial, call.destination or connection.destination
  local socket = connection.socket
  local ok, message, errno = socket:send(dbus.call(call), PATIENCE)
  while ok do
    local head, rest
    head, message, errno = socket:receive(16, PATIENCE)
    if head then rest, message, errno = socket:receive(dbus.rest(head), PATIENCE) end
    if not rest then break end
    local answer = dbus.read(head .. rest)
    if answer.reply_to == call.serial and answer.kind == 2 then return answer end
    if answer.reply_to == call.serial and answer.kind == 3 then
      local denied = (answer.error or ""):find "AccessDenied" or (answer.error or ""):find "Authorization"
      return nil, answer.text or answer.error, denied and errno_of.EACCES or errno_of.EIO, answer.error
    end
  end
  return nil, message, errno
end

return dbus
