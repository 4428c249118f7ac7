/* The process handle: pidfd, socket to the launcher, status. Born closed, so that it can be collected at any moment;
 * closing kills and reaps, unless the process is detached.
 *
 * No call here retries after a signal: each returns "again", and the loop is in Lua, where a Ctrl-C is noticed. */
#include "core.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"

#define PROCESS "ns.Handle"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct process {
    struct spawned s; /* pidfd -1: closed */
    struct launcher *launcher;
    struct record last; /* what the launcher has said last, once it was heard at all */
    bool heard;
    uint32_t init; /* the number of the step that leaves an init behind; 0 without one */
    bool detached;
    bool alone; /* no pid namespace ends the rest of its tree */
    enum { RUNNING, EXITED, KILLED, LOST } state;
    int code; /* exit status or signal */
    struct rusage usage;
};

static struct process *check(lua_State *L) { return luaL_checkudata(L, 1, PROCESS); }

static struct process *check_open(lua_State *L) {
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

/* What an init has told of the program's end, if it could. */
static void note_told_status(struct process *p) {
    struct record r;
    while (p->s.socket >= 0 && recv(p->s.socket, &r, sizeof r, MSG_DONTWAIT) == (ssize_t)sizeof r)
        if (r.step == INIT_STATUS) note_status(p, r.error);
}

static void note_foreign_reap(struct process *p) {
    struct pidfd_info info = {.mask = PIDFD_INFO_EXIT};
    p->state = LOST;
    if (ioctl(p->s.pidfd, PIDFD_GET_INFO, &info) == 0 && info.mask & PIDFD_INFO_EXIT) note_status(p, info.exit_code);
}

/* Notes the status if the process has ended. waitid's fifth argument, the usage, has no wrapper in the C library. */
static void reap(struct process *p) {
    siginfo_t info = {0};
    if (p->state != RUNNING) return;
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

/* h:wait([seconds]) -> status | nil, "timeout" | nil, "again" | nil, "lost", ECHILD */
static int process_wait(lua_State *L) {
    struct process *p = check_open(L);
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 2, -1), &t);
    reap(p);
    if (p->state == RUNNING) {
        struct pollfd poll = {p->s.pidfd, POLLIN, 0};
        int r = ppoll(&poll, 1, timeout, NULL);
        if (r > 0) reap(p);
        if (p->state == RUNNING) return nsL_refused(L, r == 0 ? "timeout" : "again", errno);
    }
    return push_status(L, p);
}

/* Has an init said that the program was stopped, and by which signal? What it says of the end is left for reap(). */
static int told_stop(const struct process *p) {
    struct record r;
    int signal = 0;
    while (recv(p->s.socket, &r, sizeof r, MSG_DONTWAIT | MSG_PEEK) == (ssize_t)sizeof r && r.step != INIT_STATUS) {
        recv(p->s.socket, &r, sizeof r, MSG_DONTWAIT);
        if (r.step == INIT_STOPPED) signal = WSTOPSIG(r.error);
    }
    return signal;
}

/* h:stopped() -> the signal that has stopped the program since this was asked last | nothing */
static int process_stopped(lua_State *L) {
    const struct process *p = check_open(L);
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

/* h:kill(signal, [the whole tree]) -> true | nil, "kill", errno */
static int process_kill(lua_State *L) {
    struct process *p = check_open(L);
    reap(p);
    if (p->state == RUNNING && has_tree(p) && lua_toboolean(L, 3)) ns_kill_descendants(p->s.pid, p->s.pidfd);
    long r = p->state != RUNNING ? -ESRCH : ns_signal(p->s.pid, p->s.pidfd, (int)luaL_checkinteger(L, 2));
    if (FAILED(r)) return nsL_refused(L, "kill", (int)-r);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- the launch ---- */

/* The kept descriptors, from the list at the index, into memory that Lua owns. */
static int *check_descriptors(lua_State *L, int arg, size_t *count) {
    luaL_checktype(L, arg, LUA_TTABLE);
    *count = nsL_rawlen(L, arg);
    int *list = lua_newuserdata(L, (*count + 1) * sizeof *list);
    for (size_t i = 0; i < *count; i++) {
        lua_rawgeti(L, arg, (int)i + 1);
        list[i] = (int)luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    return list;
}

static int launcher_close(lua_State *L) {
    struct launcher *l = lua_touserdata(L, 1);
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
    ns_forget_boarding(l);
    return 0;
}

/* One for each Lua state, closed with it. */
static struct launcher *get_launcher(lua_State *L) {
    static const char key[] = "ns.launcher";
    lua_getfield(L, LUA_REGISTRYINDEX, key);
    struct launcher *l = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (l) return l;
    l = lua_newuserdata(L, sizeof *l);
    *l = (struct launcher){.fd = -1};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, launcher_close);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, key);
    return l;
}

/* copies() -> does every launch copy the host, as the launcher was not executed before? */
int nsL_copies(lua_State *L) {
    lua_pushboolean(L, get_launcher(L)->refused);
    return 1;
}

/* launch(clone flags, kept descriptors, [plan]) -> handle, pid | nil, step, errno
 * The plan is given here when nothing has to happen between the clone and the plan. */
int nsL_launch(lua_State *L) {
    size_t count;
    uint64_t flags = (uint64_t)luaL_checknumber(L, 1);
    const struct plan *early = lua_isnoneornil(L, 3) ? NULL : nsL_checkplan(L, 3);
    int *kept = check_descriptors(L, 2, &count);
    struct launcher *launcher = get_launcher(L);
    struct process *p = lua_newuserdata(L, sizeof *p);
    memset(p, 0, sizeof *p);
    p->s.pidfd = p->s.socket = -1;
    p->launcher = launcher;
    p->alone = !(flags & CLONE_NEWPID);
    nsL_setclass(L, PROCESS);
    if (ns_spawn(&p->s, launcher, flags, kept, count, early) < 0) return nsL_refused(L, p->s.step, p->s.error);
    lua_pushinteger(L, p->s.pid);
    return 2;
}

/* 1 the launcher has nothing more to say, 0 not yet. The records are so short that they come whole. */
static int read_records(struct process *p) {
    for (;;) {
        struct record r;
        ssize_t n = recv(p->s.socket, &r, sizeof r, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (n != (ssize_t)sizeof r) return 1;
        p->last = r;
        p->heard = true;
        if (r.error != 0 || (p->init && r.step == p->init)) return 1;
    }
}

/* The step that hangs: the launcher notes it in its copy of the plan. 0 if that cannot be read. */
static uint32_t current_step(const struct process *p) {
    struct plan head = {0};
    struct iovec here = {&head, sizeof head}, there = {(void *)PLAN_ADDRESS, sizeof head};
    if (sys(__NR_process_vm_readv, p->s.pid, &here, 1, &there, 1, 0) != sizeof head) return 0;
    return head.magic == PLAN_MAGIC ? head.current : 0;
}

/* The launcher was not executed: the next one will be a copy of the host, if that helps. */
static int push_boarding_error(lua_State *L, struct process *p) {
    int error = p->last.error;
    if (ns_is_denied(error) && !p->launcher->refused) {
        p->launcher->refused = true;
        return nsL_refused(L, "refused", error);
    }
    return nsL_refused(L, "boarding", error);
}

static int push_death(lua_State *L, struct process *p) {
    struct pollfd poll = {p->s.pidfd, POLLIN, 0};
    struct timespec soon = {1, 0};
    ppoll(&poll, 1, &soon, NULL);
    reap(p);
    nsL_refused(L, "died", p->code);
    lua_pushstring(L, p->state == KILLED ? "signal" : "exit");
    return 4;
}

/* What the launcher's last words mean. */
static int push_answer(lua_State *L, struct process *p) {
    if (!p->heard) return push_death(L, p);
    if (p->last.step == 0) return push_boarding_error(L, p);
    if (p->last.error != 0) {
        nsL_refused(L, "step", p->last.error);
        lua_pushinteger(L, p->last.step);
        return 4;
    }
    if (p->init && p->last.step != p->init) return push_death(L, p); /* the program runs, but the init is dead */
    ns_boarded(&p->s, p->launcher);
    if (!p->init) {
        close(p->s.socket);
        p->s.socket = -1;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* h:play(plan, [seconds], [init step]) -> true | nil, "step", errno, step | nil, "boarding"|"refused", errno | nil, "died", code, how |
 * nil, "timeout", 0, step | nil, "plan", errno | nil, "again"
 * Sends the plan and awaits the answer; "again" asks to be called again, "refused" to launch anew. The launcher's words are
 * read when it has left: to be woken by each would cost more than they do. */
static int process_play(lua_State *L) {
    struct process *p = check_open(L);
    struct plan *plan = nsL_checkplan(L, 2);
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 3, -1), &t);
    p->init = (uint32_t)luaL_optinteger(L, 4, 0);
    int sent = ns_send_plan(&p->s, plan);
    if (sent < 0 && errno != EPIPE && errno != ECONNRESET) return nsL_refused(L, "plan", errno);
    if (sent < 0) return read_records(p), push_answer(L, p);
    struct pollfd polls[] = {{p->s.socket, (short)((sent ? 0 : POLLOUT) | (p->init ? POLLIN : 0)), 0},
                             {p->s.pidfd, POLLIN, 0}};
    int r = ppoll(polls, 2, timeout, NULL);
    if (r == 0) {
        nsL_refused(L, "timeout", 0);
        lua_pushinteger(L, current_step(p));
        return 4;
    }
    if (r > 0 && polls[0].revents & (POLLIN | POLLHUP | POLLERR) && read_records(p)) return push_answer(L, p);
    if (r > 0 && polls[1].revents) return read_records(p), push_answer(L, p);
    return nsL_refused(L, "again", 0);
}

/* ---- the end ---- */

/* A killed process is gone at once, but for one that the kernel cannot interrupt: that one is not waited for. */
static void finish(struct process *p) {
    if (p->s.socket >= 0) close(p->s.socket);
    p->s.socket = -1;
    if (p->s.pidfd < 0) return;
    reap(p);
    if (p->state == RUNNING && !p->detached) {
        struct pollfd poll = {p->s.pidfd, POLLIN, 0};
        struct timespec limit = {5, 0};
        if (has_tree(p)) ns_kill_descendants(p->s.pid, p->s.pidfd);
        ns_signal(p->s.pid, p->s.pidfd, SIGKILL);
        int r = -1;
        for (errno = EINTR; r < 0 && errno == EINTR;) r = ppoll(&poll, 1, &limit, NULL);
        if (r < 0) sys(__NR_waitid, P_PIDFD, p->s.pidfd, NULL, WEXITED | WNOWAIT, NULL); /* then without a limit */
        reap(p);
    }
    close(p->s.pidfd);
    p->s.pidfd = -1;
}

static int process_close(lua_State *L) {
    finish(check(L));
    return 0;
}

/* h:detach(): from now on it outlives its handle. Until then even a program that is to be detached is ours to end. */
static int process_detach(lua_State *L) {
    check(L)->detached = true;
    return 0;
}

static int process_getfd(lua_State *L) {
    lua_pushinteger(L, check_open(L)->s.pidfd);
    return 1;
}

static int process_isclosed(lua_State *L) {
    lua_pushboolean(L, check(L)->s.pidfd < 0);
    return 1;
}

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

/* h:usage() -> table; times in seconds, maxrss in KiB, as in getrusage(2) */
static int process_usage(lua_State *L) {
    const struct rusage *u = &check(L)->usage;
    const struct {
        const char *name;
        long value;
    } rows[] = {
        {"maxrss", u->ru_maxrss},   {"minflt", u->ru_minflt}, {"majflt", u->ru_majflt}, {"inblock", u->ru_inblock},
        {"oublock", u->ru_oublock}, {"nvcsw", u->ru_nvcsw},   {"nivcsw", u->ru_nivcsw},
    };
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
    {"play", process_play},
    {"wait", process_wait},
    {"kill", process_kill},
    {"close", process_close},
    {"getfd", process_getfd},
    {"usage", process_usage},
    {"isclosed", process_isclosed},
    {"stopped", process_stopped},
    {"detach", process_detach},
    {"__gc", process_close},
    {NULL, NULL},
};

void nsL_open_process(lua_State *L) {
    nsL_class(L, PROCESS, methods);
    lua_pop(L, 1);
}
