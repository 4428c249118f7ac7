/* A socket belongs to the network that its maker is in, for ever: so what is made here and given to the host leads to
 * the servers in the box, though there is no interface between the two. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/un.h>
#include <stdint.h>

#include "message.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

/* Sends the host a socket, and closes it: 0, or -errno. */
static long hand_out(const struct player *p, long socket) {
    struct record r = {LAUNCHER_SOCKET, 0};
    int fd = (int)socket;
    long n = send_message(p->socket, &r, sizeof r, &fd, 1);
    sys(__NR_close, fd);
    return FAILED(n) ? n : 0;
}

/* O_NONBLOCK: who does not accept, and has a full queue, gives EAGAIN. */
static long connect_to(const struct sockaddr_un *address, uint32_t size) {
    long fd = sys(__NR_socket, AF_UNIX, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0);
    long r = FAILED(fd) ? fd : sys(__NR_connect, fd, address, sizeof address->sun_family + size);
    if (!FAILED(r)) return fd;
    if (!FAILED(fd)) sys(__NR_close, fd);
    return r;
}

/* data: the path of a socket, with its 0; or the name of an abstract one, which begins with a 0. The host gets one that
 * is connected to it, and we leave, as there is no program. */
long op_connect(struct player *p, const struct step *s) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *name = plan_string(p, s->data);
    if (s->size > sizeof address.sun_path) return -ENAMETOOLONG;
    for (volatile uint32_t i = 0; i < s->size; i++) address.sun_path[i] = name[i];
    long fd = connect_to(&address, s->size);
    if (FAILED(fd)) return fd;
    long r = hand_out(p, fd);
    if (FAILED(r)) return r;
    ns_report(p, 0);
    end_process(0);
}

/* data: an address; value: how many may wait there. The host gets a socket that listens there. */
long op_listen(struct player *p, const struct step *s) {
    uint16_t family = 0;
    int on = 1;
    const char *address = plan_string(p, s->data);
    if (s->size < sizeof family) return -EINVAL;
    __builtin_memcpy(&family, address, sizeof family);
    long fd = sys(__NR_socket, family, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0);
    if (FAILED(fd)) return fd;
    sys(__NR_setsockopt, fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (family == AF_INET6) sys(__NR_setsockopt, fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    long r = sys(__NR_bind, fd, address, s->size);
    if (!FAILED(r)) r = sys(__NR_listen, fd, s->value);
    if (!FAILED(r)) return hand_out(p, fd);
    sys(__NR_close, fd);
    return r;
}

/* Can one of them be executed, as far as its mode tells? */
static long look_for(char **paths) {
    long r = -ENOENT, denied = 0;
    for (; paths && *paths && FAILED(r); paths++) {
        r = sys(__NR_faccessat, AT_FDCWD, *paths, X_OK);
        if (r == -EACCES) denied = r;
    }
    return FAILED(r) && denied ? denied : r;
}

/* fd: a socket that listens, and is closed then; paths: of the program. The host hears that we are so far, and we wait
 * until somebody connects and says one byte: he hears all else. Who says none wants us to leave. */
long op_wait(struct player *p, const struct step *s) {
    char byte;
    long fd = look_for(plan_list(p, s->paths));
    if (FAILED(fd)) return fd;
    ns_report(p, 0);
    do fd = sys(__NR_accept4, s->fd, 0, 0, O_CLOEXEC);
    while (fd == -EINTR);
    sys(__NR_close, s->fd);
    if (FAILED(fd) || sys(__NR_read, fd, &byte, 1) != 1) end_process(127);
    long r = sys(__NR_dup3, fd, p->socket, O_CLOEXEC);
    sys(__NR_close, fd);
    return FAILED(r) ? r : 0;
}
