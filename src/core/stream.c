/* A descriptor as a real Lua file, and what else the Lua side needs to know of descriptors. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/sys.h"

static int push_result(lua_State *L, int value) {
    if (value >= 0) {
        lua_pushinteger(L, value);
        return 1;
    }
    int error = errno;
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    lua_pushinteger(L, error);
    return 3;
}

/* ---- a writer that does not die of SIGPIPE ---- */

/* Writes with SIGPIPE held back; one that came of this write is taken away again, so that a program which ends before it
 * has read everything is an error for the host, not its death. */
ssize_t ns_write_quietly(int fd, const char *s, size_t size) {
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    ssize_t n = write(fd, s, size);
    int error = errno;
    if (n < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &(struct timespec){0, 0}) < 0 && errno == EINTR) continue;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return n;
}

/* fopencookie(3)'s writer says 0 for an error */
static ssize_t write_cookie(void *cookie, const char *s, size_t size) {
    ssize_t n = ns_write_quietly((int)(intptr_t)cookie, s, size);
    return n < 0 ? 0 : n;
}

static int close_cookie(void *cookie) { return close((int)(intptr_t)cookie); }

static FILE *open_stream(int fd, const char *mode) {
    cookie_io_functions_t writer = {.write = write_cookie, .close = close_cookie};
    return mode[0] == 'w' ? fopencookie((void *)(intptr_t)fd, mode, writer) : fdopen(fd, mode);
}

/* ---- Lua's file handle, which each Lua makes in its own way ---- */

static int push_closed(lua_State *L, int ok, int error) {
    if (ok) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    lua_pushinteger(L, error);
    return 3;
}

#if LUA_VERSION_NUM == 501
#define STREAM FILE *

/* Lua 5.1 finds a file's closing function in the environment of its userdata, and crashes without one. */
static int close_file(lua_State *L) {
    FILE **f = lua_touserdata(L, 1);
    int ok = fclose(*f) == 0, error = errno;
    *f = NULL;
    return push_closed(L, ok, error);
}

/* LuaJIT knows its own files alone: one is opened and its FILE replaced. One binary serves both: this is asked at run time. */
static FILE **push_jit_file(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "ns.open");
    lua_pushliteral(L, "/dev/null");
    lua_call(L, 1, 1);
    FILE **f = lua_touserdata(L, -1);
    if (!f) luaL_error(L, "cannot open /dev/null");
    fclose(*f);
    *f = NULL;
    return f;
}

/* An empty handle; its FILE is stored when nothing can fail any more. */
static FILE **push_handle(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "ns.open");
    bool jit = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (jit) return push_jit_file(L);
    FILE **f = lua_newuserdata(L, sizeof *f);
    *f = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_file);
    lua_setfield(L, -2, "__close");
    lua_setfenv(L, -2);
    nsL_setclass(L, LUA_FILEHANDLE);
    return f;
}

/* io.open, kept while the libraries are still the originals: only LuaJIT needs it. */
void nsL_open_stream(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "jit");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -2, "io");
        lua_getfield(L, -1, "open");
        lua_setfield(L, LUA_REGISTRYINDEX, "ns.open");
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
}

static FILE *handle_file(FILE **f) { return *f; }
#else
#define STREAM luaL_Stream

static int close_file(lua_State *L) {
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    int ok = fclose(stream->f) == 0, error = errno;
    return push_closed(L, ok, error);
}

static FILE **push_handle(lua_State *L) {
    luaL_Stream *stream = lua_newuserdata(L, sizeof *stream);
    stream->f = NULL;
    stream->closef = NULL;
    nsL_setclass(L, LUA_FILEHANDLE);
    stream->closef = close_file;
    return &stream->f;
}

void nsL_open_stream(lua_State *L) { (void)L; }

static FILE *handle_file(luaL_Stream *stream) { return stream->closef ? stream->f : NULL; }
#endif

/* fileno(file) -> fd | nil, message, errno */
int nsL_fileno(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    errno = EBADF;
    return push_result(L, f ? fileno(f) : -1);
}

/* How many bytes stdio has read ahead. */
static size_t read_ahead(FILE *f) {
#ifdef __GLIBC__
    return (size_t)(f->_IO_read_end - f->_IO_read_ptr);
#else
    return __freadahead(f);
#endif
}

/* buffered(file) -> what the file has read ahead, as a string: the descriptor will not give it again */
int nsL_buffered(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    char bytes[BUFSIZ];
    size_t n = f ? read_ahead(f) : 0;
    n = n > 0 ? fread(bytes, 1, n < sizeof bytes ? n : sizeof bytes, f) : 0;
    lua_pushlstring(L, bytes, n);
    return 1;
}

/* ---- a bag of descriptors: what is opened for a spawn belongs to it, whatever goes wrong ---- */

#define BAG "ns.Bag"

struct bag {
    int *fds;
    size_t count, room;
};

static struct bag *check_bag(lua_State *L) { return luaL_checkudata(L, 1, BAG); }

/* bag() */
int nsL_bag(lua_State *L) {
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

static void take(struct bag *bag, int fd) {
    for (size_t i = 0; i < bag->count; i++)
        if (bag->fds[i] == fd) bag->fds[i] = bag->fds[--bag->count];
}

/* bag:pipe() -> read end, write end | nil, message, errno */
static int bag_pipe(lua_State *L) {
    struct bag *bag = check_bag(L);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return push_result(L, -1);
    int in = put(bag, ns_above_stdio(ends[0])), error = errno;
    int out = put(bag, ns_above_stdio(ends[1]));
    if (in < 0) errno = error;
    if (in < 0 || out < 0) return push_result(L, -1);
    lua_pushinteger(L, in);
    lua_pushinteger(L, out);
    return 2;
}

/* bag:open(path, flags) -> fd | nil, message, errno. Never blocks and never takes a terminal. */
static int bag_open(lua_State *L) {
    struct bag *bag = check_bag(L);
    int flags = (int)luaL_checkinteger(L, 3);
    int fd = open(luaL_checkstring(L, 2), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    fd = put(bag, ns_above_stdio(fd));
    if (fd >= 0) fcntl(fd, F_SETFL, flags & O_APPEND); /* the program gets an ordinary, blocking descriptor */
    return push_result(L, fd);
}

/* bag:file(fd, "r"|"w") -> file | nil, message, errno. The descriptor is the file's from now on. */
static int bag_file(lua_State *L) {
    struct bag *bag = check_bag(L);
    int fd = (int)luaL_checkinteger(L, 2);
    const char *mode = luaL_checkstring(L, 3);
    FILE **slot = push_handle(L);
    *slot = open_stream(fd, mode);
    if (!*slot) return push_result(L, -1);
    take(bag, fd);
    return 1;
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

/* bag:pty(rows, columns) -> master, slave | nil, what, errno. The slave is had from the master itself: no path is asked. */
static int bag_pty(lua_State *L) {
    struct bag *bag = check_bag(L);
    struct winsize size = {.ws_row = (unsigned short)luaL_checkinteger(L, 2),
                           .ws_col = (unsigned short)luaL_checkinteger(L, 3)};
    const char *what = "/dev/ptmx";
    int unlock = 0, slave = -1;
    int master = put(bag, ns_above_stdio(open(what, O_RDWR | O_NOCTTY | O_CLOEXEC)));
    if (master >= 0) {
        what = "pts";
        if (ioctl(master, TIOCSPTLCK, &unlock) == 0 && ioctl(master, TIOCSWINSZ, &size) == 0)
            slave = put(bag, ns_above_stdio(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)));
    }
    int error = errno;
    if (slave < 0) {
        lua_pushnil(L);
        lua_pushstring(L, what);
        lua_pushinteger(L, error);
        return 3;
    }
    lua_pushinteger(L, master);
    lua_pushinteger(L, slave);
    return 2;
}

/* bag:dup(fd) -> another descriptor for the same | nil, message, errno */
static int bag_dup(lua_State *L) {
    return push_result(L, put(check_bag(L), fcntl((int)luaL_checkinteger(L, 2), F_DUPFD_CLOEXEC, 3)));
}

/* Gives a detached tree its attributes and, with a user namespace, its ids. */
static const char *set_tree(int tree, uint64_t flags, const char *user) {
    struct {
        uint64_t set, clear, propagation, userns;
    } attr = {flags, 0, 0, 0};
    if (flags && sys(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr) < 0)
        return "attributes";
    if (!user) return NULL;
    int fd = open(user, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return "idmap";
    attr.set = 0x100000 /* MOUNT_ATTR_IDMAP */;
    attr.userns = (uint64_t)fd;
    long r = sys(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr);
    close(fd);
    errno = FAILED(r) ? (int)-r : 0;
    return FAILED(r) ? "idmap" : NULL;
}

/* bag:tree(path or fd, attributes, [path of a user namespace]) -> fd of a detached tree | nil, what, errno */
static int bag_tree(lua_State *L) {
    struct bag *bag = check_bag(L);
    const char *path = lua_type(L, 2) == LUA_TNUMBER ? "" : luaL_checkstring(L, 2), *what = "open_tree";
    long from = lua_type(L, 2) == LUA_TNUMBER ? (long)lua_tointeger(L, 2) : AT_FDCWD;
    unsigned how = 1u /* OPEN_TREE_CLONE */ | O_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
    long tree = sys(__NR_open_tree, from, path, how);
    if (FAILED(tree)) errno = (int)-tree;
    int fd = put(bag, FAILED(tree) ? -1 : ns_above_stdio((int)tree));
    if (fd >= 0) {
        what = set_tree(fd, (uint64_t)luaL_checknumber(L, 3), luaL_optstring(L, 4, NULL));
        if (!what) return push_result(L, fd);
    }
    int error = errno;
    lua_pushnil(L);
    lua_pushstring(L, what);
    lua_pushinteger(L, error);
    return 3;
}

static const luaL_Reg methods[] = {{"pipe", bag_pipe},   {"open", bag_open},  {"file", bag_file},
                                   {"tree", bag_tree},   {"pty", bag_pty},    {"dup", bag_dup},
                                   {"close", bag_close}, {"__gc", bag_close}, {NULL, NULL}};

void nsL_open_bag(lua_State *L) {
    nsL_class(L, BAG, methods);
    lua_pop(L, 1);
}
