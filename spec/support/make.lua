--- Makes specs and parts of specs that no caller should write.
local core = require "ns.core"

local make = {}

--- A spec of the word with this value, and what the word needs.
function make.with(word, value, more)
  local spec = { "true", [word] = value }
  for k, v in pairs(more or {}) do spec[k] = v end
  return spec
end

--- The same in a user namespace.
function make.user(word, value) return make.with(word, value, { flags = "user" }) end

--- A spec with these mounts.
function make.mounts(...) return make.with("mounts", { ... }, { flags = "mount" }) end

--- A list of `count` items.
function make.list(count, item)
  local result = {}
  for i = 1, count do result[i] = item(i) end
  return result
end

--- Variables with long values.
function make.many(count, size)
  local env = {}
  for i = 1, count do env["V" .. i] = ("x"):rep(size) end
  return env
end

--- Tables in each other.
function make.nested(depth)
  local t = {}
  for _ = 1, depth do t = { t } end
  return t
end

--- A spec that has itself under one of its words.
function make.itself(word)
  local spec = { "true" }
  spec[word] = spec
  return spec
end

--- A Lua file that is closed.
function make.closed_file()
  local f = io.open("/dev/null")
  f:close()
  return f
end

--- A number that no open descriptor has.
function make.closed_number()
  local f = io.open("/dev/null")
  local fd = core.fileno(f)
  f:close()
  return fd
end

return make
