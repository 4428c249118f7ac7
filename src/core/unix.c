/* Sockets that have a path, and what else a runtime of containers does with files. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../launcher/message.h"
#include "../launcher/sys.h"
#include "../plan.h"
#include "bag.h"
#include "io.h"
#include "open.h"
#include "result.h"

static long address_of(const char *path, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path) return -ENAMETOOLONG;
    strcpy(address->sun_path, path);
    return 0;
}

static int done(int result) { return result < 0 ? -errno : 0; }

/* A socket of this type that f has bound or connected: its descriptor, or -errno. */
static long open_socket(const char *path, int type, int (*f)(int, const struct sockaddr *, socklen_t)) {
    struct sockaddr_un address;
    long r = address_of(path, &address);
    if (r < 0) return r;
    int fd = ns_above_stdio(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (fd < 0) return -errno;
    r = done(f(fd, (struct sockaddr *)&address, sizeof address));
    if (r < 0) close(fd);
    return r < 0 ? r : fd;
}

/* unix_listen(bag, path) -> fd | nil, message, errno */
static int unix_listen(lua_State *L) {
    long fd = open_socket(luaL_checkstring(L, 2), SOCK_SEQPACKET, bind);
    int error = fd >= 0 && listen((int)fd, 1) < 0 ? errno : 0;
    if (error) close((int)fd);
    return nsL_put(L, 1, error ? -error : fd);
}

/* unix_connect(bag, path) -> fd | nil, message, errno: ECONNREFUSED where nobody listens */
static int unix_connect(lua_State *L) {
    return nsL_put(L, 1, open_socket(luaL_checkstring(L, 2), SOCK_SEQPACKET, connect));
}

/* unix_record(fd, seconds) -> step, error: the next record of a launcher; nothing at the end | nil, message, errno */
static int unix_record(lua_State *L) {
    struct timespec t;
    struct record r;
    struct pollfd poll = {(int)luaL_checkinteger(L, 1), POLLIN, 0};
    int ready = ppoll(&poll, 1, ns_timeout(luaL_checknumber(L, 2), &t), NULL);
    if (ready <= 0) return nsL_failed(L, ready == 0 ? ETIMEDOUT : errno);
    ssize_t n = recv(poll.fd, &r, sizeof r, 0);
    if (n < 0 && errno != ECONNRESET) return nsL_failed(L, errno);
    if (n != (ssize_t)sizeof r) return 0;
    lua_pushinteger(L, (lua_Integer)r.step);
    lua_pushinteger(L, r.error);
    return 2;
}

/* unix_send(path, text, fd) -> true | nil, message, errno: the text and a descriptor, to who listens there. For him it
 * blocks, as those that he opens himself do. */
static int unix_send(lua_State *L) {
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    int fd = (int)luaL_checkinteger(L, 3);
    long socket = open_socket(luaL_checkstring(L, 1), SOCK_STREAM, connect);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    long r = socket < 0 ? socket : send_message((int)socket, text, size, &fd, 1);
    if (socket >= 0) close((int)socket);
    return nsL_done(L, r < 0 ? r : 0);
}

/* unix_send_byte(fd): to who is at its other end */
static int unix_send_byte(lua_State *L) {
    send((int)luaL_checkinteger(L, 1), "", 1, MSG_NOSIGNAL);
    return 0;
}

/* pidfd_signal(fd, signal) -> true | nil, message, errno */
static int pidfd_signal(lua_State *L) {
    return nsL_done(L, sys(__NR_pidfd_send_signal, luaL_checkinteger(L, 1), luaL_checkinteger(L, 2), NULL, 0));
}

/* pidfd_await(fd, seconds): until the process has ended, or the time is over */
static int pidfd_await(lua_State *L) {
    struct timespec t;
    struct pollfd poll = {(int)luaL_checkinteger(L, 1), POLLIN, 0};
    ppoll(&poll, 1, ns_timeout(luaL_checknumber(L, 2), &t), NULL);
    return 0;
}

/* symlink(to, path) -> true | nil, message, errno */
static int make_symlink(lua_State *L) {
    return nsL_done(L, done(symlink(luaL_checkstring(L, 1), luaL_checkstring(L, 2))));
}

/* chmod(path, mode) -> true | nil, message, errno */
static int change_mode(lua_State *L) {
    return nsL_done(L, done(chmod(luaL_checkstring(L, 1), (mode_t)luaL_checkinteger(L, 2))));
}

static const luaL_Reg functions[] = {
    {"unix_listen", unix_listen},
    {"unix_connect", unix_connect},
    {"unix_record", unix_record},
    {"unix_send", unix_send},
    {"unix_send_byte", unix_send_byte},
    {"pidfd_signal", pidfd_signal},
    {"pidfd_await", pidfd_await},
    {"symlink", make_symlink},
    {"chmod", change_mode},
    {NULL, NULL},
};

void nsL_open_unix(lua_State *L) { nsL_setfuncs(L, functions); }
