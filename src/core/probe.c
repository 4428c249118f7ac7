/* What the kernel can do, found out by calls that do nothing. */
#include "core.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../launcher/sys.h"

/* Calls that came late, with arguments that make each of them fail without an effect; only ENOSYS says that it is missing. */
static const struct {
    const char *name;
    long number;
} probes[] = {
    {"clone3", 435},
    {"close_range", 436},
    {"openat2", 437},
    {"pidfd_getfd", 438},
    {"mount_setattr", 442},
    {"open_tree", 428},
    {"move_mount", 429},
    {"fsopen", 430},
    {"fsmount", 432},
    {"pidfd_open", 434},
    {"statmount", 457},
    {"listmount", 458},
    {"landlock_create_ruleset", 444},
    {"memfd_create", __NR_memfd_create},
    {"keyctl", __NR_keyctl},
};

/* syscall_works(name) -> true | nil, message, errno: is it there, and not refused by a filter? */
static int probe_syscall_works(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (strcmp(probes[i].name, name) != 0) continue;
        long r = sys(probes[i].number, -1, 0, 0, 0, 0, 0);
        return nsL_done(L, r == -ENOSYS || r == -EPERM ? r : 0);
    }
    return luaL_error(L, "no probe for '%s'", name);
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

const luaL_Reg ns_probe_functions[] = {
    {"syscall_works", probe_syscall_works},
    {"pidfd_info", probe_pidfd_info},
    {NULL, NULL},
};
