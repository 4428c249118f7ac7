/* netlink(7) for the net namespace of a living box, from outside: the host sends messages, put together by Lua, through
 * a socket that the box's init has made. The capabilities that count are the host's, who has all over a user namespace
 * that it has made. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"
#include "io.h"
#include "open.h"
#include "result.h"

#define NETLINK "ns.Netlink"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

enum { ANSWER_MAX = 16384 };

struct netlink {
    int fd, namespace; /* -1 when it is closed */
};

static struct netlink *check(lua_State *L) {
    struct netlink *n = luaL_checkudata(L, 1, NETLINK);
    if (n->fd < 0) luaL_error(L, "attempt to use a closed netlink socket");
    return n;
}

static void close_both(struct netlink *n) {
    if (n->fd >= 0) close(n->fd);
    if (n->namespace >= 0) close(n->namespace);
    n->fd = n->namespace = -1;
}

/* What a refusal says beside its errno, and where one message has no more than that text. */
static int set_options(int fd) {
    int on = 1;
    if (setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) < 0) return -errno;
    return setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0 ? -errno : 0;
}

/* No message is for our own network: nor where the box has that one, or somebody has taken its init's place. */
static int check_namespace(struct netlink *n) {
    struct stat ours, its;
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(n->fd, SOL_SOCKET, SO_DOMAIN, &type, &size) < 0 || type != AF_NETLINK) return -EPROTO;
    n->namespace = ns_above_stdio(ioctl(n->fd, SIOCGSKNS));
    if (n->namespace < 0 || fstat(n->namespace, &its) < 0) return -errno;
    if (stat("/proc/thread-self/ns/net", &ours) < 0 && stat("/proc/self/ns/net", &ours) < 0) return -errno;
    return ours.st_ino == its.st_ino && ours.st_dev == its.st_dev ? -EXDEV : 0;
}

/* netlink(handle of a living box, [protocol], [seconds]) -> netlink | nil, message, errno: EXDEV, it would be for our
 * own network */
static int new_netlink(lua_State *L) {
    const struct process *box = nsL_checkprocess(L);
    int protocol = (int)luaL_optinteger(L, 2, 0);
    double seconds = luaL_optnumber(L, 3, -1);
    struct netlink *n = lua_newuserdata(L, sizeof *n);
    n->fd = n->namespace = -1;
    nsL_setclass(L, NETLINK);
    n->fd = ns_socket_inside(box, AF_NETLINK, SOCK_RAW, protocol, seconds);
    int error = n->fd < 0 ? n->fd : check_namespace(n);
    if (error == 0) error = set_options(n->fd);
    if (error == 0) return 1;
    close_both(n);
    return nsL_failed(L, -error);
}

/* The kernel's own words, in an attribute behind the errno; or nil. */
static void push_text(lua_State *L, const struct nlmsghdr *head) {
    const char *at = (const char *)NLMSG_DATA(head) + sizeof(struct nlmsgerr),
               *end = (const char *)head + head->nlmsg_len;
    struct nlattr attribute;
    for (; head->nlmsg_flags & NLM_F_ACK_TLVS && at + sizeof attribute <= end; at += NLMSG_ALIGN(attribute.nla_len)) {
        memcpy(&attribute, at, sizeof attribute);
        if (attribute.nla_len < sizeof attribute || at + attribute.nla_len > end) break;
        if ((attribute.nla_type & NLA_TYPE_MASK) != NLMSGERR_ATTR_MSG) continue;
        const char *text = at + sizeof attribute;
        lua_pushlstring(L, text, strnlen(text, attribute.nla_len - sizeof attribute));
        return;
    }
    lua_pushnil(L);
}

/* Sends messages: 0, or -errno. The kernel has done them when this returns. With an address our own capabilities count,
 * and not those of who has opened the socket. */
static int send_messages(int fd, const char *bytes, size_t size) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent;
    do sent = sendto(fd, bytes, size, MSG_NOSIGNAL, (struct sockaddr *)&kernel, sizeof kernel);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* One answer: its size, -errno; EAGAIN where there is none. */
static ssize_t receive(int fd, char *bytes) {
    ssize_t n;
    do n = recv(fd, bytes, ANSWER_MAX, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* n:send(messages) -> true | nil, errno, text or nil, sequence number of the first that was refused; those after it
 * were played. Messages that are answered by more than a refusal are not for this. */
static int netlink_send(lua_State *L) {
    size_t size;
    const struct netlink *n = check(L);
    const char *bytes = luaL_checklstring(L, 2, &size);
    _Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
    const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
    int refused = 0, r = send_messages(n->fd, bytes, size);
    if (r < 0) refused = 1, lua_pushnil(L), lua_pushinteger(L, -r);
    for (ssize_t got; (got = receive(n->fd, answer)) > 0;) {
        const struct nlmsgerr *e = NLMSG_DATA(head);
        if (refused || got < (ssize_t)NLMSG_LENGTH(sizeof *e) || head->nlmsg_type != NLMSG_ERROR || !e->error) continue;
        refused = 4;
        lua_pushnil(L);
        lua_pushinteger(L, -e->error);
        push_text(L, head);
        lua_pushinteger(L, (lua_Integer)head->nlmsg_seq);
    }
    if (refused) return refused == 4 ? 4 : 2;
    lua_pushboolean(L, 1);
    return 1;
}

/* n:ask(message) -> the first answer, as bytes | nil, errno */
static int netlink_ask(lua_State *L) {
    size_t size;
    const struct netlink *n = check(L);
    const char *bytes = luaL_checklstring(L, 2, &size);
    _Alignas(struct nlmsghdr) char answer[ANSWER_MAX], rest[ANSWER_MAX];
    const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
    ssize_t got = send_messages(n->fd, bytes, size);
    if (got == 0) got = receive(n->fd, answer);
    while (got > 0 && receive(n->fd, rest) > 0) continue;
    if (got >= (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) && head->nlmsg_type == NLMSG_ERROR)
        got = ((const struct nlmsgerr *)NLMSG_DATA(head))->error;
    if (got > 0) return lua_pushlstring(L, answer, (size_t)got), 1;
    lua_pushnil(L);
    lua_pushinteger(L, -got);
    return 2;
}

/* n:namespace() -> a descriptor of its net namespace, which is closed with it */
static int netlink_namespace(lua_State *L) {
    lua_pushinteger(L, check(L)->namespace);
    return 1;
}

static int netlink_close(lua_State *L) {
    close_both(luaL_checkudata(L, 1, NETLINK));
    return 0;
}

static const luaL_Reg methods[] = {
    {"send", netlink_send},   {"ask", netlink_ask},    {"namespace", netlink_namespace},
    {"close", netlink_close}, {"__gc", netlink_close}, {NULL, NULL},
};
static const luaL_Reg functions[] = {{"netlink", new_netlink}, {NULL, NULL}};

void nsL_open_netlink(lua_State *L) {
    nsL_class(L, NETLINK, methods);
    lua_pop(L, 1);
    nsL_setfuncs(L, functions);
}
