#ifndef NS_CHILD_H
#define NS_CHILD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory that a child uses until it has executed the launcher: its arguments and its stacks. The two processes
 * share all memory until then and the host does not wait, so no child uses what another may still be using. */
struct child {
    int socket, launcher;
    int group;    /* the control group that it is born in, or -1 */
    bool awaited; /* the host sleeps until it has executed the launcher */
    uint64_t clone_flags;
    size_t count;
    int inherited[12000]; /* the descriptors that stay open over exec, in rising order, the socket among them */
    _Alignas(16) char stack[16384];
    _Alignas(16) char between[131072]; /* the stack of the process in between, where there is one: spawn.c */
};

/* An error that will come again: this machine does not let us do it. */
static inline bool ns_is_denied(int error) { return error == EACCES || error == EPERM || error == ENOSYS; }

/* For clone(2). Returns only by exec or exit; a refusal is reported as step 0. */
int ns_child(void *child);

#endif
