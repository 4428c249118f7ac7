/* Makes the new process and puts the launcher into it. Knows no Lua. */
#ifndef NS_SPAWN_H
#define NS_SPAWN_H

#include <stdint.h>

#include "../plan.h"
#include "image.h"

struct spawned {
    pid_t pid;
    int pidfd;
    int socket;
    uint32_t sent;       /* bytes of the plan that are on their way */
    struct child *child; /* while the child may still be in our memory */
    const char *step;    /* on failure: what was refused */
    int error;           /* and the errno */
};

enum {
    NS_MAY_COPY = 1, /* where the launcher cannot be executed, the new process may be a copy of us */
    NS_COPY = 2,     /* it is one, and goes on when it has played its plan: ns_spawn() returns in it, with the pid 0 */
    NS_DROP_GROUPS = 4, /* it gives up our groups */
    NS_AWAIT_EXEC = 8,  /* it has left our memory when ns_spawn() returns */
};

/* Makes the new process, which waits for its plan; the `inherited` descriptors are open in it. group: of the control
 * group that it is born in, and is awaited as by NS_AWAIT_EXEC; -1 for ours. 0, or -1 with step and error. */
int ns_spawn(struct spawned *, struct image *, uint64_t clone_flags, const int *inherited, size_t count, int how,
             int group);

/* Sends as much of the rest as the socket takes: 1 all is sent, 0 not yet, -1 nobody reads it. */
int ns_send_plan(struct spawned *, const struct plan *);

/* To be called when the child has left our memory, by exec or because it is dead: the memory that it has used is
 * free. */
void ns_child_gone(struct spawned *, struct image *);
void ns_forget_image(struct image *);

#endif
