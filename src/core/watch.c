/* Descriptors that are polled: here, and in a loop of cqueues. */
#include <poll.h>
#include <time.h>

#include "io.h"
#include "open.h"

/* poll(seconds or nil, fd or -1, "r" or "w", ...) -> a boolean for each; all false after a signal, or the time */
static int watch_poll(lua_State *L) {
    struct pollfd polls[8];
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 1, -1), &t);
    int count = (lua_gettop(L) - 1) / 2;
    for (int i = 0; i < count && i < 8; i++) {
        short events = *luaL_checkstring(L, 3 + 2 * i) == 'w' ? POLLOUT : POLLIN;
        polls[i] = (struct pollfd){(int)luaL_checkinteger(L, 2 + 2 * i), events, 0};
    }
    int r = ppoll(polls, (nfds_t)count, timeout, NULL);
    for (int i = 0; i < count; i++) lua_pushboolean(L, r > 0 && polls[i].revents);
    return count;
}

/* cqueues keeps a list of the descriptors that it was told of. It breaks when a number in it is closed or comes to mean
 * something else: it must be told before. */
#define WATCH "ns.Watch"

/* watch(fd) -> the watch over a descriptor that is open for longer than it, or as long: the collector comes to it first. */
static int new_watch(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    int *watched = lua_newuserdata(L, sizeof *watched);
    *watched = fd;
    nsL_setclass(L, WATCH);
    return 1;
}

/* w:cancel(): before the descriptor is closed. Who polls it is woken. */
static int watch_cancel(lua_State *L) {
    int *watched = luaL_checkudata(L, 1, WATCH);
    int fd = *watched;
    *watched = -1;
    if (fd < 0) return 0;
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    lua_getfield(L, -1, "cqueues");
    if (!lua_istable(L, -1)) return 0;
    lua_getfield(L, -1, "cancel");
    lua_pushinteger(L, fd);
    lua_pcall(L, 1, 0, 0);
    return 0;
}

static const luaL_Reg methods[] = {{"cancel", watch_cancel}, {"__gc", watch_cancel}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"watch", new_watch}, {"poll", watch_poll}, {NULL, NULL}};

void nsL_open_watch(lua_State *L) {
    nsL_class(L, WATCH, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
