/* The network of the namespace that we are in: netlink(7) as bytes, which Lua has put together, and sockets for the
 * host. */
#include "net.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "message.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

/* Sends a message, and takes the answer, which may be cut off: its size. With an address our own capabilities count. */
static long ask(struct player *p, const struct step *s, long fd, void *answer, size_t size) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    long r = sys(__NR_sendto, fd, plan_string(p, s->data), s->size, 0, &kernel, sizeof kernel);
    return FAILED(r) ? r : sys(__NR_recvfrom, fd, answer, size, MSG_DONTWAIT);
}

/* data: one message; value: the protocol, NETLINK_*. The kernel has done what it says when sendto(2) returns, and has
 * an answer for us only where it refuses (nobody asks for another). */
long op_netlink(struct player *p, const struct step *s) {
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
    } answer;
    long fd = sys(__NR_socket, AF_NETLINK, SOCK_RAW | O_CLOEXEC, s->value);
    if (FAILED(fd)) return fd;
    long r = ask(p, s, fd, &answer, sizeof answer);
    if (r >= (long)sizeof answer && answer.head.nlmsg_type == NLMSG_ERROR) r = answer.error.error;
    sys(__NR_close, fd);
    return FAILED(r) && r != -EAGAIN ? r : 0;
}

enum { ASKED_MOST = 25000, PAUSE = 200000 /* ns: five seconds in all */ };

/* data: a question for the route to an address. Until the answer is that the address is ours: the kernel sees to that a
 * moment after it has got one of IPv6. */
long op_await_local(struct player *p, const struct step *s) {
    struct {
        struct nlmsghdr head;
        struct rtmsg route;
    } answer;
    long fd = sys(__NR_socket, AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE), r = -ETIMEDOUT;
    if (FAILED(fd)) return fd;
    for (int i = 0; i < ASKED_MOST && r == -ETIMEDOUT; i++) {
        long pause[2] = {0, PAUSE}; /* a struct timespec */
        if (i) sys(__NR_ppoll, 0, 0, pause, 0, 0);
        r = ask(p, s, fd, &answer, sizeof answer);
        int is_ours =
            r >= (long)sizeof answer && answer.head.nlmsg_type == RTM_NEWROUTE && answer.route.rtm_type == RTN_LOCAL;
        if (!FAILED(r)) r = is_ours ? 0 : -ETIMEDOUT;
    }
    sys(__NR_close, fd);
    return r;
}

void give_socket(uint32_t what, int to) {
    long fd = sys(__NR_socket, what & 0xff, (what >> 8 & 0xff) | O_CLOEXEC, what >> 16 & 0xff);
    struct record r = {INIT_MADE, FAILED(fd) ? (int32_t)-fd : 0};
    int one = (int)fd;
    send_message(to, &r, sizeof r, &one, FAILED(fd) ? 0 : 1);
    if (!FAILED(fd)) sys(__NR_close, fd);
}
