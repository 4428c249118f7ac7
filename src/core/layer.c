/* What lies in a layer of an overlay, or in a directory below one. Programs have written there: no link is followed,
 * and nothing is opened that could wait for somebody. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../launcher/resolve.h"
#include "../launcher/sys.h"
#include "../launcher/text.h"
#include "bag.h"
#include "io.h"
#include "open.h"
#include "result.h"

/* The directory of an argument, a path or a descriptor: a new descriptor, or -errno. */
static long open_top(lua_State *L, int i) {
    if (lua_type(L, i) == LUA_TNUMBER) return sys(__NR_fcntl, lua_tointeger(L, i), F_DUPFD_CLOEXEC, 3);
    return sys(__NR_openat, AT_FDCWD, luaL_checkstring(L, i), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* What the argument after that names below it: a descriptor that is good for a place, or -errno. */
static long open_below(lua_State *L, int i, uint64_t flags) {
    const char *path = luaL_checkstring(L, i + 1);
    long top = open_top(L, i);
    if (FAILED(top) || !*path) return top;
    long fd = resolve(top, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    sys(__NR_close, top);
    return fd;
}

static const char *type_of(const struct stat *s) {
    if (S_ISCHR(s->st_mode) && s->st_rdev == 0) return "whiteout";
    static const struct {
        mode_t format;
        const char *name;
    } types[] = {{S_IFREG, "file"},   {S_IFDIR, "directory"}, {S_IFLNK, "link"},   {S_IFCHR, "device"},
                 {S_IFBLK, "device"}, {S_IFIFO, "pipe"},      {S_IFSOCK, "socket"}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].format == (s->st_mode & S_IFMT)) return types[i].name;
    return "unknown";
}

/* Does it hide what the layers below have in a directory of this name? */
static bool is_opaque(const char *path) {
    static const char *const names[] = {"user.overlay.opaque", "trusted.overlay.opaque"};
    char value[2];
    for (int i = 0; i < 2; i++)
        if (getxattr(path, names[i], value, sizeof value) == 1 && value[0] == 'y') return true;
    return false;
}

/* What the launcher has noted of a directory that it has made for a mount (`src/launcher/overlay.c`): [made=] its mode
 * then, [foreign=] are its ids others than those of what lies below? */
static void set_made(lua_State *L, const char *path) {
    char note[6] = "";
    if (getxattr(path, "user.overlay.ns", note, 5) != 5 && getxattr(path, "trusted.overlay.ns", note, 5) != 5) return;
    lua_pushinteger(L, (lua_Integer)strtol(note, NULL, 8));
    lua_setfield(L, -2, "made");
    lua_pushboolean(L, note[4] == '~');
    lua_setfield(L, -2, "foreign");
}

static void set_number(lua_State *L, const char *name, double value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

/* Pushes {type=, size=, mode=, uid=, gid=, mtime=, links=, [link=], [opaque=], [made=, foreign=]} of what is open as a
 * place. */
static int push_entry(lua_State *L, long fd) {
    struct stat s;
    char path[32], link[4096];
    if (fstat((int)fd, &s) < 0) return -errno;
    lua_createtable(L, 0, 12);
    lua_pushstring(L, type_of(&s));
    lua_setfield(L, -2, "type");
    set_number(L, "size", (double)s.st_size), set_number(L, "mode", s.st_mode & 07777);
    set_number(L, "uid", s.st_uid), set_number(L, "gid", s.st_gid), set_number(L, "links", (double)s.st_nlink);
    set_number(L, "mtime", (double)s.st_mtim.tv_sec), set_number(L, "nanoseconds", (double)s.st_mtim.tv_nsec);
    ssize_t n = S_ISLNK(s.st_mode) ? readlinkat((int)fd, "", link, sizeof link) : -1;
    if (n >= 0) {
        lua_pushlstring(L, link, (size_t)n);
        lua_setfield(L, -2, "link");
    }
    if (S_ISDIR(s.st_mode)) set_made(L, path_of(fd, path));
    if (S_ISDIR(s.st_mode) && is_opaque(path_of(fd, path))) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "opaque");
    }
    return 0;
}

/* entry(top, path) -> the entry | nil, message, errno */
static int layer_entry(lua_State *L) {
    long fd = open_below(L, 1, O_NOFOLLOW);
    if (FAILED(fd)) return nsL_failed(L, (int)-fd);
    int r = push_entry(L, fd);
    sys(__NR_close, fd);
    return r < 0 ? nsL_failed(L, -r) : 1;
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Sorts the names of the table on top. Their order is a program's choice, and table.sort of some Luas can be made to
 * take as long as one likes by that. */
static void sort_names(lua_State *L, int count) {
    const char **names = lua_newuserdata(L, sizeof *names * (size_t)(count + 1));
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, -2, i + 1);
        names[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    qsort(names, (size_t)count, sizeof *names, by_bytes);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i + 1);
    }
}

/* names(top, path, [most, [cost, [over]]]) -> {name, ...}, sorted, and how many bytes that is, with `cost` for each |
 * nil, message, errno: E2BIG, if it is more than `most`, or takes longer than until `over` */
static int layer_names(lua_State *L) {
    double bytes = 0, most = luaL_optnumber(L, 3, HUGE_VAL), cost = luaL_optnumber(L, 4, 0);
    double over = luaL_optnumber(L, 5, HUGE_VAL);
    long place = open_below(L, 1, O_DIRECTORY);
    if (FAILED(place)) return nsL_failed(L, (int)-place);
    long fd = sys(__NR_openat, place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sys(__NR_close, place);
    DIR *dir = FAILED(fd) ? NULL : fdopendir((int)fd);
    if (!dir) return nsL_failed(L, FAILED(fd) ? (int)-fd : errno);
    lua_newtable(L);
    int count = 0;
    for (struct dirent *d; bytes <= most && (d = readdir(dir));) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        bytes += (double)strlen(d->d_name) + cost;
        lua_pushstring(L, d->d_name);
        lua_rawseti(L, -2, ++count);
        if (count % 1024 == 0 && ns_clock() > over) bytes = HUGE_VAL, most = 0;
    }
    closedir(dir);
    if (bytes > most) return nsL_failed(L, E2BIG);
    sort_names(L, count);
    lua_pushnumber(L, bytes);
    return 2;
}

/* file(bag, top, path) -> descriptor of a file, to be read | nil, message, errno */
static int layer_file(lua_State *L) {
    long place = open_below(L, 2, O_NOFOLLOW);
    if (FAILED(place)) return nsL_failed(L, (int)-place);
    struct stat s;
    char path[32];
    int r = fstat((int)place, &s) < 0 ? errno : S_ISREG(s.st_mode) ? 0 : EINVAL;
    long fd = r ? -r : sys(__NR_openat, AT_FDCWD, path_of(place, path), O_RDONLY | O_CLOEXEC);
    sys(__NR_close, place);
    return nsL_put(L, 1, (int)fd);
}

/* directory(bag, top, path) -> descriptor of a directory, good for a place | nil, message, errno: what lies deep is
 * then not looked for from the top each time */
static int layer_directory(lua_State *L) { return nsL_put(L, 1, open_below(L, 2, O_DIRECTORY)); }

/* lock(bag, path, [wait]) -> descriptor that has the lock of a directory, until it is closed | nil, message, errno:
 * EAGAIN, if another has it */
static int layer_lock(lua_State *L) {
    long fd = sys(__NR_openat, AT_FDCWD, luaL_checkstring(L, 2), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (FAILED(fd)) return nsL_failed(L, (int)-fd);
    int r, how = lua_toboolean(L, 3) ? LOCK_EX : LOCK_EX | LOCK_NB;
    do r = flock((int)fd, how);
    while (r < 0 && errno == EINTR);
    if (r == 0) return nsL_put(L, 1, fd);
    r = errno;
    sys(__NR_close, fd);
    return nsL_failed(L, r);
}

/* ---- what makes a layer of a directory ---- */

/* The directory above a path, below that of the first argument; *name: the last part. A descriptor, or -errno. */
static long open_parent(lua_State *L, const char **name) {
    const char *path = luaL_checkstring(L, 2), *slash = strrchr(path, '/');
    long top = open_top(L, 1);
    *name = slash ? slash + 1 : path;
    if (FAILED(top) || !slash) return top;
    lua_pushlstring(L, path, (size_t)(slash - path));
    long fd = resolve(top, lua_tostring(L, -1), O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    sys(__NR_close, top);
    return fd;
}

/* hide(top, path) -> true | nil, message, errno. Makes what hides, in an overlay, what lies below under that name. */
static int layer_hide(lua_State *L) {
    const char *name;
    long fd = open_parent(L, &name);
    if (FAILED(fd)) return nsL_failed(L, (int)-fd);
    long r = mknodat((int)fd, name, S_IFCHR, 0) < 0 ? -errno : 0;
    sys(__NR_close, fd);
    return nsL_done(L, r);
}

/* cover(top, path) -> true | nil, message, errno. The same for all that lies below in a directory of that name. */
static int layer_cover(lua_State *L) {
    char path[32];
    long fd = open_below(L, 1, O_DIRECTORY);
    if (FAILED(fd)) return nsL_failed(L, (int)-fd);
    long r = setxattr(path_of(fd, path), "user.overlay.opaque", "y", 1, 0) < 0 ? -errno : 0;
    sys(__NR_close, fd);
    return nsL_done(L, r);
}

/* dress(top, path, mode, uid, gid) -> true | nil, message, errno: of a directory */
static int layer_dress(lua_State *L) {
    char path[32];
    long fd = open_below(L, 1, O_DIRECTORY);
    if (FAILED(fd)) return nsL_failed(L, (int)-fd);
    long r = chown(path_of(fd, path), (uid_t)luaL_checknumber(L, 4), (gid_t)luaL_checknumber(L, 5)) < 0 ? -errno : 0;
    if (r == 0 && chmod(path, (mode_t)luaL_checkinteger(L, 3)) < 0) r = -errno;
    sys(__NR_close, fd);
    return nsL_done(L, r);
}

static const luaL_Reg functions[] = {
    {"layer_entry", layer_entry},         {"layer_names", layer_names}, {"layer_file", layer_file},
    {"layer_directory", layer_directory}, {"layer_lock", layer_lock},   {"layer_hide", layer_hide},
    {"layer_cover", layer_cover},         {"layer_dress", layer_dress}, {NULL, NULL}};

void nsL_open_layer(lua_State *L) { nsL_setfuncs(L, functions); }
