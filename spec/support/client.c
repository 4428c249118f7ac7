/* A client: connects to HOST PORT, with up to 5 seconds for it, and then
 *   says LINE, and prints the answer, or why there is none;
 *   with "flood" N S, sends N MiB while it does not read what comes back for S seconds, and prints whether all of it came back. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int r = getaddrinfo(host, port, &hints, &list), fd = -1;
    if (r != 0) printf("no name: %s\n", gai_strerror(r)), exit(1);
    for (; list; list = list->ai_next) {
        fd = socket(list->ai_family, SOCK_STREAM, 0);
        if (connect(fd, list->ai_addr, list->ai_addrlen) == 0) return fd;
    }
    printf("connect: %s\n", strerror(errno));
    exit(1);
}

static void fill(unsigned *block, unsigned from) {
    for (unsigned i = 0; i < 16384; i++) block[i] = (from + i) * 2654435761u;
}

static void send_all(int fd, unsigned blocks) {
    static unsigned block[16384];
    for (unsigned n = 0; n < blocks; n++) {
        fill(block, n);
        for (size_t at = 0; at < sizeof block;) {
            ssize_t sent = write(fd, (char *)block + at, sizeof block - at);
            if (sent <= 0) _exit(1);
            at += (size_t)sent;
        }
    }
    shutdown(fd, SHUT_WR);
    _exit(0);
}

static void flood(int fd, unsigned blocks, unsigned seconds) {
    static unsigned block[16384], got[16384];
    size_t at = 0, n = 0;
    ssize_t r;
    if (fork() == 0) send_all(fd, blocks);
    sleep(seconds);
    while ((r = read(fd, (char *)got + at, sizeof got - at)) > 0) {
        at += (size_t)r;
        if (at < sizeof got) continue;
        fill(block, (unsigned)n++);
        if (memcmp(block, got, sizeof got) != 0) break;
        at = 0;
    }
    puts(n == blocks && at == 0 && r == 0 ? "same" : "other");
}

int main(int count, char **v) {
    char answer[256] = "";
    if (count < 4) return 2;
    alarm(count > 4 ? 100 : 10);
    int fd = dial(v[1], v[2]);
    if (count > 5) return flood(fd, (unsigned)atoi(v[4]) * 16, (unsigned)atoi(v[5])), 0;
    dprintf(fd, "%s\n", v[3]);
    ssize_t n = read(fd, answer, sizeof answer - 1);
    if (n <= 0)
        printf("closed: %s\n", n < 0 ? strerror(errno) : "end");
    else
        fputs(answer, stdout);
    return n <= 0;
}
