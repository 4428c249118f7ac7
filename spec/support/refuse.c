/* Runs a command for which some system calls fail, as on an older kernel or in a stricter container: a seccomp filter
 * answers them with an error, in the command and in all that it starts.
 *
 * usage: refuse ERRNO CALL... -- COMMAND [ARGUMENT...]      each by name or number; several filters nest
 *        refuse ENOSYS open_tree move_mount -- lua script.lua
 *        refuse EPERM socket=40 'clone&0x20000' -- lua script.lua      where the first argument is so, or has one of these bits */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "no name for this machine yet: see linux/audit.h"
#endif

/* Names known; what is not among them is given by its number. */
#define CALL(name) \
    { #name, __NR_##name }
/* clang-format off */
static const struct {
    const char *name;
    int number;
} calls[] = {
    CALL(acct), CALL(add_key), CALL(bpf), CALL(capset), CALL(chdir), CALL(clock_settime), CALL(clone), CALL(clone3),
    CALL(close_range), CALL(delete_module), CALL(dup3), CALL(execve), CALL(execveat), CALL(faccessat),
    CALL(fanotify_init), CALL(fchdir), CALL(fchmod), CALL(fcntl), CALL(finit_module), CALL(fsconfig), CALL(fsmount),
    CALL(fsopen), CALL(fspick), CALL(fstat), CALL(get_mempolicy), CALL(getcwd), CALL(init_module),
    CALL(io_uring_enter), CALL(io_uring_register), CALL(io_uring_setup), CALL(ioctl), CALL(ioprio_set), CALL(kcmp),
    CALL(kexec_load), CALL(keyctl), CALL(kill), CALL(linkat), CALL(lookup_dcookie), CALL(mbind), CALL(memfd_create),
    CALL(migrate_pages), CALL(mkdirat), CALL(mknodat), CALL(mmap), CALL(mount), CALL(mount_setattr), CALL(move_mount),
    CALL(move_pages), CALL(munmap), CALL(open_by_handle_at), CALL(open_tree), CALL(openat), CALL(openat2),
    CALL(perf_event_open), CALL(personality), CALL(pidfd_getfd), CALL(pidfd_open), CALL(pidfd_send_signal),
    CALL(pipe2), CALL(pivot_root), CALL(ppoll), CALL(prctl), CALL(prlimit64), CALL(process_madvise), CALL(quotactl),
    CALL(read), CALL(reboot), CALL(recvfrom), CALL(request_key), CALL(rt_sigaction), CALL(rt_sigprocmask),
    CALL(sched_setaffinity), CALL(sched_setscheduler), CALL(seccomp), CALL(sendto), CALL(set_mempolicy),
    CALL(setdomainname), CALL(setgroups), CALL(sethostname), CALL(setns), CALL(setpgid), CALL(setpriority),
    CALL(setresgid), CALL(setresuid), CALL(setsid), CALL(settimeofday), CALL(setxattr), CALL(signalfd4), CALL(socket),
    CALL(socketpair), CALL(statx), CALL(swapoff), CALL(swapon), CALL(symlinkat), CALL(syslog), CALL(umask),
    CALL(umount2), CALL(uname), CALL(unlinkat), CALL(unshare), CALL(userfaultfd), CALL(vhangup), CALL(wait4),
    CALL(waitid), CALL(write),
};
/* clang-format on */

static int fail(const char *what, const char *about) {
    fprintf(stderr, "refuse: %s%s%s\n", what, about ? ": " : "", about ? about : "");
    return 125;
}

/* -1: not a number */
static int number(const char *text) {
    char *end;
    long n = strtol(text, &end, 10);
    return end == text || *end || n < 0 || n > 4095 ? -1 : (int)n;
}

static int error_of(const char *text) {
    for (int e = 1; e < 134; e++) {
        const char *name = strerrorname_np(e);
        if (name && strcmp(name, text) == 0) return e;
    }
    return number(text);
}

static int call_of(const char *text, size_t length) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strlen(calls[i].name) == length && strncmp(calls[i].name, text, length) == 0) return calls[i].number;
    return number(text);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

/* The number of the call is loaded; where the text says so, its first argument decides. Returns how many instructions it has
 * written, 0 if there is no such call. */
static size_t refusal(struct sock_filter *code, const char *text, int error) {
    size_t length = strcspn(text, "=&");
    const struct sock_filter answer = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error);
    int call = call_of(text, length);
    if (call < 0) return 0;
    if (!text[length]) {
        code[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1);
        code[1] = answer;
        return 2;
    }
    unsigned value = (unsigned)strtoul(text + length + 1, NULL, 0);
    unsigned short test = text[length] == '&' ? BPF_JSET : BPF_JEQ;
    code[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 4);
    code[1] = (struct sock_filter)LOAD(args[0]);
    code[2] = (struct sock_filter)BPF_JUMP((unsigned short)(BPF_JMP | test | BPF_K), value, 0, 1);
    code[3] = answer;
    code[4] = (struct sock_filter)LOAD(nr);
    return 5;
}

/* Without privilege a filter is for those only who cannot gain any (seccomp(2)). */
static int install(struct sock_filter *code, size_t count) {
    struct sock_fprog program = {(unsigned short)count, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

int main(int argc, char **argv) {
    struct sock_filter code[512] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        LOAD(nr),
    };
    size_t n = 4;
    int i = 2, error = argc > 1 ? error_of(argv[1]) : -1;
    if (error < 0) return fail("no such error", argc > 1 ? argv[1] : "none given");
    for (; i < argc && strcmp(argv[i], "--") != 0 && n < 500; i++) {
        size_t written = refusal(code + n, argv[i], error);
        if (!written) return fail("no such system call", argv[i]);
        n += written;
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (i + 1 >= argc || strcmp(argv[i], "--") != 0) return fail("'-- COMMAND' is missing", NULL);
    if (install(code, n) < 0) return fail("seccomp", strerror(errno));
    execvp(argv[i + 1], argv + i + 1);
    return fail(argv[i + 1], strerror(errno));
}
