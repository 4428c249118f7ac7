/* The child shares our memory until it executes the launcher, a dozen lines later (child.c). We do not wait for that exec, as
 * vfork does: to sleep and be woken costs more than all that the child does. Where the launcher may not be executed at all (image.c), the child is a copy of us
 * and plays the plan itself: slower, otherwise the same. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../launcher/fds.h"
#include "../launcher/launcher.h"
#include "../launcher/sys.h"
#include "child.h"
#include "io.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

static struct boarding *take_boarding(struct launcher *l) {
    struct boarding *b = l->spare;
    l->spare = NULL;
    if (b) return b;
    b = mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return b == MAP_FAILED ? NULL : b;
}

void ns_boarded(struct spawned *s, struct launcher *l) {
    if (!s->boarding) return;
    if (l->spare)
        munmap(s->boarding, sizeof *s->boarding);
    else
        l->spare = s->boarding;
    s->boarding = NULL;
}

void ns_forget_launcher(struct launcher *l) {
    ns_drop_image(l);
    if (l->spare) munmap(l->spare, sizeof *l->spare);
    l->spare = NULL;
}

/* valgrind cannot follow a child that shares memory with a running parent; with CLONE_VFORK it makes a fork of it. */
static int sleep_meanwhile(void) {
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload") ? CLONE_VFORK : 0;
}

/* An executing child in our memory. */
static long clone_shared(struct spawned *s, struct boarding *b) {
    int flags = (int)b->clone_flags | CLONE_VM | CLONE_PIDFD | SIGCHLD | sleep_meanwhile();
    long pid = clone(ns_child, b->stack + sizeof b->stack, flags, b, &s->pidfd);
    return pid < 0 ? -errno : pid;
}

/* Nothing is executed here that would close them. */
static void close_unkept(const struct boarding *b) {
    int first = 3;
    for (size_t i = 0; i < b->count; i++) {
        if (b->kept[i] < first) continue;
        if (b->kept[i] > first) close_fds((unsigned)first, (unsigned)b->kept[i] - 1);
        first = b->kept[i] + 1;
    }
    close_fds((unsigned)first, ~0u);
}

/* A child with a copy of our memory, which plays the plan itself. */
static long clone_copy(struct spawned *s, struct boarding *b) {
    long pid = sys(__NR_clone, b->clone_flags | CLONE_PIDFD | SIGCHLD, 0, &s->pidfd, 0, 0);
    if (pid == 0) {
        close_unkept(b);
        ns_launch(b->socket);
    }
    return pid;
}

struct between {
    struct spawned *s;
    struct boarding *b;
    long (*clone)(struct spawned *, struct boarding *);
    long result;
};

static int between(void *argument) {
    struct between *w = argument;
    w->result = sys(SYS_setgroups, 0, NULL);
    if (!FAILED(w->result)) {
        w->s->step = "clone";
        w->result = w->clone(w->s, w->b);
    }
    sys(__NR_exit_group, 0);
    return 0;
}

/* Where setgroups(2) is denied in the new user namespace the host's groups can be dropped only before it is made: by a process
 * between us and the child, which is still ours. It shares our memory and our descriptors, and we sleep meanwhile. */
static long clone_without_groups(struct spawned *s, struct boarding *b,
                                 long (*one)(struct spawned *, struct boarding *)) {
    struct between w = {s, b, one, -ECHILD};
    s->step = "setgroups";
    b->clone_flags |= CLONE_PARENT;
    pid_t pid = clone(between, b->between + sizeof b->between, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &w);
    if (pid < 0) return -errno;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return w.result;
}

/* Each once, in rising order. */
static bool keep(struct boarding *b, int fd) {
    size_t i = b->count;
    while (i > 0 && b->kept[i - 1] > fd) i--;
    if (i > 0 && b->kept[i - 1] == fd) return true;
    if (b->count == sizeof b->kept / sizeof b->kept[0]) return false;
    memmove(&b->kept[i + 1], &b->kept[i], (b->count++ - i) * sizeof fd);
    b->kept[i] = fd;
    return true;
}

static long clone_any(struct spawned *s, struct launcher *l, int socket, const int *kept, size_t count, uint64_t flags,
                      bool copy, bool drop) {
    struct boarding *b = take_boarding(l);
    if (!b) return -errno;
    s->boarding = b;
    b->socket = socket;
    b->clone_flags = flags;
    b->count = 0;
    bool room = keep(b, socket);
    for (size_t i = 0; i < count; i++) room = room && keep(b, kept[i]);
    if (!room) return -EMFILE;
    bool image = ns_have_image(l, copy);
    if (!image && !copy) return s->step = "execveat", -errno;
    b->launcher = l->fd;
    long (*one)(struct spawned *, struct boarding *) = image ? clone_shared : clone_copy;
    long pid = drop ? clone_without_groups(s, b, one) : one(s, b);
    if (image) ns_image_used(l);
    return pid;
}

int ns_send_plan(struct spawned *s, const struct plan *plan) {
    while (s->sent < plan->size) {
        ssize_t n = send(s->socket, (const char *)plan + s->sent, plan->size - s->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        s->sent += (uint32_t)n;
    }
    return 1;
}

/* The child that we have no hold on. Returns the error for which that is. */
static long give_up(pid_t pid) {
    int error = errno;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return -error;
}

int ns_spawn(struct spawned *s, struct launcher *l, uint64_t clone_flags, const int *kept, size_t count, bool copy,
             bool drop) {
    int pair[2];
    uint64_t all = ~0ull, mask;
    *s = (struct spawned){.pidfd = -1, .socket = -1, .step = "socketpair"};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return s->error = errno, -1;
    int theirs = ns_above_stdio(pair[1]), error = errno;
    s->socket = ns_above_stdio(pair[0]);
    long pid = theirs < 0 ? -error : -errno;
    if (s->socket >= 0 && theirs >= 0) {
        s->step = "clone";
        /* What the host has printed comes before what the program prints. No other stream is flushed: another thread may be
         * asleep in it, or a pipe be full whose reader waits for us. */
        fflush(stdout);
        fflush(stderr);
        sys(__NR_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask);
        pid = clone_any(s, l, theirs, kept, count, clone_flags, copy, drop);
        sys(__NR_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    }
    if (theirs >= 0) close(theirs);
    /* a clone that is refused late, by a pids limit, has written a number already, of what is not open */
    s->pidfd = pid > 0 ? ns_above_stdio(s->pidfd) : -1;
    if (pid > 0 && s->pidfd < 0) pid = give_up((pid_t)pid);
    if (pid > 0) return s->pid = (pid_t)pid, 0;
    ns_boarded(s, l);
    if (s->socket >= 0) close(s->socket);
    s->socket = -1;
    return s->error = (int)-pid, -1;
}
