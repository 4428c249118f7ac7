/* Namespaces as descriptors: what they are, whose they are, and a name that keeps them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "open.h"
#include "result.h"

/* namespace(fd) -> its CLONE_NEW* | nil, message, errno: ENOTTY for what is none */
static int namespace(lua_State *L) { return nsL_number(L, ioctl((int)luaL_checkinteger(L, 1), NS_GET_NSTYPE)); }

/* The uid that has made this user namespace, or the one that has this namespace of another kind: 0, or an errno. */
static int find_owner(int fd, uid_t *uid) {
    if (ioctl(fd, NS_GET_OWNER_UID, uid) == 0) return 0;
    int user = ioctl(fd, NS_GET_USERNS), error = errno;
    if (user < 0) return error;
    error = ioctl(user, NS_GET_OWNER_UID, uid) < 0 ? errno : 0;
    close(user);
    return error;
}

/* namespace_owner(path or fd) -> uid | nil, message, errno: EPERM where the user namespace lies outside of ours */
static int namespace_owner(lua_State *L) {
    bool own = lua_type(L, 1) != LUA_TNUMBER;
    uid_t uid = 0;
    int fd =
        own ? open(luaL_checkstring(L, 1), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : (int)lua_tointeger(L, 1);
    int error = fd < 0 ? errno : find_owner(fd, &uid);
    if (own && fd >= 0) close(fd);
    if (error) return nsL_failed(L, error);
    lua_pushnumber(L, uid);
    return 1;
}

/* has_ended(pidfd): may the pid that it was opened for be another's now? */
static int has_ended(lua_State *L) {
    lua_pushboolean(L, sys(__NR_pidfd_send_signal, luaL_checkinteger(L, 1), 0, NULL, 0) == -ESRCH);
    return 1;
}

/* bind(source, path) -> true | nil, message, errno: the file, which is made if it is missing, stands for the source
 * from now on */
static int bind_on(lua_State *L) {
    const char *source = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
    int made = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
    if (made < 0 && errno != EEXIST) return nsL_done(L, -errno);
    int error = mount(source, path, NULL, MS_BIND, NULL) < 0 ? errno : 0;
    if (made >= 0) close(made);
    if (made >= 0 && error) unlink(path);
    return nsL_done(L, -error);
}

static const luaL_Reg functions[] = {{"namespace", namespace},
                                     {"namespace_owner", namespace_owner},
                                     {"has_ended", has_ended},
                                     {"bind", bind_on},
                                     {NULL, NULL}};

void nsL_open_namespace(lua_State *L) { nsL_setfuncs(L, functions); }
