/* The life of the new process until it executes the launcher. It runs in the host's memory, on a stack of its own,
 * while the host goes on: raw system calls alone, all signals blocked, nothing written but that stack. */
#include "child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/prctl.h>
#include <sched.h>
#include <sys/socket.h>

#include "../launcher/sys.h"
#include "../launcher/text.h"
#include "../plan.h"

/* In a user namespace without maps our id is nobody's, and exec would take all capabilities from it: unless they are
 * ambient. The launcher drops them again. */
static long keep_capabilities(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    long r = sys(__NR_capget, &head, sets);
    if (FAILED(r)) return r;
    for (int i = 0; i < 2; i++) sets[i].inheritable = sets[i].permitted;
    r = sys(__NR_capset, &head, sets);
    if (FAILED(r)) return r;
    for (int cap = 0; cap < 64 && !FAILED(r); cap++)
        if (sets[cap / 32].permitted >> (cap % 32) & 1)
            r = sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
    return r;
}

/* Executes the launcher, which gets the descriptors that are listed, and none that the host has forgotten to close on
 * exec. Returns -errno. */
static long execute_launcher(const struct child *c) {
    char digits[12], *number = digits + sizeof digits - 1;
    *number = 0;
    for (int n = c->socket; n > 0; n /= 10) *--number = (char)('0' + n % 10);
    char *argv[] = {(char[]){"ns"}, number, NULL}, *env[] = {NULL};
    long r = 0;
    sys(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC); /* where this is missing, the plan's last steps do it */
    for (size_t i = 0; i < c->count && !FAILED(r); i++) r = sys(__NR_fcntl, c->inherited[i], F_SETFD, 0);
    if (!FAILED(r) && c->clone_flags & CLONE_NEWUSER) r = keep_capabilities();
    if (FAILED(r)) return r;
    char path[32];
    r = sys(__NR_execveat, c->launcher, "", argv, env, AT_EMPTY_PATH);
    /* valgrind, and filters that do not know this call, know the older one */
    return ns_is_denied((int)-r) || r == -ENOENT ? sys(__NR_execve, path_of(c->launcher, path), argv, env) : r;
}

int ns_child(void *argument) {
    const struct child *c = argument;
    struct record r = {0, (int32_t)-execute_launcher(c)};
    sys(__NR_sendto, c->socket, &r, sizeof r, MSG_NOSIGNAL);
    sys(__NR_exit_group, 127);
    return 0;
}
