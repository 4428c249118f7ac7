/* Tries to reach things, and says of each what came of it: "ok", or the error's name.
 *
 * usage: reach WHAT ARGUMENT [WHAT ARGUMENT ...]
 *        reach tcp_connect 80 tcp_bind 8080 udp_connect 53 udp_bind 53 unix /run/x abstract NAME kill PID truncate FILE
 *              rename FROM:TO mknod FILE child - */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int use(int, const struct sockaddr *, socklen_t);

static int port(use *f, int type, const char *number) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(number))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, type, 0), r = fd < 0 ? -1 : f(fd, (struct sockaddr *)&at, sizeof at), error = errno;
    close(fd);
    errno = error;
    return r;
}

static int unix_socket(int abstract, const char *name) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strncpy(at.sun_path + abstract, name, sizeof at.sun_path - 2);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)abstract + strlen(name));
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&at, size);
}

static int rename_both(char *names) {
    char *colon = strchr(names, ':');
    *colon = 0;
    return rename(names, colon + 1);
}

/* A child of its own is signalled. */
static int child(void) {
    pid_t pid = fork();
    if (pid == 0)
        for (;;) pause();
    int r = kill(pid, SIGKILL), error = errno;
    if (r == 0) waitpid(pid, NULL, 0);
    errno = error;
    return r;
}

static int reach(const char *what, char *argument) {
    if (strcmp(what, "tcp_connect") == 0) return port(connect, SOCK_STREAM, argument);
    if (strcmp(what, "tcp_bind") == 0) return port(bind, SOCK_STREAM, argument);
    if (strcmp(what, "udp_connect") == 0) return port(connect, SOCK_DGRAM, argument);
    if (strcmp(what, "udp_bind") == 0) return port(bind, SOCK_DGRAM, argument);
    if (strcmp(what, "unix") == 0) return unix_socket(0, argument);
    if (strcmp(what, "abstract") == 0) return unix_socket(1, argument);
    if (strcmp(what, "kill") == 0) return kill(atoi(argument), 0);
    if (strcmp(what, "truncate") == 0) return truncate(argument, 0);
    if (strcmp(what, "rename") == 0) return rename_both(argument);
    if (strcmp(what, "mknod") == 0) return mknod(argument, S_IFCHR | 0600, 0x103);
    if (strcmp(what, "child") == 0) return child();
    errno = EINVAL;
    return -1;
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2)
        printf("%s%s", i > 1 ? " " : "", reach(argv[i], argv[i + 1]) < 0 ? strerrorname_np(errno) : "ok");
    return 0;
}
