--- The default profile of system calls: what a program does not need, and others could be harmed by, is refused. Each with
--- its reason; doc/filters.md has this table.
--
-- It allows by name: a call that stands nowhere here, as one of a newer kernel, is ENOSYS, and C libraries do without it.
-- @module ns.words.profile
require("ns.core").nojit()

local profile = {}

--- {how, calls, why, cap =, nested =}. `how`: EPERM; or ENOSYS, which lets a C library fall back. `cap`: whoever is given
-- that capability by the word `caps` can use these calls. `nested`: so can who may make namespaces, by the word
-- `disable_userns` = false.
profile.refused = {
  { "EPERM", "mount umount umount2 pivot_root swapon swapoff", "what is mounted is what was given", cap = "sys_admin",
    nested = true },
  { "ENOSYS", "fsopen fsconfig fsmount fspick move_mount open_tree open_tree_attr mount_setattr",
    "likewise; programs fall back to mount(2)", cap = "sys_admin", nested = true },
  { "EPERM", "setns", "other namespaces are not its own", cap = "sys_admin", nested = true },
  { "ENOSYS", "clone3", "its flags cannot be seen by a filter; C libraries fall back to clone(2)", cap = "sys_admin",
    nested = true },
  { "EPERM", "sethostname setdomainname", "the names are the box's", cap = "sys_admin", nested = true },
  { "EPERM", "chroot fchroot", "a way out of a root for who has a descriptor outside", cap = "sys_chroot", nested = true },
  { "EPERM", "add_key keyctl request_key",
    "keys belong to no namespace: those of the host's user; and the kernel starts /sbin/request-key on the host, as root" },
  { "EPERM", "bpf", "programs in the kernel, and a long record of bugs", cap = "bpf" },
  { "EPERM", "perf_event_open", "likewise, and it measures others", cap = "perfmon" },
  { "EPERM", "userfaultfd", "it stops the kernel in the middle of a call, which most exploits want" },
  { "EPERM", "io_uring_setup io_uring_enter io_uring_register",
    "does the work of other calls, which a filter then does not see, and a long record of bugs" },
  { "EPERM", "fanotify_init", "it watches, and holds up, what others do with files", cap = "sys_admin" },
  { "EPERM", "init_module finit_module delete_module create_module query_module get_kernel_syms",
    "modules are the machine's", cap = "sys_module" },
  { "EPERM", "kexec_load kexec_file_load reboot", "the machine is not its own", cap = "sys_boot" },
  { "EPERM", "quotactl quotactl_fd", "quotas are the machine's", cap = "sys_admin" },
  { "EPERM", "acct", "accounting is the machine's", cap = "sys_pacct" },
  { "EPERM", "syslog", "the kernel's messages tell of others, and of addresses", cap = "syslog" },
  { "EPERM", "iopl ioperm", "ports of the hardware", cap = "sys_rawio" },
  { "EPERM", "vm86 vm86old modify_ldt uselib lookup_dcookie nfsservctl",
    "old, used by next to nobody, with a record of bugs" },
  { "EPERM", "vhangup", "terminals of others", cap = "sys_tty_config" },
  { "EPERM", "settimeofday clock_settime clock_settime64 stime", "the clock is the machine's", cap = "sys_time" },
  { "EPERM", "open_by_handle_at", "opens any file of a file system, below no root", cap = "dac_read_search" },
  { "EPERM", "kcmp pidfd_getfd process_madvise", "it looks into others; ptrace(2) does for who has to",
    cap = "sys_ptrace" },
  { "EPERM", "mbind get_mempolicy set_mempolicy set_mempolicy_home_node migrate_pages move_pages",
    "where memory lies is the machine's, and a record of bugs", cap = "sys_nice" },
  { "ENOSYS", "socketcall", "of 32-bit programs: its arguments cannot be seen; C libraries fall back to socket(2)" },
  { "ENOSYS", "lsm_get_self_attr lsm_set_self_attr lsm_list_modules listns file_getattr file_setattr",
    "new, and there are older ways" },
  { "ENOSYS", "_sysctl afs_syscall bdflush break epoll_ctl_old epoll_wait_old ftime getpmsg gtty idle lock mpx",
    "the kernel has them no more, or nobody calls them" },
  { "ENOSYS", [[pciconfig_iobase pciconfig_read pciconfig_write prof profil putpmsg security stty sysfs tuxcall ulimit ustat
    vserver]], "likewise" },
}

-- CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. CLONE_NEWTIME is a part of clone's signal.
local NAMESPACES, TIME = 0x7e020000, 0x80

local UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
local TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
local TYPE, STREAM, DGRAM, RAW = 0xf, 1, 2, 3
local FASTOPEN = 0x20000000

local IP = { 0, "&", 0xfffffff7, INET } -- 2 or 10, AF_INET or AF_INET6

--- Sockets that pass: a test of the family, and what types and protocols there are.
local function socket(family, kind, protocol)
  return { "socket", action = "allow",
    arg = { family, kind and { 1, "&", TYPE, kind }, protocol and { 2, "==", protocol } } }
end

-- The calls that are decided by their arguments, as `rules` of the word: the first that fits. `what` and `why`: what the
-- manual says. `cap` and `nested` as above: they make a refusal an "allow"; without them, a rule that has an
-- "allow" and `nested` is left out. `where`: only for such specs (`profile.conditions`).
profile.rules = {
  { "prlimit64", arg = { { 2, "==", 0 } }, action = "allow" },
  { "prlimit64", arg = { { 0, "==", 1 } }, action = "EPERM", where = "own pids",
    what = "prlimit64 that sets limits of process 1", why = "that is the init, which needs its descriptors" },
  { "prlimit64", arg = { { 0, "!=", 0 } }, action = "EPERM", where = "shared pids",
    what = "without a pid namespace: prlimit64 that sets limits of another process",
    why = "a limit of processor time ends it" },
  { "setpriority", arg = { { 1, "!=", 0 } }, action = "EPERM", where = "shared pids",
    what = "likewise setpriority and ioprio_set", why = "it holds others up" },
  { "setpriority", arg = { { 0, "==", 2 } }, action = "EPERM", where = "shared pids" },
  { "ioprio_set", arg = { { 1, "!=", 0 } }, action = "EPERM", where = "shared pids" },
  { "ioprio_set", arg = { { 0, "==", 3 } }, action = "EPERM", where = "shared pids" },
  { "keyctl", arg = { { 0, "==", 1 }, { 1, "==", 0 } }, action = "allow", nested = true }, -- a session keyring
  { "clone", arg = { { 0, "&", NAMESPACES, 0 } }, action = "allow" },
  { "clone", action = "EPERM", cap = "sys_admin", nested = true, what = "clone with CLONE_NEW*",
    why = "in a namespace of its own a program has all capabilities, and reaches more of the kernel" },
  { "unshare", arg = { { 0, "&", NAMESPACES + TIME, 0 } }, action = "allow" },
  { "unshare", action = "EPERM", cap = "sys_admin", nested = true, what = "unshare with CLONE_NEW*", why = "likewise" },
  { "socket", arg = { IP, { 1, "&", TYPE, STREAM } }, action = "EACCES", where = "no tcp",
    what = "socket of TCP, where landlock names no port to connect to and none to bind",
    why = "Landlock is not asked by listen(2) without a bind" },
  { "sendto", "sendmmsg", arg = { { 3, "&", FASTOPEN, FASTOPEN } }, action = "EACCES", where = "few ports",
    what = "sendto, sendmsg and sendmmsg with MSG_FASTOPEN, where landlock names ports to connect to",
    why = "it connects, and Landlock is not asked" },
  { "sendmsg", arg = { { 2, "&", FASTOPEN, FASTOPEN } }, action = "EACCES", where = "few ports" },
  socket({ 0, "==", UNIX }),
  socket(IP, STREAM, 0), socket(IP, STREAM, TCP), socket(IP, DGRAM, 0), socket(IP, DGRAM, UDP), socket(IP, RAW),
  socket({ 0, "==", INET }, DGRAM, ICMP), socket({ 0, "==", INET6 }, DGRAM, ICMP6),
  { "socket", arg = { { 0, "==", NETLINK }, { 2, "==", 0 } }, action = "allow" },
  { "socket", arg = { { 0, "==", NETLINK } }, action = "EPROTONOSUPPORT", cap = "net_admin",
    what = "socket of AF_NETLINK, but NETLINK_ROUTE", why = "interfaces of the kernel for administrators" },
  { "socket", arg = { IP }, action = "EPROTONOSUPPORT", cap = "net_raw",
    what = "socket of AF_INET or AF_INET6, but TCP, UDP and ICMP",
    why = "each other protocol makes the kernel load a module, by modprobe on the host" },
  { "socket", arg = { { 0, "==", 17 } }, action = "EAFNOSUPPORT", cap = "net_raw" },
  { "socket", action = "EAFNOSUPPORT", what = "socket of any other family: AF_VSOCK, AF_ALG, AF_PACKET ...",
    why = "AF_VSOCK belongs to no network namespace, and leads out of a virtual machine; the others are modules" },
  { "socketpair", arg = { { 0, "==", UNIX } }, action = "allow" },
  { "socketpair", action = "EAFNOSUPPORT", what = "socketpair of any family but AF_UNIX", why = "likewise" },
  { "ioctl", arg = { { 1, "==", 0x5412 } }, action = "EPERM", what = "ioctl TIOCSTI and TIOCLINUX",
    why = "they type into a terminal, for who reads it next" },
  { "ioctl", arg = { { 1, "==", 0x541c } }, action = "EPERM" },
  { "ioctl", arg = { { 1, "==", 0x5423 } }, action = "EPERM", what = "ioctl TIOCSETD",
    why = "another line discipline makes the kernel load a module" },
  { "ioctl", arg = { { 1, "==", 0x8940 } }, action = "EPERM", what = "ioctl SIOC[GS]IFBR, SIOCBR{ADD,DEL}BR, SIOC[GS]IFVLAN",
    why = "for these the kernel loads the modules of bridges and VLANs" },
  { "ioctl", arg = { { 1, "==", 0x8941 } }, action = "EPERM" },
  { "ioctl", arg = { { 1, "&", 0xfffffffe, 0x89a0 } }, action = "EPERM" },
  { "ioctl", arg = { { 1, "&", 0xfffffffe, 0x8982 } }, action = "EPERM" },
  { "fcntl", "fcntl64", arg = { { 1, "==", 1024 } }, action = "EPERM", what = "fcntl F_SETLEASE and F_SETDELEG",
    why = "a lease holds up whoever opens the file on the host, for 45 s" },
  { "fcntl", "fcntl64", arg = { { 1, "==", 1040 } }, action = "EPERM" },
  { "personality", arg = { { 0, "&", 0xfff9fff7, 0 } }, action = "allow" },
  { "personality", arg = { { 0, "==", 0xffffffff } }, action = "allow" },
  { "personality", action = "EPERM", what = "personality, but linux32, uname26 and addr_no_randomize",
    why = "the others take guards away from exec" },
}

-- CLONE_NEWPID's is the only namespace in which each process in sight is its own.
local CONDITIONS = {
  ["own pids"] = function(spec) return spec.flags and spec.flags.pid or false end,
  ["shared pids"] = function(spec) return spec.flags and not spec.flags.pid and not spec.join or false end,
  ["few ports"] = function(spec) return spec.landlock and spec.landlock.tcp_connect ~= nil or false end,
  ["no tcp"] = function(spec)
    local ports = spec.landlock or {}
    return ports.tcp_connect and #ports.tcp_connect == 0 and ports.tcp_bind and #ports.tcp_bind == 0 or false
  end,
}

--- Which conditions a checked spec meets: {[name] = boolean}.
function profile.conditions(spec)
  local met = {}
  for name, test in next, CONDITIONS do met[name] = test(spec) end
  return met
end

--- All other calls that we know.
profile.allowed = [[
  _llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 arm_sync_file_range bind
  breakpoint brk cacheflush cachestat capget capset chdir chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres
  clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect
  copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd
  eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir
  fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork
  fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue
  futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area get_tls getcpu getcwd
  getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername
  getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage
  getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init
  inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit
  ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
  lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64
  madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2
  mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend
  mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
  name_to_handle_at nanosleep newfstatat nice oldfstat oldlstat oldolduname oldstat olduname open openat openat2 pause
  pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64
  preadv preadv2 prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 pselect6_time64 ptrace pwrite64
  pwritev pwritev2 read readahead readdir readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg
  remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall riscv_flush_icache riscv_hwprobe
  rmdir rseq rseq_slice_yield rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
  rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
  sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
  sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
  semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area
  set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer
  setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit
  setsid setsockopt setuid setuid32 setxattr setxattrat sgetmask shmat shmctl shmdt shmget shutdown sigaction
  sigaltstack signal signalfd signalfd4 sigpending sigprocmask sigreturn sigsuspend splice ssetmask stat stat64 statfs
  statfs64 statmount statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time
  timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
  timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask
  uname unlink unlinkat uprobe uretprobe usr26 usr32 utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid
  waitpid write writev]]

-- Calls of machines that this module does not know: a profile may name them, and nothing is done for them.
profile.elsewhere = [[cachectl multiplexer rtas s390_guarded_storage s390_pci_mmio_read s390_pci_mmio_write
  s390_runtime_instr s390_sthyi spu_create spu_run subpage_prot swapcontext switch_endian sys_debug_setcontext syscall
  sysmips timerfd]]

return profile
