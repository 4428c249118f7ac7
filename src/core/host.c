/* Functions by which the Lua side learns of the host: its ids, environment, files, limits; and small calls that only C
 * can make. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "io.h"
#include "open.h"
#include "result.h"

extern char **environ;

/* environ() -> {"NAME=value", ...} */
static int host_environ(lua_State *L) {
    lua_newtable(L);
    for (int i = 0; environ && environ[i]; i++) {
        lua_pushstring(L, environ[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* The effective capabilities, as a mask. Where capget(2) is refused, root is taken to have all: the step that needs one
 * that is missing will then fail, and be named. */
static uint64_t capabilities(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {0};
    if (FAILED(sys(__NR_capget, &head, sets))) return geteuid() == 0 ? (1ull << 41) - 1 : 0;
    return sets[0].effective | (uint64_t)sets[1].effective << 32;
}

/* ids() -> {uid=, gid=, euid=, egid=, pid=, ppid=, caps=, secure=} of the host */
static int host_ids(lua_State *L) {
    const struct {
        const char *name;
        lua_Integer value;
    } rows[] = {{"uid", getuid()},   {"gid", getgid()}, {"euid", geteuid()},
                {"egid", getegid()}, {"pid", getpid()}, {"ppid", getppid()}};
    lua_createtable(L, 0, 32); /* with room for the fields that survey.host adds */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        lua_pushinteger(L, rows[i].value);
        lua_setfield(L, -2, rows[i].name);
    }
    lua_pushnumber(L, (lua_Number)capabilities());
    lua_setfield(L, -2, "caps");
    lua_pushboolean(L, getauxval(AT_SECURE) != 0);
    lua_setfield(L, -2, "secure");
    return 1;
}

static int host_strerror(lua_State *L) {
    lua_pushstring(L, strerror((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* clock() -> seconds that only grow */
static int host_clock(lua_State *L) {
    lua_pushnumber(L, (lua_Number)ns_clock());
    return 1;
}

/* owner(path or fd) -> uid, gid, mode, false | uid, gid, mode, "c" or "b", major, minor, of a device | nil, message,
 * errno */
static int host_owner(lua_State *L) {
    struct stat s;
    bool fd = lua_type(L, 1) == LUA_TNUMBER;
    int r = fd ? fstat((int)lua_tointeger(L, 1), &s) : stat(luaL_checkstring(L, 1), &s);
    if (r < 0) return nsL_done(L, -errno);
    lua_pushnumber(L, s.st_uid);
    lua_pushnumber(L, s.st_gid);
    lua_pushnumber(L, s.st_mode & 07777);
    bool is_device = S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode);
    if (!is_device) return lua_pushboolean(L, 0), 4;
    lua_pushstring(L, S_ISCHR(s.st_mode) ? "c" : "b");
    lua_pushinteger(L, (lua_Integer)major(s.st_rdev));
    lua_pushinteger(L, (lua_Integer)minor(s.st_rdev));
    return 6;
}

/* stamp({path, ...}) -> a string that changes when one of the files does: its inode, size or times */
static int host_stamp(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    int count = (int)nsL_rawlen(L, 1);
    luaL_checkstack(L, count + 1, "too many paths");
    for (int i = 1; i <= count; i++) {
        struct stat s;
        char text[128] = "-;";
        lua_rawgeti(L, 1, i);
        if (stat(luaL_checkstring(L, -1), &s) == 0)
            snprintf(text, sizeof text, "%jx:%jx:%jx:%jx.%lx:%jx.%lx;", (uintmax_t)s.st_dev, (uintmax_t)s.st_ino,
                     (uintmax_t)s.st_size, (uintmax_t)s.st_mtim.tv_sec, s.st_mtim.tv_nsec, (uintmax_t)s.st_ctim.tv_sec,
                     s.st_ctim.tv_nsec);
        lua_pop(L, 1);
        lua_pushstring(L, text);
    }
    lua_concat(L, count);
    return 1;
}

/* environ_stamp() -> a number that changes when the environment does: a hash of it (FNV-1a, 53 bits) */
static int host_environ_stamp(lua_State *L) {
    uint64_t hash = 14695981039346656037u;
    for (char **e = environ; e && *e; e++) {
        for (const char *c = *e;; c++) {
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
            if (!*c) break;
        }
    }
    lua_pushnumber(L, (lua_Number)(hash >> 11));
    return 1;
}

/* random(n) -> an integer from 0 to n - 1, from getrandom(2): unlike math.random it cannot be foretold. Where a filter
 * refuses that call, it is made of the clock and the pid. */
static int host_random(lua_State *L) {
    uint64_t bits;
    if (sys(__NR_getrandom, &bits, sizeof bits, 1 /* GRND_NONBLOCK */) != sizeof bits) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        bits = (uint64_t)t.tv_nsec * 2654435761u ^ (uint64_t)getpid() << 32;
    }
    lua_pushinteger(L, (lua_Integer)(bits % (uint64_t)luaL_checkinteger(L, 1)));
    return 1;
}

/* idmap(fd of a detached tree, path of a user namespace) -> true | nil, message, errno. Maps the ids of all mounts in
 * the tree as that namespace maps them. */
static int host_idmap(lua_State *L) {
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
    long tree = (long)luaL_checkinteger(L, 1);
    long user = sys(__NR_openat, AT_FDCWD, luaL_checkstring(L, 2), O_RDONLY | O_CLOEXEC);
    if (FAILED(user)) return nsL_done(L, user);
    attr.userns_fd = (uint64_t)user;
    long r = sys(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr);
    sys(__NR_close, user);
    return nsL_done(L, r);
}

static bool is_same(const char *a, const char *b) {
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

/* realpath(path) -> the path without links | nil, message, errno. EXDEV: a magic link is in it, as /proc/PID/root,
 * which leads to another place than its text says. */
static int host_realpath(lua_State *L) {
    const char *given = luaL_checkstring(L, 1);
    char path[PATH_MAX];
    if (!realpath(given, path)) return nsL_done(L, -errno);
    if (strcmp(given, path) != 0 && !is_same(given, path)) return nsL_done(L, -EXDEV);
    lua_pushstring(L, path);
    return 1;
}

/* How much is read of a directory. Each entry of a root directory becomes a mount, and an enemy may have filled it. */
enum { ENTRIES_MAX = 10000, ENTRIES_BYTES_MAX = 4 << 20 };

/* Adds {name=, link= its target, if it is a link} to the table on top of the stack. Returns the bytes of both; -1 and
 * errno if the link cannot be read */
static ssize_t add_entry(lua_State *L, DIR *dir, const struct dirent *d, int number) {
    char link[4096];
    bool may_be_link = d->d_type == DT_LNK || d->d_type == DT_UNKNOWN;
    ssize_t n = may_be_link ? readlinkat(dirfd(dir), d->d_name, link, sizeof link) : -1;
    if (may_be_link && n < 0 && errno != EINVAL) return -1;
    lua_createtable(L, 0, 2);
    lua_pushstring(L, d->d_name);
    lua_setfield(L, -2, "name");
    if (n >= 0) {
        lua_pushlstring(L, link, (size_t)n);
        lua_setfield(L, -2, "link");
    }
    lua_rawseti(L, -2, number);
    return (ssize_t)strlen(d->d_name) + (n > 0 ? n : 0);
}

/* Adds all entries to the table on top of the stack: 0, or an errno. */
static int add_entries(lua_State *L, DIR *dir) {
    ssize_t bytes = 0;
    int count = 0;
    for (struct dirent *d; errno = 0, (d = readdir(dir));) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        if (count == ENTRIES_MAX || bytes > ENTRIES_BYTES_MAX) return E2BIG;
        ssize_t more = add_entry(L, dir, d, ++count);
        if (more < 0) return errno;
        bytes += more;
    }
    return errno; /* 0 at the end of the directory, or why readdir has failed */
}

/* entries(directory) -> {{name=, [link=]}, ...}, unsorted | nil, message, errno; E2BIG: there are too many */
static int host_entries(lua_State *L) {
    DIR **dir = lua_newuserdata(L, sizeof *dir); /* its __gc closes the directory if an error is raised below */
    *dir = NULL;
    nsL_setclass(L, "ns.Directory");
    *dir = opendir(luaL_checkstring(L, 1));
    if (!*dir) return nsL_done(L, -errno);
    lua_newtable(L);
    int error = add_entries(L, *dir);
    closedir(*dir);
    *dir = NULL;
    return error ? nsL_done(L, -error) : 1;
}

static int directory_close(lua_State *L) {
    DIR **dir = lua_touserdata(L, 1);
    if (*dir) closedir(*dir);
    *dir = NULL;
    return 0;
}

/* user(name) -> uid, gid | nothing;  group(name) -> gid | nothing: as the host knows them */
static int host_user(lua_State *L) {
    const struct passwd *entry = getpwnam(luaL_checkstring(L, 1));
    if (!entry) return 0;
    lua_pushnumber(L, entry->pw_uid);
    lua_pushnumber(L, entry->pw_gid);
    return 2;
}

static int host_group(lua_State *L) {
    const struct group *entry = getgrnam(luaL_checkstring(L, 1));
    if (!entry) return 0;
    lua_pushnumber(L, entry->gr_gid);
    return 1;
}

/* A child that has not executed yet shares our memory, and if that is not dumpable, as in a copy that has become
 * another user, its files in /proc are root's until then. */
static long open_of_child(const char *path) {
    const struct timespec pause = {0, 1000000};
    long fd = sys(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    for (int i = 0; fd == -EACCES && i < 1000 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1; i++) {
        nanosleep(&pause, NULL);
        fd = sys(__NR_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    }
    return fd;
}

/* write(path, bytes) -> true | nil, message, errno. With one write(2): files of /proc take their value whole. */
static int host_write(lua_State *L) {
    size_t size;
    const char *path = luaL_checkstring(L, 1), *data = luaL_checklstring(L, 2, &size);
    long fd = open_of_child(path);
    if (FAILED(fd)) return nsL_done(L, fd);
    long n = sys(__NR_write, fd, data, size);
    sys(__NR_close, fd);
    return nsL_done(L, FAILED(n) || n == (long)size ? n : -EIO);
}

/* isfile(path) -> is it, or does the link lead to, a regular file? | nil, message, errno */
static int host_isfile(lua_State *L) {
    struct stat s;
    if (stat(luaL_checkstring(L, 1), &s) < 0) return nsL_done(L, -errno);
    lua_pushboolean(L, S_ISREG(s.st_mode));
    return 1;
}

/* isnoexec(path) -> does it lie on a mount of which nothing is executed? */
static int host_isnoexec(lua_State *L) {
    struct statvfs s;
    lua_pushboolean(L, statvfs(luaL_checkstring(L, 1), &s) == 0 && s.f_flag & ST_NOEXEC);
    return 1;
}

/* head(path) -> the first 4096 bytes of a regular file | nothing. A FIFO or a device is not opened: that could block,
 * or have an effect. */
static int host_head(lua_State *L) {
    char bytes[4096];
    const char *path = luaL_checkstring(L, 1);
    struct stat s;
    if (stat(path, &s) < 0 || !S_ISREG(s.st_mode)) return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (fd >= 0) close(fd);
    if (n < 0) return 0;
    lua_pushlstring(L, bytes, (size_t)n);
    return 1;
}

/* isopen(fd) -> boolean */
static int host_isopen(lua_State *L) {
    lua_pushboolean(L, fcntl((int)luaL_checkinteger(L, 1), F_GETFD) >= 0);
    return 1;
}

/* blocks(fd) -> false if O_NONBLOCK is set, else true | nothing, if it is not open */
static int host_blocks(lua_State *L) {
    int flags = fcntl((int)luaL_checkinteger(L, 1), F_GETFL);
    if (flags < 0) return 0;
    lua_pushboolean(L, !(flags & O_NONBLOCK));
    return 1;
}

/* block(fd): clears O_NONBLOCK, for all processes that share the open file */
static int host_block(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return 0;
}

/* access(path, mode) -> true | nil, message, errno; mode as in access(2), with the effective ids */
static int host_access(lua_State *L) {
    int r = faccessat(AT_FDCWD, luaL_checkstring(L, 1), (int)luaL_checkinteger(L, 2), AT_EACCESS);
    return nsL_done(L, r < 0 ? -errno : 0);
}

/* readlink(path) -> the target of the link | nothing, if it is no link */
static int host_readlink(lua_State *L) {
    char link[4096];
    ssize_t n = readlink(luaL_checkstring(L, 1), link, sizeof link);
    if (n < 0) return 0;
    lua_pushlstring(L, link, (size_t)n);
    return 1;
}

/* nofile() -> soft, hard: how many descriptors this process may have */
static int host_nofile(lua_State *L) {
    struct rlimit limit = {0, 0};
    getrlimit(RLIMIT_NOFILE, &limit);
    lua_pushnumber(L, (lua_Number)limit.rlim_cur);
    lua_pushnumber(L, (lua_Number)limit.rlim_max);
    return 2;
}

/* processors() -> how many we may use, at least 1 */
static int host_processors(lua_State *L) {
    unsigned char set[1024];
    long size = sys(__NR_sched_getaffinity, 0, sizeof set, set), count = 0;
    for (long i = 0; i < size * 8; i++) count += set[i / 8] >> i % 8 & 1;
    lua_pushinteger(L, count > 0 ? count : 1);
    return 1;
}

/* arg_max() -> bytes that argv and env may have together */
static int host_arg_max(lua_State *L) {
    lua_pushnumber(L, (lua_Number)sysconf(_SC_ARG_MAX));
    return 1;
}

static const luaL_Reg functions[] = {
    {"environ", host_environ},   {"ids", host_ids},
    {"strerror", host_strerror}, {"clock", host_clock},
    {"owner", host_owner},       {"entries", host_entries},
    {"idmap", host_idmap},       {"readlink", host_readlink},
    {"realpath", host_realpath}, {"user", host_user},
    {"group", host_group},       {"write", host_write},
    {"isfile", host_isfile},     {"isnoexec", host_isnoexec},
    {"head", host_head},         {"isopen", host_isopen},
    {"access", host_access},     {"blocks", host_blocks},
    {"block", host_block},       {"processors", host_processors},
    {"arg_max", host_arg_max},   {"nofile", host_nofile},
    {"stamp", host_stamp},       {"environ_stamp", host_environ_stamp}, /* for ns.start.cache */
    {"random", host_random},     {NULL, NULL},
};

void nsL_open_host(lua_State *L) {
    nsL_class(L, "ns.Directory", (luaL_Reg[]){{"__gc", directory_close}, {NULL, NULL}});
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
