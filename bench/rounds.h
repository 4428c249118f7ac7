/* What the programs of the benchmark that measure themselves have in common: each line on stdin asks for one round; its time in
 * microseconds is the answer, an empty line if the round failed. */
#ifndef NS_ROUNDS_H
#define NS_ROUNDS_H

#include <stdio.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* play: one round; microseconds, or -1 */
static int serve_rounds(double (*play)(void *job), void *job) {
    char line[16];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        double time = play(job);
        if (time < 0)
            puts("");
        else
            printf("%.1f\n", time);
    }
    return 0;
}

#endif
