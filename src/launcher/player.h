/* A plan being played, as the ops see it. */
#ifndef NS_PLAYER_H
#define NS_PLAYER_H

#include <linux/errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "../plan.h"

/* The most that one step adds to the tables of the player. */
enum { DEVICES_PER_STEP = 2, PINS_PER_STEP = 4 };

/* A directory that this plan has mounted (places.c): the path that it was given, and a descriptor for it; -1 if the way
 * there is fixed. */
struct pin {
    const char *path;
    int fd;
};

/* Plays the plan of a job of a living box: it comes from the socket, into the `room` bytes at `to`. Ends in exec or
 * exit. */
typedef void job_player(int socket, char *to, uint32_t room);

struct player {
    struct plan *plan;
    int socket;     /* to the host: the plan came from it, records go into it */
    int root;       /* the root that places are looked up beneath; -1: the one we have */
    int below;      /* mounts that the new root lies on, one on the other: the lowest is the old root */
    int source_dir; /* the directory that relative sources are looked up from */
    int signals;    /* what an init reads its signals from */
    int ruleset;    /* of Landlock; it is in the making */
    uint32_t route; /* the op of the routes that were played, for `relay` */
    int next;       /* the socket that another plan comes from, which is to be played in place of the rest; else -1 */
    job_player *play_job;
    uint32_t init;     /* in a copy of the host, the step that has left an init behind: `call` says that it is there */
    int returns;       /* the plan is played, and the copy of the host that has played it goes on */
    long umask;        /* the host's */
    int device_count;  /* file systems that this plan has made: later steps may make what is missing in them */
    uint64_t *devices; /* by the numbers of their devices */
    int pinned;        /* mounts that later places are looked up beneath: places.c */
    struct pin *pins;
    int scratch;      /* of a layered root (overlay.c): a tmpfs with places for trees; -1 without one */
    int upper, works; /* and the directories that its parts have theirs in */
    long mapped;      /* bytes of the plan and of both tables, which lie behind it */

    const struct step *filter; /* of system calls: what exec and call install last of all */
    struct trace *trace;       /* where what it refuses is noted; NULL: nowhere */
    int listener;              /* where its supervisor is asked */
};

/* The bytes that a plan takes with its tables. */
long player_size(const struct plan *);

/* plan: where there is room for all these bytes, with zeros behind it; no step is played yet */
void start_player(struct player *, int socket, struct plan *);

/* Sends {step being played, error}. A host that is gone is no reason to stay. */
void ns_report(struct player *, long error);

/* Under a filter that refuses even this call, a trap ends us. */
_Noreturn void end_process(int code);

/* The end of a plan: who comes after the launcher gets its signals again. */
void unmask_signals(void);

/* The string, or the list with its offsets turned into pointers, at an offset; NULL for 0. */
static inline char *plan_string(const struct player *p, uint32_t offset) {
    return offset ? (char *)p->plan + offset : 0;
}
char **plan_list(const struct player *, uint32_t offset);

/* The step that is being played. */
static inline const struct step *step_of(const struct player *p) {
    return (const struct step *)((const char *)p->plan + p->plan->steps) + p->plan->current - 1;
}

/* A step may ignore ENOENT: then its source is missing. What is missing later, on the way to its place, must not be
 * ignored, and is given as another error. */
static inline long not_ignored(long r) { return r == -ENOENT ? -ESTALE : r; }

#endif
