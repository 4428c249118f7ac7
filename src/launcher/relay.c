/* The relay of a box: it takes connections at one place, makes another one for each at another place, and moves bytes
 * between the two. What is published is taken in the network that we are in, and goes on to a server in the box's; what
 * a program may reach is taken in the box's and goes on in ours. A socket belongs to the network that its maker was in:
 * those of the box's have come from there, and none of ours is ever seen there. So it is a process beside the host,
 * with no rights, and no program of the box meets it.
 *
 * It holds no more than MOST connections, each with two buffers: who does not read keeps its own connection waiting,
 * and no other. */
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/time.h>
#include <stdbool.h>
#include <stddef.h>

#include "fds.h"
#include "message.h"
#include "numbers.h"
#include "ops.h"
#include "sys.h"

enum { MOST = 256, ROUTES_MAX = 128, BUFFER = 65536, ROUNDS = 4, LINGER = 2 /* seconds */ };

/* From one end to the other. What was read is written before more is read. */
struct way {
    uint32_t at, have;
    bool ended, done; /* the end says nothing more; and the other one knows */
    char bytes[BUFFER];
};

enum state { ASKING, CONNECTING, OPEN };

/* An address as it stands in a route: of this size, with zeros behind it, and anywhere. */
struct address {
    uint16_t family;
    uint8_t rest[26];
} __attribute__((packed));

struct route {
    int listener;
    bool inside; /* it leads there */
    uint32_t count;
    const struct address *addresses;
};

struct connection {
    struct connection *next;
    const struct route *route;
    enum state state;
    uint32_t tried; /* addresses */
    int ends[2];    /* who has connected, and what is dialled; while ASKING, where the init answers */
    struct way ways[2];
};

/* What is polled: the host, the init, those who listen, and two ends of each connection. */
enum { HOST, BOX, LISTENERS };

struct relay {
    int host, box, companion; /* a pidfd: it ends with the box, -1 without one */
    bool outlives, gone, full;
    long over; /* when it is gone: the second at which the rest is dropped */
    uint32_t count, route_count;
    struct route routes[ROUTES_MAX];
    struct connection *first;
    struct pollfd polls[LISTENERS + ROUTES_MAX + 2 * MOST];
};

static long now(void) {
    long time[2] = {0, 0};
    sys(__NR_clock_gettime, CLOCK_MONOTONIC, time);
    return time[0];
}

/* ---- dialling ---- */

static const struct address *address_of(const struct connection *c) { return &c->route->addresses[c->tried]; }

/* Where the init answers; or -errno. */
static long ask_for_socket(int box, int family) {
    int pair[2];
    struct record request = {REQUEST_SOCKET, family | SOCK_STREAM << 8};
    long r = sys(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | O_CLOEXEC, 0, pair);
    if (FAILED(r)) return r;
    r = send_message(box, &request, sizeof request, &pair[1], 1);
    sys(__NR_close, pair[1]);
    if (!FAILED(r)) return pair[0];
    sys(__NR_close, pair[0]);
    return r;
}

static int option(int fd, int name) {
    int value = -1, size = sizeof value;
    return FAILED(sys(__NR_getsockopt, fd, SOL_SOCKET, name, &value, &size)) ? -1 : value;
}

/* The socket from inside: whoever has taken the init's place could send anything. */
static long take_socket(int from, int family) {
    struct record r = {0, 0};
    int fd = -1, count = 0;
    long n = receive_message(from, &r, sizeof r, &fd, 1, &count, MSG_DONTWAIT);
    if (count == 1 && !FAILED(n) && option(fd, SO_TYPE) == SOCK_STREAM && option(fd, SO_DOMAIN) == family &&
        !FAILED(sys(__NR_fcntl, fd, F_SETFL, O_NONBLOCK)))
        return fd;
    if (count == 1) sys(__NR_close, fd);
    return -EPROTO;
}

static bool begin_to_connect(const struct connection *c) {
    const struct address *to = address_of(c);
    int size = to->family == AF_INET ? 16 : (int)sizeof *to;
    long r = sys(__NR_connect, c->ends[1], to, size);
    return !FAILED(r) || r == -EINPROGRESS;
}

static void hang_up(struct connection *c, int i) {
    if (c->ends[i] >= 0) sys(__NR_close, c->ends[i]);
    c->ends[i] = -1;
}

/* Goes on with the next address that has not refused; false: there is none. */
static bool dial(const struct relay *r, struct connection *c) {
    bool inside = c->route->inside;
    for (; c->tried < c->route->count; c->tried++) {
        int family = address_of(c)->family;
        long fd =
            inside ? ask_for_socket(r->box, family) : sys(__NR_socket, family, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0);
        if (FAILED(fd)) continue;
        c->ends[1] = (int)fd;
        c->state = inside ? ASKING : CONNECTING;
        if (inside || begin_to_connect(c)) return true;
        hang_up(c, 1);
    }
    return false;
}

static bool dial_next(const struct relay *r, struct connection *c) {
    hang_up(c, 1);
    c->tried++;
    return dial(r, c);
}

static bool hear_answer(const struct relay *r, struct connection *c) {
    long fd = take_socket(c->ends[1], address_of(c)->family);
    hang_up(c, 1);
    if (FAILED(fd)) return dial_next(r, c);
    c->ends[1] = (int)fd;
    c->state = CONNECTING;
    return begin_to_connect(c) || dial_next(r, c);
}

static bool hear_connected(const struct relay *r, struct connection *c) {
    int on = 1;
    if (option(c->ends[1], SO_ERROR) != 0) return dial_next(r, c);
    for (int i = 0; i < 2; i++) sys(__NR_setsockopt, c->ends[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->state = OPEN;
    return true;
}

/* ---- moving ---- */

static bool is_later(long r) { return r == -EAGAIN || r == -EINTR; }

/* One turn of a way: did something move? An end that is gone ends the way to it; one that breaks down breaks both. */
static bool move(struct connection *c, int from, bool *broken) {
    struct way *w = &c->ways[from];
    bool moved = false;
    if (!w->ended && !w->have) {
        long n = sys(__NR_recvfrom, c->ends[from], w->bytes, BUFFER, MSG_DONTWAIT);
        if (FAILED(n) && !is_later(n)) *broken = true;
        w->ended = n == 0;
        w->at = 0, w->have = n > 0 ? (uint32_t)n : 0;
        moved = n >= 0;
    }
    if (w->have) {
        long n = sys(__NR_sendto, c->ends[!from], w->bytes + w->at, w->have, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (FAILED(n) && !is_later(n)) w->have = 0, w->ended = w->done = true;
        if (n > 0) w->at += (uint32_t)n, w->have -= (uint32_t)n, moved = true;
    }
    if (w->ended && !w->have && !w->done) {
        sys(__NR_shutdown, c->ends[!from], SHUT_WR);
        w->done = true;
    }
    return moved;
}

/* False when nothing more is to be moved. */
static bool move_both(struct connection *c, bool *broken) {
    bool moved = true;
    for (int i = 0; i < ROUNDS && moved && !*broken; i++) {
        moved = move(c, 0, broken);
        moved = move(c, 1, broken) || moved;
    }
    return !*broken && !(c->ways[0].done && c->ways[1].done);
}

/* ---- connections ---- */

/* A connection that has broken down, or could not be made, is reset for its other end, too. */
static void drop(struct relay *r, struct connection **at, bool broken) {
    struct connection *c = *at;
    int at_once[2] = {1, 0}, never[2] = {0, 0}; /* as struct linger; who has a copy may have set anything */
    *at = c->next;
    r->count--;
    for (int i = 0; i < 2; i++) {
        const int *linger = broken && (i == 0 || c->state == OPEN) ? at_once : never;
        sys(__NR_setsockopt, c->ends[i], SOL_SOCKET, SO_LINGER, linger, sizeof never);
        hang_up(c, i);
    }
    sys(__NR_munmap, c, sizeof *c);
}

static void accept_one(struct relay *r, const struct route *route) {
    long fd = sys(__NR_accept4, route->listener, 0, 0, O_CLOEXEC | O_NONBLOCK);
    if (FAILED(fd)) {
        r->full = r->full || !is_later(fd); /* no descriptors: let a moment pass */
        return;
    }
    long at = sys(SYS_mmap, 0, sizeof(struct connection), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) {
        sys(__NR_close, fd);
        return;
    }
    struct connection *c = (struct connection *)at;
    c->route = route, c->next = r->first;
    c->ends[0] = (int)fd, c->ends[1] = -1;
    r->first = c;
    r->count++;
    if (!dial(r, c)) drop(r, &r->first, true);
}

/* An end is watched for what can be done with it; one that says nothing more, for its breaking down. */
static struct pollfd poll_end(const struct connection *c, int i) {
    const struct way *out = &c->ways[i], *in = &c->ways[!i];
    if (c->state != OPEN) return (struct pollfd){i ? c->ends[1] : -1, c->state == ASKING ? POLLIN : POLLOUT, 0};
    short events = (short)((!out->ended && !out->have ? POLLIN : 0) | (in->have ? POLLOUT : 0));
    return (struct pollfd){events || (out->ended && !in->done) ? c->ends[i] : -1, events, 0};
}

static void hear_connection(struct relay *r, struct connection **at, const struct pollfd polls[2]) {
    struct connection *c = *at;
    bool broken = false, stays = true;
    if (c->state == ASKING)
        stays = hear_answer(r, c), broken = !stays;
    else if (c->state == CONNECTING)
        stays = hear_connected(r, c), broken = !stays;
    for (int i = 0; i < 2; i++) /* what is asked for is found out by asking */
        if (polls[i].revents && !polls[i].events) stays = false, broken = true;
    if (stays && c->state == OPEN) stays = move_both(c, &broken);
    if (!stays) drop(r, at, broken);
}

/* ---- its life ---- */

static uint32_t list_polls(struct relay *r) {
    struct pollfd *polls = r->polls;
    bool accepts = !r->gone && !r->full && r->count < MOST;
    polls[HOST] = (struct pollfd){r->host, POLLRDHUP, 0};
    polls[BOX] = (struct pollfd){r->gone ? -1 : r->box, 0, 0};
    for (uint32_t i = 0; i < r->route_count; i++)
        polls[LISTENERS + i] = (struct pollfd){accepts ? r->routes[i].listener : -1, POLLIN, 0};
    uint32_t count = LISTENERS + r->route_count;
    for (const struct connection *c = r->first; c; c = c->next)
        for (int i = 0; i < 2; i++) polls[count++] = poll_end(c, i);
    r->full = false;
    return count;
}

/* The box is gone: what is under way from its programs comes to its end, if that is soon. */
static void leave(struct relay *r) {
    r->gone = true;
    r->over = now() + LINGER;
    for (uint32_t i = 0; i < r->route_count; i++) sys(__NR_close, r->routes[i].listener);
}

_Noreturn static void end(const struct relay *r) {
    if (r->companion >= 0) sys(__NR_pidfd_send_signal, r->companion, SIGKILL, 0, 0);
    end_process(0);
}

_Noreturn static void run(struct relay *r) {
    for (;;) {
        bool waits = r->gone || r->full;
        long pause[2] = {0, 50000000};
        uint32_t count = list_polls(r);
        if (FAILED(sys(__NR_ppoll, r->polls, count, waits ? pause : 0, 0, 8))) { /* somebody has lowered our limit */
            sys(__NR_ppoll, 0, 0, pause, 0, 8);
            continue;
        }
        if (r->polls[HOST].revents) {
            if (!(r->outlives && r->polls[HOST].revents & (POLLHUP | POLLERR))) end(r);
            r->host = -1;
        }
        if (r->polls[BOX].revents) leave(r);
        const struct pollfd *polls = r->polls + LISTENERS + r->route_count;
        for (struct connection **at = &r->first, *c; (c = *at); polls += 2) {
            if (polls[0].revents || polls[1].revents) hear_connection(r, at, polls);
            if (*at == c) at = &c->next;
        }
        for (uint32_t i = 0; !r->gone && i < r->route_count; i++)
            if (r->polls[LISTENERS + i].revents) accept_one(r, &r->routes[i]);
        if (r->gone && (!r->first || now() >= r->over)) end(r);
    }
}

/* fd: a socket that listens, and does not block; data: the addresses that a connection goes on to, one after the other
 * until one does not refuse. how: INSIDE. For `relay`, which looks for these steps. */
long op_route(struct player *p, const struct step *s) {
    p->route = s->op;
    return s->size > 0 && s->size % sizeof(struct address) == 0 ? 0 : -EINVAL;
}

/* fd: where the init is asked; to: a pidfd, of who ends with the box, or -1; how: OUTLIVES. The last step of the plan
 * of a relay: it tells that it is there. */
long op_relay(struct player *p, const struct step *s) {
    struct relay r;
    r.host = p->socket, r.box = s->fd, r.companion = s->to, r.outlives = s->how & STEP_OUTLIVES;
    r.gone = r.full = false;
    r.route_count = r.count = 0, r.first = 0;
    for (const struct step *one = (struct step *)((char *)p->plan + p->plan->steps); one < s; one++)
        if (p->route && one->op == p->route && r.route_count < ROUTES_MAX)
            r.routes[r.route_count++] =
                (struct route){one->fd, one->how & STEP_INSIDE, one->size / (uint32_t)sizeof(struct address),
                               (const struct address *)(const void *)plan_string(p, one->data)};
    sys(__NR_prctl, PR_SET_NAME, "ns-relay", 0, 0, 0);
    sys(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    lift_limit();
    ns_report(p, 0);
    run(&r);
}
