/* The process handle: pidfd, socket to the launcher, status. Born closed, so that it can be collected at any moment;
 * closing kills and reaps, unless the process is detached.
 *
 * No call here retries after a signal: each returns "again", and the loop is in Lua, where a Ctrl-C is noticed. */
#include "process.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static struct process *check(lua_State *L) { return luaL_checkudata(L, 1, PROCESS); }

struct process *nsL_checkprocess(lua_State *L) {
    struct process *p = check(L);
    if (p->s.pidfd < 0) luaL_error(L, "attempt to use a closed process");
    return p;
}

struct timespec *ns_timeout(double seconds, struct timespec *t) {
    if (!(seconds >= 0) || seconds > 1e9) return NULL;
    t->tv_sec = (time_t)seconds;
    t->tv_nsec = (long)((seconds - floor(seconds)) * 1e9);
    return t;
}

/* ---- the status ---- */

/* Where somebody else has reaped (or the host ignores SIGCHLD), newer kernels still know the status. */
struct pidfd_info {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_INFO_EXIT 8
#define PIDFD_GET_INFO _IOWR(0xFF, 11, struct pidfd_info)

static void note_status(struct process *p, int status) {
    p->state = WIFSIGNALED(status) ? KILLED : EXITED;
    p->code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* The next record that an init has told, if there is one. A program that may trace its init can take its socket, and write without
 * an end: whoever reads in a loop reads TOLD_MAX at a time. An init leaves fewer unread. */
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

static void note_foreign_reap(struct process *p) {
    struct pidfd_info info = {.mask = PIDFD_INFO_EXIT};
    p->state = LOST;
    p->unseen = true;
    if (ioctl(p->s.pidfd, PIDFD_GET_INFO, &info) == 0 && info.mask & PIDFD_INFO_EXIT) note_status(p, info.exit_code);
}

/* What a program that was told to end has left in a group of its own ends with it. Before it is reaped: until then nobody
 * else has that number. */
static void end_group(const struct process *p) {
    siginfo_t info = {0};
    if (p->ending && sys(__NR_waitid, P_PIDFD, p->s.pidfd, &info, WEXITED | WNOHANG | WNOWAIT, NULL) == 0 &&
        info.si_pid)
        sys(__NR_kill, -p->s.pid, SIGKILL);
}

/* Notes the status if the process has ended. waitid's fifth argument, the usage, has no wrapper in the C library. */
void ns_reap(struct process *p) {
    siginfo_t info = {0};
    if (p->state != RUNNING) return;
    end_group(p);
    long r = sys(__NR_waitid, P_PIDFD, p->s.pidfd, &info, WEXITED | WNOHANG, &p->usage);
    if (r == -ECHILD)
        note_foreign_reap(p);
    else if (r == 0 && info.si_pid != 0) {
        p->state = info.si_code == CLD_EXITED ? EXITED : KILLED;
        p->code = info.si_status;
    }
    if (p->state == RUNNING) return;
    ns_boarded(&p->s, p->launcher);
    if (p->init) note_told_status(p);
}

/* true|nil, "exit"|"signal", code: the words of os.execute */
static int push_status(lua_State *L, const struct process *p) {
    if (p->state == LOST) return nsL_refused(L, "lost", ECHILD);
    if (p->state == EXITED && p->code == 0)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_pushstring(L, p->state == EXITED ? "exit" : "signal");
    lua_pushinteger(L, p->code);
    return 3;
}

/* h:wait([seconds], [fd that ends the wait, too]) -> status | nil, "timeout" | nil, "again" | nil, "lost", ECHILD */
static int process_wait(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 2, -1), &t);
    ns_reap(p);
    if (p->state == RUNNING) {
        struct pollfd polls[] = {{p->s.pidfd, POLLIN, 0}, {(int)luaL_optinteger(L, 3, -1), POLLIN, 0}};
        int r = ppoll(polls, 2, timeout, NULL);
        if (r > 0) ns_reap(p);
        if (r > 0 && p->state == RUNNING) /* dead, and not ours to reap as long as somebody traces it */
            r = ppoll(NULL, 0, &(struct timespec){0, 10000000}, NULL);
        if (p->state == RUNNING) return nsL_refused(L, r == 0 ? "timeout" : "again", errno);
    }
    return push_status(L, p);
}

/* Has an init said that the program was stopped, and by which signal? What it says of the end is left for reap(). */
static int told_stop(const struct process *p) {
    struct record r;
    int signal = 0;
    for (int i = 0; i < TOLD_MAX && read_told(p, &r, MSG_PEEK) && r.step != INIT_STATUS; i++) {
        if (read_told(p, &r, 0) && r.step == INIT_STOPPED) signal = WSTOPSIG(r.error);
    }
    return signal;
}

/* h:stopped() -> the signal that has stopped the program since this was asked last | nothing */
static int process_stopped(lua_State *L) {
    const struct process *p = nsL_checkprocess(L);
    siginfo_t info = {0};
    int signal = p->init ? told_stop(p) : 0;
    if (!p->init && sys(__NR_waitid, P_PIDFD, p->s.pidfd, &info, WSTOPPED | WNOHANG, NULL) == 0)
        signal = info.si_status;
    if (signal == 0) return 0;
    lua_pushinteger(L, signal);
    return 1;
}

/* Where a filter or a tool does not let us use pidfds, the pid must do: it is not reaped, so it is still nobody else's. */
long ns_signal(pid_t pid, int pidfd, int signal) {
    long r = pidfd < 0 ? -ENOSYS : sys(__NR_pidfd_send_signal, pidfd, signal, NULL, 0);
    return r == -ENOSYS || r == -EPERM ? sys(__NR_kill, pid, signal) : r;
}

/* Has it a tree to be ended with it? What has had no plan has started nothing; and a launcher that is stopped, while its tree
 * is looked for, must have been told to die with a host that is killed just then. */
static bool has_tree(const struct process *p) { return p->alone && p->s.sent > 0; }

/* h:kill(signal) -> true | nil, "kill", errno */
static int process_kill(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    ns_reap(p);
    long r = p->state != RUNNING ? -ESRCH : ns_signal(p->s.pid, p->s.pidfd, (int)luaL_checkinteger(L, 2));
    if (FAILED(r)) return nsL_refused(L, "kill", (int)-r);
    lua_pushboolean(L, 1);
    return 1;
}

/* Tells an init to end all that it has: it knows the usage then, and what has left the tree. Is there one to be told? */
static bool order_end(const struct process *p) {
    if (!p->init || p->s.socket < 0 || shutdown(p->s.socket, SHUT_WR) < 0) return false;
    ns_signal(p->s.pid, p->s.pidfd, SIGCONT); /* if somebody has stopped it */
    return true;
}

/* h:order_end() -> was an init told? */
static int process_order_end(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    ns_reap(p);
    lua_pushboolean(L, p->state == RUNNING && order_end(p));
    return 1;
}

/* h:left() -> the pid of one that the init could not end | nothing */
static int process_left(lua_State *L) {
    const struct process *p = check(L);
    if (p->left) lua_pushinteger(L, p->left);
    return p->left ? 1 : 0;
}

/* Kills the program and its tree. The pid of one that may not be killed; or 0. */
static pid_t kill_tree(struct process *p) {
    pid_t refused = has_tree(p) ? ns_kill_descendants(p->s.pid, p->s.pidfd) : 0;
    p->ending = has_tree(p);
    return ns_signal(p->s.pid, p->s.pidfd, SIGKILL) == -EPERM ? p->s.pid : refused;
}

/* h:kill_tree() -> the pid of one that may not be killed | nothing */
static int process_kill_tree(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    ns_reap(p);
    pid_t refused = p->state == RUNNING ? kill_tree(p) : 0;
    if (refused) lua_pushinteger(L, refused);
    return refused ? 1 : 0;
}

/* ---- the end ---- */

/* For so many hundredths of a second, at the most. A killed process is gone at once, but for one that the kernel cannot interrupt,
 * or that somebody traces. */
static void await_end(struct process *p, int left) {
    struct pollfd poll = {p->s.pidfd, POLLIN, 0};
    const struct timespec round = {0, 10000000};
    for (; left > 0 && p->state == RUNNING; left--) {
        if (ppoll(&poll, 1, &round, NULL) != 0) clock_nanosleep(CLOCK_MONOTONIC, 0, &round, NULL);
        ns_reap(p);
    }
}

static void finish(lua_State *L, struct process *p) {
    if (p->s.pidfd < 0) return;
    ns_reap(p);
    if (p->state == RUNNING && !p->detached && p->alone && order_end(p)) await_end(p, 40);
    if (p->state == RUNNING && !p->detached && kill_tree(p) != p->s.pid) await_end(p, 60);
    if (p->s.socket >= 0) close(p->s.socket);
    p->s.socket = -1;
    if (p->state == RUNNING)
        nsL_orphan(L, p->s.pidfd);
    else
        close(p->s.pidfd);
    p->s.pidfd = -1;
}

static int process_close(lua_State *L) {
    finish(L, check(L));
    return 0;
}

/* h:detach(): from now on it outlives its handle. Until then even a program that is to be detached is ours to end. */
static int process_detach(lua_State *L) {
    check(L)->detached = true;
    nsL_watch_orphans(L);
    return 0;
}

static int process_getfd(lua_State *L) {
    lua_pushinteger(L, nsL_checkprocess(L)->s.pidfd);
    return 1;
}

static int process_isclosed(lua_State *L) {
    lua_pushboolean(L, check(L)->s.pidfd < 0);
    return 1;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

/* h:usage() -> table, or nil where somebody else has reaped it; times in seconds, maxrss in KiB, as in getrusage(2) */
static int process_usage(lua_State *L) {
    const struct process *p = check(L);
    const struct rusage *u = &p->usage;
    const struct {
        const char *name;
        long value;
    } rows[] = {
        {"maxrss", u->ru_maxrss},   {"minflt", u->ru_minflt}, {"majflt", u->ru_majflt}, {"inblock", u->ru_inblock},
        {"oublock", u->ru_oublock}, {"nvcsw", u->ru_nvcsw},   {"nivcsw", u->ru_nivcsw},
    };
    if (p->unseen) return 0;
    lua_createtable(L, 0, 2 + sizeof rows / sizeof rows[0]);
    lua_pushnumber(L, seconds(u->ru_utime));
    lua_setfield(L, -2, "utime");
    lua_pushnumber(L, seconds(u->ru_stime));
    lua_setfield(L, -2, "stime");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lua_pushinteger(L, rows[i].value);
        lua_setfield(L, -2, rows[i].name);
    }
    return 1;
}

static const luaL_Reg methods[] = {
    {"play", nsL_play},
    {"wait", process_wait},
    {"kill", process_kill},
    {"kill_tree", process_kill_tree},
    {"order_end", process_order_end},
    {"left", process_left},
    {"close", process_close},
    {"getfd", process_getfd},
    {"proc_pid", nsL_proc_pid},
    {"usage", process_usage},
    {"isclosed", process_isclosed},
    {"stopped", process_stopped},
    {"detach", process_detach},
    {"__gc", process_close},
    {NULL, NULL},
};

void nsL_open_process(lua_State *L) {
    nsL_open_orphans(L);
    nsL_class(L, PROCESS, methods);
    lua_pop(L, 1);
}
