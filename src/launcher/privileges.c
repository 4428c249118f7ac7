/* The ops for ids, capabilities, limits and priorities. */
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/prctl.h>
#include <stddef.h>

#include "ops.h"
#include "sys.h"

#define KEYCTL_JOIN_SESSION_KEYRING 1

/* data: the gids, as uint32_t */
long op_setgroups(struct player *p, const struct step *s) {
    return sys(SYS_setgroups, s->size / sizeof(uint32_t), plan_string(p, s->data));
}

/* value: real, effective and saved id */
long op_setgid(struct player *p, const struct step *s) {
    (void)p;
    return sys(SYS_setresgid, s->value, s->value, s->value);
}

long op_setuid(struct player *p, const struct step *s) {
    (void)p;
    return sys(SYS_setresuid, s->value, s->value, s->value);
}

/* flags: the capabilities that the bounding set keeps. The kernel says EINVAL beyond the last one it knows: 37 at
 * least. */
long op_bound(struct player *p, const struct step *s) {
    (void)p;
    for (int cap = 0; cap < 64; cap++) {
        if (s->flags >> cap & 1) continue;
        long r = sys(__NR_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
        if (r == -EINVAL && cap > 37) return 0;
        if (FAILED(r)) return r;
    }
    return 0;
}

/* flags: the inheritable and the ambient capabilities from now on; how: CAPS_ALL, instead of these all that are
 * permitted; CAPS_ONLY, permitted and effective are cut down to them, too, and to those of clear, which are the
 * launcher's until exec. Without it exec gives the program just what its ids give it. */
long op_caps(struct player *p, const struct step *s) {
    (void)p;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    long r = sys(__NR_capget, &head, sets);
    for (int i = 0; i < 2; i++) {
        uint32_t keep = s->how & STEP_CAPS_ALL ? sets[i].permitted : (uint32_t)(s->flags >> (32 * i));
        uint32_t ours = sets[i].permitted & (uint32_t)(s->clear >> (32 * i));
        sets[i].inheritable = keep;
        if (s->how & STEP_CAPS_ONLY) sets[i].permitted = sets[i].effective = keep | ours;
    }
    if (!FAILED(r)) r = sys(__NR_capset, &head, sets);
    if (!FAILED(r)) r = sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (int cap = 0; cap < 64 && !FAILED(r); cap++)
        if (sets[cap / 32].inheritable >> (cap % 32) & 1)
            r = sys(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
    return r;
}

/* which: the option; value, limit: its arguments */
long op_prctl(struct player *p, const struct step *s) {
    (void)p;
    return sys(__NR_prctl, s->which, s->value, s->limit, 0, 0);
}

/* which: RLIMIT_*; value, limit: soft and hard, -1 for none */
long op_rlimit(struct player *p, const struct step *s) {
    (void)p;
    uint64_t limits[2] = {(uint64_t)s->value, (uint64_t)s->limit};
    return sys(__NR_prlimit64, 0, s->which, limits, 0);
}

/* value: -20 to 19 */
long op_nice(struct player *p, const struct step *s) {
    (void)p;
    return sys(__NR_setpriority, 0, 0, s->value);
}

/* data: a bit for each processor */
long op_affinity(struct player *p, const struct step *s) {
    return sys(__NR_sched_setaffinity, 0, s->size, plan_string(p, s->data));
}

/* which: SCHED_*; value: the priority */
long op_scheduler(struct player *p, const struct step *s) {
    (void)p;
    int priority = (int)s->value;
    return sys(__NR_sched_setscheduler, 0, s->which, &priority);
}

/* which: the class; value: the level */
long op_ioprio(struct player *p, const struct step *s) {
    (void)p;
    return sys(__NR_ioprio_set, 1, 0, (long)((uint64_t)s->which << 13 | (uint64_t)s->value));
}

/* flags: the persona */
long op_personality(struct player *p, const struct step *s) {
    (void)p;
    long r = sys(__NR_personality, s->flags);
    return FAILED(r) ? r : 0;
}

/* A session keyring of its own: it belongs to no namespace, so the host's keys would be there. A kernel without
 * keyrings has none to hide. The quota still counts keys whose programs have ended, until the kernel gets round to
 * them: where it is full, half a second is allowed for that. */
long op_keyring(struct player *p, const struct step *s) {
    (void)p, (void)s;
    long r;
    for (int i = 0; (r = sys(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0)) == -EDQUOT && i < 50; i++) {
        long pause[2] = {0, 10000000}; /* a struct timespec, in which the call leaves what remains */
        sys(__NR_ppoll, 0, 0, pause, 0, 8);
    }
    return r == -ENOSYS ? 0 : FAILED(r) ? r : 0;
}
