#ifndef NS_FDS_H
#define NS_FDS_H

#include "player.h"

/* Closes all from the first to the last; 0 or -errno. */
long close_fds(unsigned first, unsigned last);

/* Closes all but these two. */
void close_all_but(int a, int b);

/* The same from the first on, which is not above them. */
void close_from(unsigned first, int a, int b);

/* Raises the soft limit of descriptors, as far as that may be. */
void lift_limit(void);

/* Makes `to` a duplicate of fd; what the player itself has under that number moves to another one. flags: O_CLOEXEC; 0
 * or -errno */
long dup_to(struct player *, int fd, int to, uint64_t flags);

#endif
