/* A plan that ends in no program: the copy of the host that has played it goes on by itself (core/spawn.c). */
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/securebits.h>
#include <linux/wait.h>

#include "ops.h"
#include "sys.h"

/* Is it among those that an exec would leave to us? To root those of the bounding set, to all others the ambient
 * ones. */
static int outlives_exec(int cap, int is_root) {
    return (is_root ? sys(__NR_prctl, PR_CAPBSET_READ, cap, 0, 0, 0)
                    : sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0)) == 1;
}

/* No program is executed, and yet we have no more capabilities than one would. */
static long cut_capabilities(void) {
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    int is_root = sys(__NR_geteuid) == 0 && !(sys(__NR_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0) & SECBIT_NOROOT);
    long r = sys(__NR_capget, &head, sets);
    if (FAILED(r)) return r;
    for (int cap = 0; cap < 64; cap++)
        if (!outlives_exec(cap, is_root)) sets[cap / 32].permitted &= ~(1u << cap % 32);
    for (int i = 0; i < 2; i++) sets[i].effective = sets[i].permitted;
    return sys(__NR_capset, &head, sets);
}

static void try_and_end(void *player) {
    long r = try_filter(player);
    end_process(FAILED(r) ? (int)-r : 0);
}

/* Would the filter be installed? A child that shares our memory tries it; where none can be made, nobody knows. */
static long try_apart(struct player *p) {
    long stack[512] __attribute__((aligned(16)));
    int status = 0;
    long child = sys_clone(CLONE_VM | CLONE_VFORK, stack + sizeof stack / sizeof *stack, 0, 0, try_and_end, p);
    if (FAILED(child)) return 0;
    while (sys(__NR_wait4, child, &status, __WALL, 0) == -EINTR) continue;
    return status & 0x7f ? 0 : -(status >> 8 & 0xff);
}

/* how: TRIAL, and it leaves. Its init says no word itself: it is there when this step is played. */
long op_call(struct player *p, const struct step *s) {
    long r = cut_capabilities();
    if (FAILED(r)) return r;
    unmask_signals();
    if (p->init && p->filter) r = try_apart(p); /* when the init's word is said, the host hears of nothing else */
    if (FAILED(r)) return r;
    ns_report(p, 0);
    if (p->init) {
        p->plan->current = p->init;
        ns_report(p, 0);
    }
    r = install_filter(p);
    if (FAILED(r)) return r;
    drop_listener(p);
    if (s->how & STEP_TRIAL || FAILED(sys(__NR_close, p->socket))) end_process(s->how & STEP_TRIAL ? 0 : 127);
    sys(__NR_munmap, p->plan, p->mapped);
    p->returns = 1;
    return 0;
}
