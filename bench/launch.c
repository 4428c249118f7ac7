/* The module without Lua: the launcher is started and plays a plan that is made already, as for ns.spawn and wait.
 *
 * usage: launch PLAN CLONE-FLAGS; see rounds.h */
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../src/core/spawn.h"
#include "../tools/plan_file.h"
#include "rounds.h"

struct job {
    struct image image;
    const struct plan *plan;
    uint64_t flags;
};

/* Does the launcher say that it leaves for the program, and nothing else? */
static bool is_started(struct spawned *s) {
    struct record r;
    int words = 0, errors = 0;
    struct pollfd polls[] = {{s->socket, 0, 0}, {s->pidfd, POLLIN, 0}};
    poll(polls, 2, -1);
    for (; recv(s->socket, &r, sizeof r, MSG_DONTWAIT) == (ssize_t)sizeof r; words++) errors += r.error != 0;
    return words == 1 && errors == 0;
}

/* One round: microseconds, or -1. */
static double play(void *job) {
    struct job *j = job;
    const int inherited[] = {0, 1, 2};
    struct spawned s;
    siginfo_t info;
    double start = now();
    if (ns_spawn(&s, &j->image, j->flags, inherited, 3, NS_MAY_COPY, -1) < 0) return -1;
    while (ns_send_plan(&s, j->plan) == 0) sched_yield();
    bool started = is_started(&s);
    ns_child_gone(&s, &j->image);
    close(s.socket);
    struct pollfd end = {s.pidfd, POLLIN, 0};
    poll(&end, 1, -1);
    bool good =
        waitid(P_PIDFD, (id_t)s.pidfd, &info, WEXITED) == 0 && info.si_code == CLD_EXITED && info.si_status == 0;
    close(s.pidfd);
    return started && good ? now() - start : -1;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    struct job j = {{.fd = -1}, read_plan_file(argv[1]), strtoull(argv[2], NULL, 0)};
    return serve_rounds(play, &j);
}
