/* What the kernel can do, found out by calls that do nothing. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../launcher/sys.h"
#include "open.h"
#include "result.h"

/* Calls that came late, with arguments that make each of them fail without an effect. Missing are those that say
 * ENOSYS, refused by a filter those that say EPERM, and some have a word of their own for what is switched off. */
static const struct {
    const char *name;
    long number, a, b, c, off;
} probes[] = {
    {"clone3", 435, -1, 0, 0, 0},         {"close_range", 436, -1, 0, 0, 0},
    {"openat2", 437, -1, 0, 0, 0},        {"open_tree", 428, -1, 0, 0, 0},
    {"fsconfig", 431, -1, 0, 0, 0},       {"mount_setattr", 442, -1, 0, 0, 0},
    {"pidfd_open", 434, -1, 0, 0, 0},     {"seccomp", __NR_seccomp, 1 /* a filter, from nowhere */, 0, 0, EINVAL},
    {"keyctl", __NR_keyctl, -1, 0, 0, 0},
};

/* syscall_works(name) -> true | nil, message, errno: is it there, and not refused by a filter? */
static int probe_syscall_works(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (strcmp(probes[i].name, name) != 0) continue;
        long r = sys(probes[i].number, probes[i].a, probes[i].b, probes[i].c, 0, 0, 0);
        return nsL_done(L, r == -ENOSYS || r == -EPERM || (r < 0 && r == -probes[i].off) ? r : 0);
    }
    return luaL_error(L, "no probe for '%s'", name);
}

/* landlock() -> the version of its ABI | nil, message, errno */
static int probe_landlock(lua_State *L) {
    long abi = sys(__NR_landlock_create_ruleset, 0, 0, 1 /* asks for it */);
    if (FAILED(abi)) return nsL_done(L, abi);
    lua_pushinteger(L, abi);
    return 1;
}

/* pidfd_info() -> true | nil, message, errno: does the kernel keep the status of a process that somebody else reaps? */
static int probe_pidfd_info(lua_State *L) {
    uint64_t info[16] = {0};
    long pidfd = sys(__NR_pidfd_open, getpid(), 0);
    if (FAILED(pidfd)) return nsL_done(L, pidfd);
    int r = ioctl((int)pidfd, _IOWR(0xFF, 11, char[64]), info), error = errno;
    close((int)pidfd);
    return nsL_done(L, r < 0 ? -error : 0);
}

static const luaL_Reg functions[] = {{"syscall_works", probe_syscall_works},
                                     {"pidfd_info", probe_pidfd_info},
                                     {"landlock", probe_landlock},
                                     {NULL, NULL}};

void nsL_open_probe(lua_State *L) { nsL_setfuncs(L, functions); }
