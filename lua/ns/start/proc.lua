--- What /proc says of this machine and of us: for hints.
-- @module ns.start.proc
require("ns.core").nojit()
local core = require "ns.core"

local proc = {}

--- The beginning of a file, or nil; a FIFO or a device is not waited for. Specs put others in its place.
proc.read = core.head

--- The number in a file of /proc/sys, or nil.
function proc.sysctl(name)
  return tonumber(((proc.read("/proc/sys/" .. name) or ""):match("^%s*(-?%d+)")))
end

--- What a pattern finds in our status, or nil.
function proc.status(pattern)
  return (proc.read("/proc/self/status") or ""):match(pattern)
end

--- What to say of a refusal where a seccomp filter is on us, which may be what refuses; else nil.
function proc.filter(what)
  return proc.status "Seccomp:%s*2" and ("a seccomp filter may forbid %s: of a container (docker: --security-opt "
    .. "seccomp=unconfined), or of a service (systemd: RestrictNamespaces=no, no SystemCallFilter=)"):format(what)
end

return proc
