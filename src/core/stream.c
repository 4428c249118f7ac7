/* Makes Lua files of descriptors, and has the functions that look into the buffers of such files. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"
#include "open.h"
#include "result.h"

static _Thread_local char *diverted; /* not NULL: writers copy the bytes to here instead, for pending() */
static _Thread_local bool hurried;   /* writers drop what cannot be written at once, for hurry() */
static bool leaving; /* the same from the end of the host on: exit(3) flushes all files after this is set */

__attribute__((destructor)) static void leave(void) { leaving = true; }

/* Until when what is read from that descriptor now, or written, may take; 0: as long as it takes. What is there at once
 * is taken anyway. */
static _Thread_local struct {
    int fd;
    double until;
    bool begun;
} limit;

static bool has_limit(int fd) { return limit.until != 0 && limit.fd == fd; }

static bool is_late(int fd) {
    bool late = has_limit(fd) && limit.begun && ns_clock() >= limit.until;
    limit.begun = true;
    if (late) errno = EAGAIN;
    return late;
}

static bool await(int fd, short events) {
    struct timespec t;
    double left = has_limit(fd) ? limit.until - ns_clock() : -1;
    bool late = has_limit(fd) && left <= 0; /* then it may be ready, and is not waited for all the same */
    int ready = late ? 0 : ppoll(&(struct pollfd){fd, events, 0}, 1, ns_timeout(left, &t), NULL);
    if (ready == 0) errno = EAGAIN;
    return ready > 0;
}

/* fopencookie(3)'s writer. stdio takes a short write for an error, and drops the rest: so this goes on until all is
 * written, also after a signal. The descriptor does not block: where the pipe is full, a file's own write waits for
 * room, but the collector and the end of the host do not. */
static ssize_t write_cookie(void *cookie, const char *s, size_t size) {
    int fd = (int)(intptr_t)cookie;
    size_t done = diverted ? size : 0;
    if (diverted) diverted = mempcpy(diverted, s, size);
    while (done < size) {
        ssize_t n = is_late(fd) ? -1 : ns_write_now(fd, s + done, size - done);
        if (n > 0) done += (size_t)n;
        if (n >= 0 || errno == EINTR) continue;
        if (errno != EAGAIN) break;
        if (hurried || leaving) return (ssize_t)size;
        if (!await(fd, POLLOUT) && errno != EINTR) break;
    }
    return (ssize_t)done;
}

/* ns_read makes an end-of-file of a terminal's EIO: for an error, a Lua file would drop what it has read before. */
static ssize_t read_cookie(void *cookie, char *s, size_t size) {
    int fd = (int)(intptr_t)cookie;
    ssize_t n;
    while ((n = is_late(fd) ? -1 : ns_read_now(fd, s, size)) < 0 && errno == EAGAIN)
        if (!await(fd, POLLIN)) break;
    return n;
}

/* A program in a box may have set that the end of its socket is waited for: whoever wants to wait reads to the end. */
static int close_cookie(void *cookie) {
    int fd = (int)(intptr_t)cookie;
    int error = errno; /* of what could not be written, which fclose(3) is about to tell */
    struct linger none = {0, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    errno = error;
    return close(fd);
}

#if defined(__GNUC__) && !defined(__clang__) /* gcc's analyzer does not follow what a userdata owns */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

static FILE *open_stream(int fd, const char *mode) {
    cookie_io_functions_t cookie = {.read = read_cookie, .write = write_cookie, .close = close_cookie};
    if (mode[0] == 'r') return fdopen(fd, mode);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) return NULL;
    return fopencookie((void *)(intptr_t)fd, mode[0] == 't' ? "r" : mode, cookie);
}

/* ---- Lua's file handle, which each Lua makes in its own way ---- */

static int push_closed(lua_State *L, int ok) {
    if (!ok) return nsL_failed(L, errno);
    lua_pushboolean(L, 1);
    return 1;
}

#if LUA_VERSION_NUM == 501
#define STREAM FILE *

/* Lua 5.1 calls the field __close in the environment of a file's userdata to close it, and crashes if an open file has
 * none. */
static int close_file(lua_State *L) {
    FILE **f = lua_touserdata(L, 1);
    int ok = fclose(*f) == 0;
    *f = NULL;
    return push_closed(L, ok);
}

/* LuaJIT takes only files that it has made itself: so its io.open makes one, and we put our FILE into it. */
static FILE **push_jit_file(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, "ns.open");
    lua_pushliteral(L, "/dev/null");
    lua_call(L, 1, 1);
    FILE **f = lua_touserdata(L, -1);
    if (!f) {
        luaL_error(L, "cannot open /dev/null");
        __builtin_unreachable();
    }
    fclose(*f);
    *f = NULL;
    return f;
}

/* Pushes a Lua file without a FILE, which is stored at the end, when nothing can fail any more. */
static FILE **push_handle(lua_State *L) {
    if (luaJIT_setmode) return push_jit_file(L);
    FILE **f = lua_newuserdata(L, sizeof *f);
    *f = NULL;
    nsL_setclass(L, LUA_FILEHANDLE);
    return f;
}

static void push_uservalue(lua_State *L, int file) { lua_getfenv(L, file); }

/* Pops a table and makes it the uservalue of the file below it, so that it lives as long. In Lua 5.1 it also has
 * __close. */
static void set_uservalue(lua_State *L) {
    lua_pushcfunction(L, close_file);
    lua_setfield(L, -2, "__close");
    lua_setfenv(L, -2);
}

/* Keeps io.open for push_jit_file, before the host may replace it. It is taken from the loaded modules; where the host
 * has emptied that table, from the global `io`. */
static void note_io_open(lua_State *L) {
    if (!luaJIT_setmode) return;
    int top = lua_gettop(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "io");
    if (!lua_istable(L, -1)) {
        lua_pushliteral(L, "io");
        lua_rawget(L, LUA_GLOBALSINDEX);
    }
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "open");
        lua_setfield(L, LUA_REGISTRYINDEX, "ns.open");
    }
    lua_settop(L, top);
}

static FILE *handle_file(FILE **f) { return *f; }
#else
#define STREAM luaL_Stream

static int close_file(lua_State *L) {
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    return push_closed(L, fclose(stream->f) == 0);
}

static FILE **push_handle(lua_State *L) {
    luaL_Stream *stream = lua_newuserdata(L, sizeof *stream);
    stream->f = NULL;
    stream->closef = NULL;
    nsL_setclass(L, LUA_FILEHANDLE);
    stream->closef = close_file;
    return &stream->f;
}

static void push_uservalue(lua_State *L, int file) { lua_getuservalue(L, file); }

/* Pops a table and makes it the uservalue of the file below it, so that it lives as long. */
static void set_uservalue(lua_State *L) { lua_setuservalue(L, -2); }

static void note_io_open(lua_State *L) { (void)L; }

static FILE *handle_file(luaL_Stream *stream) { return stream->closef ? stream->f : NULL; }
#endif

/* What the uservalue of a file holds: a value that must live as long, the number of the descriptor, the guard
 * (push_guard). */
enum uservalue { COMPANION = 1, DESCRIPTOR, GUARDED };

/* The descriptor of one of our files, from its uservalue, as fileno(3) knows none for a cookie. -1: the file is not
 * ours */
static int fd_of(lua_State *L, int file) {
    push_uservalue(L, file);
    if (!lua_istable(L, -1)) return -1;
    lua_rawgeti(L, -1, DESCRIPTOR);
    return lua_isnumber(L, -1) ? (int)lua_tointeger(L, -1) : -1;
}

/* fileno(file) -> fd | nil, message, errno */
static int stream_fileno(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    int fd = f ? fileno(f) : -1;
    if (f && fd < 0) fd = fd_of(L, 1);
    errno = EBADF;
    return nsL_number(L, fd);
}

/* How many bytes stdio has read ahead. */
static size_t read_ahead(FILE *f) {
#ifdef __GLIBC__
    return (size_t)(f->_IO_read_end - f->_IO_read_ptr);
#else
    return __freadahead(f);
#endif
}

/* ahead(file) -> how many bytes of the file were read ahead; they stay where they are */
static int stream_ahead(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    lua_pushinteger(L, f ? (lua_Integer)read_ahead(f) : 0);
    return 1;
}

/* buffered(file) -> what the file has read ahead, as a string: the descriptor will not give it again */
static int stream_buffered(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    char bytes[BUFSIZ];
    size_t n = f ? read_ahead(f) : 0;
    n = n > 0 ? fread(bytes, 1, n < sizeof bytes ? n : sizeof bytes, f) : 0;
    lua_pushlstring(L, bytes, n);
    return 1;
}

/* read_now(file) -> what is there, "" if nothing is | nil at the end | nil, message, errno */
static int stream_read_now(lua_State *L) {
    FILE *f = handle_file(luaL_checkudata(L, 1, LUA_FILEHANDLE));
    char bytes[1u << 16];
    if (f && read_ahead(f) > 0) return stream_buffered(L);
    stream_fileno(L);
    int fd = lua_isnil(L, -1) ? -1 : (int)lua_tointeger(L, -1);
    if (poll(&(struct pollfd){fd, POLLIN, 0}, 1, 0) == 0) return lua_pushliteral(L, ""), 1;
    ssize_t n = ns_read_now(fd, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return lua_pushliteral(L, ""), 1;
    if (n < 0) return nsL_failed(L, errno);
    if (n > 0)
        lua_pushlstring(L, bytes, (size_t)n);
    else
        lua_pushnil(L);
    return 1;
}

/* write_now(fd that does not block, bytes) -> how many there was room for | nil, message, errno */
static int stream_write_now(lua_State *L) {
    size_t size;
    const char *bytes = luaL_checklstring(L, 2, &size);
    ssize_t n = ns_write_now((int)luaL_checkinteger(L, 1), bytes, size);
    if (n < 0 && errno != EAGAIN && errno != EINTR) return nsL_failed(L, errno);
    lua_pushinteger(L, n < 0 ? 0 : n);
    return 1;
}

/* pending(file) -> what was written to the file and is still in its buffer, as a string: it will not be written any
 * more */
static int stream_pending(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    size_t n = f ? __fpending(f) : 0;
    char *bytes = lua_newuserdata(L, n + 1);
    diverted = bytes;
    if (n > 0) fflush(f);
    n = (size_t)(diverted - bytes);
    diverted = NULL; /* before lua_pushlstring, which may raise an error */
    lua_pushlstring(L, bytes, n);
    return 1;
}

static void hurry(STREAM *stream) {
    FILE *f = handle_file(stream);
    hurried = true;
    if (f) fflush(f);
    hurried = false;
}

/* hurry(file for writing): writes what can be written at once, and drops the rest */
static int stream_hurry(lua_State *L) {
    hurry(luaL_checkudata(L, 1, LUA_FILEHANDLE));
    return 0;
}

#define GUARD "ns.Guard"

/* Pushes the guard of a file for writing. It is younger than the file, so its __gc runs first: that flushes the file
 * without waiting, and so the file's own __gc finds an empty buffer, and does not wait either. */
static void push_guard(lua_State *L, int file) {
    STREAM **guard = lua_newuserdata(L, sizeof *guard);
    *guard = lua_touserdata(L, file);
    nsL_setclass(L, GUARD);
}

static int guard_gc(lua_State *L) {
    hurry(*(STREAM **)luaL_checkudata(L, 1, GUARD));
    return 0;
}

bool nsL_pushfile(lua_State *L, int fd, const char *mode, int companion) {
    FILE **slot = push_handle(L);
    int file = lua_gettop(L);
    lua_createtable(L, 3, 1);
    lua_pushvalue(L, companion);
    lua_rawseti(L, -2, COMPANION);
    lua_pushinteger(L, fd);
    lua_rawseti(L, -2, DESCRIPTOR);
    if (mode[0] == 'w') {
        push_guard(L, file);
        lua_rawseti(L, -2, GUARDED);
    }
    set_uservalue(L);
    if ((*slot = open_stream(fd, mode))) return true;
    lua_pop(L, 1);
    return false;
}

/* limit(fd, seconds): its file waits no longer, all in all, from now on, and says EAGAIN then; without a number as
 * long as it takes */
static int stream_limit(lua_State *L) {
    limit.fd = (int)luaL_checkinteger(L, 1);
    limit.until = lua_isnoneornil(L, 2) ? 0 : ns_clock() + luaL_checknumber(L, 2);
    limit.begun = false;
    return 0;
}

static const luaL_Reg functions[] = {
    {"limit", stream_limit},       {"fileno", stream_fileno},     {"ahead", stream_ahead},
    {"buffered", stream_buffered}, {"read_now", stream_read_now}, {"write_now", stream_write_now},
    {"pending", stream_pending},   {"hurry", stream_hurry},       {NULL, NULL}};

void nsL_open_stream(lua_State *L) {
    note_io_open(L);
    nsL_class(L, GUARD, (luaL_Reg[]){{"__gc", guard_gc}, {NULL, NULL}});
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
