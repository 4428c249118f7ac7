/* A box with a name: its init listens on a socket, for hosts that come later. Only processes outside are heard, and
 * only those who have the directory that the socket lies in, and may write there. That it is one user's alone is seen
 * to by the hosts; in a user namespace that does not have his id the init cannot tell him from others. What is told of
 * the box was written by the first host, and is handed on as it is.
 *
 * The program's output goes into memory that whoever has connected can read by himself: it is there for him also when
 * the box has ended. */
#include "named.h"

#include <asm/statfs.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/stat.h>
#include <stddef.h>

#include "init.h"
#include "message.h"
#include "numbers.h"
#include "resolve.h"
#include "sys.h"

#define ST_RDONLY 1 /* statfs(2), whose header needs a C library */

/* unix(7): struct ucred */
struct peer {
    uint32_t pid, uid, gid;
};

static long ask_peer(int socket, struct peer *who) {
    uint32_t size = sizeof *who;
    return sys(__NR_getsockopt, socket, SOL_SOCKET, SO_PEERCRED, who, &size);
}

/* Children do not have it, not even until they execute. */
static long map_log(struct named *n) {
    long at = sys(SYS_mmap, 0, sizeof *n->log, PROT_READ | PROT_WRITE, MAP_SHARED, BOX_LOG, 0);
    if (FAILED(at)) return at;
    n->log = (struct log *)at, n->output = BOX_OUTPUT;
    long r = sys(__NR_madvise, at, sizeof *n->log, MADV_DONTFORK);
    return FAILED(r) ? r : sys(__NR_fcntl, BOX_OUTPUT, F_SETFL, O_NONBLOCK);
}

long identify(int fd, struct identity *id) {
    struct statx s;
    long r = look(fd, &s);
    if (!FAILED(r)) *id = (struct identity){s.stx_dev_major, s.stx_dev_minor, s.stx_ino};
    return r;
}

/* A program that has got the directory read-only, as by a bind of all of /tmp, can connect and show it, too. */
static bool is_writable(int fd) {
    struct statfs s;
    return !FAILED(sys(__NR_fstatfs, fd, &s)) && !(s.f_flags & ST_RDONLY);
}

bool named_is_directory(const struct named *n, int fd) {
    struct identity id;
    long flags = sys(__NR_fcntl, fd, F_GETFL);
    return !FAILED(flags) && !(flags & O_PATH) && is_writable(fd) && !FAILED(identify(fd, &id)) &&
           id.inode == n->directory.inode && id.major == n->directory.major && id.minor == n->directory.minor;
}

/* The bytes of a plan need not be aligned. */
static void copy_identity(volatile struct identity *to, const char *bytes) {
    for (size_t i = 0; i < sizeof *to; i++) ((volatile char *)to)[i] = bytes[i];
}

long named_open(struct named *n, uint32_t count, int32_t protocol, const char *directory) {
    struct peer host;
    *n = (struct named){.listener = -1, .output = -1, .self = -1, .protocol = protocol};
    if (count == 0 || count > BOX_LOG + 1 || !directory) return count ? -EINVAL : 0;
    copy_identity(&n->directory, directory);
    for (uint32_t fd = 0; fd < count; fd++) sys(__NR_fcntl, fd, F_SETFD, FD_CLOEXEC);
    long r = ask_peer(BOX_LISTENER, &host); /* of one that listens: who has called listen(2) */
    if (FAILED(r)) return r;
    n->listener = BOX_LISTENER, n->owner = host.uid;
    r = sys(__NR_pidfd_open, sys(__NR_getpid), 0);
    if (FAILED(r)) return r;
    n->self = (int)r;
    return count > BOX_LOG ? map_log(n) : 0;
}

long named_accept(struct named *n) {
    struct peer who;
    long fd = sys(__NR_accept4, n->listener, 0, 0, O_CLOEXEC | O_NONBLOCK);
    n->full = FAILED(fd) && fd != -EAGAIN;
    if (FAILED(fd)) return fd;
    long r = ask_peer((int)fd, &who);
    /* who is not in our pid namespace has no number here */
    if (!FAILED(r) && who.pid == 0 && who.uid == n->owner) return fd;
    sys(__NR_close, fd);
    return -EPERM;
}

long named_answer(const struct named *n, int socket) {
    struct record r = {INIT_BOX, n->protocol};
    const int fds[] = {BOX_STATE, n->self, BOX_LOG};
    return send_message(socket, &r, sizeof r, fds, n->log ? 3 : 2);
}

void named_read_output(struct named *n) {
    volatile struct log *log = n->log;
    for (int i = 0; i < TURN && n->output >= 0; i++) {
        uint32_t at = (uint32_t)n->written & (LOG_SIZE - 1), room = LOG_SIZE - at;
        log->begun = n->written + room;
        long size = sys(__NR_read, n->output, n->log->bytes + at, room);
        if (size > 0) n->written += (uint64_t)size;
        log->written = log->begun = n->written;
        if (FAILED(size)) return;
        if (size == 0) n->output = -1;
    }
}
