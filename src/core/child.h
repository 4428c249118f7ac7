#ifndef NS_CHILD_H
#define NS_CHILD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the child needs until it has executed the launcher: in memory of its own, as the host goes on meanwhile. */
struct boarding {
    int socket, launcher;
    uint64_t clone_flags;
    size_t count;
    int kept[12000]; /* in rising order, the socket among them */
    _Alignas(16) char stack[16384];
    _Alignas(16) char between[131072]; /* for clone_without_groups: touched by it alone */
};

/* An error that will come again: this machine does not let us do it. */
static inline bool ns_is_denied(int error) { return error == EACCES || error == EPERM || error == ENOSYS; }

/* For clone(2). Returns only by exec or exit; a refusal is reported as step 0. */
int ns_child(void *boarding);

#endif
