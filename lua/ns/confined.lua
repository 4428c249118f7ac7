--- The defaults that `ns.confined()` starts from: no namespace at all, for where none can be had.
-- @module ns.confined
require("ns.core").nojit()
local check = require "ns.words.check"

local confined = {}

local function there(...)
  local list = {}
  for i, path in ipairs { ... } do list[i] = { path = path, try = true } end
  return list
end

--- A new spec: the host's system, /etc and /proc to be read, nothing to be written but devices of no effect, no TCP, no
-- signal and no abstract socket that leaves it; a filter of system calls, no capabilities, an own session, an init, and an
-- environment that says nothing of the host.
function confined.spec()
  return {
    landlock = {
      execute = there("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),
      read = there("/etc", "/proc"),
      write = there("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"),
      tcp_connect = {},
      tcp_bind = {},
      scope = { "signal", "abstract_unix" },
    },
    session = true,
    caps = {},
    no_new_privs = true,
    seccomp = "default",
    init = true,
    rlimits = { core = 0 },
    clear_env = true,
    env = { PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", HOME = "/", LANG = "C.UTF-8" },
    umask = "022",
  }
end

-- What a bind can say here, besides its paths.
local MEANS = { type = true, source = true, target = true, ro = true, exec = true, try = true }

--- Adds to landlock what a bind of a path to itself gives. A field that is not there restricts nothing.
function confined.bind(landlock, m)
  local method = m.ro and "ro_bind" or "bind"
  if m.type ~= "bind" then
    check.fail(m.type, "a confined box mounts nothing; it is given paths of the host by bind and ro_bind")
  elseif type(m.source) ~= "string" or m.target and m.target ~= m.source then
    check.fail(method, "a confined box has the paths of the host where they are: one path, no target")
  end
  for field in next, m do
    if not MEANS[field] then check.fail(method, "'%s' means nothing in a confined box, which mounts nothing", field) end
  end
  local item = m.try and { path = m.source, try = true } or m.source
  for _, field in ipairs { m.ro and "read" or "write", m.exec ~= false and "execute" or nil } do
    if landlock[field] then table.insert(landlock[field], item) end
  end
end

--- Takes away what keeps it from the host's network.
function confined.share_net(landlock)
  for _, field in ipairs { "tcp_connect", "tcp_bind", "udp_connect", "udp_bind" } do landlock[field] = nil end
end

return confined
