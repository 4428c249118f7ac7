#include "inside.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/message.h"
#include "../launcher/sys.h"
#include "io.h"
#include "job.h"

/* The answer, and the socket that comes with it. */
static int read_answer(int from, double seconds) {
    struct timespec t, *timeout = ns_timeout(seconds, &t);
    struct pollfd polled = {from, POLLIN, 0};
    struct record r = {0, 0};
    int fd = -1, count, ready = ppoll(&polled, 1, timeout, NULL);
    if (ready <= 0) return ready == 0 ? -ETIMEDOUT : -errno;
    long n = receive_message(from, &r, sizeof r, &fd, 1, &count, MSG_DONTWAIT);
    if (n == 0) return -ESRCH; /* an init that ends has closed its end */
    if (FAILED(n)) return (int)n;
    bool is_made = n == sizeof r && r.step == INIT_MADE && r.error == 0 && count > 0;
    if (is_made) return fd;
    if (count > 0) close(fd); /* a program that traces the init may have sent it */
    return n == sizeof r && r.step == INIT_MADE && r.error > 0 ? -r.error : -EPROTO;
}

int ns_socket_inside(const struct process *box, int family, int type, int protocol, double seconds) {
    int pair[2];
    struct record request = {REQUEST_SOCKET, family | type << 8 | protocol << 16};
    if (ns_asked(box) < 0) return -ESRCH;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    long r = ns_ask(ns_asked(box), &request, &pair[1], 1, seconds);
    close(pair[1]);
    int fd = FAILED(r) ? (int)r : read_answer(pair[0], seconds);
    close(pair[0]);
    if (fd == -EPIPE || fd == -ECONNRESET) return -ESRCH;
    if (fd < 0) return fd;
    fd = ns_above_stdio(fd);
    return fd < 0 ? -errno : fd;
}
