/* See model.h. To teach it a call: a row in `calls`; a call that wants more than its row can say, a function there, too. */
#include "model.h"

#include <asm/ioctls.h>
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/poll.h>
#include <asm/statfs.h>
#include <linux/magic.h>
#include <linux/signalfd.h>
#include <linux/sockios.h>
#include <linux/stat.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../src/launcher/launcher.h"
#include "../../src/plan.h"
#include "../../src/launcher/sys.h"

/* What the model does is nothing that libFuzzer shall look for. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#define SOCKET 5
#define PROGRAM 77

static struct {
    const uint8_t *answers, *plan;
    size_t left, unread;
    uint32_t steps; /* as the plan has them */
    char text;      /* of the file of /proc that was opened last */
    struct {
        void *at;
        size_t size;
    } mappings[64];
    char *room;
    size_t room_size;
    unsigned calls;
    bool started; /* the launcher has done more than read */
    jmp_buf end;
} model;

uint8_t model_answer(void) {
    if (model.left == 0) return 0;
    model.left--;
    return *model.answers++;
}

void model_answers(const uint8_t *answers, size_t count) {
    model.answers = answers;
    model.left = count;
}

static void fail(const char *what, long number) {
    fprintf(stderr, "model: %s %ld\n", what, number);
    abort();
}

/* ---- memory ---- */

static unsigned touched;

static void take(long from, size_t size) {
    const volatile uint8_t *bytes = (const uint8_t *)from;
    for (size_t i = 0; i < size; i++) touched += bytes[i];
}

static void take_string(long from) { touched += (unsigned)strlen((const char *)from); }

static void take_list(long from) {
    for (char *const *list = (char *const *)from; list && *list; list++) take_string((long)*list);
}

static void give(long to, size_t size) {
    uint8_t *bytes = (uint8_t *)to;
    uint8_t seed = model_answer();
    for (size_t i = 0; i < size; i++) bytes[i] = seed ? (uint8_t)(seed * (i + 1)) : 0;
}

/* ---- answers ---- */

static const uint8_t errnos[] = {EPERM,  ENOENT, EINTR,        EIO,    EBADF,     EAGAIN, ENOMEM, EACCES,
                                 EFAULT, EBUSY,  EEXIST,       EXDEV,  ENODEV,    EINVAL, ENFILE, EMFILE,
                                 ENOSPC, EROFS,  ENOSYS,       ELOOP,  ENOSYS,    ENOENT, EPERM,  ENOTDIR,
                                 ENOSYS, ERANGE, ENAMETOOLONG, ESTALE, ETIMEDOUT, E2BIG,  ENOEXEC};

/* the errno that this call fails with, or 0 */
static long failure(void) {
    uint8_t b = model_answer();
    return b < 160 ? 0 : -(long)errnos[b % sizeof errnos];
}

static long descriptor(void) {
    uint8_t b = model_answer();
    return b == 255 ? INT32_MAX : b % 60;
}

enum result { ZERO, FD, WRITTEN, ID };

static long result(enum result kind, long size) {
    long r = failure();
    if (r) return r;
    if (kind == FD) return descriptor();
    if (kind == ID) return PROGRAM;
    if (kind == ZERO || size == 0) return 0;
    uint8_t less = model_answer();
    return less && less < size ? size - less : size;
}

/* ---- calls that are more than their arguments ---- */

/* ---- files of /proc ---- */

enum { PAGE = 4096 };

static long call_openat(const char *path) {
    model.text = strcmp(path, "/proc/self/mountinfo") == 0      ? 'm'
                 : strncmp(path, "/proc/self/fdinfo/", 18) == 0 ? 'f'
                                                                : 0;
    return result(FD, 0);
}

static size_t make_line(char *to, size_t room) {
    static const char *const places[] = {"/", "/a", "/a/b", "/a/b/c", "/a\\040b", "/ab", "/proc", "/\\"};
    static const char *const options[] = {"rw",  "ro", "rw,nosuid,nodev", "ro,noexec,relatime", "rw,nosymfollow", "",
                                          "rw,", "x"};
    int id = model_answer() % 8, parent = model_answer() % 8, place = model_answer() % 8, option = model_answer() % 8;
    int n = snprintf(to, room, "%d %d 0:1 / %s %s shared:1 - tmpfs t rw\n", id, parent, places[place], options[option]);
    return (size_t)n < room ? (size_t)n : 0;
}

static size_t make_bytes(char *to, size_t room) {
    size_t n = model_answer() % 32;
    for (size_t i = 0; i < n && i < room; i++) to[i] = (char)model_answer();
    return n;
}

/* What was opened last, once. */
static long give_text(long to, size_t size) {
    static char text[2048];
    size_t n = 0;
    if (model.text == 'f') n = (size_t)sprintf(text, "pos:\t0\nflags:\t010000000\nmnt_id:\t%d\n", model_answer() % 8);
    for (int i = model.text ? model_answer() % 8 : 0; i > 0; i--) {
        bool line = model.text == 'm' && model_answer() < 224;
        n += line ? make_line(text + n, 200) : make_bytes(text + n, 200);
    }
    model.text = 0;
    if (n > size) n = size;
    memcpy((void *)to, text, n);
    return (long)n;
}

static long call_read(long fd, long to, long size) {
    if (fd == SOCKET && !model.started) {
        size_t n = (size_t)size < model.unread ? (size_t)size : model.unread;
        if (n > 1 && model_answer() > 250) n = 1;
        if (n > 0) memcpy((void *)to, model.plan, n);
        model.plan += n;
        model.unread -= n;
        return (long)n;
    }
    if (size % (long)sizeof(struct signalfd_siginfo)) return give_text(to, (size_t)size);
    if (model_answer() < 128) return -EAGAIN;
    give(to, (size_t)size);
    return size;
}

/* The plan, of which no byte too much may be read; or room for much, which is seldom used: pages, and one that is none. */
static long call_mmap(long at, long size) {
    long r = failure();
    if (r) return r;
    if (!at && !model.room) {
        model.room = mmap(NULL, (size_t)size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        model.room_size = (size_t)size;
        mprotect(model.room + ((size_t)size + PAGE - 1) / PAGE * PAGE, PAGE, PROT_NONE);
        return (long)model.room;
    }
    for (size_t i = 0; size <= 1 << 20 && i < sizeof model.mappings / sizeof model.mappings[0]; i++) {
        if (model.mappings[i].at) continue;
        model.mappings[i].size = (size_t)size;
        return (long)(model.mappings[i].at = calloc(1, (size_t)size));
    }
    return -ENOMEM;
}

static void free_room(void) {
    if (model.room) munmap(model.room, model.room_size + PAGE);
    model.room = NULL;
}

static long call_munmap(long at, long size) {
    if (model.room && (char *)at == model.room && (size_t)size == model.room_size) return free_room(), 0;
    for (size_t i = 0; i < sizeof model.mappings / sizeof model.mappings[0]; i++) {
        if ((void *)at != model.mappings[i].at || (size_t)size != model.mappings[i].size) continue;
        free(model.mappings[i].at);
        model.mappings[i].at = NULL;
        return 0;
    }
    fail("munmap of what was not mapped", size);
    return 0;
}

static long call_execve(long path, long argv, long env) {
    if (!path) return -EFAULT;
    take_string(path);
    take_list(argv);
    take_list(env);
    long r = failure();
    if (r) return r;
    longjmp(model.end, 1);
}

/* What a relay moves: not at once all of it. */
static long call_move(long bytes, long size) {
    take(bytes, (size_t)size);
    uint8_t b = model_answer();
    return b > 240 ? -EPIPE : b > 200 ? -EAGAIN : b & 1 || size < 2 ? size : size / 2;
}

/* To the host a record, or several; and what a relay moves. */
static long call_sendto(long fd, long record, long size, long flags) {
    const struct record *r = (const struct record *)record;
    if (flags & MSG_DONTWAIT && size % (long)sizeof *r) return call_move(record, size);
    if (size != sizeof *r && (r->step != INIT_USAGE || size != 2 * sizeof *r + INIT_USAGE_LONGS * sizeof(long)))
        fail("a record of the size", size);
    if (r->step < INIT_USAGE &&
        (r->step == 0 || r->step > model.steps || r->error < 0 || r->error > 4095))
        fail("a record of step", r->step);
    return fd < 0 ? -EBADF : failure() ? -EPIPE : size;
}

/* What is sent with an address is netlink(7). */
static long call_sendto_address(long bytes, long size, long address) {
    take(bytes, (size_t)size);
    take(address, sizeof(struct sockaddr_nl));
    return failure() ? -EPERM : size;
}

/* Room for much is a relay's: bytes of a size that no record has. */
static long call_recvfrom(long to, long size) {
    uint8_t b = model_answer();
    if (size < 1024) return b & 1 ? (size > 1 ? size : 0) : -EAGAIN; /* one byte is the end, or a peek */
    if (b < 128) return b < 16 ? 0 : b < 32 ? -ECONNRESET : -EAGAIN;
    give(to, b);
    return b | 1;
}

/* A message with a record, and none, two or more descriptors; or the end. */
static long call_recvmsg(long message) {
    struct msghdr *m = (struct msghdr *)message;
    uint8_t b = model_answer();
    take(message, sizeof *m);
    if (b < 8) return b < 4 ? 0 : -EMFILE;
    for (size_t i = 0; i < m->msg_iov->iov_len; i++) ((uint8_t *)m->msg_iov->iov_base)[i] = model_answer();
    if (b & 1) *(uint32_t *)m->msg_iov->iov_base = REQUEST_JOB;
    if (!(b & 1) && b & 32) *(uint32_t *)m->msg_iov->iov_base = model_answer() % (REQUEST_SOCKET + 1);
    size_t fds = b & 2 ? 2 : b & 4 ? 1 : 0, size = CMSG_LEN(fds * sizeof(int));
    if (size > m->msg_controllen) fds = 0;
    m->msg_controllen = fds ? size : 0;
    m->msg_flags = b & 8 && b & 16 ? MSG_CTRUNC : 0;
    if (fds) *(struct cmsghdr *)m->msg_control = (struct cmsghdr){size, SOL_SOCKET, SCM_RIGHTS};
    for (size_t i = 0; i < fds; i++) ((int *)CMSG_DATA((struct cmsghdr *)m->msg_control))[i] = 20 + (int)i;
    return (long)m->msg_iov->iov_len;
}

static long call_sendmsg(long message) {
    const struct msghdr *m = (const struct msghdr *)message;
    take(message, sizeof *m);
    take((long)m->msg_iov->iov_base, m->msg_iov->iov_len);
    if (m->msg_control) take((long)m->msg_control, m->msg_controllen);
    return failure() ? -EPIPE : (long)m->msg_iov->iov_len;
}

static long call_statx(long out) {
    struct statx s = {.stx_mode = (uint16_t)(model_answer() & 1 ? 0100644 : 040755),
                      .stx_dev_minor = model_answer() & 3};
    memcpy((void *)out, &s, sizeof s);
    return 0;
}

static long call_fstatfs(long out) {
    struct statfs64 s = {.f_type = model_answer() & 1 ? PROC_SUPER_MAGIC : 0};
    memcpy((void *)out, &s, sizeof s);
    return failure();
}

static long call_getcwd(long to, long size) {
    long r = failure();
    if (r) return r;
    const char *cwd = model_answer() & 1 ? "(unreachable)/x" : "/x";
    if (size < 16) return -ERANGE;
    memcpy((void *)to, cwd, strlen(cwd) + 1);
    return (long)strlen(cwd) + 1;
}

static long call_ioctl(long request, long argument) {
    if (request == SIOCGIFFLAGS) give(argument + IFNAMSIZ, sizeof(struct ifreq) - IFNAMSIZ);
    if (request == SIOCSIFFLAGS) take(argument, sizeof(struct ifreq));
    if (request == TIOCSWINSZ) take(argument, 4 * sizeof(uint16_t));
    if (request == TIOCSPTLCK) take(argument, sizeof(int));
    return request == TIOCGPTPEER && !(model_answer() & 7) ? 22 : failure();
}

static long call_wait4(long status) {
    uint8_t b = model_answer();
    if (b == 1) return -EINTR;
    if (b == 2) return 0;
    if (b == 3 || (!status && !b)) return -ECHILD;
    if (status) give(status, sizeof(int));
    return b & 4 ? PROGRAM + 1 : PROGRAM;
}

static long call_ppoll(long polls, long count) {
    struct pollfd *p = (struct pollfd *)polls;
    uint8_t b = model_answer();
    take(polls, (size_t)count * sizeof *p);
    if (count > 0) p[0].revents = b & 1 ? POLLIN : 0;
    if (count > 1) p[1].revents = b & 1 ? 0 : b & 2 ? POLLRDHUP : POLLHUP;
    for (long i = 2; i < count; i++) p[i].revents = p[i].fd >= 0 && model_answer() & 1 ? POLLIN : 0; /* a box with a name */
    return b > 250 ? -EINTR : b == 250 ? -ENOMEM : 1;
}

/* Who has connected: from outside and the owner, or not. */
static long call_getsockopt(long out, long size) {
    uint8_t b = model_answer();
    uint32_t who[3] = {b & 1 ? 7 : 0, b & 2 ? 1 : 0, 0}, room = *(uint32_t *)size;
    memcpy((void *)out, who, room < sizeof who ? room : sizeof who);
    return b > 250 ? -ENOPROTOOPT : 0;
}

enum { TABLE = 1024 }; /* room for so many descriptors */

static long call_fcntl(long fd, long command) {
    if (command == F_GETFD && fd >= 60) return failure() ? -EMFILE : -EBADF;
    return result(FD, 0);
}

static long call_pselect(long count, long set) {
    take(set, ((size_t)count + 63) / 64 * 8);
    if (count > TABLE) return 0;
    return failure() ? -ENOMEM : -EBADF;
}

static long call_clone(void) {
    uint8_t b = model_answer();
    return b < 100 ? 0 : b < 200 ? PROGRAM : -EAGAIN;
}

/* The child begins in its place, and is gone then. */
long model_clone(long flags, long *stack, int *pidfd, int *number, void (*begin)(void *), void *argument) {
    long r = call_clone();
    take((long)stack - 64, 64);
    *pidfd = PROGRAM;
    if (r == 0) begin(argument);
    if (model_answer() & 1) *number = 0;
    return (void)flags, r;
}

static long call_mincore(long size, long pages) {
    give(pages, (size_t)size / PAGE);
    for (long i = 0; i < size / PAGE; i++) ((unsigned char *)pages)[i] &= 1;
    return failure();
}

static long call_prlimit(long new, long old) {
    if (new) take(new, 16);
    if (old) *(uint64_t *)old = 64, ((uint64_t *)old)[1] = model_answer();
    return failure();
}

static long special(long n, long a, long b, long c, long d, long e) {
    if (n == __NR_openat) return call_openat((const char *)b);
    if (n == __NR_read) return call_read(a, b, c);
    if (n == SYS_mmap) return call_mmap(a, b);
    if (n == __NR_munmap) return call_munmap(a, b);
    if (n == __NR_exit_group) longjmp(model.end, 1);
    if (n == __NR_execve) return call_execve(a, b, c);
    if (n == __NR_execveat) return call_execve(b, c, d);
    if (n == __NR_sendto) return e ? call_sendto_address(b, c, e) : call_sendto(a, b, c, d);
    if (n == __NR_sendmsg) return call_sendmsg(b);
    if (n == __NR_recvmsg) return call_recvmsg(b);
    if (n == __NR_statx) return call_statx(e);
    if (n == __NR_fstatfs) return call_fstatfs(b);
    if (n == __NR_getcwd) return call_getcwd(a, b);
    if (n == __NR_ioctl) return call_ioctl(b, c);
    if (n == __NR_wait4) return call_wait4(b);
    if (n == __NR_getsockopt) return call_getsockopt(d, e);
    if (n == __NR_clock_gettime) return *(long *)b = model.calls, 0;
    if (n == __NR_ppoll) return call_ppoll(a, b);
    if (n == __NR_fcntl) return call_fcntl(a, b);
    if (n == __NR_pselect6) return call_pselect(a, b);
    if (n == __NR_clone) return call_clone();
    if (n == __NR_mincore) return call_mincore(b, c);
    if (n == __NR_prlimit64) return call_prlimit(c, d);
    if (n == __NR_recvfrom) return call_recvfrom(b, c);
    if (n == __NR_dup3) return failure() ? -EBADF : b;
    if (n == __NR_umask) return 022;
    if (n == __NR_capget) give(b, sizeof(struct __user_cap_data_struct[2]));
    return failure();
}

/* ---- all calls ---- */

/* What the arguments are: - a number, s a string, z one or NULL, b bytes whose number the next argument is (or, after n, the
 * one before), g gids whose number stood before, o bytes to be written, i an int, 1 to 9 as many words of 64 bits. What is
 * beyond the letters is a number, too. */
static const struct call {
    long number;
    const char *arguments;
    enum result result;
    bool special;
} calls[] = {
    {__NR_read, "-o", ZERO, true},
    {SYS_mmap, "", ZERO, true},
    {__NR_munmap, "", ZERO, true},
    {__NR_exit_group, "", ZERO, true},
    {__NR_execve, "", ZERO, true},
    {__NR_sendto, "-b", ZERO, true},
    {__NR_sendmsg, "", ZERO, true},
    {__NR_recvmsg, "", ZERO, true},
    {__NR_statx, "-s", ZERO, true},
    {__NR_fstatfs, "", ZERO, true},
    {__NR_getcwd, "o", ZERO, true},
    {__NR_ioctl, "--", ZERO, true},
    {__NR_wait4, "", ZERO, true},
    {__NR_ppoll, "", ZERO, true},
    {__NR_clone, "", ZERO, true},
    {__NR_mincore, "", ZERO, true},
    {__NR_prlimit64, "", ZERO, true},
    {__NR_pselect6, "", ZERO, true},
    {__NR_recvfrom, "-o", ZERO, true},
    {__NR_dup3, "", ZERO, true},
    {__NR_umask, "", ZERO, true},
    {__NR_prctl, "", ZERO, true},
    {__NR_mount, "zsz-z", ZERO, false},
    {__NR_openat, "-s", FD, true},
    {__NR_openat2, "-sb", FD, false},
    {__NR_write, "-b", WRITTEN, false},
    {__NR_sethostname, "b", ZERO, false},
    {__NR_setdomainname, "b", ZERO, false},
    {__NR_unshare, "", ZERO, false},
    {__NR_setns, "", ZERO, false},
    {__NR_setsid, "", ID, false},
    {__NR_setpgid, "", ZERO, false},
    {__NR_getpid, "", ID, false},
    {__NR_getppid, "", ID, false},
    {__NR_geteuid, "", ID, false},
    {__NR_rt_sigtimedwait, "1", ZERO, false},
    {__NR_execveat, "", ZERO, true},
    {__NR_kill, "", ZERO, false},
    {__NR_ptrace, "", ZERO, false},
    {__NR_chdir, "s", ZERO, false},
    {__NR_fchdir, "", ZERO, false},
    {__NR_socket, "", FD, false},
    {__NR_connect, "-b", ZERO, false},
    {__NR_bind, "-b", ZERO, false},
    {__NR_listen, "", ZERO, false},
    {__NR_setsockopt, "---b", ZERO, false},
    {__NR_socketpair, "---1", ZERO, false},
    {__NR_shutdown, "", ZERO, false},
    {__NR_clock_gettime, "-2", ZERO, true},
    {__NR_pidfd_send_signal, "", ZERO, false},
    {__NR_accept4, "", FD, false},
    {__NR_getsockopt, "", ZERO, true},
    {__NR_pidfd_open, "", FD, false},
    {__NR_madvise, "", ZERO, false},
    {__NR_fcntl, "", FD, true},
    {__NR_close, "", ZERO, false},
    {__NR_close_range, "", ZERO, false},
    {__NR_rt_sigprocmask, "-1", ZERO, false},
    {__NR_rt_sigaction, "-4", ZERO, false},
    {__NR_faccessat, "-s", ZERO, false},
    {__NR_mkdirat, "-s", ZERO, false},
    {__NR_fchmod, "", ZERO, false},
    {__NR_fchownat, "-s", ZERO, false},
    {__NR_setxattr, "ssb", ZERO, false},
    {__NR_fsetxattr, "-sb", ZERO, false},
    {__NR_removexattr, "ss", ZERO, false},
    {__NR_listxattr, "s", ZERO, false}, /* there are none */
    {__NR_getxattr, "ss", ZERO, false},
    {__NR_readlinkat, "-so", WRITTEN, false},
    {__NR_waitid, "", ZERO, false},
    {__NR_symlinkat, "s-s", ZERO, false},
    {__NR_unlinkat, "-s", ZERO, false},
    {__NR_open_tree, "-s", FD, false},
    {__NR_mount_setattr, "-s-b", ZERO, false},
    {__NR_move_mount, "-s-s", ZERO, false},
    {__NR_fsopen, "s", FD, false},
    {__NR_fsconfig, "--zz", ZERO, false},
    {__NR_fsmount, "", FD, false},
    {__NR_pivot_root, "ss", ZERO, false},
    {__NR_umount2, "s", ZERO, false},
    {SYS_fchown, "", ZERO, false},
    {SYS_setgroups, "-g", ZERO, false},
    {SYS_setresgid, "", ZERO, false},
    {SYS_setresuid, "", ZERO, false},
    {__NR_capget, "13", ZERO, true},
    {__NR_capset, "13", ZERO, false},
    {__NR_setpriority, "", ZERO, false},
    {__NR_sched_setaffinity, "-nb", ZERO, false},
    {__NR_sched_setscheduler, "--i", ZERO, false},
    {__NR_ioprio_set, "", ZERO, false},
    {__NR_personality, "", ID, false},
    {__NR_keyctl, "", ID, false},
    {__NR_signalfd4, "-1", FD, false},
    {__NR_landlock_create_ruleset, "b", FD, false},
    {__NR_landlock_add_rule, "--1", ZERO, false},
    {__NR_landlock_restrict_self, "", ZERO, false},
    {__NR_seccomp, "--2", ZERO, false},
    {__NR_seccomp, "--2", ZERO, false},
};

/* -EFAULT, or 0 and the size of the last bytes */
static long check(const char *kinds, const long *a, long *size) {
    for (int i = 0; kinds[i]; i++) {
        char kind = kinds[i];
        bool before = i > 0 && kinds[i - 1] == 'n';
        if (kind == '-' || kind == 'n' || (kind == 'z' && !a[i])) continue;
        if (kind == 'b') *size = before ? a[i - 1] : a[i + 1];
        if (kind == 'g') *size = 4 * a[i - 1];
        if (*size == 0 && (kind == 'b' || kind == 'g')) continue;
        if (!a[i]) return -EFAULT;
        if (kind == 's' || kind == 'z') take_string(a[i]);
        if (kind == 'b' || kind == 'g') take(a[i], (size_t)*size);
        if (kind == 'i') take(a[i], sizeof(int));
        if (kind >= '1' && kind <= '9') take(a[i], (size_t)(kind - '0') * 8);
        if (kind == 'o') memset((void *)a[i], 0x55, (size_t)a[i + 1]);
    }
    return 0;
}

static const struct call *row_of(long n) {
    static const struct call *rows[512];
    if (!rows[__NR_read])
        for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) rows[calls[i].number] = &calls[i];
    if (n < 0 || n > 511 || !rows[n]) fail("a call without a row in `calls`:", n);
    return rows[n];
}

long model_call(long n, long a, long b, long c, long d, long e, long f) {
    const struct call *call = row_of(n);
    const long arguments[] = {a, b, c, d, e, f};
    long size = 0;
    if (++model.calls > 200000) fail("no end, call", n);
    if (n == __NR_rt_sigaction) model.started = true;
    long r = check(call->arguments, arguments, &size);
    if (r) return r;
    return call->special ? special(n, a, b, c, d, e) : result(call->result, size);
}

bool model_play(const uint8_t *plan, size_t size, const uint8_t *answers, size_t count) {
    struct plan head = {0};
    if (size >= sizeof head) memcpy(&head, plan, sizeof head);
    model_answers(answers, count);
    model.plan = plan;
    model.unread = size;
    model.steps = head.count;
    model.calls = 0;
    model.started = false;
    model.text = 0;
    if (!setjmp(model.end)) ns_launcher(SOCKET);
    for (size_t i = 0; i < sizeof model.mappings / sizeof model.mappings[0]; i++) {
        free(model.mappings[i].at);
        model.mappings[i].at = NULL;
    }
    free_room();
    return model.started;
}

#pragma clang attribute pop
