/* Writes a program's input and reads both its outputs in one poll loop, so that neither side waits for the other for
 * ever.
 *
 * The loop itself is in Lua, which calls `step` again and again: so it can act on signals and time limits. The state is
 * here. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "open.h"

#define CAPTURE "ns.Capture"
#define STEP (1u << 17)  /* bytes asked of a pipe at once */
#define AHEAD (1u << 20) /* the size that a pipe is to have, and how much memory is populated in advance */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

struct output {
    int fd;                   /* -1: at its end. The caller closes it, after us */
    int flags;                /* the file status flags that it had, for give_back */
    char *bytes;              /* a mapping of its own */
    size_t size, ready, room; /* bytes that are read; up to where pages are populated; bytes that are mapped */
    bool truncated;           /* there was more than the limit */
};

struct capture {
    struct output out[2];
    size_t limit; /* bytes kept of each output */
    int in;
    const char *input; /* what is still to be written, in a Lua string */
    size_t left;       /* its bytes */
    int anchor;        /* the reference in the registry that keeps that string */
};

static struct capture *check(lua_State *L) { return luaL_checkudata(L, 1, CAPTURE); }

static int prepare(lua_State *L, int arg) {
    int fd = lua_isnoneornil(L, arg) ? -1 : (int)luaL_checkinteger(L, arg);
    if (fd >= 0) fcntl(fd, F_SETPIPE_SZ, AHEAD); /* if that is refused, it is only slower */
    return fd;
}

static void prepare_output(lua_State *L, int arg, struct output *o) {
    o->fd = prepare(L, arg);
    if (o->fd < 0) return;
    o->flags = fcntl(o->fd, F_GETFL);
    fcntl(o->fd, F_SETFL, o->flags | O_NONBLOCK);
}

/* capture(stdin fd, which does not block, input, stdout fd, stderr fd, [limit]) -> capture */
static int new_capture(lua_State *L) {
    lua_settop(L, 5);
    struct capture *c = lua_newuserdata(L, sizeof *c);
    memset(c, 0, sizeof *c);
    c->in = c->out[0].fd = c->out[1].fd = -1;
    c->anchor = LUA_NOREF;
    nsL_setclass(L, CAPTURE);
    lua_pushvalue(L, 2);
    c->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    c->input = luaL_optlstring(L, 2, "", &c->left);
    lua_Number limit = luaL_optnumber(L, 5, -1);
    c->limit = limit < 0 ? SIZE_MAX : (size_t)limit;
    c->in = prepare(L, 1);
    prepare_output(L, 3, &c->out[0]);
    prepare_output(L, 4, &c->out[1]);
    return 1;
}

/* A mapping, not malloc: a heap would keep the memory of a large output for the host. */
static bool make_room(struct output *o) {
    if (o->room - o->size >= STEP) return true;
    size_t room = o->room ? o->room * 2 : 2 * STEP;
    void *grown = o->room ? mremap(o->bytes, o->room, room, MREMAP_MAYMOVE)
                          : mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (grown == MAP_FAILED) return false;
    o->bytes = grown;
    o->room = room;
    return true;
}

/* Populates pages in advance: during a page fault in read(2) the pipe is locked, and its writer waits. Where madvise(2)
 * fails (before Linux 5.14), it is only slower. The address is rounded down to 64 KiB, a multiple of every page
 * size. */
static void make_ready(struct output *o) {
    if (o->size < AHEAD || o->size + STEP <= o->ready) return;
    size_t span = o->room - o->size < AHEAD ? o->room - o->size : AHEAD;
    madvise((void *)((uintptr_t)(o->bytes + o->size) & ~(uintptr_t)0xffff), span, MADV_POPULATE_WRITE);
    o->ready = o->size + span;
}

static void drop_excess(struct output *o, size_t limit) {
    if (o->size <= limit) return;
    o->size = limit;
    o->truncated = true;
}

/* Reads what is there, up to AHEAD bytes, as much as the pipe can hold: so one call after the program's end gets all
 * that it has written. By pieces of STEP bytes, as the writer waits while a piece is copied. false: no memory */
static bool drain(struct output *o, size_t limit) {
    ssize_t n = 0;
    for (size_t taken = 0; taken < AHEAD; taken += (size_t)n) {
        if (!make_room(o)) return false;
        make_ready(o);
        n = ns_read(o->fd, o->bytes + o->size, STEP);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
        if (n <= 0) return o->fd = -1, true;
        o->size += (size_t)n;
        drop_excess(o, limit);
    }
    return true;
}

/* Writes a piece of the input. On an error the rest is dropped: a program need not read its input to the end. */
static void feed(struct capture *c) {
    ssize_t n = ns_write_nosignal(c->in, c->input, c->left);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) c->left = 0;
    if (n > 0) {
        c->input += n;
        c->left -= (size_t)n;
    }
}

/* c:step([seconds], [pidfd], [fd]) -> "done" | "fed" | "exited" | "timeout" | "again"
 *
 * Waits until there is something to do, and does it once. "fed": the input is written, or the program does not want it:
 * the caller closes it and calls again; "exited": the pidfd is readable; "again": anything else, also that fd is
 * readable, or a signal. It returns after each piece, so that the caller can stop a program that never stops
 * writing. */
static int capture_step(lua_State *L) {
    struct capture *c = check(L);
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 2, -1), &t);
    int pidfd = (int)luaL_optinteger(L, 3, -1);
    if (c->in >= 0 && c->left == 0) {
        c->in = -1;
        return lua_pushliteral(L, "fed"), 1;
    }
    if (c->out[0].fd < 0 && c->out[1].fd < 0 && c->in < 0 && pidfd < 0) return lua_pushliteral(L, "done"), 1;
    struct pollfd polls[] = {{c->out[0].fd, POLLIN, 0},
                             {c->out[1].fd, POLLIN, 0},
                             {c->in, POLLOUT, 0},
                             {pidfd, POLLIN, 0},
                             {(int)luaL_optinteger(L, 4, -1), POLLIN, 0}};
    int r = ppoll(polls, 5, timeout, NULL);
    if (r <= 0) return lua_pushstring(L, r == 0 ? "timeout" : "again"), 1;
    bool room = !polls[0].revents || drain(&c->out[0], c->limit);
    room = (!polls[1].revents || drain(&c->out[1], c->limit)) && room;
    if (!room) return luaL_error(L, "not enough memory");
    if (polls[2].revents) feed(c);
    return lua_pushstring(L, polls[3].revents ? "exited" : "again"), 1;
}

/* c:fds() -> stdin, stdout, stderr: each nil where there is nothing more to do */
static int capture_fds(lua_State *L) {
    const struct capture *c = check(L);
    const int fds[] = {c->in, c->out[0].fd, c->out[1].fd};
    for (int i = 0; i < 3; i++) {
        lua_pushinteger(L, fds[i]);
        if (fds[i] >= 0) continue;
        lua_pop(L, 1);
        lua_pushnil(L);
    }
    return 3;
}

/* c:output(1|2) -> string, truncated: there was more than the limit, or its end was not reached */
static int capture_output(lua_State *L) {
    struct output *o = &check(L)->out[luaL_checkinteger(L, 2) == 2];
    lua_pushlstring(L, o->bytes ? o->bytes : "", o->size);
    lua_pushboolean(L, o->truncated || o->fd >= 0);
    return 2;
}

static int capture_free(lua_State *L) {
    struct capture *c = check(L);
    for (int i = 0; i < 2; i++) {
        struct output *o = &c->out[i];
        if (o->room) munmap(o->bytes, o->room);
        o->bytes = NULL;
        o->size = o->ready = o->room = 0;
    }
    luaL_unref(L, LUA_REGISTRYINDEX, c->anchor);
    c->anchor = LUA_NOREF;
    c->left = 0;
    return 0;
}

static void give_back(struct output *o) {
    if (o->fd >= 0) fcntl(o->fd, F_SETFL, o->flags);
    o->fd = -1;
}

/* c:close(): gives up before the end, as after an error. The descriptors stay open, and block as before. */
static int capture_close(lua_State *L) {
    struct capture *c = check(L);
    c->in = -1;
    give_back(&c->out[0]);
    give_back(&c->out[1]);
    return capture_free(L);
}

static const luaL_Reg methods[] = {{"step", capture_step},   {"fds", capture_fds},   {"output", capture_output},
                                   {"close", capture_close}, {"__gc", capture_free}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"capture", new_capture}, {NULL, NULL}};

void nsL_open_capture(lua_State *L) {
    nsL_class(L, CAPTURE, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
