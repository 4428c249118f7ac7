/* A control group (cgroup v2) of one start: a directory, which goes with its handle and takes along all that is in
 * it. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "io.h"
#include "open.h"
#include "result.h"

#define GROUP "ns.Group"

enum { CGROUP2_MAGIC = 0x63677270 };

struct group {
    int fd;      /* of the directory, and locked: who sweeps finds that it is in use. -1 when it is gone */
    pid_t owner; /* a copy of us does not take it away */
    bool kept; /* what is in it outlives us: others may have it, too, and the last one takes it away when it is empty */
    char path[PATH_MAX];
};

static struct group *check_group(lua_State *L) {
    struct group *g = luaL_checkudata(L, 1, GROUP);
    if (g->fd < 0) luaL_error(L, "attempt to use a control group that is gone");
    return g;
}

/* Opens and locks the directory. EWOULDBLOCK: somebody else has locked it. ENODEV: it has been taken away in
 * between. */
static int open_locked(const char *path, int lock) {
    int fd = ns_above_stdio(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (fd < 0) return -1;
    int error = flock(fd, lock | LOCK_NB) < 0 ? errno : faccessat(fd, "cgroup.procs", F_OK, 0) < 0 ? ENODEV : 0;
    if (error) close(fd), fd = -1, errno = error;
    return fd;
}

static struct group *push_group(lua_State *L, const char *path, bool kept) {
    struct group *g = lua_newuserdata(L, sizeof *g);
    g->fd = -1, g->owner = getpid(), g->kept = kept;
    if (strlen(path) >= sizeof g->path) return NULL;
    strcpy(g->path, path);
    nsL_setclass(L, GROUP);
    return g;
}

/* open_cgroup(path) -> group, that somebody else has made and kept | nil, message, errno */
static int open_group(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    struct group *g = push_group(L, path, true);
    if (!g) return nsL_done(L, -ENAMETOOLONG);
    g->fd = open_locked(path, LOCK_SH);
    return g->fd < 0 ? nsL_done(L, -errno) : 1;
}

/* cgroup(path) -> group, made anew | nil, message, errno */
static int new_group(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    struct group *g = push_group(L, path, false);
    if (!g) return nsL_done(L, -ENAMETOOLONG);
    for (int i = 0; i < 100 && g->fd < 0; i++) { /* a sweeper may take it away at once */
        if (mkdir(path, 0755) < 0) return nsL_done(L, -errno);
        g->fd = open_locked(path, LOCK_EX);
        if (g->fd >= 0 || (errno != ENOENT && errno != ENODEV)) break;
    }
    int error = errno;
    if (g->fd >= 0) return 1;
    rmdir(path);
    return nsL_done(L, -error);
}

static long write_file(int directory, const char *name, const char *data, size_t size) {
    long fd = sys(__NR_openat, directory, name, O_WRONLY | O_CLOEXEC);
    if (FAILED(fd)) return fd;
    long n = sys(__NR_write, fd, data, size);
    sys(__NR_close, fd);
    return FAILED(n) ? n : 0;
}

/* The text of a file, with a 0 at its end, as far as there is room: its length, or -errno. */
static long read_file(int directory, const char *name, char *text, size_t room) {
    long fd = sys(__NR_openat, directory, name, O_RDONLY | O_CLOEXEC);
    if (FAILED(fd)) return fd;
    long n = sys(__NR_read, fd, text, room - 1);
    sys(__NR_close, fd);
    text[FAILED(n) ? 0 : n] = 0;
    return n;
}

/* g:write(file, data) -> true | nil, message, errno */
static int group_write(lua_State *L) {
    size_t size;
    const struct group *g = check_group(L);
    const char *name = luaL_checkstring(L, 2), *data = luaL_checklstring(L, 3, &size);
    return nsL_done(L, write_file(g->fd, name, data, size));
}

/* g:read(file) -> its text | nil, message, errno */
static int group_read(lua_State *L) {
    char text[4096];
    long n = read_file(check_group(L)->fd, luaL_checkstring(L, 2), text, sizeof text);
    if (FAILED(n)) return nsL_done(L, n);
    lua_pushlstring(L, text, (size_t)n);
    return 1;
}

/* g:getfd() -> the descriptor of its directory */
static int group_getfd(lua_State *L) {
    lua_pushinteger(L, check_group(L)->fd);
    return 1;
}

/* g:path() -> where it lies */
static int group_path(lua_State *L) {
    lua_pushstring(L, check_group(L)->path);
    return 1;
}

/* g:isgone() -> was it taken away? */
static int group_isgone(lua_State *L) {
    lua_pushboolean(L, ((struct group *)luaL_checkudata(L, 1, GROUP))->fd < 0);
    return 1;
}

/* ---- the end ---- */

/* Where the kernel cannot kill a group (before 5.14) one after the other is: what is born meanwhile comes in the next
 * round. */
static void kill_each(int directory) {
    char text[4096];
    int pid, length;
    if (read_file(directory, "cgroup.procs", text, sizeof text) <= 0) return;
    for (const char *at = text; sscanf(at, "%d%n", &pid, &length) == 1; at += length)
        if (pid > 0) kill(pid, SIGKILL);
}

static bool has_members(int directory) {
    char text[256];
    return read_file(directory, "cgroup.events", text, sizeof text) > 0 && strstr(text, "populated 1");
}

static void kill_group(int directory) {
    if (FAILED(write_file(directory, "cgroup.kill", "1", 1))) kill_each(directory);
}

/* Kills all, and waits until they have left, for `left` hundredths of a second at the most. */
static void empty_group(int directory, int left) {
    struct pollfd events = {openat(directory, "cgroup.events", O_RDONLY | O_CLOEXEC), POLLPRI, 0};
    kill_group(directory);
    for (; left > 0 && has_members(directory); left--) {
        poll(&events, 1, 10);
        if (left % 4 == 0) kill_group(directory);
    }
    if (events.fd >= 0) close(events.fd);
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at) {
    (void)s, (void)at;
    if (type == FTW_DP || type == FTW_D || type == FTW_DNR) rmdir(path);
    return 0;
}

/* Removes the directory, and the groups that the program has made in it: 0, or -errno. */
static long remove_tree(const char *path) {
    if (rmdir(path) == 0 || errno == ENOENT) return 0;
    if (errno != EBUSY) return -errno;
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return rmdir(path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Ends what is in it, and removes it. */
static long finish(int directory, const char *path, int left) {
    if (has_members(directory)) empty_group(directory, left);
    long r = remove_tree(path);
    for (int i = 0; r == -EBUSY && i < left; i++) { /* one that has just ended, and is not reaped */
        nanosleep(&(struct timespec){0, 10000000}, NULL);
        r = remove_tree(path);
    }
    return r;
}

/* g:kill() -> true | nil, message, errno: ends all that is in it */
static int group_kill(lua_State *L) {
    const struct group *g = check_group(L);
    kill_group(g->fd);
    lua_pushboolean(L, 1);
    return 1;
}

static void close_group(struct group *g) {
    close(g->fd);
    g->fd = -1;
}

/* g:remove([hundredths of a second]) -> true | nil, message, errno. What is still in it is killed. May be called
 * again. */
static int group_remove(lua_State *L) {
    struct group *g = luaL_checkudata(L, 1, GROUP);
    long r = g->fd >= 0 && g->owner == getpid() ? finish(g->fd, g->path, (int)luaL_optinteger(L, 2, 100)) : 0;
    if (g->fd >= 0) close_group(g);
    return nsL_done(L, r);
}

/* g:keep(): it stays when we end */
static int group_keep(lua_State *L) {
    struct group *g = check_group(L);
    g->kept = true;
    flock(g->fd, LOCK_SH | LOCK_NB);
    return 0;
}

/* Has one that is kept come to its end, and has nobody else a handle of it? */
static bool is_over(const struct group *g) { return !has_members(g->fd) && flock(g->fd, LOCK_EX | LOCK_NB) == 0; }

static int group_gc(lua_State *L) {
    struct group *g = luaL_checkudata(L, 1, GROUP);
    if (g->fd < 0) return 0;
    if (g->owner == getpid() && (!g->kept || is_over(g))) finish(g->fd, g->path, 100);
    close_group(g);
    return 0;
}

/* ---- where they lie ---- */

/* sweep_group(path, kill): removes the group of somebody who has ended, unless it is in use; kill: and what is in it */
static int sweep_group(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    int fd = open_locked(path, LOCK_EX);
    if (fd < 0) return 0;
    if (lua_toboolean(L, 2) || !has_members(fd)) finish(fd, path, 20);
    close(fd);
    return 0;
}

/* is_cgroup2(path) -> does it lie in a cgroup v2? */
static int is_cgroup2(lua_State *L) {
    struct statfs s;
    lua_pushboolean(L, statfs(luaL_checkstring(L, 1), &s) == 0 && s.f_type == CGROUP2_MAGIC);
    return 1;
}

/* xattr(path, name) -> its value | nothing */
static int get_xattr(lua_State *L) {
    char value[256];
    ssize_t n = getxattr(luaL_checkstring(L, 1), luaL_checkstring(L, 2), value, sizeof value);
    if (n < 0) return 0;
    lua_pushlstring(L, value, (size_t)n);
    return 1;
}

/* mkdir(path, [mode, [uid, gid]]) -> true | nil, message, errno. A mode that is given is just that, whatever the umask;
 * one with an owner is his before anybody can enter it. */
static int make_directory(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    bool has_mode = !lua_isnoneornil(L, 2), has_owner = !lua_isnoneornil(L, 3);
    if (mkdir(path, has_mode ? 0700 : 0755) < 0) return nsL_done(L, -errno);
    int r = has_owner ? lchown(path, (uid_t)luaL_checknumber(L, 3), (gid_t)luaL_checknumber(L, 4)) : 0;
    if (r == 0 && has_mode) r = chmod(path, (mode_t)luaL_checkinteger(L, 2));
    return nsL_done(L, r < 0 ? -errno : 0);
}

static const luaL_Reg methods[] = {
    {"write", group_write},   {"read", group_read}, {"getfd", group_getfd},   {"path", group_path},
    {"isgone", group_isgone}, {"kill", group_kill}, {"remove", group_remove}, {"keep", group_keep},
    {"__gc", group_gc},       {NULL, NULL},
};
static const luaL_Reg functions[] = {
    {"cgroup", new_group},
    {"open_cgroup", open_group},
    {"sweep_group", sweep_group},
    {"is_cgroup2", is_cgroup2},
    {"xattr", get_xattr},
    {"mkdir", make_directory},
    {NULL, NULL},
};

void nsL_open_group(lua_State *L) {
    nsL_class(L, GROUP, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
