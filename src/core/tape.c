/* A tape keeps what a copy of the host does, so that the host can do it again: what it prints, in two files in memory,
 * and what it tells, from a pipe. In the files nothing is lost in a crash, and no pipe fills whose reader waits for
 * another copy. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "open.h"
#include "result.h"

#define TAPE "ns.Tape"

enum { OUT, ERR, EVENTS, WRITER, ENDS };

struct tape {
    int fd[ENDS]; /* -1: not open here */
    pid_t writer; /* in a copy: who may tell */
};

static struct tape *check(lua_State *L) { return luaL_checkudata(L, 1, TAPE); }

static void close_end(struct tape *t, int end) {
    if (t->fd[end] >= 0) close(t->fd[end]);
    t->fd[end] = -1;
}

static int tape_close(lua_State *L) {
    struct tape *t = check(L);
    for (int i = 0; i < ENDS; i++) close_end(t, i);
    return 0;
}

/* What many processes open and write to, each at its end. */
static int memory_file(const char *name) {
    int fd = ns_above_stdio(memfd_create(name, MFD_CLOEXEC));
    if (fd >= 0) fcntl(fd, F_SETFL, O_RDWR | O_APPEND);
    return fd;
}

static bool open_ends(struct tape *t) {
    int ends[2];
    if ((t->fd[OUT] = memory_file("stdout")) < 0 || (t->fd[ERR] = memory_file("stderr")) < 0) return false;
    if (pipe2(ends, O_CLOEXEC) < 0) return false;
    t->fd[EVENTS] = ns_above_stdio(ends[0]);
    t->fd[WRITER] = ns_above_stdio(ends[1]);
    return t->fd[EVENTS] >= 0 && t->fd[WRITER] >= 0 && fcntl(t->fd[EVENTS], F_SETFL, O_NONBLOCK) == 0;
}

/* tape() -> tape | nil, message, errno */
static int new_tape(lua_State *L) {
    lua_settop(L, 0);
    struct tape *t = lua_newuserdata(L, sizeof *t);
    *t = (struct tape){{-1, -1, -1, -1}, -1};
    nsL_setclass(L, TAPE);
    if (open_ends(t)) return 1;
    int error = errno;
    tape_close(L);
    return nsL_failed(L, error);
}

/* t:ends() -> the descriptors that its copy is to have: out, err, writer */
static int tape_ends(lua_State *L) {
    const struct tape *t = check(L);
    lua_pushinteger(L, t->fd[OUT]);
    lua_pushinteger(L, t->fd[ERR]);
    lua_pushinteger(L, t->fd[WRITER]);
    return 3;
}

/* t:sent(): a copy has the writer; when it and all that it leaves behind are gone, there is an end */
static int tape_sent(lua_State *L) {
    close_end(check(L), WRITER);
    return 0;
}

/* t:enter(out, err, writer): in the copy, where they have these numbers, which no program is to have that it
 * executes */
static int tape_enter(lua_State *L) {
    struct tape *t = check(L);
    const int ends[] = {[OUT] = 2, [ERR] = 3, [WRITER] = 4};
    for (int i = 0; i < ENDS; i++) t->fd[i] = i == EVENTS ? -1 : (int)luaL_checkinteger(L, ends[i]);
    for (int i = 0; i < ENDS; i++)
        if (t->fd[i] >= 0) fcntl(t->fd[i], F_SETFD, FD_CLOEXEC);
    t->writer = getpid();
    return 0;
}

/* t:forget(): in a copy, of a tape that is another's: its numbers mean something else there */
static int tape_forget(lua_State *L) {
    struct tape *t = check(L);
    for (int i = 0; i < ENDS; i++) t->fd[i] = -1;
    return 0;
}

/* t:getfd() -> what is readable when its copy has told something */
static int tape_getfd(lua_State *L) {
    lua_pushinteger(L, check(L)->fd[EVENTS]);
    return 1;
}

/* t:hear() -> bytes | "", at the end | nothing, as nothing was told yet */
static int tape_hear(lua_State *L) {
    static char bytes[65536];
    ssize_t n = read(check(L)->fd[EVENTS], bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    lua_pushlstring(L, bytes, n > 0 ? (size_t)n : 0);
    return 1;
}

/* t:tell(bytes) -> true | false, if nobody hears. A child of the copy that has run on into its code is not the one who
 * may tell: it is ended. */
static int tape_tell(lua_State *L) {
    size_t size;
    struct tape *t = check(L);
    const char *bytes = luaL_checklstring(L, 2, &size);
    if (getpid() != t->writer) _exit(1);
    while (size > 0) {
        ssize_t n = ns_write_nosignal(t->fd[WRITER], bytes, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return lua_pushboolean(L, 0), 1;
        bytes += n;
        size -= (size_t)n;
    }
    return lua_pushboolean(L, 1), 1;
}

static lua_Number size_of(int fd) {
    struct stat s;
    return fd >= 0 && fstat(fd, &s) == 0 ? (lua_Number)s.st_size : 0;
}

/* t:sizes() -> bytes of out, of err, when all that was written is in the files */
static int tape_sizes(lua_State *L) {
    const struct tape *t = check(L);
    fflush(NULL);
    lua_pushnumber(L, size_of(t->fd[OUT]));
    lua_pushnumber(L, size_of(t->fd[ERR]));
    return 2;
}

/* t:read("out" or "err", from, to) -> the bytes from `from` on, to `to` */
static int tape_read(lua_State *L) {
    static const char *const names[] = {"out", "err", NULL};
    struct tape *t = check(L);
    int end = luaL_checkoption(L, 2, NULL, names);
    off_t at = (off_t)luaL_checknumber(L, 3), to = (off_t)luaL_checknumber(L, 4);
    size_t size = to > at ? (size_t)(to - at) : 0, count = 0;
    char *bytes = lua_newuserdata(L, size);
    while (count < size) {
        ssize_t n = pread(t->fd[end], bytes + count, size - count, at + (off_t)count);
        if (n <= 0) break;
        count += (size_t)n;
    }
    lua_pushlstring(L, bytes, count);
    return 1;
}

/* ---- what a copy asks of itself ---- */

/* descriptor_limit() -> how many descriptors this process may have */
static int descriptor_limit(lua_State *L) {
    struct rlimit r = {0, 0};
    getrlimit(RLIMIT_NOFILE, &r);
    lua_pushnumber(L, (lua_Number)r.rlim_cur);
    return 1;
}

/* open_files() -> bytes that are the same as long as the same files are open at the same numbers, below OPEN_MOST. One
 * poll(2) tells which numbers are in use. */
static int open_files(lua_State *L) {
    enum { OPEN_MOST = 256 };
    struct pollfd list[OPEN_MOST];
    struct rlimit r = {OPEN_MOST, 0};
    struct stat s;
    getrlimit(RLIMIT_NOFILE, &r);
    nfds_t n = r.rlim_cur < OPEN_MOST ? (nfds_t)r.rlim_cur : OPEN_MOST;
    for (nfds_t i = 0; i < n; i++) list[i] = (struct pollfd){.fd = (int)i};
    while (poll(list, n, 0) < 0 && errno == EINTR) {
    }
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (nfds_t i = 0; i < n; i++) {
        if (list[i].revents & POLLNVAL || fstat(list[i].fd, &s) < 0) continue;
        uint64_t one[] = {i, s.st_dev, s.st_ino};
        luaL_addlstring(&b, (const char *)one, sizeof one);
    }
    luaL_pushresult(&b);
    return 1;
}

/* is_alone() -> is there nobody else that could be signalled? To be asked in a pid namespace of one's own alone. */
static int is_alone(lua_State *L) {
    lua_pushboolean(L, kill(-1, 0) < 0 && errno == ESRCH);
    return 1;
}

/* A timer whose signal sets a hook, as lua.c does for Ctrl-C: the hook raises the error where Lua is just then. */
static struct {
    lua_State *L;
    int timer; /* as the kernel counts them: in older C libraries the functions are in another library */
    pid_t owner;
    char message[512];
} soft;

static void raise_message(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
    luaL_error(L, "%s", soft.message);
}

static void on_time(int signal) {
    (void)signal;
    if (soft.L) lua_sethook(soft.L, raise_message, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

static bool have_timer(void) {
    struct sigaction action = {.sa_handler = on_time, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX - 3};
    if (soft.owner == getpid()) return true; /* no child has the timers of its parent */
    if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &soft.timer) < 0) return false;
    sigaction(SIGRTMAX - 3, &action, NULL);
    soft.owner = getpid();
    return true;
}

/* interrupt_after([seconds, message]): an error with that message will be raised in this coroutine; without them, it
 * will not */
static int interrupt_after(lua_State *L) {
    struct itimerspec when = {{0, 0}, {0, 0}};
    double seconds = luaL_optnumber(L, 1, 0);
    if (seconds <= 0 && soft.owner != getpid()) return 0;
    if (!have_timer()) return 0;
    soft.L = NULL;
    if (seconds > 0) {
        ns_timeout(seconds, &when.it_value);
        snprintf(soft.message, sizeof soft.message, "%s", luaL_checkstring(L, 2));
        soft.L = L;
    }
    syscall(SYS_timer_settime, soft.timer, 0, &when, NULL);
    return 0;
}

static const luaL_Reg methods[] = {{"ends", tape_ends},   {"sent", tape_sent},     {"enter", tape_enter},
                                   {"getfd", tape_getfd}, {"forget", tape_forget}, {"hear", tape_hear},
                                   {"tell", tape_tell},   {"sizes", tape_sizes},   {"read", tape_read},
                                   {"close", tape_close}, {"__gc", tape_close},    {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"tape", new_tape},     {"descriptor_limit", descriptor_limit}, {"open_files", open_files},
    {"is_alone", is_alone}, {"interrupt_after", interrupt_after},   {NULL, NULL}};

void nsL_open_tape(lua_State *L) {
    nsL_class(L, TAPE, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
