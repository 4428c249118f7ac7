/* Descriptors that are polled: here, and in a loop of cqueues. */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "io.h"
#include "open.h"
#include "result.h"

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

#define ALARM "ns.Alarm"

/* What loops poll for a process: readable when it has ended, and when something is due for it. */
struct alarm {
    int fd, timer; /* -1: closed */
};

static struct alarm *check_alarm(lua_State *L) { return luaL_checkudata(L, 1, ALARM); }

static bool add_readable(int epoll, int fd) {
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN}) == 0;
}

static int alarm_close(lua_State *L) {
    struct alarm *a = check_alarm(L);
    if (a->fd >= 0) close(a->fd);
    if (a->timer >= 0) close(a->timer);
    a->fd = a->timer = -1;
    return 0;
}

/* alarm(pidfd) -> alarm | nil, message, errno */
static int new_alarm(lua_State *L) {
    int pidfd = (int)luaL_checkinteger(L, 1);
    struct alarm *a = lua_newuserdata(L, sizeof *a);
    *a = (struct alarm){-1, -1};
    nsL_setclass(L, ALARM);
    lua_replace(L, 1);
    a->fd = ns_above_stdio(epoll_create1(EPOLL_CLOEXEC));
    if (a->fd >= 0) a->timer = ns_above_stdio(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (a->timer < 0 || !add_readable(a->fd, pidfd) || !add_readable(a->fd, a->timer)) {
        int error = errno;
        alarm_close(L);
        return nsL_failed(L, error);
    }
    return lua_settop(L, 1), 1;
}

static int alarm_getfd(lua_State *L) {
    lua_pushinteger(L, check_alarm(L)->fd);
    return 1;
}

/* a:set([seconds]): in so many, from now on, something is due; without them nothing is */
static int alarm_set(lua_State *L) {
    struct itimerspec due = {0};
    double seconds = luaL_optnumber(L, 2, -1);
    if (seconds >= 0) ns_timeout(seconds > 1e-9 ? seconds : 1e-9, &due.it_value); /* 0 would be never */
    timerfd_settime(check_alarm(L)->timer, 0, &due, NULL);
    return 0;
}

/* Adds the descriptors of the list at the index. */
static nfds_t add_polls(lua_State *L, int list, short events, struct pollfd *polls, nfds_t count) {
    for (size_t i = 0, n = nsL_rawlen(L, list); i < n; i++) {
        lua_rawgeti(L, list, (int)i + 1);
        polls[count++] = (struct pollfd){(int)luaL_checkinteger(L, -1), events, 0};
        lua_pop(L, 1);
    }
    return count;
}

/* await(seconds or nil, {fd to read from, ...}, {fd to write to, ...}): until one of them is ready, the time is over,
 * or a signal has come */
static int watch_await(lua_State *L) {
    struct timespec t, *timeout = ns_timeout(luaL_optnumber(L, 1, -1), &t);
    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    struct pollfd *polls = lua_newuserdata(L, (nsL_rawlen(L, 2) + nsL_rawlen(L, 3) + 1) * sizeof *polls);
    nfds_t count = add_polls(L, 3, POLLOUT, polls, add_polls(L, 2, POLLIN, polls, 0));
    ppoll(polls, count, timeout, NULL);
    return 0;
}

/* cqueues keeps a list of the descriptors that it was told of. It breaks when a number in it is closed or comes to mean
 * something else: it must be told before. */
#define WATCH "ns.Watch"

/* watch(fd) -> the watch over a descriptor that is open for longer than it, or as long: the collector comes to it
 * first. */
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

static const luaL_Reg alarm_methods[] = {
    {"getfd", alarm_getfd}, {"set", alarm_set}, {"close", alarm_close}, {"__gc", alarm_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"watch", new_watch}, {"alarm", new_alarm}, {"poll", watch_poll}, {"await", watch_await}, {NULL, NULL}};

void nsL_open_watch(lua_State *L) {
    nsL_class(L, WATCH, methods);
    lua_pop(L, 1);
    nsL_class(L, ALARM, alarm_methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
