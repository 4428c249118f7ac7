/* A stream socket of another program on this machine, with a time for each exchange: for ns.start.dbus. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io.h"
#include "open.h"
#include "result.h"

#define BUS "ns.Bus"

enum { MESSAGE_MAX = 1 << 20 };

struct bus {
    int fd; /* -1 when it is closed */
};

static struct bus *check_bus(lua_State *L) {
    struct bus *b = luaL_checkudata(L, 1, BUS);
    if (b->fd < 0) luaL_error(L, "attempt to use a closed connection");
    return b;
}

static void close_bus(struct bus *b) {
    if (b->fd >= 0) close(b->fd);
    b->fd = -1;
}

/* bus(path of a socket) -> bus | nil, message, errno */
static int new_bus(lua_State *L) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = luaL_checkstring(L, 1);
    struct bus *b = lua_newuserdata(L, sizeof *b);
    b->fd = -1;
    nsL_setclass(L, BUS);
    if (strlen(path) >= sizeof address.sun_path) return nsL_done(L, -ENAMETOOLONG);
    strcpy(address.sun_path, path);
    b->fd = ns_above_stdio(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (b->fd >= 0 && connect(b->fd, (struct sockaddr *)&address, sizeof address) == 0) return 1;
    int error = errno;
    close_bus(b);
    return nsL_done(L, -error);
}

/* 1 it can be read or written, 0 the time is over, -1 and errno. A signal ends it: who asks sees to that. */
static int await(int fd, short what, double deadline) {
    struct pollfd p = {fd, what, 0};
    double left = deadline - ns_clock();
    int r = poll(&p, 1, left > 0 ? (int)(left * 1000) + 1 : 0);
    if (r == 0) errno = ETIMEDOUT;
    return r > 0 ? 1 : -1;
}

/* b:send(bytes, seconds) -> true | nil, message, errno */
static int bus_send(lua_State *L) {
    size_t size, sent = 0;
    const struct bus *b = check_bus(L);
    const char *bytes = luaL_checklstring(L, 2, &size);
    double deadline = ns_clock() + luaL_checknumber(L, 3);
    while (sent < size) {
        ssize_t n = send(b->fd, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (n >= 0) sent += (size_t)n;
        if (n < 0 && errno != EAGAIN && errno != EINTR) return nsL_done(L, -errno);
        if (n < 0 && await(b->fd, POLLOUT, deadline) < 0) return nsL_done(L, -errno);
    }
    return nsL_done(L, 0);
}

/* b:receive(size, seconds) -> so many bytes | nil, message, errno */
static int bus_receive(lua_State *L) {
    const struct bus *b = check_bus(L);
    lua_Integer size = luaL_checkinteger(L, 2);
    double deadline = ns_clock() + luaL_checknumber(L, 3);
    if (size < 0 || size > MESSAGE_MAX) return nsL_done(L, -EMSGSIZE);
    char *bytes = lua_newuserdata(L, (size_t)size + 1);
    for (lua_Integer got = 0; got < size;) {
        ssize_t n = recv(b->fd, bytes + got, (size_t)(size - got), 0);
        if (n == 0) return nsL_done(L, -ECONNRESET);
        if (n > 0) got += n;
        if (n < 0 && errno != EAGAIN && errno != EINTR) return nsL_done(L, -errno);
        if (n < 0 && await(b->fd, POLLIN, deadline) < 0) return nsL_done(L, -errno);
    }
    lua_pushlstring(L, bytes, (size_t)size);
    return 1;
}

static int bus_close(lua_State *L) {
    close_bus(luaL_checkudata(L, 1, BUS));
    return 0;
}

static const luaL_Reg methods[] = {
    {"send", bus_send}, {"receive", bus_receive}, {"close", bus_close}, {"__gc", bus_close}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"bus", new_bus}, {NULL, NULL}};

void nsL_open_bus(lua_State *L) {
    nsL_class(L, BUS, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
