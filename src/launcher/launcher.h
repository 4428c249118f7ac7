/* What the files of the launcher share. */
#ifndef NS_LAUNCHER_H
#define NS_LAUNCHER_H

#include <stdint.h>

#include "../plan.h"

/* The most that one step adds to the tables of the player. */
enum { OWNED_PER_STEP = 2, PINS_PER_STEP = 4 };

/* A directory that this plan has mounted: the path that it was given, and itself; -1 if nobody can change the way to it. */
struct pin {
    const char *path;
    int fd;
};

/* A plan being played. */
struct player {
    struct plan *plan;
    int socket;        /* to the host: the plan came from it, records go into it */
    int root;          /* the root that places are looked up beneath; -1: the one we have */
    int held;          /* the directory that relative sources are looked up from */
    int signals;       /* what an init reads its signals from */
    long umask;        /* the host's */
    int owned, pinned; /* file systems that this plan has made, and may make places in; mounts to be found again */
    uint64_t *own;     /* their devices */
    struct pin *pins;
    long mapped; /* bytes of the plan and of both tables, which lie behind it */
};

/* An op carries out one step and returns 0 or -errno. */
struct op {
    const char *name;
    long (*run)(struct player *, const struct step *);
};

extern const struct op ns_ops[];
extern const uint32_t ns_op_count;

/* The whole life of the new process: reads the plan from the socket and plays it; ends in exec or exit. */
_Noreturn void ns_launch(int socket);

/* Sends {step being played, error}. A host that is gone is no reason to stay. */
void ns_report(struct player *, long error);

/* Kills all children, and those that become ours by that, and waits for their end: 0; or, when only such are left, the pid of one
 * that we may not kill. */
uint32_t end_children(int signals);

/* Closes all from the first to the last; 0 or -errno. */
long close_fds(unsigned first, unsigned last);

/* The string, or the list with its offsets turned into pointers, at an offset; NULL for 0. */
static inline char *plan_string(const struct player *p, uint32_t offset) {
    return offset ? (char *)p->plan + offset : 0;
}
char **ns_list(const struct player *, uint32_t offset);

#endif
