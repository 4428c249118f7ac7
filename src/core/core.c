/* ns.core: the functions that C lends to the Lua side. Users call lua/ns, never this. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"

extern char **environ;

/* environ() -> {"NAME=value", ...} */
static int core_environ(lua_State *L) {
    lua_newtable(L);
    for (int i = 0; environ && environ[i]; i++) {
        lua_pushstring(L, environ[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* ids() -> {uid=, gid=, euid=, egid=, pid=, ppid=, secure=} of the host */
static int core_ids(lua_State *L) {
    const struct {
        const char *name;
        lua_Integer value;
    } rows[] = {{"uid", getuid()},   {"gid", getgid()}, {"euid", geteuid()},
                {"egid", getegid()}, {"pid", getpid()}, {"ppid", getppid()}};
    lua_newtable(L);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lua_pushinteger(L, rows[i].value);
        lua_setfield(L, -2, rows[i].name);
    }
    lua_pushboolean(L, getauxval(AT_SECURE) != 0);
    lua_setfield(L, -2, "secure");
    return 1;
}

static int core_strerror(lua_State *L) {
    lua_pushstring(L, strerror((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* clock() -> seconds that only grow */
static int core_clock(lua_State *L) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
    return 1;
}

static int push_done(lua_State *L, long r) {
    if (!FAILED(r)) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror((int)-r));
    lua_pushinteger(L, (lua_Integer)-r);
    return 3;
}

/* write(path, bytes) -> true | nil, message, errno: in one write(2), as /proc wants it */
static int core_write(lua_State *L) {
    size_t size;
    const char *path = luaL_checkstring(L, 1), *data = luaL_checklstring(L, 2, &size);
    long fd = sys(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (FAILED(fd)) return push_done(L, fd);
    long n = sys(__NR_write, fd, data, size);
    sys(__NR_close, fd);
    return push_done(L, FAILED(n) || n == (long)size ? n : -EIO);
}

/* isopen(fd) */
static int core_isopen(lua_State *L) {
    lua_pushboolean(L, fcntl((int)luaL_checkinteger(L, 1), F_GETFD) >= 0);
    return 1;
}

/* access(path, mode) -> true | nil, message, errno; mode as in access(2), with the effective ids */
static int core_access(lua_State *L) {
    int r = faccessat(AT_FDCWD, luaL_checkstring(L, 1), (int)luaL_checkinteger(L, 2), AT_EACCESS);
    return push_done(L, r < 0 ? -errno : 0);
}

/* arg_max() -> bytes that argv and env may have together */
static int core_arg_max(lua_State *L) {
    lua_pushnumber(L, (lua_Number)sysconf(_SC_ARG_MAX));
    return 1;
}

/* ---- the terminal that is lent to a program ---- */

struct terminal {
    int fd;
    pid_t group;
    struct termios modes;
};

/* terminal(fd) -> what restore_terminal wants | nil when it is no terminal of ours */
static int core_terminal(lua_State *L) {
    struct terminal t = {(int)luaL_checkinteger(L, 1), 0, {0}};
    t.group = tcgetpgrp(t.fd);
    if (t.group < 0 || tcgetattr(t.fd, &t.modes) < 0) return 0;
    memcpy(lua_newuserdata(L, sizeof t), &t, sizeof t);
    return 1;
}

/* restore_terminal(terminal): the host's group is in the foreground again, and the modes are what they were. SIGTTOU is
 * held back, as it would stop a host that is in the background by now. */
static int core_restore_terminal(lua_State *L) {
    struct terminal *t = lua_touserdata(L, 1);
    uint64_t mask, ttou = 1ull << (22 - 1);
    sys(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, &ttou, &mask, sizeof mask);
    tcsetpgrp(t->fd, t->group);
    tcsetattr(t->fd, TCSADRAIN, &t->modes);
    sys(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &mask, NULL, sizeof mask);
    return 0;
}

static const luaL_Reg functions[] = {
    {"encode", nsL_encode},
    {"launch", nsL_launch},
    {"tree", nsL_tree},
    {"capture", nsL_capture},
    {"fileno", nsL_fileno},
    {"buffered", nsL_buffered},
    {"bag", nsL_bag},
    {"isopen", core_isopen},
    {"access", core_access},
    {"write", core_write},
    {"environ", core_environ},
    {"ids", core_ids},
    {"arg_max", core_arg_max},
    {"clock", core_clock},
    {"strerror", core_strerror},
    {"terminal", core_terminal},
    {"restore_terminal", core_restore_terminal},
    {NULL, NULL},
};

NS_EXPORT int luaopen_ns_core(lua_State *L);
int luaopen_ns_core(lua_State *L) {
#if LUA_VERSION_NUM >= 502
    luaL_checkversion(L);
#endif
    nsL_open_process(L);
    nsL_open_stream(L);
    nsL_open_bag(L);
    nsL_open_tree(L);
    nsL_open_capture(L);
    lua_newtable(L);
    nsL_setfuncs(L, functions);
    nsL_constants(L);
    lua_setfield(L, -2, "constants");
    return 1;
}
