/* The network of the namespace that we are in: netlink(7) as bytes, which Lua has put together, and sockets for the
 * host. */
#include "net.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/netlink.h>

#include "message.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

/* data: one message; value: the protocol, NETLINK_*. The kernel has done what it says when sendto(2) returns, and has
 * an answer for us only where it refuses (nobody asks for another). With an address our own capabilities count. */
long op_netlink(struct player *p, const struct step *s) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct {
        struct nlmsghdr head;
        struct nlmsgerr error;
    } answer;
    long fd = sys(__NR_socket, AF_NETLINK, SOCK_RAW | O_CLOEXEC, s->value);
    if (FAILED(fd)) return fd;
    long r = sys(__NR_sendto, fd, plan_string(p, s->data), s->size, 0, &kernel, sizeof kernel);
    if (!FAILED(r)) {
        r = sys(__NR_recvfrom, fd, &answer, sizeof answer, MSG_DONTWAIT);
        if (r >= (long)sizeof answer && answer.head.nlmsg_type == NLMSG_ERROR) r = answer.error.error;
        if (r == -EAGAIN) r = 0;
    }
    sys(__NR_close, fd);
    return FAILED(r) ? r : 0;
}

void give_socket(uint32_t what, int to) {
    long fd = sys(__NR_socket, what & 0xff, (what >> 8 & 0xff) | O_CLOEXEC, what >> 16 & 0xff);
    struct record r = {INIT_MADE, FAILED(fd) ? (int32_t)-fd : 0};
    int one = (int)fd;
    send_message(to, &r, sizeof r, &one, FAILED(fd) ? 0 : 1);
    if (!FAILED(fd)) sys(__NR_close, fd);
}
