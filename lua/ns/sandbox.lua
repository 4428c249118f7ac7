--- The safe defaults that `ns.sandbox()` starts from.
-- @module ns.sandbox
require("ns.core").nojit()
local sandbox = {}

--- A new spec: every namespace, ids that are nobody's on the host, a read-only system, /tmp, /run, /dev and /proc of its
-- own, no capabilities, no way to new ones, an own session, an init, and an environment that says nothing of the host.
function sandbox.spec()
  return {
    flags = { "user", "mount", "pid", "net", "ipc", "uts", "cgroup", "time" },
    map = "range",
    system = true,
    mounts = { { type = "proc" }, { type = "dev" }, { type = "tmpfs", target = "/tmp" },
      -- a root of the user's may not have a place for these, and none is made there
      { type = "tmpfs", target = "/var/tmp", try = true }, { type = "tmpfs", target = "/run", try = true },
      { type = "dir", target = "/home", try = true } },
    hostname = "sandbox",
    session = true,
    keyring = "own",
    caps = {},
    no_new_privs = true,
    seccomp = "default",
    disable_userns = true, -- in one of its own it would have all capabilities, and could mount the control group it shares
    init = true,
    rlimits = { core = 0 }, -- a crash would start the host's own handler, as the host's root
    clear_env = true,
    env = { PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", HOME = "/tmp", LANG = "C.UTF-8" },
    umask = "022",
  }
end

return sandbox
