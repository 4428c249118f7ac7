/* The host's side of the test build: the functions of the C library that may be told to fail, and what proof/faults.lua
 * says to all of this. */
#include "fault.h"

#if __STDC_HOSTED__
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the calls of the host ---- */

/* The n-th call of each kind, since the last `begin`. */
static struct {
    const char *name;
    long call;
    uint32_t count;
} kinds[64];

static uint32_t count_kind(const char *name, long call) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!kinds[i].count) kinds[i].name = name, kinds[i].call = call;
        if (kinds[i].name == name && kinds[i].call == call) return ++kinds[i].count;
    }
    return 0;
}

int fault_of_host(const char *name, long call, const char *function) {
    struct fault_page *page = fault_page;
    if (!page || !(page->on & FAULT_HOST) || !fault_in_host()) return 0;
    uint32_t nth = count_kind(name, call);
    fault_note(0, 0, (int32_t)call, nth, name, function);
    if (page->action != FAULT_FAIL || page->fired || page->process != 0 || page->nth != nth) return 0;
    if (name ? strcmp(name, page->name) != 0 : page->name[0] || call != page->call) return 0;
    page->fired = 1;
    return page->error;
}

#define WRAP(name, failure) \
    long __real_##name(long, long, long, long, long, long); \
    long __wrap_##name(long, long, long, long, long, long); \
    long __wrap_##name(long a, long b, long c, long d, long e, long f) { \
        int error = fault_of_host(#name, -1, ""); \
        if (error && strcmp(#name, "close") != 0) return errno = error, failure; \
        long r = __real_##name(a, b, c, d, e, f); \
        return error ? errno = error, failure : r; \
    }

WRAP(open, -1)
WRAP(memfd_create, -1)
WRAP(write, -1)
WRAP(read, -1)
WRAP(fchmod, -1)
WRAP(fchown, -1)
WRAP(fstat, -1)
WRAP(stat, -1)
WRAP(faccessat, -1)
WRAP(mmap, -1)
WRAP(mremap, -1)
WRAP(socketpair, -1)
WRAP(close, -1)
WRAP(send, -1)
WRAP(recv, -1)
WRAP(pipe2, -1)
WRAP(ioctl, -1)
WRAP(opendir, 0)
WRAP(readdir, 0)
WRAP(readlinkat, -1)
WRAP(fdopen, 0)
WRAP(fopen, 0)
WRAP(realloc, 0)

/* What is asked about an open descriptor is told. */
long __real_fcntl(long, long, long);
long __wrap_fcntl(long, long, long);
long __wrap_fcntl(long fd, long command, long argument) {
    int error = command == F_GETFD || command == F_SETFD || command == F_GETFL ? 0 : fault_of_host("fcntl", -1, "");
    return error ? errno = error, -1 : __real_fcntl(fd, command, argument);
}

/* its last argument is passed in memory */
FILE *__real_fopencookie(void *, const char *, cookie_io_functions_t);
FILE *__wrap_fopencookie(void *, const char *, cookie_io_functions_t);
FILE *__wrap_fopencookie(void *cookie, const char *mode, cookie_io_functions_t functions) {
    int error = fault_of_host("fopencookie", -1, "");
    return error ? errno = error, NULL : __real_fopencookie(cookie, mode, functions);
}

static void nap(void) { nanosleep(&(struct timespec){0, 200000}, NULL); }

void fault_before_clone(void) {
    fault_page->launched++;
    fault_page->begun = fault_page->left = 0;
    fault_reset();
}

/* The host waits until the launcher has begun, so that each run is like the one before. */
void fault_after_clone(long pid) {
    struct fault_page *page = fault_page;
    if (page->launched < FAULT_PROCESSES) page->pids[page->launched] = (int32_t)pid;
    for (int i = 0; i < 5000; i++) {
        if (page->begun == page->launched || page->left || __atomic_load_n(&page->stopped, __ATOMIC_SEQ_CST)) return;
        nap();
    }
}

long fault_before_clone3(const char *function) {
    int error = fault_of_host(0, SYS_clone3, function);
    if (!error && fault_page) fault_before_clone();
    return -error;
}

long fault_after_clone3(long pid) {
    if (pid > 0 && fault_page) fault_after_clone(pid);
    return pid;
}

long __real_clone(long, long, long, long, long, long);
long __wrap_clone(long, long, long, long, long, long);
long __wrap_clone(long a, long b, long c, long d, long e, long f) {
    int error = fault_of_host("clone", -1, "");
    if (error) return errno = error, -1;
    if (!fault_page) return __real_clone(a, b, c, d, e, f);
    fault_before_clone();
    long pid = __real_clone(a, b, c, d, e, f);
    error = errno;
    if (pid > 0) fault_after_clone(pid);
    errno = error;
    return pid;
}

/* Kills the process that has stopped at its fault: it cannot do that itself if it is the first of its namespace. */
static void kill_stopped(void) {
    char path[64];
    int pid = fault_page->pids[fault_page->process];
    if (fault_page->stopped == 2) {
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
        FILE *f = fopen(path, "re");
        if (!f || fscanf(f, "%d", &pid) != 1) pid = 0;
        if (f) fclose(f);
    }
    if (pid > 0) kill(pid, SIGKILL);
    fault_page->killed = 1;
}

int __real_ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
int __wrap_ppoll(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
int __wrap_ppoll(struct pollfd *polls, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    int error = fault_of_host("ppoll", -1, "");
    if (error) return errno = error, -1;
    for (int i = 0; i < 200 && fault_page && fault_page->action == FAULT_DIE && !fault_page->killed; i++) {
        if (__atomic_load_n(&fault_page->stopped, __ATOMIC_SEQ_CST)) {
            kill_stopped();
            break;
        }
        int r = __real_ppoll(polls, count, &(struct timespec){0, 5000000}, mask);
        if (r != 0) return r;
    }
    return __real_ppoll(polls, count, timeout, mask);
}

/* ---- for Lua ---- */

/* begin(process, step, nth, call, name, action, errno): records from now on, and arms a fault; action 0 arms none */
static int begin(lua_State *L) {
    struct fault_page *page = fault_page;
    const char *name = luaL_optstring(L, 5, "");
    page->action = 0;
    memset(kinds, 0, sizeof kinds);
    memset(page->pids, 0, sizeof page->pids);
    page->count = 0;
    page->launched = page->made = page->begun = page->left = page->fired = page->killed = page->stopped = 0;
    page->process = (int32_t)luaL_optinteger(L, 1, -1);
    page->step = (int32_t)luaL_optinteger(L, 2, 0);
    page->nth = (uint32_t)luaL_optinteger(L, 3, 0);
    page->call = (int32_t)luaL_optinteger(L, 4, -1);
    snprintf(page->name, sizeof page->name, "%s", name);
    page->error = (int32_t)luaL_optinteger(L, 7, 0);
    page->action = (int32_t)luaL_optinteger(L, 6, 0);
    page->on = FAULT_HOST | FAULT_INSIDE;
    return 0;
}

/* spawned(): what the host does from now on is no part of the start */
static int spawned(lua_State *L) {
    (void)L;
    fault_page->on = FAULT_INSIDE;
    return 0;
}

/* finish() -> has the fault been met? */
static int finish(lua_State *L) {
    fault_page->on = fault_page->action = 0;
    lua_pushboolean(L, fault_page->fired);
    return 1;
}

static void set_number(lua_State *L, const char *key, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* events() -> {{process=, step=, call=, name=, ["function"]=, first=, count=}, ...} */
static int events(lua_State *L) {
    const struct fault_page *page = fault_page;
    if (page->count > FAULT_EVENTS) return luaL_error(L, "%d events: too many", (int)page->count);
    lua_newtable(L);
    for (uint32_t i = 0; i < page->count; i++) {
        const struct fault_event *e = &page->events[i];
        lua_newtable(L);
        set_number(L, "process", e->process);
        set_number(L, "step", e->step);
        set_number(L, "call", e->call);
        set_number(L, "first", e->first);
        set_number(L, "count", e->count);
        lua_pushstring(L, e->name);
        lua_setfield(L, -2, "name");
        lua_pushstring(L, e->function);
        lua_setfield(L, -2, "function");
        lua_rawseti(L, -2, (int)i + 1);
    }
    return 1;
}

static bool is_ours(pid_t pid) {
    for (int i = 0; i < FAULT_PROCESSES; i++)
        if (fault_page->pids[i] == pid && i != fault_page->made) return true;
    return false;
}

/* reap() -> how many ended processes that others have left to us */
static int reap(lua_State *L) {
    int count = 0;
    siginfo_t info;
    for (info.si_pid = 0; waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
         info.si_pid = 0) {
        if (is_ours(info.si_pid)) break;
        waitpid(info.si_pid, NULL, 0);
        count++;
    }
    lua_pushinteger(L, count);
    return 1;
}

/* become(id): an ordinary user from now on */
static int become(lua_State *L) {
    unsigned id = (unsigned)luaL_checkinteger(L, 1);
    if (setgroups(0, NULL) < 0 || syscall(SYS_setresgid, id, id, id) < 0 || syscall(SYS_setresuid, id, id, id) < 0)
        return luaL_error(L, "ids: %s", strerror(errno));
    prctl(PR_SET_DUMPABLE, 1); /* as it is after an exec */
    return 0;
}

static const luaL_Reg functions[] = {{"begin", begin}, {"spawned", spawned}, {"finish", finish}, {"events", events},
                                     {"reap", reap},   {"become", become},   {NULL, NULL}};

/* A process that outlives its parent becomes a child of the host's, where it is seen. */
__attribute__((visibility("default"))) int luaopen_ns_fault(lua_State *L);
int luaopen_ns_fault(lua_State *L) {
    int fd = memfd_create("ns-fault", 0);
    if (getpid() == 1) return luaL_error(L, "the host must not be the first process");
    if (fd < 0 || ftruncate(fd, sizeof *fault_page) < 0 || dup2(fd, FAULT_FD) < 0) return luaL_error(L, "no page");
    close(fd);
    void *page = mmap(NULL, sizeof *fault_page, PROT_READ | PROT_WRITE, MAP_SHARED, FAULT_FD, 0);
    if (page == MAP_FAILED) return luaL_error(L, "no page");
    ((struct fault_page *)page)->host = getpid();
    fault_page = page;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    lua_newtable(L);
    luaL_setfuncs(L, functions, 0);
    return 1;
}
#endif
