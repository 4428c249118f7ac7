/* The process handle as its other files share it: its pidfd, and the status, however that is learned. */
#include "handle.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../launcher/message.h"
#include "../launcher/sys.h"
#include "io.h"
#include "numbers.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct process *nsL_checkprocess(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS);
    if (!ns_is_open(p)) luaL_error(L, "attempt to use a closed process");
    return p;
}

long ns_signal(pid_t pid, int pidfd, int signal) {
    long r = pidfd < 0 ? -ENOSYS : sys(__NR_pidfd_send_signal, pidfd, signal, NULL, 0);
    return (r == -ENOSYS || r == -EPERM) && pid > 0 ? sys(__NR_kill, pid, signal) : r;
}

static void note_status(struct process *p, int status) {
    p->state = WIFSIGNALED(status) ? KILLED : EXITED;
    p->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* The next record that an init has told, if there is one. A program that may trace its init can take its socket, and
 * write without an end: whoever reads in a loop reads TOLD_MAX at a time. An init leaves fewer unread. */
enum { TOLD_MAX = 256 };

static bool read_told(const struct process *p, struct record *r, int flags) {
    return recv(p->s.socket, r, sizeof *r, MSG_DONTWAIT | flags) == (ssize_t)sizeof *r;
}

/* What an init has told of the program's end, if it could. */
static void note_told_status(struct process *p) {
    struct record r;
    for (int i = 0; i < TOLD_MAX && p->s.socket >= 0 && read_told(p, &r, 0); i++)
        if (r.step == INIT_STATUS)
            note_status(p, r.error);
        else if (r.step == INIT_MAXRSS)
            p->usage.ru_maxrss = r.error;         /* waitid counts as the init's what we had when it was made of us */
        else if (r.step == INIT_LEFT && p->alone) /* else all ends with the init */
            p->left = r.error;
}

/* Where somebody else has reaped (or the host ignores SIGCHLD), newer kernels still know the status. */
static void note_foreign_reap(struct process *p) {
    struct pidfd_info info = {.mask = PIDFD_INFO_EXIT};
    p->state = LOST;
    p->unseen = true;
    if (ioctl(p->s.pidfd, PIDFD_GET_INFO, &info) == 0 && info.mask & PIDFD_INFO_EXIT) note_status(p, info.exit_code);
}

/* What a program that was told to end has left in a group of its own ends with it. Before it is reaped: until then
 * nobody else has that number. */
static void end_group(const struct process *p) {
    siginfo_t info = {0};
    if (p->ending && sys(__NR_waitid, P_PIDFD, p->s.pidfd, &info, WEXITED | WNOHANG | WNOWAIT, NULL) == 0 &&
        info.si_pid)
        sys(__NR_kill, -p->s.pid, SIGKILL);
}

/* ---- a job of a living box ---- */

int ns_end_fd(const struct process *p) { return p->job && p->told >= 0 ? p->told : p->s.pidfd; }

static void read_usage(struct process *p) {
    long n[INIT_USAGE_LONGS];
    if (recv(p->told, n, sizeof n, MSG_DONTWAIT) != (ssize_t)sizeof n) return;
    p->usage.ru_utime = (struct timeval){n[0], n[1]}, p->usage.ru_stime = (struct timeval){n[2], n[3]};
    p->usage.ru_maxrss = n[4], p->usage.ru_minflt = n[8], p->usage.ru_majflt = n[9];
    p->usage.ru_inblock = n[11], p->usage.ru_oublock = n[12], p->usage.ru_nvcsw = n[16], p->usage.ru_nivcsw = n[17];
}

static void take_told(struct process *p, const struct record *r, int fd) {
    bool is_first = p->s.pidfd < 0 && !p->refused;
    if (r->step == INIT_JOB && is_first && fd >= 0 && !ns_may_be_inside(fd))
        p->refused = EPROTO;
    else if (r->step == INIT_JOB && is_first) {
        *(fd < 0 ? &p->refused : &p->place) = r->error;
        p->s.pidfd = ns_above_stdio(fd);
        return;
    }
    if (fd >= 0) close(fd);
    if (r->step == INIT_USAGE) read_usage(p);
    if (r->step == INIT_STOPPED) p->stop = WSTOPSIG(r->error);
    if (r->step == INIT_STATUS && p->box) p->end = r->error;
    if (r->step == INIT_STATUS && !p->box) note_status(p, r->error);
}

/* What the init has told so far. */
static void hear_init(struct process *p) {
    for (int i = 0; i < TOLD_MAX && p->state == RUNNING && p->told >= 0; i++) {
        struct record r = {0, 0};
        int fd = -1, count;
        long n = receive_message(p->told, &r, sizeof r, &fd, 1, &count, MSG_DONTWAIT);
        if (n == -EAGAIN || n == -EINTR) return;
        if (n == -ECONNRESET) continue; /* it has not read all that we have asked; what it has told comes after this */
        if (n == (long)sizeof r) {
            take_told(p, &r, fd);
            continue;
        }
        if (count > 0) close(fd);
        close(p->told);
        p->told = -1;
    }
}

/* Its box has ended, and it with that: a moment later, and by SIGKILL if nobody knows better. */
static void note_end_with_box(struct process *p) {
    struct pollfd poll_end = {p->s.pidfd, POLLIN, 0};
    if (p->s.pidfd >= 0 && poll(&poll_end, 1, 0) <= 0) return;
    if (p->box && p->end >= 0) return note_status(p, p->end);
    if (p->s.pidfd >= 0) note_foreign_reap(p);
    if (p->state != LOST && p->state != RUNNING) return;
    p->unseen = true;
    note_status(p, SIGKILL);
}

static void reap_job(struct process *p) {
    hear_init(p);
    if (p->state == RUNNING && p->told < 0) note_end_with_box(p);
}

/* waitid's fifth argument, the usage, has no wrapper in the C library. */
void ns_reap(struct process *p) {
    siginfo_t info = {0};
    if (p->state != RUNNING) return;
    if (p->job) return reap_job(p);
    end_group(p);
    long r = sys(__NR_waitid, P_PIDFD, p->s.pidfd, &info, WEXITED | WNOHANG, &p->usage);
    if (r == -ECHILD)
        note_foreign_reap(p);
    else if (r == 0 && info.si_pid != 0) {
        p->state = info.si_code == CLD_EXITED ? EXITED : KILLED;
        p->code = info.si_status;
    }
    if (p->state == RUNNING) return;
    ns_child_gone(&p->s, p->image);
    if (p->joins) ns_find_joined(p);
    if (p->init) note_told_status(p);
}

int ns_told_stop(const struct process *p) {
    struct record r;
    int signal = 0;
    for (int i = 0; i < TOLD_MAX && read_told(p, &r, MSG_PEEK) && r.step != INIT_STATUS; i++) {
        if (read_told(p, &r, 0) && r.step == INIT_STOPPED) signal = WSTOPSIG(r.error);
    }
    return signal;
}

void ns_await_joined(struct process *p) {
    struct pollfd poll_end = {p->s.pidfd, POLLIN, 0};
    if (p->joins) shutdown(p->s.socket, SHUT_WR);
    for (int i = 0; i < 800 && p->joins && p->state == RUNNING; i++) {
        if (i == 400) ns_signal(p->s.pid, p->s.pidfd, SIGKILL);
        poll(&poll_end, 1, 1);
        ns_reap(p);
    }
}

void ns_close_handle(struct process *p) {
    int *const fds[] = {&p->s.socket, &p->told, &p->pty, &p->s.pidfd, &p->log};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        int fd = *fds[i];
        if (fd >= 0) close(fd);
        *fds[i] = -1;
    }
    while (p->handed_count > 0) {
        int fd = p->handed[--p->handed_count];
        if (fd >= 0) close(fd);
    }
    while (p->upper_count > 0) close(p->uppers[--p->upper_count]);
    p->open = false;
}
