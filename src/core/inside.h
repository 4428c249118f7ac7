/* Sockets of a living box's net namespace. */
#ifndef NS_INSIDE_H
#define NS_INSIDE_H

#include "handle.h"

/* Has the init of the box make a socket in its net namespace: its descriptor, ours from then on, or -errno (ESRCH: the
 * box has ended). seconds: how long it is waited for. */
int ns_socket_inside(const struct process *box, int family, int type, int protocol, double seconds);

#endif
