/* Which descriptors there are under which numbers, and which stay open: none of the host's, whatever filters and limits
 * there are. */
#include <asm/bitsperlong.h>
#include <asm/resource.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <stddef.h>

#include "fds.h"
#include "ops.h"
#include "places.h"
#include "sys.h"

/* Is there room for this descriptor in our table? A select(2) for one that is not open says EBADF if there is, and
 * passes over it if there is not: so it tells without a /proc, and whatever RLIMIT_NOFILE has become since. */
static long has_room(unsigned long fd) {
    long size = (long)(fd / 8 + sizeof(long)), none[2] = {0, 0};
    long r = sys(__NR_fcntl, fd, F_GETFD, 0);
    if (r != -EBADF) return FAILED(r) ? r : 1;
    long at = sys(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (FAILED(at)) return at;
    ((unsigned long *)at)[fd / __BITS_PER_LONG] = 1ul << fd % __BITS_PER_LONG;
    r = sys(__NR_pselect6, fd + 1, at, 0, 0, none, 0);
    sys(__NR_munmap, at, size);
    return r == -EBADF ? 1 : FAILED(r) ? r : 0;
}

/* Where our table ends, at most twice as far as it needs to be; or -errno. */
static long end_of_table(void) {
    unsigned long fd = 64;
    long r = 1;
    while (fd < 1ul << 30 && (r = has_room(fd)) == 1) fd *= 2;
    return FAILED(r) ? r : (long)fd;
}

/* A kernel before 5.9, or a filter, refuses close_range: then one after the other. */
long close_fds(unsigned first, unsigned last) {
    if (first > last || !FAILED(sys(__NR_close_range, first, last, 0))) return 0;
    long end = end_of_table();
    for (unsigned fd = first; fd <= last && !FAILED(end) && fd < (unsigned long)end; fd++) sys(__NR_close, fd);
    return FAILED(end) ? end : 0;
}

void close_all_but(int a, int b) { close_from(0, a, b); }

void close_from(unsigned first, int a, int b) {
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    if (low > 0) close_fds(first, low - 1);
    if (low < high) close_fds(low + 1, high - 1);
    close_fds(high + 1, ~0u);
}

void lift_limit(void) {
    uint64_t limits[2]; /* soft, hard */
    if (FAILED(sys(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, limits))) return;
    limits[0] = limits[1];
    sys(__NR_prlimit64, 0, RLIMIT_NOFILE, limits, 0);
}

/* `kept` has a descriptor of the player's: it gets another number if it has this one. */
static long give_way(int *kept, int number) {
    if (*kept != number) return 0;
    long moved = sys(__NR_fcntl, number, F_DUPFD_CLOEXEC, 3);
    if (!FAILED(moved)) *kept = (int)moved;
    return FAILED(moved) ? moved : 0;
}

long dup_to(struct player *p, int fd, int to, uint64_t flags) {
    int *const kept[] = {&p->socket, &p->root, &p->source_dir, &p->signals, &p->ruleset};
    long r = 0;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0] && !FAILED(r); i++) r = give_way(kept[i], to);
    for (int i = 0; i < p->pinned && !FAILED(r); i++) r = give_way(&p->pins[i].fd, to);
    if (FAILED(r)) return r;
    r = fd == to ? sys(__NR_fcntl, fd, F_SETFD, flags ? FD_CLOEXEC : 0) : sys(__NR_dup3, fd, to, flags);
    return FAILED(r) ? r : 0;
}

/* fd, to: `to` becomes a duplicate of fd. flags: O_CLOEXEC, if it is only to be used by a later step */
long op_dup(struct player *p, const struct step *s) { return dup_to(p, s->fd, s->to, s->flags); }

/* fd; value, limit: whose it is to be, the uid and the gid; -1: as it is */
long op_chown(struct player *p, const struct step *s) {
    (void)p;
    return sys(SYS_fchown, s->fd, s->value, s->limit);
}

/* fd, to: the first and the last (-1: all above) of those to be closed. The socket stays open until exec, which closes
 * it. The player forgets its own descriptors: they are closed with the others, or a descriptor of the program's has the
 * number. */
long op_close(struct player *p, const struct step *s) {
    unsigned first = (unsigned)s->fd, last = (unsigned)s->to, socket = (unsigned)p->socket;
    p->root = -1, p->source_dir = AT_FDCWD, p->pinned = 0;
    long r = sys(__NR_fcntl, p->socket, F_SETFD, FD_CLOEXEC);
    if (FAILED(r) || socket < first || socket > last) return FAILED(r) ? r : close_fds(first, last);
    r = socket > first ? close_fds(first, socket - 1) : 0;
    return FAILED(r) || socket == last ? r : close_fds(socket + 1, last);
}
