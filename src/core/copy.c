/* What a copy of the host does that goes on in Lua (spawn.c), before the function that it is for, and after it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#endif

#include "open.h"

static int number_at(lua_State *L, int i) {
    lua_rawgeti(L, 1, i);
    int fd = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return fd;
}

/* take({number, ...}): descriptors that the host had, and that are closed in its copy. Objects of the host's still have
 * them, and would one day write to these numbers or close them: so each stays taken, by a pipe that nobody writes
 * to. */
static int copy_take(lua_State *L) {
    int ends[2], kept = 0;
    luaL_checktype(L, 1, LUA_TTABLE);
    if (pipe2(ends, O_CLOEXEC) < 0) return 0; /* above a limit: nobody else gets a number, either */
    close(ends[1]);
    for (int i = 1; i <= (int)nsL_rawlen(L, 1); i++) {
        int fd = number_at(L, i);
        if (fd == ends[0]) kept = 1;
        if (fd >= 0 && fcntl(fd, F_GETFD) < 0) dup3(ends[0], fd, O_CLOEXEC);
    }
    if (!kept) close(ends[0]);
    return 0;
}

/* cloexec(fd): it is not for what is executed later */
static int copy_cloexec(lua_State *L) {
    fcntl((int)luaL_checkinteger(L, 1), F_SETFD, FD_CLOEXEC);
    return 0;
}

/* set_environ({"NAME=value", ...}). What has no name cannot be asked for, and is left out. */
static int copy_set_environ(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    clearenv();
    for (int i = 1; i <= (int)nsL_rawlen(L, 1); i++) {
        lua_rawgeti(L, 1, i);
        const char *entry = luaL_checkstring(L, -1), *value = strchr(entry, '=');
        lua_pushlstring(L, entry, value ? (size_t)(value - entry) : 0);
        if (value > entry && setenv(lua_tostring(L, -1), value + 1, 1) != 0) return luaL_error(L, "not enough memory");
        lua_pop(L, 2);
    }
    return 0;
}

#ifdef __GLIBC__
/* exit(3) by whoever has kept the old os.exit: what the host has left to be done at its end is not for us. */
static void leave_at_exit(int code, void *unused) {
    (void)unused;
    fflush(NULL);
    _exit(code);
}

static void catch_exit(void) { on_exit(leave_at_exit, NULL); }
#else
static void catch_exit(void) {}
#endif

/* begin(): what the host has read ahead from its stdin is not what we have there */
static int copy_begin(lua_State *L) {
    (void)L;
    __fpurge(stdin);
    clearerr(stdin);
    catch_exit();
    return 0;
}

/* leave(code): what was written is flushed, that of files of the host's into pipes that nobody has. Never returns. */
static int copy_leave(lua_State *L) {
    fflush(NULL);
    _exit((int)luaL_checkinteger(L, 1));
}

/* What the host does with each signal: noted before the copy is made, and done again in it, for one that is to be as
 * the host is. */
static struct sigaction noted[NSIG];

static int copy_note_signals(lua_State *L) {
    (void)L;
    for (int signal = 1; signal < NSIG; signal++) sigaction(signal, NULL, &noted[signal]);
    return 0;
}

static int copy_keep_signals(lua_State *L) {
    (void)L;
    for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &noted[signal], NULL);
    return 0;
}

static const luaL_Reg functions[] = {{"take", copy_take},
                                     {"cloexec", copy_cloexec},
                                     {"set_environ", copy_set_environ},
                                     {"begin", copy_begin},
                                     {"leave", copy_leave},
                                     {"note_signals", copy_note_signals},
                                     {"keep_signals", copy_keep_signals},
                                     {NULL, NULL}};

/* copy: a table of these */
void nsL_open_copy(lua_State *L) {
    lua_newtable(L);
    nsL_setfuncs(L, functions);
    lua_setfield(L, -2, "copy");
}
