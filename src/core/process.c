/* The process handle: pidfd, socket to the launcher, status. Born closed, so that it can be collected at any moment;
 * closing kills and reaps, unless the process is detached.
 *
 * No call here retries after a signal: each returns "again", and the loop is in Lua, where a Ctrl-C is noticed. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "descendants.h"
#include "handle.h"
#include "io.h"
#include "job.h"
#include "launch.h"
#include "named.h"
#include "open.h"
#include "orphans.h"
#include "result.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* SIGRTMIN is what the C library leaves of them. */
enum { FIRST_REAL_TIME = 32 };

static struct process *check(lua_State *L) { return luaL_checkudata(L, 1, PROCESS); }

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
        struct pollfd polls[] = {{ns_end_fd(p), POLLIN, 0}, {(int)luaL_optinteger(L, 3, -1), POLLIN, 0}};
        int r = ppoll(polls, 2, timeout, NULL);
        if (r > 0) ns_reap(p);
        if (r > 0 && p->state == RUNNING && !p->job) /* dead, and not ours to reap as long as somebody traces it */
            r = ppoll(NULL, 0, &(struct timespec){0, 10000000}, NULL);
        if (p->state == RUNNING) return nsL_refused(L, r == 0 || ns_is_over(timeout) ? "timeout" : "again", errno);
    }
    return push_status(L, p);
}

/* h:stopped() -> the signal that has stopped the program since this was asked last | nothing */
static int process_stopped(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    siginfo_t info = {0};
    if (p->job) ns_reap(p);
    int signal = p->job ? p->stop : p->init ? ns_told_stop(p) : 0;
    p->stop = 0;
    if (!p->init && !p->job && sys(__NR_waitid, P_PIDFD, p->s.pidfd, &info, WSTOPPED | WNOHANG, NULL) == 0)
        signal = info.si_status;
    if (signal == 0) return 0;
    lua_pushinteger(L, signal);
    return 1;
}

/* Does it perhaps have descendants that do not end with it? Without a plan the launcher has started nothing; nor may it
 * be stopped before it has asked for a signal at the host's end: if the host were killed just then, it would stay
 * stopped for ever. */
static bool has_descendants(const struct process *p) { return p->alone && p->s.sent > 0 && p->s.pid > 0; }

/* h:kill(signal) -> true | nil, "kill", errno */
static int process_kill(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    ns_reap(p);
    int signal = (int)luaL_checkinteger(L, 2);
    bool by_init =
        p->init && p->s.socket >= 0 && signal >= FIRST_REAL_TIME; /* it cannot tell from whom that one comes */
    long r = p->state != RUNNING ? -ESRCH
             : by_init           ? ns_ask_signal(p, signal)
                                 : ns_signal(p->s.pid, p->s.pidfd, signal);
    if (FAILED(r)) return nsL_refused(L, "kill", (int)-r);
    lua_pushboolean(L, 1);
    return 1;
}

/* Tells an init to end all that it has: it finds more of them than we do, and knows their usage. Is there one to be
 * told? */
static bool order_end(const struct process *p) {
    if (p->box) return !FAILED(ns_ask_init(p, REQUEST_END, 0));
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

/* Kills the program and its descendants. The pid of one that may not be killed; or 0. */
static pid_t kill_all(struct process *p) {
    pid_t immune = has_descendants(p) ? ns_kill_descendants(p->s.pid, p->s.pidfd) : 0;
    p->ending = has_descendants(p);
    pid_t ours = p->box ? 0 : p->s.pid; /* who is no child of ours may have given that number back */
    return ns_signal(ours, p->s.pidfd, SIGKILL) == -EPERM ? p->s.pid : immune;
}

/* h:kill_all() -> the pid of one that may not be killed | nothing */
static int process_kill_all(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    ns_await_joined(p);
    ns_reap(p);
    pid_t immune = p->state == RUNNING ? kill_all(p) : 0;
    if (immune) lua_pushinteger(L, immune);
    return immune ? 1 : 0;
}

/* (Who is asked for by no number is ourselves: a host in another pid namespace knows none of the init.)
 *
 * All that is in a pid namespace ends with its init; but a program of the same user may leave that no processor time to
 * end in: so what is inside is killed one by one, and the init is again a process as others, as far as we may do
 * that. */
static void kill_inside(const struct process *p) {
    struct sched_param none = {0};
    cpu_set_t all;
    if (p->state != RUNNING || p->alone || p->s.pid <= 0) return;
    memset(&all, 0xff, sizeof all);
    ns_kill_descendants(p->s.pid, p->s.pidfd);
    sched_setaffinity(p->s.pid, sizeof all, &all);
    sched_setscheduler(p->s.pid, SCHED_OTHER, &none);
    setpriority(PRIO_PROCESS, (id_t)p->s.pid, 0);
}

/* h:kill_inside() */
static int process_kill_inside(lua_State *L) {
    struct process *p = nsL_checkprocess(L);
    ns_reap(p);
    kill_inside(p);
    return 0;
}

/* ---- the end ---- */

/* Waits for the end, for `left` hundredths of a second at the most. A killed process is gone at once, unless the kernel
 * cannot interrupt it, or somebody traces it. */
static void await_end(struct process *p, int left) {
    struct pollfd poll = {ns_end_fd(p), POLLIN, 0};
    const struct timespec round = {0, 10000000};
    for (; left > 0 && p->state == RUNNING; left--) {
        if (ppoll(&poll, 1, &round, NULL) != 0) clock_nanosleep(CLOCK_MONOTONIC, 0, &round, NULL);
        ns_reap(p);
    }
}

/* A launcher that has not said yet that it executes the program leaves when its socket is closed. Of the other end we
 * hear soon: the init says who it is before anything else. */
static void finish_job(struct process *p) {
    struct pollfd poll_told = {p->told, POLLIN, 0};
    if (p->detached || p->box) return ns_close_handle(p);
    if (p->s.socket >= 0) close(p->s.socket);
    p->s.socket = -1;
    ns_reap(p);
    if (p->state == RUNNING && p->s.pidfd < 0 && poll(&poll_told, 1, 400) > 0) ns_reap(p);
    if (p->state == RUNNING && p->s.pidfd >= 0) {
        kill_all(p);
        await_end(p, 60);
    }
    ns_close_handle(p);
}

static void finish(lua_State *L, struct process *p) {
    if (!ns_is_open(p)) return;
    if (p->job) return finish_job(p);
    ns_await_joined(p);
    ns_reap(p);
    if (p->state == RUNNING && !p->detached && p->alone && order_end(p)) await_end(p, 40);
    if (p->state == RUNNING && !p->detached && kill_all(p) != p->s.pid) {
        await_end(p, 20);
        kill_inside(p);
        await_end(p, 40);
    }
    if (p->state == RUNNING) {
        nsL_orphan(L, p->s.pidfd);
        p->s.pidfd = -1;
    }
    ns_close_handle(p);
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

/* h:socket() -> where its launcher or its init is asked | nothing */
static int process_socket(lua_State *L) {
    const struct process *p = nsL_checkprocess(L);
    if (ns_asked(p) < 0) return 0;
    lua_pushinteger(L, ns_asked(p));
    return 1;
}

static int process_pid(lua_State *L) {
    lua_pushinteger(L, nsL_checkprocess(L)->s.pid);
    return 1;
}

static int process_getfd(lua_State *L) {
    lua_pushinteger(L, nsL_checkprocess(L)->s.pidfd);
    return 1;
}

/* h:uppers() -> {descriptor, ...}, of what its overlays that are thrown away have been given; they stay the handle's */
static int process_uppers(lua_State *L) {
    const struct process *p = luaL_checkudata(L, 1, PROCESS);
    lua_createtable(L, p->upper_count, 0);
    for (int i = 0; i < p->upper_count; i++) {
        lua_pushinteger(L, p->uppers[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int process_isclosed(lua_State *L) {
    lua_pushboolean(L, !ns_is_open(check(L)));
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
    {"start_job", nsL_start_job},
    {"signal_all", nsL_signal_all},
    {"keep", nsL_keep_box},
    {"log", nsL_read_log},
    {"wait", process_wait},
    {"kill", process_kill},
    {"kill_all", process_kill_all},
    {"kill_inside", process_kill_inside},
    {"order_end", process_order_end},
    {"left", process_left},
    {"close", process_close},
    {"pid", process_pid},
    {"socket", process_socket},
    {"getfd", process_getfd},
    {"proc_pid", nsL_proc_pid},
    {"usage", process_usage},
    {"isclosed", process_isclosed},
    {"uppers", process_uppers},
    {"stopped", process_stopped},
    {"detach", process_detach},
    {"__gc", process_close},
    {NULL, NULL},
};

void nsL_open_process(lua_State *L) {
    nsL_class(L, PROCESS, methods);
    lua_pop(L, 1);
}
