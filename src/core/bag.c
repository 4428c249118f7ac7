/* A bag: the descriptors that are opened for one spawn. What the program and the host do not take over is closed with
 * it, whatever goes wrong in between; the collector closes a bag that an error has left behind. */
#include "bag.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "../launcher/resolve.h"
#include "../launcher/sys.h"
#include "handle.h"
#include "io.h"
#include "open.h"
#include "result.h"
#include "stream.h"

#define BAG "ns.Bag"

struct bag {
    int *fds;
    size_t count, room;
};

static struct bag *check_bag(lua_State *L) { return luaL_checkudata(L, 1, BAG); }

/* bag() */
static int new_bag(lua_State *L) {
    struct bag *bag = lua_newuserdata(L, sizeof *bag);
    *bag = (struct bag){0};
    nsL_setclass(L, BAG);
    return 1;
}

static bool has_room(struct bag *bag) {
    if (bag->count < bag->room) return true;
    size_t room = bag->room ? bag->room * 2 : 8;
    int *grown = realloc(bag->fds, room * sizeof *grown);
    if (!grown) return false;
    bag->fds = grown;
    bag->room = room;
    return true;
}

/* Returns the descriptor, now the bag's; -1 and errno if there is none. */
static int put(struct bag *bag, int fd) {
    if (fd < 0) return -1;
    if (has_room(bag)) return bag->fds[bag->count++] = fd;
    close(fd);
    errno = ENOMEM;
    return -1;
}

int nsL_put(lua_State *L, int arg, long fd) {
    if (fd < 0) return nsL_failed(L, (int)-fd);
    return nsL_number(L, put(luaL_checkudata(L, arg, BAG), (int)fd));
}

static void take(struct bag *bag, int fd) {
    for (size_t i = 0; i < bag->count; i++)
        if (bag->fds[i] == fd) bag->fds[i] = bag->fds[--bag->count];
}

/* bag:pipe() -> read end, write end | nil, message, errno */
static int bag_pipe(lua_State *L) {
    struct bag *bag = check_bag(L);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return nsL_number(L, -1);
    int in = put(bag, ns_above_stdio(ends[0])), error = errno;
    int out = put(bag, ns_above_stdio(ends[1]));
    if (in < 0) errno = error;
    if (in < 0 || out < 0) return nsL_number(L, -1);
    lua_pushinteger(L, in);
    lua_pushinteger(L, out);
    return 2;
}

/* Opens a file by a path in which there is no link from the directory `top` on, where it begins. -1 and errno */
static int open_below(const char *top, const char *path, int flags) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char above[PATH_MAX] = ".";
    if (name - path >= (long)sizeof above) return errno = ENAMETOOLONG, -1;
    if (slash) memcpy(above, path, (size_t)(name - path)), above[name - path] = 0;
    long at = sys(__NR_openat, AT_FDCWD, top, O_PATH | O_DIRECTORY | O_CLOEXEC);
    long directory = FAILED(at) ? at : resolve(at, above, O_DIRECTORY, RESOLVE_NO_SYMLINKS);
    if (!FAILED(at)) sys(__NR_close, at);
    if (FAILED(directory)) return errno = (int)-directory, -1;
    long fd = sys(__NR_openat, directory, name, flags | O_NOFOLLOW, 0666);
    sys(__NR_close, directory);
    return FAILED(fd) ? (errno = (int)-fd, -1) : (int)fd;
}

/* Never blocks and never takes a terminal; the program gets an ordinary, blocking descriptor. top: as for open_below;
 * NULL: links are followed */
static int open_file(struct bag *bag, const char *top, const char *path, int flags) {
    int how = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = put(bag, ns_above_stdio(top ? open_below(top, path, how) : open(path, how, 0666)));
    return fd >= 0 && fcntl(fd, F_SETFL, flags & O_APPEND) < 0 ? -1 : fd;
}

/* bag:open(path, flags, [top]) -> fd | nil, message, errno. top: the directory that the path begins in, and there is no
 * link in it from there on. */
static int bag_open(lua_State *L) {
    const char *top = luaL_optstring(L, 4, NULL);
    return nsL_number(L, open_file(check_bag(L), top, luaL_checkstring(L, 2), (int)luaL_checkinteger(L, 3)));
}

/* bag:null() -> fd of /dev/null | nil, message, errno. A file that only has its name would keep what is written. */
static int bag_null(lua_State *L) {
    struct stat s;
    int fd = open_file(check_bag(L), NULL, "/dev/null", O_RDWR);
    if (fd < 0 || fstat(fd, &s) < 0) return nsL_failed(L, errno);
    return S_ISCHR(s.st_mode) && s.st_rdev == makedev(1, 3) ? nsL_number(L, fd) : nsL_failed(L, ENODEV);
}

/* bag:file(fd, "r"|"w"|"t", [what lives as long as the file]) -> file | nil, message, errno. The descriptor is the
 * file's from now on. */
static int bag_file(lua_State *L) {
    struct bag *bag = check_bag(L);
    int fd = (int)luaL_checkinteger(L, 2);
    const char *mode = luaL_checkstring(L, 3);
    lua_settop(L, 4);
    if (!nsL_pushfile(L, fd, mode, 4)) return nsL_failed(L, errno);
    take(bag, fd);
    return 1;
}

/* Opens the pipe or terminal of a descriptor once more: O_NONBLOCK belongs to what open(2) has made, so the new
 * descriptor has one of its own. */
static int reopen(int fd) {
    char path[32];
    struct stat same, found;
    if (fstat(fd, &same) < 0) return -1;
    if (!S_ISFIFO(same.st_mode) && !isatty(fd)) return -1;
    int flags = fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int other = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    bool ok = other >= 0 && fstat(other, &found) == 0 && found.st_dev == same.st_dev && found.st_ino == same.st_ino &&
              fcntl(other, F_SETFL, flags) == 0;
    if (ok || other < 0) return other;
    close(other);
    return -1;
}

/* bag:blocking(fd) -> fd of the same pipe or terminal that blocks | nil, where it cannot be opened anew (sockets
 * cannot) */
static int bag_blocking(lua_State *L) {
    int fd = put(check_bag(L), ns_above_stdio(reopen((int)luaL_checkinteger(L, 2))));
    if (fd < 0) return 0;
    lua_pushinteger(L, fd);
    return 1;
}

/* bag:pidfd(pid) -> fd | nil, message, errno */
static int bag_pidfd(lua_State *L) {
    long fd = sys(__NR_pidfd_open, luaL_checkinteger(L, 2), 0);
    return FAILED(fd) ? nsL_failed(L, (int)-fd) : nsL_number(L, put(check_bag(L), ns_above_stdio((int)fd)));
}

/* bag:close([fd]): one, or all that are left */
static int bag_close(lua_State *L) {
    struct bag *bag = check_bag(L);
    if (lua_isnumber(L, 2)) {
        int fd = (int)lua_tointeger(L, 2);
        take(bag, fd);
        close(fd);
    }
    while (!lua_isnumber(L, 2) && bag->count > 0) close(bag->fds[--bag->count]);
    if (bag->count == 0) {
        free(bag->fds);
        *bag = (struct bag){0};
    }
    return 0;
}

/* The path of a pty's slave, if it leads to that one. */
static const char *slave_path(int master, int slave, char *path, size_t size) {
    struct stat there, here;
    bool same = ptsname_r(master, path, size) == 0 && stat(path, &there) == 0 && fstat(slave, &here) == 0 &&
                there.st_dev == here.st_dev && there.st_ino == here.st_ino;
    return same ? path : NULL;
}

/* bag:pty(rows, columns) -> master, slave, [path of the slave] | nil, what, errno. The slave is had from the master
 * itself: no path is asked. */
static int bag_pty(lua_State *L) {
    struct bag *bag = check_bag(L);
    struct winsize size = {.ws_row = (unsigned short)luaL_checkinteger(L, 2),
                           .ws_col = (unsigned short)luaL_checkinteger(L, 3)};
    const char *what = "/dev/ptmx";
    char path[64];
    int unlock = 0, slave = -1;
    int master = put(bag, ns_above_stdio(open(what, O_RDWR | O_NOCTTY | O_CLOEXEC)));
    if (master >= 0) {
        what = "pts";
        if (ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCSWINSZ, &size) == 0)
            slave = put(bag, ns_above_stdio(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)));
    }
    if (slave < 0) return nsL_refused(L, what, errno);
    lua_pushinteger(L, master);
    lua_pushinteger(L, slave);
    lua_pushstring(L, slave_path(master, slave, path, sizeof path));
    return 3;
}

/* Is it the host's end of a terminal? A program that may trace the launcher sends what it likes. */
static bool is_master(int fd) {
    struct stat s;
    int number;
    return fstat(fd, &s) == 0 && S_ISCHR(s.st_mode) && s.st_rdev == makedev(5, 2) && ioctl(fd, TIOCGPTN, &number) == 0;
}

/* bag:opened_pty(handle) -> master, of the terminal that its launcher has opened | nil, message, errno */
static int bag_opened_pty(lua_State *L) {
    struct bag *bag = check_bag(L);
    struct process *p = luaL_checkudata(L, 2, PROCESS);
    if (!is_master(p->pty)) return nsL_failed(L, ENOTTY);
    int master = put(bag, p->pty);
    p->pty = -1;
    return master >= 0 && fcntl(master, F_SETFL, 0) < 0 ? nsL_failed(L, errno) : nsL_number(L, master);
}

/* bag:dup(fd) -> another descriptor for the same | nil, message, errno */
static int bag_dup(lua_State *L) {
    return nsL_number(L, put(check_bag(L), fcntl((int)luaL_checkinteger(L, 2), F_DUPFD_CLOEXEC, 3)));
}

/* bag:lock(path, [alone]) -> fd of a file that is locked for reading (F_SETLK in fcntl(2)) until the bag is closed, or
 * this process has closed the file by another way | nil, message, errno. alone: for writing, when nobody else has
 * locked it; the file is made if it is not there. */
static int bag_lock(lua_State *L) {
    struct bag *bag = check_bag(L);
    bool alone = lua_toboolean(L, 3);
    struct flock all = {.l_type = alone ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    int flags = alone ? O_RDWR | O_CREAT : O_RDONLY | O_NONBLOCK;
    int fd = put(bag, open(luaL_checkstring(L, 2), flags | O_CLOEXEC, 0600));
    return fd >= 0 && fcntl(fd, alone ? F_SETLKW : F_SETLK, &all) < 0 ? nsL_failed(L, errno) : nsL_number(L, fd);
}

static long clone_tree(long from, const char *path) {
    return sys(__NR_open_tree, from, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
}

/* Makes all mounts of a detached tree MS_PRIVATE or MS_SLAVE: the copy of a shared mount is its peer, and what is
 * mounted in one of the two would appear in the other. Before Linux 5.12, and where a filter refuses mount_setattr(2),
 * by mount(2). */
static long set_propagation(long tree, uint64_t kind) {
    struct mount_attr attr = {.propagation = kind};
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%ld", tree);
    long r = sys(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr);
    return FAILED(r) ? sys(__NR_mount, 0, path, 0, kind | MS_REC, 0) : r;
}

/* There may be many trees, and the host wants descriptors, too. A number from half of the soft limit on is exchanged
 * for one above that limit, which the host cannot get anyway; the limit is lifted for that moment. */
static int make_room(int fd) {
    struct rlimit limit, lifted;
    if (fd < 128 || getrlimit(RLIMIT_NOFILE, &limit) < 0 || (rlim_t)fd < limit.rlim_cur / 2) return fd;
    lifted = (struct rlimit){limit.rlim_max, limit.rlim_max};
    if (limit.rlim_cur >= limit.rlim_max || setrlimit(RLIMIT_NOFILE, &lifted) < 0) return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, (int)limit.rlim_cur);
    setrlimit(RLIMIT_NOFILE, &limit);
    if (above < 0) return fd;
    close(fd);
    return above;
}

/* Opens a path in which there is no link: from `top` on, where it is relative to that; NULL: all of it. */
static long open_unlinked(const char *top, const char *path) {
    if (!top) return resolve(AT_FDCWD, path, 0, RESOLVE_NO_SYMLINKS);
    long at = sys(__NR_openat, AT_FDCWD, top, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (FAILED(at)) return at;
    long fd = resolve(at, path, 0, RESOLVE_NO_SYMLINKS);
    sys(__NR_close, at);
    return fd;
}

/* bag:open_tree(path or fd, propagation, nofollow, [top]) -> fd of a detached tree | nil, message, errno. nofollow:
 * there is no link in the path; top: the directory that the path begins in, and there is no link in it from there
 * on. */
static int bag_open_tree(lua_State *L) {
    struct bag *bag = check_bag(L);
    uint64_t kind = (uint64_t)luaL_checkinteger(L, 3);
    const char *top = luaL_optstring(L, 5, NULL);
    long tree;
    if (lua_type(L, 2) == LUA_TNUMBER) {
        tree = clone_tree((long)lua_tointeger(L, 2), "");
    } else if (top || lua_toboolean(L, 4)) {
        long from = open_unlinked(top, luaL_checkstring(L, 2));
        tree = FAILED(from) ? from : clone_tree(from, "");
        if (!FAILED(from)) sys(__NR_close, from);
    } else {
        tree = clone_tree(AT_FDCWD, luaL_checkstring(L, 2));
    }
    if (FAILED(tree)) return nsL_failed(L, (int)-tree);
    long r = set_propagation(tree, kind);
    if (FAILED(r)) sys(__NR_close, tree);
    return FAILED(r) ? nsL_failed(L, (int)-r) : nsL_number(L, put(bag, make_room(ns_above_stdio((int)tree))));
}

static const luaL_Reg methods[] = {{"pipe", bag_pipe},
                                   {"open", bag_open},
                                   {"lock", bag_lock},
                                   {"null", bag_null},
                                   {"file", bag_file},
                                   {"open_tree", bag_open_tree},
                                   {"pty", bag_pty},
                                   {"dup", bag_dup},
                                   {"close", bag_close},
                                   {"__gc", bag_close},
                                   {"blocking", bag_blocking},
                                   {"pidfd", bag_pidfd},
                                   {"opened_pty", bag_opened_pty},
                                   {NULL, NULL}};

static const luaL_Reg functions[] = {{"bag", new_bag}, {NULL, NULL}};

void nsL_open_bag(lua_State *L) {
    nsL_class(L, BAG, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
