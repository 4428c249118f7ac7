/* What a launcher says, and what it sends with that. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "handle.h"
#include "io.h"
#include "numbers.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* What came beside a record. */
struct beside {
    int fd;           /* the first descriptor, -1 without one; others are closed */
    struct ucred who; /* its sender, of a job */
};

static void take_beside(struct msghdr *message, struct beside *b) {
    for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_CREDENTIALS)
            memcpy(&b->who, CMSG_DATA(head), sizeof b->who);
    ns_take_descriptors(message, &b->fd, 1);
}

/* ---- a launcher that joins ---- */

/* It has said its last word: it ends without a delay. */
static void reap_launcher(const struct process *p) {
    struct pollfd poll_end = {p->s.pidfd, POLLIN, 0};
    siginfo_t info = {0};
    for (int i = 0; i < 1000 && info.si_pid == 0; i++) {
        poll(&poll_end, 1, 1);
        if (FAILED(sys(__NR_waitid, P_PIDFD, p->s.pidfd, &info, WEXITED | WNOHANG, NULL))) return;
    }
}

/* Programs in the box may meet the process before its exec, and speak by its socket: no number that means more than one
 * process, and not ourselves. */
static bool is_joined(int pidfd, pid_t pid) {
    return pid > 1 && pid != getpid() && (pidfd < 0 || !ns_is_ourself(pidfd));
}

/* From now on it is the process that the launcher has made; without a pidfd nobody could hold it. */
static void take_joined(struct process *p, int pidfd, pid_t pid) {
    reap_launcher(p);
    ns_child_gone(&p->s, p->image);
    close(p->s.pidfd);
    p->s.pidfd = ns_above_stdio(pidfd < 0 ? (int)sys(__NR_pidfd_open, pid, 0) : pidfd);
    p->s.pid = pid, p->s.sent = 0;
    p->joins = false;
    p->state = p->s.pidfd < 0 ? KILLED : RUNNING;
    p->code = SIGKILL;
    if (p->s.pidfd < 0 && kill(pid, SIGKILL) == 0) waitpid(pid, NULL, 0);
}

/* ---- any launcher ---- */

/* The first one counts: the descriptor is ours from now on. */
static void take_descriptor(struct process *p, const struct record *r, int fd) {
    if (r->step == LAUNCHER_PTY && p->pty < 0)
        p->pty = ns_above_stdio(fd);
    else if (r->step == LAUNCHER_SOCKET && fd >= 0 && p->handed_count < HANDED_MAX)
        p->handed[p->handed_count++] = ns_above_stdio(fd);
    else if (r->step == LAUNCHER_UPPER && fd >= 0 && p->upper_count < HANDED_MAX)
        p->uppers[p->upper_count++] = ns_above_stdio(fd);
    else if (fd >= 0)
        close(fd);
}

ssize_t ns_hear_launcher(struct process *p, struct record *r) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec vector = {r, sizeof *r};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct beside b = {.fd = -1};
    ssize_t n = recvmsg(p->s.socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n > 0) take_beside(&message, &b);
    if (b.who.pid > 0) p->s.pid = b.who.pid;
    if (p->joins && n == (ssize_t)sizeof *r && r->step == LAUNCHER_CLONED && is_joined(b.fd, r->error))
        take_joined(p, b.fd, r->error);
    else if (n > 0)
        take_descriptor(p, r, b.fd);
    return n;
}

void ns_find_joined(struct process *p) {
    struct record r = {0, 0};
    while (p->joins && p->s.socket >= 0 && ns_hear_launcher(p, &r) > 0) continue;
}
