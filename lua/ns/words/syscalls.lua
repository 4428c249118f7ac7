--- The names and numbers of system calls, for each kind of program that this machine executes.
-- @module ns.words.syscalls
require("ns.core").nojit()
local core = require "ns.core"

local syscalls = {}

-- What the kernel calls an architecture (linux/audit.h).
local AUDIT = { x86_64 = 0xc000003e, x86 = 0x40000003, aarch64 = 0xc00000b7, arm = 0x40000028, riscv64 = 0xc00000f3 }

local X32 = 0x40000000 -- the bit in each number of x32

-- The calls since Linux 5.1 in the order of their numbers, which are the same on all machines: the headers that this was
-- compiled with may be older.
local FIRST = 424
local NEWER = [[pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig
  fsmount fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2 mount_setattr
  quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret process_mrelease futex_waitv
  set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount
  lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat
  open_tree_attr file_getattr file_setattr listns rseq_slice_yield fchroot]]

-- And those of one machine.
local NEWER_OF = { x86_64 = { uretprobe = 335, uprobe = 336 }, riscv64 = { riscv_hwprobe = 258 } }

local known = {}

--- {[name] = number} for "x86_64", "x86", "x32", "aarch64" ...; nil if no program of that machine runs here.
function syscalls.of(machine)
  if known[machine] then return known[machine] end
  local numbers, at = core.syscalls(machine), FIRST + (machine == "x32" and X32 or 0)
  for name in (numbers and NEWER or ""):gmatch("%S+") do
    numbers[name] = numbers[name] or at
    at = at + 1
  end
  for name, number in next, numbers and NEWER_OF[machine] or {} do numbers[name] = numbers[name] or number end
  known[machine] = numbers
  return numbers
end

--- {audit =, numbers =, limit = from where on numbers are another machine's} for the name of a machine; nil for one that has
-- no number of the kernel's of its own, as x32.
function syscalls.machine(name)
  return AUDIT[name] and { audit = AUDIT[name], numbers = syscalls.of(name), limit = name == "x86_64" and X32 or nil }
end

local names = {} -- {[audit] = {[number] = name}}

--- The name of a call, by the kernel's numbers of its architecture and its own; nil for one that is newer than we are.
function syscalls.name(audit, number)
  if not names[audit] then
    names[audit] = {}
    for machine, one in pairs(AUDIT) do
      for name, n in next, one == audit and syscalls.of(machine) or {} do names[audit][n] = name end
    end
  end
  return names[audit][number]
end

return syscalls
