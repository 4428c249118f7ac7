/* What one system call takes: getppid(2), or one that a filter refuses (acct(2), which does nothing for an ordinary user).
 *
 * usage: calls getppid|acct; see rounds.h: here the answer is nanoseconds per call */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rounds.h"

enum { COUNT = 2000 };

static double play(void *number) {
    double start = now();
    for (int i = 0; i < COUNT; i++) syscall(*(long *)number, NULL);
    return (now() - start) * 1e3 / COUNT;
}

int main(int argc, char **argv) {
    long number = argc > 1 && strcmp(argv[1], "acct") == 0 ? __NR_acct : __NR_getppid;
    return serve_rounds(play, &number);
}
