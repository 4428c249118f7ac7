/* Sockets of the network that a box is in, and what the host does with them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bag.h"
#include "handle.h"
#include "inside.h"
#include "io.h"
#include "open.h"
#include "result.h"

/* ---- addresses: in Lua the bytes of a struct sockaddr ---- */

/* address(text, port) -> bytes; nothing where the text is no address of IPv4 or IPv6 */
static int address(lua_State *L) {
    const char *text = luaL_checkstring(L, 1);
    in_port_t port = htons((uint16_t)luaL_checkinteger(L, 2));
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = port};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        lua_pushlstring(L, (const char *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        lua_pushlstring(L, (const char *)&v6, sizeof v6);
    else
        return 0;
    return 1;
}

static const struct sockaddr *check_address(lua_State *L, int arg, socklen_t *size) {
    size_t length;
    const char *bytes = luaL_checklstring(L, arg, &length);
    *size = (socklen_t)length;
    luaL_argcheck(L, length >= sizeof(sa_family_t), arg, "no address");
    return (const struct sockaddr *)(const void *)bytes;
}

/* resolve(name, port) -> a list of addresses, at most eight | nil, message, errno, as near as one is to what was said.
 * It may take a while, and no signal ends it. */
static int resolve(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    in_port_t port = htons((uint16_t)luaL_checkinteger(L, 2));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int r = getaddrinfo(name, NULL, &hints, &list), count = 0;
    int error = r == EAI_SYSTEM ? errno : r == EAI_AGAIN ? EAGAIN : r == EAI_MEMORY ? ENOMEM : ENOENT;
    lua_newtable(L);
    for (const struct addrinfo *at = list; r == 0 && at && count < 8; at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
        struct sockaddr_in6 found;
        memcpy(&found, at->ai_addr, at->ai_addrlen < sizeof found ? at->ai_addrlen : sizeof found);
        found.sin6_port = port; /* it stands in the same place in both */
        lua_pushlstring(L, (const char *)&found, at->ai_addrlen);
        lua_rawseti(L, -2, ++count);
    }
    if (list) freeaddrinfo(list);
    if (count > 0) return 1;
    return nsL_refused(L, gai_strerror(r), error);
}

/* listen(bag, address) -> fd, port | nil, message, errno: a socket of the host's own, which does not block */
static int listen_at(lua_State *L) {
    socklen_t size;
    const struct sockaddr *at = check_address(L, 2, &size);
    int on = 1, fd = ns_above_stdio(socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd < 0) return nsL_failed(L, errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    struct sockaddr_in6 own;
    socklen_t own_size = sizeof own;
    if (bind(fd, at, size) < 0 || listen(fd, 4096) < 0 || getsockname(fd, (struct sockaddr *)&own, &own_size) < 0) {
        int error = errno;
        close(fd);
        return nsL_failed(L, error);
    }
    int pushed = nsL_put(L, 1, fd);
    if (pushed == 1) lua_pushinteger(L, ntohs(own.sin6_port));
    return pushed == 1 ? 2 : pushed;
}

/* ---- a socket from inside ---- */

/* Whoever has taken the init's place could send anything. */
static bool is_stream(int fd, int family) {
    int type = 0, domain = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == family;
}

/* inside_socket(bag, handle, address, seconds) -> fd, of a new stream socket of that family, and of the network of that
 * init | nil, message, errno */
static int inside_socket(lua_State *L) {
    socklen_t size;
    const struct process *p = luaL_checkudata(L, 2, PROCESS);
    int family = check_address(L, 3, &size)->sa_family;
    if (!ns_is_open(p)) return nsL_failed(L, ESRCH);
    int fd = ns_socket_inside(p, family, SOCK_STREAM, 0, luaL_optnumber(L, 4, -1));
    if (fd < 0 || is_stream(fd, family)) return nsL_put(L, 1, fd);
    close(fd);
    return nsL_failed(L, EPROTO);
}

/* handed(bag, handle) -> the next socket that its launcher has made for us | nil, message, errno */
static int handed(lua_State *L) {
    struct process *p = luaL_checkudata(L, 2, PROCESS);
    if (p->handed_count == 0) return nsL_failed(L, ENOENT);
    int fd = p->handed[0];
    memmove(p->handed, p->handed + 1, (size_t)--p->handed_count * sizeof fd);
    return nsL_put(L, 1, fd < 0 ? -EMFILE : fd);
}

/* ---- what is done with one ---- */

static long await_connection(int fd, double seconds) {
    struct timespec t;
    struct pollfd poll = {fd, POLLOUT, 0};
    int error = 0, ready = ppoll(&poll, 1, ns_timeout(seconds, &t), NULL);
    socklen_t size = sizeof error;
    if (ready <= 0) return ready < 0 ? -errno : -ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
}

/* connect(fd, address, seconds) -> true | nil, message, errno: EINTR after a signal, and then it goes on. Such a socket
 * does not block. */
static int connect_socket(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    socklen_t size;
    const struct sockaddr *to = check_address(L, 2, &size);
    double seconds = luaL_optnumber(L, 3, -1);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) return nsL_failed(L, errno);
    long r = connect(fd, to, size) < 0 ? -errno : 0;
    return nsL_done(L, r == -EINPROGRESS || r == -EALREADY ? await_connection(fd, seconds) : r);
}

/* shutdown(fd): nothing more is written */
static int shutdown_socket(lua_State *L) {
    return nsL_done(L, shutdown((int)luaL_checkinteger(L, 1), SHUT_WR) < 0 ? -errno : 0);
}

/* detach(fd) -> another descriptor for the same, which does not block, and belongs to nobody | nil, message, errno */
static int detach(lua_State *L) {
    int fd = fcntl((int)luaL_checkinteger(L, 1), F_DUPFD_CLOEXEC, 3);
    if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) == 0) return nsL_number(L, fd);
    int error = errno;
    close(fd);
    return nsL_failed(L, error);
}

static const luaL_Reg functions[] = {
    {"address", address}, {"resolve", resolve},        {"listen", listen_at},         {"inside_socket", inside_socket},
    {"handed", handed},   {"connect", connect_socket}, {"shutdown", shutdown_socket}, {"detach", detach},
    {NULL, NULL}};

void nsL_open_sockets(lua_State *L) { nsL_setfuncs(L, functions); }
