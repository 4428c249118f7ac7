/* Makes the new process and puts the launcher into it. Knows no Lua.
 *
 * The child shares our memory until it executes the launcher, a dozen lines later: it runs on a stack of its own, with all
 * signals blocked, and makes raw system calls alone. We sleep until that exec (CLONE_VFORK). Where the launcher may not
 * be executed from a memfd, the child is a copy of us and plays the plan itself: slower, otherwise the same. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../launcher/launcher.h"
#include "../launcher/sys.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

/* the launcher's bytes, from the file that the Makefile has built */
__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        ".globl ns_launcher_image, ns_launcher_end\n"
        ".hidden ns_launcher_image, ns_launcher_end\n"
        "ns_launcher_image: .incbin \"" LAUNCHER "\"\n"
        "ns_launcher_end: .byte 0\n"
        ".popsection\n");
extern const char ns_launcher_image[], ns_launcher_end[];

/* What the child needs to know before it executes the launcher. */
struct boarding {
    int socket, launcher;
    const int *kept;
    size_t count;
    uint64_t clone_flags;
};

/* Moves a descriptor out of the way of 0, 1 and 2, where a host that has closed them gets its new ones. */
int ns_above_stdio(int fd) {
    if (fd < 0 || fd > 2) return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno;
    close(fd);
    errno = error;
    return moved;
}

/* ---- the launcher's memfd ---- */

static int make_image(void) {
    int fd = memfd_create("ns", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) fd = memfd_create("ns", MFD_CLOEXEC | MFD_ALLOW_SEALING); /* before 6.3 */
    fd = ns_above_stdio(fd);
    if (fd < 0) return -1;
    size_t size = (size_t)(ns_launcher_end - ns_launcher_image);
    if (write(fd, ns_launcher_image, size) == (ssize_t)size && fchmod(fd, 0555) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A host may close descriptors that it does not know, and open others under the same number: never execute those. */
static bool still_ours(const struct launcher *l) {
    struct stat s;
    return l->fd >= 0 && fstat(l->fd, &s) == 0 && s.st_dev == l->device && s.st_ino == l->inode;
}

static bool have_launcher(struct launcher *l) {
    struct stat s;
    if (l->refused) return false;
    if (still_ours(l)) return true;
    l->fd = make_image();
    if (l->fd < 0 || fstat(l->fd, &s) < 0) return false;
    l->device = s.st_dev;
    l->inode = s.st_ino;
    return true;
}

/* ---- the child ---- */

/* In a user namespace without maps our id is nobody's, and exec would take all capabilities from it: unless they are
 * ambient. The launcher drops them again. */
static long keep_capabilities(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    long r = sys(__NR_capget, &head, sets);
    if (FAILED(r)) return r;
    for (int i = 0; i < 2; i++) sets[i].inheritable = sets[i].permitted;
    r = sys(__NR_capset, &head, sets);
    if (FAILED(r)) return r;
    for (int cap = 0; cap < 64; cap++)
        if (sets[cap / 32].permitted >> (cap % 32) & 1)
            sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
    return 0;
}

static long board(const struct boarding *b) {
    char digits[12], *number = digits + sizeof digits - 1;
    *number = 0;
    for (int n = b->socket; n > 0; n /= 10) *--number = (char)('0' + n % 10);
    char *argv[] = {(char[]){"ns"}, number, NULL}, *env[] = {NULL};
    sys(__NR_fcntl, b->socket, F_SETFD, 0);
    for (size_t i = 0; i < b->count; i++) sys(__NR_fcntl, b->kept[i], F_SETFD, 0);
    long r = b->clone_flags & CLONE_NEWUSER ? keep_capabilities() : 0;
    return r < 0 ? r : sys(__NR_execveat, b->launcher, "", argv, env, AT_EMPTY_PATH);
}

/* Runs in our memory, on a stack of its own. */
static int child(void *argument) {
    const struct boarding *b = argument;
    struct record r = {0, (int32_t)-board(b)};
    sys(__NR_sendto, b->socket, &r, sizeof r, MSG_NOSIGNAL);
    sys(__NR_exit_group, 127);
    return 0;
}

/* ---- the host ---- */

/* An executing child in our memory. */
static long clone_shared(struct spawned *s, struct boarding *b) {
    _Alignas(16) char stack[16384];
    int flags = (int)b->clone_flags | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    long pid = clone(child, stack + sizeof stack, flags, b, &s->pidfd);
    return pid < 0 ? -errno : pid;
}

/* A child with a copy of our memory, which plays the plan itself. */
static long clone_copy(struct spawned *s, struct boarding *b) {
    long pid = sys(__NR_clone, b->clone_flags | CLONE_PIDFD | SIGCHLD, 0, &s->pidfd, 0, 0);
    if (pid == 0) {
        sys(__NR_close, s->socket); /* or the launcher would not see the host end */
        ns_launch(b->socket);
    }
    return pid;
}

static void reap(struct spawned *s) {
    siginfo_t info;
    while (waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED) < 0 && errno == EINTR) continue;
    close(s->pidfd);
    s->pidfd = -1;
}

/* Did the child fail to execute the launcher? It has told us by now, if so. */
static int boarding_error(struct spawned *s) {
    struct record r;
    if (recv(s->socket, &r, sizeof r, MSG_DONTWAIT) != sizeof r) return 0;
    return r.error;
}

static long clone_any(struct spawned *s, struct launcher *l, struct boarding *b) {
    if (have_launcher(l)) {
        b->launcher = l->fd;
        long pid = clone_shared(s, b);
        if (pid < 0) return pid;
        int error = boarding_error(s);
        if (error == 0) return pid;
        reap(s);
        if (error != EACCES && error != EPERM && error != ENOSYS) {
            s->step = "execveat";
            return -error;
        }
    }
    l->refused = true;
    return clone_copy(s, b);
}

int ns_spawn(struct spawned *s, struct launcher *l, uint64_t clone_flags, const int *kept, size_t count) {
    int pair[2];
    uint64_t all = ~0ull, mask;
    *s = (struct spawned){.pidfd = -1, .socket = -1, .step = "socketpair"};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return s->error = errno, -1;
    s->socket = ns_above_stdio(pair[0]);
    struct boarding b = {ns_above_stdio(pair[1]), -1, kept, count, clone_flags};
    long pid = -EMFILE;
    if (s->socket >= 0 && b.socket >= 0) {
        s->step = "clone";
        fflush(NULL); /* what the host has printed comes before what the program prints */
        sys(__NR_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask);
        pid = clone_any(s, l, &b);
        sys(__NR_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    }
    if (b.socket >= 0) close(b.socket);
    s->pidfd = ns_above_stdio(s->pidfd);
    if (pid > 0) return s->pid = (pid_t)pid, 0;
    if (s->socket >= 0) close(s->socket);
    s->socket = -1;
    return s->error = (int)-pid, -1;
}
