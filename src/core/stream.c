/* A descriptor as a real Lua file, and what else the Lua side needs to know of descriptors. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <unistd.h>

static _Thread_local char *diverted; /* where what is written goes to, while pending() asks for it */

/* fopencookie(3)'s writer: less than asked for is an error to stdio, which then gives up the rest. So it goes on where a
 * signal has interrupted it, as it would by itself in a host whose handlers have SA_RESTART. */
static ssize_t write_cookie(void *cookie, const char *s, size_t size) {
    size_t done = diverted ? size : 0;
    if (diverted) diverted = mempcpy(diverted, s, size);
    while (done < size) {
        ssize_t n = ns_write_quietly((int)(intptr_t)cookie, s + done, size - done);
        if (n < 0 && errno != EINTR) break;
        if (n > 0) done += (size_t)n;
    }
    return (ssize_t)done;
}

/* When its program has ended, a terminal says EIO: to a Lua file that is an error, which costs what was read before it. */
static ssize_t read_cookie(void *cookie, char *s, size_t size) {
    ssize_t n = read((int)(intptr_t)cookie, s, size);
    return n < 0 && errno == EIO ? 0 : n;
}

static int close_cookie(void *cookie) { return close((int)(intptr_t)cookie); }

#if defined(__GNUC__) && !defined(__clang__) /* gcc's analyzer does not follow what a userdata owns */
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/* mode: "r", "w", or "t" to read from a terminal */
static FILE *open_stream(int fd, const char *mode) {
    cookie_io_functions_t cookie = {.read = read_cookie, .write = write_cookie, .close = close_cookie};
    if (mode[0] == 'r') return fdopen(fd, mode);
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

/* Lua 5.1 finds a file's closing function in the environment of its userdata, and crashes without one. */
static int close_file(lua_State *L) {
    FILE **f = lua_touserdata(L, 1);
    int ok = fclose(*f) == 0;
    *f = NULL;
    return push_closed(L, ok);
}

/* LuaJIT knows its own files alone: one is opened and its FILE replaced. */
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

/* An empty handle; its FILE is stored when nothing can fail any more. */
static FILE **push_handle(lua_State *L) {
    if (luaJIT_setmode) return push_jit_file(L);
    FILE **f = lua_newuserdata(L, sizeof *f);
    *f = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_file);
    lua_setfield(L, -2, "__close");
    lua_setfenv(L, -2);
    nsL_setclass(L, LUA_FILEHANDLE);
    return f;
}

/* io.open, kept while the library is still the original: only LuaJIT needs it. A host that forgets what is loaded to load it
 * anew has it among the globals. */
void nsL_open_stream(lua_State *L) {
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

void nsL_open_stream(lua_State *L) { (void)L; }

static FILE *handle_file(luaL_Stream *stream) { return stream->closef ? stream->f : NULL; }
#endif

/* fileno(file) -> fd | nil, message, errno */
int nsL_fileno(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    errno = EBADF;
    return nsL_number(L, f ? fileno(f) : -1);
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
int nsL_ahead(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    lua_pushinteger(L, f ? (lua_Integer)read_ahead(f) : 0);
    return 1;
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

/* pending(file) -> what was written to the file and is still in its buffer, as a string: it will not be written any more */
int nsL_pending(lua_State *L) {
    STREAM *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    FILE *f = handle_file(stream);
    size_t n = f ? __fpending(f) : 0;
    char *bytes = lua_newuserdata(L, n + 1);
    diverted = bytes;
    if (n > 0) fflush(f);
    n = (size_t)(diverted - bytes);
    diverted = NULL; /* before there may be no memory for the string */
    lua_pushlstring(L, bytes, n);
    return 1;
}

/* Pushes a Lua file for the descriptor, which is the file's from now on. false and errno: it is not, and nothing is pushed */
bool nsL_pushfile(lua_State *L, int fd, const char *mode) {
    FILE **slot = push_handle(L);
    if ((*slot = open_stream(fd, mode))) return true;
    lua_pop(L, 1);
    return false;
}
