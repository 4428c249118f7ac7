#ifndef NS_DESCENDANTS_H
#define NS_DESCENDANTS_H

#include <sys/types.h>

#include "compat.h"

/* Kills the descendants of a child of ours, which is stopped; the child itself is left to the caller. The pid of one
 * that may not be killed; or 0. */
pid_t ns_kill_descendants(pid_t pid, int pidfd);

/* h:proc_pid() -> the number that the process has in /proc, whose ever that is | nil, message, errno */
int nsL_proc_pid(lua_State *L);

#endif
