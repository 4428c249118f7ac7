/* The system calls that we know, of all machines, and what the headers that were included before say of their numbers.
 * Where they know a call, its row has a number as text, as "39" or "(0x40000000 + 520)"; else the name of the macro
 * that there is not. */
#ifndef NS_SYSCALLS_H
#define NS_SYSCALLS_H

struct syscall {
    const char *name, *number;
};

/* the rows for another machine's programs, which this one executes, too; NULL if it does not */
const struct syscall *ns_syscalls_x86(void);
const struct syscall *ns_syscalls_x32(void);

#define SYSCALL_TEXT(x) #x
#define SYSCALL_VALUE(x) SYSCALL_TEXT(x)
#define SYSCALL(name) \
    { #name, SYSCALL_VALUE(__NR_##name) }

#define SYSCALLS(CALL) \
    CALL(_llseek), CALL(_newselect), CALL(_sysctl), CALL(accept), CALL(accept4), CALL(access), CALL(acct), \
        CALL(add_key), CALL(adjtimex), CALL(afs_syscall), CALL(alarm), CALL(arch_prctl), CALL(arm_fadvise64_64), \
        CALL(arm_sync_file_range), CALL(bdflush), CALL(bind), CALL(bpf), CALL(break), CALL(breakpoint), CALL(brk), \
        CALL(cacheflush), CALL(capget), CALL(capset), CALL(chdir), CALL(chmod), CALL(chown), CALL(chown32), \
        CALL(chroot), CALL(clock_adjtime), CALL(clock_adjtime64), CALL(clock_getres), CALL(clock_getres_time64), \
        CALL(clock_gettime), CALL(clock_gettime64), CALL(clock_nanosleep), CALL(clock_nanosleep_time64), \
        CALL(clock_settime), CALL(clock_settime64), CALL(clone), CALL(clone3), CALL(close), CALL(close_range), \
        CALL(connect), CALL(copy_file_range), CALL(creat), CALL(create_module), CALL(delete_module), CALL(dup), \
        CALL(dup2), CALL(dup3), CALL(epoll_create), CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_ctl_old), \
        CALL(epoll_pwait), CALL(epoll_pwait2), CALL(epoll_wait), CALL(epoll_wait_old), CALL(eventfd), CALL(eventfd2), \
        CALL(execve), CALL(execveat), CALL(exit), CALL(exit_group), CALL(faccessat), CALL(faccessat2), \
        CALL(fadvise64), CALL(fadvise64_64), CALL(fallocate), CALL(fanotify_init), CALL(fanotify_mark), CALL(fchdir), \
        CALL(fchmod), CALL(fchmodat), CALL(fchown), CALL(fchown32), CALL(fchownat), CALL(fcntl), CALL(fcntl64), \
        CALL(fdatasync), CALL(fgetxattr), CALL(finit_module), CALL(flistxattr), CALL(flock), CALL(fork), \
        CALL(fremovexattr), CALL(fsconfig), CALL(fsetxattr), CALL(fsmount), CALL(fsopen), CALL(fspick), CALL(fstat), \
        CALL(fstat64), CALL(fstatat64), CALL(fstatfs), CALL(fstatfs64), CALL(fsync), CALL(ftime), CALL(ftruncate), \
        CALL(ftruncate64), CALL(futex), CALL(futex_time64), CALL(futex_waitv), CALL(futimesat), CALL(get_kernel_syms), \
        CALL(get_mempolicy), CALL(get_robust_list), CALL(get_thread_area), CALL(get_tls), CALL(getcpu), CALL(getcwd), \
        CALL(getdents), CALL(getdents64), CALL(getegid), CALL(getegid32), CALL(geteuid), CALL(geteuid32), \
        CALL(getgid), CALL(getgid32), CALL(getgroups), CALL(getgroups32), CALL(getitimer), CALL(getpeername), \
        CALL(getpgid), CALL(getpgrp), CALL(getpid), CALL(getpmsg), CALL(getppid), CALL(getpriority), CALL(getrandom), \
        CALL(getresgid), CALL(getresgid32), CALL(getresuid), CALL(getresuid32), CALL(getrlimit), CALL(getrusage), \
        CALL(getsid), CALL(getsockname), CALL(getsockopt), CALL(gettid), CALL(gettimeofday), CALL(getuid), \
        CALL(getuid32), CALL(getxattr), CALL(gtty), CALL(idle), CALL(init_module), CALL(inotify_add_watch), \
        CALL(inotify_init), CALL(inotify_init1), CALL(inotify_rm_watch), CALL(io_cancel), CALL(io_destroy), \
        CALL(io_getevents), CALL(io_pgetevents), CALL(io_pgetevents_time64), CALL(io_setup), CALL(io_submit), \
        CALL(io_uring_enter), CALL(io_uring_register), CALL(io_uring_setup), CALL(ioctl), CALL(ioperm), CALL(iopl), \
        CALL(ioprio_get), CALL(ioprio_set), CALL(ipc), CALL(kcmp), CALL(kexec_file_load), CALL(kexec_load), \
        CALL(keyctl), CALL(kill), CALL(landlock_add_rule), CALL(landlock_create_ruleset), \
        CALL(landlock_restrict_self), CALL(lchown), CALL(lchown32), CALL(lgetxattr), CALL(link), CALL(linkat), \
        CALL(listen), CALL(listxattr), CALL(llistxattr), CALL(lock), CALL(lookup_dcookie), CALL(lremovexattr), \
        CALL(lseek), CALL(lsetxattr), CALL(lstat), CALL(lstat64), CALL(madvise), CALL(map_shadow_stack), CALL(mbind), \
        CALL(membarrier), CALL(memfd_create), CALL(memfd_secret), CALL(migrate_pages), CALL(mincore), CALL(mkdir), \
        CALL(mkdirat), CALL(mknod), CALL(mknodat), CALL(mlock), CALL(mlock2), CALL(mlockall), CALL(mmap), CALL(mmap2), \
        CALL(modify_ldt), CALL(mount), CALL(mount_setattr), CALL(move_mount), CALL(move_pages), CALL(mprotect), \
        CALL(mpx), CALL(mq_getsetattr), CALL(mq_notify), CALL(mq_open), CALL(mq_timedreceive), \
        CALL(mq_timedreceive_time64), CALL(mq_timedsend), CALL(mq_timedsend_time64), CALL(mq_unlink), CALL(mremap), \
        CALL(msgctl), CALL(msgget), CALL(msgrcv), CALL(msgsnd), CALL(msync), CALL(munlock), CALL(munlockall), \
        CALL(munmap), CALL(name_to_handle_at), CALL(nanosleep), CALL(newfstatat), CALL(nfsservctl), CALL(nice), \
        CALL(oldfstat), CALL(oldlstat), CALL(oldolduname), CALL(oldstat), CALL(olduname), CALL(open), \
        CALL(open_by_handle_at), CALL(open_tree), CALL(openat), CALL(openat2), CALL(pause), CALL(pciconfig_iobase), \
        CALL(pciconfig_read), CALL(pciconfig_write), CALL(perf_event_open), CALL(personality), CALL(pidfd_getfd), \
        CALL(pidfd_open), CALL(pidfd_send_signal), CALL(pipe), CALL(pipe2), CALL(pivot_root), CALL(pkey_alloc), \
        CALL(pkey_free), CALL(pkey_mprotect), CALL(poll), CALL(ppoll), CALL(ppoll_time64), CALL(prctl), CALL(pread64), \
        CALL(preadv), CALL(preadv2), CALL(prlimit64), CALL(process_madvise), CALL(process_mrelease), \
        CALL(process_vm_readv), CALL(process_vm_writev), CALL(prof), CALL(profil), CALL(pselect6), \
        CALL(pselect6_time64), CALL(ptrace), CALL(putpmsg), CALL(pwrite64), CALL(pwritev), CALL(pwritev2), \
        CALL(query_module), CALL(quotactl), CALL(quotactl_fd), CALL(read), CALL(readahead), CALL(readdir), \
        CALL(readlink), CALL(readlinkat), CALL(readv), CALL(reboot), CALL(recv), CALL(recvfrom), CALL(recvmmsg), \
        CALL(recvmmsg_time64), CALL(recvmsg), CALL(remap_file_pages), CALL(removexattr), CALL(rename), CALL(renameat), \
        CALL(renameat2), CALL(request_key), CALL(restart_syscall), CALL(riscv_flush_icache), CALL(riscv_hwprobe), \
        CALL(rmdir), CALL(rseq), CALL(rt_sigaction), CALL(rt_sigpending), CALL(rt_sigprocmask), CALL(rt_sigqueueinfo), \
        CALL(rt_sigreturn), CALL(rt_sigsuspend), CALL(rt_sigtimedwait), CALL(rt_sigtimedwait_time64), \
        CALL(rt_tgsigqueueinfo), CALL(sched_get_priority_max), CALL(sched_get_priority_min), CALL(sched_getaffinity), \
        CALL(sched_getattr), CALL(sched_getparam), CALL(sched_getscheduler), CALL(sched_rr_get_interval), \
        CALL(sched_rr_get_interval_time64), CALL(sched_setaffinity), CALL(sched_setattr), CALL(sched_setparam), \
        CALL(sched_setscheduler), CALL(sched_yield), CALL(seccomp), CALL(security), CALL(select), CALL(semctl), \
        CALL(semget), CALL(semop), CALL(semtimedop), CALL(semtimedop_time64), CALL(send), CALL(sendfile), \
        CALL(sendfile64), CALL(sendmmsg), CALL(sendmsg), CALL(sendto), CALL(set_mempolicy), \
        CALL(set_mempolicy_home_node), CALL(set_robust_list), CALL(set_thread_area), CALL(set_tid_address), \
        CALL(set_tls), CALL(setdomainname), CALL(setfsgid), CALL(setfsgid32), CALL(setfsuid), CALL(setfsuid32), \
        CALL(setgid), CALL(setgid32), CALL(setgroups), CALL(setgroups32), CALL(sethostname), CALL(setitimer), \
        CALL(setns), CALL(setpgid), CALL(setpriority), CALL(setregid), CALL(setregid32), CALL(setresgid), \
        CALL(setresgid32), CALL(setresuid), CALL(setresuid32), CALL(setreuid), CALL(setreuid32), CALL(setrlimit), \
        CALL(setsid), CALL(setsockopt), CALL(settimeofday), CALL(setuid), CALL(setuid32), CALL(setxattr), \
        CALL(sgetmask), CALL(shmat), CALL(shmctl), CALL(shmdt), CALL(shmget), CALL(shutdown), CALL(sigaction), \
        CALL(sigaltstack), CALL(signal), CALL(signalfd), CALL(signalfd4), CALL(sigpending), CALL(sigprocmask), \
        CALL(sigreturn), CALL(sigsuspend), CALL(socket), CALL(socketcall), CALL(socketpair), CALL(splice), \
        CALL(ssetmask), CALL(stat), CALL(stat64), CALL(statfs), CALL(statfs64), CALL(statx), CALL(stime), CALL(stty), \
        CALL(swapoff), CALL(swapon), CALL(symlink), CALL(symlinkat), CALL(sync), CALL(sync_file_range), \
        CALL(sync_file_range2), CALL(syncfs), CALL(sysfs), CALL(sysinfo), CALL(syslog), CALL(tee), CALL(tgkill), \
        CALL(time), CALL(timer_create), CALL(timer_delete), CALL(timer_getoverrun), CALL(timer_gettime), \
        CALL(timer_gettime64), CALL(timer_settime), CALL(timer_settime64), CALL(timerfd_create), \
        CALL(timerfd_gettime), CALL(timerfd_gettime64), CALL(timerfd_settime), CALL(timerfd_settime64), CALL(times), \
        CALL(tkill), CALL(truncate), CALL(truncate64), CALL(tuxcall), CALL(ugetrlimit), CALL(ulimit), CALL(umask), \
        CALL(umount), CALL(umount2), CALL(uname), CALL(unlink), CALL(unlinkat), CALL(unshare), CALL(uprobe), \
        CALL(uretprobe), CALL(uselib), CALL(userfaultfd), CALL(usr26), CALL(usr32), CALL(ustat), CALL(utime), \
        CALL(utimensat), CALL(utimensat_time64), CALL(utimes), CALL(vfork), CALL(vhangup), CALL(vm86), CALL(vm86old), \
        CALL(vmsplice), CALL(vserver), CALL(wait4), CALL(waitid), CALL(waitpid), CALL(write), CALL(writev)

#endif
