/* The floor of a plan: its steps, as ns would play them, by a child that borrows our memory (CLONE_VM|CLONE_VFORK). No Lua,
 * no launcher to execute, nobody to ask, nothing to open.
 *
 * usage: replay PLAN CLONE-FLAGS
 * Each line on stdin asks for one round; its time in microseconds is the answer, an empty line if the round failed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../src/launcher/launcher.h"

struct job {
    char *bytes; /* of the plan, as they came */
    size_t size;
    int flags, pair[2];
    struct player player;
};

static void load(struct job *j, const char *path) {
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) < 0) exit(2);
    j->size = (size_t)s.st_size;
    j->bytes = mmap(NULL, j->size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (j->bytes == MAP_FAILED) exit(2);
}

/* Returns only when a step has failed; the record is in the socket then. */
static int child(void *argument) {
    struct player *p = &((struct job *)argument)->player;
    const struct step *steps = (const struct step *)((char *)p->plan + p->plan->steps);
    p->umask = umask(0);
    for (uint32_t i = 0; i < p->plan->count; i++) {
        p->plan->current = i + 1;
        long r = ns_ops[steps[i].op].run(p, &steps[i]);
        if (r == -EUSERS) continue; /* who shares memory cannot enter a time namespace by setns; exec does it */
        if (r < 0 && (uint32_t)-r != steps[i].ignore) {
            ns_report(p, -r);
            break;
        }
    }
    _exit(127);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Did a step fail? The records of the round are taken out of the socket. */
static int failed(const struct job *j) {
    struct record r;
    int error = 0;
    while (recv(j->pair[0], &r, sizeof r, MSG_DONTWAIT) == (ssize_t)sizeof r)
        if (r.error > 0 && r.step < INIT_MAXRSS) error = fprintf(stderr, "step %u: %s\n", r.step, strerror(r.error));
    return error;
}

/* Playing turns the offsets of lists into pointers: each round has a fresh copy, in pages that an init may unmap. */
static double play(struct job *j) {
    static _Alignas(16) char stack[65536];
    struct plan *plan = mmap(NULL, j->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (plan == MAP_FAILED) return -1;
    memcpy(plan, j->bytes, j->size);
    j->player = (struct player){.plan = plan, .socket = j->pair[1], .root = -1, .held = AT_FDCWD};
    double start = now();
    pid_t pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD | j->flags, j);
    if (pid > 0) waitpid(pid, NULL, 0);
    double end = now();
    munmap(plan, j->size);
    prctl(PR_SET_DUMPABLE, 1); /* what the child's steps have taken from our memory */
    return pid < 0 || failed(j) ? -1 : end - start;
}

int main(int argc, char **argv) {
    struct job j = {0};
    char line[16];
    if (argc != 3 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, j.pair) < 0) return 2;
    load(&j, argv[1]);
    j.flags = atoi(argv[2]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigset_t all; /* steps are played with all signals blocked */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    while (fgets(line, sizeof line, stdin)) {
        double time = play(&j);
        if (time < 0)
            puts("");
        else
            printf("%.1f\n", time);
    }
    return 0;
}
