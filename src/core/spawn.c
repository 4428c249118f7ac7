/* The child shares our memory until it executes the launcher, a dozen lines later (child.c). We do not wait for that
 * exec, as vfork does: to sleep and be woken costs more than all that the child does. Where the launcher may not be
 * executed at all (image.c), the child is a copy of us and plays the plan itself: slower, otherwise the same. */
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
#ifndef __NR_clone3
#define __NR_clone3 435
#endif

static struct child *take_child(struct image *image) {
    struct child *c = image->spare;
    image->spare = NULL;
    if (c) return c;
    c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return c == MAP_FAILED ? NULL : c;
}

void ns_child_gone(struct spawned *s, struct image *image) {
    if (!s->child) return;
    if (image->spare)
        munmap(s->child, sizeof *s->child);
    else
        image->spare = s->child;
    s->child = NULL;
}

void ns_forget_image(struct image *image) {
    ns_drop_image(image);
    if (image->spare) munmap(image->spare, sizeof *image->spare);
    image->spare = NULL;
}

/* valgrind cannot follow a child that shares memory with a running parent; with CLONE_VFORK it makes a fork of it. */
static int sleep_meanwhile(void) {
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload") ? CLONE_VFORK : 0;
}

/* clone3(2), whose header some C libraries lack. */
struct clone3 {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
#define CLONE3_INTO_CGROUP (1ull << 33)

/* A child in a control group of its own. With CLONE_VFORK it runs on our stack, below this frame, while we sleep:
 * nothing that it does may return from here. It has memory of its own before the group gets a limit of memory, as the
 * kernel's out-of-memory killer ends all who share it, and that would be us. */
static __attribute__((noinline)) long clone_into(struct clone3 *a, struct child *c) {
    long pid = SYS_CLONE3(a, sizeof *a);
    if (pid != 0 || !(a->flags & CLONE_VFORK)) return pid;
    ns_child(c);
    for (;;) sys(__NR_exit_group, 127);
}

static long clone_grouped(struct spawned *s, struct child *c, uint64_t how) {
    struct clone3 a = {.flags = c->clone_flags | how | CLONE_PIDFD | CLONE3_INTO_CGROUP,
                       .pidfd = (uintptr_t)&s->pidfd,
                       .exit_signal = (c->clone_flags & CLONE_PARENT) ? 0 : SIGCHLD,
                       .cgroup = (uint64_t)c->group};
    return clone_into(&a, c);
}

/* A child that shares our memory, and executes the launcher. */
static long clone_shared(struct spawned *s, struct child *c) {
    if (c->group >= 0) return clone_grouped(s, c, CLONE_VM | CLONE_VFORK);
    int flags =
        (int)c->clone_flags | CLONE_VM | CLONE_PIDFD | SIGCHLD | sleep_meanwhile() | (c->awaited ? CLONE_VFORK : 0);
    long pid = clone(ns_child, c->stack + sizeof c->stack, flags, c, &s->pidfd);
    return pid < 0 ? -errno : pid;
}

/* Closes what is not inherited: in a copy of the host no exec does. */
static void close_others(const struct child *c) {
    int first = 3;
    for (size_t i = 0; i < c->count; i++) {
        if (c->inherited[i] < first) continue;
        if (c->inherited[i] > first) close_fds((unsigned)first, (unsigned)c->inherited[i] - 1);
        first = c->inherited[i] + 1;
    }
    close_fds((unsigned)first, ~0u);
}

/* A child with a copy of our memory, which plays the plan itself; where that ends with `call`, it comes back: 0. */
static long clone_copy(struct spawned *s, struct child *c) {
    long pid = c->group >= 0 ? clone_grouped(s, c, 0)
                             : sys(__NR_clone, c->clone_flags | CLONE_PIDFD | SIGCHLD, 0, &s->pidfd, 0, 0);
    if (pid == 0) {
        close_others(c);
        ns_launcher(c->socket);
    }
    return pid;
}

struct between {
    struct spawned *s;
    struct child *c;
    long (*clone)(struct spawned *, struct child *);
    long result;
    void *back[5]; /* where a copy goes on: on the stack that we sleep on */
};

static int between(void *argument) {
    struct between *w = argument;
    w->result = sys(SYS_setgroups, 0, NULL);
    if (!FAILED(w->result)) {
        w->s->step = "clone";
        w->result = w->clone(w->s, w->c);
        if (w->result == 0) __builtin_longjmp(w->back, 1);
    }
    sys(__NR_exit_group, 0);
    return 0;
}

/* Where setgroups(2) is denied in the new user namespace the host's groups can be dropped only before it is made: by a
 * process between us and the child, which is still ours. It shares our memory and our descriptors, and we sleep
 * meanwhile. */
static long clone_without_groups(struct spawned *s, struct child *c, long (*one)(struct spawned *, struct child *)) {
    struct between w = {s, c, one, -ECHILD, {NULL}};
    if (__builtin_setjmp(w.back)) return 0;
    s->step = "setgroups";
    c->clone_flags |= CLONE_PARENT;
    pid_t pid = clone(between, c->between + sizeof c->between, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &w);
    if (pid < 0) return -errno;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return w.result;
}

/* Adds a descriptor to the list, which is sorted and has each once; false if there is no room. */
static bool inherit(struct child *c, int fd) {
    size_t i = c->count;
    while (i > 0 && c->inherited[i - 1] > fd) i--;
    if (i > 0 && c->inherited[i - 1] == fd) return true;
    if (c->count == sizeof c->inherited / sizeof c->inherited[0]) return false;
    memmove(&c->inherited[i + 1], &c->inherited[i], (c->count++ - i) * sizeof fd);
    c->inherited[i] = fd;
    return true;
}

static long clone_any(struct spawned *s, struct image *image, int socket, const int *inherited, size_t count,
                      uint64_t flags, int how, int group) {
    struct child *c = take_child(image);
    if (!c) return -errno;
    s->child = c;
    c->socket = socket;
    c->clone_flags = flags;
    c->group = group;
    c->awaited = how & NS_AWAIT_EXEC;
    c->count = 0;
    bool room = inherit(c, socket);
    for (size_t i = 0; i < count; i++) room = room && inherit(c, inherited[i]);
    if (!room) return -EMFILE;
    bool executes = !(how & NS_COPY) && ns_have_image(image, how & NS_MAY_COPY);
    if (!executes && !(how & (NS_COPY | NS_MAY_COPY))) return s->step = "execveat", -errno;
    c->launcher = image->fd;
    long (*one)(struct spawned *, struct child *) = executes ? clone_shared : clone_copy;
    long pid = how & NS_DROP_GROUPS ? clone_without_groups(s, c, one) : one(s, c);
    if (pid != 0 && (executes || how & NS_COPY)) ns_image_used(image);
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

/* Ends a child for which there is no pidfd. Returns -errno: why there is none. */
static long give_up(pid_t pid) {
    int error = errno;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return -error;
}

int ns_spawn(struct spawned *s, struct image *image, uint64_t clone_flags, const int *inherited, size_t count, int how,
             int group) {
    int pair[2];
    uint64_t all = ~0ull, mask;
    *s = (struct spawned){.pidfd = -1, .socket = -1, .step = "socketpair"};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return s->error = errno, -1;
    int theirs = ns_above_stdio(pair[1]), error = errno;
    s->socket = ns_above_stdio(pair[0]);
    long pid = theirs < 0 ? -error : -errno;
    if (s->socket >= 0 && theirs >= 0) {
        s->step = "clone";
        /* What the host has printed comes before what the program prints. No other stream is flushed: another thread
         * may be asleep in it, or a pipe be full whose reader waits for us. */
        fflush(stdout);
        fflush(stderr);
        sys(__NR_rt_sigprocmask, SIG_SETMASK, &all, &mask, sizeof mask);
        pid = clone_any(s, image, theirs, inherited, count, clone_flags, how, group);
        if (pid == 0) return *s = (struct spawned){.pidfd = -1, .socket = -1}, 0; /* the copy: its plan is played */
        sys(__NR_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
    }
    if (theirs >= 0) close(theirs);
    /* a clone that is refused late, by a pids limit, has written a number already, of what is not open */
    s->pidfd = pid > 0 ? ns_above_stdio(s->pidfd) : -1;
    if (pid > 0 && s->pidfd < 0) pid = give_up((pid_t)pid);
    if (pid > 0) return s->pid = (pid_t)pid, 0;
    ns_child_gone(s, image);
    if (s->socket >= 0) close(s->socket);
    s->socket = -1;
    return s->error = (int)-pid, -1;
}
