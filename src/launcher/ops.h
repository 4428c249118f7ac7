/* The ops, by the file that has them; what each makes of its fields stands there. */
#ifndef NS_OPS_H
#define NS_OPS_H

#include "player.h"

/* An op carries out one step and returns 0 or -errno. */
struct op {
    const char *name;
    long (*run)(struct player *, const struct step *);
};

extern const struct op ns_ops[];
extern const uint32_t ns_op_count;

/* mounts.c */
long op_newroot(struct player *, const struct step *);
long op_hold(struct player *, const struct step *);
long op_fs(struct player *, const struct step *);
long op_tree(struct player *, const struct step *);
long op_anchor(struct player *, const struct step *);
long op_mask(struct player *, const struct step *);
long op_remount(struct player *, const struct step *);
long op_propagation(struct player *, const struct step *);
long op_pivot(struct player *, const struct step *);

/* overlay.c */
long op_overlay(struct player *, const struct step *);

/* files.c */
long op_file(struct player *, const struct step *);
long op_mkdir(struct player *, const struct step *);
long op_symlink(struct player *, const struct step *);

/* fds.c */
long op_dup(struct player *, const struct step *);
long op_close(struct player *, const struct step *);
long op_chown(struct player *, const struct step *);

/* terminal.c */
long op_setsid(struct player *, const struct step *);
long op_setpgid(struct player *, const struct step *);
long op_foreground(struct player *, const struct step *);
long op_controlling(struct player *, const struct step *);
long op_pty(struct player *, const struct step *);

/* sockets.c */
long op_connect(struct player *, const struct step *);
long op_listen(struct player *, const struct step *);
long op_wait(struct player *, const struct step *);

/* relay.c */
long op_route(struct player *, const struct step *);
long op_relay(struct player *, const struct step *);

/* privileges.c */
long op_setgroups(struct player *, const struct step *);
long op_setgid(struct player *, const struct step *);
long op_setuid(struct player *, const struct step *);
long op_bound(struct player *, const struct step *);
long op_caps(struct player *, const struct step *);
long op_prctl(struct player *, const struct step *);
long op_rlimit(struct player *, const struct step *);
long op_nice(struct player *, const struct step *);
long op_affinity(struct player *, const struct step *);
long op_scheduler(struct player *, const struct step *);
long op_ioprio(struct player *, const struct step *);
long op_personality(struct player *, const struct step *);
long op_keyring(struct player *, const struct step *);

/* filter.c */
long op_seccomp(struct player *, const struct step *);
long op_trace(struct player *, const struct step *);

/* Installs the filter that the plan has, if any: no step is played after it. The step that fails is that of the
 * filter. */
long install_filter(struct player *);

/* Only whether it could be installed: in a process that ends then. */
long try_filter(struct player *);

/* For who goes on without an exec: it must not keep what could answer in the supervisor's place. */
void drop_listener(struct player *);

/* landlock.c */
long op_landlock(struct player *, const struct step *);
long op_landlock_path(struct player *, const struct step *);
long op_landlock_port(struct player *, const struct step *);
long op_landlock_restrict(struct player *, const struct step *);

/* init.c */
long op_signalfd(struct player *, const struct step *);
long op_init(struct player *, const struct step *);

/* net.c */
long op_netlink(struct player *, const struct step *);
long op_await_local(struct player *, const struct step *);

/* serve.c */
long op_serve(struct player *, const struct step *);

/* call.c */
long op_call(struct player *, const struct step *);

#endif
