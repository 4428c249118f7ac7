/* A server: for each of its arguments, "4:PORT", "6:PORT", "PATH" or "@NAME", it listens there. What it is sent it sends back, each
 * connection in a process of its own; a line "bye" has it closed, and one "end" ends the whole server. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int try_listen(int family, const void *address, socklen_t size) {
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address, size) == 0 && listen(fd, 64) == 0) return fd;
    perror("listen");
    exit(1);
}

static int open_server(const char *where) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    v4.sin_port = v6.sin6_port = htons(where[1] == ':' ? (uint16_t)atoi(where + 2) : 0);
    if (!strncmp(where, "4:", 2)) return try_listen(AF_INET, &v4, sizeof v4);
    if (!strncmp(where, "6:", 2)) return try_listen(AF_INET6, &v6, sizeof v6);
    size_t length = strlen(where);
    memcpy(path.sun_path, where, length);
    if (*where == '@') path.sun_path[0] = 0;
    return try_listen(AF_UNIX, &path, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*where != '@')));
}

static void serve(int fd) {
    char bytes[65536];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0) {
        if (n == 4 && !memcmp(bytes, "bye\n", 4)) break;
        for (ssize_t at = 0, m; at < n; at += m)
            if ((m = write(fd, bytes + at, (size_t)(n - at))) <= 0) exit(1);
        if (n == 4 && !memcmp(bytes, "end\n", 4)) kill(getppid(), SIGTERM);
    }
    exit(0);
}

int main(int count, char **where) {
    struct pollfd polls[16] = {{0}};
    signal(SIGCHLD, SIG_IGN);
    for (int i = 1; i < count && i < 16; i++) polls[i - 1] = (struct pollfd){open_server(where[i]), POLLIN, 0};
    while (poll(polls, (nfds_t)count - 1, -1) >= 0)
        for (int i = 0; i < count - 1; i++) {
            int fd = polls[i].revents ? accept(polls[i].fd, NULL, NULL) : -1;
            if (fd >= 0 && fork() == 0) {
                for (int j = 0; j < count - 1; j++) close(polls[j].fd);
                serve(fd);
            }
            close(fd);
        }
    return 1;
}
