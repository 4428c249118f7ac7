/* The module without Lua: the launcher is started and plays a plan that is made already, as for ns.spawn and wait.
 *
 * usage: launch PLAN CLONE-FLAGS
 * Each line on stdin asks for one round; its time in microseconds is the answer, an empty line if the round failed. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../src/core/core.h"

static const struct plan *load(const char *path) {
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) < 0) exit(2);
    void *plan = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (plan == MAP_FAILED) exit(2);
    return plan;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

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
static double play(struct launcher *launcher, const struct plan *plan, uint64_t flags) {
    const int kept[] = {0, 1, 2};
    struct spawned s;
    siginfo_t info;
    double start = now();
    if (ns_spawn(&s, launcher, flags, kept, 3) < 0) return -1;
    while (ns_send_plan(&s, plan) == 0) sched_yield();
    bool started = is_started(&s);
    ns_boarded(&s, launcher);
    close(s.socket);
    struct pollfd end = {s.pidfd, POLLIN, 0};
    poll(&end, 1, -1);
    bool good = waitid(P_PIDFD, (id_t)s.pidfd, &info, WEXITED) == 0 && info.si_code == CLD_EXITED && info.si_status == 0;
    close(s.pidfd);
    return started && good ? now() - start : -1;
}

int main(int argc, char **argv) {
    struct launcher launcher = {.fd = -1};
    char line[16];
    if (argc != 3) return 2;
    const struct plan *plan = load(argv[1]);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        double time = play(&launcher, plan, strtoull(argv[2], NULL, 0));
        if (time < 0)
            puts("");
        else
            printf("%.1f\n", time);
    }
    return 0;
}
