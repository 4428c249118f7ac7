/* The floor of a plan: its steps, as ns would play them, by a child that borrows our memory (CLONE_VM|CLONE_VFORK). No Lua,
 * no launcher to execute, nobody to ask, nothing to open.
 *
 * usage: replay PLAN CLONE-FLAGS; see rounds.h */
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
#include <sys/wait.h>
#include <unistd.h>

#include "../src/launcher/ops.h"
#include "../tools/plan_file.h"
#include "rounds.h"

struct job {
    const struct plan *plan; /* as it came */
    struct plan *copy;       /* of this round, and room for what its steps note */
    int flags, pair[2];
};

/* Returns only when a step has failed; the record is in the socket then. */
static int child(void *argument) {
    const struct job *j = argument;
    struct player p;
    const struct step *steps = (const struct step *)((char *)j->copy + j->copy->steps);
    start_player(&p, j->pair[1], j->copy);
    for (uint32_t i = 0; i < j->copy->count; i++) {
        j->copy->current = i + 1;
        long r = ns_ops[steps[i].op].run(&p, &steps[i]);
        if (r == -EUSERS) continue; /* who shares memory cannot enter a time namespace by setns; exec does it */
        if (r < 0 && (uint32_t)-r != steps[i].ignore) {
            ns_report(&p, -r);
            break;
        }
    }
    _exit(127);
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
static double play(void *job) {
    struct job *j = job;
    size_t size = (size_t)player_size(j->plan);
    static _Alignas(16) char stack[65536];
    j->copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (j->copy == MAP_FAILED) return -1;
    memcpy(j->copy, j->plan, j->plan->size);
    double start = now();
    pid_t pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD | j->flags, j);
    if (pid > 0) waitpid(pid, NULL, 0);
    double end = now();
    munmap(j->copy, size);
    prctl(PR_SET_DUMPABLE, 1); /* what the child's steps have taken from our memory */
    return pid < 0 || failed(j) ? -1 : end - start;
}

int main(int argc, char **argv) {
    struct job j = {0};
    if (argc != 3 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, j.pair) < 0) return 2;
    j.plan = read_plan_file(argv[1]);
    j.flags = atoi(argv[2]);
    sigset_t all; /* steps are played with all signals blocked */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    return serve_rounds(play, &j);
}
