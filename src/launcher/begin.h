/* The memory in which a job of a living box begins. */
#ifndef NS_BEGIN_H
#define NS_BEGIN_H

#include "player.h"

/* It stands at the end of that memory: the stack grows down from here, and the plan lies at the beginning. */
struct beginning {
    volatile int is_inside; /* the child has not left our memory yet, by exec or by its end */
    int socket;             /* where the plan comes from */
    job_player *play;
    int place;           /* of the plan (plan.h) */
    uint32_t room, size; /* bytes for the plan; bytes of all */
};

/* For the first one: what the kernel has to do for memory that is new is done when nobody waits. */
void prepare_beginning(struct beginning **spare);

/* Makes the child that plays the plan from the socket. how: JOB_*. Its pid, or -errno. spare: NULL, or one that nobody
 * is in. */
long begin_job(struct beginning **made, struct beginning **spare, job_player *play, int socket, uint32_t how,
               int *pidfd);

/* To be called when the child has left that memory. */
void end_beginning(struct beginning *, struct beginning **spare);

#endif
