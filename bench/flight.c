/* The floor for many programs: posix_spawn(3), always so many on their way.
 *
 * usage: flight PROGRAM TOTAL LIMIT; see rounds.h: here the answer is programs a second */
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rounds.h"

struct job {
    char *program;
    int total, limit;
};

/* One round, or -1. */
static double play(void *job) {
    const struct job *j = job;
    char *argv[] = {j->program, NULL};
    double start = now();
    for (int begun = 0, ended = 0; ended < j->total;) {
        pid_t pid;
        if (begun < j->total && begun - ended < j->limit) {
            if (posix_spawn(&pid, j->program, NULL, NULL, argv, environ) != 0) return -1;
            begun++;
        } else if (wait(NULL) > 0)
            ended++;
    }
    return j->total / (now() - start) * 1e6;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    struct job j = {argv[1], atoi(argv[2]), atoi(argv[3])};
    return serve_rounds(play, &j);
}
