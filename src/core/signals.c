/* Signals of the host that a wait wants for itself: held back while it lasts, and read from a descriptor. No handler is
 * set. */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "open.h"
#include "result.h"

#define CATCH "ns.Catch"
#define FROM_TERMINAL 0x80 /* SI_KERNEL: a key of the terminal, or its hang-up */

struct catch {
    int fd;         /* -1: released */
    sigset_t added; /* to the mask of this thread */
};

static struct catch *check(lua_State *L) { return luaL_checkudata(L, 1, CATCH); }

/* catch({signal, ...}) -> catch | nil, message, errno */
static int new_catch(lua_State *L) {
    sigset_t wanted, before;
    luaL_checktype(L, 1, LUA_TTABLE);
    struct catch *c = lua_newuserdata(L, sizeof *c);
    c->fd = -1;
    sigemptyset(&c->added);
    nsL_setclass(L, CATCH);
    sigemptyset(&wanted);
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    for (int i = 1; i <= (int)nsL_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        int signal = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
        sigaddset(&wanted, signal);
        if (sigismember(&before, signal) == 0) sigaddset(&c->added, signal);
    }
    c->fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    if (c->fd < 0) return nsL_failed(L, errno);
    pthread_sigmask(SIG_BLOCK, &c->added, NULL);
    return 1;
}

/* c:getfd() -> the descriptor that is readable when one has come */
static int catch_getfd(lua_State *L) {
    lua_pushinteger(L, check(L)->fd);
    return 1;
}

/* c:next([pid]) -> signal, [true: the terminal has sent it to that process, too] | nothing, when there is none */
static int catch_next(lua_State *L) {
    struct signalfd_siginfo info;
    pid_t pid = (pid_t)luaL_optinteger(L, 2, -1);
    if (read(check(L)->fd, &info, sizeof info) != (ssize_t)sizeof info) return 0;
    lua_pushinteger(L, (lua_Integer)info.ssi_signo);
    lua_pushboolean(L, info.ssi_code == FROM_TERMINAL && pid > 0 && getpgid(pid) == getpgrp());
    return 2;
}

/* c:release([signal]): the mask is as before. The signal is the host's own, after all. */
static int catch_release(lua_State *L) {
    struct catch *c = check(L);
    int signal = (int)luaL_optinteger(L, 2, 0);
    if (c->fd < 0) return 0;
    close(c->fd);
    c->fd = -1;
    if (signal > 0) raise(signal);
    pthread_sigmask(SIG_UNBLOCK, &c->added, NULL);
    return 0;
}

static int catch_gc(lua_State *L) {
    lua_settop(L, 1);
    return catch_release(L);
}

static const luaL_Reg methods[] = {
    {"getfd", catch_getfd}, {"next", catch_next}, {"release", catch_release}, {"__gc", catch_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"catch", new_catch}, {NULL, NULL}};

void nsL_open_signals(lua_State *L) {
    nsL_class(L, CATCH, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
