/* Feeds a program and collects what it says, all at once, so that neither side waits for the other.
 *
 * The loop is left at every signal and at the program's end; the state is here, so that Lua calls in again. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CAPTURE "ns.Capture"
#define STEP (1u << 20) /* bytes asked of a pipe at once, and the size asked for the pipe itself */

struct output {
    int fd; /* -1: at its end. Borrowed: the caller closes it after us */
    char *bytes;
    size_t size, room;
    bool truncated;
};

struct capture {
    struct output out[2];
    size_t limit; /* bytes kept of each output */
    int in;
    const char *input; /* anchored in the registry */
    size_t left;
    int anchor;
};

static struct capture *check(lua_State *L) { return luaL_checkudata(L, 1, CAPTURE); }

static int prepare(lua_State *L, int arg) {
    int fd = lua_isnoneornil(L, arg) ? -1 : (int)luaL_checkinteger(L, arg);
    if (fd < 0) return -1;
    fcntl(fd, F_SETPIPE_SZ, STEP); /* refused to some users: then it is slower */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

/* capture(stdin fd, input, stdout fd, stderr fd, [limit]) -> capture */
int nsL_capture(lua_State *L) {
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
    c->out[0].fd = prepare(L, 3);
    c->out[1].fd = prepare(L, 4);
    return 1;
}

static bool make_room(struct output *o) {
    if (o->room - o->size >= STEP) return true;
    size_t room = o->room ? o->room * 2 : 2 * STEP;
    char *grown = realloc(o->bytes, room);
    if (!grown) return false;
    o->bytes = grown;
    o->room = room;
    return true;
}

static void drop_excess(struct output *o, size_t limit) {
    if (o->size <= limit) return;
    o->size = limit;
    o->truncated = true;
}

/* Takes what is there, which is not more than a pipe holds. false: no memory */
static bool drain(struct output *o, size_t limit) {
    if (!make_room(o)) return false;
    ssize_t n = read(o->fd, o->bytes + o->size, o->room - o->size);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0)
        o->fd = -1;
    else
        o->size += (size_t)n;
    drop_excess(o, limit);
    return true;
}

/* A program need not read its input to the end. */
static void feed(struct capture *c) {
    ssize_t n = ns_write_quietly(c->in, c->input, c->left);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) c->left = 0;
    if (n > 0) {
        c->input += n;
        c->left -= (size_t)n;
    }
}

/* c:step([seconds], [pidfd]) -> "done" | "fed" | "exited" | "timeout" | "again"
 * "fed": the input is written (or not wanted), the caller closes it and calls again; "exited": the pidfd is readable.
 * It comes back after each piece: a program that never stops writing must be stopped at the deadline, or by a Ctrl-C. */
static int capture_step(lua_State *L) {
    struct capture *c = check(L);
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 2, -1), &t);
    int pidfd = (int)luaL_optinteger(L, 3, -1);
    if (c->in >= 0 && c->left == 0) {
        c->in = -1;
        return lua_pushliteral(L, "fed"), 1;
    }
    if (c->out[0].fd < 0 && c->out[1].fd < 0 && c->in < 0 && pidfd < 0) return lua_pushliteral(L, "done"), 1;
    struct pollfd polls[] = {
        {c->out[0].fd, POLLIN, 0}, {c->out[1].fd, POLLIN, 0}, {c->in, POLLOUT, 0}, {pidfd, POLLIN, 0}};
    int r = ppoll(polls, 4, timeout, NULL);
    if (r <= 0) return lua_pushstring(L, r == 0 ? "timeout" : "again"), 1;
    bool room = !polls[0].revents || drain(&c->out[0], c->limit);
    room = (!polls[1].revents || drain(&c->out[1], c->limit)) && room;
    if (!room) return luaL_error(L, "not enough memory");
    if (polls[2].revents) feed(c);
    return lua_pushstring(L, polls[3].revents ? "exited" : "again"), 1;
}

/* c:output(1|2) -> string, truncated */
static int capture_output(lua_State *L) {
    struct output *o = &check(L)->out[luaL_checkinteger(L, 2) == 2];
    lua_pushlstring(L, o->bytes ? o->bytes : "", o->size);
    lua_pushboolean(L, o->truncated);
    return 2;
}

static int capture_close(lua_State *L) {
    struct capture *c = check(L);
    for (int i = 0; i < 2; i++) {
        free(c->out[i].bytes);
        c->out[i].bytes = NULL;
        c->out[i].size = c->out[i].room = 0;
    }
    luaL_unref(L, LUA_REGISTRYINDEX, c->anchor);
    c->anchor = LUA_NOREF;
    c->left = 0;
    return 0;
}

static const luaL_Reg methods[] = {{"step", capture_step},
                                   {"output", capture_output},
                                   {"close", capture_close},
                                   {"__gc", capture_close},
                                   {NULL, NULL}};

void nsL_open_capture(lua_State *L) {
    nsL_class(L, CAPTURE, methods);
    lua_pop(L, 1);
}
