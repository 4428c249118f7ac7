/* Through what stands between a client and a server: how long a connection takes, and how much goes through it.
 * usage: flow serve ADDRESS PORT                   takes connections: the first byte says what is to be done
 *        flow connect ADDRESS PORT COUNT           median microseconds of a connection with a byte there and back
 *        flow to|from ADDRESS PORT SECONDS         Gbit/s, to the server or from it */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char block[1 << 18];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fail(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in address_of(char **argv) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1]))};
    if (inet_pton(AF_INET, argv[0], &a.sin_addr) != 1) fail(argv[0]);
    return a;
}

/* 't': takes all, and says then that it has; 'f': gives until nobody takes it; else a byte back is all. */
static void answer(int fd, char what) {
    while (what == 't' && read(fd, block, sizeof block) > 0) {}
    if (what != 'f' && write(fd, "x", 1) != 1) return;
    while (what == 'f' && write(fd, block, sizeof block) > 0) {}
}

static void serve(char **argv) {
    struct sockaddr_in a = address_of(argv);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 128)) fail("listen");
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int c = accept(fd, 0, 0);
        if (c < 0) fail("accept");
        char what = 0;
        int is_long = read(c, &what, 1) == 1 && what != 'c';
        if (is_long && fork() == 0) {
            answer(c, what);
            exit(0);
        }
        if (!is_long) answer(c, what);
        close(c);
    }
}

static int dial(char **argv, char what) {
    struct sockaddr_in a = address_of(argv);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) || write(fd, &what, 1) != 1) fail("connect");
    return fd;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double connections(char **argv, int count) {
    double *times = calloc((size_t)count, sizeof *times);
    for (int i = 0; i < count; i++) {
        double began = now();
        int fd = dial(argv, 'c');
        if (read(fd, block, 1) != 1) fail("read");
        times[i] = (now() - began) * 1e6;
        close(fd);
    }
    qsort(times, (size_t)count, sizeof *times, by_value);
    return times[count / 2];
}

static double flow(char **argv, char what, double seconds) {
    int fd = dial(argv, what);
    double began = now(), bytes = 0;
    while (now() - began < seconds) {
        ssize_t n = what == 't' ? write(fd, block, sizeof block) : read(fd, block, sizeof block);
        if (n <= 0) fail("flow");
        bytes += (double)n;
    }
    if (what == 't') {
        shutdown(fd, SHUT_WR);
        if (read(fd, block, 1) != 1) fail("the last byte"); /* what is on its way counts, too */
    }
    return bytes * 8 / 1e9 / (now() - began);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && !strcmp(argv[1], "serve")) serve(argv + 2);
    if (argc != 5) return 2;
    if (!strcmp(argv[1], "connect")) return printf("%.1f\n", connections(argv + 2, atoi(argv[4]))) < 0;
    return printf("%.2f\n", flow(argv + 2, argv[1][0], atof(argv[4]))) < 0;
}
