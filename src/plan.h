/* The waist between the two processes. The host lays a plan out as one block of bytes; the launcher plays it and
 * answers with records. Offsets and numbers: no pointer, no Lua type, no function that acts. */
#ifndef NS_PLAN_H
#define NS_PLAN_H

#include <stdint.h>

#define PLAN_MAGIC 0x6e73706cu /* "nspl" */

/* Where the launcher asks for the plan's memory: a host that gave up waiting reads there which step hung. Near the launcher
 * itself, so that both share their page tables. */
#define PLAN_ADDRESS 0x500000ul

struct plan {
    uint32_t magic;
    uint32_t size;    /* of the whole block, in bytes; the last one is 0 */
    uint32_t steps;   /* offset of the first struct step */
    uint32_t count;   /* number of steps */
    uint32_t current; /* the step being played, from 1: written by the launcher, read by a host that timed out */
};

/* One flat shape for every op; a field's name is its key in Lua. Strings and lists are offsets into the plan, 0 when
 * absent; a list is an array of uintptr_t offsets that ends in 0. They lie behind those of all steps before. What an op makes of
 * its fields stands at the op. */
struct step {
    uint32_t op;                       /* index into ns_ops[] */
    uint32_t ignore;                   /* an errno that counts as success */
    uint32_t path, source, type, data; /* strings */
    uint32_t size;                     /* bytes in data */
    uint32_t paths, argv, env;         /* lists */
    uint32_t options;                  /* list */
    int32_t fd, to;                    /* descriptors */
    uint32_t mode;                     /* of a file or directory */
    int32_t which;                     /* the resource, the policy, ... */
    uint64_t flags;
    int64_t value, limit;
};

/* What comes back over the socket. {step, 0} says "this step is about to leave the launcher for good" (exec);
 * {step, error} that it failed. After the first, end-of-file means that the program runs. */
struct record {
    uint32_t step;
    int32_t error;
};

/* The flags of the step that leaves an init behind: it outlives the host; it tells when the program is stopped; there is no pid
 * namespace that ends what the program has started, so the init does. */
enum { INIT_DETACHED = 1, INIT_TELLS_STOPS = 2, INIT_ALONE = 4 };

/* The step of a record in which an init tells how the program has ended; error is the status of wait4(2). */
#define INIT_STATUS 0xffffffffu

/* The same for a program that was stopped, from an init that was asked to tell it. */
#define INIT_STOPPED 0xfffffffeu
/* Its record after INIT_STATUS: the most memory that the program had, in KiB. */
#define INIT_MAXRSS 0xfffffffdu
/* The pid of one that it may not kill. */
#define INIT_LEFT 0xfffffffcu

#endif
