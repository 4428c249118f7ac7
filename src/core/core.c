/* ns.core: the functions that C lends to the Lua side. Users call lua/ns, never this. */
#include "core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
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

/* owner(path or fd) -> uid, gid | nil, message, errno */
static int core_owner(lua_State *L) {
    struct stat s;
    bool fd = lua_type(L, 1) == LUA_TNUMBER;
    int r = fd ? fstat((int)lua_tointeger(L, 1), &s) : stat(luaL_checkstring(L, 1), &s);
    if (r < 0) return push_done(L, -errno);
    lua_pushnumber(L, s.st_uid);
    lua_pushnumber(L, s.st_gid);
    return 2;
}

/* entries(folder) -> {{name=, [link=]}, ...} sorted by nothing | nil, message, errno */
static int core_entries(lua_State *L) {
    DIR **dir = lua_newuserdata(L, sizeof *dir); /* an error below leaks no descriptor: see the metatable */
    *dir = NULL;
    nsL_setclass(L, "ns.Folder");
    *dir = opendir(luaL_checkstring(L, 1));
    if (!*dir) return push_done(L, -errno);
    lua_newtable(L);
    int count = 0;
    for (struct dirent *d; (d = readdir(*dir));) {
        char link[4096];
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        bool link_or_unknown = d->d_type == DT_LNK || d->d_type == DT_UNKNOWN;
        ssize_t n = link_or_unknown ? readlinkat(dirfd(*dir), d->d_name, link, sizeof link) : -1;
        lua_createtable(L, 0, 2);
        lua_pushstring(L, d->d_name);
        lua_setfield(L, -2, "name");
        if (n >= 0) {
            lua_pushlstring(L, link, (size_t)n);
            lua_setfield(L, -2, "link");
        }
        lua_rawseti(L, -2, ++count);
    }
    closedir(*dir);
    *dir = NULL;
    return 1;
}

static int folder_close(lua_State *L) {
    DIR **dir = lua_touserdata(L, 1);
    if (*dir) closedir(*dir);
    *dir = NULL;
    return 0;
}

/* user(name) -> uid, gid | nothing;  group(name) -> gid | nothing: as the host knows them */
static int core_user(lua_State *L) {
    const struct passwd *entry = getpwnam(luaL_checkstring(L, 1));
    if (!entry) return 0;
    lua_pushnumber(L, entry->pw_uid);
    lua_pushnumber(L, entry->pw_gid);
    return 2;
}

static int core_group(lua_State *L) {
    const struct group *entry = getgrnam(luaL_checkstring(L, 1));
    if (!entry) return 0;
    lua_pushnumber(L, entry->gr_gid);
    return 1;
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

/* Calls that came late, with arguments that make each of them fail without an effect; only ENOSYS says that it is missing. */
static const struct {
    const char *name;
    long number;
} probes[] = {
    {"clone3", 435},
    {"close_range", 436},
    {"openat2", 437},
    {"pidfd_getfd", 438},
    {"mount_setattr", 442},
    {"open_tree", 428},
    {"move_mount", 429},
    {"fsopen", 430},
    {"fsmount", 432},
    {"pidfd_open", 434},
    {"statmount", 457},
    {"listmount", 458},
    {"landlock_create_ruleset", 444},
    {"memfd_create", __NR_memfd_create},
    {"keyctl", __NR_keyctl},
};

/* syscall_works(name) -> true | nil, message, errno: is it there, and not refused by a filter? */
static int core_syscall_works(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (strcmp(probes[i].name, name) != 0) continue;
        long r = sys(probes[i].number, -1, 0, 0, 0, 0, 0);
        return push_done(L, r == -ENOSYS || r == -EPERM ? r : 0);
    }
    return luaL_error(L, "no probe for '%s'", name);
}

/* pidfd_info() -> true | nil, message, errno: does the kernel keep the status of a process that somebody else reaps? */
static int core_pidfd_info(lua_State *L) {
    uint64_t info[16] = {0};
    long pidfd = sys(__NR_pidfd_open, getpid(), 0);
    if (FAILED(pidfd)) return push_done(L, pidfd);
    int r = ioctl((int)pidfd, _IOWR(0xFF, 11, char[64]), info), error = errno;
    close((int)pidfd);
    return push_done(L, r < 0 ? -error : 0);
}

/* resize(fd of a terminal, rows, columns) -> true | nil, message, errno */
static int core_resize(lua_State *L) {
    struct winsize size = {.ws_row = (unsigned short)luaL_checkinteger(L, 2),
                           .ws_col = (unsigned short)luaL_checkinteger(L, 3)};
    return push_done(L, ioctl((int)luaL_checkinteger(L, 1), TIOCSWINSZ, &size) < 0 ? -errno : 0);
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
    {"entries", core_entries},
    {"owner", core_owner},
    {"user", core_user},
    {"group", core_group},
    {"environ", core_environ},
    {"ids", core_ids},
    {"arg_max", core_arg_max},
    {"clock", core_clock},
    {"strerror", core_strerror},
    {"syscall_works", core_syscall_works},
    {"pidfd_info", core_pidfd_info},
    {"resize", core_resize},
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
    nsL_class(L, "ns.Folder", (luaL_Reg[]){{"__gc", folder_close}, {NULL, NULL}});
    lua_pop(L, 1);
    lua_newtable(L);
    nsL_setfuncs(L, functions);
    nsL_constants(L);
    lua_setfield(L, -2, "constants");
    lua_pushboolean(L, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    lua_setfield(L, -2, "little_endian");
    return 1;
}
